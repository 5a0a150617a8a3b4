// The user, bwrap, cgroups, devices: facts about the machine that is not the workspace.

#include <csignal>
#include <map>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/launch/look.hpp"

#include "bwrap_facts.hpp"
#include "cgroup.hpp"
#include "devices.hpp"
#include "host_program.hpp"
#include "look_disk.hpp"
#include "look_support.hpp"

using namespace agentbox;
using namespace agentbox::launch;
using base::AbsPath;
using base::SystemError;
using look_test::Folder;
using policy::FileKind;
using policy::Snapshot;
using namespace std::chrono_literals;

namespace {

AbsPath at(std::string_view text) {
  return *AbsPath::parse(text);
}

// Sets variables for one test and puts back what was there.
class Environment {
 public:
  void set(const std::string& name, const char* value) {
    const char* before = std::getenv(name.c_str());
    before_.emplace(name, before == nullptr ? std::nullopt : std::optional<std::string>(before));
    value == nullptr ? ::unsetenv(name.c_str()) : ::setenv(name.c_str(), value, 1);
  }
  ~Environment() {
    for (const auto& [name, value] : before_) {
      value ? ::setenv(name.c_str(), value->c_str(), 1) : ::unsetenv(name.c_str());
    }
  }

 private:
  std::map<std::string, std::optional<std::string>> before_;
};

std::string refusal(const AbsPath& workspace) {
  try {
    (void)look_at_user(workspace);
    return "";
  } catch (const SystemError& error) {
    CHECK_FALSE(error.hint().empty());
    return error.what();
  }
}

// A machine on which /usr/bin/bwrap is as it should be.
Snapshot sound_machine() {
  policy::FileFact folder{.kind = FileKind::directory, .uid = 0, .mode = 0755};
  return {{at("/"), folder},
          {at("/usr"), folder},
          {at("/usr/bin"), folder},
          {at("/usr/bin/bwrap"), {.kind = FileKind::regular, .uid = 0, .mode = 0755}}};
}
std::string distrust(const Snapshot& machine, const std::string& path = "/usr/bin/bwrap") {
  policy::SnapshotDisk disk(machine);
  return distrust_of_program(at(path), disk);
}

void bind_socket(const std::string& path) {
  int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  ::close(fd);
}

}  // namespace

TEST_CASE("the user's places are those of the environment, with their defaults") {
  Folder folder;
  folder.make_folder("home");
  folder.make_folder("w");
  Environment environment;
  environment.set("HOME", folder.path("home").c_str());
  for (const char* name : {"XDG_STATE_HOME", "XDG_DATA_HOME"}) environment.set(name, nullptr);
  environment.set("XDG_CACHE_HOME", "relative/is/ignored");
  environment.set("XDG_CONFIG_HOME", "/etc/xdg//mine/");
  environment.set("XDG_RUNTIME_DIR", folder.path("run").c_str());
  environment.set("LOOK_TEST", "a=b");
  policy::HostFacts facts = look_at_user(folder.path("w"));
  CHECK(facts.user.uid == ::geteuid());
  CHECK_FALSE(facts.user.name.empty());
  CHECK(facts.user.home == folder.path("home"));
  CHECK(facts.workspace == folder.path("w"));
  CHECK(facts.config_home == at("/etc/xdg/mine"));
  CHECK(facts.cache_home == folder.path("home/.cache"));
  CHECK(facts.state_home == folder.path("home/.local/state"));
  CHECK(facts.data_home == folder.path("home/.local/share"));
  CHECK(facts.environment.at("LOOK_TEST") == "a=b");
  CHECK_FALSE(facts.runtime_dir);  // it doesn't exist

  folder.make_folder("run");
  ::chmod(folder.path("run").c_str(), 0755);
  CHECK_FALSE(look_at_user(folder.path("w")).runtime_dir);  // others could look into it
  ::chmod(folder.path("run").c_str(), 0700);
  CHECK(look_at_user(folder.path("w")).runtime_dir == folder.path("run"));
}

