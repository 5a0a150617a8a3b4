#include "bulk.hpp"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>

namespace agentbox::gates::network {

namespace {

constexpr std::uint64_t turn = Bulk::at_once / 2;
constexpr unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;

}  // namespace

Bulk::Result Bulk::move(int source, int sink, std::uint64_t wanted) {
  Result result;
  if (!pipe_) pipe_ = PipePool().take();
  if (!pipe_) return {.moved = Moved::source_over};  // no descriptor left: better this connection lost than all stuck
  for (;;) {
    if (held_ != 0) {
      const auto count = ::splice(pipe_->read_end.get(), nullptr, sink, nullptr, held_, flags);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) {
        result.moved = count < 0 && errno == EAGAIN ? Moved::sink_full : Moved::sink_broken;
        return result;
      }
      held_ -= static_cast<std::size_t>(count);
      result.sent += static_cast<std::uint64_t>(count);
      continue;
    }
    if (result.taken == wanted) {
      pipe_.reset();
      result.moved = Moved::all;
      return result;
    }
    if (result.taken >= turn) {
      result.moved = Moved::turn_over;
      return result;
    }
    const auto most = static_cast<std::size_t>(std::min(wanted - result.taken, turn));
    const auto count = ::splice(source, nullptr, pipe_->write_end.get(), nullptr, most, flags);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      result.moved = count < 0 && errno == EAGAIN ? Moved::source_dry : Moved::source_over;
      return result;
    }
    held_ = static_cast<std::size_t>(count);
    result.taken += held_;
  }
}

}  // namespace agentbox::gates::network
