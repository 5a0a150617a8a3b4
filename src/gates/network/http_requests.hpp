#pragma once

// What a client says over one plain HTTP/1 connection, as a filter: every request waits for the caller's ruling, and
// what goes on to the server is a head that is written here, never the bytes that came in, and a body with exactly the
// length that this reader saw. So no server can see a request, or a host, that was not ruled on.
//
//   requests.feed(bytes from the client);
//   switch (requests.next()) {
//     need_bytes  read on (and stop reading while buffered() is large)
//     request     rule on requests.request(), then forward(), collect(), tunnel() or refuse()
//     collected   look at requests.body(), then forward() or refuse()
//     bytes       send requests.take() to the server
//     held        the server must answer the upgrade first: HttpResponses says how, then answered()
//     raw         everything goes through from here on, both ways: take(), then splice
//     finished    the client said that this was the last; what else it sends is dropped
//     refused     send http_answer(refusal()) to the client if !in_body(), and close both
//   }

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http_body.hpp"
#include "http_head.hpp"

namespace agentbox::gates::network {

class HttpRequests {
 public:
  enum class Next { need_bytes, request, collected, bytes, held, raw, finished, refused };

  struct Passing {
    enum class Form { origin, absolute } form = Form::origin;  // absolute: to an upstream proxy
    std::string authority;                                     // http_authority() of what was ruled on
    std::vector<HttpField> add;                                // for the upstream, as Proxy-Authorization
    enum class Upgrade { keep, drop } upgrade = Upgrade::keep;
  };

  // `own`: as in canonical_authority.
  explicit HttpRequests(std::string own = {}) : own_(std::move(own)) {}

  void feed(std::string_view bytes);
  Next next();

  // Of the request that next() stopped at, until it is forwarded.
  [[nodiscard]] const HttpRequest& request() const noexcept { return request_; }
  // Goes on with it. Not for CONNECT, which becomes a refusal.
  void forward(const Passing& passing);
  // Reads the whole body first, at most so many bytes of it. Where the client waits for it (request().continues), the
  // caller says "HTTP/1.1 100 Continue" itself.
  void collect(std::size_t most);
  [[nodiscard]] const std::string& body() const noexcept { return body_; }
  // For a while; nothing else is done with the request meanwhile.
  [[nodiscard]] std::string lend_body() noexcept { return std::exchange(body_, {}); }
  void return_body(std::string body) noexcept { body_ = std::move(body); }
  // Instead of an answer to the request: all that was fed and has not gone on, from its head. Ends this reader.
  [[nodiscard]] std::string take_back();
  // After CONNECT, and the caller's 200: raw.
  void tunnel();
  void refuse(HttpRefusal refusal);

  // What the server said to the upgrade.
  enum class Upgraded { yes, no };
  void answered(Upgraded upgraded);

  [[nodiscard]] std::string take();
  [[nodiscard]] const HttpRefusal& refusal() const noexcept { return refusal_; }
  // A part of the request has gone on to the server already: no answer of ours would be understood.
  [[nodiscard]] bool in_body() const noexcept { return forwarded_; }
  // No request is half-way: the client may end here.
  [[nodiscard]] bool between() const noexcept { return state_ == State::head && in_.empty() && out_.empty(); }
  // A head has begun and did not end yet.
  [[nodiscard]] bool in_head() const noexcept { return state_ == State::head && !in_.empty(); }
  [[nodiscard]] std::size_t buffered() const noexcept { return in_.size() + out_.size() + body_.size(); }

  // After need_bytes: bytes from the client that are certainly body, and may be spliced past this reader.
  [[nodiscard]] std::uint64_t plain() const noexcept;
  void spliced(std::uint64_t bytes);  // at most plain()

 private:
  // What all readers hold of bodies that are looked at as a whole, in memory and whatever their lane: the room decides how
  // many there are at once. Kept until all of it has gone on.
  class Share {
   public:
    Share() = default;
    ~Share() { give_back(); }
    Share(Share&& other) noexcept : own_(std::exchange(other.own_, 0)) {}
    Share& operator=(Share&& other) noexcept {
      std::swap(own_, other.own_);
      return *this;
    }
    [[nodiscard]] bool add(std::size_t bytes) noexcept {
      std::size_t before = all;
      do {
        if (bytes > most - before) return false;
      } while (!all.compare_exchange_weak(before, before + bytes));
      own_ += bytes;
      return true;
    }
    void give_back() noexcept { all -= std::exchange(own_, 0); }

   private:
    static constexpr std::size_t most = 96U << 20U;
    static inline std::atomic<std::size_t> all = 0;
    std::size_t own_ = 0;
  };

  enum class State { head, asked, collecting, collected, body, held, raw, finished, refused };
  void read_head();
  void read_body();
  void after_request();

  std::string own_;
  State state_ = State::head;
  std::string in_, out_, body_;
  std::string head_;  // of `request_`, as it came
  HttpHeadEnd head_end_;
  HttpRequest request_;
  HttpBodyReader reader_;
  HttpRefusal refusal_;
  Share share_;
  std::size_t most_body_ = 0;
  bool forwarded_ = false, upgrading_ = false, whole_ = false;
};

}  // namespace agentbox::gates::network
