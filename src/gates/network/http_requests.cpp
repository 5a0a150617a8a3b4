#include "http_requests.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace agentbox::gates::network {

namespace {

// What belongs to this hop alone (RFC 9110 §7.6.1), or is written anew below.
bool is_ours(std::string_view name) {
  static constexpr std::array<std::string_view, 15> ours{"host",
                                                         "content-length",
                                                         "transfer-encoding",
                                                         "connection",
                                                         "keep-alive",
                                                         "proxy-connection",
                                                         "proxy-authorization",
                                                         "proxy-authenticate",
                                                         "proxy-authentication-info",
                                                         "te",
                                                         "trailer",
                                                         "upgrade",
                                                         "http2-settings",
                                                         "expect",
                                                         "alt-used"};
  return std::ranges::any_of(ours, [&](std::string_view other) { return same_word(name, other); });
}

bool is_named(const HttpRequest& request, std::string_view name) {
  return std::ranges::any_of(request.fields, [&](const HttpField& field) {
    return same_word(field.name, "connection") && has_word(field.value, name);
  });
}

struct Written {
  HttpBody body;
  std::uint64_t length;
  HttpRequest::Continue continues;
  enum class Upgrade { keep, drop } upgrade;
};

std::string target_of(const HttpRequest& request, const HttpRequests::Passing& passing) {
  if (passing.form == HttpRequests::Passing::Form::origin) return request.path;
  return fmt::format("http://{}{}", passing.authority, request.path == "*" ? "" : request.path);
}

std::string connection_of(const HttpRequest& request, const Written& written) {
  if (written.upgrade == Written::Upgrade::keep) {
    return fmt::format("Connection: Upgrade\r\nUpgrade: {}\r\n", request.upgrade);
  }
  if (request.after == HttpRequest::After::close) return "Connection: close\r\n";
  return request.version == HttpVersion::v1_0 ? "Connection: keep-alive\r\n" : "";
}

std::string head_of(const HttpRequest& request, const HttpRequests::Passing& passing, const Written& written) {
  std::string head = fmt::format("{} {} HTTP/1.{}\r\nHost: {}\r\n", request.method, target_of(request, passing),
                                 request.version == HttpVersion::v1_0 ? 0 : 1, passing.authority);
  for (const HttpField& field : request.fields) {
    if (is_ours(field.name) || is_named(request, field.name)) continue;
    head += fmt::format("{}: {}\r\n", field.name, field.value);
  }
  for (const HttpField& field : passing.add) head += fmt::format("{}: {}\r\n", field.name, field.value);
  if (written.body == HttpBody::chunked) head += "Transfer-Encoding: chunked\r\n";
  if (written.body == HttpBody::length) head += fmt::format("Content-Length: {}\r\n", written.length);
  if (written.continues == HttpRequest::Continue::expected) head += "Expect: 100-continue\r\n";
  return head + connection_of(request, written) + "\r\n";
}

}  // namespace

void HttpRequests::feed(std::string_view bytes) {
  if (state_ != State::finished && state_ != State::refused) in_ += bytes;
}

HttpRequests::Next HttpRequests::next() {
  // What was collected has gone on.
  if (out_.empty() && (state_ == State::head || state_ == State::finished)) share_.give_back();
  if (state_ == State::head && out_.empty()) read_head();
  if (state_ == State::collecting || state_ == State::body) read_body();
  if (!out_.empty()) return Next::bytes;
  switch (state_) {
    case State::head:
    case State::collecting:
    case State::body: return Next::need_bytes;
    case State::asked: return Next::request;
    case State::collected: return Next::collected;
    case State::held: return Next::held;
    case State::raw: return Next::raw;
    case State::finished: return Next::finished;
    case State::refused: return Next::refused;
  }
  return Next::refused;
}

void HttpRequests::refuse(HttpRefusal refusal) {
  state_ = State::refused;
  refusal_ = refusal;
  in_.clear();
  body_ = {};
  share_.give_back();
}

