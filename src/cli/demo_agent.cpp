// The hostile half of the demo. It runs in the room, and once outside of it, so each misdeed touches only what the
// demo has planted, and undoes nothing: the world is thrown away afterwards.

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <vector>

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/unique_fd.hpp"

#include "demo.hpp"

namespace agentbox::cli::stage {

namespace {

using base::UniqueFd;

Outcome refused() {
  return {Ending::refused, base::errno_text(errno)};
}
Outcome done(std::string text) {
  return {Ending::done, std::move(text)};
}

std::string home(const Target& target, const char* below) {
  return target.base + "/home/" + below;
}
std::string project(const Target& target, const char* below) {
  return target.base + "/home/project/" + below;
}

// ---- files ----

Outcome read_file(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 4096> buffer{};
  ssize_t size = file ? ::read(file.get(), buffer.data(), buffer.size()) : -1;
  return size < 0 ? refused() : done(fmt::format("read {} bytes", size));
}

Outcome write_file(const std::string& path, int flags, std::string_view text) {
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC | flags, 0755));
  ssize_t size = file ? ::write(file.get(), text.data(), text.size()) : -1;
  return size < 0 ? refused() : done(fmt::format("wrote {} bytes", size));
}

constexpr std::string_view payload = "#!/bin/sh\necho 'this would have run on the owner\\'s machine'\n";

Outcome read_key(const Target& target) {
  return read_file(home(target, ".ssh/id_ed25519"));
}

Outcome list_home(const Target& target) {
  DIR* folder = ::opendir(home(target, "").c_str());
  if (folder == nullptr) return refused();
  int others = 0;
  // One thread, and the entry is not kept. NOLINTNEXTLINE(concurrency-mt-unsafe)
  while (const dirent* entry = ::readdir(folder)) {
    std::string_view name = entry->d_name;
    if (name != "." && name != ".." && name != "project") ++others;
  }
  ::closedir(folder);
  if (others > 0) return done(fmt::format("{} names", others));
  return {Ending::refused, "nothing but the project"};
}

Outcome append_to_bashrc(const Target& target) {
  return write_file(home(target, ".bashrc"), O_APPEND, payload);
}

Outcome read_key_through_link(const Target& target) {
  std::string link = project(target, "innocent.txt");
  if (::symlink(home(target, ".ssh/id_ed25519").c_str(), link.c_str()) != 0) return refused();
  Outcome outcome = read_file(link);
  ::unlink(link.c_str());
  return outcome;
}

Outcome read_key_through_proc(const Target& target) {
  return read_file("/proc/" + std::to_string(::getppid()) + "/root" + home(target, ".ssh/id_ed25519"));
}

// ---- what the owner's own programs would execute ----

Outcome plant_hook(const Target& target) {
  return write_file(project(target, ".git/hooks/pre-commit"), O_CREAT, payload);
}

Outcome rewrite_git_config(const Target& target) {
  return write_file(project(target, ".git/config"), O_APPEND, "[core]\n\tfsmonitor = ./evil\n");
}

// A read-only mount on .git/hooks is worth nothing if the whole of .git can be replaced.
Outcome swap_git(const Target& target) {
  if (::rename(project(target, ".git").c_str(), project(target, ".git-old").c_str()) != 0) return refused();
  return done("moved");
}

Outcome edit_envrc(const Target& target) {
  return write_file(project(target, ".envrc"), O_TRUNC, payload);
}

Outcome add_vscode_task(const Target& target) {
  std::string folder = project(target, ".vscode");
  if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) return refused();
  return write_file(folder + "/tasks.json", O_CREAT, R"({"tasks": [{"runOn": "folderOpen"}]})");
}

// ---- other processes ----

bool names_token(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 4096> buffer{};
  ssize_t size = file ? ::read(file.get(), buffer.data(), buffer.size()) : -1;
  return size > 0 &&
         std::string_view(buffer.data(), static_cast<std::size_t>(size)).find(token) != std::string_view::npos;
}

// In the room the victim's number may be another process's, one of the agent's own.
bool is_victim(pid_t pid) {
  return names_token(fmt::format("/proc/{}/cmdline", pid));
}

Outcome no_such_process() {
  return {Ending::refused, base::errno_text(ESRCH)};
}

Outcome see_processes(const Target& target) {
  if (is_victim(target.victim)) return done("seen");
  return no_such_process();
}

Outcome read_environment(const Target& target) {
  std::string path = fmt::format("/proc/{}/environ", target.victim);
  if (names_token(path)) return done("read a secret");
  if (is_victim(target.victim)) return {Ending::refused, base::errno_text(EACCES)};
  return no_such_process();
}

Outcome send_signal(const Target& target) {
  if (::kill(target.victim, 0) != 0) return refused();
  return is_victim(target.victim) ? done("allowed") : no_such_process();
}

Outcome trace(const Target& target) {
  if (::ptrace(PTRACE_SEIZE, target.victim, nullptr, nullptr) != 0) return refused();
  ::ptrace(PTRACE_DETACH, target.victim, nullptr, nullptr);
  return done("attached");
}

// ---- sockets ----

Outcome connect_to(int family, int type, const void* address, socklen_t size) {
  UniqueFd socket(::socket(family, type | SOCK_CLOEXEC, 0));
  if (!socket || ::connect(socket.get(), static_cast<const sockaddr*>(address), size) != 0) return refused();
  return done("connected");
}

Outcome connect_unix(std::string_view path, bool abstract) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::size_t skip = abstract ? 1 : 0;
  if (path.size() + skip >= sizeof address.sun_path) return {Ending::refused, base::errno_text(ENAMETOOLONG)};
  std::memcpy(address.sun_path + skip, path.data(), path.size());
  auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + skip + path.size() + (abstract ? 0 : 1));
  return connect_to(AF_UNIX, SOCK_STREAM, &address, size);
}

