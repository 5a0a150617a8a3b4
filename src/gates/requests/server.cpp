#include <cerrno>
#include <set>
#include <utility>
#include <variant>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/gates/requests/request_server.hpp"

#include "connection.hpp"
#include "table.hpp"

namespace agentbox::gates::requests {

using base::SystemError;
using base::UniqueFd;

namespace {

constexpr int most_at_once = 64;  // then others of the loop have their turn
constexpr auto try_again = std::chrono::milliseconds(100);

wire::RoomStatus::Lists::Default otherwise(profile::Default value) {
  using Default = wire::RoomStatus::Lists::Default;
  switch (value) {
    case profile::Default::allow: return Default::allow;
    case profile::Default::ask: return Default::ask;
    case profile::Default::deny: break;
  }
  return Default::deny;
}

template <class T>
wire::RoomStatus::Lists lists_of(const policy::Rules::Lists<T>& rules) {
  auto texts = [](const profile::List<T>& list) {
    std::vector<std::string> result;
    for (const auto& rule : list) result.push_back(rule.value.text);
    return result;
  };
  return {.allow = texts(rules.allow),
          .ask = texts(rules.ask),
          .deny = texts(rules.deny),
          .otherwise = otherwise(rules.default_)};
}

wire::Verdict::Kind kind_of(broker::Verdict::Kind kind) {
  using From = broker::Verdict::Kind;
  using To = wire::Verdict::Kind;
  switch (kind) {
    case From::allow: return To::allow;
    case From::deny: return To::deny;
    case From::duplicate: return To::duplicate;
    case From::expired: return To::expired;
    case From::unavailable: return To::unavailable;
    case From::cancelled: return To::cancelled;
  }
  return To::unavailable;
}

}  // namespace

wire::RequestDelayed in_wire(std::chrono::seconds left) {
  constexpr std::chrono::seconds most = std::chrono::hours(24 * 365);
  return {static_cast<std::uint64_t>(std::clamp(left, std::chrono::seconds(1), most).count())};
}

wire::Verdict in_wire(const broker::Verdict& verdict) {
  return {.verdict = kind_of(verdict.kind), .reason = verdict.reason, .rule = verdict.rule, .comment = verdict.comment};
}

// ---- where the answers go -------------------------------------------------------------------------------------------

Requester::Requester(std::weak_ptr<Connection> connection, std::weak_ptr<Table> table, std::uint64_t id)
    : connection_(std::move(connection)), table_(std::move(table)), id_(id) {}

void Requester::tell(Body body, std::vector<UniqueFd> with) const {
  if (auto connection = connection_.lock()) connection->send({id_, std::move(body)}, std::move(with));
}
void Requester::refuse(wire::Code code, std::string why) const {
  tell(wire::Refusal{code, std::move(why)});
}
void Requester::done() const {
  auto connection = connection_.lock();
  auto table = table_.lock();
  if (connection && table) table->remove(connection.get(), id_);
}

// ---- who is connected -----------------------------------------------------------------------------------------------

class RequestServer::Impl : public std::enable_shared_from_this<RequestServer::Impl> {
 public:
  Impl(boost::asio::io_context& loop, Setup setup) : loop_(loop), setup_(std::move(setup)) {}

  void serve(UniqueFd listener);
  void stop();
  [[nodiscard]] Counters counters() const noexcept {
    return {.connections = connections_.size(), .requests = table_->size()};
  }

 private:
  using Linked = std::shared_ptr<Connection>;
  struct Listener {
    explicit Listener(boost::asio::io_context& loop) : socket(loop), timer(loop) {}
    boost::asio::posix::stream_descriptor socket;
    boost::asio::steady_timer timer;
  };

  void wait(Listener& listener);
  void accept(Listener& listener);
  void welcome(UniqueFd socket);
  void received(const Linked& connection, wire::FromRoom message, UniqueFd content);
  void open(const Linked& connection, wire::FromRoom message, UniqueFd content);
  void gone(Connection* connection);
  [[nodiscard]] wire::RoomStatus status() const;

  boost::asio::io_context& loop_;
  Setup setup_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::set<Linked> connections_;
  std::shared_ptr<Table> table_ = std::make_shared<Table>();
  bool stopped_ = false;
};

void RequestServer::Impl::serve(UniqueFd listener) {
  if (::fcntl(listener.get(), F_SETFL, ::fcntl(listener.get(), F_GETFL) | O_NONBLOCK) != 0) {
    throw SystemError(errno, "cannot serve the room's requests");
  }
  auto& added = *listeners_.emplace_back(std::make_unique<Listener>(loop_));
  added.socket.assign(listener.release());
  wait(added);
}

void RequestServer::Impl::wait(Listener& listener) {
  if (stopped_) return;
  listener.socket.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                             [self = shared_from_this(), &listener](boost::system::error_code error) {
                               if (!error && !self->stopped_) self->accept(listener);
                             });
}

void RequestServer::Impl::accept(Listener& listener) {
  for (int i = 0; i < most_at_once; ++i) {
    UniqueFd socket(::accept4(listener.socket.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket) {
      welcome(std::move(socket));
      continue;
    }
    if (errno == EAGAIN) break;
    if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) continue;  // a client that left
    listener.timer.expires_after(try_again);
    listener.timer.async_wait([self = shared_from_this(), &listener](boost::system::error_code error) {
      if (!error) self->wait(listener);
    });
    return;
  }
  wait(listener);
}

