#include "agentbox/prompt/terminal_modes.hpp"

#include <string>
#include <string_view>

#include <catch2/catch.hpp>

#include "agentbox/base/escape.hpp"
#include "agentbox/prompt/terminal_filter.hpp"

using agentbox::base::escape;
using agentbox::prompt::TerminalFilter;

namespace {

std::string leave_after(std::string_view output) {
  TerminalFilter filter;
  std::string out;
  filter.feed(output, out);
  return escape(filter.modes().leave());
}

std::string enter_after(std::string_view output) {
  TerminalFilter filter;
  std::string out;
  filter.feed(output, out);
  return escape(filter.modes().enter());
}

}  // namespace

TEST_CASE("text and finished colours leave nothing to reset") {
  CHECK(leave_after("text\r\n").empty());
  CHECK(leave_after("\033[0m\033[01;34mfolder\033[0m\r\n").empty());
  CHECK(leave_after("\033[31mred\033[39m \033[1mbold\033[22m \033[38;5;0mx\033[39m\033[4:3mu\033[4:0m").empty());
}

TEST_CASE("what was switched is switched back") {
  CHECK(leave_after("\033[31m") == "\\x1b[m");
  CHECK(leave_after("\033[38;5;0m") == "\\x1b[m");
  CHECK(leave_after("\033[?25l") == "\\x1b[?25h");
  CHECK(leave_after("\033[?7l") == "\\x1b[?7h");
  CHECK(leave_after("\033[?2004h") == "\\x1b[?2004l");
  CHECK(leave_after("\033[?1002;1006h") == "\\x1b[?1002l\\x1b[?1006l");
  CHECK(leave_after("\033=") == "\\x1b>");
  CHECK(leave_after("\033(0\016") == "\\x0f\\x1b(B");
  CHECK(leave_after("\033[4h") == "\\x1b[4l");
  CHECK(leave_after("\033[5 q") == "\\x1b[0 q");
  CHECK(leave_after("\033[>4;2m") == "\\x1b[>4m");
  CHECK(leave_after("\033]8;;https://example.org/;\a") == "\\x1b]8;;\\x1b\\\\");
  CHECK(leave_after("\033]12;#ff0000\a") == "\\x1b]112\\x1b\\\\");
}

TEST_CASE("what the program switched back itself is left alone") {
  CHECK(leave_after("\033[?1049h\033[?25l\033[?25h\033[?1049l").empty());
  CHECK(leave_after("\033[?47h\033[?1049l").empty());
  CHECK(leave_after("\033[>1u\033[<u").empty());
  CHECK(leave_after("\033[>4;2m\033[>4;0m").empty());
}

TEST_CASE("margins are lifted without moving the cursor on the main screen") {
  CHECK(leave_after("\033[2;10r") == "\\x1b7\\x1b[r\\x1b8");
  CHECK(leave_after("\033[?1049h\033[2;10r") == "\\x1b[r\\x1b[?1049l");
  CHECK(leave_after("\033[2;10r\033[r").empty());
}

TEST_CASE("margins at the edges of the terminal are none") {
  TerminalFilter filter;
  filter.modes().set_rows(24);
  std::string out;
  filter.feed(std::string_view("\033[1;24r"), out);
  CHECK(filter.modes().leave() == "");
  filter.feed(std::string_view("\033[1;23r"), out);
  CHECK(escape(filter.modes().leave()) == "\\x1b7\\x1b[r\\x1b8");
}

TEST_CASE("the keyboard protocol is popped on the screen where it was pushed") {
  CHECK(leave_after("\033[>1u\033[>3u") == "\\x1b[<2u");
  CHECK(leave_after("\033[>1u\033[?1049h\033[>3u") == "\\x1b[<1u\\x1b[?1049l\\x1b[<1u");
  CHECK(leave_after("\033[=5u") == "\\x1b[=0u");
  CHECK(enter_after("\033[>1u\033[?1049h\033[>3u") == "\\x1b[>1u\\x1b[?1049h\\x1b[>3u");
}

TEST_CASE("an agent that pushes without end is not remembered without end") {
  std::string pushes;
  for (int i = 0; i < 1000; ++i) pushes += "\033[>1u";
  CHECK(leave_after(pushes) == "\\x1b[<16u");
}

TEST_CASE("what was left can be entered again") {
  CHECK(enter_after("text").empty());
  CHECK(enter_after("\033[?1049h\033[?25l\033[?1000;1006h\033[?2004h") ==
        "\\x1b[?1049h\\x1b[?25l\\x1b[?1000h\\x1b[?1006h\\x1b[?2004h");
}
