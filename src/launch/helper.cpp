#include "helper.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>

#include <fcntl.h>
#include <poll.h>
#include <seccomp.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agentbox/base/error.hpp"
#include "agentbox/launch/reap.hpp"
#include "agentbox/launch/sessions.hpp"

#include "furnisher.hpp"
#include "socket_table.hpp"

namespace agentbox::launch {

namespace {

using base::AbsPath;
using base::SystemError;
using base::UniqueFd;

// ---- packets between the supervisor and its own helper: both trusted, both this very build
// -----------------------

enum class Tag : std::uint8_t { failed, terminal, listener, uncaptured, ready, place, open_socket, census, done };

struct Header {
  Tag tag = Tag::failed;
  std::uint8_t kind = 0;  // policy::FileKind
  std::uint8_t mode = 0;  // plan::Bind::Mode; 255: a Mask
  std::uint8_t family = 0;
  std::uint8_t use = 0;  // Listener::Use, or Stop
  std::uint16_t port = 0;
  std::int32_t error = 0;
  std::uint16_t first = 0, second = 0;  // lengths of the two texts that follow
};
constexpr std::uint8_t mask_mode = 255;
constexpr std::size_t packet_size = 16 * 1024;

struct Packet {
  Header header;
  std::string first, second;
  UniqueFd fd;
};

bool send_packet(int socket, Header header, std::string_view first = {}, std::string_view second = {}, int fd = -1) {
  first = first.substr(0, packet_size / 3);
  second = second.substr(0, packet_size / 3);
  header.first = static_cast<std::uint16_t>(first.size());
  header.second = static_cast<std::uint16_t>(second.size());
  std::array<iovec, 3> parts = {{{&header, sizeof header},
                                 {const_cast<char*>(first.data()), first.size()},
                                 {const_cast<char*>(second.data()), second.size()}}};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  if (fd >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  }
  return ::sendmsg(socket, &message, MSG_NOSIGNAL) >= 0;
}

// Nothing at end-of-file or on an error.
std::optional<Packet> receive_packet(int socket) {
  std::array<char, packet_size> bytes{};
  iovec part{bytes.data(), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t count = 0;
  do {
    count = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (count < 0 && errno == EINTR);
  Packet packet;
  if (count < static_cast<ssize_t>(sizeof(Header))) return std::nullopt;
  std::memcpy(&packet.header, bytes.data(), sizeof(Header));
  std::string_view rest(bytes.data() + sizeof(Header), static_cast<std::size_t>(count) - sizeof(Header));
  if (rest.size() != std::size_t{packet.header.first} + packet.header.second) return std::nullopt;
  packet.first = rest.substr(0, packet.header.first);
  packet.second = rest.substr(packet.header.first);
  if (cmsghdr* rights = CMSG_FIRSTHDR(&message); rights != nullptr && rights->cmsg_type == SCM_RIGHTS) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
    packet.fd.reset(fd);
  }
  return packet;
}

// ---- in the helper's process
// ----------------------------------------------------------------------------------------

// Keeps what it was given and nothing that the supervisor happens to have open, and leaves the terminal's job, whose
// signals are not for it.
void keep_only(UniqueFd& socket) {
  ::setsid();
  UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) ::_exit(1);
  for (int fd = 0; fd < 3; ++fd) ::dup2(null.get(), fd);
  null.reset();
  constexpr int place = 3;
  if (socket.get() != place) {
    if (::dup3(socket.get(), place, O_CLOEXEC) < 0) ::_exit(1);
    (void)socket.release();
    socket = UniqueFd(place);
  }
  if (::close_range(place + 1, ~0U, 0) != 0) ::_exit(1);
}

// The terminal is the room's own: made in its devpts, so that /dev/pts/0 is there for ttyname(3).
UniqueFd open_terminal() {
  UniqueFd master(::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  int unlocked = 0, number = -1;
  if (!master || ::ioctl(master.get(), TIOCSPTLCK, &unlocked) != 0 || ::ioctl(master.get(), TIOCGPTN, &number) != 0) {
    throw SystemError(errno, "cannot make a terminal in the room");
  }
  if (number != 0) throw SystemError(0, "the room already has a terminal");
  return master;
}

// What is left to do needs the right to enter the room's mount and pid namespaces, to mount, and to name a process of
// the room (unix(7), SCM_CREDENTIALS), and nothing else.
void confine() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) throw SystemError(errno, "cannot confine the helper");
  const std::array<cap_value_t, 2> kept = {CAP_SYS_ADMIN, CAP_SYS_CHROOT};
  cap_t caps = ::cap_init();
  bool dropped = caps != nullptr &&
                 ::cap_set_flag(caps, CAP_PERMITTED, static_cast<int>(kept.size()), kept.data(), CAP_SET) == 0 &&
                 ::cap_set_flag(caps, CAP_EFFECTIVE, static_cast<int>(kept.size()), kept.data(), CAP_SET) == 0 &&
                 ::cap_set_proc(caps) == 0;
  ::cap_free(caps);
  if (!dropped) throw SystemError(errno, "cannot confine the helper");

  scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_KILL_PROCESS);
  bool loaded = filter != nullptr;
  // What `serve` does, what the allocator does, and how it ends.
  for (int call : {SCMP_SYS(setns),          SCMP_SYS(openat2),
                   SCMP_SYS(open_tree),      SCMP_SYS(mount_setattr),
                   SCMP_SYS(move_mount),     SCMP_SYS(statx),
                   SCMP_SYS(fstat),          SCMP_SYS(newfstatat),
                   SCMP_SYS(openat),         SCMP_SYS(open),
                   SCMP_SYS(mkdirat),        SCMP_SYS(close),
                   SCMP_SYS(recvmsg),        SCMP_SYS(sendmsg),
                   SCMP_SYS(socket),         SCMP_SYS(write),
                   SCMP_SYS(fchmod),         SCMP_SYS(brk),
                   SCMP_SYS(mmap),           SCMP_SYS(munmap),
                   SCMP_SYS(mprotect),       SCMP_SYS(madvise),
                   SCMP_SYS(mremap),         SCMP_SYS(futex),
                   SCMP_SYS(exit_group),     SCMP_SYS(rt_sigreturn),
                   SCMP_SYS(rt_sigprocmask), SCMP_SYS(getpid),
                   SCMP_SYS(gettid),         SCMP_SYS(tgkill),
                   SCMP_SYS(sched_yield),    SCMP_SYS(sigaltstack),
                   SCMP_SYS(getrandom),      SCMP_SYS(restart_syscall),
                   SCMP_SYS(unlinkat),       SCMP_SYS(clone),
                   SCMP_SYS(fork),           SCMP_SYS(set_robust_list),
                   SCMP_SYS(pidfd_open),     SCMP_SYS(poll),
                   SCMP_SYS(ppoll),          SCMP_SYS(wait4),
                   SCMP_SYS(kill),           SCMP_SYS(getdents64),
                   SCMP_SYS(read),           SCMP_SYS(clock_gettime),
                   SCMP_SYS(getuid),         SCMP_SYS(getgid)}) {
    loaded = loaded && ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0) == 0;
  }
  loaded = loaded && ::seccomp_load(filter) == 0;
  ::seccomp_release(filter);
  if (!loaded) throw SystemError(errno, "cannot confine the helper");
}

plan::Furnishing furnishing_of(const Packet& packet) {
  auto path = [](const std::string& text) {
    auto parsed = AbsPath::parse(text);
    if (!parsed) throw SystemError(EINVAL, "cannot place a mount");
    return *parsed;
  };
  auto kind = static_cast<policy::FileKind>(packet.header.kind);
  if (packet.header.mode == mask_mode) return plan::Mask{path(packet.second), kind};
  return plan::Bind{.source = path(packet.first),
                    .target = path(packet.second),
                    .kind = kind,
                    .mode = static_cast<plan::Bind::Mode>(packet.header.mode)};
}