void RequestServer::Impl::welcome(UniqueFd socket) {
  if (!is_own_user(socket.get())) return;
  if (connections_.size() >= setup_.limits.connections) {
    // Said as far as the socket takes it; nobody waits in a queue that may never move.
    const std::string text = wire::encode(wire::ToRoom{
        .id = {}, .body = wire::Refusal{wire::Code::too_many, "too many connections are open: close some, try again"}});
    (void)::send(socket.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return;
  }
  auto weak = weak_from_this();
  Connection::Handler handler{.received =
                                  [weak](const Linked& connection, wire::FromRoom message, UniqueFd content) {
                                    if (auto self = weak.lock(); self && !self->stopped_)
                                      self->received(connection, std::move(message), std::move(content));
                                  },
                              .closed =
                                  [weak](const Linked& connection) {
                                    if (auto self = weak.lock()) self->gone(connection.get());
                                  }};
  auto connection = std::make_shared<Connection>(loop_, std::move(socket), setup_.limits.half_line, std::move(handler));
  connections_.insert(connection);
  connection->start();
}

// ---- what is asked --------------------------------------------------------------------------------------------------

void RequestServer::Impl::received(const Linked& connection, wire::FromRoom message, UniqueFd content) {
  if (std::holds_alternative<wire::StatusRequest>(message.body)) return connection->send({message.id, status()});
  if (std::holds_alternative<wire::CommandRequest>(message.body) ||
      std::holds_alternative<wire::ChangeRequest>(message.body) ||
      std::holds_alternative<wire::PaymentRequest>(message.body) ||
      std::holds_alternative<wire::MessageRequest>(message.body)) {
    return open(connection, std::move(message), std::move(content));
  }
  // What is about a request that has ended meanwhile is no fault.
  const std::shared_ptr<Request> request = table_->find(connection.get(), message.id);
  if (!request) return;
  if (std::holds_alternative<wire::Cancel>(message.body)) {
    request->cancel();
  } else if (const auto* signal = std::get_if<wire::CommandSignal>(&message.body)) {
    request->signal(signal->signal);
  } else if (const auto* resize = std::get_if<wire::CommandResize>(&message.body)) {
    request->resize(resize->size);
  }
}

void RequestServer::Impl::open(const Linked& connection, wire::FromRoom message, UniqueFd content) {
  const Requester requester(connection, table_, message.id);
  if (table_->find(connection.get(), message.id)) {
    return requester.refuse(wire::Code::wrong_parameters, "this id is that of an open request");
  }
  if (table_->open_on(connection.get()) >= setup_.limits.requests) {
    return requester.refuse(wire::Code::too_many, "too many requests are open on this connection");
  }
  std::shared_ptr<Request> request;
  if (auto* command = std::get_if<wire::CommandRequest>(&message.body)) {
    if (!setup_.gates.command) return requester.refuse(wire::Code::failed, "no command can be run from here");
    request = setup_.gates.command(requester, std::move(*command));
  } else if (auto* change = std::get_if<wire::ChangeRequest>(&message.body)) {
    if (!setup_.gates.change) {
      return requester.refuse(wire::Code::failed,
                              "no change can be proposed from here: tell the owner what to change, and why");
    }
    request = setup_.gates.change(requester, std::move(*change), std::move(content));
  } else if (auto* payment = std::get_if<wire::PaymentRequest>(&message.body)) {
    if (!setup_.gates.payment) return requester.refuse(wire::Code::failed, "nothing can be paid from here");
    request = setup_.gates.payment(requester, std::move(*payment));
  } else if (auto* letter = std::get_if<wire::MessageRequest>(&message.body)) {
    if (!setup_.gates.message) return requester.refuse(wire::Code::failed, "no message can be sent from here");
    request = setup_.gates.message(requester, std::move(*letter), std::move(content));
  }
  if (request) table_->add(connection.get(), message.id, std::move(request));
}

wire::RoomStatus RequestServer::Impl::status() const {
  return {.session = setup_.session,
          .profile = setup_.profile,
          .commands = lists_of(setup_.rules.commands),
          .network = lists_of(setup_.rules.network),
          .traffic = setup_.traffic ? setup_.traffic() : std::vector<std::string>(),
          .spending = setup_.spending ? setup_.spending() : std::vector<std::string>(),
          .messages = setup_.messages ? setup_.messages() : std::vector<std::string>(),
          .waiting = setup_.waiting ? setup_.waiting() : 0};
}

void RequestServer::Impl::gone(Connection* connection) {
  const auto left = table_->take_all_of(connection);
  std::erase_if(connections_, [&](const Linked& one) { return one.get() == connection; });
  for (const auto& request : left) request->abandon("its requester has gone");
}

void RequestServer::Impl::stop() {
  if (std::exchange(stopped_, true)) return;
  boost::system::error_code ignored;
  for (auto& listener : listeners_) {
    listener->timer.cancel();
    listener->socket.close(ignored);
  }
  for (const Linked& connection : std::exchange(connections_, {})) connection->close();
  for (const auto& request : table_->take_all()) request->abandon("the session has ended");
}

RequestServer::RequestServer(boost::asio::io_context& loop, Setup setup)
    : impl_(std::make_shared<Impl>(loop, std::move(setup))) {}
RequestServer::~RequestServer() {
  impl_->stop();
}
void RequestServer::serve(UniqueFd listener) {
  impl_->serve(std::move(listener));
}
void RequestServer::stop() {
  impl_->stop();
}
RequestServer::Counters RequestServer::counters() const noexcept {
  return impl_->counters();
}

}  // namespace agentbox::gates::requests