TEST_CASE("an odd HOME is refused with a hint") {
  Folder folder;
  folder.make_folder("home");
  folder.make_file("file");
  Environment environment;
  auto with_home = [&](const char* home) {
    environment.set("HOME", home);
    return refusal(folder.path());
  };
  CHECK(with_home("home") == "$HOME is 'home', which cannot be a home directory");
  CHECK(with_home("/") == "$HOME is '/', which cannot be a home directory");
  CHECK(with_home((folder.str() + "/home/../home").c_str()).ends_with("which cannot be a home directory"));
  CHECK(with_home(folder.path("gone").c_str()).ends_with("No such file or directory"));
  CHECK(with_home(folder.path("file").c_str()).ends_with("which is not a directory"));
  ::chmod(folder.path("home").c_str(), 0777);
  CHECK(with_home(folder.path("home").c_str()) == "everyone may write to the home directory " + folder.str() + "/home");
  ::chmod(folder.path("home").c_str(), 0755);
  CHECK(with_home(folder.path("home").c_str()).empty());
  environment.set("HOME", ::geteuid() == 0 ? "/var/mail" : "/usr");
  if (::geteuid() != 0) CHECK(refusal(folder.path()).find("belongs to user 0, not to you") != std::string::npos);
}

TEST_CASE("an XDG folder that is not a plain path is refused, not ignored") {
  Folder folder;
  folder.make_folder("home");
  Environment environment;
  environment.set("HOME", folder.path("home").c_str());
  environment.set("XDG_STATE_HOME", "/tmp/../tmp/x");
  CHECK(refusal(folder.path()) == "$XDG_STATE_HOME is '/tmp/../tmp/x', which is not a plain absolute path");
}

TEST_CASE("a workspace that is gone or a file is refused") {
  Folder folder;
  folder.make_file("file");
  CHECK_THROWS_WITH(look_at_user(folder.path("gone")),
                    "cannot look at the workspace " + folder.str() + "/gone: No such file or directory");
  CHECK_THROWS_WITH(look_at_user(folder.path("file")),
                    "the workspace " + folder.str() + "/file is no directory: Not a directory");
}

TEST_CASE("bwrap is trusted only where nobody but root could replace it") {
  Snapshot machine = sound_machine();
  CHECK(distrust(machine).empty());
  SECTION("setuid") {
    machine[at("/usr/bin/bwrap")].mode = 04755;
    CHECK(distrust(machine) == "/usr/bin/bwrap is setuid");
  }
  SECTION("another's file") {
    machine[at("/usr/bin/bwrap")].uid = 1000;
    CHECK(distrust(machine) == "/usr/bin/bwrap belongs to user 1000, not to root");
  }
  SECTION("writable by a group") {
    machine[at("/usr/bin/bwrap")].mode = 0775;
    CHECK(distrust(machine) == "/usr/bin/bwrap is writable by its group (mode 0775)");
  }
  SECTION("in a folder that anyone may write") {
    machine[at("/usr/bin")].mode = 0777;
    CHECK(distrust(machine) == "/usr/bin is writable by everyone (mode 0777)");
  }
  SECTION("below a folder of another user") {
    machine[at("/usr")].uid = 1000;
    CHECK(distrust(machine) == "/usr belongs to user 1000, not to root");
  }
  SECTION("not executable") {
    machine[at("/usr/bin/bwrap")].mode = 0644;
    CHECK(distrust(machine) == "/usr/bin/bwrap is not executable");
  }
  SECTION("through links, as NixOS has it: each is checked") {
    policy::FileFact folder{.kind = FileKind::directory, .uid = 0, .mode = 0755};
    for (const char* path : {"/run", "/run/current-system", "/nix", "/nix/store/a", "/nix/store/a/bin"})
      machine[at(path)] = folder;
    machine[at("/nix/store")] = {.kind = FileKind::directory, .uid = 0, .mode = 01775};  // sticky: root's entries stay
    machine[at("/run/current-system/sw")] = {
        .kind = FileKind::symlink, .target = "/nix/store/a", .uid = 0, .mode = 0777};
    machine[at("/nix/store/a/bin/bwrap")] = {.kind = FileKind::regular, .uid = 0, .mode = 0555};
    std::string path = "/run/current-system/sw/bin/bwrap";
    CHECK(distrust(machine, path).empty());
    machine[at("/run/current-system")].mode = 0775;
    CHECK(distrust(machine, path) == "/run/current-system is writable by its group (mode 0775)");
  }
}

