#pragma once

// A workspace, a state folder and a room that only notes what it is told, for the guard's tests.

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/launch/guard.hpp"
#include "agentbox/launch/quarantine.hpp"
#include "agentbox/launch/room.hpp"

namespace agentbox::launch::test {

using base::AbsPath;

class TempDir {
 public:
  explicit TempDir(const char* where = "/tmp") {
    std::string name = std::string(where) + "/agentbox-guard-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  ~TempDir() {
    std::string remove = "chmod -R u+rwX '" + path_ + "' 2>/dev/null; rm -rf '" + path_ + "'";
    (void)!std::system(remove.c_str());
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  [[nodiscard]] std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }
  [[nodiscard]] const std::string& str() const { return path_; }

 private:
  std::string path_;
};

inline AbsPath abs(const std::string& path) {
  return AbsPath::parse(path).value();
}

inline void write(const std::string& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  if (!file) throw std::runtime_error("cannot write " + path);
}
inline std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
inline bool exists(const std::string& path) {
  struct stat found = {};
  return ::lstat(path.c_str(), &found) == 0;
}
inline void make_dir(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) != 0) throw std::runtime_error("cannot make " + path);
}

// Notes what it is told.
class FakeRoom final : public Room {
 public:
  void freeze() override {
    if (fail_freeze) throw base::SystemError(ETIMEDOUT, "cannot freeze the room");
    if (frozen++ == 0 && on_freeze) on_freeze();
    ++freezes;
  }
  void thaw() override { --frozen; }
  void furnish(const plan::Furnishing& furnishing) override {
    if (fail_furnish) throw base::SystemError(EPERM, "cannot furnish the room");
    furnished.push_back(furnishing);
  }
  base::UniqueFd room_socket(int) override { return {}; }

  template <class T>
  [[nodiscard]] std::vector<T> furnished_as() const {
    std::vector<T> found;
    for (const plan::Furnishing& one : furnished) {
      if (const T* as = std::get_if<T>(&one)) found.push_back(*as);
    }
    return found;
  }

  int frozen = 0, freezes = 0;
  bool fail_freeze = false, fail_furnish = false;
  std::function<void()> on_freeze;  // what a program outside, or another room, does at the worst moment
  std::vector<plan::Furnishing> furnished;
};

// A workspace with one git repository's worth of names, and a guard on it.
struct World {
  explicit World(const char* where = "/tmp") : folder(where) {
    make_dir(workspace);
    policy.profile = "default";
    policy.workspace = abs(workspace);
    policy.directory = policy.workspace;
    policy.mounts.push_back({.target = policy.workspace,
                             .source = policy.workspace,
                             .kind = policy::FileKind::directory,
                             .access = policy::Access::write,
                             .why = policy::Mount::Why::workspace,
                             .origin = {}});
  }

  void watch_for(const std::string& name, policy::Watched::Why why = policy::Watched::Why::protect,
                 const std::string& below = "") {
    policy.watched.push_back({.directory = abs(workspace + below), .name = name, .why = why, .origin = {}});
  }
  void hold(const std::string& relative, policy::FileKind kind = policy::FileKind::regular) {
    policy.held.push_back({.path = abs(workspace + "/" + relative), .kind = kind, .origin = {}});
  }
  void ghost(const std::string& relative) {
    AbsPath path = abs(workspace + "/" + relative);
    policy.mounts.push_back({.target = path,
                             .source = path,
                             .kind = policy::FileKind::directory,
                             .access = policy::Access::read,
                             .why = policy::Mount::Why::ghost,
                             .origin = {}});
    plan.furnishings.push_back(plan::Ghost{path});
  }
  void protect(const std::string& relative, policy::FileKind kind = policy::FileKind::regular) {
    AbsPath path = abs(workspace + "/" + relative);
    policy.mounts.push_back({.target = path,
                             .source = path,
                             .kind = kind,
                             .access = policy::Access::read,
                             .why = policy::Mount::Why::protect,
                             .origin = {}});
    plan.furnishings.push_back(plan::Bind{.source = path,
                                          .target = path,
                                          .kind = kind,
                                          .mode = plan::Bind::Mode::read,
                                          .why = policy::Mount::Why::protect});
  }

  [[nodiscard]] std::string in(const std::string& relative) const { return workspace + "/" + relative; }
  [[nodiscard]] std::vector<Quarantined> quarantine() const { return Quarantine(abs(state)).list(); }
  [[nodiscard]] std::vector<std::string> runs() const {
    std::vector<std::string> names;
    FILE* list = ::popen(("ls -A '" + state + "/runs' 2>/dev/null").c_str(), "r");
    char line[256];
    while (::fgets(line, sizeof line, list) != nullptr) names.emplace_back(line, std::string_view(line).find('\n'));
    ::pclose(list);
    return names;
  }

  TempDir folder;
  std::string workspace = folder / "work";
  std::string state = folder / "state";
  policy::Policy policy;
  plan::LaunchPlan plan;
};

// A guard that watches, with its loop. The loop is only turned when a test says so.
struct Watching {
  explicit Watching(World& world, Guard::From from = Guard::From::now, std::string session = "s1")
      : guard(world.policy, world.plan, abs(world.state), std::move(session)) {
    guard.on_event([this](const GuardEvent& event) { events.push_back(event); });
    guard.watch(loop, room, from);
  }
  // Turns the loop until it is so. False after a minute: then the test has failed.
  bool until(const std::function<bool()>& condition) {
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      loop.run_one_for(std::chrono::milliseconds(50));
    }
    return true;
  }
  // Lets everything that is queued be handled.
  void settle() {
    while (loop.poll() > 0) {
    }
  }
  [[nodiscard]] int count(GuardEvent::Kind kind) const {
    int found = 0;
    for (const GuardEvent& event : events) found += event.kind == kind ? 1 : 0;
    return found;
  }

  boost::asio::io_context loop;
  FakeRoom room;
  Guard guard;
  std::vector<GuardEvent> events;
};

inline int count(const std::vector<GuardEvent>& events, GuardEvent::Kind kind) {
  int found = 0;
  for (const GuardEvent& event : events) found += event.kind == kind ? 1 : 0;
  return found;
}

}  // namespace agentbox::launch::test
