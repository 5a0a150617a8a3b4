#include "guard_text.hpp"

#include <array>
#include <utility>

namespace agentbox::launch {

namespace {

using policy::FileKind;

constexpr std::array<std::pair<FileKind, std::string_view>, 9> kinds = {
    {{FileKind::missing, "missing"},
     {FileKind::regular, "file"},
     {FileKind::directory, "directory"},
     {FileKind::symlink, "symbolic link"},
     {FileKind::socket, "socket"},
     {FileKind::fifo, "fifo"},
     {FileKind::character_device, "character device"},
     {FileKind::block_device, "block device"},
     {FileKind::unreadable, "unreadable"}}};

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string encode_bytes(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string text;
  text.reserve(bytes.size());
  for (char c : bytes) {
    auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '%') {
      text += c;
    } else {
      text += '%';
      text += digits[byte >> 4];
      text += digits[byte & 15];
    }
  }
  return text;
}

std::optional<std::string> decode_bytes(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      bytes += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    int high = digit(text[i + 1]), low = digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return bytes;
}

std::string_view kind_name(FileKind kind) {
  for (const auto& [value, name] : kinds) {
    if (value == kind) return name;
  }
  return "unreadable";
}

std::optional<FileKind> kind_of_name(std::string_view name) {
  for (const auto& [value, text] : kinds) {
    if (text == name) return value;
  }
  return std::nullopt;
}

}  // namespace agentbox::launch
