#include "agentbox/gates/open_files.hpp"

#include <algorithm>
#include <optional>

namespace agentbox::gates {

namespace {

std::optional<rlimit> before;

}  // namespace

std::uint64_t raise_open_files(std::uint64_t wanted) noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  if (limit.rlim_cur >= wanted || limit.rlim_cur >= limit.rlim_max) return limit.rlim_cur;
  const rlimit was = limit;
  limit.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max);
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return was.rlim_cur;
  if (!before) before = was;
  return limit.rlim_cur;
}

const rlimit* open_files_before() noexcept {
  return before ? &*before : nullptr;
}

}  // namespace agentbox::gates
