#include "spawn.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <vector>

#include <fcntl.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/launch/reap.hpp"
#include "agentbox/wire/init_message.hpp"

#include "process.hpp"

namespace agentbox::launch {

namespace {

using base::SystemError;
using base::UniqueFd;

struct Pipe {
  UniqueFd read, write;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw SystemError(errno, "cannot make a pipe");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void fill(const UniqueFd& fd, const void* bytes, std::size_t size) {
  const char* from = static_cast<const char*>(bytes);
  for (std::size_t done = 0; done < size;) {
    ssize_t count = ::pwrite(fd.get(), from + done, size - done, static_cast<off_t>(done));
    if (count < 0) throw SystemError(errno, "cannot fill a memory file");
    done += static_cast<std::size_t>(count);
  }
}

UniqueFd memory(const char* name, const void* bytes, std::size_t size) {
  UniqueFd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) throw SystemError(errno, "cannot make a memory file");
  fill(fd, bytes, size);
  return fd;
}

// Nobody can change it any more.
void seal(const UniqueFd& fd) {
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) {
    throw SystemError(errno, "cannot seal a memory file");
  }
}

// Where bwrap finds its descriptors. 3 to 7 belong to init (wire/init_message.hpp).
constexpr int first_bwrap_fd = 8;
// `info_reader_fd` is the other end of bwrap's own info pipe: without us its write must not fail, see become_bwrap.
enum BwrapFd { args_fd = first_bwrap_fd, seccomp_fd, info_fd, block_fd, info_reader_fd, end_of_fds };

int number_of(plan::FdSlot slot) {
  switch (slot) {
    case plan::FdSlot::seccomp: return seccomp_fd;
    case plan::FdSlot::info: return info_fd;
    case plan::FdSlot::block: return block_fd;
  }
  std::abort();
}

std::string bwrap_arguments(const plan::LaunchPlan& plan, const std::string& marker) {
  std::string text;
  auto add = [&text](std::string_view word) {
    text += word;
    text += '\0';
  };
  for (const plan::BwrapOption& option : plan.bwrap) {
    add(option.option);
    for (const auto& operand : option.operands) {
      if (const auto* slot = std::get_if<plan::FdSlot>(&operand)) {
        add(std::to_string(number_of(*slot)));
      } else {
        add(std::get<std::string>(operand));
      }
    }
  }
  add("--dir");
  add(marker);
  return text;
}

wire::Start start_message(const plan::InitPlan& init, const Streams& streams) {
  wire::Start start;
  start.argv = init.argv;
  for (const auto& [name, value] : init.environment) start.environment.push_back(name + "=" + value);
  start.directory = init.directory.str();
  start.processes = init.processes;
  start.open_files = init.open_files;
  start.file_size = init.file_size;
  start.cpu_seconds = init.cpu_seconds;
  start.terminal = static_cast<std::uint8_t>(streams.terminal_bits());
  return start;
}

// Everything that the child needs, made before the fork.
struct Child {
  const char* path = nullptr;
  std::array<const char*, 5> argv{};
  std::array<int, end_of_fds> from{};  // from[i] becomes fd i; all lie above end_of_fds
  int report = -1;
};

// Between vfork and exec: no allocation, no exception, no library but the bare system calls.
[[noreturn]] void become_bwrap(const Child& child) noexcept {
  auto fail = [&child] {
    int error = errno;
    (void)!::write(child.report, &error, sizeof error);
    ::_exit(127);
  };
  // No PR_SET_PDEATHSIG: bwrap's own child waits for it on an eventfd that it holds itself, and would wait for ever if
  // bwrap were killed in between. Without us bwrap goes on by itself, meets end-of-file on the block descriptor and
  // finds no init to execute; or init meets end-of-file on its control socket.
  // Out of the terminal's session, so that its signals reach the supervisor only.
  if (::setsid() < 0) fail();
  // A fresh session keyring: the caller's holds what the owner's other programs put there. ENOSYS: a kernel
  // without keys.
  if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) < 0 && errno != ENOSYS) fail();
  for (int fd = 0; fd < end_of_fds; ++fd) {
    if (::dup2(child.from[static_cast<std::size_t>(fd)], fd) < 0) fail();
  }
  // Only what was just placed survives; the report's own end is close-on-exec.
  if (child.report != end_of_fds && ::dup3(child.report, end_of_fds, O_CLOEXEC) < 0) fail();
  if (::close_range(end_of_fds + 1, ~0U, 0) != 0) ::_exit(127);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const char* const no_environment[] = {nullptr};
  ::execve(child.path, const_cast<char* const*>(child.argv.data()), const_cast<char* const*>(no_environment));
  int error = errno;
  (void)!::write(end_of_fds, &error, sizeof error);
  ::_exit(127);
}

