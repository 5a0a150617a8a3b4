#pragma once

// A real room for a test, with the real bwrap.

#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "helper.hpp"
#include "seccomp_compile.hpp"
#include "spawn.hpp"
#include "streams.hpp"
#include "supervisor.hpp"

namespace agentbox::test {

namespace fs = std::filesystem;
using base::AbsPath;
using plan::Bind;
using policy::FileKind;

inline AbsPath path(const std::string& text) {
  return AbsPath::parse(text).value();
}

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "agentbox-room-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = fs::canonical(name).string();
    fs::create_directory(path_ + "/work");
  }
  ~TemporaryFolder() { fs::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  void write(const std::string& name, const std::string& text) const { std::ofstream(*this / name) << text; }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream in(*this / name);
    return {std::istreambuf_iterator<char>(in), {}};
  }

 private:
  std::string path_;
};

// As `plan` makes it.
inline void lay_floor(plan::LaunchPlan& plan) {
  auto add = [&plan](const std::string& option, std::vector<std::variant<std::string, plan::FdSlot>> operands = {}) {
    plan.bwrap.push_back({option, std::move(operands)});
  };
  for (const char* option : {"--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts",
                             "--unshare-cgroup", "--disable-userns", "--as-pid-1"}) {
    add(option);
  }
  add("--cap-drop", {"ALL"});
  add("--ro-bind", {"/usr", "/usr"});
  for (const char* name : {"bin", "sbin", "lib", "lib64"}) {
    if (fs::is_symlink(std::string("/") + name)) {
      add("--symlink", {std::string("usr/") + name, std::string("/") + name});
    } else if (fs::exists(std::string("/") + name)) {
      add("--ro-bind", {std::string("/") + name, std::string("/") + name});
    }
  }
  add("--proc", {"/proc"});
  add("--dev", {"/dev"});
  add("--dir", {"/run/agentbox"});
  add("--chdir", {"/"});
  add("--info-fd", {plan::FdSlot::info});
  add("--block-fd", {plan::FdSlot::block});
  add("--add-seccomp-fd", {plan::FdSlot::seccomp});
  plan.seccomp = plan::seccomp_program({}, {});
}

// A floor, and the folder's work/ as a writable workspace under its own name.
inline plan::LaunchPlan plan_for(const TemporaryFolder& folder, const std::string& script) {
  plan::LaunchPlan plan;
  lay_floor(plan);
  AbsPath work = path(folder / "work");
  plan.furnishings = {plan::MakeTmpfs{path("/tmp"), 1 << 20, 01777},
                      Bind{work, work, FileKind::directory, Bind::Mode::write}};
  plan.init = {.argv = {"/bin/sh", "-c", script}, .environment = {{"PATH", "/usr/bin:/bin"}}, .directory = work};
  return plan;
}

// Where a test's run is cut off by SIGKILL, as an out-of-memory killer or an angry owner would.
enum class Cut { never, after_spawn, after_filter, after_child_pid, after_helper, after_furnishing, after_start };

struct Room {
  explicit Room(plan::LaunchPlan launch_plan, Cut cut = Cut::never) : plan(std::move(launch_plan)) {
    plan.furnishings.emplace_back(plan::Seal{path("/")});
    std::string marker = "/run/agentbox/marker";
    launch::Streams none{{launch::StreamKind::passed, launch::StreamKind::passed, launch::StreamKind::passed}};
    launch::spawn(spawned, path(AGENTBOX_TEST_BWRAP), plan, none, marker);
    die_if(cut, Cut::after_spawn);
    launch::compile(plan.seccomp, std::move(spawned.filter));
    die_if(cut, Cut::after_filter);
    launch::read_child(spawned);
    die_if(cut, Cut::after_child_pid);
    helper.emplace(launch::HelperWork{plan.furnishings, path(AGENTBOX_TEST_INIT), marker, false, {}}, spawned);
    die_if(cut, Cut::after_helper);
    auto furnished = helper->wait(spawned, -1);
    die_if(cut, Cut::after_furnishing);
    supervisor.emplace(loop, spawned, *helper, -1);
  }
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;

  static void die_if(Cut cut, Cut here) {
    if (cut == here) ::raise(SIGKILL);
  }

  plan::LaunchPlan plan;
  launch::Spawned spawned;
  std::optional<launch::Helper> helper;
  boost::asio::io_context loop;
  std::optional<launch::Supervisor> supervisor;
};

}  // namespace agentbox::test