// One request after the other, until the supervisor is gone.
void serve(int socket, Furnisher& furnisher, const CensusTaker& census) {
  while (std::optional<Packet> packet = receive_packet(socket)) {
    try {
      UniqueFd fd;
      if (packet->header.tag == Tag::place) {
        plan::Furnishing furnishing = furnishing_of(*packet);
        furnisher.furnish({&furnishing, 1});
      } else if (packet->header.tag == Tag::census) {
        UniqueFd answers = std::move(packet->fd);
        census.take(static_cast<Stop>(packet->header.use), answers.get());
      } else {
        fd.reset(::socket(packet->header.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!fd) throw SystemError(errno, "cannot make a socket in the room");
      }
      send_packet(socket, {.tag = Tag::done}, {}, {}, fd.get());
    } catch (const SystemError& error) {
      send_packet(socket, {.tag = Tag::failed, .error = error.code()}, error.what(), error.hint());
    }
  }
}

// The session's folder, held open from outside the room for the case that nobody else is left to remove it.
struct SessionFolder {
  explicit SessionFolder(const AbsPath& path)
      : folder(::open(path.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)),
        parent(::open(path.parent().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)),
        name(path.name()) {}
  void remove() const {
    if (name.empty()) return;
    for (const char* file : {session_file, request_socket, control_socket}) ::unlinkat(folder.get(), file, 0);
    ::unlinkat(parent.get(), name.c_str(), AT_REMOVEDIR);
  }
  UniqueFd folder, parent;
  std::string name;
};

// A room's program that makes thousands of short connections to one place has used up the ports for it in no time: each is
// kept for a minute after its end, and only on 127.0.0.1 is one taken again sooner. All is on this machine, where nothing
// arrives late. Where it can't be had the room works without.
void reuse_ports_soon() {
  const UniqueFd setting(::open("/proc/sys/net/ipv4/tcp_tw_reuse", O_WRONLY | O_CLOEXEC));
  [[maybe_unused]] const ssize_t written = setting ? ::write(setting.get(), "1", 1) : 0;
}

// While bwrap still lays its floor.
void load_capture(const HelperWork& work, std::optional<Capture>& capture, std::optional<SystemError>& why_not) {
  if (work.outside != policy::Outside::ruled) return;
  try {
    capture.emplace();
  } catch (const SystemError& error) {
    why_not = error;
  }
}

// A machine that can't capture connections has the proxies alone: less works, and nothing more gets out.
std::vector<Listener> open_network(const HelperWork& work, std::optional<Capture>& capture,
                                   std::optional<SystemError>& why_not) {
  if (work.outside != policy::Outside::ruled) return {};
  if (capture) {
    try {
      return capture->install(work.proxy);
    } catch (const SystemError& error) {
      why_not = error;
    }
  }
  return install_proxies_alone();
}

void work_as_helper(const HelperWork& work, pid_t bwrap, pid_t child, int socket) {
  Namespaces namespaces(bwrap, child);
  std::optional<SystemError> uncaptured;
  std::optional<Capture> capture;
  if (work.outside == policy::Outside::ruled) reuse_ports_soon();
  load_capture(work, capture, uncaptured);
  Furnisher furnisher(namespaces);
  furnisher.clone_ahead(work.furnishings, work.init);
  namespaces.enter_finished_room(work.marker);
  furnisher.prepare_room();
  furnisher.furnish(work.furnishings);
  if (work.terminal) {
    UniqueFd terminal = open_terminal();
    send_packet(socket, {.tag = Tag::terminal}, {}, {}, terminal.get());
  }
  auto send_listener = [socket](const Listener& listener) {
    Header header{.tag = Tag::listener,
                  .family = static_cast<std::uint8_t>(listener.family),
                  .use = static_cast<std::uint8_t>(listener.use),
                  .port = listener.port};
    send_packet(socket, header, {}, {}, listener.fd.get());
  };
  for (std::uint16_t port : work.loopback) {
    for (int family : {AF_INET, AF_INET6}) {
      UniqueFd fd = listen_inside(family, SOCK_STREAM, port);
      if (fd) send_listener({Listener::Use::loopback, port, family, std::move(fd)});
    }
  }
  for (const Listener& listener : open_network(work, capture, uncaptured)) send_listener(listener);
  if (UniqueFd table = work.outside == policy::Outside::ruled ? SocketTable::open() : UniqueFd()) {
    send_listener({Listener::Use::socket_table, 0, AF_NETLINK, std::move(table)});
  }
  capture.reset();
  if (uncaptured) send_packet(socket, {.tag = Tag::uncaptured}, uncaptured->what(), uncaptured->hint());
  CensusTaker census(namespaces.take_processes());
  furnisher.place_init();
  send_packet(socket, {.tag = Tag::ready});
  confine();
  serve(socket, furnisher, census);
}

[[noreturn]] void helper_main(const HelperWork& work, pid_t bwrap, pid_t child, UniqueFd socket) {
  keep_only(socket);
  SessionFolder session(work.session);
  try {
    work_as_helper(work, bwrap, child, socket.get());
  } catch (const SystemError& error) {
    send_packet(socket.get(), {.tag = Tag::failed, .error = error.code()}, error.what(), error.hint());
  } catch (const std::exception& error) {
    send_packet(socket.get(), {.tag = Tag::failed}, error.what());
  }
  // A supervisor that lives ends us. If we come to this, it was killed.
  while (receive_packet(socket.get())) {
  }
  session.remove();
  ::_exit(0);
}

[[noreturn]] void throw_failure(const Packet& packet) {
  // The text already holds what errno meant.
  throw SystemError(0, packet.first, packet.second);
}

Packet await_reply(int socket, const char* what) {
  // The room may be frozen, but the helper is not in it: it answers in microseconds.
  constexpr std::chrono::milliseconds patience{5000};
  if (!has_input_within(socket, patience)) throw SystemError(ETIMEDOUT, what);
  std::optional<Packet> packet = receive_packet(socket);
  if (!packet) throw SystemError(ECONNRESET, what, "the helper process is gone");
  if (packet->header.tag == Tag::failed) throw_failure(*packet);
  return *std::move(packet);
}

}  // namespace