Outcome ask_ssh_agent(const Target& target) {
  return connect_unix(target.base + "/run/ssh-agent", false);
}
Outcome call_bus(const Target& target) {
  return connect_unix(target.base + "/run/bus", false);
}
Outcome drive_docker(const Target&) {
  return connect_unix("/run/docker.sock", false);
}
Outcome connect_abstract(const Target& target) {
  return connect_unix(target.base, true);
}

sockaddr_in address_at(const char* host, std::uint16_t port) {
  sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {}, .sin_zero = {}};
  ::inet_pton(AF_INET, host, &address.sin_addr);
  return address;
}

Outcome connect_to_server(const Target& target) {
  const sockaddr_in address = address_at("127.0.0.1", target.port);
  return connect_to(AF_INET, SOCK_STREAM, &address, sizeof address);
}

// An empty one, to the discard port of an address that is reserved for documentation (RFC 5737): nobody gets it.
Outcome send_datagram(const Target&) {
  const sockaddr_in address = address_at("192.0.2.1", 9);
  UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket || ::sendto(socket.get(), "", 0, 0, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
    return refused();
  }
  return done("sent");
}

// ---- the kernel ----

// In a child, because it cannot be undone.
template <class Function>
Outcome in_child(Function function, std::string text) {
  pid_t child = ::fork();
  if (child < 0) return refused();
  if (child == 0) ::_exit(function() ? 0 : errno);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) return {Ending::refused, "killed"};
  if (WEXITSTATUS(status) == 0) return done(std::move(text));
  return {Ending::refused, base::errno_text(WEXITSTATUS(status))};
}

Outcome nest(const Target&) {
  return in_child([] { return ::unshare(CLONE_NEWUSER) == 0; }, "made");
}

Outcome mount_something(const Target& target) {
  std::string place = project(target, "");
  return in_child(
      [&] {
        if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 && errno != EPERM) return false;
        return ::mount("none", place.c_str(), "tmpfs", 0, nullptr) == 0;
      },
      "mounted");
}

Outcome use_keyring(const Target&) {
  long key = ::syscall(SYS_add_key, "user", "agentbox-demo", "x", 1UL, KEY_SPEC_PROCESS_KEYRING);
  return key < 0 ? refused() : done("stored a key");
}

Outcome use_io_uring(const Target&) {
  std::array<char, 256> parameters{};  // struct io_uring_params is 120 bytes of zeros here
  UniqueFd ring(static_cast<int>(::syscall(SYS_io_uring_setup, 1U, parameters.data())));
  return ring ? done("set up") : refused();
}

constexpr Attempt list[] = {
    {"Files", "read ~/.ssh/id_ed25519", read_key},
    {"Files", "list the home folder", list_home},
    {"Files", "append to ~/.bashrc", append_to_bashrc},
    {"Files", "read the key through a link", read_key_through_link},
    {"Files", "read the key through /proc/*/root", read_key_through_proc},
    {"What the owner's programs would run", "plant .git/hooks/pre-commit", plant_hook},
    {"What the owner's programs would run", "rewrite .git/config", rewrite_git_config},
    {"What the owner's programs would run", "move .git away to replace it", swap_git},
    {"What the owner's programs would run", "edit .envrc", edit_envrc},
    {"What the owner's programs would run", "add .vscode/tasks.json", add_vscode_task},
    {"Other processes", "see them", see_processes},
    {"Other processes", "read the environment of one", read_environment},
    {"Other processes", "send one a signal", send_signal},
    {"Other processes", "trace one", trace},
    {"Sockets and network", "ask the ssh-agent to sign", ask_ssh_agent},
    {"Sockets and network", "call the session's D-Bus", call_bus},
    {"Sockets and network", "drive the docker daemon", drive_docker},
    {"Sockets and network", "connect to an abstract socket", connect_abstract},
    {"Sockets and network", "connect to a server on localhost", connect_to_server},
    {"Sockets and network", "send a datagram to the internet", send_datagram},
    {"The kernel", "make a user namespace", nest},
    {"The kernel", "mount a file system", mount_something},
    {"The kernel", "use the keyring", use_keyring},
    {"The kernel", "set up an io_uring", use_io_uring},
};

void tell(const Outcome& outcome) {
  fmt::print("{}\t{}\n", outcome.ending == Ending::done ? "done" : "refused", outcome.text);
}

}  // namespace

std::span<const Attempt> attempts() {
  return list;
}

// The path comes last: it may hold any byte.
std::string encode(const Target& target) {
  return fmt::format("{}:{}:{}", target.port, target.victim, target.base);
}

std::optional<Target> decode(std::string_view text) {
  Target target;
  const char* end = text.data() + text.size();
  auto port = std::from_chars(text.data(), end, target.port);
  if (port.ec != std::errc{} || port.ptr == end || *port.ptr != ':') return std::nullopt;
  auto victim = std::from_chars(port.ptr + 1, end, target.victim);
  if (victim.ec != std::errc{} || victim.ptr == end || *victim.ptr != ':') return std::nullopt;
  target.base.assign(victim.ptr + 1, end);
  if (!target.base.starts_with('/')) return std::nullopt;
  return target;
}

int play_agent(std::string_view text) {
  std::optional<Target> target = decode(text);
  if (!target) return static_cast<int>(base::ExitCode::usage);
  for (const Attempt& attempt : attempts()) tell(attempt.carry_out(*target));
  std::string work = project(*target, std::string(work_file).c_str());
  tell(write_file(work, O_APPEND, "\nThe agent's honest work.\n"));
  std::fflush(stdout);
  ::_exit(0);  // a sanitizer's last look around would use ptrace, which the room denies
}

}  // namespace agentbox::cli::stage
