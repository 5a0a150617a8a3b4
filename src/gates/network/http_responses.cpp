#include "http_responses.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include <fmt/format.h>

namespace agentbox::gates::network {

namespace {

constexpr std::uint64_t all = std::numeric_limits<std::uint64_t>::max();

HttpBodyReader reader_for(const HttpAnswer& answer) {
  switch (answer.body) {
    case HttpAnswer::Body::none: return {};
    case HttpAnswer::Body::length: return HttpBodyReader::of_length(answer.length);
    case HttpAnswer::Body::chunked: return HttpBodyReader::chunked();
    case HttpAnswer::Body::until_close: return HttpBodyReader::until_close();
  }
  return {};
}

// What is written anew, or is between the server and us alone (RFC 9110 §7.6.1). Trailers don't pass.
bool is_of_the_hop(std::string_view name) {
  static constexpr std::array<std::string_view, 10> those{
      "content-length", "transfer-encoding",  "connection",          "keep-alive", "proxy-connection",
      "upgrade",        "proxy-authenticate", "proxy-authorization", "te",         "trailer"};
  return std::ranges::any_of(those, [&](std::string_view other) { return same_word(name, other); });
}

// Of an answer without a body: how long it would be.
std::string length_of_nothing(const std::vector<HttpField>& fields) {
  std::string found;
  for (const HttpField& field : fields) {
    if (!same_word(field.name, "content-length")) continue;
    const bool digits = !field.value.empty() && field.value.size() < 19 &&
                        field.value.find_first_not_of("0123456789") == std::string::npos;
    if (!found.empty() || !digits) return {};
    found = fmt::format("Content-Length: {}\r\n", field.value);
  }
  return found;
}

}  // namespace

void HttpResponses::expect(const HttpRequest& request, Upgrade upgrade) {
  if (state_ == State::raw || state_ == State::lost) return;
  expected_.push_back({request.method == "HEAD" ? AnswerTo::head : AnswerTo::other, upgrade});
}

HttpResponses::Seen HttpResponses::observe(std::string_view bytes) {
  Seen seen = state_ == State::lost ? Seen::lost : Seen::going_on;
  while (!bytes.empty() && (state_ == State::head || state_ == State::body)) {
    if (state_ == State::body) {
      read_body(bytes);
    } else {
      const std::size_t before = head_.size();
      head_ += bytes;
      const HttpHeadEnd::Found found = head_end_.scan(head_);
      if (found == HttpHeadEnd::Found::need_more) break;
      if (found == HttpHeadEnd::Found::end) {
        bytes.remove_prefix(head_end_.size() - before);
        head_.resize(head_end_.size());
        if (const Seen now = read_head(); now != Seen::going_on) seen = now;
      } else {
        lose();
      }
      head_.clear();
      head_end_ = {};
    }
    if (state_ == State::lost) seen = Seen::lost;
  }
  if (state_ == State::raw && rewriting_) out_ += bytes;
  return seen;
}

void HttpResponses::lose() {
  state_ = State::lost;
  expected_.clear();
}

HttpResponses::Seen HttpResponses::read_head() {
  // A server that speaks without being asked is not to be understood.
  const auto answer =
      expected_.empty() ? std::optional<HttpAnswer>() : parse_answer_head(head_, expected_.front().request);
  if (!answer) {
    lose();
    return Seen::lost;
  }
  const Expected expected = expected_.front();
  const bool asked = expected.upgrade == Upgrade::asked;
  if (answer->status == 101 && !asked) {
    lose();
    return Seen::lost;
  }
  if (rewriting_) write_head(*answer, expected.request);
  if (answer->status == 101) {
    state_ = State::raw;
    expected_.clear();
    return Seen::upgraded;
  }
  if (answer->status < 200) return Seen::going_on;  // the real one follows
  reader_ = reader_for(*answer);
  body_ = answer->body;
  state_ = State::body;
  begun_ = true;
  if (reader_.done()) end_body();
  return asked ? Seen::declined : Seen::going_on;
}

void HttpResponses::write_head(const HttpAnswer& answer, AnswerTo request) {
  // Hints of what to load before the answer is there would come before our fields.
  if (answer.status < 200 && answer.status != 100 && answer.status != 101) return;
  out_ += fmt::format("HTTP/1.1 {} {}\r\n", answer.status, answer.reason);
  if (answer.status == 100) {
    out_ += "\r\n";
    return;
  }
  for (const HttpField& field : answer.fields) {
    const bool named = std::ranges::any_of(answer.fields, [&](const HttpField& other) {
      return same_word(other.name, "connection") && has_word(other.value, field.name);
    });
    if (named || is_of_the_hop(field.name) || rewriting_->removes(field)) continue;
    out_ += fmt::format("{}: {}\r\n", field.name, field.value);
  }
  for (const HttpField& field : rewriting_->add) out_ += fmt::format("{}: {}\r\n", field.name, field.value);
  if (answer.status == 101) {
    for (const HttpField& field : answer.fields) {
      if (same_word(field.name, "upgrade") && is_token(field.value))
        out_ += fmt::format("Upgrade: {}\r\n", field.value);
    }
    out_ += "Connection: Upgrade\r\n\r\n";
    return;
  }
  if (answer.body == HttpAnswer::Body::chunked) out_ += "Transfer-Encoding: chunked\r\n";
  if (answer.body == HttpAnswer::Body::length) out_ += fmt::format("Content-Length: {}\r\n", answer.length);
  if (answer.body == HttpAnswer::Body::none && (request == AnswerTo::head || answer.status == 304)) {
    out_ += length_of_nothing(answer.fields);
  }
  const bool ends = answer.after == HttpRequest::After::close || answer.body == HttpAnswer::Body::until_close;
  out_ += ends ? "Connection: close\r\n\r\n" : "\r\n";
}

void HttpResponses::read_body(std::string_view& bytes) {
  const HttpBodyReader::Step step = reader_.step(bytes);
  bytes.remove_prefix(step.consumed);
  if (rewriting_ && !step.data.empty()) {
    if (body_ == HttpAnswer::Body::chunked) {
      out_ += fmt::format("{:x}\r\n{}\r\n", step.data.size(), step.data);
    } else {
      out_ += step.data;
    }
  }
  if (reader_.wrong()) return lose();
  if (!reader_.done()) return;
  if (rewriting_ && body_ == HttpAnswer::Body::chunked) out_ += "0\r\n\r\n";
  end_body();
}

void HttpResponses::end_body() {
  expected_.pop_front();
  state_ = State::head;
  begun_ = false;
}

std::uint64_t HttpResponses::plain() const noexcept {
  if (state_ == State::raw || state_ == State::lost) return all;
  return state_ == State::body ? reader_.plain() : 0;
}

void HttpResponses::spliced(std::uint64_t bytes) {
  if (state_ != State::body) return;
  reader_.skip_plain(bytes);
  if (reader_.done()) end_body();
}

std::string connect_request(const Host& host, std::uint16_t port, std::string_view authorization) {
  const bool six = host.address && host.address->family() == Address::Family::v6;
  const std::string target = fmt::format("{}{}{}:{}", six ? "[" : "", host.text, six ? "]" : "", port);
  const std::string credentials =
      authorization.empty() ? std::string() : fmt::format("Proxy-Authorization: {}\r\n", authorization);
  return fmt::format("CONNECT {} HTTP/1.1\r\nHost: {}\r\n{}\r\n", target, target, credentials);
}

ConnectReply::State ConnectReply::feed(std::string_view bytes) {
  if (state_ == State::open) rest_ += bytes;
  if (state_ != State::need_more) return state_;
  text_ += bytes;
  const HttpHeadEnd::Found found = end_.scan(text_);
  if (found == HttpHeadEnd::Found::need_more) return state_;
  state_ = State::failed;
  if (found != HttpHeadEnd::Found::end) return state_;
  const auto answer = parse_answer_head(std::string_view(text_).substr(0, end_.size()), AnswerTo::head);
  if (!answer) return state_;
  status_ = answer->status;
  if (status_ < 200 || status_ > 299) return state_;
  rest_ = text_.substr(end_.size());
  text_.clear();
  return state_ = State::open;
}

}  // namespace agentbox::gates::network
