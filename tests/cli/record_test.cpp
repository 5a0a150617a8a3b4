// Times, the table and the JSON of `agentbox log` and `agentbox rules`.

#include <cstdlib>
#include <ctime>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "moment.hpp"
#include "net_sums.hpp"
#include "record_json.hpp"
#include "record_table.hpp"

using namespace agentbox;
using namespace agentbox::cli;
using store::Event;
using store::Time;

namespace {

// One hour east of UTC in winter, two in summer, for as long as it lives.
class Berlin {
 public:
  Berlin() {
    ::setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    ::tzset();
  }
  ~Berlin() {
    ::unsetenv("TZ");
    ::tzset();
  }
};

Time at(std::int64_t milliseconds) {
  return Time(std::chrono::milliseconds(milliseconds));
}

constexpr std::int64_t second = 1000, hour = 3600 * second, day = 24 * hour;
constexpr std::int64_t now_number = 1'795'357'805'250;  // 2026-11-22 14:30:05.250 UTC

// Milliseconds; -1 for what is no time.
std::int64_t parsed(std::string_view text) {
  auto time = parse_moment(text, at(now_number));
  return time ? time->time_since_epoch().count() : -1;
}

constexpr std::int64_t midnight = now_number - 15 * hour - 30 * 60 * second - 5 * second - 250;  // in Berlin

store::Row row(std::string summary, std::string verdict = "allow") {
  return {.number = 3,
          .event = {.what = Event::What::verdict,
                    .at = at(now_number),
                    .session = "pi-k3f9",
                    .profile = "pi",
                    .question = "q1",
                    .kind = "command",
                    .summary = std::move(summary),
                    .verdict = std::move(verdict),
                    .by = "human"},
          .previous = "p",
          .hash = "h"};
}

std::string table_of(const std::vector<store::Row>& rows, base::Colour colour = base::Colour::off,
                     std::size_t width = 0) {
  std::vector<std::vector<Cell>> cells;
  for (const store::Row& one : rows) cells.push_back(log_cells(one));
  return Table(log_heads(), colour, width).lines(cells);
}

}  // namespace

TEST_CASE("a time is how long ago, a day, or a moment of it") {
  Berlin zone;
  CHECK(parsed("2h") == now_number - 2 * hour);
  CHECK(parsed("30s") == now_number - 30 * second);
  CHECK(parsed("5m") == now_number - 300 * second);
  CHECK(parsed("3d") == now_number - 3 * day);
  CHECK(parsed("1w") == now_number - 7 * day);
  CHECK(parsed("today") == midnight);
  CHECK(parsed("yesterday") == midnight - day);
  CHECK(parsed("2026-11-22") == midnight);
  CHECK(parsed("2026-11-22 15:30") == midnight + 15 * hour + 1800 * second);
  CHECK(parsed("2026-11-22 15:30:05") == now_number - 250);
  CHECK(parsed("2026-11-22T15:30:05.25") == now_number);
  CHECK(parsed("2026-11-22T14:30:05.250Z") == now_number);
  CHECK(parsed("2026-11-22T20:00:05.250999+05:30") == now_number);
  CHECK(parsed("2026-11-22T09:30:05.25-05:00") == now_number);
  // The hour that is there twice, and the day of 25 hours.
  CHECK(parsed("2026-10-26") - parsed("2026-10-25") == 25 * hour);
  CHECK(parsed("2024-02-29") > 0);
}

TEST_CASE("what is no time is refused") {
  for (const char* text : {"",
                           "2",
                           "h",
                           "-2h",
                           "2x",
                           "2h ",
                           " 2h",
                           "99999999999999999999d",
                           "9999999999w",
                           "now-2h",
                           "2026",
                           "2026-11",
                           "2026-13-01",
                           "2026-02-30",
                           "2025-02-29",
                           "2026-00-10",
                           "2026-11-22T",
                           "2026-11-22T25:00",
                           "2026-11-22T14:60",
                           "2026-11-22T14:30:05.",
                           "2026-11-22T14:30:05+5",
                           "2026-11-22T14:30:05+05:60",
                           "2026-11-22T14:30:05Zx",
                           "22.11.2026",
                           "2026-11-22x",
                           "+026-11-22",
                           "Today"}) {
    INFO(text);
    CHECK(parsed(text) == -1);
  }
}

