#include "room_propose.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/base/unique_fd.hpp"

#include "room_ask.hpp"

namespace agentbox::inside {

namespace {

constexpr std::size_t most_content = 1U << 20;

int code(Exit exit) {
  return static_cast<int>(exit);
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
  using What = wire::ChangeRequest::What;
  const bool removes = proposal.what == Proposal::What::remove;
  Wish wish{.deed = Deed::change,
            .what = base::quote(proposal.path),
            .nothing = "nothing was changed",
            .doing = {},
            .lost = {},
            .done = Wish::Done::with_verdict,
            .hear = {}};
  // What is allowed has been done by then.
  wish.hear = [&](const decltype(wire::ToRoom::body)& body) -> std::optional<Exit> {
    if (!std::holds_alternative<wire::Verdict>(body)) return Exit::failed;
    say(1, (removes ? "removed " : "changed ") + wish.what + "\n");
    return Exit::done;
  };
  return ask(
      wire::ChangeRequest{.path = proposal.path, .what = removes ? What::remove : What::write, .why = proposal.why},
      content.get(), wish);
}

}  // namespace agentbox::inside
