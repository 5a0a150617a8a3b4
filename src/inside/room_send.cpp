#include "room_send.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/base/unique_fd.hpp"

#include "room_client.hpp"
#include "room_words.hpp"

namespace agentbox::inside {

namespace {

constexpr std::uint64_t our_id = 1;
constexpr int asking_is_slow = 1500;  // ms, then a line says what is waited for
using Kind = wire::Verdict::Kind;

void say(int stream, const std::string& text) {
  (void)!::write(stream, text.data(), text.size());
}
int fail(const std::string& problem) {
  say(2, "agentbox: " + problem + "\n");
  return static_cast<int>(Exit::not_started);
}

// Appends all of `from`; how much it was, or nothing, and it was said why.
std::optional<std::uint64_t> append(int memory, int from, const std::string& what, std::uint64_t most,
                                    const std::string& in_words) {
  std::array<char, 65536> part;
  std::uint64_t total = 0;
  for (;;) {
    const ssize_t count = ::read(from, part.data(), part.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      fail(what + " can't be read: " + ::strerrordesc_np(errno));
      return {};
    }
    if (count == 0) return total;
    total += static_cast<std::uint64_t>(count);
    if (total > most) {
      fail(what + " is too big: at most " + in_words);
      return {};
    }
    if (::write(memory, part.data(), static_cast<std::size_t>(count)) != count) {
      fail(std::string("the message can't be kept: ") + ::strerrordesc_np(errno));
      return {};
    }
  }
}

// Body and attachments, one behind the other. Empty: it was said why.
base::UniqueFd gather(wire::MessageRequest& message, const std::vector<std::string>& paths) {
  base::UniqueFd memory(::memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory) {
    fail(std::string("the message can't be kept: ") + ::strerrordesc_np(errno));
    return {};
  }
  auto body = append(memory.get(), 0, "the body", wire::most_body, "64 KiB");
  if (!body) return {};
  message.body = *body;
  std::uint64_t left = wire::most_attached;
  for (const std::string& path : paths) {
    const std::string shown = base::quote(path);
    // A FIFO is not waited for.
    base::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat info{};
    if (!file || ::fstat(file.get(), &info) != 0) {
      fail(shown + " can't be read: " + ::strerrordesc_np(errno));
      return {};
    }
    if (!S_ISREG(info.st_mode)) {
      fail(shown + " is no file");
      return {};
    }
    auto size = append(memory.get(), file.get(), shown, left, "10 MiB with all other attachments");
    if (!size) return {};
    left -= *size;
    message.attachments.push_back({.name = path.substr(path.rfind('/') + 1), .size = *size});
  }
  if (::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
    fail(std::string("the message can't be kept: ") + ::strerrordesc_np(errno));
    return {};
  }
  return memory;
}

std::string in_short(const wire::MessageRequest& message) {
  std::string text = base::escape(message.via) + " to ";
  for (const std::string& one : message.to) text += (&one == &message.to.front() ? "" : ", ") + base::escape(one);
  return text;
}

class Sending {
 public:
  Sending(const wire::MessageRequest& message, RoomClient& client) : what_(in_short(message)), client_(client) {}

  // If we are killed while the owner is asked the connection goes, and the question with it.
  int wait() {
    while (!code_) {
      pollfd ready{client_.fd(), POLLIN, 0};
      const int count = ::poll(&ready, 1, said_so_ ? -1 : asking_is_slow);
      if (count == 0 && !std::exchange(said_so_, true)) {
        say(2, allowed_ ? "agentbox: it is being sent\n" : "agentbox: waiting for the owner's answer\n");
      }
      if (count <= 0) continue;
      std::deque<RoomClient::Heard> heard;
      const auto state = client_.receive(heard);
      for (const RoomClient::Heard& one : heard) take(one.message.body);
      if (state == RoomClient::State::closed && !code_) code_ = lost();
    }
    return *code_;
  }

 private:
  void take(const decltype(wire::ToRoom::body)& body) {
    if (code_) return;
    if (const auto* refusal = std::get_if<wire::Refusal>(&body)) {
      say(2, in_words(what_, *refusal, Deed::message));
      code_ = static_cast<int>(exit_of(refusal->code));
    } else if (const auto* verdict = std::get_if<wire::Verdict>(&body)) {
      allowed_ = verdict->verdict == Kind::allow;
      said_so_ = false;
      if (allowed_) return;
      say(2, in_words(what_, *verdict, Deed::message));
      code_ = static_cast<int>(exit_of(verdict->verdict));
    } else if (const auto* ended = std::get_if<wire::MessageEnded>(&body)) {
      say(ended->outcome == wire::MessageEnded::Outcome::sent ? 1 : 2, in_words(what_, *ended));
      code_ = static_cast<int>(exit_of(ended->outcome));
    }
  }

  int lost() {
    say(2, allowed_ ? "agentbox: the broker has closed the connection while this was being sent: " + what_ +
                          "\n  it may have been sent: do not send it again, tell the owner\n"
                    : "agentbox: the broker has closed the connection; nothing was sent\n");
    return static_cast<int>(allowed_ ? Exit::try_later : Exit::failed);
  }

  std::string what_;
  RoomClient& client_;
  bool allowed_ = false, said_so_ = false;
  std::optional<int> code_;
};

}  // namespace

int send(wire::MessageRequest message, const std::vector<std::string>& paths) {
  const base::UniqueFd content = gather(message, paths);
  if (!content) return static_cast<int>(Exit::not_started);
  auto client = RoomClient::connect(socket_path());
  if (!client) {
    say(2, "agentbox: there is no broker at " + socket_path() + ": " + ::strerrordesc_np(errno) +
               "\nThis program asks the owner of a room of agentbox; nothing was sent.\n");
    return static_cast<int>(Exit::failed);
  }
  if (!client->send({our_id, message}, content.get())) {
    say(2, "agentbox: the broker has closed the connection; nothing was sent\n");
    return static_cast<int>(Exit::failed);
  }
  return Sending(message, *client).wait();
}

}  // namespace agentbox::inside
