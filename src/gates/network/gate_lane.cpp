// A lane of the gate: its connections, from their arrival to their end. One thread.

#include "gate_lane.hpp"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include "acceptor.hpp"
#include "address_class.hpp"
#include "arrival.hpp"
#include "gate_connection.hpp"
#include "gate_question.hpp"
#include "look_alike.hpp"
#include "lookup.hpp"
#include "proxy_greeting.hpp"
#include "public_suffix.hpp"

namespace agentbox::gates::network {

namespace {

using Clock = std::chrono::steady_clock;
using Verdict = broker::Verdict;

// How soon a client that has gone away is noticed, and how long a row may wait for others to be written with it.
constexpr std::chrono::milliseconds look_after{500};
constexpr std::size_t most_rows_waiting = 256;
// After a no to more of a limit nobody asks again for so long.
constexpr std::chrono::seconds no_holds{60};

}  // namespace

class GateLane::Impl : public std::enable_shared_from_this<Impl>, public GateConnection::Gate {
 public:
  Impl(boost::asio::io_context& loop, broker::Decider& decider, Splicer& splicer, std::shared_ptr<GateCommon> common)
      : loop_(loop),
        decider_(decider),
        splicer_(splicer),
        common_(std::move(common)),
        lookup_(loop, setup_.look_up),
        acceptor_(
            loop, most_open_, [this](base::UniqueFd client, int family) { accepted(std::move(client), family); },
            load_),
        timer_(loop) {}

  void serve_connections(std::shared_ptr<SharedListener> listener) { acceptor_.serve(std::move(listener)); }
  void serve_loopback(std::shared_ptr<SharedListener> listener, std::uint16_t port) {
    auto& acceptor = loopback_[port];
    if (!acceptor) {
      acceptor = std::make_unique<Acceptor>(
          loop_, most_open_,
          [this, port](base::UniqueFd client, int) {
            add(std::move(client),
                {.action = {.host = "localhost", .port = port},
                 .name = {},
                 .kind = Wanted::Kind::localhost,
                 .entrance = {}},
                *loopback_[port]);
          },
          load_);
    }
    acceptor->serve(std::move(listener));
  }
  void serve_proxy(std::shared_ptr<SharedListener> listener, network::Gate::Proxy what) {
    const auto speaks = what == network::Gate::Proxy::http ? ProxyGreeting::Speaks::http : ProxyGreeting::Speaks::socks;
    auto& acceptor = proxies_[what];
    if (!acceptor) {
      acceptor = std::make_unique<Acceptor>(
          loop_, most_open_,
          [this, what, speaks](base::UniqueFd client, int) { greet(std::move(client), speaks, {}, *proxies_[what]); },
          load_);
    }
    acceptor->serve(std::move(listener));
  }
  void stop() {
    acceptor_.close();
    for (auto& [port, acceptor] : loopback_) acceptor->close();
    for (auto& [what, acceptor] : proxies_) acceptor->close();
    for (const auto& greeting : std::exchange(greetings_, {})) greeting->cancel();
    timer_.cancel();
    for (const auto& [connection, acceptor] : connections_) connection->abandon();
    connections_.clear();
    for (const auto& [key, open] : open_) decider_.cancel(open.ticket);
    open_.clear();
    for (const auto& [tally, held] : held_) decider_.cancel(held.ticket);
    held_.clear();
    common_->meter.write(Meter::Due::all, Clock::now());
    write_rows();
  }

  // ---- for a connection ----

  std::shared_ptr<const Verdict> known(const policy::Connect& action) override {
    return common_->yes.find(key_of(action), Clock::now());
  }

  void decide(GateConnection& connection, Heard heard) override {
    const Key key = key_of(connection.wanted());
    // It may have come while this one looked ahead.
    if (const auto yes = known(connection.wanted())) return heard(*yes);
    auto [open, first] = open_.try_emplace(key);
    // One question for a name and port, for all that want it while it is open; it stays when they give up.
    open->second.waiting.push_back({connection.weak_from_this(), std::move(heard)});
    watch();
    if (!first) return;
    broker::Asked asked = question_about(connection.wanted(), facts_about(connection));
    open->second.ticket = decider_.ask(std::move(asked), [weak = weak_from_this(), key](const Verdict& verdict) {
      if (auto self = weak.lock()) self->answered(key, verdict);
    });
  }

