#include "agentbox/prompt/terminal_filter.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "agentbox/base/escape.hpp"

#include "sequences.hpp"

using namespace agentbox::prompt;
using agentbox::base::escape;

namespace {

std::string filtered(std::string_view in) {
  TerminalFilter filter;
  std::string out;
  filter.feed(in, out);
  filter.finish();
  return out;
}

// What is blocked must be blocked by itself: the text around it arrives, and it is counted once.
void check_blocked(std::string_view sequence) {
  INFO(escape(sequence));
  TerminalFilter filter;
  std::string out;
  filter.feed("before" + std::string(sequence) + "after", out);
  filter.finish();
  CHECK(out == "beforeafter");
  CHECK(filter.dropped() == 1);
}

void check_passes(std::string_view sequence) {
  INFO(escape(sequence));
  TerminalFilter filter;
  std::string out;
  filter.feed(sequence, out);
  CHECK(escape(out) == escape(sequence));
  CHECK(filter.dropped() == 0);
}

// A sequence that the row is about.
std::string example(const CsiRule& rule) {
  const bool has_prefix = rule.shape.front() >= '<' && rule.shape.front() <= '?';
  std::string sequence = "\033[" + std::string(rule.shape.substr(0, has_prefix ? 1 : 0));
  switch (rule.parameters) {
    case Parameters::none: break;
    case Parameters::numbers: sequence += rule.verdict == Verdict::drop ? "3;4;5;6;7" : "3;4"; break;
    case Parameters::listed:
    case Parameters::required: sequence += std::to_string(rule.values[0]); break;
    case Parameters::one:
    case Parameters::single: sequence += "3"; break;
    case Parameters::styles: sequence += "4:3;38:2::1:2:3;1"; break;
    case Parameters::ansi_modes: sequence += "4"; break;
    case Parameters::private_modes: sequence += "1049"; break;
    case Parameters::keys: sequence += "4;2"; break;
  }
  return sequence + std::string(rule.shape.substr(has_prefix ? 1 : 0));
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool accept() {
  return std::getenv("AGENTBOX_ACCEPT") != nullptr;
}

void check_golden(const std::string& name, const std::string& result) {
  const std::string path = std::string(GOLDEN_FOLDER "/") + name;
  if (accept()) std::ofstream(path, std::ios::binary) << result;
  INFO(path);
  CHECK(escape(result) == escape(read_file(path)));
}

}  // namespace

TEST_CASE("text passes byte for byte") {
  check_passes("plain text\twith tabs\r\nand lines\b\a\f\v");
  check_passes("grüße, 世界 🙂, a longer line so that more than one block of sixteen bytes is looked at: é");
  check_passes(std::string_view("\0", 1));
  check_passes("\x7f");
}

TEST_CASE("every row of the table does what it says") {
  std::string table;
  auto line = [&table](std::string_view sequence, Verdict verdict) {
    table += escape(sequence);
    table += verdict == Verdict::pass ? "\tpass\n" : verdict == Verdict::ask ? "\task\n" : "\tdrop\n";
  };
  auto check = [&](const std::string& sequence, Verdict verdict) {
    line(sequence, verdict);
    verdict == Verdict::drop ? check_blocked(sequence) : check_passes(sequence);
  };
  for (const auto& rule : csi_rules()) check(example(rule), rule.verdict);
  for (const auto& mode : private_modes()) {
    check("\033[?" + std::to_string(mode.number) + "h", mode.set);
    check("\033[?" + std::to_string(mode.number) + "l", mode.reset);
  }
  for (const auto& mode : ansi_modes()) {
    check("\033[" + std::to_string(mode.number) + "h", mode.set);
    check("\033[" + std::to_string(mode.number) + "l", mode.reset);
  }
  for (const auto& rule : escape_rules()) {
    if (rule.shape != "c") check("\033" + std::string(rule.shape), rule.verdict);
  }
  for (const auto& rule : osc_rules()) {
    std::string sequence = "\033]" + std::string(rule.number);
    if (rule.number == "P") {
      check(sequence + "0a1b2c3", rule.verdict);
      continue;
    }
    if (rule.number == "R") {
      check(sequence, rule.verdict);
      continue;
    }
    switch (rule.text) {
      case OscText::hyperlink: sequence += ";;https://example.org/"; break;
      case OscText::colour_or_query: sequence += ";#ff0000"; break;
      case OscText::query: sequence += ";?"; break;
      case OscText::indexed_query: sequence += ";1;?"; break;
      case OscText::none: sequence += rule.verdict == Verdict::drop ? ";text" : ""; break;
    }
    check(sequence + "\a", rule.verdict);
    check(sequence + "\033\\", rule.verdict);
  }
  for (const auto& rule : string_rules()) check("\033" + std::string(1, rule.introducer) + "text\033\\", Verdict::drop);
  for (const auto& rule : control_rules()) check(std::string(1, rule.control), rule.verdict);
  check_golden("table.txt", table);
}

TEST_CASE("every row says why") {
  for (const auto& rule : csi_rules()) CHECK_FALSE(rule.reason.empty());
  for (const auto& rule : escape_rules()) CHECK_FALSE(rule.reason.empty());
  for (const auto& rule : osc_rules()) CHECK_FALSE(rule.reason.empty());
  for (const auto& rule : string_rules()) CHECK_FALSE(rule.reason.empty());
  for (const auto& rule : control_rules()) CHECK_FALSE(rule.reason.empty());
  for (const auto& rule : private_modes()) CHECK_FALSE(rule.reason.empty());
  for (const auto& rule : ansi_modes()) CHECK_FALSE(rule.reason.empty());
}

TEST_CASE("what has no row does not pass") {
  check_blocked("\033[?123456h");
  check_blocked("\033[?4242h");
  check_blocked("\033[5y");
  check_blocked("\033]424242;x\a");
  check_blocked("\033#9");
  check_blocked("\033V");
}

TEST_CASE("a list of modes loses only what must not pass") {
  CHECK(filtered("\033[?1000;1001;1006h") == "\033[?1000;1006h");
  CHECK(filtered("\033[?3;4l\033[4l") == "\033[?4l\033[4l");
  CHECK(filtered("\033[4;2h") == "\033[4h");
}

TEST_CASE("a sequence with too many or too big parameters does not pass") {
  check_passes("\033[65534b");
  check_blocked("\033[65535b");
  check_blocked("\033[99999999999999999999999b");
  std::string many = "\033[1";
  for (int i = 1; i < 32; ++i) many += ";1";
  check_passes(many + "m");
  check_blocked(many + ";1m");
  check_blocked("\033[" + std::string(5000, '1') + "m");
  check_blocked("\033]8;;https://" + std::string(5000, 'a') + "\a");
}

TEST_CASE("a malformed sequence does not pass") {
  check_blocked("\033[1?h");
  check_blocked("\033[?1?h");
  check_blocked("\033[ 1q");
  check_blocked("\033[????h");
  check_blocked("\033[1:2H");
}

TEST_CASE("colours of every form pass") {
  check_passes("\033[0;1;31;42m\033[38;5;208m\033[48;2;1;2;3m\033[38:2::10:20:30m\033[4:3m\033[58:5:1m\033[m");
}

TEST_CASE("a link passes to http and https only") {
  check_passes("\033]8;id=a1;https://example.org/x?y=z#f\033\\text\033]8;;\033\\");
  check_passes("\033]8;;http://localhost:8080/\a");
  check_blocked("\033]8;;file:///etc/passwd\a");
  check_blocked("\033]8;;mailto:x@example.org?attach=/home/me/.ssh/id\a");
  check_blocked("\033]8;;HTTPS://example.org/\a");
  check_blocked("\033]8;;https://example.org/a b\a");
  check_blocked("\033]8;;https://example.org/ä\a");
  check_blocked("\033]8;https://example.org/\a");
  check_passes("\033]8;;https://" + std::string(2075, 'a') + "\a");
  check_blocked("\033]8;;https://" + std::string(2076, 'a') + "\a");
}

TEST_CASE("colours of the terminal can be asked for, but only the cursor's be changed") {
  check_passes("\033]11;?\033\\");
  check_passes("\033]4;255;?\a");
  check_passes("\033]12;#ff8800\a\033]12;rgb:ff/88/00\a\033]12;?\a\033]112\a");
  check_blocked("\033]11;#000000\a");
  check_blocked("\033]4;1;#ff0000\a");
  check_blocked("\033]4;1;?;2;?\a");
  check_blocked("\033]4;1000;?\a");
  check_blocked("\033]12;#ff0000;52;c\a");
}

TEST_CASE("questions whose answers hold chosen bytes are not asked") {
  check_blocked("\033[21t");
  check_blocked("\033P$q\"p\033\\");
  check_blocked("\033P+q544e\033\\");
  check_blocked("\x05");
  check_blocked("\033[1;1;1;1;1;1*y");
}

TEST_CASE("no more than 64 questions of a kind are without an answer") {
  TerminalFilter filter;
  std::string out;
  for (int i = 0; i < 65; ++i) filter.feed(std::string_view("\033[6n"), out);
  CHECK(out.size() == 64 * 4);
  CHECK(filter.dropped() == 1);
  filter.feed(std::string_view("\033[c"), out);
  CHECK(out.ends_with("\033[c"));
  filter.answers().observe(std::string_view("\033[1;1R"));
  out.clear();
  filter.feed(std::string_view("\033[6n"), out);
  CHECK(out == "\033[6n");
}

TEST_CASE("C1 controls do not pass, neither as UTF-8 nor raw") {
  check_blocked("\xc2\x9b");
  for (int c1 = 0x80; c1 < 0xa0; ++c1) check_blocked(std::string("\xc2") + static_cast<char>(c1));
  CHECK(filtered("\x9b"
                 "31m") ==
        "\xef\xbf\xbd"
        "31m");
  CHECK(filtered("\x9d"
                 "52;c;eA==\x9c") ==
        "\xef\xbf\xbd"
        "52;c;eA==\xef\xbf\xbd");
  check_passes("\xc2\xa0");
}

TEST_CASE("bytes that are not UTF-8 become the replacement character") {
  const std::string bad = "\xef\xbf\xbd";
  CHECK(filtered("a\xff"
                 "b") == "a" + bad + "b");
  CHECK(filtered("\xe2\x82") == "");
  CHECK(filtered("\xe2\x82"
                 "b") == bad + "b");
  CHECK(filtered("\xc0\x9b") == bad + bad);
  CHECK(filtered("\xe0\x80\x9b") == bad + bad + bad);
  CHECK(filtered("\xed\xa0\x80") == bad + bad + bad);
  CHECK(filtered("\xf4\x90\x80\x80") == bad + bad + bad + bad);
  CHECK(filtered("\xe2\033[m") == bad + "\033[m");
}

TEST_CASE("a letter cannot be put together around a dropped sequence") {
  CHECK(filtered("\xc2\033]52;c;eA==\a\x9b") == "\xef\xbf\xbd\xef\xbf\xbd");
}

TEST_CASE("a sequence cannot be put together around a dropped one") {
  CHECK(filtered("\033\033]52;c;eA==\a]52;c;eA==\a") == "]52;c;eA==\a");
  CHECK(filtered("\033[\033]0;x\a"
                 "3J") == "3J");
}

TEST_CASE("a control within a sequence is obeyed before it") {
  CHECK(filtered("\033[3\n1m") == "\n\033[31m");
  CHECK(filtered("\033[3\x05"
                 "1m") == "\033[31m");
}

TEST_CASE("an escape cuts a sequence off") {
  CHECK(filtered("\033[3\033[1m") == "\033[1m");
  CHECK(filtered("\033]11;?\033[1m") == "\033[1m");
  CHECK(filtered("\033Pq\033[1m") == "\033[1m");
}

TEST_CASE("CAN and SUB cut a sequence off") {
  CHECK(filtered("\033[3\x18"
                 "1m") == "1m");
  CHECK(filtered("\033]11;?\x1a"
                 "x") == "x");
}

TEST_CASE("bell ends an OSC and no other string") {
  CHECK(filtered("\033]2;t\ax") == "x");
  CHECK(filtered("\033Pt\ax\033\\y") == "y");
}

TEST_CASE("a full reset becomes one that leaves the scrollback alone") {
  CHECK(filtered("\033c") == "\033[!p\033[m\033[H\033[2J");
  CHECK(filtered("\033[?1049h\033c") == "\033[?1049h\033[?1049l\033[!p\033[m\033[H\033[2J");
}

TEST_CASE("what is unfinished at the end is dropped") {
  TerminalFilter filter;
  std::string out;
  filter.feed(std::string_view("a\033]8;;https://example.org"), out);
  CHECK(filter.dropped() == 0);
  filter.finish();
  CHECK(filter.dropped() == 1);
  filter.feed(std::string_view("b"), out);
  CHECK(out == "ab");
}

// A sequence may be cut anywhere by the size of a read.
TEST_CASE("it makes no difference how the bytes are cut") {
  const std::string in =
      "grüße\033[1;31mred\033[m\xc2\x9b\033]52;c;eA==\a\033]8;;https://"
      "example.org\033\\x\033]8;;\033\\\xf0\x9f\x99\x82"
      "\xe2\x82z\033Pq\033\\\033[?1049h\033(0\033c\033]P0a1b2c3y";
  const std::string whole = filtered(in);
  for (std::size_t size = 1; size < in.size(); ++size) {
    TerminalFilter filter;
    std::string out;
    for (std::size_t at = 0; at < in.size(); at += size) filter.feed(std::string_view(in).substr(at, size), out);
    filter.finish();
    CHECK(escape(out) == escape(whole));
  }
}

// Recorded from the programs. The expected output differs from what went in only where the table says so.
TEST_CASE("full-screen programs are unharmed") {
  for (std::string name : {"bash", "htop", "less", "tmux", "vim"}) {
    const std::string in = read_file(std::string(GOLDEN_FOLDER "/") + name + ".in");
    REQUIRE_FALSE(in.empty());
    const std::string out = filtered(in);
    check_golden(name + ".out", out);
    CHECK(escape(filtered(out)) == escape(out));
  }
}

TEST_CASE("a program that tidies up leaves nothing to reset") {
  for (std::string name : {"bash", "htop", "less", "tmux"}) {
    INFO(name);
    TerminalFilter filter;
    filter.modes().set_rows(name == "htop" ? 12 : 24);
    std::string out;
    filter.feed(read_file(std::string(GOLDEN_FOLDER "/") + name + ".in"), out);
    CHECK(escape(filter.modes().leave()) == "");
  }
}
