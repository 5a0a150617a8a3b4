#include "terminal_watcher.hpp"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <new>
#include <type_traits>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agentbox/base/error.hpp"

namespace agentbox::prompt {

bool same_modes(const termios& left, const termios& right) noexcept {
  return left.c_iflag == right.c_iflag && left.c_oflag == right.c_oflag && left.c_cflag == right.c_cflag &&
         left.c_lflag == right.c_lflag && std::memcmp(left.c_cc, right.c_cc, sizeof left.c_cc) == 0;
}

// We may be killed between any two instructions. So the child never sees a half-written farewell: the one
// that is not in use is written, then `farewell` is switched over.
struct TerminalWatcher::Page {
  struct Farewell {
    std::size_t size;
    char bytes[farewell_limit];
  };
  termios raw, ordinary;
  Farewell farewells[2];
  std::atomic<unsigned> farewell;
  std::atomic<bool> armed;
};
static_assert(std::atomic<unsigned>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

namespace {

// ---- In the child: system calls only, no allocation, no exceptions, nothing that another thread may hold.
// ----

constexpr int child_terminal = 0, child_line = 1, child_parent = 2;

void give_back(TerminalWatcher::Page& page) {
  if (!page.armed.load()) return;
  const auto& farewell = page.farewells[page.farewell.load()];
  if (farewell.size != 0) {
    // The last write may have been cut within a sequence: this ends a string, and elsewhere it does nothing.
    if (::write(child_terminal, "\033\\", 2) == 2) {
      [[maybe_unused]] auto written = ::write(child_terminal, farewell.bytes, farewell.size);
    }
  }
  termios now{};
  // A shell that was quicker has its own modes by now.
  if (::tcgetattr(child_terminal, &now) == 0 && same_modes(now, page.raw)) {
    ::tcflush(child_terminal, TCIFLUSH);  // typed for the room
    ::tcsetattr(child_terminal, TCSANOW, &page.ordinary);
  }
}

[[noreturn]] void watch(TerminalWatcher::Page& page, int terminal, int line, int parent) {
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  // A session of its own: no signal for our process group, no hang-up and no job control reaches it.
  ::setsid();
  [[maybe_unused]] auto root = ::chdir("/");
  ::prctl(PR_SET_NAME, "agentbox-tty");
  // First out of the way of each other, then to their places; nothing else stays open.
  const int high[3] = {::fcntl(terminal, F_DUPFD, 10), ::fcntl(line, F_DUPFD, 10), ::fcntl(parent, F_DUPFD, 10)};
  for (int fd = 0; fd < 3; ++fd) {
    if (high[fd] < 0 || ::dup2(high[fd], fd) < 0) ::_exit(1);
  }
  ::close_range(3, ~0U, 0);
  if (::write(child_line, "", 1) != 1) ::_exit(1);  // from here on nothing that is meant for others ends us

  for (;;) {
    pollfd fds[2] = {{child_line, POLLIN, 0}, {child_parent, POLLIN, 0}};
    if (::poll(fds, 2, -1) < 0) continue;
    char goodbye = 0;
    if (fds[0].revents != 0 && ::read(child_line, &goodbye, 1) == 1) ::_exit(0);
    break;
  }
  give_back(page);
  ::_exit(0);
}

}  // namespace

TerminalWatcher::TerminalWatcher(int terminal) {
  void* memory = ::mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw base::SystemError(errno, "cannot share memory with the terminal's watcher");
  static_assert(std::is_trivially_destructible_v<Page>);
  page_ = new (memory) Page{};

  int ends[2] = {-1, -1};
  const int self = static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0));  // close-on-exec always
  base::UniqueFd parent(self);
  // Sockets, not a pipe: a goodbye to a watcher that somebody killed must not raise SIGPIPE.
  if (self < 0 || ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    const int error = errno;
    ::munmap(page_, sizeof(Page));
    throw base::SystemError(error, "cannot watch over the terminal");
  }
  base::UniqueFd read_end(ends[0]);
  line_.reset(ends[1]);

  // A fork without a signal at its end: it is nobody's business, and a waitpid(-1) elsewhere doesn't see it.
  child_ = static_cast<pid_t>(::syscall(SYS_clone, 0UL, nullptr, nullptr, nullptr, nullptr));
  if (child_ == 0) watch(*page_, terminal, read_end.get(), parent.get());
  if (child_ < 0) {
    const int error = errno;
    ::munmap(page_, sizeof(Page));
    throw base::SystemError(error, "cannot start the terminal's watcher");
  }
  read_end.reset();
  char ready = 0;
  ssize_t count = 0;
  while ((count = ::recv(line_.get(), &ready, 1, 0)) < 0 && errno == EINTR) {
  }
  if (count != 1) {
    ::waitpid(child_, nullptr, static_cast<int>(__WCLONE));
    ::munmap(page_, sizeof(Page));
    throw base::SystemError(0, "the terminal's watcher did not start");
  }
}

TerminalWatcher::~TerminalWatcher() {
  disarm();
  while (::send(line_.get(), "", 1, MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
  line_.reset();
  while (::waitpid(child_, nullptr, static_cast<int>(__WCLONE)) < 0 && errno == EINTR) {
  }
  ::munmap(page_, sizeof(Page));
}

void TerminalWatcher::arm(const termios& raw, const termios& ordinary) noexcept {
  page_->armed.store(false);
  page_->raw = raw;
  page_->ordinary = ordinary;
  page_->armed.store(true);
}

void TerminalWatcher::disarm() noexcept {
  page_->armed.store(false);
}

void TerminalWatcher::set_farewell(std::string_view bytes) noexcept {
  const unsigned next = 1 - page_->farewell.load();
  auto& farewell = page_->farewells[next];
  farewell.size = bytes.size() <= farewell_limit ? bytes.size() : 0;
  std::memcpy(farewell.bytes, bytes.data(), farewell.size);
  page_->farewell.store(next);
}

}  // namespace agentbox::prompt