TEST_CASE("times are shown in the local zone, and told to scripts in UTC") {
  Berlin zone;
  CHECK(local_second(at(now_number)) == "2026-11-22 15:30:05");
  CHECK(local_minute(at(now_number)) == "2026-11-22 15:30");
  CHECK(rfc3339(at(now_number)) == "2026-11-22T14:30:05.250Z");
  CHECK(rfc3339(at(-1)) == "1969-12-31T23:59:59.999Z");
  CHECK(parse_moment(rfc3339(at(now_number)), at(0)) == at(now_number));
}

TEST_CASE("a text that should be escaped already is made harmless, and not escaped twice") {
  CHECK(harmless("git push 'a b' $'\\n'") == "git push 'a b' $'\\n'");
  CHECK(harmless("\033[2J\n\xff\\\033\u202e") == "\\x1b[2J\\n\\xff\\\\x1b\\u{202e}");
  CHECK(harmless("").empty());
}

TEST_CASE("the log is a table") {
  Berlin zone;
  store::Row began = row("");
  began.event.what = Event::What::session_began;
  began.event.kind = began.event.verdict = began.event.by = "";
  CHECK(table_of({began, row("git push"), row("git\033[31m pull", "unavailable")}) ==
        "WHEN                 SESSION  VERDICT      BY     KIND     SUMMARY\n"
        "2026-11-22 15:30:05  pi-k3f9  began                        profile pi\n"
        "2026-11-22 15:30:05  pi-k3f9  allow        human  command  git push\n"
        "2026-11-22 15:30:05  pi-k3f9  unavailable  human  command  git\\x1b[31m pull\n");
  CHECK(table_of({}).empty());
}

TEST_CASE("what comes later stays in line, below the same heads") {
  Table table({"A", "B"}, base::Colour::off, 0);
  std::vector<std::vector<Cell>> sooner = {{{"wide cell"}, {"x"}}}, later = {{{"1"}, {"y"}}};
  CHECK(table.lines(sooner) == "A          B\nwide cell  x\n");
  CHECK(table.lines(later) == "1          y\n");
}

TEST_CASE("a long summary is wrapped below itself, whatever its bytes") {
  Table table({"A", "B"}, base::Colour::off, 24);
  auto wrapped = [&](const std::string& text) {
    std::vector<std::vector<Cell>> rows = {{{"1"}, {text}}};
    return table.lines(rows);
  };
  CHECK(wrapped("one two three four five") == "A  B\n1  one two three four\n   five\n");
  CHECK(wrapped("0123456789012345678901234") == "1  012345678901234567890\n   1234\n");
  // Wide characters count twice; none is cut in two.
  CHECK(wrapped("日本語日本語日本語日本語") == "1  日本語日本語日本語日\n   本語\n");
  CHECK(wrapped(harmless("\xe6\x97")) == "1  \\xe6\\x97\n");
}

TEST_CASE("a name of any length leaves the table a table") {
  store::Row odd = row("x");
  odd.event.session = std::string(300, 'a') + "\033";
  std::string text = table_of({odd});
  CHECK_THAT(text, Catch::Contains(std::string(23, 'a') + "…  allow"));
  CHECK(text.find('\033') == std::string::npos);
}

TEST_CASE("colours come only when asked for") {
  CHECK(table_of({row("x")}).find('\033') == std::string::npos);
  CHECK_THAT(table_of({row("x")}, base::Colour::on), Catch::Contains("\033[32mallow\033[0m"));
  CHECK_THAT(table_of({row("x", "deny")}, base::Colour::on), Catch::Contains("\033[31mdeny\033[0m"));
}

