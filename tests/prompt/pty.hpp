#pragma once

// Pseudo-terminals for the tests: the test plays the terminal emulator and the human at one end, the agent at
// another.

#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <termios.h>
#include <unistd.h>

#include "agentbox/base/unique_fd.hpp"

namespace agentbox::test {

struct Pty {
  base::UniqueFd master, slave;

  explicit Pty(unsigned short rows = 24, unsigned short columns = 80) {
    int ends[2] = {-1, -1};
    const winsize size{rows, columns, 0, 0};
    if (::openpty(&ends[0], &ends[1], nullptr, nullptr, &size) != 0) throw std::runtime_error("openpty");
    master.reset(ends[0]);
    slave.reset(ends[1]);
    for (int fd : ends) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    ::fcntl(ends[0], F_SETFL, O_RDWR | O_NONBLOCK);
  }

  [[nodiscard]] base::UniqueFd open_slave() const {
    return base::UniqueFd(::open(::ptsname(master.get()), O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  }
};

inline termios modes_of(int fd) {
  termios modes{};
  ::tcgetattr(fd, &modes);
  return modes;
}

inline bool is_raw(int fd) {
  return (modes_of(fd).c_lflag & (ICANON | ECHO | ISIG)) == 0;
}

inline bool same(const termios& left, const termios& right) {
  return left.c_iflag == right.c_iflag && left.c_oflag == right.c_oflag && left.c_cflag == right.c_cflag &&
         left.c_lflag == right.c_lflag &&
         std::string_view(reinterpret_cast<const char*>(left.c_cc), NCCS) ==
             std::string_view(reinterpret_cast<const char*>(right.c_cc), NCCS);
}

// What is there now, without waiting.
inline std::string read_now(int fd) {
  std::string text;
  char buffer[65536];
  for (;;) {
    const auto count = ::read(fd, buffer, sizeof buffer);
    if (count > 0) {
      text.append(buffer, static_cast<std::size_t>(count));
    } else if (count == 0 || errno != EINTR) {
      return text;
    }
  }
}

// Until `wanted` is in it, or ten seconds have passed: then what came so far.
inline std::string read_until(int fd, std::string_view wanted) {
  std::string text;
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (text.find(wanted) == std::string::npos && std::chrono::steady_clock::now() < limit) {
    pollfd ready{fd, POLLIN, 0};
    if (::poll(&ready, 1, 1000) == 1 && (ready.revents & POLLIN) == 0) break;
    text += read_now(fd);
  }
  return text;
}

inline void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto count = ::write(fd, text.data(), text.size());
    if (count > 0) text.remove_prefix(static_cast<std::size_t>(count));
    if (count < 0 && errno != EAGAIN && errno != EINTR) throw std::runtime_error("write");
    if (count < 0) {
      pollfd ready{fd, POLLOUT, 0};
      ::poll(&ready, 1, 1000);
    }
  }
}

}  // namespace agentbox::test
