// Questions on a real terminal, with and without a room behind it.

#include "agentbox/prompt/asker.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <signal.h>
#include <sys/ioctl.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "agentbox/base/escape.hpp"
#include "agentbox/prompt/relay.hpp"

#include "pty.hpp"
#include "samples.hpp"

using namespace std::chrono_literals;
using namespace agentbox::test;
using agentbox::base::escape;
using agentbox::base::UniqueFd;
using agentbox::prompt::Answer;
using agentbox::prompt::Asker;
using agentbox::prompt::Banner;
using agentbox::prompt::Clock;
using agentbox::prompt::enter_pages;
using agentbox::prompt::Flood;
using agentbox::prompt::HumanTerminal;
using agentbox::prompt::leave_pages;
using agentbox::prompt::Relay;

namespace {

enum class Room { none, terminal };

struct Stage {
  explicit Stage(Room with) : before(modes_of(human.slave.get())), terminal(std::in_place, human.open_slave()) {
    if (with == Room::terminal) {
      agent = room.open_slave();
      room.slave.reset();
      relay.emplace(loop, *terminal, std::move(room.master));
      relay->start();
    }
    asker.emplace(loop, *terminal, relay ? &*relay : nullptr);
  }

  template <class Condition>
  bool until(Condition condition) {
    const auto limit = Clock::now() + 10s;
    while (!condition()) {
      if (Clock::now() > limit) return false;
      loop.restart();
      loop.run_one_for(5ms);
      screen += read_now(human.master.get());
    }
    return true;
  }
  // What has come to the terminal since the last look holds it.
  bool shows(std::string_view text) {
    const bool seen = until([&] { return screen.find(text) != std::string::npos; });
    return seen;
  }
  void forget() { screen.clear(); }
  void pass(std::chrono::milliseconds time) {
    const auto end = Clock::now() + time;
    until([&] { return Clock::now() >= end; });
  }
  void type(std::string_view keys) { write_all(human.master.get(), keys); }
  // The keys are bold again: the quiet period is over. Its end is drawn, so nothing has to be slept for.
  bool awake() { return shows("\033[0;1;7;31m d "); }

  void ask(const Question& question) {
    asker->ask(question, [this](std::optional<Answer> answer) { answers.push_back(std::move(answer)); });
  }
  bool answered(std::size_t count) {
    return until([&] { return answers.size() == count; });
  }
  bool left() {
    return shows(leave_pages()) && until([&] { return asker->idle(); });
  }
  winsize room_size() const {
    winsize size{};
    ::ioctl(agent.get(), TIOCGWINSZ, &size);
    return size;
  }

  boost::asio::io_context loop;
  Pty human, room;
  termios before;
  UniqueFd agent;
  std::optional<HumanTerminal> terminal;
  std::optional<Relay> relay;
  std::optional<Asker> asker;
  std::string screen;
  std::vector<std::optional<Answer>> answers;
};

Question named(const std::string& id, const std::string& subject) {
  Question question = push();
  question.id = id;
  question.digest = "digest " + id;
  question.subject = subject;
  question.waiting = 0;
  return question;
}

}  // namespace

TEST_CASE("a question on a terminal of its own: raw while it is asked, and as it was afterwards") {
  Stage stage(Room::none);
  stage.ask(named("1", "first thing"));
  REQUIRE(stage.shows("first thing"));
  CHECK(stage.screen.starts_with(enter_pages()));
  CHECK(is_raw(stage.human.slave.get()));
  REQUIRE(stage.awake());
  stage.type("o");
  REQUIRE(stage.answered(1));
  REQUIRE(stage.answers[0]);
  CHECK(stage.answers[0]->kind == Answer::Kind::once);
  CHECK(stage.answers[0]->digest == "digest 1");
  REQUIRE(stage.left());
  CHECK(stage.screen.ends_with(leave_pages()));
  CHECK(same(modes_of(stage.human.slave.get()), stage.before));
}

