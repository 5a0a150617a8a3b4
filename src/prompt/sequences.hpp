#pragma once

// The table of what may pass to the human's terminal, and why. It is an allow list: what has no row does not
// pass. The rows that drop are here for their reason, and so that a test shows each one.
//
// Sources: ECMA-48; DEC STD 070; xterm's ctlseqs; kitty's keyboard protocol; console_codes(4); screen(1);
// tmux(1).

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "agentbox/prompt/terminal_answers.hpp"

namespace agentbox::prompt {

enum class Verdict : std::uint8_t { pass, ask, drop };

// Which parameters a control sequence may have. All are numbers below 65535, at most 32 of them: more has
// only ever been used to hurt a terminal.
enum class Parameters : std::uint8_t {
  none,
  numbers,     // any
  listed,      // none, or exactly one of `values`
  required,    // exactly one of `values`
  one,         // exactly one, whatever it is
  single,      // none or one
  styles,      // SGR: colons too
  ansi_modes,  // a list, of which those pass that the table of modes lets pass
  private_modes,
  keys,  // XTMODKEYS for resource 4, or no parameter
};

inline constexpr std::uint16_t no_value = 0xffff;

struct CsiRule {
  std::string_view shape;  // private prefix, intermediates and final byte: "?$p"
  Parameters parameters = Parameters::none;
  Verdict verdict = Verdict::drop;
  Query query = Query::attributes;  // of `ask`
  std::array<std::uint16_t, 4> values{no_value, no_value, no_value, no_value};
  std::string_view reason;
};

// ESC, intermediates, final byte.
struct EscapeRule {
  std::string_view shape;
  Verdict verdict = Verdict::drop;
  std::string_view reason;
};

// OSC number ; text.
enum class OscText : std::uint8_t { none, hyperlink, colour_or_query, query, indexed_query };
struct OscRule {
  std::string_view number;
  Verdict verdict = Verdict::drop;
  OscText text = OscText::none;
  std::string_view reason;
};

// A string that has no place on a terminal of somebody else: ESC, introducer.
struct StringRule {
  char introducer = 0;
  std::string_view reason;
};

struct ControlRule {
  char control = 0;
  Verdict verdict = Verdict::drop;
  std::string_view reason;
};

// What a mode is when nobody has touched it. `unknown`: terminals and their owners differ, so it is not put
// back.
enum class Normal : std::uint8_t { off, on, unknown };
struct ModeRule {
  std::uint16_t number = 0;
  Verdict set = Verdict::drop;    // h
  Verdict reset = Verdict::drop;  // l
  Normal normal = Normal::unknown;
  std::string_view reason;
};

[[nodiscard]] std::span<const CsiRule> csi_rules();
[[nodiscard]] std::span<const EscapeRule> escape_rules();
[[nodiscard]] std::span<const OscRule> osc_rules();
[[nodiscard]] std::span<const StringRule> string_rules();
[[nodiscard]] std::span<const ControlRule> control_rules();
[[nodiscard]] std::span<const ModeRule> private_modes();  // CSI ? n h
[[nodiscard]] std::span<const ModeRule> ansi_modes();     // CSI n h

[[nodiscard]] const EscapeRule* find_escape(std::string_view shape) noexcept;
[[nodiscard]] const OscRule* find_osc(std::string_view number) noexcept;
[[nodiscard]] Verdict judge_control(char control) noexcept;

// A control sequence taken apart.
struct Csi {
  static constexpr std::size_t most = 32;
  char prefix = 0;  // '<', '=', '>', '?' or none
  char final = 0;
  std::string_view parameters;  // as written, without the prefix
  std::array<char, 5> shape_bytes{};
  std::uint8_t shape_size = 0;
  std::array<std::uint16_t, most> values{};  // an omitted one is 0; the parts of a colon list are values too
  std::array<bool, most> is_part{};          // after a colon
  std::uint8_t count = 0;                    // 0 without parameters
  bool colons = false;

  [[nodiscard]] std::string_view shape() const noexcept { return {shape_bytes.data(), shape_size}; }
  [[nodiscard]] std::uint16_t value(std::size_t index) const noexcept {
    return index < count ? values.at(index) : std::uint16_t{0};
  }
};

// `body` is what follows ESC [, the final byte included. Nothing when it is malformed or holds too much.
[[nodiscard]] std::optional<Csi> parse_csi(std::string_view body) noexcept;
// The first row of that shape whose parameters fit; none: the sequence does not pass.
[[nodiscard]] const CsiRule* find_csi(const Csi& csi) noexcept;
[[nodiscard]] const ModeRule* find_mode(std::span<const ModeRule> table, std::uint16_t number) noexcept;

}  // namespace agentbox::prompt
