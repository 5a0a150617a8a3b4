#include "text.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"

namespace agentbox::profile {

namespace {

// A file of one endless line must not be copied into each of its items and messages.
constexpr std::size_t shown_line = 400;

// The length of the UTF-8 sequence that `text` begins with, 0 if it is none (RFC 3629).
std::size_t sequence(std::string_view text) {
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) < 0x80) return 1;
  std::size_t length = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
  if (byte(0) < 0xc2 || byte(0) > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  if ((byte(0) == 0xe0 && byte(1) < 0xa0) || (byte(0) == 0xed && byte(1) > 0x9f)) return 0;  // overlong, surrogate
  if ((byte(0) == 0xf0 && byte(1) < 0x90) || (byte(0) == 0xf4 && byte(1) > 0x8f)) return 0;  // overlong, too great
  return length;
}

}  // namespace

Text::Text(const Source& source) : file_(&source.file), bytes_(source.bytes), starts_{0} {
  for (std::size_t i = 0; i < bytes_.size(); ++i) {
    if (bytes_[i] == '\n') starts_.push_back(i + 1);
  }
}

std::string_view Text::line(std::uint32_t number) const {
  if (number == 0 || number > starts_.size()) return {};
  std::size_t begin = starts_[number - 1];
  std::size_t end = number < starts_.size() ? starts_[number] - 1 : bytes_.size();
  if (end > begin && bytes_[end - 1] == '\r') --end;
  return bytes_.substr(begin, end - begin);
}

base::Position Text::at(std::size_t offset, std::size_t length) const {
  offset = std::min(offset, bytes_.size());
  auto next = std::ranges::upper_bound(starts_, offset);
  auto line = static_cast<std::uint32_t>(next - starts_.begin());
  return {.line = line,
          .column = static_cast<std::uint32_t>(offset - starts_[line - 1] + 1),
          .length = static_cast<std::uint32_t>(std::max<std::size_t>(length, 1))};
}

std::size_t Text::offset_of(std::uint32_t line, std::uint32_t code_point_column) const {
  if (line == 0) return 0;
  if (line > starts_.size()) return bytes_.size();
  std::size_t offset = starts_[line - 1];
  std::size_t end = line < starts_.size() ? starts_[line] : bytes_.size();
  for (std::uint32_t column = 1; column < code_point_column && offset < end; ++column) {
    offset += std::max<std::size_t>(sequence(bytes_.substr(offset)), 1);
  }
  return std::min(offset, end);
}

Origin Text::origin(const base::Position& position) const {
  std::string_view text = line(position.line);
  if (text.size() > shown_line) text = position.column < shown_line ? text.substr(0, shown_line) : "";
  return {.file = *file_, .at = position, .source_line = std::string(text)};
}

base::Diagnostic Text::error(const base::Position& position, std::string message, std::string hint) const {
  return error_at(origin(position), std::move(message), std::move(hint));
}

base::Diagnostics check_bytes(const Source& source) {
  if (source.bytes.size() > size_limit) {
    return {{.file = source.file,
             .message = fmt::format("the profile is larger than {} KiB", size_limit / 1024),
             .hint = "split it, and name the parts in `extends`"}};
  }
  Text text(source);
  for (std::size_t i = 0; i < source.bytes.size();) {
    std::size_t length = sequence(text.bytes().substr(i));
    if (length == 0) return {text.error(text.at(i, 1), "this byte is not UTF-8", "save the file as UTF-8")};
    if (source.bytes[i] == '\0') return {text.error(text.at(i, 1), "a profile cannot hold a NUL byte")};
    i += length;
  }
  return {};
}

base::Diagnostic error_at(const Origin& origin, std::string message, std::string hint) {
  return {.file = origin.file,
          .at = origin.at,
          .source_line = origin.source_line,
          .message = std::move(message),
          .hint = std::move(hint)};
}

std::string place_of(const Origin& origin, const std::string& seen_from) {
  if (origin.file == seen_from) return fmt::format("line {}", origin.at.line);
  if (origin.at.line == 0) return base::escape(origin.file);
  return fmt::format("{}:{}", base::escape(origin.file), origin.at.line);
}

}  // namespace agentbox::profile