  [[nodiscard]] policy::Ruling rule(const policy::Connect& action) const override {
    return policy::rule(setup_.rules, action);
  }
  // A model server's grant is no way round what a model's user may say.
  [[nodiscard]] bool grants(const policy::Connect& address) const override {
    return rule(address).decision == policy::Decision::allow && speech(address) == profile::Speech::any;
  }
  [[nodiscard]] profile::Speech speech(const policy::Connect& action) const override {
    return policy::speech_of(setup_.rules, action);
  }
  [[nodiscard]] std::optional<std::string> via(const policy::Connect& action) const override {
    return policy::upstream_of(setup_.rules, action);
  }
  [[nodiscard]] SocksLogin login(const Host& host) const override { return isolating_login(setup_.secret, host); }
  [[nodiscard]] Meter::Tallies tallies(const policy::Connect& action) override {
    return common_->meter.bytes(action, registrable_domain(action.host).value_or(action.host));
  }
  [[nodiscard]] std::uint64_t reserve(const Meter::Tallies& tallies, std::uint64_t most) override {
    return common_->meter.reserve(tallies, most);
  }
  void took(const Meter::Tallies& tallies, std::uint64_t reserved, std::uint64_t bytes) override {
    if (!common_->meter.took(tallies, reserved, bytes)) return;
    common_->meter.write(Meter::Due::now_and_then, Clock::now());
    watch();
  }
  [[nodiscard]] std::shared_ptr<Meter::Tally> pace(const policy::Connect& action) override {
    return common_->meter.connection(action, Clock::now());
  }

  // One question for a limit, for all that wait for it.
  void hold(GateConnection& connection, const std::shared_ptr<Meter::Tally>& tally) override {
    auto [held, first] = held_.try_emplace(tally);
    auto same = [&](const auto& one) { return one.lock().get() == &connection; };
    if (std::ranges::none_of(held->second.waiting, same)) held->second.waiting.push_back(connection.weak_from_this());
    watch();
    if (!first) return;
    common_->meter.look_again(*tally);
    const std::optional<std::string> refused = tally->left() > 0 ? std::nullopt : tally->refused(Clock::now());
    if (tally->left() > 0 || refused) {
      const std::string why = refused.value_or("");
      return boost::asio::post(loop_, [weak = weak_from_this(), tally, why] {
        if (auto self = weak.lock()) self->let_on(tally, why);
      });
    }
    identify(connection);
    broker::Asked asked = question_about(tally->balance(), connection.wanted(), connection.requester());
    const std::int64_t portion = std::get<policy::Excess>(asked.action).portion;
    held->second.ticket =
        decider_.ask(std::move(asked), [weak = weak_from_this(), tally, portion](const Verdict& verdict) {
          if (auto self = weak.lock()) self->heard(tally, portion, verdict);
        });
  }

  void identify(GateConnection& connection) override {
    if (!setup_.who || connection.requester() || connection.client() < 0) return;
    connection.set_requester(common_->who(connection.client()));
  }

  Lookup& lookup() override { return lookup_; }
  Splicer& splicer() override { return splicer_; }
  [[nodiscard]] std::chrono::milliseconds connect_patience() const override { return setup_.connect_patience; }
  [[nodiscard]] std::chrono::milliseconds silence() const override { return setup_.silence; }

  void moves_on(GateConnection& connection, Watched client, std::string said) override {
    const auto at = connections_.find(connection.shared_from_this());
    if (at == connections_.end()) return;
    at->second->hold();
    greet(std::move(client), ProxyGreeting::Speaks::http, std::move(said), *at->second);
  }

  void ended(GateConnection& connection, Ended what) override {
    if (what.address.empty()) ++common_->refused;
    common_->to_upstream += what.bytes.to_upstream;
    common_->to_client += what.bytes.to_client;
    // What was denied has its verdict on the record.
    if (what.verdict.kind == Verdict::Kind::allow || what.verdict.kind == Verdict::Kind::cancelled) {
      common_->rows.add(record_of(what));
    }
    watch();
    // Not from within the connection's own call.
    boost::asio::post(loop_, [weak = weak_from_this(), gone = connection.shared_from_this()] {
      auto self = weak.lock();
      if (!self) return;
      if (auto node = self->connections_.extract(gone)) node.mapped()->release();
    });
    if (common_->rows.size() >= most_rows_waiting) write_rows();
  }

 private:
  struct Waiting {
    std::weak_ptr<GateConnection> connection;
    Heard heard;
  };
  struct Open {
    broker::Decider::Ticket ticket = 0;
    std::vector<Waiting> waiting;
  };

  struct Held {
    broker::Decider::Ticket ticket = 0;
    std::vector<std::weak_ptr<GateConnection>> waiting;
  };

