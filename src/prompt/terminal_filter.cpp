#include "agentbox/prompt/terminal_filter.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "sequences.hpp"

namespace agentbox::prompt {

namespace {

constexpr std::string_view replacement = "\xef\xbf\xbd";  // U+FFFD

unsigned char byte(char c) {
  return static_cast<unsigned char>(c);
}

// Sixteen bytes at a time, in the vector registers that every x86-64 and AArch64 has (GCC and clang alike).
using Block = unsigned char __attribute__((vector_size(16)));

bool is_plain(char c) {
  const unsigned char b = byte(c);
  return (b >= 0x20 && b < 0x80) || (b >= '\a' && b <= '\r');
}

// The first byte that needs a look: ESC, another control, or not ASCII.
const char* skip_plain(const char* at, const char* end) {
  while (end - at >= static_cast<std::ptrdiff_t>(sizeof(Block))) {
    Block block;
    std::memcpy(&block, at, sizeof block);
    const auto printable = (block - 0x20) < 0x60;  // unsigned: one comparison for 0x20..0x7f
    const auto harmless = (block - 7) < 7;         // bell to carriage return
    const auto plain = printable | harmless;
    std::array<std::uint64_t, 2> halves{};
    std::memcpy(halves.data(), &plain, sizeof halves);
    if ((halves[0] & halves[1]) != ~std::uint64_t{0}) break;
    at += sizeof(Block);
  }
  while (at != end && is_plain(*at)) ++at;
  return at;
}

enum class Letter { complete, unfinished, invalid };

// A letter of UTF-8 that begins with a byte from 0x80 on. `length` is what it uses: for an invalid one the
// longest beginning that could have become a letter, at least one byte (Unicode, "substitution of maximal
// subparts").
Letter look_at_letter(const char* at, const char* end, std::size_t& length) {
  const unsigned char first = byte(*at);
  std::size_t need = 0;
  unsigned char low = 0x80,
                high = 0xbf;  // of the second byte: no overlong forms, no surrogates, not above U+10FFFF
  if (first >= 0xc2 && first <= 0xdf) {
    need = 2;
  } else if (first >= 0xe0 && first <= 0xef) {
    need = 3;
    if (first == 0xe0) low = 0xa0;
    if (first == 0xed) high = 0x9f;
  } else if (first >= 0xf0 && first <= 0xf4) {
    need = 4;
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f;
  }
  length = 1;
  if (need == 0) return Letter::invalid;
  for (; length < need; ++length) {
    if (at + length == end) return Letter::unfinished;
    const unsigned char next = byte(at[length]);
    if (next < low || next > high) return Letter::invalid;
    low = 0x80;
    high = 0xbf;
  }
  return Letter::complete;
}

// U+0080 to U+009F: many terminals take them for ESC @ to ESC _.
bool is_c1(std::string_view letter) {
  return letter.size() == 2 && letter[0] == '\xc2' && byte(letter[1]) < 0xa0;
}

bool is_visible_ascii(char c) {
  return c > 0x20 && c < 0x7f;
}

// OSC 8 ; parameters ; address. The owner may click on it.
bool is_good_link(std::string_view text) {
  constexpr std::size_t longest_address = 2083, longest_parameters = 250;  // as VTE has them
  const auto semicolon = text.find(';');
  if (semicolon == std::string_view::npos) return false;
  const auto parameters = text.substr(0, semicolon);
  const auto address = text.substr(semicolon + 1);
  if (parameters.size() > longest_parameters || address.size() > longest_address) return false;
  if (!std::ranges::all_of(parameters, is_visible_ascii)) return false;
  if (address.empty()) return true;
  if (!std::ranges::all_of(address, is_visible_ascii)) return false;
  return address.starts_with("https://") || address.starts_with("http://");
}

// XParseColor's forms without its names: #rgb..., rgb:r/g/b, rgba:, rgbi:.
bool is_colour(std::string_view text) {
  auto in_colour = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '#' || c == ':' ||
           c == '/' || c == '.';
  };
  return !text.empty() && text.size() <= 32 && std::ranges::all_of(text, in_colour);
}

// "N;?" with N up to three digits.
bool is_indexed_query(std::string_view text) {
  const auto digits = text.find_first_not_of("0123456789");
  return digits >= 1 && digits <= 3 && text.substr(digits) == ";?";
}

}  // namespace

void TerminalFilter::begin(State state) noexcept {
  state_ = state;
  pending_.clear();
}

