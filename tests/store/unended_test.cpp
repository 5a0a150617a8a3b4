// Sessions that ended without saying so.

#include <csignal>

#include <sys/wait.h>

#include "agentbox/store/process.hpp"

#include "support.hpp"

using namespace store_test;

namespace {

Event of(const std::string& session, What what, const std::string& question = {}, const std::string& verdict = {}) {
  return {.what = what,
          .at = at(1'700'000'000'000),
          .session = session,
          .profile = "pi",
          .question = question,
          .kind = question.empty() ? "" : "message",
          .summary = question,
          .verdict = verdict};
}

// "pi-1: q2 by allow, q3 by allow"
std::string unended(const Store& store) {
  std::string text;
  for (const Unended& one : store.unended()) {
    text += one.began.session + ":";
    for (const Unended::Deed& deed : one.deeds) {
      CHECK(deed.request.what == What::request);
      CHECK(deed.request.question == deed.verdict.question);
      text += " " + deed.verdict.question + deed.verdict.by;
    }
    text += ";";
  }
  return text;
}

}  // namespace

TEST_CASE("what was allowed and has no outcome is found, in sessions that have not ended") {
  Folder folder;
  Store store(folder.record(), Access::write);
  CHECK(store.unended().empty());
  store.append(of("", What::rule_revoked));  // of no session
  store.append(of("pi-1", What::session_began));
  CHECK(unended(store) == "pi-1:;");
  for (const char* question : {"q1", "q2", "q3", "q4", "q5"}) store.append(of("pi-1", What::request, question));
  store.append(of("pi-1", What::verdict, "q1", "allow"));
  store.append(of("pi-1", What::outcome, "q1"));
  store.append(of("pi-1", What::verdict, "q2", "allow"));
  store.append(of("pi-1", What::verdict, "q3", "deny"));
  // Delayed: allowed, and cancelled; allowed, and its time is over.
  store.append(of("pi-1", What::verdict, "q4", "allow"));
  store.append(of("pi-1", What::verdict, "q4", "deny"));
  store.append(of("pi-1", What::verdict, "q5", "allow"));
  Event over = of("pi-1", What::verdict, "q5", "allow");
  over.by = "clock";
  store.append(over);
  CHECK(unended(store) == "pi-1: q2 q5clock;");
  store.append(of("pi-2", What::session_began));
  CHECK(unended(store) == "pi-1: q2 q5clock;pi-2:;");
  store.append(of("pi-1", What::session_ended));
  CHECK(unended(store) == "pi-2:;");
  // A name comes again: of the earlier session nothing is open.
  store.append(of("pi-1", What::session_began));
  CHECK(unended(store) == "pi-1:;pi-2:;");
  store.append(of("pi-1", What::request, "q1"));
  store.append(of("pi-1", What::verdict, "q1", "allow"));
  CHECK(unended(store) == "pi-1: q1;pi-2:;");
}

TEST_CASE("rows are added behind what was looked at, or not at all") {
  Folder folder;
  Store store(folder.record(), Access::write);
  store.append(of("pi-1", What::session_began));
  const std::vector<Event> ends{of("pi-1", What::outcome, "q1"), of("pi-1", What::session_ended)};
  const std::int64_t rows = store.head().rows;
  store.append(of("pi-1", What::request, "q2"));
  CHECK_FALSE(store.append_behind(rows, ends));
  CHECK(store.head().rows == 2);
  CHECK(store.append_behind(2, ends));
  CHECK(store.head().rows == 4);
  CHECK_FALSE(store.append_behind(2, ends));
  CHECK(verified(folder.record()).empty());
}

TEST_CASE("a process is known by more than its number") {
  const std::string own = this_process();
  CHECK(is_running(own) == Running::yes);
  CHECK(is_running(own + "0") == Running::no);  // the number was given to another one since
  CHECK(is_running("another-boot" + own.substr(own.find(' '))) == Running::no);
  for (const char* text : {"", "x", "a b c", "a b c d", "a 1 2 3 4", "a 1 -2 3"})
    CHECK(is_running(text) == Running::unknown);
  // One of a pid namespace that can't be seen from here.
  const std::size_t first = own.find(' '), second = own.find(' ', first + 1);
  CHECK(is_running(own.substr(0, first) + " 1" + own.substr(second)) == Running::unknown);
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const std::string mine = this_process();
    (void)!::write(ready[1], mine.data(), mine.size());
    ::pause();
    ::_exit(0);
  }
  char text[200];
  const ssize_t count = ::read(ready[0], text, sizeof text);
  REQUIRE(count > 0);
  const std::string other(text, static_cast<std::size_t>(count));
  CHECK(is_running(other) == Running::yes);
  ::kill(child, SIGKILL);
  siginfo_t info{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) == 0);
  CHECK(is_running(other) == Running::no);  // a zombie does nothing any more
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  CHECK(is_running(other) == Running::no);
  ::close(ready[0]);
  ::close(ready[1]);
}