  void heard(const std::shared_ptr<Meter::Tally>& tally, std::int64_t portion, const Verdict& verdict) {
    if (verdict.kind == Verdict::Kind::allow) {
      tally->allow(portion, verdict.question);
      return let_on(tally, {});
    }
    const std::string why = fmt::format("{}: {}", policy::in_words(tally->balance()), verdict.reason);
    if (verdict.kind != Verdict::Kind::cancelled) tally->refuse(why, Clock::now() + no_holds);
    let_on(tally, why);
  }

  // `why` not; empty: they go on.
  void let_on(const std::shared_ptr<Meter::Tally>& tally, const std::string& why) {
    auto node = held_.extract(tally);
    if (node.empty()) return;
    for (const auto& weak : node.mapped().waiting) {
      auto connection = weak.lock();
      if (connection) why.empty() ? connection->go_on() : connection->stop(why);
    }
  }

  void accepted(base::UniqueFd client, int family) {
    const std::optional<Target> target = original_destination(client.get(), family);
    std::optional<Address> address = target ? Address::parse(target->text()) : std::nullopt;
    // Made to the listener itself: there is nothing that it could mean.
    if (!address || class_of(*address) == AddressClass::loopback) return break_off(std::move(client));
    if (!common_->names.in_range(*address)) {
      return add(std::move(client), address_wanted(*address, target->port()), acceptor_);
    }
    std::optional<NameTable::Pin> name = common_->names.arrive(*address, Clock::now());
    if (!name) return break_off(std::move(client));
    add(std::move(client), name_wanted(*std::move(name), target->port()), acceptor_);
  }

  [[nodiscard]] static Wanted address_wanted(const Address& address, std::uint16_t port) {
    return {
        .action = {.host = address.text(), .port = port}, .name = {}, .kind = Wanted::Kind::address, .entrance = {}};
  }
  [[nodiscard]] static Wanted name_wanted(NameTable::Pin name, std::uint16_t port) {
    policy::Connect action{.host = name.name(), .port = port};
    return {.action = std::move(action), .name = std::move(name), .kind = Wanted::Kind::name, .entrance = {}};
  }

  void break_off(base::UniqueFd client) {
    ++common_->connections;
    ++common_->refused;
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    client.reset();
    boost::asio::post(loop_, [weak = weak_from_this()] {
      if (auto self = weak.lock()) self->acceptor_.release();
    });
  }

  // ---- the explicit proxies ----

  void greet(Watched client, ProxyGreeting::Speaks speaks, std::string said, Acceptor& from) {
    // One that ends from within its start has no number yet.
    const auto number = std::make_shared<std::shared_ptr<ProxyGreeting>>();
    auto arrived = [weak = weak_from_this(), number, &from](ProxyGreeting::Arrived what) {
      auto self = weak.lock();
      if (!self) return;
      if (*number) self->greetings_.erase(*number);
      self->arrived(std::move(what), from);
    };
    auto greeting = ProxyGreeting::start(loop_, std::move(client), speaks, std::move(said), std::move(arrived));
    if (greeting->is_over()) return;
    *number = greeting;
    greetings_.insert(std::move(greeting));
  }

  void arrived(ProxyGreeting::Arrived what, Acceptor& from) {
    if (!what.client) {
      ++common_->connections;
      ++common_->refused;
      // Not from within the acceptor's own call.
      return boost::asio::post(loop_, [weak = weak_from_this(), &from] {
        if (auto self = weak.lock()) from.release();
      });
    }
    std::string why;
    Wanted wanted = wanted_by(what.host, what.port, why);
    wanted.entrance = std::move(what.entrance);
    add(std::move(what.client), std::move(wanted), from, std::move(why));
  }

  // `why` it leads nowhere, if it does.
  Wanted wanted_by(const Host& host, std::uint16_t port, std::string& why) {
    constexpr std::string_view directly = "localhost is reached directly, without the proxy";
    if (!host.address) {
      if (host.text == "localhost") why = directly;
      return {.action = {.host = host.text, .port = port}, .name = {}, .kind = Wanted::Kind::name, .entrance = {}};
    }
    if (common_->names.in_range(*host.address)) {
      // A client that asked for the address first, and then says that to its proxy.
      if (auto name = common_->names.arrive(*host.address, Clock::now())) return name_wanted(*std::move(name), port);
      why = "no name has this address";
    } else if (class_of(*host.address) == AddressClass::loopback) {
      why = directly;
    }
    return address_wanted(*host.address, port);
  }

  // `turned_away`: why, if it is.
  void add(Watched client, Wanted wanted, Acceptor& from, std::string turned_away = {}) {
    ++common_->connections;
    auto connection = std::make_shared<GateConnection>(loop_, *this, std::move(client), std::move(wanted));
    connections_.emplace(connection, &from);
    turned_away.empty() ? connection->start() : connection->turn_away(std::move(turned_away));
  }

