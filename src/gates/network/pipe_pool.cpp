#include "pipe_pool.hpp"

#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace agentbox::gates::network {

namespace {

constexpr std::size_t most_idle = 16;
// The kernel lets a user have 64 MiB of pipes in all, shared with everything else that he runs; beyond it
// each new pipe shrinks to two pages. So only the first few are made larger than usual: a bulk transfer needs
// it, a thousand conversations do not.
constexpr std::size_t most_large = 32;
constexpr int large = 256 * 1024;

}  // namespace

std::optional<Pipe> PipePool::take() {
  if (!idle_.empty()) {
    Pipe pipe = std::move(idle_.back());
    idle_.pop_back();
    ++taken_;
    return pipe;
  }
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return std::nullopt;
  if (taken_ < most_large) ::fcntl(ends[1], F_SETPIPE_SZ, large);  // refused: it stays as it is
  ++taken_;
  return Pipe{base::UniqueFd(ends[0]), base::UniqueFd(ends[1])};
}

void PipePool::give_back(Pipe pipe) {
  --taken_;
  if (idle_.size() < most_idle) idle_.push_back(std::move(pipe));
}

void PipePool::discard(Pipe pipe) {
  --taken_;
  pipe = {};
}

}  // namespace agentbox::gates::network
