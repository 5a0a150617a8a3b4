// Who is connected, and which message goes where.

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agentbox/base/error.hpp"

#include "impl.hpp"

namespace agentbox::gates::commands {

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

}  // namespace

void tell(const Job& job, decltype(wire::ToRoom::body) body, std::vector<UniqueFd> with) {
  if (auto connection = job.connection.lock()) connection->send({job.id, std::move(body)}, std::move(with));
}

CommandServer::Impl::Impl(boost::asio::io_context& loop, broker::Decider& decider, Setup setup)
    : loop_(loop),
      decider_(decider),
      setup_(std::move(setup)),
      places_(setup_.roots, setup_.hidden),
      programs_(setup_.folders) {}

void CommandServer::Impl::serve(UniqueFd listener) {
  if (::fcntl(listener.get(), F_SETFL, ::fcntl(listener.get(), F_GETFL) | O_NONBLOCK) != 0) {
    throw SystemError(errno, "cannot serve the room's requests");
  }
  auto& added = *listeners_.emplace_back(std::make_unique<Listener>(loop_));
  added.socket.assign(listener.release());
  wait(added);
}

void CommandServer::Impl::wait(Listener& listener) {
  if (stopped_) return;
  listener.socket.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                             [self = shared_from_this(), &listener](boost::system::error_code error) {
                               if (!error && !self->stopped_) self->accept(listener);
                             });
}

void CommandServer::Impl::accept(Listener& listener) {
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

void CommandServer::Impl::welcome(UniqueFd socket) {
  if (!requests::is_own_user(socket.get())) return;
  if (connections_.size() >= setup_.limits.connections) {
    // Said as far as the socket takes it; nobody waits in a queue that may never move.
    const std::string text = wire::encode(wire::ToRoom{
        .id = {}, .body = wire::Refusal{wire::Code::too_many, "too many connections are open: close some, try again"}});
    (void)::send(socket.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return;
  }
  auto weak = weak_from_this();
  Connection::Handler handler{.received =
                                  [weak](const Linked& connection, wire::FromRoom message) {
                                    if (auto self = weak.lock(); self && !self->stopped_)
                                      self->received(connection, std::move(message));
                                  },
                              .closed =
                                  [weak](const Linked& connection) {
                                    if (auto self = weak.lock()) self->gone(connection.get());
                                  }};
  auto connection = std::make_shared<Connection>(loop_, std::move(socket), setup_.limits.half_line, std::move(handler));
  connections_.insert(connection);
  connection->start();
}

void CommandServer::Impl::received(const Linked& connection, wire::FromRoom message) {
  const std::uint64_t id = message.id;
  if (auto* request = std::get_if<wire::CommandRequest>(&message.body)) return ask(connection, id, std::move(*request));
  if (std::holds_alternative<wire::StatusRequest>(message.body)) return connection->send({id, status()});
  if (std::holds_alternative<wire::ChangeRequest>(message.body)) {
    return refuse(connection, id, wire::Code::failed,
                  "changes of protected files can't be proposed yet: tell the owner what to change, and why");
  }
  // What is about a request that has ended meanwhile is no fault.
  std::shared_ptr<Job> job = find(connection, id);
  if (!job) return;
  if (std::holds_alternative<wire::Cancel>(message.body)) {
    if (job->ticket) return decider_.cancel(*job->ticket);
    if (job->process || job->starting) return;
    tell(*job, wire::Verdict{.verdict = wire::Verdict::Kind::cancelled, .reason = "the request was given up"});
    forget(*job);  // its program was still being hashed: nobody was asked
  } else if (const auto* signal = std::get_if<wire::CommandSignal>(&message.body)) {
    if (job->process) job->process->signal(signal->signal);
  } else if (const auto* resize = std::get_if<wire::CommandResize>(&message.body)) {
    job->size = resize->size;
    if (job->process) job->process->resize(resize->size);
  }
}

std::shared_ptr<Job> CommandServer::Impl::find(const Linked& connection, std::uint64_t id) const {
  auto found = by_id_.find({connection.get(), id});
  return found == by_id_.end() ? nullptr : found->second;
}

wire::RoomStatus CommandServer::Impl::status() const {
  return {.session = setup_.session,
          .profile = setup_.profile,
          .commands = lists_of(setup_.rules.commands),
          .network = lists_of(setup_.rules.network),
          .waiting = setup_.waiting ? setup_.waiting() : 0};
}

void CommandServer::Impl::gone(Connection* connection) {
  std::vector<std::shared_ptr<Job>> left;
  for (auto at = by_id_.lower_bound({connection, 0}); at != by_id_.end() && at->first.first == connection;) {
    left.push_back(std::move(at->second));
    at = by_id_.erase(at);
  }
  std::erase_if(connections_, [&](const Linked& one) { return one.get() == connection; });
  for (const auto& job : left) abandon(job, "its requester has gone");
}

void CommandServer::Impl::abandon(const std::shared_ptr<Job>& job, std::string why) {
  job->connection.reset();
  if (job->ticket) return decider_.cancel(*job->ticket);
  if (job->process) return hang_up(job, std::move(why));
  if (!job->starting) forget(*job);
}

void CommandServer::Impl::stop() {
  if (std::exchange(stopped_, true)) return;
  boost::system::error_code ignored;
  for (auto& listener : listeners_) {
    listener->timer.cancel();
    listener->socket.close(ignored);
  }
  for (const Linked& connection : std::exchange(connections_, {})) connection->close();
  by_id_.clear();
  for (const auto& job : std::set(jobs_)) abandon(job, "the session has ended");
}

void CommandServer::Impl::end() {
  stop();
  for (const auto& job : std::exchange(jobs_, {})) {
    job->timer.reset();
    if (job->starting) {
      decider_.outcome(job->verdict, job->command, "not started: the session has ended");
      go_on(*job);
    }
    if (!job->process) continue;
    job->process.reset();
    decider_.outcome(job->verdict, job->command, "killed: the session has ended");
    go_on(*job);
  }
}

CommandServer::Counters CommandServer::Impl::counters() const noexcept {
  return {.connections = connections_.size(), .requests = jobs_.size(), .running = running_};
}

CommandServer::CommandServer(boost::asio::io_context& loop, broker::Decider& decider, Setup setup)
    : impl_(std::make_shared<Impl>(loop, decider, std::move(setup))) {}
CommandServer::~CommandServer() {
  impl_->end();
}
void CommandServer::serve(UniqueFd listener) {
  impl_->serve(std::move(listener));
}
void CommandServer::stop() {
  impl_->stop();
}
CommandServer::Counters CommandServer::counters() const noexcept {
  return impl_->counters();
}

}  // namespace agentbox::gates::commands