void HttpRequests::read_head() {
  switch (head_end_.scan(in_)) {
    case HttpHeadEnd::Found::bare_line_break: return refuse({400, "one of its lines does not end in CR LF"});
    case HttpHeadEnd::Found::too_long: return refuse({431, "its head is longer than 64 KiB"});
    case HttpHeadEnd::Found::need_more: {
      // What is none after its first line need not be waited for.
      const std::size_t line = head_end_.first_line();
      if (line == 0) return;
      if (const auto problem = problem_of_request_line(std::string_view(in_).substr(0, line))) refuse(*problem);
      return;
    }
    case HttpHeadEnd::Found::end: break;
  }
  auto request = parse_request_head(std::string_view(in_).substr(0, head_end_.size()), own_);
  if (!request) return refuse(request.error());
  head_.assign(in_, 0, head_end_.size());
  in_.erase(0, head_end_.size());
  head_end_ = {};
  request_ = std::move(*request);
  reader_ = request_.body == HttpBody::chunked  ? HttpBodyReader::chunked()
            : request_.body == HttpBody::length ? HttpBodyReader::of_length(request_.length)
                                                : HttpBodyReader();
  body_.clear();
  whole_ = forwarded_ = upgrading_ = false;
  state_ = State::asked;
}

void HttpRequests::collect(std::size_t most) {
  if (state_ != State::asked) return;
  if (request_.body == HttpBody::length && request_.length > most) return refuse({413, "its body is too long"});
  most_body_ = most;
  state_ = State::collecting;
}

void HttpRequests::forward(const Passing& passing) {
  if (state_ != State::asked && state_ != State::collected) return;
  if (request_.target == HttpRequest::Target::authority) return refuse({405, "CONNECT is not passed on"});
  whole_ = state_ == State::collected;
  upgrading_ = !request_.upgrade.empty() && passing.upgrade == Passing::Upgrade::keep;
  Written written{.body = request_.body,
                  .length = request_.length,
                  .continues = request_.continues,
                  .upgrade = upgrading_ ? Written::Upgrade::keep : Written::Upgrade::drop};
  if (whole_) {
    if (written.body != HttpBody::none) written.body = HttpBody::length;
    written.length = body_.size();
    written.continues = HttpRequest::Continue::no;
  }
  out_ += head_of(request_, passing, written);
  forwarded_ = true;
  if (whole_) {
    out_ += body_;
    body_ = {};
    return after_request();
  }
  state_ = State::body;
}

std::string HttpRequests::take_back() {
  if (state_ != State::asked) return {};
  state_ = State::finished;
  return head_ + std::exchange(in_, {});
}

void HttpRequests::tunnel() {
  if (state_ != State::asked || request_.target != HttpRequest::Target::authority) return;
  state_ = State::raw;
}

void HttpRequests::answered(Upgraded upgraded) {
  if (state_ != State::held) return;
  upgrading_ = false;
  if (upgraded == Upgraded::yes) {
    state_ = State::raw;
  } else {
    after_request();
  }
}

void HttpRequests::read_body() {
  std::string_view rest = in_;
  while (!reader_.done() && !reader_.wrong()) {
    const HttpBodyReader::Step step = reader_.step(rest);
    if (step.consumed == 0) break;
    rest.remove_prefix(step.consumed);
    if (step.data.empty()) continue;
    if (state_ == State::collecting) {
      if (body_.size() + step.data.size() > most_body_) return refuse({413, "its body is too long"});
      if (!share_.add(step.data.size())) return refuse({503, "too much is being said at once: try again"});
      body_ += step.data;
    } else if (request_.body == HttpBody::chunked) {
      out_ += fmt::format("{:x}\r\n{}\r\n", step.data.size(), step.data);
    } else {
      out_ += step.data;
    }
  }
  in_.erase(0, in_.size() - rest.size());
  if (reader_.wrong()) return refuse({400, "its chunked body is malformed"});
  if (!reader_.done()) return;
  if (state_ == State::collecting) {
    state_ = State::collected;
    return;
  }
  if (request_.body == HttpBody::chunked) out_ += "0\r\n\r\n";
  after_request();
}

void HttpRequests::after_request() {
  forwarded_ = upgrading_;
  if (upgrading_) {
    state_ = State::held;
  } else if (request_.after == HttpRequest::After::close) {
    state_ = State::finished;
    in_.clear();
  } else {
    state_ = State::head;
  }
}

std::string HttpRequests::take() {
  if (out_.empty() && state_ == State::raw) return std::exchange(in_, {});
  return std::exchange(out_, {});
}

std::uint64_t HttpRequests::plain() const noexcept {
  return state_ == State::body && in_.empty() && out_.empty() ? reader_.plain() : 0;
}

void HttpRequests::spliced(std::uint64_t bytes) {
  reader_.skip_plain(std::min(bytes, plain()));
}

}  // namespace agentbox::gates::network
