#include "http_relay.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "aside.hpp"
#include "bulk.hpp"
#include "http_responses.hpp"

namespace agentbox::gates::network {

namespace {

using Error = boost::system::error_code;

// What one recv(2) takes at most. One for all: it is empty again before another connection has its turn.
thread_local std::array<char, 64 * 1024> piece;
constexpr int most_pieces = 16;               // at once, then others have their turn
constexpr std::size_t most_outstanding = 64;  // requests without their answers
// A body of this size is judged beside the loop.
constexpr std::size_t large_body = 256 * 1024;
// What is left of the answers before ours, and then for the client to hear it.
constexpr std::chrono::seconds farewell{10};
// So long may a head take, once it has begun.
constexpr std::chrono::seconds head_patience{10};

}  // namespace

class HttpRelay::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(boost::asio::io_context& loop, Watched client, Watched upstream, HttpRequests::Passing passing, Judge judge,
       Done done, std::shared_ptr<Tap> tap)
      : loop_(loop),
        client_(std::move(client)),
        upstream_(std::move(upstream)),
        timer_(loop),
        head_timer_(loop),
        passing_(std::move(passing)),
        judge_(std::move(judge)),
        done_(std::move(done)),
        tap_(std::move(tap)),
        requests_(judge_.own),
        responses_(judge_.answers) {}

  // What the client has said already goes on at once, as far as the tap lets it.
  void start(std::string said) {
    starting_ = true;
    said_ = std::move(said);
    on_client();
    read_upstream();
    starting_ = false;
  }

  void close() {
    done_ = nullptr;
    end_sockets();
  }

  void resume() {
    if (std::exchange(held_, false) && !ended_) on_client();
  }

  void stop(std::string why) {
    if (ended_ || refused_) return;
    if (judging_) {
      stopped_ = HttpRefusal{403, std::move(why)};
      return;
    }
    requests_.refuse({403, std::move(why)});
    refuse();
  }

 private:
  // ---- from the client ----

  void read_client() {
    if (reading_client_ || ended_ || client_said_all_) return;
    reading_client_ = true;
    auto then = [self = shared_from_this()](int error) {
      self->reading_client_ = false;
      if (!error && !self->ended_) self->on_client();
    };
    if (!said_.empty()) return boost::asio::post(loop_, [then] { then(0); });
    client_.wait(loop_, Watched::For::reading, std::move(then));
  }

  // Into the piece, as recv(2).
  static ssize_t receive(Watched& socket, std::uint64_t most) {
    most = std::min<std::uint64_t>(most, piece.size());
    const ssize_t count = ::recv(socket.get(), piece.data(), most, MSG_DONTWAIT);
    // Less than was asked for is all that there is.
    if (count < 0 ? errno == EAGAIN : static_cast<std::uint64_t>(count) < most) socket.dry();
    return count;
  }

  // The same of the client, of whom something may have been read before.
  ssize_t receive_from_client(std::uint64_t most) {
    if (said_.empty()) return receive(client_, most);
    const std::size_t count = said_.copy(piece.data(), std::min<std::uint64_t>(most, piece.size()));
    said_.erase(0, count);
    return static_cast<ssize_t>(count);
  }

  // As recv(2) and as far as the tap lets it. Where that is nothing, and the client has something to say, he is held.
  ssize_t take_from_client() {
    if (!tap_) return receive_from_client(piece.size());
    const std::uint64_t reserved = tap_->reserve(piece.size());
    if (reserved == 0) return ask_for_more();
    const ssize_t count = receive_from_client(reserved);
    const int error = errno;
    tap_->took(reserved, static_cast<std::uint64_t>(std::max<ssize_t>(count, 0)));
    errno = error;
    return count;
  }

  // As recv(2), of what is not taken.
  ssize_t ask_for_more() {
    char byte = 0;
    const ssize_t count = said_.empty() ? ::recv(client_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) : 1;
    held_ = count > 0;
    if (held_) tap_->wants_more();
    return count;
  }

