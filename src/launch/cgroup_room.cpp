#include <cerrno>
#include <chrono>
#include <ctime>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/launch/look.hpp"

#include "cgroup.hpp"
#include "files.hpp"
#include "guard_tree.hpp"
#include "host_program.hpp"

namespace agentbox::launch {

using base::AbsPath;
using base::SystemError;
using base::UniqueFd;

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds patience{2};
// A group that has been empty for so long is not one that a run is just making.
constexpr std::int64_t left_after_s = 60;

UniqueFd open_folder(const AbsPath& path) {
  UniqueFd folder(::open(path.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder) throw SystemError(errno, fmt::format("cannot open the cgroup {}", base::escape(path.str())));
  return folder;
}

// In which v2 group a process is now, as the file system has it.
std::optional<AbsPath> group_of(pid_t pid) {
  std::string mountinfo = read_kernel_file("/proc/self/mountinfo", 16 << 20).value_or("");
  std::string cgroup = read_kernel_file(fmt::format("/proc/{}/cgroup", pid).c_str()).value_or("");
  return own_cgroup(mountinfo, cgroup);
}

// Those of runs that were killed. The kernel keeps one in which anything lives.
void remove_left_groups(const AbsPath& parent) {
  UniqueFd listing(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  std::optional<std::vector<std::string>> names = listing ? names_in(listing.get(), 10'000) : std::nullopt;
  for (const std::string& name : names.value_or(std::vector<std::string>())) {
    if (!name.starts_with("agentbox-")) continue;
    std::optional<Entry> entry = look_at(listing.get(), name);
    if (!entry || ::time(nullptr) - entry->modified_ns / 1'000'000'000 < left_after_s) continue;
    ::unlinkat(listing.get(), name.c_str(), AT_REMOVEDIR);
  }
}

}  // namespace

RoomCgroup RoomCgroup::create(const policy::HostFacts& facts, std::string_view name, const policy::Limits& limits,
                              pid_t pid) {
  if (auto problem = cgroup_problem(facts, limits)) throw SystemError(0, problem->message, problem->hint);
  if (!facts.cgroup) throw SystemError(0, "no cgroup is delegated to this user");
  return facts.cgroup->through_systemd ? create_scope(facts, name, limits, pid)
                                       : create_below(facts.cgroup->path, name, limits, pid);
}

RoomCgroup RoomCgroup::create_below(const AbsPath& parent, std::string_view name, const policy::Limits& limits,
                                    pid_t pid) {
  remove_left_groups(parent);
  AbsPath path = parent / name;
  if (::mkdir(path.c_str(), 0755) != 0) {
    throw SystemError(errno, fmt::format("cannot make the cgroup {}", base::escape(path.str())));
  }
  RoomCgroup group(path, open_folder(path), true);  // from here on it is removed again
  if (limits.memory != 0) group.set("memory.max", limits.memory);
  if (limits.cpu != 0) group.set("cpu.weight", limits.cpu);
  // Before the process: what it starts is counted from the first on.
  if (::faccessat(group.folder_.get(), "pids.max", W_OK, AT_EACCESS) == 0) group.set("pids.max", limits.processes + 16);
  group.write("cgroup.procs", fmt::to_string(pid));
  return group;
}

// A scope takes processes that run already, and the user's manager asks the system's to move them where it
// may not.
RoomCgroup RoomCgroup::create_scope(const policy::HostFacts& facts, std::string_view name, const policy::Limits& limits,
                                    pid_t pid) {
  std::optional<AbsPath> busctl = find_program("busctl");
  if (!busctl || !facts.runtime_dir) throw SystemError(ENOENT, "cannot reach the user's systemd");
  std::string scope = fmt::format("{}.scope", name);
  std::vector<std::string> properties{"PIDs", "au",          "1", fmt::to_string(pid), "Delegate", "b",
                                      "true", "CollectMode", "s", "inactive-or-failed"};
  std::size_t count = 3;
  auto add = [&](const char* property, std::uint64_t value) {
    if (value == 0) return;
    properties.insert(properties.end(), {property, "t", fmt::to_string(value)});
    ++count;
  };
  add("MemoryMax", limits.memory);
  add("CPUWeight", limits.cpu);
  std::vector<std::string> argv{busctl->str(),
                                "--user",
                                "--quiet",
                                "call",
                                "org.freedesktop.systemd1",
                                "/org/freedesktop/systemd1",
                                "org.freedesktop.systemd1.Manager",
                                "StartTransientUnit",
                                "ssa(sv)a(sa(sv))",
                                scope,
                                "fail",
                                fmt::to_string(count)};
  argv.insert(argv.end(), properties.begin(), properties.end());
  argv.emplace_back("0");
  std::string runtime = facts.runtime_dir->str();
  HostProgram call(argv, {"XDG_RUNTIME_DIR=" + runtime, "DBUS_SESSION_BUS_ADDRESS=unix:path=" + runtime + "/bus"});
  if (!call.finish(patience, 65536).succeeded()) {
    throw SystemError(0, "the user's systemd did not make a scope for the room",
                      "look at 'journalctl --user -n 20', or remove `memory` and `cpu` from [limits]");
  }
  // The call returns when the job is queued. What counts is where the process is.
  for (auto end = Clock::now() + patience; Clock::now() < end; ::poll(nullptr, 0, 2)) {
    std::optional<AbsPath> now = group_of(pid);
    if (!now || now->name() != scope) continue;
    RoomCgroup group(*now, open_folder(*now), false);
    auto holds = [&](const char* file, std::uint64_t value) {
      return value == 0 || group.read(file) == fmt::to_string(value) + "\n";
    };
    constexpr std::uint64_t page = 4096;
    if (holds("memory.max", limits.memory / page * page) && holds("cpu.weight", limits.cpu)) return group;
  }
  throw SystemError(ETIMEDOUT, "the user's systemd did not give the room its limits",
                    "look at 'journalctl --user -n 20', or remove `memory` and `cpu` from [limits]");
}

RoomCgroup& RoomCgroup::operator=(RoomCgroup&& other) noexcept {
  if (this != &other) {
    remove();
    path_ = std::move(other.path_);
    folder_ = std::move(other.folder_);
    is_ours_ = other.is_ours_;
  }
  return *this;
}

RoomCgroup::~RoomCgroup() {
  remove();
}

void RoomCgroup::freeze() {
  write("cgroup.freeze", "1");
  if (!wait_for("frozen 1")) {
    throw SystemError(ETIMEDOUT, fmt::format("the room's cgroup {} does not freeze", base::escape(path_.str())));
  }
}

void RoomCgroup::thaw() {
  write("cgroup.freeze", "0");
}

void RoomCgroup::kill() {
  write("cgroup.kill", "1");
}

bool RoomCgroup::is_populated() const {
  return read("cgroup.events").find("populated 1") != std::string::npos;
}

void RoomCgroup::set(const char* file, std::uint64_t value) const {
  write(file, fmt::to_string(value));
}

void RoomCgroup::write(const char* file, std::string_view text) const {
  UniqueFd fd(::openat(folder_.get(), file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    throw SystemError(errno, fmt::format("cannot write '{}' to {}/{}", text, base::escape(path_.str()), file));
  }
}

std::string RoomCgroup::read(const char* file) const {
  UniqueFd fd(::openat(folder_.get(), file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  std::optional<std::string> text = fd ? read_all(fd.get(), 65536) : std::nullopt;
  if (!text) throw SystemError(errno, fmt::format("cannot read {}/{}", base::escape(path_.str()), file));
  return *std::move(text);
}

// cgroup.events raises POLLPRI whenever it changes; a change between reading and polling is kept by the
// file's own event counter.
bool RoomCgroup::wait_for(std::string_view line) const {
  UniqueFd events(::openat(folder_.get(), "cgroup.events", O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  for (auto end = Clock::now() + patience; events;) {
    char text[256];
    ssize_t count = ::pread(events.get(), text, sizeof text, 0);
    if (count < 0) return false;
    if (std::string_view(text, static_cast<std::size_t>(count)).find(line) != std::string_view::npos) return true;
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    if (left.count() <= 0) return false;
    pollfd wait{.fd = events.get(), .events = POLLPRI, .revents = 0};
    ::poll(&wait, 1, static_cast<int>(left.count()));
  }
  return false;
}

void RoomCgroup::remove() noexcept {
  if (!folder_) return;
  try {
    if (is_populated()) {
      kill();
      (void)wait_for("populated 0");
    }
  } catch (const std::exception&) {
    // Gone already (systemd collects its scopes), or no cgroup.kill: rmdir says so below by leaving it.
  }
  if (is_ours_) ::rmdir(path_.c_str());
  folder_.reset();
}

}  // namespace agentbox::launch
