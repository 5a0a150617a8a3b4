#include "agentbox/prompt/relay.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include <signal.h>
#include <sys/ioctl.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "agentbox/base/escape.hpp"

#include "pty.hpp"

using namespace std::chrono_literals;
using agentbox::base::escape;
using agentbox::base::UniqueFd;
using agentbox::prompt::HumanTerminal;
using agentbox::prompt::Relay;
using agentbox::test::is_raw;
using agentbox::test::modes_of;
using agentbox::test::Pty;
using agentbox::test::read_now;
using agentbox::test::same;
using agentbox::test::write_all;

namespace {

// The human with his terminal, the relay, and the agent at its pty.
struct Stage {
  explicit Stage(HumanTerminal::Keyboard keyboard = HumanTerminal::Keyboard::exclusive)
      : before(modes_of(human.slave.get())), terminal(std::in_place, human.open_slave(), keyboard) {
    agent = room.open_slave();
    room.slave.reset();
    relay.emplace(loop, *terminal, std::move(room.master), [this] { lost = true; });
  }

  // Runs the loop until it holds; false after ten seconds.
  template <class Condition>
  bool until(Condition condition) {
    const auto limit = std::chrono::steady_clock::now() + 10s;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > limit) return false;
      loop.restart();
      loop.run_one_for(5ms);
    }
    return true;
  }

  bool shows(std::string_view text) {
    return until([&] {
      screen += read_now(human.master.get());
      return screen.find(text) != std::string::npos;
    });
  }

  bool agent_reads(std::string_view text) {
    return until([&] {
      typed += read_now(agent.get());
      return typed.find(text) != std::string::npos;
    });
  }

  std::optional<Relay::End> drain(std::chrono::milliseconds limit = 5s) {
    std::optional<Relay::End> end;
    relay->drain(limit, [&](Relay::End how) { end = how; });
    until([&] {
      screen += read_now(human.master.get());
      return end.has_value();
    });
    screen += read_now(human.master.get());
    return end;
  }

  void agent_makes_raw() {
    termios raw = modes_of(agent.get());
    ::cfmakeraw(&raw);
    ::tcsetattr(agent.get(), TCSANOW, &raw);
  }

  boost::asio::io_context loop;
  Pty human, room;
  termios before;
  UniqueFd agent;
  std::optional<HumanTerminal> terminal;
  std::optional<Relay> relay;
  std::string screen, typed;
  bool lost = false;
};

}  // namespace

TEST_CASE("the terminal is raw while the agent runs, and as it was afterwards") {
  Stage stage;
  CHECK_FALSE(is_raw(stage.human.slave.get()));
  stage.relay->start();
  CHECK(is_raw(stage.human.slave.get()));
  stage.agent.reset();
  CHECK(stage.drain() == Relay::End::complete);
  CHECK(same(modes_of(stage.human.slave.get()), stage.before));
}

TEST_CASE("the terminal is restored when the relay goes without an end") {
  Stage stage;
  stage.relay->start();
  write_all(stage.agent.get(), "\033[?1049h\033[?25lx");
  REQUIRE(stage.shows("x"));
  stage.relay.reset();  // as an exception does
  CHECK(same(modes_of(stage.human.slave.get()), stage.before));
  CHECK(escape(read_now(stage.human.master.get())) == "\\x1b[?1049l\\x1b[?25h");
}

TEST_CASE("the room's terminal has the modes and the size of the human's") {
  Stage stage;
  termios modes = stage.before;
  modes.c_cc[VINTR] = 'K' & 0x1f;
  ::tcsetattr(stage.human.slave.get(), TCSANOW, &modes);
  stage.relay->start();
  CHECK(same(modes_of(stage.agent.get()), modes));
  winsize size{};
  ::ioctl(stage.agent.get(), TIOCGWINSZ, &size);
  CHECK(size.ws_row == 24);
  CHECK(size.ws_col == 80);
}

TEST_CASE("a resize of the terminal reaches the room") {
  Stage stage;
  stage.relay->start();
  const winsize bigger{50, 132, 0, 0};
  ::ioctl(stage.human.master.get(), TIOCSWINSZ, &bigger);
  ::raise(SIGWINCH);  // the kernel sends it to the foreground group of the controlling terminal
  CHECK(stage.until([&] {
    winsize size{};
    ::ioctl(stage.agent.get(), TIOCGWINSZ, &size);
    return size.ws_row == 50 && size.ws_col == 132;
  }));
}

TEST_CASE("what is typed reaches the room as it is") {
  Stage stage;
  stage.relay->start();
  stage.agent_makes_raw();
  const std::string keys = "a\003\032\034\021\023\r\n\004\377\033[A";
  write_all(stage.human.master.get(), keys);
  stage.agent_reads("\033[A");
  CHECK(escape(stage.typed) == escape(keys));
}

