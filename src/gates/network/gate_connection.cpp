#include "gate_connection.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"

#include "address_class.hpp"
#include "host_name.hpp"

namespace agentbox::gates::network {

namespace {

using Error = boost::system::error_code;

// A question tells what is spoken, if the client says it at once; who is refused hears it in his own language.
constexpr std::chrono::milliseconds glance{100};
// After the last word to a refused client.
constexpr std::chrono::seconds farewell{1};

void reset_on_close(int socket) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void drop_input(int socket) {
  std::array<char, 4096> bytes{};
  for (int i = 0; i < 16 && ::recv(socket, bytes.data(), bytes.size(), MSG_DONTWAIT) > 0; ++i) {
  }
}

// A fatal alert, "access_denied" (RFC 8446 §6.2), in a record that every version takes.
constexpr std::string_view access_denied("\x15\x03\x01\x00\x02\x02\x31", 7);

}  // namespace

GateConnection::GateConnection(boost::asio::io_context& loop, Gate& gate, Watched client, Wanted wanted)
    : loop_(loop), gate_(&gate), client_(std::move(client)), timer_(loop), wanted_(std::move(wanted)) {}

void GateConnection::start() {
  if (wanted_.entrance.kind == Entrance::Kind::absolute) protocol_ = Protocol::http;
  if (const auto known = gate_->known(wanted_.action)) return heard(*known);
  const bool waits_for_us = wanted_.entrance.kind != Entrance::Kind::transparent;
  if (waits_for_us || gate_->rule(wanted_.action).decision == policy::Decision::allow) return decide();
  look_ahead(glance, [this] { decide(); });
}

void GateConnection::turn_away(std::string why) {
  refuse(std::move(why));
}

void GateConnection::abandon() {
  ended_ = true;
  gate_ = nullptr;
  if (dial_) dial_->cancel();
  if (via_) via_->cancel();
  timer_.cancel();
  if (client_) reset_on_close(client_.get());
  client_.reset();
  upstream_.reset();
  requests_.reset();
  // A relay may hold this object for longer than there is a table of names.
  wanted_.name.reset();
}

bool GateConnection::gave_up() {
  pollfd state{client_.get(), POLLRDHUP, 0};
  if (::poll(&state, 1, 0) <= 0) return false;
  if ((state.revents & (POLLERR | POLLHUP)) != 0) return true;
  int unread = 0;
  if ((state.revents & POLLRDHUP) == 0) return false;
  // Of what waits for an answer of ours or has sent a request, nothing that says no more listens on: a request that goes out
  // when its client has tried again would be done twice. Others may.
  if (wanted_.entrance.kind != Entrance::Kind::transparent || protocol_ == Protocol::http) return true;
  return ::ioctl(client_.get(), FIONREAD, &unread) == 0 && unread == 0;
}

void GateConnection::look_ahead(std::chrono::milliseconds patience, std::function<void()> then) {
  auto once = std::make_shared<std::function<void()>>(std::move(then));
  auto go_on = [self = shared_from_this(), once] {
    if (self->ended_ || !*once) return;
    const Peeked peeked = peek(self->client_.get());
    self->protocol_ = protocol_of(peeked.bytes);
    std::exchange(*once, nullptr)();
  };
  timer_.expires_after(patience);
  timer_.async_wait([go_on](Error error) {
    if (!error) go_on();
  });
  client_.wait(loop_, Watched::For::reading, [self = shared_from_this(), go_on](int error) {
    if (error) return;
    self->timer_.cancel();
    go_on();
  });
}

void GateConnection::decide() {
  gate_->decide(*this, [self = shared_from_this()](const broker::Verdict& verdict) {
    if (!self->ended_) self->heard(verdict);
  });
}

void GateConnection::heard(const broker::Verdict& verdict) {
  verdict_ = verdict;
  if (verdict.kind == broker::Verdict::Kind::allow) return begin();
  // The owner's own words are for the agent, too.
  refuse(verdict.comment.empty() ? verdict.reason : fmt::format("{}: {}", verdict.reason, verdict.comment));
}

void GateConnection::begin() {
  try {
    if (const std::shared_ptr<Meter::Tally> full = gate_->pace(wanted_.action)) {
      waits_to_begin_ = true;
      return gate_->hold(*this, full);
    }
    tallies_ = gate_->tallies(wanted_.action);
  } catch (const base::SystemError& error) {
    return refuse(fmt::format("what it sends can't be counted: {}", error.what()));
  }
  waits_to_begin_ = false;
  speech_ = gate_->speech(wanted_.action);
  if (const std::optional<std::string> upstream = gate_->via(wanted_.action)) return dial_via(*upstream);
  look_up();
}

void GateConnection::go_on() {
  if (over()) return;
  if (waits_to_begin_) return begin();
  if (requests_) return requests_->go_on();
  if (spliced_) gate_->splicer().go_on(*spliced_);
}

void GateConnection::stop(std::string why) {
  if (over()) return;
  if (waits_to_begin_) return refuse(std::move(why));
  why_ = std::move(why);
  if (requests_) return requests_->stop(why_);
  if (spliced_) gate_->splicer().stop(*spliced_);
}

std::uint64_t GateConnection::reserve(std::uint64_t most) {
  return gate_ == nullptr ? 0 : gate_->reserve(tallies_, most);
}

void GateConnection::took(std::uint64_t reserved, std::uint64_t bytes) {
  if (gate_ != nullptr) gate_->took(tallies_, reserved, bytes);
}

void GateConnection::wants_more() {
  if (gate_ == nullptr) return;
  const auto full = std::ranges::find(tallies_, 0, [](const auto& tally) { return tally->left(); });
  if (full != tallies_.end()) return gate_->hold(*this, *full);
  // Another lane had what was left, for a moment.
  boost::asio::post(loop_, [self = shared_from_this()] { self->go_on(); });
}

std::shared_ptr<Tap> GateConnection::tap() {
  return tallies_.empty() ? nullptr : shared_from_this();
}

// What is resolved at the other end of an upstream can't be checked here: where the name leads is that one's affair.
void GateConnection::dial_via(const std::string& text) {
  const std::optional<Upstream> upstream = Upstream::parse(text);
  if (!upstream) return refuse("not an upstream: " + base::escape(text));
  const policy::Connect& action = wanted_.action;
  UpstreamDial::Wish wish{.host = {.text = action.host, .address = Address::parse(action.host)}, .port = action.port};
  wish.login = gate_->login(wish.host);
  auto dial = [self = shared_from_this(), upstream = *upstream, wish]() mutable {
    // An HTTP proxy takes plain requests as they are, and many refuse a tunnel for them.
    if (upstream.speaks == Upstream::Speaks::http && self->protocol_ == Protocol::http) {
      self->form_ = HttpRequests::Passing::Form::absolute;
      wish.tunnel = UpstreamDial::Wish::Tunnel::none;
    }
    self->via_ = UpstreamDial::start(
        self->loop_, self->gate_->lookup(), upstream, wish, self->gate_->connect_patience(),
        [weak = self->weak_from_this(), through = "through " + upstream.text](Watched socket, std::string why) {
          auto connection = weak.lock();
          if (!connection || connection->ended_) return;
          if (!socket) return connection->refuse(std::move(why), No::unreachable);
          connection->connected(std::move(socket), through);
        });
  };
  const bool may_be_plain = upstream->speaks == Upstream::Speaks::http && protocol_ == Protocol::unknown &&
                            wanted_.entrance.kind == Entrance::Kind::transparent;
  gate_->identify(*this);
  may_be_plain ? look_ahead(glance, dial) : dial();
}

void GateConnection::look_up() {
  const policy::Connect& action = wanted_.action;
  switch (wanted_.kind) {
    case Wanted::Kind::localhost:
      return dial({Target::loopback(AF_INET, action.port), Target::loopback(AF_INET6, action.port)});
    case Wanted::Kind::address: {
      std::optional<Address> address = Address::parse(action.host);
      if (!address) return refuse("not an address: " + base::escape(action.host));
      return dial({target_of(*address, action.port)});
    }
    case Wanted::Kind::name: break;
  }
  if (const Lookup::Found* known = gate_->lookup().known(action.host, action.port)) return found(*known);
  gate_->lookup().find(action.host, action.port, [weak = weak_from_this()](const Lookup::Found& found) {
    if (auto self = weak.lock(); self && !self->over()) self->found(found);
  });
}

// A name that anybody may give away leads where its owner likes: into this machine and the networks around it only as
// far as the profile grants those addresses.
void GateConnection::found(const Lookup::Found& found) {
  if (found.checked == Lookup::Found::Checked::yes) return dial(found.targets);
  if (found.targets.empty()) return refuse(found.error, No::unreachable);
  std::vector<Target> good;
  std::string why;
  for (const Target& target : found.targets) {
    std::optional<Address> address = Address::parse(target.text());
    if (!address) continue;
    AddressClass kind = class_of(*address);
    if (kind == AddressClass::public_ || gate_->grants({.host = address->text(), .port = wanted_.action.port})) {
      good.push_back(target);
    } else {
      why = fmt::format("{} leads to {}, which is {}: grant that address itself if it is meant", wanted_.action.host,
                        address->text(), text_of(kind));
    }
  }
  if (good.empty()) return refuse(why.empty() ? wanted_.action.host + " has no address" : why);
  gate_->lookup().keep(wanted_.action.host, wanted_.action.port, good);
  dial(std::move(good));
}

void GateConnection::dial(std::vector<Target> targets) {
  gate_->identify(*this);  // it may be relayed, and ended, from within
  dial_ = Dial::start(loop_, std::move(targets), gate_->connect_patience(),
                      [weak = weak_from_this()](Watched socket, const Target* target, int error) {
                        if (auto self = weak.lock(); self && !self->ended_) {
                          self->dialled(std::move(socket), target, error);
                        }
                      });
}

void GateConnection::dialled(Watched socket, const Target* target, int error) {
  if (!socket) {
    return refuse(fmt::format("nobody answers at {}:{}: {}", wanted_.action.host, wanted_.action.port,
                              std::strerror(error)),  // NOLINT(concurrency-mt-unsafe): glibc's is safe
                  error == ECONNREFUSED ? No::refused_there : No::unreachable);
  }
  connected(std::move(socket), target->text());
}

void GateConnection::connected(Watched socket, std::string address) {
  address_ = std::move(address);
  upstream_ = std::move(socket);
  // An upstream that takes requests in the absolute form would go wherever one of them says: nothing reaches it but those.
  const bool only_requests = form_ == HttpRequests::Passing::Form::absolute;
  if (only_requests || wanted_.entrance.kind == Entrance::Kind::absolute) return relay_requests();
  const bool waited_for_us = wanted_.entrance.kind != Entrance::Kind::transparent;
  admit();
  // An address was ruled on as an address: whatever is said to it goes there.
  if (wanted_.kind != Wanted::Kind::name && speech_ == profile::Speech::any) return relay();
  waited_for_us ? listen_to_both() : hear();
}

void GateConnection::admit() {
  std::string words;
  if (wanted_.entrance.kind == Entrance::Kind::connect) words = "HTTP/1.1 200 Connection established\r\n\r\n";
  if (wanted_.entrance.kind == Entrance::Kind::socks) {
    wanted_.entrance.socks->grant();
    const std::vector<std::uint8_t> out = wanted_.entrance.socks->output();
    words.assign(out.begin(), out.end());
  }
  // From here on it speaks to the server, and a refusal has that one's language. Should these few bytes not go, it is gone.
  wanted_.entrance.kind = Entrance::Kind::transparent;
  if (!words.empty()) ::send(client_.get(), words.data(), words.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void GateConnection::refuse(std::string why, No no) {
  refused_ = true;
  why_ = std::move(why);
  no_ = no;
  upstream_.reset();
  if (dial_) dial_->cancel();
  if (via_) via_->cancel();
  client_.cancel();
  stop_looking();
  if (wanted_.entrance.kind != Entrance::Kind::transparent) return say_no();
  const Peeked peeked = peek(client_.get());
  protocol_ = protocol_of(peeked.bytes);
  if (protocol_ == Protocol::unknown && !peeked.ended) return look_ahead(glance, [this] { say_no(); });
  say_no();
}

// In the client's own language, so that it fails at once and says why; empty: there is none.
std::string GateConnection::words_of_refusal() {
  constexpr int forbidden = 403, bad_gateway = 502;
  std::string http = http_answer(no_ == No::denied ? forbidden : bad_gateway, why_);
  switch (wanted_.entrance.kind) {
    case Entrance::Kind::connect:
    case Entrance::Kind::absolute: return http;
    case Entrance::Kind::socks: {
      wanted_.entrance.socks->refuse(no_ == No::denied        ? SocksReply::not_allowed
                                     : no_ == No::unreachable ? SocksReply::host_unreachable
                                                              : SocksReply::refused);
      const std::vector<std::uint8_t> out = wanted_.entrance.socks->output();
      return {out.begin(), out.end()};
    }
    case Entrance::Kind::transparent: break;
  }
  if (protocol_ == Protocol::tls) return std::string(access_denied);
  return protocol_ == Protocol::http ? http : std::string();
}

void GateConnection::say_no() {
  const int socket = client_.get();
  const std::string words = words_of_refusal();
  drop_input(socket);  // what is unread at the end would become a reset that overtakes our words
  if (words.empty() || ::send(socket, words.data(), words.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ||
      ::shutdown(socket, SHUT_WR) != 0) {
    reset_on_close(socket);
    return finish(why_);
  }
  timer_.expires_after(farewell);
  timer_.async_wait([self = shared_from_this()](Error) {
    if (!self->ended_) self->finish(self->why_);
  });
  drain();
}

// What it still sends is dropped, for the same reason.
void GateConnection::drain() {
  client_.wait(loop_, Watched::For::reading, [self = shared_from_this()](int error) {
    if (error || self->ended_) return;
    std::array<char, 16 * 1024> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled by recv
    const ssize_t count = ::recv(self->client_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (count > 0 || (count < 0 && errno == EAGAIN)) return self->drain();
    self->finish(self->why_);
  });
}

void GateConnection::finish(std::string why) {
  ended_ = true;
  timer_.cancel();
  client_.reset();
  upstream_.reset();
  Ended ended;
  if (verdict_) ended.verdict = *verdict_;
  ended.action = wanted_.action;
  ended.address = address_;
  ended.bytes = bytes_;
  ended.lasted = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began_);
  ended.why = std::move(why);
  if (requester_) ended.program = requester_->program;
  gate_->ended(*this, std::move(ended));
}

}  // namespace agentbox::gates::network