TEST_CASE("over an agent's screen: its modes go and come back, its output waits, and it paints anew") {
  Stage stage(Room::terminal);
  write_all(stage.agent.get(), "\033[?1049h\033[?1000hpicture");
  REQUIRE(stage.shows("picture"));
  stage.forget();
  stage.ask(named("1", "first thing"));
  REQUIRE(stage.shows("first thing"));
  CHECK(escape(stage.screen).starts_with("\\x1b[?1049l\\x1b[?1000l" + escape(enter_pages())));
  write_all(stage.agent.get(), "later output");
  REQUIRE(stage.awake());
  CHECK(stage.screen.find("later output") == std::string::npos);
  stage.forget();
  CHECK(stage.room_size().ws_row == 24);
  stage.type("d");
  REQUIRE(stage.answered(1));
  REQUIRE(stage.shows("later output"));
  CHECK(escape(stage.screen).find(escape(leave_pages()) + "\\x1b[?1049h\\x1b[?1000hlater output") != std::string::npos);
  // A program that knows its size sees it change, and change back.
  CHECK(stage.room_size().ws_row == 23);
  CHECK(stage.until([&] { return stage.room_size().ws_row == 24; }));
  CHECK(is_raw(stage.human.slave.get()));
  // And its keys are its own again.
  termios raw = modes_of(stage.agent.get());
  ::cfmakeraw(&raw);
  ::tcsetattr(stage.agent.get(), TCSANOW, &raw);
  stage.type("k");
  std::string typed;
  CHECK(stage.until([&] {
    typed += read_now(stage.agent.get());
    return typed == "k";
  }));
}

TEST_CASE("a program on the main screen is not made to paint anew") {
  Stage stage(Room::terminal);
  write_all(stage.agent.get(), "text");
  REQUIRE(stage.shows("text"));
  stage.ask(named("1", "first thing"));
  REQUIRE(stage.awake());
  stage.type("d");
  REQUIRE(stage.left());
  CHECK(stage.room_size().ws_row == 24);
}

TEST_CASE("what was typed ahead answers nothing, and does not reach the agent either") {
  Stage stage(Room::terminal);
  termios raw = modes_of(stage.agent.get());
  ::cfmakeraw(&raw);
  ::tcsetattr(stage.agent.get(), TCSANOW, &raw);
  stage.ask(named("1", "first thing"));
  REQUIRE(stage.shows("first thing"));
  stage.type("o");
  stage.type("y\n");
  REQUIRE(stage.awake());
  CHECK(stage.answers.empty());
  stage.type("o\n");  // both at once
  REQUIRE(stage.shows("several keys at once"));
  CHECK(stage.answers.empty());
  stage.pass(150ms);
  stage.type("d");
  REQUIRE(stage.answered(1));
  CHECK(stage.answers[0]->kind == Answer::Kind::deny);
  REQUIRE(stage.left());
  CHECK(read_now(stage.agent.get()).empty());
}

TEST_CASE("several questions follow each other without leaving the screen") {
  Stage stage(Room::none);
  for (int i = 1; i <= 3; ++i) stage.ask(named(std::to_string(i), "thing number " + std::to_string(i)));
  for (int i = 1; i <= 3; ++i) {
    REQUIRE(stage.shows("thing number " + std::to_string(i)));
    CHECK(stage.screen.find(leave_pages()) == std::string::npos);
    REQUIRE(stage.awake());
    stage.forget();
    stage.type("o");
    REQUIRE(stage.answered(static_cast<std::size_t>(i)));
    CHECK(stage.answers.back()->digest == "digest " + std::to_string(i));
  }
  REQUIRE(stage.left());
}

TEST_CASE("one answer answers one question, and each has a quiet period of its own") {
  Stage stage(Room::none);
  stage.ask(named("1", "thing number 1"));
  stage.ask(named("2", "thing number 2"));
  REQUIRE(stage.shows("1 more question waits"));
  stage.type("o");
  stage.forget();
  REQUIRE(stage.shows("thing number 2"));
  for (int i = 0; i < 3; ++i) {
    stage.pass(120ms);
    stage.type("o");
  }
  stage.forget();
  REQUIRE(stage.awake());
  CHECK(stage.answers.size() == 1);
}

TEST_CASE("a question that is withdrawn goes from the screen, and nobody is called") {
  Stage stage(Room::none);
  stage.ask(named("1", "thing number 1"));
  stage.ask(named("2", "thing number 2"));
  stage.ask(named("3", "thing number 3"));
  REQUIRE(stage.awake());
  stage.asker->withdraw("nobody");
  stage.asker->withdraw("2");
  stage.asker->withdraw("1");
  stage.forget();
  REQUIRE(stage.shows("thing number 3"));
  stage.asker->withdraw("3");
  REQUIRE(stage.left());
  CHECK(stage.answers.empty());
  CHECK(same(modes_of(stage.human.slave.get()), stage.before));
}