// Moves the descriptor up so that placing the others can't overwrite it.
UniqueFd above(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, end_of_fds + 1));
  if (!copy) throw SystemError(errno, "cannot duplicate a descriptor");
  return copy;
}

}  // namespace

void spawn(Spawned& spawned, const base::AbsPath& bwrap, const plan::LaunchPlan& plan, const Streams& streams,
           const std::string& marker) {
  Pipe filter = make_pipe(), info = make_pipe(), block = make_pipe(), errors = make_pipe(), report = make_pipe();
  std::array<int, 2> control{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control.data()) != 0) {
    throw SystemError(errno, "cannot make a socket pair");
  }
  spawned.control.reset(control[0]);
  UniqueFd room_control(control[1]);
  std::vector<std::byte> start = wire::encode(start_message(plan.init, streams));
  if (start.size() > wire::start_limit) throw SystemError(E2BIG, "the command and its environment are too long");
  std::string arguments = bwrap_arguments(plan, marker);
  spawned.start = memory("agentbox-start", start.data(), start.size());
  UniqueFd args_memory = memory("agentbox-args", arguments.data(), arguments.size());
  seal(args_memory);
  UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) throw SystemError(errno, "cannot open /dev/null");

  std::array<UniqueFd, end_of_fds> placed;
  auto place = [&placed](int at, int fd) { placed.at(static_cast<std::size_t>(at)) = above(fd); };
  place(0, null.get());
  place(1, null.get());
  place(2, errors.write.get());
  place(wire::init_control_fd, room_control.get());
  place(wire::init_start_fd, spawned.start.get());
  for (int stream = 0; stream < 3; ++stream) {
    bool passes = streams.kind.at(static_cast<std::size_t>(stream)) == StreamKind::passed;
    place(wire::init_stream_fd + stream, passes ? stream : null.get());
  }
  place(args_fd, args_memory.get());
  place(seccomp_fd, filter.read.get());
  place(info_fd, info.write.get());
  place(block_fd, block.read.get());
  place(info_reader_fd, info.read.get());

  UniqueFd report_write = above(report.write.get());
  report.write.reset();
  Child child;
  std::string args_number = std::to_string(args_fd);
  const std::string init_path(plan::init_path);
  child.path = bwrap.c_str();
  child.argv = {"bwrap", "--args", args_number.c_str(), init_path.c_str(), nullptr};
  for (std::size_t i = 0; i < child.from.size(); ++i) child.from.at(i) = placed.at(i).get();
  child.report = report_write.get();

  // A copy of our page tables would cost more than bwrap itself; between here and exec there are only system calls.
  // NOLINTBEGIN(clang-analyzer-security.insecureAPI.vfork, clang-analyzer-unix.Vfork, bugprone-unsafe-functions)
  spawned.bwrap = ::vfork();
  if (spawned.bwrap == 0) become_bwrap(child);
  // NOLINTEND(clang-analyzer-security.insecureAPI.vfork, clang-analyzer-unix.Vfork, bugprone-unsafe-functions)
  if (spawned.bwrap < 0) throw SystemError(errno, "cannot start a process");
  report_write.reset();
  spawned.pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, spawned.bwrap, 0)));
  int error = 0;
  bool failed = ::read(report.read.get(), &error, sizeof error) == static_cast<ssize_t>(sizeof error);
  if (failed || !spawned.pidfd) {
    int code = failed ? error : errno;
    end_room(spawned);
    throw SystemError(code, "cannot start " + base::escape(bwrap.str()));
  }
  spawned.filter = std::move(filter.write);
  spawned.info = std::move(info.read);
  spawned.block = std::move(block.write);
  spawned.errors = std::move(errors.read);
}

