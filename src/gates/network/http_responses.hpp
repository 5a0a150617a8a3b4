#pragma once

// What the server answers over a plain HTTP/1 connection. It is known here which answer belongs to which request, so that
// an upgrade is one only where the server said 101 to the request that asked for it. Either watched and not changed: every
// byte passes to the client as it is. Or written anew, where a field must be in every answer: what is not to be understood
// then does not pass.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http_body.hpp"
#include "http_head.hpp"

namespace agentbox::gates::network {

class HttpResponses {
 public:
  enum class Seen {
    going_on,
    upgraded,  // raw from here on; HttpRequests::answered(yes)
    declined,  // the answer to the upgrade has begun and is an ordinary one; answered(no)
    lost,      // not to be understood. It may pass, but an upgrade can't come about any more: close a held connection
  };

  struct Rewriting {
    std::vector<HttpField> add;                     // to every answer but the provisional ones
    std::function<bool(const HttpField&)> removes;  // what the server may not say; fields of the hop never pass
  };
  HttpResponses() = default;
  explicit HttpResponses(std::optional<Rewriting> rewriting) : rewriting_(std::move(rewriting)) {}

  // A request is forwarded. `upgrade`: with HttpRequests::Passing::Upgrade::keep.
  enum class Upgrade { none, asked };
  void expect(const HttpRequest& request, Upgrade upgrade);

  // The next bytes from the server. One answer a call: what comes of an upgrade is returned once.
  Seen observe(std::string_view bytes);

  // With Rewriting: what goes to the client instead of what was observed so far.
  [[nodiscard]] std::string take() { return std::exchange(out_, {}); }
  // With Rewriting, when lost: a part of the answer has gone to the client.
  [[nodiscard]] bool in_body() const noexcept { return begun_; }

  // Every request forwarded so far has its whole answer: an answer of our own would come at the right place.
  [[nodiscard]] bool idle() const noexcept { return state_ == State::head && head_.empty() && expected_.empty(); }

  // Requests without their whole answer; none any more once it is raw or lost. A client that never waits can make this
  // grow: the caller's to bound.
  [[nodiscard]] std::size_t outstanding() const noexcept { return expected_.size(); }

  // Bytes from the server that may be spliced past this reader; all of them once it is raw or lost.
  [[nodiscard]] std::uint64_t plain() const noexcept;
  void spliced(std::uint64_t bytes);

 private:
  struct Expected {
    AnswerTo request;
    Upgrade upgrade;
  };
  enum class State { head, body, raw, lost };
  Seen read_head();
  void write_head(const HttpAnswer& answer, AnswerTo request);
  void read_body(std::string_view& bytes);
  void end_body();
  void lose();

  std::optional<Rewriting> rewriting_;
  std::string out_;
  bool begun_ = false;
  HttpAnswer::Body body_ = HttpAnswer::Body::none;
  State state_ = State::head;
  std::deque<Expected> expected_;
  std::string head_;
  HttpHeadEnd head_end_;
  HttpBodyReader reader_;
};

// To an upstream HTTP proxy (`via`): what opens a tunnel, and what it says to that.
// `authorization`: the value of Proxy-Authorization, or empty.
[[nodiscard]] std::string connect_request(const Host& host, std::uint16_t port, std::string_view authorization);

class ConnectReply {
 public:
  enum class State { need_more, open, failed };
  State feed(std::string_view bytes);
  [[nodiscard]] int status() const noexcept { return status_; }           // 0: nothing that could be understood
  [[nodiscard]] std::string_view rest() const noexcept { return rest_; }  // after open: the server's first bytes

 private:
  State state_ = State::need_more;
  std::string text_, rest_;
  HttpHeadEnd end_;
  int status_ = 0;
};

}  // namespace agentbox::gates::network
