#include "demo_tour.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"

#include "demo_deeds.hpp"
#include "demo_doors.hpp"
#include "demo_play.hpp"
#include "demo_world.hpp"
#include "record_table.hpp"
#include "wrap.hpp"

namespace agentbox::cli::stage {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t text_width = 76;

enum class Answers : std::uint8_t { by_person, always_deny };

void write(const std::string& path, std::string_view text, mode_t mode = 0600) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file || ::chmod(path.c_str(), mode) != 0) throw base::SystemError(errno, "cannot write " + path);
}

std::string_view take_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

// What a no means.
std::string_view nothing_of(const Deed& deed) {
  if (deed.kind == "message") return "nothing was sent";
  if (deed.kind == "payment") return "nothing was paid";
  return "nothing ran";
}

// What the person has answered, in words.
std::string words_for(const Deed& deed, Answers answers) {
  if (deed.verdict == "allow") {
    std::string who = deed.by == "human"   ? "you said yes"
                      : deed.by == "limit" ? "it fits the limits"
                                           : "a rule allowed it";
    if (deed.outcome.empty()) return who;
    if (deed.kind != "command") return fmt::format("{}; {}", who, base::escape(deed.outcome));
    const bool ran = !deed.outcome.starts_with("not started");
    return fmt::format("{}; {}{}", who, ran ? "it ran: " : "it was ", base::escape(deed.outcome));
  }
  if (deed.by == "human") {
    return fmt::format("{}; {}", answers == Answers::by_person ? "you said no" : "answered with deny",
                       nothing_of(deed));
  }
  if (deed.by == "rule") return "refused without a question: no rule of the profile allows it";
  if (deed.verdict == "expired") return "nobody answered in time, and that is a no";
  return "refused: " + base::escape(deed.reason.empty() ? deed.verdict : deed.reason);
}

class Tour {
 public:
  explicit Tour(const Style& style)
      : style_(style),
        answers_(::isatty(0) == 1 && ::isatty(1) == 1 && ::isatty(2) == 1 ? Answers::by_person : Answers::always_deny),
        deeds_(*base::AbsPath::parse(world_.target().base + "/state/agentbox/" + std::string(store::file_name))) {
    const fs::path profiles = world_.target().base + "/config/agentbox/profiles";
    fs::create_directories(profiles);
    write(profiles / fmt::format("{}.toml", doors_profile_name), doors_profile(home()));
    write(world_.project() + "/deploy", "#!/bin/sh\necho 'the page is where it should be'\n", 0755);
    fs::create_directory(home() + "/bin");
    write(home() + "/bin/mail", "#!/bin/sh\ncat >>'" + home() + "/outbox'\n", 0755);
    write(home() + "/bin/wallet", "#!/bin/sh\necho \"$@\" >>'" + home() + "/paid'\n", 0755);
  }

  int run();

 private:
  enum class Next : std::uint8_t { scene, leave };

  [[nodiscard]] std::string home() const { return world_.target().base + "/home"; }
  [[nodiscard]] Next wait_for_enter(std::string_view words) const;
  void introduce(const Scene& scene, std::size_t number) const;
  [[nodiscard]] Played play_scene(const Scene& scene);
  void look_on();
  void answer(const Deed& deed) const;
  void print_quoted(std::string_view said) const;
  void tell(const Scene& scene, const Played& played);
  void show_record() const;
  void say_what_next() const;
  void blame(std::string_view what);

  const Style& style_;
  Answers answers_;
  World world_;
  Deeds deeds_;
  bool held_ = true;
};

// One line; Ctrl-C ends it, too.
Tour::Next Tour::wait_for_enter(std::string_view words) const {
  fmt::print("{}{}{} ", style_.dim, words, style_.off);
  std::fflush(stdout);
  for (std::string line;;) {
    std::array<char, 256> typed{};
    const ssize_t size = ::read(STDIN_FILENO, typed.data(), typed.size());
    if (Signals::caught() != 0 || size <= 0) {
      fmt::print("\n");
      return Next::leave;
    }
    line.append(typed.data(), static_cast<std::size_t>(size));
    if (line.find('\n') == std::string::npos) continue;
    return line.starts_with('q') ? Next::leave : Next::scene;
  }
}

void Tour::introduce(const Scene& scene, std::size_t number) const {
  fmt::print("\n{}{} of {}  {}{}\n\n", style_.bold, number, scenes().size(), scene.title, style_.off);
  std::string about(scene.about);
  std::ranges::replace(about, '\n', ' ');
  fmt::print("  {}\n", wrapped(about, text_width, 2, 2));
  if (answers_ == Answers::by_person && !scene.tip.empty()) {
    fmt::print("\n  Try {}{}{}\n", style_.bold, scene.tip, style_.off);
  }
  fmt::print("\n");
  std::fflush(stdout);
}

Played Tour::play_scene(const Scene& scene) {
  const bool person = answers_ == Answers::by_person;
  std::vector<std::string> argv = {own_path(), "run", "--on-ask", person ? "terminal" : "queue"};
  argv.insert(argv.end(),
              {std::string(doors_profile_name), "--", "sh", "-c", std::string(scene.script), "agent", home()});
  return play(std::move(argv), world_, person ? Streams::ours : Streams::collected, [this] { look_on(); });
}

