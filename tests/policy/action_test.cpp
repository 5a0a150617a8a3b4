#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "actions.hpp"

using namespace agentbox;
using namespace agentbox::policy;
using test::command;

namespace {

// Texts that try to look like several, or like a part of the encoding.
const std::vector<std::string> hostile{"",     " ",    "a", "b",   "a b",   "1:a",
                                       " 1:a", "0:",   "%", "%20", "a%20b", std::string("\0", 1),
                                       "\n",   "\xff", "1", "é",   "2:1:a"};

class Maker {
 public:
  explicit Maker(unsigned seed) : random_(seed) {}
  Action make() {
    switch (number(8)) {
      case 0: return Connect{text(), static_cast<std::uint16_t>(number(3))};
      case 1: return Open{path(), number(2) == 0 ? Open::For::reading : Open::For::writing};
      case 2: return Change{path(), text(), text(), number(3)};
      case 3: {
        Command result{.argv = texts(), .directory = path(), .terminal = terminal()};
        if (number(2) == 0) {
          result.program = Program{path(), number(2), number(2), text(),
                                   number(2) == 0 ? Program::Writable::no : Program::Writable::yes};
        }
        return result;
      }
      case 4: {
        Message result{text(), texts(), text(), text(), {}};
        for (std::size_t i = number(3); i > 0; --i) result.attachments.push_back({text(), text(), number(2)});
        return result;
      }
      case 5: return Payment{static_cast<std::int64_t>(number(3)) - 1, text(), text(), text(), text()};
      case 6: return Excess{text(), text(), text(), static_cast<std::int64_t>(number(3)), 5};
      default: return ToolCall{text(), text(), text()};
    }
  }

 private:
  std::size_t number(std::size_t below) { return std::uniform_int_distribution<std::size_t>(0, below - 1)(random_); }
  std::string text() { return hostile[number(hostile.size())]; }
  std::vector<std::string> texts() {
    std::vector<std::string> all(number(4));
    for (std::string& one : all) one = text();
    return all;
  }
  base::AbsPath path() {
    static const std::vector<std::string> paths{"/", "/a", "/a b", "/a/b", "/1:a"};
    return *base::AbsPath::parse(paths[number(paths.size())]);
  }
  Command::Terminal terminal() { return number(2) == 0 ? Command::Terminal::none : Command::Terminal::pty; }
  std::mt19937 random_;
};

}  // namespace

TEST_CASE("two actions have the same canonical form exactly when they are equal") {
  std::vector<std::pair<std::string, Action>> all;
  Maker maker(1);
  for (int i = 0; i < 20000; ++i) {
    Action action = maker.make();
    all.emplace_back(canonical(action), std::move(action));
  }
  std::ranges::stable_sort(all, {}, &std::pair<std::string, Action>::first);
  std::size_t twins = 0;
  for (std::size_t i = 1; i < all.size(); ++i) {
    if (all[i - 1].first != all[i].first) continue;
    ++twins;
    if (!(all[i - 1].second == all[i].second)) FAIL(all[i].first);
  }
  CHECK(twins > 100);  // the control: equal actions do meet, and have one form
}

TEST_CASE("every way to cut the same words into elements has a form of its own") {
  std::vector<std::string> forms;
  for (const test::Argv& argv : {test::Argv{"a b"},
                                 {"a", "b"},
                                 {"a", "", "b"},
                                 {"", "a b"},
                                 {"a b", ""},
                                 {"a  b"},
                                 {"ab"},
                                 {"a 1:b"},
                                 {"1:a", "1:b"},
                                 {},
                                 {""},
                                 {"", ""}}) {
    forms.push_back(canonical(command(argv)));
  }
  std::ranges::sort(forms);
  CHECK(std::ranges::adjacent_find(forms) == forms.end());
}

TEST_CASE("the canonical form is printable ASCII and stays the same between versions") {
  std::string form = canonical(command({"git", "a b", "\n\xff"}));
  CHECK(form == "command 3 3:git 5:a%20b 6:%0a%ff 12:/home/u/work 0 0");
  Maker maker(2);
  for (int i = 0; i < 2000; ++i) {
    std::string text = canonical(maker.make());
    CHECK(std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; }));
  }
}

