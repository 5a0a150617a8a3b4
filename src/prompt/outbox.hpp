#pragma once

#include <cerrno>
#include <cstddef>
#include <string>

#include <unistd.h>

namespace agentbox::prompt {

// Bytes on their way to a descriptor that may take a part of them.
class Outbox {
 public:
  static constexpr std::size_t high_water = 64 * 1024;  // above it nothing more should be read

  [[nodiscard]] bool empty() const noexcept { return at_ == bytes_.size(); }
  [[nodiscard]] bool full() const noexcept { return bytes_.size() - at_ >= high_water; }
  [[nodiscard]] std::string& back() noexcept { return bytes_; }
  void clear() noexcept {
    bytes_.clear();
    at_ = 0;
  }
  // 0, EAGAIN, or what broke it.
  int flush(int fd) noexcept {
    while (!empty()) {
      const auto written = ::write(fd, bytes_.data() + at_, bytes_.size() - at_);
      if (written > 0) {
        at_ += static_cast<std::size_t>(written);
      } else if (written < 0 && errno != EINTR) {
        return errno;
      }
    }
    clear();
    return 0;
  }
  // What is written needs no memory: a receiver that is always a little behind never empties it.
  void compact() {
    if (at_ < high_water) return;
    bytes_.erase(0, at_);
    at_ = 0;
  }

 private:
  std::string bytes_;
  std::size_t at_ = 0;
};

}  // namespace agentbox::prompt
