#include "http_head.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"

namespace agentbox::gates::network {

namespace {

constexpr std::size_t most_fields = 128;
constexpr std::size_t most_method = 32;

using Problem = std::optional<HttpRefusal>;

std::unexpected<HttpRefusal> refuse(std::string_view text, int status = 400) {
  return std::unexpected(HttpRefusal{status, std::string(text)});
}

bool is_token_byte(char c) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
  return c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

char lower(char c) {
  return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

std::string_view trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

// The next line, without its CR LF, which is there: HttpHeadEnd has seen to it.
std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find("\r\n");
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(text.size(), line.size() + 2));
  return line;
}

template <class Each>
void each_element(std::string_view list, Each each) {
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    if (const std::string_view element = trim(list.substr(begin, end - begin)); !element.empty()) each(element);
    begin = end + 1;
  }
}

// ---- the first line ----

struct RequestLine {
  std::string_view method, target;
  HttpVersion version = HttpVersion::v1_1;
};

std::expected<RequestLine, HttpRefusal> request_line(std::string_view line) {
  if (line.empty()) return refuse("an empty line stands before the request");
  const std::size_t first = line.find(' '), last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return refuse("the first line is not METHOD TARGET HTTP/1.1");
  RequestLine result{.method = line.substr(0, first), .target = line.substr(first + 1, last - first - 1)};
  if (!is_token(result.method) || result.method.size() > most_method) return refuse("the method is not a word");
  const std::string_view version = line.substr(last + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    if (version.starts_with("HTTP/")) return refuse("only HTTP/1.0 and HTTP/1.1 are spoken here", 505);
    return refuse("the first line does not end in HTTP/1.1");
  }
  if (version == "HTTP/1.0") result.version = HttpVersion::v1_0;
  if (result.target.empty()) return refuse("the target is missing");
  for (const char c : result.target) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f) return refuse("the target holds a byte that must be escaped in it");
    if (c == '#') return refuse("the target holds a fragment");
  }
  return result;
}

Problem take_absolute(std::string_view target, std::string_view own, HttpRequest& request) {
  static constexpr std::string_view scheme = "http://";
  if (!same_word(target.substr(0, scheme.size()), scheme)) {
    return HttpRefusal{400, "the target is neither a path nor an http address"};
  }
  target.remove_prefix(scheme.size());
  const std::string_view text = target.substr(0, target.find_first_of("/?"));
  auto authority = canonical_authority(text, own);
  if (!authority) return HttpRefusal{400, std::string(text_of(authority.error()))};
  if (!authority->port) authority->port = 80;
  request.authority = std::move(*authority);
  request.target = HttpRequest::Target::absolute;
  request.path = target.substr(text.size());
  if (request.path.empty()) {
    request.path = request.method == "OPTIONS" ? "*" : "/";
  } else if (request.path.front() == '?') {
    request.path.insert(0, 1, '/');
  }
  return std::nullopt;
}

Problem take_target(std::string_view target, std::string_view own, HttpRequest& request) {
  if (request.method == "CONNECT") {
    auto authority = canonical_authority(target);
    if (!authority) return HttpRefusal{400, std::string(text_of(authority.error()))};
    if (!authority->port) return HttpRefusal{400, "CONNECT needs a port"};
    request.target = HttpRequest::Target::authority;
    request.authority = std::move(*authority);
    return std::nullopt;
  }
  if (target.front() == '/') {
    request.path = target;
    return std::nullopt;
  }
  if (target != "*") return take_absolute(target, own, request);
  if (request.method != "OPTIONS") return HttpRefusal{400, "only OPTIONS can ask for '*'"};
  request.target = HttpRequest::Target::asterisk;
  request.path = "*";
  return std::nullopt;
}

// ---- fields ----

std::expected<std::vector<HttpField>, HttpRefusal> take_fields(std::string_view text) {
  std::vector<HttpField> fields;
  while (true) {
    const std::string_view line = take_line(text);
    if (line.empty()) return fields;
    if (fields.size() == most_fields) return refuse("it has more than 128 fields", 431);
    if (line.front() == ' ' || line.front() == '\t') return refuse("one of its fields goes on over a second line");
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return refuse("one of its fields has no ':'");
    const std::string_view name = line.substr(0, colon);
    if (!is_token(name)) return refuse("the name of one of its fields is not a word");
    const std::string_view value = trim(line.substr(colon + 1));
    for (const char c : value) {
      const auto byte = static_cast<unsigned char>(c);
      if ((byte < 0x20 && c != '\t') || byte == 0x7f) return refuse("one of its fields holds a control character");
    }
    fields.push_back({std::string(name), std::string(value)});
  }
}

std::size_t count_of(const std::vector<HttpField>& fields, std::string_view name) {
  return static_cast<std::size_t>(
      std::ranges::count_if(fields, [&](const HttpField& field) { return same_word(field.name, name); }));
}

