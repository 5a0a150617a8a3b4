#include "sequences.hpp"

#include <algorithm>

namespace agentbox::prompt {

namespace {

using enum Verdict;
using P = Parameters;

constexpr CsiRule move(std::string_view shape, std::string_view reason) {
  return {.shape = shape, .parameters = P::numbers, .verdict = pass, .values = {}, .reason = reason};
}
constexpr CsiRule allow(std::string_view shape, P parameters, std::string_view reason,
                        std::array<std::uint16_t, 4> values = {no_value, no_value, no_value, no_value}) {
  return {.shape = shape, .parameters = parameters, .verdict = pass, .values = values, .reason = reason};
}
constexpr CsiRule question(std::string_view shape, P parameters, Query query, std::string_view reason,
                           std::uint16_t value = no_value) {
  return {.shape = shape,
          .parameters = parameters,
          .verdict = ask,
          .query = query,
          .values = {value, no_value, no_value, no_value},
          .reason = reason};
}
constexpr CsiRule refuse(std::string_view shape, std::string_view reason, P parameters = P::numbers,
                         std::array<std::uint16_t, 4> values = {no_value, no_value, no_value, no_value}) {
  return {.shape = shape, .parameters = parameters, .verdict = drop, .values = values, .reason = reason};
}

// Hot rows first: the table is searched from the top.
constexpr CsiRule csi_table[] = {
    allow("m", P::styles, "colours and styles"),
    move("H", "cursor position"),
    allow("K", P::listed, "erase in line", {0, 1, 2, no_value}),
    move("C", "cursor right"),
    move("G", "cursor column"),
    move("d", "cursor row"),
    move("A", "cursor up"),
    move("B", "cursor down"),
    move("D", "cursor left"),
    move("E", "cursor to a next line"),
    move("F", "cursor to an earlier line"),
    move("I", "cursor over tab stops"),
    move("Z", "cursor back over tab stops"),
    move("`", "cursor column"),
    move("a", "cursor right"),
    move("e", "cursor down"),
    move("f", "cursor position"),
    allow("J", P::listed, "erase in screen", {0, 1, 2, no_value}),
    refuse("J", "3 erases the scrollback: what the owner had on the screen before, and the trace of what was done"),
    allow("?J", P::listed, "selective erase in screen", {0, 1, 2, no_value}),
    allow("?K", P::listed, "selective erase in line", {0, 1, 2, no_value}),
    allow("h", P::ansi_modes, "see the table of modes"),
    allow("l", P::ansi_modes, "see the table of modes"),
    allow("?h", P::private_modes, "see the table of modes"),
    allow("?l", P::private_modes, "see the table of modes"),
    move("@", "insert characters"),
    move("P", "delete characters"),
    move("X", "erase characters"),
    move("L", "insert lines"),
    move("M", "delete lines"),
    move("b", "repeat the last character"),
    allow("S", P::single, "scroll up"),
    allow("T", P::single, "scroll down"),
    refuse("T", "with more parameters it starts highlight tracking, and the terminal waits for an answer"),
    move("r", "scrolling margins"),
    move("s", "save the cursor, or left and right margins"),
    allow("u", P::none, "restore the cursor"),
    allow("!p", P::none, "soft reset"),
    allow(" q", P::single, "shape of the cursor"),
    move("$x", "fill a rectangle (tmux)"),
    move("$z", "erase a rectangle"),
    allow(">u", P::single, "kitty's keyboard protocol: push"),
    allow("<u", P::single, "kitty's keyboard protocol: pop"),
    allow("=u", P::numbers, "kitty's keyboard protocol: set"),
    allow(">m", P::keys, "modifyOtherKeys: keys with modifiers reported in full (vim, tmux)"),
    refuse(">m", "the other key resources change what the owner's shell gets to read"),

    question("c", P::listed, Query::attributes, "device attributes: vim, tmux, fish wait for it", 0),
    question(">c", P::listed, Query::more_attributes, "kind and version of the terminal, as numbers", 0),
    question("n", P::required, Query::status, "\"are you there\"", 5),
    question("n", P::required, Query::cursor, "cursor position: readline, fish, prompt_toolkit need it", 6),
    refuse("n", "no other report is needed"),
    question("?n", P::required, Query::extended_cursor, "cursor position", 6),
    question("?n", P::required, Query::colour_scheme, "dark or light", 996),
    refuse("?n", "printer, locator, macro and checksum reports"),
    question("?$p", P::one, Query::mode, "is that mode on: asks for synchronized output and the like"),
    refuse("$p", "is that mode on: nobody asks for these"),
    question("?u", P::none, Query::keyboard, "kitty's keyboard protocol: which flags are on"),
    question("?m", P::required, Query::modified_keys, "is modifyOtherKeys on (vim)", 4),
    question("t", P::required, Query::size, "size of the text area in pixels", 14),
    question("t", P::required, Query::size, "size of a cell in pixels", 16),
    question("t", P::required, Query::size, "size in characters", 18),

    refuse("t", "reports the title, which the agent may have chosen, as typed input (CVE-2003-0063)", P::listed,
           {20, 21, no_value, no_value}),
    refuse("t", "the title is the owner's: it says which window is which"),
    refuse(">t", "changes how titles are set and reported"),
    refuse(" t", "volume of the bell"),
    refuse("$t", "changes attributes in a rectangle, also of what agentbox has written"),
    refuse("$r", "changes attributes in a rectangle, also of what agentbox has written"),
    refuse("$v", "copies a rectangle, also from another page"),
    refuse("*y", "a checksum of a part of the screen: reads what others have written there"),
    refuse("$w", "reports the state of the terminal in a string"),
    refuse("&w", "locator"),
    refuse("'z", "locator"),
    refuse("'{", "locator"),
    refuse("'|", "locator"),
    refuse("i", "prints the screen, or sends what follows to a printer"),
    refuse("?i", "prints the screen, or sends what follows to a printer"),
    refuse("=c", "the terminal's serial number, in a string"),
    refuse(">q", "name and version of the terminal as free text, in a string; DA2 tells them as numbers"),
    refuse("q", "lamps of the keyboard"),
    refuse("\"q", "protects characters from erasure"),
    refuse("\"p", "conformance level: can turn 8-bit controls on"),
    refuse(">p", "hides the mouse pointer"),
    refuse(">n", "turns key resources off"),
    refuse(">f", "format of key resources"),
    refuse("?r", "restores modes that nobody has kept account of"),
    refuse("?s", "saves modes that nobody has kept account of"),
    refuse("?S", "limits of the graphics"),
    refuse("x", "parameters of the serial line"),
    refuse("g", "clears tab stops, and the shell's columns afterwards"),
    refuse("]", "Linux console: palette, blanking, and bringing another console to the front"),
};

constexpr EscapeRule escape_table[] = {
    {"7", pass, "save the cursor"},
    {"8", pass, "restore the cursor"},
    {"=", pass, "keypad in application mode"},
    {">", pass, "keypad in numeric mode"},
    {"D", pass, "line feed"},
    {"E", pass, "next line"},
    {"M", pass, "reverse line feed"},
    {"(B", pass, "G0 is ASCII"},
    {"(0", pass, "G0 is line drawing"},
    {"(A", pass, "G0 is ASCII with a pound sign"},
    {")B", pass, "G1 is ASCII"},
    {")0", pass, "G1 is line drawing"},
    {")A", pass, "G1 is ASCII with a pound sign"},
    {"c", pass,
     "full reset: becomes a soft reset and an erased screen, for it would clear the scrollback (tsc "
     "--watch)"},
    {"H", drop, "sets a tab stop, and the shell's columns afterwards"},
    {"Z", drop, "asks for the terminal's kind, the old way"},
    {"N", drop, "single shift: hides a letter in another set"},
    {"O", drop, "single shift: hides a letter in another set"},
    {"n", drop, "locking shift: the shell would write in another alphabet"},
    {"o", drop, "locking shift: the shell would write in another alphabet"},
    {"|", drop, "locking shift: the shell would write in another alphabet"},
    {"}", drop, "locking shift: the shell would write in another alphabet"},
    {"~", drop, "locking shift: the shell would write in another alphabet"},
    {"l", drop, "locks the lines above the cursor"},
    {"%@", drop, "leaves UTF-8: then bytes inside of letters become controls"},
    {"%G", drop, "enters UTF-8, where the terminal should be anyway"},
    {" G", drop, "the terminal answers with 8-bit controls"},
    {" F", drop, "the terminal answers with 7-bit controls"},
    {"#3", drop, "letters of double height"},
    {"#8", drop, "fills the screen with E"},
};

constexpr OscRule osc_table[] = {
    {"8", pass, OscText::hyperlink, "hyperlink: http and https only, at most 2083 bytes of printable ASCII"},
    {"4", ask, OscText::indexed_query, "one colour of the palette: question only"},
    {"10", ask, OscText::query, "colour of the text: question only, or a question of ours could be made unreadable"},
    {"11", ask, OscText::query, "colour of the background (vim, pi): question only"},
    {"12", pass, OscText::colour_or_query, "colour of the cursor (vim)"},
    {"112", pass, OscText::none, "colour of the cursor as it was"},
    {"0", drop, OscText::none, "title and icon: it says which window is which"},
    {"1", drop, OscText::none, "icon"},
    {"2", drop, OscText::none, "title"},
    {"l", drop, OscText::none, "title (dtterm)"},
    {"L", drop, OscText::none, "icon (dtterm)"},
    {"3", drop, OscText::none, "property of the X window"},
    {"5", drop, OscText::none, "special colours"},
    {"6", drop, OscText::none, "colour of the tab, or the file that the window shows"},
    {"7", drop, OscText::none, "working directory: the next tab would open where the agent wants"},
    {"9", drop, OscText::none, "notification: speaks in the terminal's name, outside of its window"},
    {"13", drop, OscText::none, "colour of the pointer"},
    {"17", drop, OscText::none, "colour of the selection"},
    {"19", drop, OscText::none, "colour of the selection"},
    {"21", drop, OscText::none, "all colours (kitty)"},
    {"22", drop, OscText::none, "shape of the mouse pointer"},
    {"46", drop, OscText::none, "log file of xterm: writes where the agent wants"},
    {"50", drop, OscText::none, "font; asked for, it is reported as typed input (CVE-2022-45063)"},
    {"51", drop, OscText::none, "for Emacs: calls functions"},
    {"52", drop, OscText::none, "reads and writes the clipboard"},
    {"99", drop, OscText::none, "notification (kitty)"},
    {"104", drop, OscText::none, "palette as it was: the agent can't have changed it"},
    {"110", drop, OscText::none, "colour of the text as it was: the agent can't have changed it"},
    {"111", drop, OscText::none, "colour of the background as it was: the agent can't have changed it"},
    {"133", drop, OscText::none, "marks of the shell: would forge where a command begins and how it ended"},
    {"633", drop, OscText::none, "marks of the shell (VS Code), with the command that it reruns"},
    {"777", drop, OscText::none, "notification (urxvt)"},
    {"1337", drop, OscText::none, "iTerm2: files, clipboard, profiles"},
    {"5522", drop, OscText::none, "clipboard (kitty)"},
    {"P", drop, OscText::none, "Linux console: palette, seven digits without an end"},
    {"R", drop, OscText::none, "Linux console: palette as it was, without an end"},
};

constexpr StringRule string_table[] = {
    {'P',
     "DCS: reports that echo what was asked (DECRQSS, termcap), programmable keys that type what the agent "
     "wants, tmux's way past the filter of tmux; sixel pictures go with them: their decoders are no place "
     "for "
     "hostile bytes"},
    {'_', "APC: kitty's graphics read and delete files on the terminal's side"},
    {'^', "PM: messages of screen"},
    {'X', "SOS: nobody needs it"},
    {'k', "title of screen and tmux"},
};

constexpr ControlRule control_table[] = {
    {'\0', pass, "nothing"},
    {'\a', pass, "bell"},
    {'\b', pass, "backspace"},
    {'\t', pass, "tab"},
    {'\n', pass, "line feed"},
    {'\v', pass, "line feed"},
    {'\f', pass, "line feed"},
    {'\r', pass, "carriage return"},
    {'\x0e', pass, "shift out: line drawing, where the terminal has no other way"},
    {'\x0f', pass, "shift in"},
    {'\x05', drop, "ENQ: the terminal types its answerback string"},
    {'\x10', drop, "DLE: begins file transfers that some terminals take up by themselves"},
    {'\x11', drop, "XON"},
    {'\x13', drop, "XOFF"},
    {'\x18', drop, "CAN: cuts a sequence off, and begins a Zmodem transfer that some terminals take up by themselves"},
    {'\x1a', drop, "SUB: cuts a sequence off"},
};

// Both ways, and back to normal at the end.
constexpr ModeRule mode(std::uint16_t number, Normal normal, std::string_view reason) {
  return {.number = number, .set = pass, .reset = pass, .normal = normal, .reason = reason};
}
constexpr ModeRule never(std::uint16_t number, std::string_view reason) {
  return {.number = number, .set = drop, .reset = drop, .reason = reason};
}

constexpr ModeRule private_table[] = {
    mode(1, Normal::off, "cursor keys for applications"),
    mode(4, Normal::off, "smooth scrolling"),
    mode(5, Normal::off, "reverse video: the visible bell"),
    mode(6, Normal::off, "origin"),
    mode(7, Normal::on, "wrap at the margin"),
    mode(9, Normal::off, "mouse, the X10 way"),
    mode(12, Normal::off, "blinking cursor"),
    mode(25, Normal::on, "cursor"),
    mode(47, Normal::off, "alternate screen"),
    mode(66, Normal::off, "keypad for applications"),
    mode(69, Normal::off, "left and right margins (tmux)"),
    mode(1000, Normal::off, "mouse: buttons"),
    mode(1002, Normal::off, "mouse: drags"),
    mode(1003, Normal::off, "mouse: every move"),
    mode(1004, Normal::off, "focus"),
    mode(1005, Normal::off, "mouse: UTF-8 coordinates"),
    mode(1006, Normal::off, "mouse: decimal coordinates"),
    mode(1007, Normal::unknown, "wheel as arrow keys on the alternate screen"),
    mode(1015, Normal::off, "mouse: urxvt's coordinates"),
    mode(1016, Normal::off, "mouse: coordinates in pixels"),
    mode(1034, Normal::unknown, "8-bit meta key: readline turns it on and never off"),
    mode(1047, Normal::off, "alternate screen"),
    mode(1048, Normal::unknown, "save and restore the cursor"),
    mode(1049, Normal::off, "alternate screen, with the cursor saved"),
    mode(2004, Normal::off, "bracketed paste"),
    mode(2026, Normal::off, "synchronized output"),
    mode(2027, Normal::unknown, "width by grapheme clusters"),
    mode(2031, Normal::off, "reports of a change between dark and light"),
    mode(2048, Normal::off, "reports of a new size"),
    never(2, "VT52 mode: all sequences mean something else"),
    never(3, "132 columns: clears the screen and resizes the window"),
    never(8, "autorepeat of keys"),
    never(38, "Tektronix mode: all bytes mean something else"),
    never(46, "log file of xterm"),
    never(67, "what the backspace key sends"),
    never(1001, "highlight tracking: the terminal waits for an answer"),
    never(1041, "which selection is the clipboard"),
    never(1042, "the bell asks for attention"),
    never(1043, "the bell raises the window"),
    never(5522, "clipboard (kitty)"),
    never(9001, "keys as Windows has them: the shell afterwards can't read them"),
};

constexpr ModeRule ansi_table[] = {
    mode(4, Normal::off, "insert"),
    mode(34, Normal::unknown, "cursor of screen and tmux: normal or very visible"),
    {20, drop, pass, Normal::unknown, "line feed also returns, and Enter types two bytes"},
    never(2, "locks the keyboard"),
    never(12, "local echo"),
};

bool is_one_of(std::uint16_t value, const std::array<std::uint16_t, 4>& values) {
  return value != no_value && std::find(values.begin(), values.end(), value) != values.end();
}

bool fits(const Csi& csi, const CsiRule& rule) noexcept {
  if (csi.colons) return rule.parameters == P::styles;
  switch (rule.parameters) {
    case P::none: return csi.count == 0;
    case P::listed: return csi.count == 0 || (csi.count == 1 && is_one_of(csi.value(0), rule.values));
    case P::required: return csi.count == 1 && is_one_of(csi.value(0), rule.values);
    case P::one: return csi.count == 1;
    case P::single: return csi.count <= 1;
    case P::keys: return csi.count == 0 || (csi.count <= 2 && csi.value(0) == 4);
    case P::numbers:
    case P::styles:
    case P::ansi_modes:
    case P::private_modes: return true;
  }
  return false;
}

}  // namespace

std::span<const CsiRule> csi_rules() {
  return csi_table;
}
std::span<const EscapeRule> escape_rules() {
  return escape_table;
}
std::span<const OscRule> osc_rules() {
  return osc_table;
}
std::span<const StringRule> string_rules() {
  return string_table;
}
std::span<const ControlRule> control_rules() {
  return control_table;
}
std::span<const ModeRule> private_modes() {
  return private_table;
}
std::span<const ModeRule> ansi_modes() {
  return ansi_table;
}

const CsiRule* find_csi(const Csi& csi) noexcept {
  for (const auto& rule : csi_table) {
    if (rule.shape == csi.shape() && fits(csi, rule)) return &rule;
  }
  return nullptr;
}

const EscapeRule* find_escape(std::string_view shape) noexcept {
  auto found = std::ranges::find(escape_table, shape, &EscapeRule::shape);
  return found == std::end(escape_table) ? nullptr : found;
}

const OscRule* find_osc(std::string_view number) noexcept {
  auto found = std::ranges::find(osc_table, number, &OscRule::number);
  return found == std::end(osc_table) ? nullptr : found;
}

Verdict judge_control(char control) noexcept {
  auto found = std::ranges::find(control_table, control, &ControlRule::control);
  return found == std::end(control_table) ? drop : found->verdict;
}

const ModeRule* find_mode(std::span<const ModeRule> table, std::uint16_t number) noexcept {
  auto found = std::ranges::find(table, number, &ModeRule::number);
  return found == table.end() ? nullptr : &*found;
}

namespace {

// Digits, ';' and ':' into values.
bool parse_parameters(Csi& csi) noexcept {
  if (csi.parameters.empty()) return true;
  std::uint32_t value = 0;
  int digits = 0;
  bool part = false;
  auto push = [&] {
    if (csi.count == Csi::most) return false;
    csi.values.at(csi.count) = static_cast<std::uint16_t>(value);
    csi.is_part.at(csi.count) = part;
    ++csi.count;
    value = 0;
    digits = 0;
    return true;
  };
  for (char c : csi.parameters) {
    if (c >= '0' && c <= '9') {
      value = value * 10 + static_cast<std::uint32_t>(c - '0');
      if (value >= no_value || ++digits > 5) return false;
    } else {
      if (!push()) return false;
      part = c == ':';
      csi.colons = csi.colons || part;
    }
  }
  return push();
}

}  // namespace

std::optional<Csi> parse_csi(std::string_view body) noexcept {
  Csi csi;
  std::size_t at = 0;
  auto shape = [&csi](char c) { csi.shape_bytes.at(csi.shape_size++) = c; };
  if (at < body.size() && body[at] >= 0x3c && body[at] <= 0x3f) {
    csi.prefix = body[at++];
    shape(csi.prefix);
  }
  const std::size_t begin = at;
  while (at < body.size() && body[at] >= '0' && body[at] <= ';') ++at;
  csi.parameters = body.substr(begin, at - begin);
  while (at < body.size() && body[at] >= 0x20 && body[at] <= 0x2f) {
    if (csi.shape_size == 3) return std::nullopt;
    shape(body[at++]);
  }
  if (at + 1 != body.size() || body[at] < 0x40 || body[at] > 0x7e) return std::nullopt;
  csi.final = body[at];
  shape(csi.final);
  if (!parse_parameters(csi)) return std::nullopt;
  return csi;
}

}  // namespace agentbox::prompt
