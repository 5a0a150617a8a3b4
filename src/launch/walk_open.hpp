#pragma once

// The system calls of the walk: nothing here follows a link, opens anything but a directory, or waits for a file
// system that may not answer.

#include <cstdint>
#include <optional>
#include <vector>

#include <sys/stat.h>

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/policy/facts.hpp"

#include "walk_memory.hpp"

namespace agentbox::launch {

// `resolve` as openat2(2) takes it. Sets errno.
[[nodiscard]] base::UniqueFd open_listing(int parent, const char* name, std::uint64_t resolve);

// Does the file system answer from this machine? The others (FUSE, network, automounts, the kernel's own) may hang,
// may be endless, and answer differently each time.
[[nodiscard]] bool is_local(int fd);
// Is it one whose stamps tell of every change? The kernel itself must keep the ctime, and nobody may reach what
// lies below by another way: so not an overlay, whose layers can be changed underneath.
[[nodiscard]] bool has_telling_stamps(int fd);

// Since 1970. A time that a program can set may be one of the year 2500: it wraps round.
[[nodiscard]] std::int64_t nanoseconds(const struct statx_timestamp& time) noexcept;

// A directory, as one statx(2) sees it.
struct Seen {
  Stamp stamp;
  MountPlace place;
  std::uint32_t uid = 0, mode = 0;
};
// Nothing where the kernel (before 5.8) doesn't name the mount, or the entry is gone. "" for `parent` itself.
[[nodiscard]] std::optional<Seen> see(int parent, const char* name);

// The names in a directory, without "." and "..", a buffer at a time.
class Listing {
 public:
  Listing() : buffer_(32768) {}
  // As getdents64(2): 0 at the end, -1 with errno.
  long fill(int directory);
  // Null: fill again. A `kind` of missing: it vanished before it could be looked at.
  const char* next(int directory, policy::FileKind& kind);

 private:
  std::vector<char> buffer_;
  std::size_t at_ = 0, end_ = 0;
};

}  // namespace agentbox::launch