const HttpField* find(const std::vector<HttpField>& fields, std::string_view name) {
  const auto found = std::ranges::find_if(fields, [&](const HttpField& field) { return same_word(field.name, name); });
  return found == fields.end() ? nullptr : &*found;
}

bool has_option(const std::vector<HttpField>& fields, std::string_view name, std::string_view option) {
  bool found = false;
  for (const HttpField& field : fields) {
    found = found || (same_word(field.name, name) && has_word(field.value, option));
  }
  return found;
}

std::optional<std::uint64_t> decimal(std::string_view text) {
  std::uint64_t value = 0;
  if (text.empty() || text.size() > 18) return std::nullopt;  // below 2^63 for every reader
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// What the two messages have in common: how long a body is (RFC 9112 §6). More than one way to say it is no way.
struct Framing {
  HttpBody body = HttpBody::none;
  std::uint64_t length = 0;
};
std::expected<Framing, HttpRefusal> framing(const std::vector<HttpField>& fields) {
  const std::size_t lengths = count_of(fields, "content-length"), codings = count_of(fields, "transfer-encoding");
  if (lengths > 0 && codings > 0) return refuse("it says how long its body is in two ways");
  if (lengths > 1) return refuse("it says how long its body is more than once");
  if (codings > 1) return refuse("it says how its body is coded more than once");
  if (codings == 1) {
    if (!same_word(find(fields, "transfer-encoding")->value, "chunked")) {
      return refuse("the only coding of a body that passes here is chunked", 501);
    }
    return Framing{.body = HttpBody::chunked, .length = 0};
  }
  if (lengths == 0) return Framing{};
  const auto length = decimal(find(fields, "content-length")->value);
  if (!length) return refuse("the length of its body is not a number");
  return Framing{.body = HttpBody::length, .length = *length};
}

Problem judge_host(std::string_view own, HttpRequest& request) {
  const std::size_t hosts = count_of(request.fields, "host");
  if (hosts > 1) return HttpRefusal{400, "it has more than one Host"};
  if (hosts == 0) {
    if (request.version == HttpVersion::v1_1) return HttpRefusal{400, "it has no Host"};
    return std::nullopt;
  }
  auto host = canonical_authority(find(request.fields, "host")->value, own);
  if (!host) return HttpRefusal{400, std::string(text_of(host.error()))};
  if (!request.authority) {
    request.authority = std::move(*host);
    return std::nullopt;
  }
  // Its port may be left out where it is the default: of http, and with CONNECT in practice of https.
  const std::uint16_t fallback = request.target == HttpRequest::Target::authority ? *request.authority->port : 80;
  if (host->host != request.authority->host || host->port.value_or(fallback) != request.authority->port) {
    return HttpRefusal{400, "its Host is not the host of its target"};
  }
  return std::nullopt;
}

Problem judge_body(HttpRequest& request) {
  const auto found = framing(request.fields);
  if (!found) return found.error();
  request.body = found->body;
  request.length = found->length;
  if (request.body == HttpBody::chunked && request.version == HttpVersion::v1_0) {
    return HttpRefusal{400, "HTTP/1.0 knows no chunked body"};
  }
  if (request.method == "CONNECT" && request.body != HttpBody::none) {
    return HttpRefusal{400, "CONNECT has no body"};
  }
  const std::size_t expectations = count_of(request.fields, "expect");
  if (expectations == 0 || request.version == HttpVersion::v1_0) return std::nullopt;
  if (expectations > 1 || !same_word(find(request.fields, "expect")->value, "100-continue")) {
    return HttpRefusal{417, "the only thing to be expected here is 100-continue"};
  }
  const bool empty = request.body == HttpBody::none || (request.body == HttpBody::length && request.length == 0);
  if (!empty) request.continues = HttpRequest::Continue::expected;
  return std::nullopt;
}

// RFC 9110 §7.8. To say nothing of it is always right: the server then answers as if it had not been asked.
void take_upgrade(HttpRequest& request) {
  if (request.version == HttpVersion::v1_0 || request.method == "CONNECT") return;
  if (count_of(request.fields, "upgrade") != 1 || !has_option(request.fields, "connection", "upgrade")) return;
  const std::string& value = find(request.fields, "upgrade")->value;
  bool harmless = !value.empty();
  each_element(value, [&](std::string_view element) {
    const std::string_view name = element.substr(0, element.find('/'));
    const std::string_view version = element.substr(std::min(element.size(), name.size() + 1));
    const bool word = is_token(name) && (version.empty() || is_token(version));
    const bool hides = same_word(name, "h2c") || same_word(name, "h2") || same_word(name, "http") ||
                       same_word(name, "tls") || same_word(name.substr(0, 4), "h2c-");
    harmless = harmless && word && !hides;
  });
  if (harmless) request.upgrade = value;
}

void take_after(HttpRequest& request) {
  const bool close = has_option(request.fields, "connection", "close") ||
                     (request.version == HttpVersion::v1_0 && !has_option(request.fields, "connection", "keep-alive"));
  request.after = close ? HttpRequest::After::close : HttpRequest::After::keep_alive;
}

std::string_view reason_of(int status) {
  switch (status) {
    case 400: return "Bad Request";
    case 403: return "Forbidden";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Refused";
  }
}

}  // namespace

