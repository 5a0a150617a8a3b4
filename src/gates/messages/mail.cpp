#include "mail.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace agentbox::gates::messages {

namespace {

// Neither of the two encodings ever yields "=_", so no part can end before its end.
constexpr std::string_view boundary = "=_agentbox";

constexpr std::string_view upper_digits = "0123456789ABCDEF";

bool is_printable(char c) {
  return c >= ' ' && c <= '~';
}
bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xc0U) == 0x80;
}

std::string date_text(std::chrono::sys_seconds date) {
  constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto day = std::chrono::floor<std::chrono::days>(date);
  const std::chrono::year_month_day calendar(day);
  const std::chrono::hh_mm_ss time(date - day);
  return fmt::format("{}, {} {} {} {:02}:{:02}:{:02} +0000", days[std::chrono::weekday(day).c_encoding()],
                     static_cast<unsigned>(calendar.day()), months[static_cast<unsigned>(calendar.month()) - 1],
                     static_cast<int>(calendar.year()), time.hours().count(), time.minutes().count(),
                     time.seconds().count());
}

std::string file_name(std::string_view name) {
  if (std::ranges::all_of(name, is_printable)) return fmt::format("filename=\"{}\"", name);
  std::string out = "filename*=UTF-8''";
  for (char c : name) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
    const auto byte = static_cast<unsigned char>(c);
    if (plain) {
      out += c;
    } else {
      out += {'%', upper_digits[byte >> 4U], upper_digits[byte & 0xfU]};
    }
  }
  return out;
}

std::string in_lines(const std::string& encoded) {
  constexpr std::size_t length = 76;
  std::string out;
  out.reserve(encoded.size() + encoded.size() / length + 2);
  for (std::size_t at = 0; at < encoded.size(); at += length) {
    out.append(encoded, at, length);
    out += '\n';
  }
  return out;
}

void add_text(std::string& out, std::string_view body) {
  out += "Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: quoted-printable\n\n";
  out += quoted_printable(body);
}

}  // namespace

std::string base64(std::string_view bytes) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::string_view three = bytes.substr(at, 3);
    unsigned value = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      value = value << 8U | (i < three.size() ? static_cast<unsigned char>(three[i]) : 0U);
    }
    for (std::size_t i = 0; i < 4; ++i) out += i <= three.size() ? digits[value >> (18 - 6 * i) & 0x3fU] : '=';
  }
  return out;
}

std::string quoted_printable(std::string_view text) {
  std::string out;
  std::size_t column = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\n') {
      out += '\n';
      column = 0;
      continue;
    }
    const std::string_view rest = text.substr(at);
    const bool ends_line = rest.size() == 1 || rest[1] == '\n';
    const bool blank = c == ' ' || c == '\t';
    // What the way of a mail takes for something else at the beginning of a line.
    const bool special = column == 0 && (c == '.' || rest.starts_with("From "));
    const bool plain = !special && c != '=' && (blank ? !ends_line : is_printable(c));
    const std::size_t width = plain ? 1 : 3;
    if (column + width > 75) {
      out += "=\n";
      column = 0;
      --at;  // judged anew, at the beginning of a line
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    if (plain) {
      out += c;
    } else {
      out += {'=', upper_digits[byte >> 4U], upper_digits[byte & 0xfU]};
    }
    column += width;
  }
  if (column > 0) out += "=\n";  // the line's end is not the text's
  return out;
}

std::string header_text(std::string_view text) {
  const bool plain = std::ranges::all_of(text, is_printable) && text.find("=?") == std::string_view::npos &&
                     !text.starts_with(' ') && !text.ends_with(' ');
  if (plain) return std::string(text);
  constexpr std::size_t most = 45;  // bytes; 60 as base64, and 12 around them
  std::string out;
  while (!text.empty()) {
    std::size_t length = std::min(most, text.size());
    while (length < text.size() && length > 1 && is_continuation(text[length])) --length;
    out += fmt::format("{}=?UTF-8?B?{}?=", out.empty() ? "" : "\n ", base64(text.substr(0, length)));
    text.remove_prefix(length);
  }
  return out;
}

std::string write_mail(const policy::Message& message, const std::vector<std::string>& contents,
                       std::chrono::sys_seconds date) {
  std::string out = "Date: " + date_text(date) + "\nTo: ";
  for (const std::string& one : message.to) out += (&one == &message.to.front() ? "" : ",\n ") + one;
  out += '\n';
  if (!message.subject.empty()) out += "Subject: " + header_text(message.subject) + "\n";
  // Nobody's absence note needs to answer it (RFC 3834).
  out += "Auto-Submitted: auto-generated\nMIME-Version: 1.0\n";
  if (message.attachments.empty()) {
    add_text(out, message.body);
    return out;
  }
  out += fmt::format("Content-Type: multipart/mixed; boundary=\"{}\"\n\n--{}\n", boundary, boundary);
  add_text(out, message.body);
  for (std::size_t i = 0; i < message.attachments.size(); ++i) {
    // One kind for all: what it is shown as is for its reader to decide.
    out += fmt::format(
        "\n--{}\nContent-Type: application/octet-stream\nContent-Disposition: attachment;\n {}\n"
        "Content-Transfer-Encoding: base64\n\n",
        boundary, file_name(message.attachments[i].name));
    out += in_lines(base64(i < contents.size() ? contents[i] : std::string()));
  }
  out += fmt::format("\n--{}--\n", boundary);
  return out;
}

}  // namespace agentbox::gates::messages