TEST_CASE("a row is one line of JSON, with its detail as an object") {
  store::Row one = row("git push");
  one.event.detail = R"({"exit_code": 0, "argv": ["git", "push"]})";
  std::string line = json_line(one);
  CHECK(line.find('\n') == std::string::npos);
  auto json = nlohmann::json::parse(line);
  CHECK(json["number"] == 3);
  CHECK(json["what"] == "verdict");
  CHECK(json["at"] == "2026-11-22T14:30:05.250Z");
  CHECK(json["detail"]["argv"][1] == "push");
}

TEST_CASE("JSON of any bytes is JSON, and harmless on a terminal") {
  for (const std::string& bytes : {std::string("\0\x1b\n", 3), std::string("\xff\xfe"), std::string("\u202e\u009b")}) {
    std::string line = json_line(row(bytes));
    CHECK(nlohmann::json::accept(line));
    for (char c : line) CHECK((c >= 0x20 && c < 0x7f));
  }
  CHECK(nlohmann::json::parse(json_line(row("\xff\\")))["summary"] == "\\xff\\\\");
}

TEST_CASE("a detail that is no object, or far too deep, stays a text") {
  auto detail = [](std::string text) {
    store::Row one = row("x");
    one.event.detail = std::move(text);
    return nlohmann::json::parse(json_line(one))["detail"];
  };
  CHECK(detail("{\"a\":1}").is_object());
  CHECK(detail("").is_string());
  CHECK(detail("{\"a\":1} x").is_string());
  CHECK(detail("[1]").is_string());
  CHECK(detail("{\"a\":\"\xff\"}").is_string());
  std::string deep = "{\"a\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}";
  CHECK(detail(deep) == deep);
}

TEST_CASE("an answer says for whom it holds, for how long, and how it ended") {
  Berlin zone;
  store::Remembered answer{.id = 7,
                           .profile = "pi",
                           .session = "",
                           .kind = "command",
                           .verdict = store::Remembered::Verdict::allow,
                           .rule = "r",
                           .shown = "git push origin *",
                           .created = at(now_number),
                           .used = 12};
  auto line = [&](Shown shown) {
    std::vector<std::vector<Cell>> rows = {rule_cells(answer, at(now_number + day), shown)};
    std::string text = Table(rule_heads(shown), base::Colour::off, 0).lines(rows);
    return text.substr(text.find('\n') + 1);
  };
  CHECK(line(Shown::holding) == "7   pi       always  allow   command  2026-11-22 15:30  12    git push origin *\n");
  answer.session = "pi-k3f9";
  answer.expires = at(now_number + hour);
  CHECK(line(Shown::all) ==
        "7   pi       pi-k3f9, until 2026-11-22 16:30  allow   command  2026-11-22 15:30  12    expired  "
        "git push origin *\n");
  answer.revoked = at(now_number);
  CHECK_THAT(line(Shown::all), Catch::Contains("revoked 2026-11-22 15:30  git push"));

  auto json = nlohmann::json::parse(json_of({answer}, at(now_number)));
  CHECK(json[0]["id"] == 7);
  CHECK(json[0]["session"] == "pi-k3f9");
  CHECK(json[0]["holds"] == false);
  CHECK(json[0]["revoked"] == "2026-11-22T14:30:05.250Z");
  CHECK(json[0]["last_used"].is_null());
}

