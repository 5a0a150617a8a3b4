#include "socket_table.hpp"

#include <array>
#include <cstring>

#include <netinet/in.h>
#include <sys/socket.h>
// After netinet/in.h, which they then leave its names.
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>

namespace agentbox::launch {

namespace {

struct Question {
  nlmsghdr header;
  inet_diag_req_v2 request;
};

// Address words and port as the kernel's request has them, in network order.
template <class Words>
void put(const sockaddr_storage& address, Words& words, __be16& port) {
  if (address.ss_family == AF_INET6) {
    const auto& six = reinterpret_cast<const sockaddr_in6&>(address);
    std::memcpy(&words, &six.sin6_addr, sizeof six.sin6_addr);
    port = six.sin6_port;
  } else {
    const auto& four = reinterpret_cast<const sockaddr_in&>(address);
    std::memcpy(&words, &four.sin_addr, sizeof four.sin_addr);
    port = four.sin_port;
  }
}

Question question_about(const gates::network::Ends& ends, std::uint32_t number) {
  Question question{};
  question.header.nlmsg_len = sizeof question;
  question.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  question.header.nlmsg_flags = NLM_F_REQUEST;
  question.header.nlmsg_seq = number;
  inet_diag_req_v2& request = question.request;
  request.sdiag_family = static_cast<__u8>(ends.own.ss_family);
  request.sdiag_protocol = IPPROTO_TCP;
  request.idiag_states = ~0U;
  put(ends.own, request.id.idiag_src, request.id.idiag_sport);
  put(ends.other, request.id.idiag_dst, request.id.idiag_dport);
  request.id.idiag_cookie[0] = request.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  return question;
}

}  // namespace

base::UniqueFd SocketTable::open() noexcept {
  return base::UniqueFd(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG));
}

std::optional<std::uint32_t> SocketTable::inode_of(const gates::network::Ends& ends) noexcept {
  if (!socket_ || ends.own.ss_family != ends.other.ss_family) return std::nullopt;
  const Question question = question_about(ends, ++asked_);
  if (::send(socket_.get(), &question, sizeof question, 0) != sizeof question) return std::nullopt;
  // The kernel has answered when send returns. An answer to an earlier question may be before it.
  alignas(nlmsghdr) std::array<char, 4096> answer;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled by recv
  while (true) {
    const ssize_t size = ::recv(socket_.get(), answer.data(), answer.size(), 0);
    nlmsghdr header{};
    if (size < static_cast<ssize_t>(sizeof header)) return std::nullopt;
    std::memcpy(&header, answer.data(), sizeof header);
    if (header.nlmsg_seq != asked_) continue;
    inet_diag_msg found{};
    if (header.nlmsg_type != SOCK_DIAG_BY_FAMILY || size < static_cast<ssize_t>(NLMSG_LENGTH(sizeof found))) {
      return std::nullopt;
    }
    std::memcpy(&found, answer.data() + NLMSG_HDRLEN, sizeof found);
    if (found.idiag_inode == 0) return std::nullopt;  // nobody holds it any more
    return found.idiag_inode;
  }
}

}  // namespace agentbox::launch
