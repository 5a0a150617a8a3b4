// What a file holds: copying and comparing it.

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <vector>

#include <unistd.h>

#include "agentbox/base/error.hpp"

#include "guard_tree.hpp"

namespace agentbox::launch {

using base::SystemError;

void copy_bytes(int from, std::int64_t from_offset, int to, std::int64_t to_offset, std::uint64_t size) {
  off_t in = from_offset, out = to_offset;
  std::uint64_t left = size;
  while (left > 0) {
    ssize_t moved = ::copy_file_range(from, &in, to, &out, std::min<std::uint64_t>(left, 1U << 30), 0);
    if (moved < 0 && errno == EINTR) continue;
    if (moved <= 0) break;  // across file systems, on an odd one, or at the end of the file: the loop below says which
    left -= static_cast<std::uint64_t>(moved);
  }
  std::vector<char> buffer(left > 0 ? std::min<std::uint64_t>(left, 256 * 1024) : 0);
  while (left > 0) {
    ssize_t got = ::pread(from, buffer.data(), std::min<std::uint64_t>(left, buffer.size()), in);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw SystemError(errno, "cannot read the file to copy");
    if (got == 0) throw SystemError(0, "the file to copy became shorter meanwhile");
    for (ssize_t done = 0; done < got;) {
      ssize_t put = ::pwrite(to, buffer.data() + done, static_cast<std::size_t>(got - done), out + done);
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) throw SystemError(put < 0 ? errno : ENOSPC, "cannot write a copy");
      done += put;
    }
    in += got, out += got, left -= static_cast<std::uint64_t>(got);
  }
}

bool same_bytes(int left, std::int64_t left_offset, int right, std::int64_t right_offset, std::uint64_t size) {
  constexpr std::size_t chunk = 64 * 1024;
  std::vector<char> one(std::min<std::uint64_t>(size, chunk)), two(one.size());
  auto fetch = [](int from, std::vector<char>& into, std::size_t want, std::int64_t at) {
    std::size_t have = 0;
    while (have < want) {
      ssize_t got = ::pread(from, into.data() + have, want - have, at + static_cast<std::int64_t>(have));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw SystemError(errno, "cannot read a file to compare");
      if (got == 0) return false;
      have += static_cast<std::size_t>(got);
    }
    return true;
  };
  for (std::uint64_t done = 0; done < size;) {
    auto want = static_cast<std::size_t>(std::min<std::uint64_t>(size - done, one.size()));
    auto at = static_cast<std::int64_t>(done);
    if (!fetch(left, one, want, left_offset + at) || !fetch(right, two, want, right_offset + at)) return false;
    if (!std::equal(one.begin(), one.begin() + static_cast<std::ptrdiff_t>(want), two.begin())) return false;
    done += want;
  }
  return true;
}

}  // namespace agentbox::launch