  QuestionFacts facts_about(GateConnection& connection) {
    QuestionFacts facts;
    facts.protocol = connection.protocol();
    facts.sent = common_->to_upstream;
    facts.once_holds = setup_.once_holds;
    identify(connection);
    facts.requester = connection.requester();
    if (rule(connection.wanted()).decision != policy::Decision::ask) return facts;
    facts.looks_like = looks_like(connection.wanted().host, common_->named);
    facts.domain = registrable_domain(connection.wanted().host);
    return facts;
  }

  void answered(const Key& key, const Verdict& verdict) {
    if (verdict.kind == Verdict::Kind::allow) common_->yes.keep(key, verdict, Clock::now());
    auto node = open_.extract(key);
    if (node.empty()) return;
    for (Waiting& waiting : node.mapped().waiting) {
      if (waiting.connection.lock()) waiting.heard(verdict);
    }
  }

  void watch() {
    if (std::exchange(watching_, true)) return;
    timer_.expires_after(look_after);
    timer_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
      auto self = weak.lock();
      if (error || !self) return;
      self->watching_ = false;
      self->write_rows();
      self->common_->meter.write(Meter::Due::now_and_then, Clock::now());
      self->let_go();
      if (!self->open_.empty() || !self->held_.empty() || self->common_->meter.has_unwritten()) self->watch();
    });
  }

  // A client that gave up leaves its question standing.
  void let_go() {
    for (auto& [key, open] : open_) {
      std::erase_if(open.waiting, [this](const Waiting& waiting) {
        auto connection = waiting.connection.lock();
        if (!connection) return true;
        if (!connection->gave_up()) return false;
        dismiss(*connection);
        return true;
      });
    }
    for (auto& [tally, held] : held_) {
      std::erase_if(held.waiting, [this](const auto& waiting) {
        auto connection = waiting.lock();
        if (!connection) return true;
        if (!connection->waits_to_begin() || !connection->gave_up()) return false;
        dismiss(*connection);
        return true;
      });
    }
  }

  void dismiss(GateConnection& connection) {
    Ended gone;
    gone.action = connection.wanted();
    gone.verdict.kind = Verdict::Kind::cancelled;
    gone.why = "gave up while the owner was asked";
    if (connection.requester()) gone.program = connection.requester()->program;
    connection.abandon();
    ended(connection, std::move(gone));
  }

  // Rows wait for each other: one wait for the disk for all that ended in half a second.
  void write_rows() {
    std::vector<broker::Decider::Done> done = common_->rows.take();
    if (!done.empty()) decider_.outcomes(std::move(done));
  }

  boost::asio::io_context& loop_;
  broker::Decider& decider_;
  Splicer& splicer_;
  const std::shared_ptr<GateCommon> common_;
  const GateSetup& setup_ = common_->setup;
  const std::size_t most_open_ = std::max<std::size_t>(setup_.connections / common_->lanes, 1);
  Lookup lookup_;
  const Acceptor::Load load_ = std::make_shared<Acceptor::Load::element_type>();
  Acceptor acceptor_;
  std::map<std::uint16_t, std::unique_ptr<Acceptor>> loopback_;
  boost::asio::steady_timer timer_;
  bool watching_ = false;
  std::map<Key, Open> open_;
  std::map<std::shared_ptr<Meter::Tally>, Held> held_;
  std::map<network::Gate::Proxy, std::unique_ptr<Acceptor>> proxies_;
  std::unordered_set<std::shared_ptr<ProxyGreeting>> greetings_;
  std::unordered_map<std::shared_ptr<GateConnection>, Acceptor*> connections_;  // and who accepted it
};

GateLane::GateLane(boost::asio::io_context& loop, broker::Decider& decider, Splicer& splicer,
                   std::shared_ptr<GateCommon> common)
    : impl_(std::make_shared<Impl>(loop, decider, splicer, std::move(common))) {}
GateLane::~GateLane() {
  impl_->stop();
}
void GateLane::serve_connections(std::shared_ptr<SharedListener> listener) {
  impl_->serve_connections(std::move(listener));
}
void GateLane::serve_loopback(std::shared_ptr<SharedListener> listener, std::uint16_t port) {
  impl_->serve_loopback(std::move(listener), port);
}
void GateLane::serve_proxy(std::shared_ptr<SharedListener> listener, Gate::Proxy what) {
  impl_->serve_proxy(std::move(listener), what);
}
void GateLane::stop() {
  impl_->stop();
}

}  // namespace agentbox::gates::network