  void on_client() {
    held_ = false;
    if (!raw_ && said_.empty() && to_upstream_.empty() && requests_.plain() >= Bulk::worth) return upload();
    const ssize_t count = take_from_client();
    if (held_) return;
    const std::string_view said(piece.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    if (count < 0) return errno == EAGAIN || errno == EINTR ? read_client() : finish("broken off");
    if (count == 0) {
      client_said_all_ = true;
      if (!raw_ && !requests_.between()) return finish("broken off in the middle of a request");
    } else if (raw_) {
      to_upstream_ += said;
    } else if (to_upstream_.empty() && said.size() <= requests_.plain()) {
      requests_.spliced(said.size());
      to_upstream_ += said.substr(send_now(upstream_, said));
    } else {
      requests_.feed(said);
    }
    go_on();
  }

  // The body of a large upload.
  void upload() {
    std::uint64_t most = requests_.plain();
    if (tap_) most = tap_->reserve(std::min(most, Bulk::at_once));
    if (most == 0 && !up_.holds()) {
      const ssize_t count = ask_for_more();
      if (held_) return;
      return count < 0 && (errno == EAGAIN || errno == EINTR) ? read_client()
                                                              : finish("broken off in the middle of a request");
    }
    const Bulk::Result result = up_.move(client_.get(), upstream_.get(), most);
    requests_.spliced(result.taken);
    if (tap_) tap_->took(most, result.taken);
    end_.bytes.to_upstream += result.sent;
    switch (result.moved) {
      case Bulk::Moved::all: return go_on();
      case Bulk::Moved::source_dry: client_.dry(); [[fallthrough]];
      case Bulk::Moved::turn_over: return read_client();
      case Bulk::Moved::source_over: return finish("broken off in the middle of a request");
      case Bulk::Moved::sink_broken: return;  // what the server said before may still be on its way
      case Bulk::Moved::sink_full: break;
    }
    writing_upstream_ = true;
    upstream_.wait(loop_, Watched::For::writing, [self = shared_from_this()](int error) {
      self->writing_upstream_ = false;
      if (!error && !self->ended_) self->upload();
    });
  }

  // How much of it went; the rest is for later, and so is what went wrong.
  std::size_t send_now(const Watched& socket, std::string_view bytes) {
    const ssize_t count = ::send(socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    const std::size_t sent = static_cast<std::size_t>(std::max<ssize_t>(count, 0));
    (&socket == &client_ ? end_.bytes.to_client : end_.bytes.to_upstream) += sent;
    return sent;
  }

  // As far as the requests can be told, judged and sent.
  void go_on() {
    while (!ended_ && !judging_ && flush_upstream()) {
      if (raw_) return client_said_all_ ? end_of_requests() : read_client();
      stalled_ = responses_.outstanding() >= most_outstanding;
      if (stalled_) return;  // an answer goes on with it
      switch (requests_.next()) {
        case HttpRequests::Next::need_bytes:
          if (client_said_all_) return end_of_requests();
          if (requests_.in_head()) wait_for_head();
          return read_client();
        case HttpRequests::Next::request:
          if (std::exchange(waiting_for_head_, false)) head_timer_.cancel();
          if (judge_.elsewhere && judge_.elsewhere(requests_.request())) return move_on();
          judge_head();
          break;
        case HttpRequests::Next::collected: judge_body(); break;
        case HttpRequests::Next::bytes: to_upstream_ += requests_.take(); break;
        case HttpRequests::Next::held: return;  // the server's answer goes on with it
        case HttpRequests::Next::raw:
          raw_ = true;
          to_upstream_ += requests_.take();
          break;
        case HttpRequests::Next::finished: client_said_all_ = true; return end_of_requests();
        case HttpRequests::Next::refused: return refuse();
      }
    }
  }

  void wait_for_head() {
    if (std::exchange(waiting_for_head_, true)) return;
    head_timer_.expires_after(head_patience);
    head_timer_.async_wait([self = shared_from_this()](Error error) {
      if (error || self->ended_ || !self->waiting_for_head_) return;
      self->requests_.refuse({408, "the head of the request does not end"});
      self->refuse();
    });
  }

  // The answers to what was asked still come.
  void end_of_requests() {
    if (raw_) {
      ::shutdown(upstream_.get(), SHUT_WR);
    } else if (responses_.idle() && to_client_.empty() && !writing_client_) {  // in `down_` there may be more of it
      finish("");
    }
  }

  // The answers to what was asked before come first. What was read with the request is counted for the next host as well:
  // nobody knew whom it was for.
  void move_on() {
    moves_on_ = true;
    if (!responses_.idle() || !to_client_.empty() || writing_client_) return;
    end_.said = requests_.take_back() + said_;
    end_.client = client_.hand_over();
    finish("");
  }

  void judge_head() {
    const HttpRequest& request = requests_.request();
    if (auto refusal = judge_.head ? judge_.head(request) : std::nullopt) return requests_.refuse(*refusal);
    if (auto answer = judge_.instead ? judge_.instead(request) : std::nullopt) {
      instead_ = std::move(*answer);
      return requests_.refuse({});
    }
    const std::size_t most = judge_.collects ? judge_.collects(request) : 0;
    if (most == 0) return pass();
    if (request.continues == HttpRequest::Continue::expected && responses_.idle()) {
      to_client_ += "HTTP/1.1 100 Continue\r\n\r\n";
      write_client();
    }
    requests_.collect(most);
  }

  void judge_body() {
    if (judge_.body && requests_.body().size() >= large_body) return judge_aside();
    judged(judge_.body ? judge_.body(requests_.request(), requests_.body()) : std::nullopt);
  }

  void judged(const std::optional<HttpRefusal>& refusal) { refusal ? requests_.refuse(*refusal) : pass(); }

  void judge_aside() {
    struct Judgement {
      decltype(Judge::body) judge;
      HttpRequest request;
      std::string body;
      std::optional<HttpRefusal> refusal;
    };
    auto judgement = std::make_shared<Judgement>(judge_.body, requests_.request(), requests_.lend_body(), std::nullopt);
    if (!aside_) aside_.emplace(loop_);
    judging_ = true;
    aside_->run([judgement] { judgement->refusal = judgement->judge(judgement->request, judgement->body); },
                [weak = weak_from_this(), judgement] {
                  auto self = weak.lock();
                  if (!self || self->ended_) return;
                  self->judging_ = false;
                  self->requests_.return_body(std::move(judgement->body));
                  self->judged(self->stopped_ ? self->stopped_ : judgement->refusal);
                  self->go_on();
                });
  }

  void pass() {
    const bool upgrades =
        !requests_.request().upgrade.empty() && passing_.upgrade == HttpRequests::Passing::Upgrade::keep;
    responses_.expect(requests_.request(), upgrades ? HttpResponses::Upgrade::asked : HttpResponses::Upgrade::none);
    requests_.forward(passing_);
  }

  // True: all is sent. Otherwise it goes on when there is room.
  bool flush_upstream() {
    if (writing_upstream_) return false;
    while (!to_upstream_.empty()) {
      const ssize_t count =
          ::send(upstream_.get(), to_upstream_.data(), to_upstream_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno == EAGAIN) {
        writing_upstream_ = true;
        upstream_.wait(loop_, Watched::For::writing, [self = shared_from_this()](int error) {
          self->writing_upstream_ = false;
          if (!error && !self->ended_) self->go_on();
        });
        return false;
      }
      // The server has hung up: what it said before may still be on its way to the client, and ends the relay.
      if (count < 0) return false;
      end_.bytes.to_upstream += static_cast<std::uint64_t>(count);
      to_upstream_.erase(0, static_cast<std::size_t>(count));
    }
    return true;
  }

  // ---- from the server ----

  void read_upstream() {
    if (reading_upstream_ || ended_ || server_said_all_ || !upstream_) return;
    reading_upstream_ = true;
    upstream_.wait(loop_, Watched::For::reading, [self = shared_from_this()](int error) {
      self->reading_upstream_ = false;
      if (!error && !self->ended_) self->on_upstream();
    });
  }

  void on_upstream() {
    for (int turn = 0; turn < most_pieces && !ended_; ++turn) {
      if (to_client_.empty() && responses_.plain() >= Bulk::worth) return download();
      const ssize_t count = receive(upstream_, piece.size());
      if (count < 0 && (errno == EAGAIN || errno == EINTR)) break;
      server_said_all_ = count <= 0;
      if (server_said_all_) break;
      answer({piece.data(), static_cast<std::size_t>(count)});
      if (!to_client_.empty() || static_cast<std::size_t>(count) < piece.size()) break;
    }
    write_client();
  }

  // The body of a large answer.
  void download() {
    const Bulk::Result result = down_.move(upstream_.get(), client_.get(), responses_.plain());
    responses_.spliced(result.taken);
    end_.bytes.to_client += result.sent;
    switch (result.moved) {
      case Bulk::Moved::all: after_answer(); return write_client();
      case Bulk::Moved::source_dry: upstream_.dry(); [[fallthrough]];
      case Bulk::Moved::turn_over: return read_upstream();
      case Bulk::Moved::source_over: server_said_all_ = true; return write_client();
      case Bulk::Moved::sink_broken: return finish("");
      case Bulk::Moved::sink_full: break;
    }
    writing_client_ = true;
    client_.wait(loop_, Watched::For::writing, [self = shared_from_this()](int error) {
      self->writing_client_ = false;
      if (!error && !self->ended_) self->download();
    });
  }

  void answer(std::string_view said) {
    const HttpResponses::Seen seen = responses_.observe(said);
    const std::string written = judge_.answers ? responses_.take() : std::string();
    if (judge_.answers) said = written;
    to_client_ += to_client_.empty() ? said.substr(send_now(client_, said)) : said;
    if (judge_.answers && seen == HttpResponses::Seen::lost) return give_up();
    if (seen == HttpResponses::Seen::upgraded) requests_.answered(HttpRequests::Upgraded::yes);
    if (seen == HttpResponses::Seen::declined) requests_.answered(HttpRequests::Upgraded::no);
    if (seen == HttpResponses::Seen::upgraded || seen == HttpResponses::Seen::declined) go_on();
    after_answer();
  }

  void after_answer() {
    if (refused_ && responses_.idle()) say_refusal();
    if (stalled_ && responses_.outstanding() < most_outstanding) go_on();
  }

  void write_client() {
    if (writing_client_ || ended_) return;
    while (!to_client_.empty()) {
      const ssize_t count = ::send(client_.get(), to_client_.data(), to_client_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno == EAGAIN) {
        writing_client_ = true;
        client_.wait(loop_, Watched::For::writing, [self = shared_from_this()](int error) {
          self->writing_client_ = false;
          if (!error) self->write_client();
        });
        return;
      }
      if (count < 0) return finish("");
      end_.bytes.to_client += static_cast<std::uint64_t>(count);
      to_client_.erase(0, static_cast<std::size_t>(count));
    }
    if (said_refusal_) return leave();
    if (moves_on_ && responses_.idle()) return move_on();
    if (server_said_all_) return finish("");
    if (client_said_all_ && !raw_ && responses_.idle()) return finish("");
    read_upstream();
  }

  // ---- the end ----

  // Our answer comes after those to the requests before it.
  void refuse() {
    why_ = requests_.refusal().text;
    if (requests_.in_body()) return finish(why_);
    refused_ = true;
    timer_.expires_after(farewell);
    timer_.async_wait([self = shared_from_this()](Error error) {
      if (!error) self->finish(self->why_);
    });
    if (responses_.idle()) say_refusal();
    write_client();
  }

  void say_refusal() {
    if (std::exchange(said_refusal_, true)) return;
    to_client_ += instead_.empty() ? http_answer(requests_.refusal().status, requests_.refusal().text) : instead_;
  }

  // The server said what can't be written anew.
  void give_up() {
    why_ = "the server's answer is not to be understood";
    if (responses_.in_body()) return finish(why_);
    if (!std::exchange(said_refusal_, true)) to_client_ += http_answer(502, why_);
  }

  // What the client still sends is dropped, because unread bytes would become a reset that overtakes our answer.
  void leave() {
    upstream_.reset();
    ::shutdown(client_.get(), SHUT_WR);
    timer_.expires_after(std::chrono::seconds(1));
    timer_.async_wait([self = shared_from_this()](Error error) {
      if (!error) self->finish(self->why_);
    });
    drain();
  }
  void drain() {
    client_.wait(loop_, Watched::For::reading, [self = shared_from_this()](int error) {
      if (error || self->ended_) return;
      const ssize_t count = ::recv(self->client_.get(), piece.data(), piece.size(), MSG_DONTWAIT);
      if (count > 0 || (count < 0 && errno == EAGAIN)) return self->drain();
      self->finish(self->why_);
    });
  }

  void finish(std::string why) {
    if (ended_) return;
    end_sockets();
    end_.why = std::move(why);
    if (!starting_) return tell();
    boost::asio::post(loop_, [self = shared_from_this()] { self->tell(); });
  }

  void tell() {
    if (Done done = std::exchange(done_, nullptr)) done(std::move(end_));
  }

  void end_sockets() {
    ended_ = true;
    tap_.reset();  // whoever counts may hold us
    timer_.cancel();
    head_timer_.cancel();
    client_.reset();
    upstream_.reset();
  }

  boost::asio::io_context& loop_;
  Watched client_, upstream_;
  boost::asio::steady_timer timer_, head_timer_;
  HttpRequests::Passing passing_;
  Judge judge_;
  Done done_;
  std::shared_ptr<Tap> tap_;
  bool held_ = false;  // by the tap
  std::optional<Aside> aside_;
  bool judging_ = false;                // beside the loop
  std::optional<HttpRefusal> stopped_;  // meanwhile
  HttpRequests requests_;
  HttpResponses responses_;
  std::string said_;  // of the client's, before there was this relay
  std::string to_upstream_, to_client_, why_, instead_;
  Bulk up_, down_;
  End end_;
  bool reading_client_ = false, writing_upstream_ = false, reading_upstream_ = false, writing_client_ = false;
  bool client_said_all_ = false, server_said_all_ = false;
  bool waiting_for_head_ = false;
  bool raw_ = false, stalled_ = false, moves_on_ = false, refused_ = false, said_refusal_ = false, ended_ = false,
       starting_ = false;
};

HttpRelay::HttpRelay(boost::asio::io_context& loop, Watched client, Watched upstream, std::string said,
                     HttpRequests::Passing passing, Judge judge, Done done, std::shared_ptr<Tap> tap)
    : impl_(std::make_shared<Impl>(loop, std::move(client), std::move(upstream), std::move(passing), std::move(judge),
                                   std::move(done), std::move(tap))) {
  impl_->start(std::move(said));
}
HttpRelay::~HttpRelay() {
  impl_->close();
}
void HttpRelay::go_on() {
  impl_->resume();
}
void HttpRelay::stop(std::string why) {
  impl_->stop(std::move(why));
}

}  // namespace agentbox::gates::network