bool has_word(std::string_view value, std::string_view word) {
  bool found = false;
  each_element(value, [&](std::string_view element) { found = found || same_word(element, word); });
  return found;
}

bool same_word(std::string_view one, std::string_view other) noexcept {
  return std::ranges::equal(one, other, [](char a, char b) { return lower(a) == lower(b); });
}

bool is_token(std::string_view text) noexcept {
  return !text.empty() && std::ranges::all_of(text, is_token_byte);
}

std::optional<std::string_view> HttpRequest::field(std::string_view name) const {
  if (count_of(fields, name) != 1) return std::nullopt;
  return find(fields, name)->value;
}

std::optional<HttpRefusal> problem_of_request_line(std::string_view line) {
  const auto parsed = request_line(line);
  if (!parsed) return parsed.error();
  return std::nullopt;
}

std::expected<HttpRequest, HttpRefusal> parse_request_head(std::string_view head, std::string_view own) {
  const auto line = request_line(take_line(head));
  if (!line) return std::unexpected(line.error());
  HttpRequest request{.method = std::string(line->method), .version = line->version, .path = {}, .upgrade = {}};
  if (const Problem problem = take_target(line->target, own, request)) return std::unexpected(*problem);
  auto fields = take_fields(head);
  if (!fields) return std::unexpected(fields.error());
  request.fields = std::move(*fields);
  if (const Problem problem = judge_host(own, request)) return std::unexpected(*problem);
  if (const Problem problem = judge_body(request)) return std::unexpected(*problem);
  take_upgrade(request);
  take_after(request);
  return request;
}

std::optional<HttpAnswer> parse_answer_head(std::string_view head, AnswerTo request) {
  const std::string_view line = take_line(head);
  // "HTTP/1.1 200 OK"; the words after the number may be missing.
  if (!line.starts_with("HTTP/1.") || line.size() < 12 || line[8] != ' ') return std::nullopt;
  if (line.size() > 12 && line[12] != ' ') return std::nullopt;
  const auto status = decimal(line.substr(9, 3));
  if (!status || *status < 100 || *status > 599) return std::nullopt;
  HttpAnswer answer{.status = static_cast<int>(*status), .reason = {}, .fields = {}};
  auto fields = take_fields(head);
  if (!fields) return std::nullopt;
  answer.fields = std::move(*fields);
  const bool keeps = line[7] != '0' || has_option(answer.fields, "connection", "keep-alive");
  if (!keeps || has_option(answer.fields, "connection", "close")) answer.after = HttpRequest::After::close;
  const std::string_view reason = trim(line.substr(12));
  if (std::ranges::all_of(reason, [](char c) { return c >= 0x20 && c < 0x7f; })) answer.reason = reason;
  if (request == AnswerTo::head || answer.status < 200 || answer.status == 204 || answer.status == 304) return answer;
  const auto found = framing(answer.fields);
  if (!found) return std::nullopt;
  switch (found->body) {
    case HttpBody::none: answer.body = HttpAnswer::Body::until_close; break;
    case HttpBody::chunked: answer.body = HttpAnswer::Body::chunked; break;
    case HttpBody::length:
      answer.body = HttpAnswer::Body::length;
      answer.length = found->length;
      break;
  }
  return answer;
}

HttpHeadEnd::Found HttpHeadEnd::scan(std::string_view text) {
  while (at_ < text.size()) {
    if (at_ >= most) return Found::too_long;
    const char c = text[at_];
    // A CR as the last byte so far is judged by what follows it.
    if (c == '\r' && at_ + 1 == text.size()) return Found::need_more;
    if (c == '\n' || (c == '\r' && text[at_ + 1] != '\n')) return Found::bare_line_break;
    if (c != '\r') {
      ++at_;
      continue;
    }
    const bool empty = at_ == line_;
    if (first_line_ == 0) first_line_ = at_;
    at_ += 2;
    line_ = at_;
    if (at_ > most) return Found::too_long;
    if (empty) return Found::end;
  }
  return Found::need_more;
}

std::string http_answer(int status, std::string_view text) {
  const std::string body = fmt::format("agentbox: {}\n", base::escape(text));
  return fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
      status, reason_of(status), body.size(), body);
}

std::string http_redirect(std::string_view location) {
  return fmt::format(
      "HTTP/1.1 307 Temporary Redirect\r\nLocation: {}\r\nCache-Control: no-store\r\nContent-Length: 0\r\n"
      "Connection: close\r\n\r\n",
      location);
}

}  // namespace agentbox::gates::network
