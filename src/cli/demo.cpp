// `agentbox demo`: lets the agent of demo_agent.cpp loose twice, without a room and in one, and says what it got; then
// the tour of demo_tour.cpp, through the doors of a room.
// Nothing is taken for granted: a line says that something was refused only because the agent's own system call was,
// and afterwards the throw-away home is compared with what it was.

#include "demo.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"

#include "demo_play.hpp"
#include "demo_tour.hpp"
#include "demo_world.hpp"
#include "options.hpp"

namespace agentbox::cli {

namespace stage {
namespace {

struct Attempted {
  std::vector<Outcome> outcomes;  // one per attempt, and one for the work; empty if it never came to it
  std::string errors;             // what was said on stderr
};

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

Attempted attempt_all(std::vector<std::string> argv, const World& world) {
  Played played = play(std::move(argv), world, Streams::collected);
  return {read_outcomes(played.output), std::move(played.errors)};
}

Attempted without_room(const World& world) {
  return attempt_all({own_path(), "demo", "--agent", encode(world.target())}, world);
}

Attempted in_room(const World& world) {
  std::string self = own_path();
  std::vector<std::string> argv = {self, "run", "default"};
  // An installed agentbox is in the room anyway, as all of /usr.
  if (!self.starts_with("/usr/")) argv.insert(argv.end(), {"--read", self});
  argv.insert(argv.end(), {"--", self, "demo", "--agent", encode(world.target())});
  return attempt_all(std::move(argv), world);
}

// ---- the table ----

void print_table(const std::vector<Outcome>& outside, const std::vector<Outcome>& inside, const Style& style) {
  fmt::print("{}  {:<34}{:<18}{}{}\n", style.bold, "what it tried", "without a room", "in the room", style.off);
  std::string_view section;
  for (std::size_t i = 0; i < attempts().size(); ++i) {
    const Attempt& attempt = attempts()[i];
    if (attempt.section != section) fmt::print("\n{}{}{}\n", style.bold, attempt.section, style.off);
    section = attempt.section;
    // What the machine itself refuses says nothing about the room.
    std::string before = outside.empty() ? "?" : outside[i].ending == Ending::done ? outside[i].text : "not here";
    fmt::print("  {:<34}{}{:<18}{}", attempt.label, style.dim, before, style.off);
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

int show_table(const Style& style) {
  fmt::print(
      "A program plays a hostile agent. It attacks a throw-away home with a key and a\n"
      "project in it: once without a room, then in a room of the profile `default`,\n"
      "with that project as its workspace. No model, no network.\n\n");
  std::fflush(stdout);
  std::vector<Outcome> outside;
  {
    World world;
    outside = without_room(world).outcomes;
  }
  World world;
  std::map<std::string, std::string> before = world.snapshot();
  Attempted attempted = in_room(world);
  if (Signals::caught() != 0) return 0;
  if (attempted.outcomes.empty()) {
    fmt::print(stderr, "{}agentbox: error: the room of the demo did not work\nhint: see `agentbox doctor`\n",
               attempted.errors);
    return static_cast<int>(base::ExitCode::failed);
  }
  print_table(outside, attempted.outcomes, style);
  return judge(attempted.outcomes, changes(before, world.snapshot()), style);
}

int perform(const Terminal& terminal) {
  const Style& style = terminal.out == base::Colour::on ? colour_style : plain_style;
  const Signals signals;
  int code = show_table(style);
  if (code == 0 && Signals::caught() == 0) code = show_doors(style);
  return Signals::caught() != 0 ? 128 + Signals::caught() : code;
}

}  // namespace
}  // namespace stage

int demo(const DemoOptions& options, const Terminal& terminal) {
  return options.agent.empty() ? stage::perform(terminal) : stage::play_agent(options.agent);
}

}  // namespace agentbox::cli