TEST_CASE("every kind has its name and its nature") {
  CHECK(kind_of(Connect{}) == "connect");
  CHECK(kind_of(Open{}) == "open");
  CHECK(kind_of(Change{}) == "change");
  CHECK(kind_of(Command{}) == "command");
  CHECK(kind_of(Message{}) == "message");
  CHECK(kind_of(Payment{}) == "payment");
  CHECK(kind_of(ToolCall{}) == "tool");
  CHECK(kind_of(Excess{}) == "excess");
  for (const Action& deed :
       {Action(Change{}), Action(Command{}), Action(Message{}), Action(Payment{}), Action(ToolCall{})}) {
    CHECK(nature_of(deed) == Nature::deed);
  }
  CHECK(nature_of(Connect{}) == Nature::state);
  CHECK(nature_of(Open{}) == Nature::state);
  CHECK(nature_of(Excess{}) == Nature::state);
}

TEST_CASE("a summary says in one line what would be done") {
  auto path = [](std::string_view text) { return *base::AbsPath::parse(text); };
  CHECK(summary(command({"git", "push", "origin", "main"})) == "git push origin main");
  CHECK(summary(command({"a b"})) == "'a b'");
  CHECK(summary(command({"a", "b"})) == "a b");
  CHECK(summary(command({"echo", "\x1b[2J\n"})) == "echo $'\\x1b[2J\\n'");
  CHECK(summary(Connect{"api.example.org", 443}) == "api.example.org:443");
  CHECK(summary(Connect{"fd00::1", 80}) == "[fd00::1]:80");
  CHECK(summary(Open{path("/a"), Open::For::writing}) == "write /a");
  CHECK(summary(Change{path("/a"), "x", "y", 3}) == "change /a");
  CHECK(summary(Change{path("/a"), "", "y", 3}) == "create /a");
  CHECK(summary(Change{path("/a"), "x", "", 0}) == "remove /a");
  CHECK(summary(Message{"email", {"a@b", "c\u202e"}, "hi\r", "", {}}) == "email to a@b, c\\u{202e}: hi\\r");
  CHECK(summary(Payment{1250, "USD", "alice", "", ""}) == "12.50 USD to alice");
  CHECK(summary(Payment{5, "USD", "alice", "", ""}) == "0.05 USD to alice");
  CHECK(summary(Payment{1250, "JPY", "bob", "", ""}) == "1250 JPY to bob");
  CHECK(summary(Payment{1250, "KWD", "bob", "", ""}) == "1.250 KWD to bob");
  CHECK(summary(Payment{std::numeric_limits<std::int64_t>::min(), "USD", "x", "", ""}) ==
        "-92233720368547758.08 USD to x");
  CHECK(summary(ToolCall{"files", "delete", "{}"}) == "files/delete {}");
  CHECK(summary(Excess{"network.bytes_out", "50 MB/session", "", 1, 2}) == "more than 50 MB/session to all hosts");
  CHECK(summary(Excess{"network.bytes_out_per_host", "1 KB/day", "a.example", 1, 2}) ==
        "more than 1 KB/day to a.example");
}

TEST_CASE("a long summary is cut between characters and escapes, never within one") {
  for (std::size_t shift = 0; shift < 12; ++shift) {
    for (const std::string& unit : {std::string("é"), std::string("\x01"), std::string("\u202e"), std::string("\\")}) {
      std::string text(shift, 'a');
      while (text.size() < 4000) text += unit;
      std::string line = summary(Connect{text, 1});
      INFO(line);
      CHECK(line.size() <= 200);
      CHECK(line.size() > 180);
      CHECK(line.ends_with("…"));
      line.resize(line.size() - std::string_view("…").size());
      std::string whole = base::escape(text);
      CHECK(whole.starts_with(line));
      // What is left out begins with something whole.
      CHECK((whole.size() - line.size()) % base::escape(unit).size() == 0);
    }
  }
  CHECK(summary(command({std::string(64, 'x'), std::string(300, ' ')})).size() <= 200);
  CHECK(summary(Connect{std::string(196, 'a'), 443}) == std::string(196, 'a') + ":443");
}