// While a scene is played.
void Tour::look_on() {
  for (const Deed& deed : deeds_.look()) {
    if (!deed.verdict.empty()) continue;
    const std::string asked = world_.project() + "/" + std::string(asked_file);
    if (!fs::exists(asked)) write(asked, "");
    if (answers_ == Answers::always_deny) answer(deed);
  }
}

// As a script of the owner's would. What comes too early or too late is tried again, or not needed any more.
void Tour::answer(const Deed& deed) const {
  std::vector<std::string> argv = {own_path(), "approve", "--answer", deed.session + "/" + deed.question, "--deny"};
  argv.insert(argv.end(), {"--comment", "the demo says no to everything"});
  (void)play(std::move(argv), world_, Streams::collected);
}

void Tour::blame(std::string_view what) {
  held_ = false;
  fmt::print("  {}SUCCEEDED: {}{}\n", style_.bad, what, style_.off);
}

// What was collected of the room: up to where it tells a model what all denials tell it.
void Tour::print_quoted(std::string_view said) const {
  while (!said.empty()) {
    const std::string_view line = take_line(said);
    if (line.starts_with("This was decided outside the room")) return;
    if (!line.empty()) fmt::print("  {}| {}{}\n", style_.dim, harmless(line), style_.off);
  }
}

void Tour::tell(const Scene& scene, const Played& played) {
  const std::vector<Deed> deeds = deeds_.look();
  print_quoted(played.output);
  print_quoted(played.errors);
  bool allowed = false;
  for (const Deed& deed : deeds) {
    const bool yes = deed.verdict == "allow";
    allowed = allowed || yes;
    fmt::print("  {}-> {}{}\n", yes ? style_.bold : style_.good, words_for(deed, answers_), style_.off);
    if (!yes && !deed.outcome.empty()) blame("it ran all the same: " + base::escape(deed.outcome));
  }
  if (deeds.empty() || deeds.back().verdict.empty()) {
    held_ = false;
    fmt::print("  {}the agent did not come to ask (exit code {}){}\n", style_.bad,
               WIFEXITED(played.status) ? WEXITSTATUS(played.status) : -1, style_.off);
  }
  if (scene.stolen.empty() || !fs::exists(home() + "/" + std::string(scene.stolen))) return;
  const std::string got = fmt::format("~/{}", scene.stolen);
  if (!allowed || scene.only == Scene::Only::never) return blame(got + " is there");
  fmt::print("  {}and {} is there, because of your yes{}\n", style_.dim, got, style_.off);
}

void Tour::show_record() const {
  fmt::print("\n{}All of it is on record{} (agentbox log)\n\n", style_.bold, style_.off);
  std::fflush(stdout);
  for (const std::string option : {"-n50", "--net", "--verify"}) {
    std::vector<std::string> argv = {own_path(), "log", option};
    const bool person = answers_ == Answers::by_person;
    const Played played = play(std::move(argv), world_, person ? Streams::ours : Streams::collected);
    fmt::print("{}{}\n", played.output, played.errors);
    std::fflush(stdout);
  }
}

void Tour::say_what_next() const {
  fmt::print(
      "\n{}Try next{}, in a project of yours\n\n"
      "  agentbox explain default      what a room would hold, and why\n"
      "  agentbox run shell            look around in one\n"
      "  agentbox approve              answer questions from a second terminal\n"
      "  man agentbox-profile          what a profile can allow, ask and deny\n",
      style_.bold, style_.off);
}

int Tour::run() {
  const bool person = answers_ == Answers::by_person;
  fmt::print("\n{}The doors{}\n\n", style_.bold, style_.off);
  const std::string about = fmt::format(
      "What leaves the room needs a yes. An agent now wants something {} times, in another throw-away home{}",
      scenes().size(),
      person
          ? ", and you answer. Nothing of yours is touched, whatever you say; at a question Ctrl-C is a no, elsewhere "
            "it ends the demo."
          : ". There is no terminal here, so each question is answered with deny.");
  fmt::print("{}\n", wrapped(about, text_width, 0, 0));
  std::size_t number = 0;
  for (const Scene& scene : scenes()) {
    introduce(scene, ++number);
    if (person && wait_for_enter("  Enter goes on, q leaves.") == Next::leave) break;
    deeds_.begin();
    const Played played = play_scene(scene);
    std::error_code ignored;
    fs::remove(world_.project() + "/" + std::string(asked_file), ignored);
    const bool interrupted = WIFEXITED(played.status) && WEXITSTATUS(played.status) == 128 + SIGINT;
    if (Signals::caught() != 0 || interrupted) break;
    tell(scene, played);
  }
  if (Signals::caught() != 0) return 0;
  if (person && number == scenes().size()) (void)wait_for_enter("\n  Enter shows what is on record.");
  show_record();
  fmt::print("\n{}{}{}\n", held_ ? style_.good : style_.bad,
             held_ ? "nothing happened that was not allowed" : "something happened that must not", style_.off);
  say_what_next();
  return static_cast<int>(held_ ? base::ExitCode::ok : base::ExitCode::failed);
}

}  // namespace

int show_doors(const Style& style) {
  return Tour(style).run();
}

}  // namespace agentbox::cli::stage