TEST_CASE("connections are summed up by host, the one that most was sent to first") {
  NetSums sums;
  auto ended = [](std::string host, std::string detail) {
    store::Row one = row(std::move(host));
    one.event.what = Event::What::outcome;
    one.event.kind = "connect";
    one.event.detail = std::move(detail);
    return one;
  };
  sums.add(ended("a.example:443", R"({"outcome":"x","sent":100,"received":5000})"));
  sums.add(ended("b.example:443", R"({"sent":20000,"received":1})"));
  sums.add(ended("a.example:443", R"({"sent":50,"received":7})"));
  sums.add(row("a.example:443", "deny"));
  sums.add(row("a.example:443", "allow"));
  sums.add(ended("broken.example:1", "{"));
  sums.add(ended("broken.example:1", R"({"sent":-5,"received":"many"})"));
  auto rows = sums.rows();
  REQUIRE(rows.size() == 3);
  auto texts = [](const std::vector<Cell>& cells) {
    std::vector<std::string> list;
    for (std::size_t i : {0U, 1U, 2U, 3U, 5U}) list.push_back(cells.at(i).text);
    return list;
  };
  CHECK(texts(rows[0]) == std::vector<std::string>{"20 kB", "1 B", "1", "0", "b.example:443"});
  CHECK(texts(rows[1]) == std::vector<std::string>{"150 B", "5007 B", "2", "1", "a.example:443"});
  CHECK(texts(rows[2]) == std::vector<std::string>{"0 B", "0 B", "2", "0", "broken.example:1"});
  auto first = nlohmann::json::parse(sums.json_lines().substr(0, sums.json_lines().find('\n')));
  CHECK(first["host"] == "b.example:443");
  CHECK(first["sent"] == 20000);
}

TEST_CASE("what could not be done is not called done, and the log says why") {
  Berlin zone;
  auto outcome = [](std::string kind, std::string detail) {
    store::Row one = row("git push", "");
    one.event.what = Event::What::outcome;
    one.event.kind = std::move(kind);
    one.event.by = "";
    one.event.detail = std::move(detail);
    return one;
  };
  auto cells = [&](const store::Row& one) {
    const std::vector<Cell> all = log_cells(one);
    return all[2].text + "|" + all[5].text;
  };
  CHECK(cells(outcome("command", R"({"outcome":"exit code 1"})")) == "done|git push");
  CHECK(cells(outcome("command", R"({"outcome":"not started: cannot be executed: Permission denied"})")) ==
        "not started|git push (cannot be executed: Permission denied)");
  CHECK(cells(outcome("message", R"({"outcome":"not sent: exit code 75: smtp says \\x1b[2J no"})")) ==
        "not sent|git push (exit code 75: smtp says \\x1b[2J no)");
  CHECK(cells(outcome("message", R"({"outcome":"unknown: \u001b[31mred"})")) == "unknown|git push (\\x1b[31mred)");
  CHECK(cells(outcome("payment", R"({"outcome":"not paid"})")) == "not paid|git push");
  for (const char* odd : {"", "{}", "[]", R"({"outcome":7})", R"({"outcome":"not startedly"})", "no JSON"}) {
    CHECK(cells(outcome("command", odd)) == "done|git push");
  }
  store::Row ended = row("", "");
  ended.event.what = Event::What::session_ended;
  CHECK(cells(ended) == "ended|profile pi");
  ended.event.detail = R"({"killed":true})";
  CHECK(cells(ended) == "killed|profile pi");
}

TEST_CASE("a verdict that is no person's says why, and one that nobody gave says so") {
  Berlin zone;
  store::Row alone = row("example.org:443", "unavailable");
  alone.event.by = "fault";
  alone.event.detail =
      R"({"reason": "the owner must be asked, and can't be: nobody watches; tell him what you wanted"})";
  CHECK_THAT(table_of({alone}),
             Catch::Contains("unavailable  nobody  command  example.org:443 (the owner must be asked, "
                             "and can't be: nobody watches)\n"));
  store::Row person = row("git push", "deny");
  person.event.detail = R"({"reason": "not today"})";
  CHECK_THAT(table_of({person}), Catch::Contains("human  command  git push\n"));
}

TEST_CASE("the outcome of a change at the end of a run is what became of it") {
  Berlin zone;
  store::Row taken = row("create AGENTS.md");
  taken.event.what = Event::What::outcome;
  taken.event.kind = "change";
  for (const char* word : {"quarantined", "restored", "kept"}) {
    taken.event.detail = std::string(R"({"outcome": ")") + word + "\"}";
    CHECK_THAT(table_of({taken}), Catch::Contains(word));
  }
}