TEST_CASE("a missing or untrusted bwrap is said with its remedy") {
  policy::HostFacts facts;
  std::optional<base::Diagnostic> problem = bwrap_problem(facts);
  REQUIRE(problem);
  CHECK(problem->message ==
        "bubblewrap is not installed: no bwrap in /usr/bin, /run/current-system/sw/bin or /usr/local/bin");
  CHECK(problem->hint.starts_with("install it: apt install bubblewrap"));
  facts.bwrap = {.path = at("/usr/bin/bwrap"), .uid = 0, .mode = 04755, .distrust = "/usr/bin/bwrap is setuid"};
  problem = bwrap_problem(facts);
  REQUIRE(problem);
  CHECK(problem->message == "this bubblewrap can't be trusted: /usr/bin/bwrap is setuid");
  CHECK(problem->hint == "agentbox needs no privileges: sudo chmod u-s,g-s /usr/bin/bwrap");
  facts.bwrap->distrust.clear();
  CHECK_FALSE(bwrap_problem(facts));
}

TEST_CASE("the own cgroup is found on unified, hybrid and namespaced machines") {
  constexpr std::string_view unified = "31 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";
  CHECK(own_cgroup(unified, "0::/user.slice/a.scope\n") == at("/sys/fs/cgroup/user.slice/a.scope"));
  constexpr std::string_view hybrid =
      "30 23 0:25 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n31 30 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup "
      "rw,memory\n"
      "32 30 0:27 / /sys/fs/cgroup/uni\\040fied rw shared:9 - cgroup2 cgroup2 rw\n";
  CHECK(own_cgroup(hybrid, "4:memory:/x\n0::/\n") == at("/sys/fs/cgroup/uni fied"));
  constexpr std::string_view part = "31 23 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
  CHECK(own_cgroup(part, "0::/docker/abc/inner\n") == at("/sys/fs/cgroup/inner"));
  CHECK_FALSE(own_cgroup(part, "0::/docker/abcdef\n"));
  CHECK_FALSE(own_cgroup(unified, "0::/../../outside\n"));
  CHECK_FALSE(own_cgroup("", "0::/\n"));
  CHECK_FALSE(own_cgroup(unified, "4:memory:/x\n"));
}

TEST_CASE("limits that no cgroup can enforce are refused by name") {
  policy::HostFacts facts;
  policy::Limits limits;
  CHECK_FALSE(cgroup_problem(facts, limits));
  limits.memory = 1 << 30;
  limits.cpu = 50;
  REQUIRE(cgroup_problem(facts, limits));
  CHECK(cgroup_problem(facts, limits)->message ==
        "the limit on memory and cpu can't be enforced: this session may not divide the memory and cpu of its cgroup");
  facts.cgroup = {.path = at("/sys/fs/cgroup/x"), .controllers = {"memory", "pids"}, .through_systemd = true};
  REQUIRE(cgroup_problem(facts, limits));
  CHECK(cgroup_problem(facts, limits)->hint.find("Delegate=memory cpu pids") != std::string::npos);
  limits.cpu = 0;
  CHECK_FALSE(cgroup_problem(facts, limits));
}

