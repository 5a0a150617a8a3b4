#pragma once

// How launch opens what may be hostile: never through a link that nobody named, never a FIFO that blocks,
// never more bytes than asked for.

#include "agentbox/base/path.hpp"
#include "agentbox/base/unique_fd.hpp"

#include <cstddef>
#include <optional>
#include <string>

namespace agentbox::launch {

// The whole content of a regular file; nothing if the last component is a symbolic link or anything but a
// regular file, if it can't be read, or if it has more than `limit` bytes.
[[nodiscard]] std::optional<std::string> read_regular(const base::AbsPath& path, std::size_t limit);

// As above for files of /proc, /sys and the like, whose size is 0 and whose names are the kernel's.
[[nodiscard]] std::optional<std::string> read_kernel_file(const char* path, std::size_t limit = 1 << 20);

// Up to `limit` bytes until the end; nothing on an error or if there is more.
[[nodiscard]] std::optional<std::string> read_all(int fd, std::size_t limit);

}  // namespace agentbox::launch