namespace {

// 0 when bwrap ended without naming one.
pid_t read_child_pid(const UniqueFd& info) {
  constexpr std::string_view key = "\"child-pid\": ";
  std::string text;
  std::array<char, 512> buffer{};
  // bwrap closes its end after the whole object, or by ending.
  for (;;) {
    ssize_t count = ::read(info.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw SystemError(errno, "cannot read from bwrap");
    text.append(buffer.data(), static_cast<std::size_t>(count));
    std::size_t at = text.find(key);
    if (at != std::string::npos && text.find_first_not_of("0123456789", at + key.size()) != std::string::npos) {
      return static_cast<pid_t>(std::strtol(text.c_str() + at + key.size(), nullptr, 10));
    }
    if (count == 0) return 0;
  }
}

}  // namespace

void seal_start(Spawned& spawned, const plan::InitPlan& init, const Streams& streams,
                const std::vector<std::pair<std::string, std::string>>& more) {
  if (!more.empty()) {
    plan::InitPlan changed = init;
    for (const auto& variable : more) {
      const auto same = [&](const auto& other) { return other.first == variable.first; };
      if (std::ranges::none_of(changed.environment, same)) changed.environment.push_back(variable);
    }
    const std::vector<std::byte> start = wire::encode(start_message(changed, streams));
    if (start.size() > wire::start_limit) throw SystemError(E2BIG, "the command and its environment are too long");
    fill(spawned.start, start.data(), start.size());  // never shorter than before
  }
  seal(spawned.start);
  spawned.start.reset();
}

void read_child(Spawned& spawned) {
  spawned.child = read_child_pid(spawned.info);
  if (spawned.child > 0) {
    spawned.child_pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, spawned.child, 0)));
    // With the pidfd in hand: still bwrap's child, not a stranger who got its number?
    if (spawned.child_pidfd && parent_of(spawned.child) == spawned.bwrap) return;
  }
  spawned.child = -1;
  spawned.child_pidfd.reset();
  std::string said = read_errors(spawned);
  throw SystemError(0, said.empty() ? "bwrap ended without a word" : said,
                    "`agentbox doctor` tells what this machine lacks");
}

void end_room(Spawned& spawned) noexcept {
  if (spawned.child_pidfd) {
    ::syscall(SYS_pidfd_send_signal, spawned.child_pidfd.get(), SIGKILL, nullptr, 0);
    pollfd wait{spawned.child_pidfd.get(), POLLIN, 0};
    while (::poll(&wait, 1, -1) < 0 && errno == EINTR) {
    }
  }
  if (spawned.bwrap <= 0) return;
  // The group: its child belongs to it until init has made a session of its own.
  ::kill(-spawned.bwrap, SIGKILL);
  ::kill(spawned.bwrap, SIGKILL);
  launch::reap(spawned.bwrap);
  spawned.bwrap = -1;
}

Spawned::~Spawned() {
  end_room(*this);
}

std::string read_errors(const Spawned& spawned) {
  std::string text;
  std::array<char, 1024> buffer{};
  for (;;) {
    // Something in the room might still hold the other end: take what is there.
    pollfd wait{spawned.errors.get(), POLLIN, 0};
    if (::poll(&wait, 1, 100) <= 0) break;
    ssize_t count = ::read(spawned.errors.get(), buffer.data(), buffer.size());
    if (count <= 0 || text.size() > 4096) break;
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return base::escape(text);
}

}  // namespace agentbox::launch
