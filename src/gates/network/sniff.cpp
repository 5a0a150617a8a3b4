#include "sniff.hpp"

#include <algorithm>
#include <array>

#include "http_head.hpp"

namespace agentbox::gates::network {

namespace {

constexpr std::size_t enough = 4096;

// Whose line needs no "HTTP/" after it: HTTP/0.9 had none, and some servers still answer it.
constexpr std::array<std::string_view, 11> methods{"GET",   "HEAD",  "POST",    "PUT", "DELETE",  "CONNECT",
                                                   "PATCH", "TRACE", "OPTIONS", "PRI", "PROPFIND"};

bool is_blank(char c) {
  return static_cast<unsigned char>(c) <= 0x20;
}

bool holds_version(std::string_view line) {
  static constexpr std::string_view word = "HTTP/";
  for (std::size_t at = 0; at + word.size() <= line.size(); ++at) {
    if (same_word(line.substr(at, word.size()), word)) return true;
  }
  return false;
}

}  // namespace

Speech speech_of(std::string_view so_far) {
  if (so_far.empty() || so_far == "\x16") return Speech::need_more;
  if (so_far.starts_with("\x16\x03")) return Speech::tls;
  // Servers pass over empty lines and blanks before a request.
  std::string_view text = so_far;
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  const auto word_end = std::ranges::find_if(text, [](char c) { return !is_token({&c, 1}); });
  const std::string_view word = text.substr(0, static_cast<std::size_t>(word_end - text.begin()));
  const bool whole_word = word.size() < text.size();
  if (whole_word && std::ranges::any_of(methods, [&](auto method) { return same_word(word, method); })) {
    return Speech::http;
  }
  if (whole_word && word.empty()) return Speech::other;
  const std::size_t line_end = text.find('\n');
  const std::string_view line = text.substr(0, line_end);
  if (holds_version(line)) return Speech::http;
  // No server takes a NUL within its first line, and most binary protocols have one. Other odd bytes decide nothing:
  // "HTTP/1.1" may still follow them, in the next packet.
  if (line_end != std::string_view::npos || line.find('\0') != std::string_view::npos) return Speech::other;
  return so_far.size() < enough ? Speech::need_more : Speech::http;
}

}  // namespace agentbox::gates::network