bool has_input_within(int fd, std::chrono::milliseconds time) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point end = Clock::now() + time;
  for (;;) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
    pollfd wait{fd, POLLIN, 0};
    int ready = ::poll(&wait, 1, static_cast<int>(std::max(left.count(), std::chrono::milliseconds::rep{0})));
    if (ready >= 0) return ready > 0;
    if (errno != EINTR) throw SystemError(errno, "cannot wait for the helper");
  }
}

Helper::Helper(const HelperWork& work, const Spawned& spawned) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    throw SystemError(errno, "cannot make a socket pair");
  }
  socket_.reset(ends[0]);
  UniqueFd other(ends[1]);
  pid_ = ::fork();
  if (pid_ < 0) throw SystemError(errno, "cannot start the helper");
  if (pid_ == 0) helper_main(work, spawned.bwrap, spawned.child, std::move(other));
  pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  if (!pidfd_) throw SystemError(errno, "cannot watch the helper");
}

void Helper::dismiss() noexcept {
  if (pid_ > 0) ::kill(pid_, SIGKILL);
}

Helper::~Helper() {
  if (pid_ <= 0) return;
  dismiss();
  launch::reap(pid_);
}

Furnished Helper::wait(const Spawned& spawned, int interrupt) {
  Furnished furnished;
  for (;;) {
    std::array<pollfd, 3> waits = {
        {{socket_.get(), POLLIN, 0}, {spawned.pidfd.get(), POLLIN, 0}, {interrupt, POLLIN, 0}}};
    if (::poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) throw SystemError(errno, "cannot wait");
    if (waits[2].revents != 0) throw SystemError(EINTR, "stopped while the room was built");
    if (waits[1].revents != 0) {
      std::string said = read_errors(spawned);
      throw SystemError(0, said.empty() ? "the sandbox ended before it was furnished" : said,
                        "`agentbox doctor` tells what this machine lacks");
    }
    if (waits[0].revents == 0) continue;
    std::optional<Packet> packet = receive_packet(socket_.get());
    if (!packet) throw SystemError(0, "the helper ended before the room was furnished");
    switch (packet->header.tag) {
      case Tag::terminal: furnished.terminal = std::move(packet->fd); break;
      case Tag::listener:
        furnished.listeners.push_back({static_cast<Listener::Use>(packet->header.use), packet->header.port,
                                       packet->header.family, std::move(packet->fd)});
        break;
      case Tag::uncaptured:
        furnished.uncaptured = packet->first;
        furnished.uncaptured_hint = packet->second;
        break;
      case Tag::ready: return furnished;
      default: throw_failure(*packet);
    }
  }
}

void Helper::place(const plan::Furnishing& furnishing) {
  Header header{.tag = Tag::place};
  std::string source, target;
  if (const auto* bind = std::get_if<plan::Bind>(&furnishing)) {
    header.kind = static_cast<std::uint8_t>(bind->kind);
    header.mode = static_cast<std::uint8_t>(bind->mode);
    source = bind->source.str();
    target = bind->target.str();
  } else if (const auto* mask = std::get_if<plan::Mask>(&furnishing)) {
    header.kind = static_cast<std::uint8_t>(mask->kind);
    header.mode = mask_mode;
    target = mask->target.str();
  } else {
    throw SystemError(EINVAL, "cannot place this in a running room");
  }
  send_packet(socket_.get(), header, source, target);
  (void)await_reply(socket_.get(), "cannot place a mount in the room");
}

UniqueFd Helper::open_socket(int family) {
  send_packet(socket_.get(), {.tag = Tag::open_socket, .family = static_cast<std::uint8_t>(family)});
  return std::move(await_reply(socket_.get(), "cannot make a socket in the room").fd);
}

Census Helper::take_census(Stop stop) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    throw SystemError(errno, "cannot make a socket pair");
  }
  UniqueFd answers(ends[0]), other(ends[1]);
  const int on = 1;
  if (::setsockopt(answers.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) {
    throw SystemError(errno, "cannot count the room's processes");
  }
  send_packet(socket_.get(), {.tag = Tag::census, .use = static_cast<std::uint8_t>(stop)}, {}, {}, other.get());
  other.reset();
  try {
    Census census = receive_census(answers.get());
    (void)await_reply(socket_.get(), "cannot count the room's processes");
    return census;
  } catch (const SystemError& error) {
    // An answer that comes later must not be taken for another request's: a helper without one ends, and the room too.
    if (error.code() == ETIMEDOUT) dismiss();
    throw;
  }
}

}  // namespace agentbox::launch