TEST_CASE("what the agent prints is filtered") {
  Stage stage;
  stage.relay->start();
  write_all(stage.agent.get(), "a\033]52;c;eA==\a\033]0;title\ab\n");
  REQUIRE(stage.shows("\n"));
  CHECK(escape(stage.screen) == "ab\\r\\n");
  CHECK(stage.relay->dropped() == 2);
}

TEST_CASE("a program that switches nothing adds not one byte") {
  Stage stage;
  stage.relay->start();
  write_all(stage.agent.get(), "\033[01;34mfolder\033[0m\n");
  stage.agent.reset();
  CHECK(stage.drain() == Relay::End::complete);
  CHECK(escape(stage.screen) == "\\x1b[01;34mfolder\\x1b[0m\\r\\n");
}

TEST_CASE("no byte of ten megabytes is lost, and the end comes after the last") {
  Stage stage;
  stage.relay->start();
  std::string text;
  while (text.size() < 10'000'000) text += "line " + std::to_string(text.size()) + " of a long output\n";
  std::string expected;
  for (char c : text) expected += c == '\n' ? "\r\n" : std::string(1, c);
  std::thread agent([&] {
    write_all(stage.agent.get(), text);
    stage.agent.reset();
  });
  std::thread human([&] {
    while (stage.screen.size() < expected.size()) {
      pollfd ready{stage.human.master.get(), POLLIN, 0};
      if (::poll(&ready, 1, 10'000) != 1) break;
      stage.screen += read_now(stage.human.master.get());
    }
  });
  std::optional<Relay::End> end;
  stage.relay->drain(60s, [&](Relay::End how) { end = how; });
  CHECK(stage.until([&] { return end.has_value(); }));
  agent.join();
  human.join();
  CHECK(end == Relay::End::complete);
  CHECK((stage.screen == expected));
}

TEST_CASE("a terminal that takes nothing holds the agent back") {
  Stage stage;
  stage.relay->start();
  std::size_t printed = 0;
  const std::string line(4096, 'x');
  // Until nothing goes any more: the pipes in between are full.
  auto quiet_since = std::chrono::steady_clock::now();
  stage.until([&] {
    const auto count = ::write(stage.agent.get(), line.data(), line.size());
    if (count > 0) {
      printed += static_cast<std::size_t>(count);
      quiet_since = std::chrono::steady_clock::now();
    }
    return std::chrono::steady_clock::now() - quiet_since > 300ms;
  });
  CHECK(printed < 1'000'000);
  // And then on.
  std::size_t shown = 0;
  CHECK(stage.until([&] {
    shown += read_now(stage.human.master.get()).size();
    return shown == printed;
  }));
}

TEST_CASE("an end that does not come is not waited for") {
  Stage stage;
  stage.relay->start();
  write_all(stage.agent.get(), "said");
  CHECK(stage.drain(50ms) == Relay::End::cut);  // the agent's terminal stays open
  CHECK(stage.screen == "said");
  CHECK(same(modes_of(stage.human.slave.get()), stage.before));
}

TEST_CASE("what the agent left switched on is switched off at the end") {
  Stage stage;
  stage.relay->start();
  write_all(stage.agent.get(), "\033[?1049h\033[?2004h\033[31mx");
  stage.agent.reset();
  stage.drain();
  CHECK(escape(stage.screen) == "\\x1b[?1049h\\x1b[?2004h\\x1b[31mx\\x1b[?1049l\\x1b[?2004l\\x1b[m");
}

TEST_CASE("answers reach the agent while it runs") {
  Stage stage;
  stage.relay->start();
  stage.agent_makes_raw();
  write_all(stage.agent.get(), "\033[6n");
  REQUIRE(stage.shows("\033[6n"));
  write_all(stage.human.master.get(), "\033[12;40R");
  CHECK(stage.agent_reads("\033[12;40R"));
}

TEST_CASE("answers that come after the agent's end are thrown away before the terminal is given back") {
  Stage stage;
  stage.relay->start();
  write_all(stage.agent.get(), "\033[6n");
  stage.agent.reset();
  std::optional<Relay::End> end;
  stage.relay->drain(5s, [&](Relay::End how) { end = how; });
  REQUIRE(stage.shows("\033[6n\033[c"));  // the agent's question, then the fence
  CHECK(is_raw(stage.human.slave.get()));
  write_all(stage.human.master.get(), "\033[12;40R");
  stage.loop.restart();
  stage.loop.run_for(20ms);
  CHECK_FALSE(end.has_value());
  write_all(stage.human.master.get(), "\033[?62c");
  REQUIRE(stage.until([&] { return end.has_value(); }));
  CHECK(end == Relay::End::complete);
  CHECK(same(modes_of(stage.human.slave.get()), stage.before));
  CHECK(read_now(stage.terminal->fd()).empty());
}

TEST_CASE("a terminal that never answers is waited for one second at most") {
  Stage stage;
  stage.relay->start();
  write_all(stage.agent.get(), "\033[6n");
  stage.agent.reset();
  const auto begin = std::chrono::steady_clock::now();
  CHECK(stage.drain() == Relay::End::complete);
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
  CHECK(same(modes_of(stage.human.slave.get()), stage.before));
}

TEST_CASE("while it is held, the agent's output waits and its keys go to the holder") {
  Stage stage;
  stage.relay->start();
  write_all(stage.agent.get(), "\033[?1000hbefore");
  REQUIRE(stage.shows("before"));
  bool ready = false;
  stage.relay->hold([&] { ready = true; });
  REQUIRE(stage.until([&] { return ready; }));
  write_all(stage.agent.get(), "after");
  write_all(stage.human.master.get(), "y");
  stage.loop.restart();
  stage.loop.run_for(50ms);
  CHECK(read_now(stage.human.master.get()).empty());
  CHECK(read_now(stage.agent.get()).empty());
  CHECK(read_now(stage.terminal->fd()) == "y");
  CHECK(escape(stage.relay->leave_modes()) == "\\x1b[?1000l");
  stage.screen.clear();
  stage.relay->release();
  REQUIRE(stage.shows("after"));
  CHECK(escape(stage.screen) == "\\x1b[?1000hafter");
}

TEST_CASE("hold is ready only when no answer can be taken for a key") {
  Stage stage;
  stage.relay->start();
  write_all(stage.agent.get(), "\033[?2026$p");
  REQUIRE(stage.shows("$p"));
  bool ready = false;
  stage.relay->hold([&] { ready = true; });
  REQUIRE(stage.shows("\033[c"));
  CHECK_FALSE(ready);
  write_all(stage.human.master.get(), "\033[?2026;2$y\033[?62c");
  REQUIRE(stage.until([&] { return ready; }));
  CHECK(read_now(stage.terminal->fd()).empty());
}

TEST_CASE("a terminal that hangs up is reported once, and the agent goes on") {
  Stage stage;
  stage.relay->start();
  stage.human.master.reset();
  REQUIRE(stage.until([&] { return stage.lost; }));
  const std::string line(4096, 'x');
  std::size_t printed = 0;
  CHECK(stage.until([&] {
    const auto count = ::write(stage.agent.get(), line.data(), line.size());
    if (count > 0) printed += static_cast<std::size_t>(count);
    return printed > 1'000'000;
  }));
  std::optional<Relay::End> end;
  stage.agent.reset();
  stage.relay->drain(5s, [&](Relay::End how) { end = how; });
  REQUIRE(stage.until([&] { return end.has_value(); }));
  CHECK(end == Relay::End::no_terminal);
}

TEST_CASE("a pty that no program has open for a while is taken up again") {
  Stage stage;
  const std::string name = ::ptsname(stage.human.master.get());
  // The room's end, by its own name.
  Pty other;
  UniqueFd slave = other.open_slave();
  const std::string room_name = ::ptsname(other.master.get());
  other.slave.reset();
  stage.relay.emplace(stage.loop, *stage.terminal, std::move(other.master));
  stage.relay->start();
  write_all(slave.get(), "one");
  REQUIRE(stage.shows("one"));
  slave.reset();
  stage.loop.restart();
  stage.loop.run_for(50ms);
  slave.reset(::open(room_name.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
  write_all(slave.get(), "two");
  CHECK(stage.shows("two"));
}

// `agentbox run ... | less`
TEST_CASE("a shared keyboard is left alone until it is meant") {
  Stage stage(HumanTerminal::Keyboard::shared);
  stage.relay->start();
  CHECK_FALSE(is_raw(stage.human.slave.get()));
  SECTION("a pager has it: nothing is read") {
    termios raw = stage.before;
    ::cfmakeraw(&raw);
    ::tcsetattr(stage.human.slave.get(), TCSANOW, &raw);
    write_all(stage.human.master.get(), "q");
    stage.loop.restart();
    stage.loop.run_for(250ms);
    CHECK(same(modes_of(stage.human.slave.get()), raw));
    CHECK(read_now(stage.terminal->fd()) == "q");
  }
  SECTION("the room's program reads keys: it is taken") {
    stage.agent_makes_raw();
    REQUIRE(stage.until([&] { return is_raw(stage.human.slave.get()); }));
    write_all(stage.human.master.get(), "k");
    CHECK(stage.agent_reads("k"));
  }
  SECTION("a line is typed: it is taken") {
    write_all(stage.human.master.get(), "answer\n");
    CHECK(stage.agent_reads("answer\n"));
    CHECK(is_raw(stage.human.slave.get()));
  }
  SECTION("questions are not asked, since nobody listens") {
    write_all(stage.agent.get(), "a\033[6nb");
    REQUIRE(stage.shows("b"));
    CHECK(stage.screen == "ab");
  }
}
