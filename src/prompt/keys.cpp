#include "keys.hpp"

#include <utility>

namespace agentbox::prompt {

namespace {

constexpr std::string_view paste_end = "\033[201~";

struct CsiKey {
  std::string_view body;  // parameters and final byte
  Key key;
};
// xterm, the Linux console and rxvt; the same finals after SS3.
constexpr CsiKey csi_keys[] = {
    {"A", Key::up},    {"B", Key::down}, {"C", Key::right},    {"D", Key::left},
    {"H", Key::home},  {"F", Key::end},  {"1~", Key::home},    {"4~", Key::end},
    {"7~", Key::home}, {"8~", Key::end}, {"5~", Key::page_up}, {"6~", Key::page_down},
};

Key key_of(std::string_view body) {
  for (const CsiKey& row : csi_keys) {
    if (row.body == body) return row.key;
  }
  return Key::unknown;
}

std::size_t letter_length(unsigned char first) {
  if (first < 0xc2 || first > 0xf4) return 0;
  return first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
}

// Overlong forms, surrogates, beyond Unicode, and C1 controls.
bool is_letter(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) == 0xc2) return byte(1) >= 0xa0;
  if (byte(0) == 0xe0) return byte(1) >= 0xa0;
  if (byte(0) == 0xed) return byte(1) < 0xa0;
  if (byte(0) == 0xf0) return byte(1) >= 0x90;
  if (byte(0) == 0xf4) return byte(1) < 0x90;
  return true;
}

}  // namespace

std::vector<Press> KeyReader::feed(std::string_view bytes, Clock::time_point now) {
  if (bytes.empty()) return {};
  std::vector<Press> out = settle(now);
  if (state_ == State::paste && bytes.size() == 1 && now - last_ >= paste_pause) {
    last_ = now;
    give_up(out);
    return out;
  }
  if (state_ == State::string && bytes == "\003")
    state_ = State::ground;  // no answer holds it: somebody presses Ctrl-C
  const bool quiet_before = !any_ || now - last_ >= burst;
  const bool fresh = state_ == State::ground;
  const std::size_t before = out.size();
  any_ = true;
  last_ = now;
  for (char c : bytes) step(c, out);
  if (bytes.size() == 1 && fresh && quiet_before && out.size() == before + 1) {
    out.back().company = Press::Company::alone;
  }
  return out;
}

std::vector<Press> KeyReader::settle(Clock::time_point now) {
  if (!pending() || now < settles_at()) return {};
  std::vector<Press> out;
  if (state_ != State::escape) {
    give_up(out);
  } else {
    state_ = State::ground;
    out.push_back({Key::escape, {}});
  }
  return out;
}

void KeyReader::give_up(std::vector<Press>& out) {
  state_ = State::ground;
  text_.clear();
  out.push_back({Key::unknown, {}});
}

void KeyReader::step(char c, std::vector<Press>& out) {
  switch (state_) {
    case State::ground: return ground(c, out);
    case State::letter: return letter(c, out);
    case State::escape: return after_escape(c, out);
    case State::csi:
      if (c == '\033') {
        state_ = State::escape;
      } else if (c >= 0x40 && c < 0x7f) {
        end_csi(c, out);
      } else if (text_.size() < 32) {
        text_ += c;
      }
      return;
    case State::ss3:
      state_ = State::ground;
      out.push_back({key_of(std::string_view(&c, 1)), {}});
      return;
    case State::string:  // a terminal's answer that came late
      if (c == '\a') state_ = State::ground;
      if (c == '\033') state_ = State::string_escape;
      return;
    case State::string_escape:
      if (c == '\\') {
        state_ = State::ground;
      } else {
        after_escape(c, out);
      }
      return;
    case State::paste: return paste(c, out);
  }
}

void KeyReader::ground(char c, std::vector<Press>& out) {
  const auto byte = static_cast<unsigned char>(c);
  if (byte == 0x1b) {
    state_ = State::escape;
  } else if (byte == '\r' || byte == '\n') {
    out.push_back({Key::enter, {}});
  } else if (byte == 0x7f || byte == '\b') {
    out.push_back({Key::backspace, {}});
  } else if (byte == 0 || byte > 26) {
    if (byte >= 0x20 && byte < 0x7f) {
      out.push_back({Key::character, std::string(1, c)});
    } else if (letter_length(byte) != 0) {
      text_ = c;
      wanted_ = letter_length(byte);
      state_ = State::letter;
    } else {
      out.push_back({Key::unknown, {}});
    }
  } else {
    out.push_back({Key::control, std::string(1, static_cast<char>(byte + 'a' - 1))});
  }
}

void KeyReader::letter(char c, std::vector<Press>& out) {
  if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) {
    state_ = State::ground;
    out.push_back({Key::unknown, {}});
    return ground(c, out);
  }
  text_ += c;
  if (text_.size() < wanted_) return;
  state_ = State::ground;
  const bool valid = is_letter(text_);
  out.push_back({valid ? Key::character : Key::unknown, valid ? std::exchange(text_, {}) : std::string()});
}

void KeyReader::after_escape(char c, std::vector<Press>& out) {
  text_.clear();
  if (c == '[') {
    state_ = State::csi;
  } else if (c == 'O') {
    state_ = State::ss3;
  } else if (c == ']' || c == 'P' || c == '_' || c == '^' || c == 'X') {
    state_ = State::string;
  } else if (c == '\033') {
    state_ = State::escape;
    out.push_back({Key::escape, {}});
  } else {
    state_ = State::ground;  // Alt and a key
    out.push_back({Key::unknown, {}});
  }
}

void KeyReader::end_csi(char final, std::vector<Press>& out) {
  text_ += final;
  state_ = State::ground;
  const std::string body = std::exchange(text_, {});
  if (body == "200~") {
    state_ = State::paste;
  } else if (body != "201~") {
    out.push_back({key_of(body), {}});
  }
}

// To its end, whatever comes: a paste without an end never becomes keys.
void KeyReader::paste(char c, std::vector<Press>& out) {
  text_ += c;
  if (text_.ends_with(paste_end)) {
    text_.resize(text_.size() - paste_end.size());
    if (text_.size() > paste_limit) text_.resize(paste_limit);
    state_ = State::ground;
    out.push_back({Key::paste, std::exchange(text_, {})});
  } else if (text_.size() >= paste_limit + 2 * paste_end.size()) {
    text_.erase(paste_limit, paste_end.size());
  }
}

}  // namespace agentbox::prompt
