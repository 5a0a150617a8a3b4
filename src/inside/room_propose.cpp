#include "room_propose.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/base/unique_fd.hpp"

#include "room_client.hpp"
#include "room_words.hpp"

namespace agentbox::inside {

namespace {

constexpr std::uint64_t our_id = 1;
constexpr std::size_t most_content = 1U << 20;
constexpr int asking_is_slow = 1500;  // ms, then a line says what is waited for

int code(Exit exit) {
  return static_cast<int>(exit);
}
void say(int stream, const std::string& text) {
  (void)!::write(stream, text.data(), text.size());
}
int fail(const std::string& problem) {
  say(2, "agentbox: " + problem + "\n");
  return code(Exit::not_started);
}

// All of standard input, where nobody can change it any more. Empty: it was said why.
base::UniqueFd seal_input() {
  base::UniqueFd memory(::memfd_create("proposal", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  std::array<char, 65536> part;
  std::size_t total = 0;
  for (bool more = static_cast<bool>(memory); more;) {
    const ssize_t count = ::read(0, part.data(), part.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      fail(std::string("standard input can't be read: ") + ::strerrordesc_np(errno));
      return {};
    }
    more = count > 0;
    total += static_cast<std::size_t>(count);
    if (total > most_content) {
      fail("the new content is bigger than 1 MiB: nobody could read the difference");
      return {};
    }
    if (::write(memory.get(), part.data(), static_cast<std::size_t>(count)) != count) memory.reset();
  }
  if (!memory || ::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
    fail(std::string("the new content can't be kept: ") + ::strerrordesc_np(errno));
    return {};
  }
  return memory;
}

// If we are killed meanwhile the connection goes, and the question with it.
int await(RoomClient& client, const Proposal& proposal) {
  bool said_so = false;
  std::deque<RoomClient::Heard> heard;
  while (heard.empty()) {
    pollfd ready{client.fd(), POLLIN, 0};
    const int count = ::poll(&ready, 1, said_so ? -1 : asking_is_slow);
    if (count == 0 && !std::exchange(said_so, true)) say(2, "agentbox: waiting for the owner's answer\n");
    if (count > 0 && client.receive(heard) == RoomClient::State::closed && heard.empty()) {
      say(2, "agentbox: the broker has closed the connection\n");
      return code(Exit::failed);
    }
  }
  const auto& body = heard.front().message.body;
  const std::string what = base::quote(proposal.path);
  if (const auto* refusal = std::get_if<wire::Refusal>(&body)) {
    say(2, in_words(what, *refusal, Deed::change));
    return code(exit_of(refusal->code));
  }
  const auto* verdict = std::get_if<wire::Verdict>(&body);
  if (verdict == nullptr) return code(Exit::failed);
  if (verdict->verdict != wire::Verdict::Kind::allow) {
    say(2, in_words(what, *verdict, Deed::change));
    return code(exit_of(verdict->verdict));
  }
  say(1, (proposal.what == Proposal::What::remove ? "removed " : "changed ") + what + "\n");
  return 0;
}

}  // namespace

std::optional<std::string> absolute(const std::string& path, const std::string& directory) {
  std::string result = path.starts_with('/') ? "" : directory == "/" ? "" : directory;
  bool named = path.starts_with('/');  // a part stands before, which may be a link
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string part = path.substr(at, end - at);
    at = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (named) return {};
      result.erase(result.find_last_of('/') == std::string::npos ? 0 : result.find_last_of('/'));
      continue;
    }
    named = true;
    result += "/" + part;
  }
  return result.empty() ? "/" : result;
}

int propose(const Proposal& proposal) {
  base::UniqueFd content;
  if (proposal.what == Proposal::What::write) {
    content = seal_input();
    if (!content) return code(Exit::not_started);
  }
  auto client = RoomClient::connect(socket_path());
  if (!client) {
    say(2, "agentbox: there is no broker at " + socket_path() + ": " + ::strerrordesc_np(errno) +
               "\nThis program asks the owner of a room of agentbox; nothing was changed.\n");
    return code(Exit::failed);
  }
  using What = wire::ChangeRequest::What;
  const wire::FromRoom request{
      our_id, wire::ChangeRequest{.path = proposal.path,
                                  .what = proposal.what == Proposal::What::remove ? What::remove : What::write,
                                  .why = proposal.why}};
  if (!client->send(request, content.get())) {
    say(2, "agentbox: the broker has closed the connection\n");
    return code(Exit::failed);
  }
  return await(*client, proposal);
}

}  // namespace agentbox::inside