TEST_CASE("a room's cgroup freezes, thaws, kills and goes") {
  policy::HostFacts facts;
  facts.cgroup = look_at_cgroup(std::nullopt, ::geteuid());
  if (!facts.cgroup) return;  // not delegated here: `agentbox doctor` says so
  // The child counts as long as it may run.
  int beats[2];
  REQUIRE(::pipe2(beats, O_CLOEXEC) == 0);
  pid_t child = ::fork();
  if (child == 0) {
    for (;; ::usleep(1000)) (void)!::write(beats[1], "x", 1);
  }
  ::close(beats[1]);
  auto count_of_beats = [&] {
    char bytes[65536];
    return ::read(beats[0], bytes, sizeof bytes);
  };
  std::string name = "agentbox-test-" + std::to_string(::getpid());
  AbsPath path;
  {
    RoomCgroup group = RoomCgroup::create(facts, name, {}, child);
    path = group.path();
    CHECK(group.is_populated());
    CHECK(count_of_beats() > 0);
    group.freeze();
    ::fcntl(beats[0], F_SETFL, O_NONBLOCK);
    while (count_of_beats() > 0) {
    }
    ::usleep(20000);
    CHECK(count_of_beats() == -1);  // frozen: nothing came in twenty times its pace
    CHECK(errno == EAGAIN);
    group.thaw();
    ::fcntl(beats[0], F_SETFL, 0);
    CHECK(count_of_beats() > 0);
    group.freeze();  // the kill must work on a frozen group
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(::access(path.c_str(), F_OK) != 0);
  ::close(beats[0]);
}

TEST_CASE("sockets of the desktop are granted only if they are this user's sockets") {
  Folder folder;
  HostDisk before;
  std::map<std::string, std::string> environment{{"WAYLAND_DISPLAY", "wayland-0"}};
  CHECK_FALSE(look_at_devices(environment, folder.path(), ::geteuid(), before).wayland_socket);
  bind_socket(folder.str() + "/wayland-0");
  folder.make_file("pipewire-0");  // no socket
  HostDisk disk;
  policy::DeviceFact facts = look_at_devices(environment, folder.path(), ::geteuid(), disk);
  CHECK(facts.wayland_socket == folder.path("wayland-0"));
  CHECK_FALSE(facts.pipewire_socket);
  CHECK_FALSE(look_at_devices(environment, folder.path(), ::geteuid() + 1, disk).wayland_socket);
  CHECK_FALSE(look_at_devices(environment, std::nullopt, ::geteuid(), disk).wayland_socket);
  environment["WAYLAND_DISPLAY"] = "../" + std::string(folder.path().name()) + "/wayland-0";
  CHECK_FALSE(look_at_devices(environment, folder.path(), ::geteuid(), disk).wayland_socket);
  environment["WAYLAND_DISPLAY"] = folder.str() + "/wayland-0";
  CHECK(look_at_devices(environment, std::nullopt, ::geteuid(), disk).wayland_socket == folder.path("wayland-0"));
}

TEST_CASE("a host program gets the environment that was written for it, and a deadline") {
  HostProgram echo({"/usr/bin/env"}, {"A=1"});
  HostProgram::Answer answer = echo.finish(5s, 1000);
  CHECK(answer.succeeded());
  CHECK(answer.output == "A=1\n");

  HostProgram slow({"/bin/sh", "-c", "sleep 60 & sleep 60"}, {});
  auto before = std::chrono::steady_clock::now();
  CHECK(slow.finish(50ms, 1000).end == HostProgram::Answer::End::timed_out);
  CHECK(std::chrono::steady_clock::now() - before < 10s);

  HostProgram loud({"/bin/sh", "-c", "while :; do echo xxxxxxxxxxxxxxxxxxxxxx; done"}, {});
  CHECK(loud.finish(30s, 1000).end == HostProgram::Answer::End::said_too_much);

  HostProgram failing({"/bin/sh", "-c", "exit 3"}, {});
  answer = failing.finish(5s, 1000);
  CHECK_FALSE(answer.succeeded());
  CHECK(WEXITSTATUS(answer.status) == 3);
  CHECK_THROWS_AS(HostProgram({"/nonexistent/program"}, {}), SystemError);
}

TEST_CASE("each entry is looked at once, and links are never followed") {
  Folder folder;
  folder.make_file("file");
  folder.make_link("link", "file");
  folder.make_fifo("fifo");
  HostDisk disk;
  CHECK(disk.look(folder.path("file")).kind == FileKind::regular);
  CHECK(disk.look(folder.path("link")).kind == FileKind::symlink);
  CHECK(disk.look(folder.path("link")).target == "file");
  CHECK(disk.look(folder.path("fifo")).kind == FileKind::fifo);
  CHECK(disk.look(folder.path("gone")).kind == FileKind::missing);
  CHECK(disk.look(folder.path("file/below")).kind == FileKind::missing);
  folder.make_file("gone");
  CHECK(disk.look(folder.path("gone")).kind == FileKind::missing);
  CHECK(disk.snapshot().size() == 3);  // what is missing need not be said
  if (::geteuid() != 0) {
    folder.make_file("closed/x");
    folder.close("closed");
    CHECK(disk.look(folder.path("closed/x")).kind == FileKind::unreadable);
  }
}
