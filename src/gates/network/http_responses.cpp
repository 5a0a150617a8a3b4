#include "http_responses.hpp"

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

}  // namespace

void HttpResponses::expect(const HttpRequest& request, Upgrade upgrade) {
  expected_.push_back({request.method == "HEAD" ? AnswerTo::head : AnswerTo::other, upgrade});
}

HttpResponses::Seen HttpResponses::observe(std::string_view bytes) {
  Seen seen = state_ == State::lost ? Seen::lost : Seen::going_on;
  while (!bytes.empty() && (state_ == State::head || state_ == State::body)) {
    if (state_ == State::body) {
      const HttpBodyReader::Step step = reader_.step(bytes);
      bytes.remove_prefix(step.consumed);
      if (reader_.wrong()) state_ = State::lost;
      if (reader_.done()) end_body();
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
        state_ = State::lost;
      }
      head_.clear();
      head_end_ = {};
    }
    if (state_ == State::lost) seen = Seen::lost;
  }
  return seen;
}

HttpResponses::Seen HttpResponses::read_head() {
  // A server that speaks without being asked is not to be understood.
  const auto answer =
      expected_.empty() ? std::optional<HttpAnswer>() : parse_answer_head(head_, expected_.front().request);
  if (!answer) {
    state_ = State::lost;
    return Seen::lost;
  }
  const bool asked = expected_.front().upgrade == Upgrade::asked;
  if (answer->status == 101) {
    state_ = asked ? State::raw : State::lost;
    return asked ? Seen::upgraded : Seen::lost;
  }
  if (answer->status < 200) return Seen::going_on;  // the real one follows
  reader_ = reader_for(*answer);
  state_ = State::body;
  if (reader_.done()) end_body();
  return asked ? Seen::declined : Seen::going_on;
}

void HttpResponses::end_body() {
  expected_.pop_front();
  state_ = State::head;
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