TEST_CASE("a question that is withdrawn says why, until a key is pressed") {
  Stage stage(Room::none);
  stage.ask(named("1", "thing number 1"));
  stage.ask(named("2", "thing number 2"));
  REQUIRE(stage.awake());
  stage.forget();
  stage.asker->withdraw("1", "this question was denied elsewhere");
  REQUIRE(stage.shows("this question was denied elsewhere"));
  CHECK(stage.screen.find("thing number 2") == std::string::npos);
  stage.pass(150ms);
  stage.type("o");
  REQUIRE(stage.shows("thing number 2"));
  REQUIRE(stage.awake());
  CHECK(stage.answers.empty());
  // One that was not on the screen says nothing.
  stage.ask(named("3", "thing number 3"));
  stage.forget();
  stage.asker->withdraw("3", "this question was given up");
  stage.type("d");
  REQUIRE(stage.answered(1));
  REQUIRE(stage.left());
  CHECK(stage.screen.find("given up") == std::string::npos);
}

TEST_CASE("a question that is withdrawn says why for a moment, then the screen is given back") {
  for (const Room with : {Room::none, Room::terminal}) {
    Stage stage(with);
    stage.ask(named("1", "thing number 1"));
    REQUIRE(stage.awake());
    const auto begin = Clock::now();
    stage.asker->withdraw("1", "this question expired");
    REQUIRE(stage.shows("this question expired"));
    REQUIRE(stage.left());
    CHECK(Clock::now() - begin >= 2s);
    CHECK(stage.answers.empty());
  }
  // Whoever goes meanwhile leaves nothing behind.
  Stage stage(Room::none);
  stage.ask(named("1", "thing number 1"));
  REQUIRE(stage.awake());
  stage.asker->withdraw("1", "this question expired");
  REQUIRE(stage.shows("this question expired"));
  stage.asker->stop();
  CHECK(same(modes_of(stage.human.slave.get()), stage.before));
}

TEST_CASE("a key for a question that is withdrawn in the same moment is not for the next") {
  Stage stage(Room::none);
  stage.ask(named("1", "thing number 1"));
  stage.ask(named("2", "thing number 2"));
  REQUIRE(stage.awake());
  stage.type("o");
  stage.asker->withdraw("1");
  stage.forget();
  REQUIRE(stage.shows("thing number 2"));
  REQUIRE(stage.awake());
  CHECK(stage.answers.empty());
}

TEST_CASE("a question that is asked while another is answered finds the screen open") {
  Stage stage(Room::none);
  stage.asker->ask(named("1", "thing number 1"),
                   [&](std::optional<Answer>) { stage.ask(named("2", "thing number 2")); });
  REQUIRE(stage.awake());
  stage.forget();
  stage.type("d");
  REQUIRE(stage.shows("thing number 2"));
  CHECK(stage.screen.find(leave_pages()) == std::string::npos);
}

TEST_CASE("the warning comes before questions that wait") {
  Stage stage(Room::none);
  stage.ask(named("1", "thing number 1"));
  REQUIRE(stage.awake());
  std::optional<Banner::Choice> choice;
  stage.forget();
  stage.asker->warn(flood(Clock::now()), [&](std::optional<Banner::Choice> chosen) { choice = chosen; });
  REQUIRE(stage.shows("pi asked 10 questions in 10 minutes"));
  REQUIRE(stage.shows("\033[0;1;7;31m D "));
  stage.forget();
  stage.type("g");
  REQUIRE(stage.shows("thing number 1"));
  CHECK(choice == Banner::Choice::go_on);
  CHECK(stage.answers.empty());
  REQUIRE(stage.awake());
  stage.type("d");
  CHECK(stage.answered(1));
}

