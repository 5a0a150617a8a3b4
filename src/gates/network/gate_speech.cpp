// What is said on a connection whose way is free, held against what was ruled on.

#include <memory>
#include <utility>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"

#include "client_hello.hpp"
#include "gate_connection.hpp"
#include "host_name.hpp"
#include "model_judge.hpp"

namespace agentbox::gates::network {

namespace {

using Error = boost::system::error_code;

// So long may a client take to say who it is, once it has begun.
constexpr std::chrono::seconds hello_patience{10};

}  // namespace

// Most clients have spoken by now.
void GateConnection::hear() {
  const Peeked peeked = peek(client_.get());
  peeked.bytes.empty() ? listen_to_both() : inspect(peeked);
}

// Where the server speaks first (ssh, mail) there is nothing to hold against the name: what the client says then can't
// choose another host, because the server has been chosen before. On the ports of the web, where one front serves many
// names, it is the client's turn, always: a front that complains of his silence must not open the way. Where nobody speaks,
// nothing is lost by an end: no protocol begins with minutes of silence, and a connection in hand is one that others don't
// get.
void GateConnection::listen_to_both() {
  auto first = std::make_shared<bool>(true);
  auto once = [first] { return std::exchange(*first, false); };
  timer_.expires_after(gate_->silence());
  timer_.async_wait([self = shared_from_this(), once](Error error) {
    if (!error && !self->over() && once()) self->refuse("neither side said anything");
  });
  client_.wait(loop_, Watched::For::reading, [self = shared_from_this(), once](int error) {
    if (error || self->over() || !once()) return;
    self->timer_.cancel();
    const Peeked said = peek(self->client_.get());
    self->inspect(said);
  });
  if (wanted_.action.port == 80 || wanted_.action.port == 443 || speech_ == profile::Speech::llm) return;
  upstream_.wait(loop_, Watched::For::reading, [self = shared_from_this(), once](int error) {
    if (error || self->over() || !once()) return;
    self->relay();
  });
}

void GateConnection::inspect(const Peeked& peeked) {
  protocol_ = protocol_of(peeked.bytes);
  if (speech_ == profile::Speech::llm && protocol_ != Protocol::http &&
      !(protocol_ == Protocol::unknown && !peeked.ended)) {
    return refuse("a model server is spoken to in plain HTTP");
  }
  switch (protocol_) {
    case Protocol::tls: return inspect_hello(peeked.bytes);
    case Protocol::http: return relay_requests();
    case Protocol::other: return relay();
    case Protocol::unknown:
      if (peeked.ended) return relay();
      return wait_for_more(peeked.bytes.size());
  }
}

void GateConnection::inspect_hello(std::string_view bytes) {
  ClientHelloReader reader;
  const ClientHelloReader::Result& result =
      reader.feed({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
  if (std::holds_alternative<ClientHelloReader::NeedMore>(result)) {
    if (bytes.size() >= most_peeked) return refuse("its TLS greeting is too long");
    return wait_for_more(bytes.size());
  }
  const auto* hello = std::get_if<ClientHello>(&result);
  if (hello == nullptr) {
    const auto* broken = std::get_if<ClientHelloReader::Malformed>(&result);
    return refuse(fmt::format("its TLS greeting is broken: {}", broken != nullptr ? broken->why : "it is not TLS"));
  }
  if (!hello->server_name) return refuse(fmt::format("TLS to {} without naming it (no SNI)", wanted_.action.host));
  const auto named = canonical_host(*hello->server_name);
  if (!named || named->text != wanted_.action.host) {
    return refuse(
        fmt::format("TLS for {} on a connection to {}", base::escape(*hello->server_name), wanted_.action.host));
  }
  relay();
}

void GateConnection::wait_for_more(std::size_t have) {
  if (!std::exchange(greeting_, true)) {
    timer_.expires_after(hello_patience);
    timer_.async_wait([self = shared_from_this()](Error ended) {
      if (!ended && !self->over()) self->refuse("it began to say who it is and did not end");
    });
  }
  set_low_water(client_.get(), have + 1);
  client_.wait(loop_, Watched::For::reading, [self = shared_from_this(), have](int error) {
    if (error || self->over()) return;
    const Peeked peeked = peek(self->client_.get());
    // The end of the stream wakes us, too.
    if (peeked.bytes.size() <= have) return self->refuse("it broke off while it said who it is");
    self->inspect(peeked);
  });
}

void GateConnection::stop_looking() {
  timer_.cancel();
  if (greeting_) set_low_water(client_.get(), 1);
}

void GateConnection::relay() {
  stop_looking();
  auto done = [self = shared_from_this()](Outcome outcome, Bytes bytes) {
    if (self->ended_) return;
    self->bytes_ = bytes;
    self->finish(outcome == Outcome::finished ? "" : self->why_.empty() ? "broken off" : self->why_);
  };
  spliced_ = gate_->splicer().relay(client_.hand_over(), upstream_.hand_over(), std::move(done), tap());
}

// Without TLS each request says a host of its own.
void GateConnection::relay_requests() {
  stop_looking();
  const policy::Connect& action = wanted_.action;
  HttpRequests::Passing passing;
  passing.authority = http_authority({.text = action.host, .address = Address::parse(action.host)}, action.port);
  auto names_us = [action, kind = wanted_.kind](const HttpRequest& request) {
    if (kind == Wanted::Kind::localhost) return request.target != HttpRequest::Target::authority;
    return request.target != HttpRequest::Target::authority && request.authority &&
           request.authority->host.text == action.host && request.authority->port.value_or(80) == action.port;
  };
  passing.form = form_;
  // What comes after an upgrade can't be judged, and an upstream may go on to take it for requests.
  if (form_ == HttpRequests::Passing::Form::absolute) passing.upgrade = HttpRequests::Passing::Upgrade::drop;
  HttpRelay::Judge judge;
  if (speech_ == profile::Speech::llm) {
    judge = model_judge();
    passing.upgrade = HttpRequests::Passing::Upgrade::drop;
  }
  const auto model = judge.head;
  if (wanted_.entrance.kind == Entrance::Kind::absolute) {
    judge.elsewhere = [names_us](const HttpRequest& request) {
      return request.target != HttpRequest::Target::absolute || !names_us(request);
    };
  } else {
    judge.head = [names_us, model](const HttpRequest& request) -> std::optional<HttpRefusal> {
      if (request.target == HttpRequest::Target::authority) return HttpRefusal{405, "this is no proxy"};
      // HTTP/1.0 without one: the head that goes on names the host.
      if (!request.authority || names_us(request)) return model ? model(request) : std::nullopt;
      return HttpRefusal{421, "the request names another host than its connection"};
    };
  }
  requests_.emplace(
      loop_, client_.hand_over(), upstream_.hand_over(), std::move(wanted_.entrance.said), std::move(passing),
      std::move(judge),
      [self = shared_from_this()](HttpRelay::End end) {
        if (self->ended_) return;
        self->bytes_ = end.bytes;
        if (end.client) self->gate_->moves_on(*self, std::move(end.client), std::move(end.said));
        self->finish(std::move(end.why));
      },
      tap());
}

}  // namespace agentbox::gates::network
