#include "room_send.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/base/unique_fd.hpp"

#include "room_ask.hpp"

namespace agentbox::inside {

namespace {

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

}  // namespace

int send(wire::MessageRequest message, const std::vector<std::string>& paths) {
  const base::UniqueFd content = gather(message, paths);
  if (!content) return static_cast<int>(Exit::not_started);
  const std::string what = in_short(message);
  Wish wish{.deed = Deed::message,
            .what = what,
            .nothing = "nothing was sent",
            .doing = "it is being sent",
            .lost = "agentbox: the broker has closed the connection while this was being sent: " + what +
                    "\n  it may have been sent: do not send it again, tell the owner\n",
            .hear = {}};
  wish.hear = [&](const decltype(wire::ToRoom::body)& body) -> std::optional<Exit> {
    const auto* ended = std::get_if<wire::MessageEnded>(&body);
    if (ended == nullptr) return std::nullopt;
    say(ended->outcome == wire::MessageEnded::Outcome::sent ? 1 : 2, in_words(what, *ended));
    return exit_of(ended->outcome);
  };
  return ask(std::move(message), content.get(), wish);
}

}  // namespace agentbox::inside
