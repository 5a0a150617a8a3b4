// HTTP/1.1 as far as one request and its answer on a connection of its own need it (RFC 9112).

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/wire/reviewer_message.hpp"

namespace agentbox::wire {

namespace {

constexpr std::size_t most_head = 16 * 1024;
constexpr std::size_t most_line = 256;  // of a chunk's size, of a trailer
constexpr std::string_view end_of_line = "\r\n";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return out;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = std::min(text.find_first_not_of(" \t"), text.size());
  return text.substr(first, text.find_last_not_of(" \t") + 1 - first);
}

std::optional<std::size_t> number(std::string_view text, int base) {
  std::size_t value = 0;
  auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc{} || rest != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string request(std::string_view method, const HttpTarget& target, std::string_view more) {
  const std::string key = target.key.empty() ? "" : "Authorization: Bearer " + target.key + "\r\n";
  return fmt::format(
      "{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: agentbox\r\nAccept: application/json\r\n{}{}Connection: "
      "close\r\n\r\n",
      method, target.path, target.host, key, more);
}

}  // namespace

std::string http_get(const HttpTarget& target) {
  return request("GET", target, "");
}

std::string http_post(const HttpTarget& target, std::string_view body) {
  std::string head =
      request("POST", target, fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n", body.size()));
  return head.append(body);
}

HttpReply::State HttpReply::wrong(std::string problem) {
  part_ = Part::wrong;
  problem_ = std::move(problem);
  return State::wrong;
}

HttpReply::State HttpReply::take(std::string_view bytes) {
  held_ += bytes;
  for (;;) {
    const Part before = part_;
    const std::size_t held = held_.size();
    const State state = step();
    if (state != State::more) return state;
    if (part_ == before && held_.size() == held) return State::more;
  }
}

HttpReply::State HttpReply::end() {
  if (part_ == Part::until_end) part_ = Part::done;
  if (part_ == Part::done) return State::done;
  return part_ == Part::wrong ? State::wrong : wrong("its server hung up");
}

HttpReply::State HttpReply::step() {
  switch (part_) {
    case Part::head: {
      const std::size_t end = held_.find("\r\n\r\n");
      if (end == std::string::npos)
        return held_.size() > most_head ? wrong("its server's head is too long") : State::more;
      if (end > most_head) return wrong("its server's head is too long");
      const std::string head = held_.substr(0, end);
      held_.erase(0, end + 4);
      return read_head(head);
    }
    case Part::body:
    case Part::chunk:
    case Part::until_end: {
      const std::size_t count = part_ == Part::until_end ? held_.size() : std::min(left_, held_.size());
      if (count > most_body_ - body_.size()) return wrong("its server's answer is too long");
      body_.append(held_, 0, count);
      held_.erase(0, count);
      if (part_ == Part::until_end) return State::more;
      left_ -= count;
      if (left_ > 0) return State::more;
      part_ = part_ == Part::body ? Part::done : Part::after_chunk;
      return part_ == Part::done ? step() : State::more;
    }
    case Part::size: {
      const std::optional<std::string> size = line();
      if (!size) return part_ == Part::wrong ? State::wrong : State::more;
      const std::optional<std::size_t> count = number(trimmed(std::string_view(*size).substr(0, size->find(';'))), 16);
      if (!count) return wrong("its server's answer is no HTTP");
      if (*count > most_body_ - body_.size()) return wrong("its server's answer is too long");
      left_ = *count;
      part_ = left_ == 0 ? Part::trailer : Part::chunk;
      return State::more;
    }
    case Part::after_chunk: {
      const std::optional<std::string> nothing = line();
      if (!nothing) return part_ == Part::wrong ? State::wrong : State::more;
      if (!nothing->empty()) return wrong("its server's answer is no HTTP");
      part_ = Part::size;
      return State::more;
    }
    case Part::trailer: {
      const std::optional<std::string> field = line();
      if (!field) return part_ == Part::wrong ? State::wrong : State::more;
      if (field->empty()) part_ = Part::done;
      return field->empty() ? step() : wrong("its server's answer is no HTTP that is taken here");
    }
    case Part::done: return held_.empty() ? State::done : wrong("its server says more than its answer");
    case Part::wrong: break;
  }
  return State::wrong;
}

std::optional<std::string> HttpReply::line() {
  const std::size_t end = held_.find(end_of_line);
  if (end == std::string::npos && held_.size() <= most_line) return std::nullopt;
  if (end > most_line) {  // or there is none
    wrong("its server's answer is no HTTP");
    return std::nullopt;
  }
  std::string text = held_.substr(0, end);
  held_.erase(0, end + end_of_line.size());
  return text;
}

HttpReply::State HttpReply::read_head(std::string_view head) {
  const std::string_view status = head.substr(0, head.find(end_of_line));
  head.remove_prefix(std::min(status.size() + end_of_line.size(), head.size()));
  const bool known = status.size() >= 12 && (status.starts_with("HTTP/1.1 ") || status.starts_with("HTTP/1.0 ")) &&
                     (status.size() == 12 || status[12] == ' ');
  if (!known) return wrong("its server's answer is no HTTP");
  const std::string_view code = status.substr(9, 3);
  if (code.starts_with('3')) return wrong("its server leads elsewhere, which is not followed");
  if (code != "200") return wrong(fmt::format("its server says {}", base::escape(code)));
  std::optional<std::size_t> length;
  bool chunked = false, json = false;
  while (!head.empty()) {
    const std::string_view field = head.substr(0, head.find(end_of_line));
    head.remove_prefix(std::min(field.size() + end_of_line.size(), head.size()));
    const std::size_t colon = field.find(':');
    if (colon == std::string_view::npos || colon == 0) return wrong("its server's answer is no HTTP");
    const std::string name = lower(field.substr(0, colon));
    if (name.find_first_of(" \t") != std::string::npos) return wrong("its server's answer is no HTTP");
    const std::string value = lower(trimmed(field.substr(colon + 1)));
    if (name == "content-length") {
      const std::optional<std::size_t> given = number(value, 10);
      if (!given || length) return wrong("its server's answer is no HTTP");
      length = given;
    } else if (name == "transfer-encoding") {
      if (value != "chunked" || chunked) return wrong("its server's answer is no HTTP that is taken here");
      chunked = true;
    } else if (name == "content-encoding" && value != "identity") {
      return wrong("its server's answer is compressed, which it was not asked to be");
    } else if (name == "content-type") {
      json = value == "application/json" || value.starts_with("application/json;") ||
             value.starts_with("application/json ");
    }
  }
  if (!json) return wrong("its server's answer is no JSON");
  if (chunked && length) return wrong("its server's answer is no HTTP");
  if (length && *length > most_body_) return wrong("its server's answer is too long");
  left_ = length.value_or(0);
  part_ = chunked ? Part::size : length ? Part::body : Part::until_end;
  return State::more;
}

}  // namespace agentbox::wire