TEST_CASE("an agent that asks on and on does not keep its owner from choosing") {
  Stage stage(Room::none);
  int replaced = 0;
  std::optional<Banner::Choice> choice;
  auto warn = [&](std::size_t waiting) {
    Flood now = flood(Clock::now());
    now.waiting = waiting;
    stage.asker->warn(now, [&](std::optional<Banner::Choice> chosen) {
      choice = chosen;
      if (!chosen) ++replaced;
    });
  };
  warn(2);
  REQUIRE(stage.shows("2 questions wait"));
  // Each warning that comes in the quiet period would begin it anew, if it were a new page.
  const auto begin = Clock::now();
  for (std::size_t waiting = 3; Clock::now() - begin < 900ms; ++waiting) {
    warn(waiting);
    stage.pass(50ms);
  }
  REQUIRE(stage.shows("3 questions wait"));
  REQUIRE(stage.shows("\033[0;1;7;31m D "));
  stage.type("g");
  REQUIRE(stage.until([&] { return choice.has_value(); }));
  CHECK(choice == Banner::Choice::go_on);
  CHECK(replaced > 5);
}

TEST_CASE("a resize while a question is asked draws it for the new size") {
  Stage stage(Room::none);
  stage.ask(named("1", "first thing"));
  REQUIRE(stage.awake());
  stage.forget();
  const winsize bigger{40, 120, 0, 0};
  ::ioctl(stage.human.master.get(), TIOCSWINSZ, &bigger);
  ::raise(SIGWINCH);  // the kernel sends it to the foreground group of the controlling terminal
  CHECK(stage.shows("\033[40;1H"));
}

TEST_CASE("after the shell had the terminal the page is drawn anew, and is quiet again") {
  Stage stage(Room::none);
  stage.ask(named("1", "first thing"));
  REQUIRE(stage.awake());
  stage.forget();
  ::tcsetattr(stage.human.slave.get(), TCSANOW, &stage.before);
  ::raise(SIGCONT);
  REQUIRE(stage.shows("first thing"));
  CHECK(is_raw(stage.human.slave.get()));
  CHECK(stage.screen.find(enter_pages()) != std::string::npos);
  stage.type("o");
  REQUIRE(stage.awake());
  CHECK(stage.answers.empty());
}

TEST_CASE("a terminal that hangs up answers nothing, now and later") {
  for (const Room with : {Room::none, Room::terminal}) {
    Stage stage(with);
    stage.ask(named("1", "first thing"));
    stage.ask(named("2", "second thing"));
    REQUIRE(stage.awake());
    stage.human.master.reset();
    REQUIRE(stage.until([&] { return stage.answers.size() == 2; }));
    CHECK_FALSE(stage.answers[0]);
    CHECK_FALSE(stage.answers[1]);
    stage.ask(named("3", "third thing"));
    REQUIRE(stage.until([&] { return stage.answers.size() == 3; }));
    CHECK_FALSE(stage.answers[2]);
  }
}

TEST_CASE("stop gives the terminal back at once") {
  for (const Room with : {Room::none, Room::terminal}) {
    Stage stage(with);
    stage.ask(named("1", "first thing"));
    REQUIRE(stage.awake());
    stage.forget();
    stage.asker->stop();
    stage.screen += read_now(stage.human.master.get());
    CHECK(stage.screen.starts_with(leave_pages()));
    CHECK(is_raw(stage.human.slave.get()) == (with == Room::terminal));
    REQUIRE(stage.answered(1));
    CHECK_FALSE(stage.answers[0]);
    if (stage.relay) {
      write_all(stage.agent.get(), "on");
      CHECK(stage.shows("on"));
    }
  }
}

TEST_CASE("whoever goes without a word leaves the terminal as it was") {
  Stage stage(Room::none);
  stage.ask(named("1", "first thing"));
  REQUIRE(stage.awake());
  stage.forget();
  stage.asker.reset();
  CHECK(escape(read_now(stage.human.master.get())) == escape(leave_pages()));
  CHECK(same(modes_of(stage.human.slave.get()), stage.before));
}

TEST_CASE("a page that the terminal takes late is quiet from then on") {
  Stage stage(Room::none);
  // A big window and nobody who reads: the pty holds a part of the page only.
  const winsize huge{400, 500, 0, 0};
  ::ioctl(stage.human.master.get(), TIOCSWINSZ, &huge);
  Question question = named("1", "first thing");
  question.content = std::string(300'000, 'x');
  stage.ask(question);
  const auto begin = Clock::now();
  while (Clock::now() - begin < 900ms) {
    stage.loop.restart();
    stage.loop.run_one_for(5ms);
  }
  stage.type("d");
  stage.loop.restart();
  stage.loop.run_for(50ms);
  CHECK(stage.answers.empty());
  REQUIRE(stage.awake());
  stage.type("d");
  CHECK(stage.answered(1));
}
