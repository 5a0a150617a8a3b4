#pragma once

// How launch opens what may be hostile: never through a link that nobody named, never a FIFO that blocks,
// never more bytes than asked for.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "agentbox/base/path.hpp"
#include "agentbox/base/unique_fd.hpp"
#include "agentbox/policy/facts.hpp"

namespace agentbox::launch {

// st_mode's file type. Sockets, FIFOs and devices are what they are; what has no name is `unreadable`.
[[nodiscard]] policy::FileKind kind_of_mode(unsigned mode);

// The whole content of a regular file; nothing if the last component is a symbolic link or anything but a
// regular file, if it can't be read, or if it has more than `limit` bytes.
[[nodiscard]] std::optional<std::string> read_regular(const base::AbsPath& path, std::size_t limit);

// As above for files of /proc, /sys and the like, whose size is 0 and whose names are the kernel's.
[[nodiscard]] std::optional<std::string> read_kernel_file(const char* path, std::size_t limit = 1 << 20);

// Up to `limit` bytes until the end; nothing on an error or if there is more.
[[nodiscard]] std::optional<std::string> read_all(int fd, std::size_t limit);

struct ListedEntry {
  std::string name;
  policy::FileKind kind = policy::FileKind::missing;
};
// The entries of an open directory, without "." and "..", in the order of the disk, straight from the kernel: a workspace
// has tens of thousands. `left` counts down. 0 at the end, E2BIG if there are more, else the errno.
[[nodiscard]] int list_entries(int directory, std::vector<ListedEntry>& entries, std::size_t& left);
// The same for a path that is real: a symbolic link
// anywhere on the way gives nothing. Nothing either if it can't be read; what is beyond `limit` entries is
// left out, and `limit` becomes what is left of it (0: the bound was met).
[[nodiscard]] std::optional<std::vector<ListedEntry>> list_directory(const base::AbsPath& path, std::size_t& limit);

}  // namespace agentbox::launch
