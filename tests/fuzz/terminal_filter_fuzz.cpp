// Whatever the agent prints: what reaches the terminal is whole, harmless and independent of how it was cut.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "agentbox/prompt/terminal_filter.hpp"

namespace {

using agentbox::prompt::TerminalFilter;

std::string filtered(std::string_view in, std::size_t piece) {
  TerminalFilter filter;
  std::string out;
  for (std::size_t at = 0; at < in.size(); at += piece) filter.feed(in.substr(at, piece), out);
  filter.finish();
  return out;
}

// Written apart from the filter and much simpler: one byte after the other, no table.
class Checker {
 public:
  explicit Checker(std::string_view text) : text_(text) {}

  bool harmless() {
    while (at_ < text_.size()) {
      if (!one()) return false;
    }
    return true;
  }

 private:
  bool one() {
    const auto c = static_cast<unsigned char>(text_[at_]);
    if (c == 0x1b) return sequence();
    if (c < 0x80) {
      ++at_;
      return c >= 0x20 || c == 0 || (c >= 7 && c <= 15);
    }
    return letter();
  }

  bool letter() {
    const auto first = static_cast<unsigned char>(text_[at_]);
    const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text_.size() - at_ < length) return false;
    std::uint32_t code = first & (0xffU >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
      const auto next = static_cast<unsigned char>(text_[at_ + i]);
      if ((next & 0xc0) != 0x80) return false;
      code = code << 6 | (next & 0x3f);
    }
    at_ += length;
    return code >= 0xa0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) && (length < 3 || code >= 0x800) &&
           (length < 4 || code >= 0x10000);
  }

  bool sequence() {
    const std::size_t begin = at_++;
    if (at_ == text_.size()) return false;
    const char introducer = text_[at_++];
    if (introducer == '[') {
      while (at_ < text_.size() && text_[at_] >= 0x20 && text_[at_] < 0x40) ++at_;
      if (at_ == text_.size()) return false;
      std::string whole(text_.substr(begin, ++at_ - begin));
      const std::size_t digits = whole[2] >= '<' ? 3 : 2;
      while (whole.size() > digits + 2 && whole[digits] == '0') whole.erase(digits, 1);
      const std::string_view never = "inptgx]|{w";  // of these only fixed questions may pass
      if (never.find(whole.back()) == std::string_view::npos) return whole != "\033[3J" && whole != "\033[>q";
      for (std::string_view question :
           {"\033[5n", "\033[6n", "\033[?6n", "\033[?996n", "\033[14t", "\033[16t", "\033[18t", "\033[!p"}) {
        if (whole == question) return true;
      }
      return whole.ends_with("$p") || whole.ends_with("$x");
    }
    if (introducer == ']') {
      const auto body = text_.substr(at_);
      bool known = false;
      for (std::string_view number : {"8;", "4;", "10;", "11;", "12;", "112\a", "112\033", "112;\a", "112;\033"}) {
        known = known || body.starts_with(number);
      }
      while (at_ < text_.size() && text_[at_] >= 0x20 && text_[at_] < 0x7f) ++at_;
      if (!known || at_ == text_.size()) return false;
      if (text_[at_] == '\a') return ++at_, true;
      const bool ended = text_.substr(at_).starts_with("\033\\");
      at_ += 2;
      return ended;
    }
    if (introducer == '(' || introducer == ')') {
      return at_ < text_.size() && std::string_view("0AB").find(text_[at_++]) != std::string_view::npos;
    }
    return std::string_view("78=>DEM").find(introducer) != std::string_view::npos;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

void require(bool holds, int line = __builtin_LINE()) {
  if (holds) return;
  std::fprintf(stderr, "line %d does not hold\n", line);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view in(reinterpret_cast<const char*>(data), size);
  const std::string whole = filtered(in, size + 1);
  require(Checker(whole).harmless());
  require(filtered(in, 1) == whole);
  require(filtered(in, 7) == whole);
  require(filtered(whole, whole.size() + 1) == whole);

  // What switches the terminal back must itself pass, and leave nothing to switch back.
  TerminalFilter filter;
  std::string out;
  filter.feed(in, out);
  filter.finish();
  const std::string leave = filter.modes().leave();
  require(Checker(leave).harmless());
  require(Checker(filter.modes().enter()).harmless());
  filter.feed(leave, out);
  require(filter.modes().leave().empty());

  // The same bytes as what the terminal types: nothing may be counted below zero.
  filter.answers().observe(in);
  require(filter.answers().outstanding() <= agentbox::prompt::TerminalAnswers::limit * agentbox::prompt::query_kinds);
  return 0;
}