void TerminalFilter::drop(State next) noexcept {
  ++dropped_;
  begin(next);
}

void TerminalFilter::feed(std::span<const char> in, std::string& out) {
  const char* at = in.data();
  const char* const end = at + in.size();
  while (at != end) {
    if (state_ == State::ground) {
      at = text(at, end, out);
      if (at == end) break;
    }
    step(*at++, out);
  }
}

void TerminalFilter::finish() noexcept {
  if (state_ != State::ground) drop(State::ground);
}

// Copies text up to a control that needs a look, or into the middle of a letter.
const char* TerminalFilter::text(const char* at, const char* end, std::string& out) {
  const char* from = at;  // what is not copied yet
  auto copy = [&from, &out](const char* to) { out.append(from, to); };
  for (;;) {
    at = skip_plain(at, end);
    if (at == end || byte(*at) < 0x80) break;
    std::size_t length = 0;
    const Letter letter = look_at_letter(at, end, length);
    if (letter == Letter::complete && !is_c1({at, length})) {
      at += length;
      continue;
    }
    copy(at);
    if (letter == Letter::unfinished) {
      begin(State::utf8);
      pending_.assign(at, end);
      return end;
    }
    if (letter == Letter::invalid) {
      out += replacement;
    } else {
      ++dropped_;
    }
    at += length;
    from = at;
  }
  copy(at);
  return at;
}

// The letter was cut by the end of a chunk: at most three more calls.
void TerminalFilter::within_letter(char c, std::string& out) {
  pending_.push_back(c);
  std::size_t length = 0;
  const char* const data = pending_.data();
  switch (look_at_letter(data, data + pending_.size(), length)) {
    case Letter::unfinished: return;
    case Letter::complete:
      if (is_c1(pending_)) {
        drop(State::ground);
      } else {
        out += pending_;
        begin(State::ground);
      }
      return;
    case Letter::invalid:  // by its last byte, which begins something new
      out += replacement;
      begin(State::ground);
      const char* rest = text(&c, &c + 1, out);
      if (rest == &c) step(c, out);
      return;
  }
}

void TerminalFilter::step(char c, std::string& out) {
  if (state_ == State::utf8) return within_letter(c, out);
  if (c == '\033') {
    if (state_ == State::osc) {
      state_ = State::osc_escape;
      return;
    }
    // It cuts off whatever was under way; a string that is being dropped was counted when it began.
    const bool unfinished = state_ == State::escape || state_ == State::csi || state_ == State::osc_escape;
    if (unfinished) ++dropped_;
    return begin(State::escape);
  }
  if ((c == '\x18' || c == '\x1a') && state_ != State::ground) return drop(State::ground);
  switch (state_) {
    case State::ground: control(c, out); break;
    case State::utf8: break;
    case State::escape: escape(c, out); break;
    case State::csi:
    case State::drop_csi: csi(c, out); break;
    case State::osc: osc(c, out); break;
    case State::osc_escape:
      if (c == '\\') {
        finish_osc("\033\\", out);
      } else {
        drop(State::escape);
        escape(c, out);
      }
      break;
    case State::drop_osc:
      if (c == '\a') begin(State::ground);
      break;
    case State::drop_string: break;
    case State::linux_palette:
      if (++palette_digits_ == 7) begin(State::ground);
      break;
  }
}

// Also within a sequence: terminals obey such a control at once and go on with the sequence.
void TerminalFilter::control(char c, std::string& out) {
  if (judge_control(c) == Verdict::drop) {
    ++dropped_;
    return;
  }
  modes_.control(c);
  out.push_back(c);
}

void TerminalFilter::escape(char c, std::string& out) {
  const unsigned char b = byte(c);
  if (b < 0x20) return control(c, out);
  if (b >= 0x7f) {  // not part of any sequence
    drop(State::ground);
    const char* rest = text(&c, &c + 1, out);
    if (rest == &c) step(c, out);
    return;
  }
  if (pending_.empty()) {
    if (c == '[') return begin(State::csi);
    if (c == ']') return begin(State::osc);
    if (c == '\\') return begin(State::ground);  // the end of a string that did not pass
    if (std::ranges::any_of(string_rules(), [c](const StringRule& rule) { return rule.introducer == c; })) {
      return drop(State::drop_string);
    }
  }
  if (pending_.size() < 4) pending_.push_back(c);  // no row has more than two
  if (b >= 0x30) finish_escape(out);
}

