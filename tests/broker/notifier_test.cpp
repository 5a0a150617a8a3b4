#include "agentbox/broker/notifier.hpp"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include <sys/stat.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>

#include "support.hpp"

using namespace agentbox;
using namespace agentbox::broker;
using namespace agentbox::broker::test;
using namespace std::chrono_literals;

namespace {

// A command that notes its arguments, the session's folder being its place.
NotifyCommand shell(const World& world, const std::string& script) {
  return {.program = *base::AbsPath::parse("/bin/sh"),
          .argv = {"sh", "-c", script, (world.folder / "told").str()},
          .environment = {"PATH=/usr/bin:/bin", "DISPLAY=:7"}};
}

std::vector<std::string> told(const World& world) {
  std::ifstream file((world.folder / "told").str());
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

constexpr const char* note = "printf '%s\\n' \"$1\" >>\"$0\"";

bool has_children() {
  return ::waitpid(-1, nullptr, WNOHANG) == 0;
}

prompt::Question question(std::string subject, prompt::Question::Form form = prompt::Question::Form::raw) {
  prompt::Question question{.id = "1", .session = "pi-3fa2", .title = "run a command on your machine"};
  question.subject = std::move(subject);
  question.form = form;
  return question;
}

}  // namespace

TEST_CASE("a question that is shown starts the command with one line about it, and nothing of ours is left") {
  World world;
  Notifier notifier(world.loop, *world.broker, shell(world, note));
  Asked asked = World::asked({"make", "a b"});
  asked.subject = "make 'a b'";
  (void)world.ask(asked);
  REQUIRE(world.until([&] { return told(world).size() == 1; }));
  CHECK(told(world)[0] == "agentbox: pi-1: run a command on your machine: make 'a b'");
  CHECK(world.until([] { return !has_children(); }));
  CHECK(world.panel.shown.size() == 1);
}

TEST_CASE("it sees no more of the environment and of open files than it is given") {
  World world;
  ::setenv("AGENTBOX_TEST_SECRET", "c0ffee", 1);
  Notifier notifier(world.loop, *world.broker,
                    shell(world, "{ env; ls -l /proc/self/fd; pwd; } >\"$0.new\" && mv \"$0.new\" \"$0\""));
  (void)world.ask(World::asked({"make"}));
  REQUIRE(world.until([&] { return !told(world).empty(); }));
  std::string all;
  for (const std::string& line : told(world)) all += line + "\n";
  CHECK(all.find("DISPLAY=:7") != std::string::npos);
  CHECK(all.find("c0ffee") == std::string::npos);
  CHECK(all.find("socket:") == std::string::npos);
  CHECK(all.find("eventpoll") == std::string::npos);
  CHECK(all.find("\n/\n") != std::string::npos);
}

TEST_CASE("what comes close together is told together") {
  World world;
  Notifier notifier(world.loop, *world.broker, shell(world, note), {.between = 300ms});
  (void)world.ask(World::asked({"make", "1"}));
  (void)world.ask(World::connect("example.org"));  // denied by a rule: no question
  for (const char* target : {"2", "3", "4"}) {
    Asked asked = World::asked({"make", target});
    asked.subject = std::string("make ") + target;
    (void)world.ask(asked);
  }
  REQUIRE(world.until([&] { return told(world).size() == 2; }));
  CHECK(told(world)[1] == "agentbox: pi-1: run a command on your machine: make 4 (and 2 more)");
}

TEST_CASE("what was answered meanwhile is not told") {
  World world;
  Notifier notifier(world.loop, *world.broker, shell(world, note), {.between = 200ms});
  (void)world.ask(World::asked({"make", "1"}));
  REQUIRE(world.until([&] { return told(world).size() == 1; }));
  (void)world.ask(World::asked({"make", "2"}));
  world.answer(prompt::Answer::Kind::deny);
  auto end = std::chrono::steady_clock::now() + 400ms;
  (void)world.until([&] { return std::chrono::steady_clock::now() > end; });
  CHECK(told(world).size() == 1);
}

TEST_CASE("a command that hangs is killed, with its children, and the next one is told") {
  World world;
  Notifier notifier(world.loop, *world.broker, shell(world, std::string(note) + "; sleep 600 & sleep 600"),
                    {.between = 0ms, .limit = 200ms});
  (void)world.ask(World::asked({"make", "1"}));
  REQUIRE(world.until([&] { return told(world).size() == 1; }));
  (void)world.ask(World::asked({"make", "2"}));
  CHECK(told(world).size() == 1);  // one at a time
  CHECK(world.until([&] { return told(world).size() == 2; }));
}

TEST_CASE("the end of the session ends the command") {
  World world;
  {
    Notifier notifier(world.loop, *world.broker, shell(world, std::string(note) + "; sleep 600"));
    (void)world.ask(World::asked({"make"}));
    REQUIRE(world.until([&] { return told(world).size() == 1; }));
    CHECK(has_children());
  }
  CHECK_FALSE(has_children());
}

TEST_CASE("a command that is not there, and one that fails, change no verdict") {
  for (const char* program : {"/nowhere/notify-send", "/bin/false"}) {
    World world;
    NotifyCommand command{.program = *base::AbsPath::parse(program), .argv = {"x"}, .environment = {}};
    Notifier notifier(world.loop, *world.broker, command);
    std::size_t at = world.ask(World::asked({"make"}));
    CHECK(world.answer(prompt::Answer::Kind::once) == Broker::Taken::taken);
    REQUIRE(world.verdicts[at]);
    CHECK(world.verdicts[at]->kind == Verdict::Kind::allow);
    CHECK(world.until([] { return !has_children(); }));
  }
}

TEST_CASE("a notifier is nobody who could answer") {
  World world;
  world.panel.there = false;
  Notifier notifier(world.loop, *world.broker, shell(world, note));
  std::size_t at = world.ask(World::asked({"make"}));
  REQUIRE(world.verdicts[at]);
  CHECK(world.verdicts[at]->kind == Verdict::Kind::unavailable);
}

TEST_CASE("the banner is told of once") {
  World world([](Settings& settings) { settings.questions = 1; });
  Notifier notifier(world.loop, *world.broker, shell(world, note), {.between = 0ms});
  for (const char* target : {"1", "2", "3"}) (void)world.ask(World::asked({"make", target}));
  REQUIRE(world.until([&] { return told(world).size() == 2; }));
  CHECK(told(world)[1].starts_with("agentbox: pi-1: it asks too often: "));
  auto end = std::chrono::steady_clock::now() + 100ms;
  (void)world.until([&] { return std::chrono::steady_clock::now() > end; });
  CHECK(told(world).size() == 2);
}

TEST_CASE("a notice is one harmless line, whatever the question says") {
  CHECK(notice_for(question("git push", prompt::Question::Form::quoted), 0) ==
        "agentbox: pi-3fa2: run a command on your machine: git push");
  for (const std::string& odd : {std::string("\x1b[2J\r\n\x07"), std::string("<a href='x'>&amp;\\033</a>"),
                                 std::string("\xff\xc3"), std::string("\u202e\u200b"), std::string(1000, 'x')}) {
    std::string notice = notice_for(question(odd), 12);
    INFO(notice);
    CHECK(notice.size() <= 200);
    CHECK(notice.ends_with(" (and 12 more)"));
    CHECK(
        std::ranges::all_of(notice, [](char c) { return c >= ' ' && c <= '~' && c != '<' && c != '\\' && c != '&'; }));
  }
  // Cut between letters.
  for (std::size_t size = 100; size < 120; ++size) {
    std::string subject;
    for (std::size_t i = 0; i < size; ++i) subject += "é";
    std::string notice = notice_for(question("x" + std::string(size % 2, 'x') + subject), 0);
    CHECK(notice.size() <= 200);
    CHECK(notice.ends_with("é..."));
  }
}

TEST_CASE("of the environment it gets what a desktop's programs need") {
  auto environment = notify_environment([](const char* name) -> const char* {
    return std::string_view(name) == "DISPLAY" ? ":0" : std::string_view(name) == "LD_PRELOAD" ? "x" : nullptr;
  });
  CHECK(environment ==
        std::vector<std::string>{"PATH=/usr/local/bin:/usr/bin:/bin:/run/current-system/sw/bin", "DISPLAY=:0"});
}
