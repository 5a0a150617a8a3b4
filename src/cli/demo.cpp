// `agentbox demo`: lets the agent of demo_agent.cpp loose twice, without a room and in one, and says what it got.
// Nothing is taken for granted: a line says that something was refused only because the agent's own system call was,
// and afterwards the throw-away home is compared with what it was.

#include "demo.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"

#include "demo_world.hpp"
#include "options.hpp"

namespace agentbox::cli {

namespace stage {
namespace {

constexpr int deadline_seconds = 60;

struct Played {
  std::vector<Outcome> outcomes;  // one per attempt, and one for the work; empty if it never came to it
  std::string errors;             // what was said on stderr
  int status = 0;
};

std::pair<base::UniqueFd, base::UniqueFd> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw base::SystemError(errno, "cannot make a pipe");
  return {base::UniqueFd(ends[0]), base::UniqueFd(ends[1])};
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  out.reserve(words.size() + 1);
  for (std::string& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

pid_t spawn(std::vector<std::string> argv, const World& world, int out, int err) {
  std::vector<std::string> environment = world.environment();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
  posix_spawn_file_actions_addchdir_np(&actions, world.project().c_str());
  pid_t child = -1;
  int problem =
      ::posix_spawn(&child, argv[0].c_str(), &actions, nullptr, pointers(argv).data(), pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  if (problem != 0) throw base::SystemError(problem, "cannot start " + argv[0]);
  return child;
}

std::int64_t now_ms() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return std::int64_t{time.tv_sec} * 1000 + time.tv_nsec / 1'000'000;
}

// Reads both streams to their end. False when that takes too long.
bool collect(base::UniqueFd out, base::UniqueFd err, std::string& output, std::string& errors) {
  const std::int64_t end = now_ms() + deadline_seconds * 1000;
  while (out || err) {
    std::array<pollfd, 2> ready{{{out.get(), POLLIN, 0}, {err.get(), POLLIN, 0}}};
    std::int64_t left = end - now_ms();
    if (left <= 0) return false;
    if (::poll(ready.data(), ready.size(), static_cast<int>(left)) < 0 && errno != EINTR) return false;
    auto drain = [](const pollfd& entry, base::UniqueFd& from, std::string& to) {
      if (entry.revents == 0) return;
      std::array<char, 4096> buffer{};
      ssize_t size = ::read(from.get(), buffer.data(), buffer.size());
      if (size <= 0) return from.reset();
      to.append(buffer.data(), static_cast<std::size_t>(size));
    };
    drain(ready[0], out, output);
    drain(ready[1], err, errors);
  }
  return true;
}

std::vector<Outcome> read_outcomes(std::string_view output) {
  std::vector<Outcome> outcomes;
  while (!output.empty()) {
    std::string_view line = output.substr(0, output.find('\n'));
    output.remove_prefix(std::min(line.size() + 1, output.size()));
    std::size_t tab = line.find('\t');
    if (tab == std::string_view::npos) continue;
    // Anything but a plain "refused" counts as done: this is a test.
    Ending ending = line.substr(0, tab) == "refused" ? Ending::refused : Ending::done;
    outcomes.push_back({ending, base::escape(line.substr(tab + 1))});
  }
  if (outcomes.size() != attempts().size() + 1) outcomes.clear();
  return outcomes;
}

Played play(std::vector<std::string> argv, const World& world) {
  auto [out, out_end] = make_pipe();
  auto [err, err_end] = make_pipe();
  pid_t child = spawn(std::move(argv), world, out_end.get(), err_end.get());
  out_end.reset();
  err_end.reset();
  Played played;
  std::string output;
  if (!collect(std::move(out), std::move(err), output, played.errors)) {
    ::kill(child, SIGKILL);  // the room dies with it
    played.errors += fmt::format("it did not end within {} seconds\n", deadline_seconds);
  }
  while (::waitpid(child, &played.status, 0) < 0 && errno == EINTR) {
  }
  played.outcomes = read_outcomes(output);
  return played;
}

std::string own_path() {
  return std::filesystem::read_symlink("/proc/self/exe").string();
}

Played play_without_room(const World& world) {
  return play({own_path(), "demo", "--agent", encode(world.target())}, world);
}

Played play_in_room(const World& world) {
  std::string self = own_path();
  std::vector<std::string> argv = {self, "run", "default"};
  // An installed agentbox is in the room anyway, as all of /usr.
  if (!self.starts_with("/usr/")) argv.insert(argv.end(), {"--read", self});
  argv.insert(argv.end(), {"--", self, "demo", "--agent", encode(world.target())});
  return play(std::move(argv), world);
}

// ---- the table ----

struct Style {
  std::string_view bold, good, bad, dim, off;
};
constexpr Style plain_style = {"", "", "", "", ""};
constexpr Style colour_style = {"\033[1m", "\033[32m", "\033[1;31m", "\033[2m", "\033[0m"};

void print_table(const std::vector<Outcome>& outside, const std::vector<Outcome>& inside, const Style& style) {
  fmt::print("{}  {:<36}{:<18}{}{}\n", style.bold, "what it tried", "without a room", "in the room", style.off);
  std::string_view section;
  for (std::size_t i = 0; i < attempts().size(); ++i) {
    const Attempt& attempt = attempts()[i];
    if (attempt.section != section) fmt::print("\n{}{}{}\n", style.bold, attempt.section, style.off);
    section = attempt.section;
    // What the machine itself refuses says nothing about the room.
    std::string before = outside.empty() ? "?" : outside[i].ending == Ending::done ? outside[i].text : "not here";
    fmt::print("  {:<36}{}{:<18}{}", attempt.label, style.dim, before, style.off);
    if (inside[i].ending == Ending::refused) {
      fmt::print("{}{}{}\n", style.good, inside[i].text, style.off);
    } else {
      fmt::print("{}SUCCEEDED: {}{}\n", style.bad, inside[i].text, style.off);
    }
  }
}

// Paths that differ, in order.
std::vector<std::string> changes(const std::map<std::string, std::string>& before,
                                 const std::map<std::string, std::string>& after) {
  std::vector<std::string> paths;
  for (const auto& [path, content] : before) {
    auto found = after.find(path);
    if (found == after.end() || found->second != content) paths.push_back(path);
  }
  for (const auto& [path, content] : after) {
    if (!before.contains(path)) paths.push_back(path);
  }
  std::ranges::sort(paths);
  return paths;
}

int judge(const std::vector<Outcome>& inside, const std::vector<std::string>& changed, const Style& style) {
  auto refused = std::ranges::count(inside.begin(), inside.end() - 1, Ending::refused, &Outcome::ending);
  const std::string wanted = "project/" + std::string(work_file);
  const bool worked = inside.back().ending == Ending::done && std::ranges::find(changed, wanted) != changed.end();
  std::vector<std::string> strays;
  for (const std::string& path : changed) {
    if (path != wanted) strays.push_back(base::escape(path));
  }
  const bool good = std::cmp_equal(refused, attempts().size()) && worked && strays.empty();
  fmt::print("\n{}{} of {} refused; ", good ? style.good : style.bad, refused, attempts().size());
  fmt::print("{}{}\n",
             worked ? fmt::format("1 file changed in the workspace: {}", work_file)
                    : fmt::format("its honest work failed: {}", inside.back().text),
             style.off);
  for (const std::string& path : strays) fmt::print("{}also changed: ~/{}{}\n", style.bad, path, style.off);
  return static_cast<int>(good ? base::ExitCode::ok : base::ExitCode::failed);
}

int perform(const Terminal& terminal) {
  const Style& style = terminal.out == base::Colour::on ? colour_style : plain_style;
  fmt::print(
      "A program plays a hostile agent. It attacks a throw-away home with a key and a\n"
      "project in it: once without a room, then in a room of the profile `default`,\n"
      "with that project as its workspace. No model, no network.\n\n");
  std::fflush(stdout);
  std::vector<Outcome> outside;
  {
    World world;
    outside = play_without_room(world).outcomes;
  }
  World world;
  std::map<std::string, std::string> before = world.snapshot();
  Played played = play_in_room(world);
  if (played.outcomes.empty()) {
    fmt::print(stderr, "{}agentbox: error: the room of the demo did not work\nhint: see `agentbox doctor`\n",
               played.errors);
    return static_cast<int>(base::ExitCode::failed);
  }
  print_table(outside, played.outcomes, style);
  return judge(played.outcomes, changes(before, world.snapshot()), style);
}

}  // namespace
}  // namespace stage

int demo(const DemoOptions& options, const Terminal& terminal) {
  return options.agent.empty() ? stage::perform(terminal) : stage::play_agent(options.agent);
}

}  // namespace agentbox::cli