void TerminalFilter::finish_escape(std::string& out) {
  const EscapeRule* rule = find_escape(pending_);
  if (rule == nullptr || rule->verdict == Verdict::drop) return drop(State::ground);
  if (pending_ == "c") {
    full_reset(out);
  } else {
    modes_.escape(pending_);
    out += '\033';
    out += pending_;
  }
  begin(State::ground);
}

void TerminalFilter::full_reset(std::string& out) {
  out += modes_.leave();
  modes_.reset();
  out += "\033[!p\033[m\033[H\033[2J";
}

void TerminalFilter::csi(char c, std::string& out) {
  const unsigned char b = byte(c);
  if (b < 0x20) return control(c, out);
  if (b >= 0x7f) {
    drop(State::ground);
    const char* rest = text(&c, &c + 1, out);
    if (rest == &c) step(c, out);
    return;
  }
  if (state_ == State::drop_csi) {
    if (b >= 0x40) begin(State::ground);
    return;
  }
  if (pending_.size() + 3 > sequence_limit) {
    drop(b >= 0x40 ? State::ground : State::drop_csi);
    return;
  }
  pending_.push_back(c);
  if (b >= 0x40) finish_csi(out);
}

namespace {

// The list of a mode sequence without what must not pass; empty when nothing is left.
std::string allowed_modes(const Csi& csi, std::span<const ModeRule> table) {
  std::string list;
  for (std::size_t i = 0; i < csi.count; ++i) {
    const ModeRule* mode = find_mode(table, csi.value(i));
    if (mode == nullptr || (csi.final == 'h' ? mode->set : mode->reset) != Verdict::pass) continue;
    if (!list.empty()) list += ';';
    list += std::to_string(mode->number);
  }
  return list;
}

}  // namespace

void TerminalFilter::finish_csi(std::string& out) {
  auto csi = parse_csi(pending_);
  const CsiRule* rule = csi ? find_csi(*csi) : nullptr;
  if (rule == nullptr || rule->verdict == Verdict::drop) return drop(State::ground);
  if (rule->verdict == Verdict::ask && !answers_.ask(rule->query)) return drop(State::ground);
  if (rule->parameters == Parameters::private_modes || rule->parameters == Parameters::ansi_modes) {
    const bool is_private = rule->parameters == Parameters::private_modes;
    const std::string list = allowed_modes(*csi, is_private ? private_modes() : ansi_modes());
    const auto passed = static_cast<std::uint8_t>(list.empty() ? 0 : std::ranges::count(list, ';') + 1);
    if (passed == 0) return drop(State::ground);
    if (passed != csi->count) {
      ++dropped_;
      pending_ = (is_private ? "?" : "") + list + csi->final;
      csi = parse_csi(pending_);
    }
  }
  modes_.csi(*csi);
  out += "\033[";
  out += pending_;
  begin(State::ground);
}

void TerminalFilter::osc(char c, std::string& out) {
  if (c == '\a') return finish_osc("\a", out);
  if (byte(c) < 0x20 || byte(c) >= 0x7f || pending_.size() + 4 > sequence_limit) return drop(State::drop_osc);
  if (pending_.empty() && c == 'R') return drop(State::ground);
  if (pending_.empty() && c == 'P') {
    palette_digits_ = 0;
    return drop(State::linux_palette);
  }
  pending_.push_back(c);
}

void TerminalFilter::finish_osc(std::string_view terminator, std::string& out) {
  const std::string_view body = pending_;
  const auto semicolon = body.find(';');
  const auto number = body.substr(0, semicolon);
  const auto text = semicolon == std::string_view::npos ? std::string_view{} : body.substr(semicolon + 1);
  const OscRule* rule = find_osc(number);
  if (rule == nullptr || rule->verdict == Verdict::drop) return drop(State::ground);
  bool good = false;
  bool asks = false;
  switch (rule->text) {
    case OscText::none: good = text.empty(); break;
    case OscText::hyperlink: good = is_good_link(text); break;
    case OscText::colour_or_query: good = is_colour(text); [[fallthrough]];
    case OscText::query: asks = text == "?"; break;
    case OscText::indexed_query: asks = is_indexed_query(text); break;
  }
  if (asks) good = answers_.ask(Query::colour);
  if (!good) return drop(State::ground);
  if (!asks) modes_.osc(number, text);
  out += "\033]";
  out += body;
  out += terminator;
  begin(State::ground);
}

}  // namespace agentbox::prompt
