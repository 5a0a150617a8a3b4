#include "agentbox/broker/control_server.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <fstream>
#include <list>
#include <sstream>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/base/unique_fd.hpp"
#include "agentbox/wire/broker_message.hpp"

#include "questions.hpp"

namespace agentbox::broker {

namespace asio = boost::asio;
using Local = asio::local::stream_protocol;

namespace {

// A reader that doesn't read is cut off.
constexpr std::size_t most_unsent = 64 * 1024 * 1024;
constexpr std::chrono::milliseconds try_again{100};  // when there are no descriptors left

// One entry: the peer is in our own pid namespace, not in a room's.
bool is_on_host(pid_t pid) {
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("NSpid:")) continue;
    std::istringstream entries(line.substr(6));
    std::string first, second;
    return (entries >> first) && !(entries >> second);
  }
  return false;
}

bool is_owner(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == ::geteuid() && peer.pid > 0 && is_on_host(peer.pid);
}

wire::AnswerTaken taken_to_wire(Broker::Taken taken) {
  using Outcome = wire::AnswerTaken::Outcome;
  switch (taken) {
    case Broker::Taken::taken: return wire::AnswerTaken{.outcome = Outcome::taken, .reason = ""};
    case Broker::Taken::gone:
      return wire::AnswerTaken{.outcome = Outcome::gone,
                               .reason = "it was answered elsewhere, expired or was given up"};
    case Broker::Taken::changed:
      return wire::AnswerTaken{.outcome = Outcome::changed, .reason = "the digest is another question's"};
    case Broker::Taken::not_offered:
      return wire::AnswerTaken{.outcome = Outcome::not_offered, .reason = "this answer was not offered"};
    case Broker::Taken::too_early:
      return wire::AnswerTaken{.outcome = Outcome::not_offered, .reason = "a yes is not possible yet"};
  }
  return {};
}

}  // namespace

class ControlServer::Impl final : public Panel, public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& loop, Broker& broker, base::AbsPath path, About about, std::chrono::milliseconds half_line)
      : loop_(loop),
        broker_(broker),
        path_(std::move(path)),
        about_(std::move(about)),
        half_line_(half_line),
        listener_(loop),
        pause_(loop) {}

  void start();
  void stop();

  [[nodiscard]] Presence presence() const override {
    bool any = std::ranges::any_of(peers_, [](const auto& peer) { return peer->subscribed; });
    return any ? Presence::maybe : Presence::nobody;
  }
  void show(const prompt::Question& question) override { broadcast({{}, wire::QuestionAdded{to_wire(question)}}); }
  void change(const prompt::Question& question) override { broadcast({{}, wire::QuestionChanged{to_wire(question)}}); }
  void withdraw(const std::string& id, Verdict::Kind verdict, const std::string& by) override {
    broadcast({{}, wire::QuestionGone{id, broker::to_wire(verdict), by}});
  }
  void warn(const prompt::Flood& flood) override { broadcast({{}, wire::SessionFlooded{broker::to_wire(flood)}}); }
  void withdraw_warning() override { broadcast({{}, wire::SessionCalm{}}); }

 private:
  struct Peer {
    explicit Peer(Local::socket connected) : socket(std::move(connected)), half_line(socket.get_executor()) {}
    Local::socket socket;
    asio::steady_timer half_line;
    wire::LineSplitter lines;
    std::array<char, 16 * 1024> buffer{};
    std::deque<std::string> unsent;
    std::size_t unsent_bytes = 0;
    bool subscribed = false, gone = false, timing = false;
  };
  using PeerPtr = std::shared_ptr<Peer>;

  static wire::WireQuestion to_wire(const prompt::Question& question) { return broker::to_wire(question); }

  void wait();
  void accept();
  void read(const PeerPtr& peer);
  void watch_half_line(const PeerPtr& peer);
  void take(const PeerPtr& peer, std::string_view line);
  void handle(const PeerPtr& peer, std::uint64_t id, const wire::QuestionsList&);
  void handle(const PeerPtr& peer, std::uint64_t id, const wire::QuestionsSubscribe&);
  void handle(const PeerPtr& peer, std::uint64_t id, const wire::QuestionAnswer& message);
  void handle(const PeerPtr& peer, std::uint64_t id, const wire::SessionShow&);
  void handle(const PeerPtr& peer, std::uint64_t id, const wire::SessionChoose& message);
  [[nodiscard]] wire::Questions questions() const;
  void broadcast(const wire::ToControl& message);
  void send(const PeerPtr& peer, std::string line);
  void write(const PeerPtr& peer);
  void drop(const PeerPtr& peer);

  asio::io_context& loop_;
  Broker& broker_;
  base::AbsPath path_;
  About about_;
  std::chrono::milliseconds half_line_;
  asio::posix::stream_descriptor listener_;
  asio::steady_timer pause_;
  std::list<PeerPtr> peers_;
};

void ControlServer::Impl::start() {
  if (path_.str().size() >= sizeof(sockaddr_un::sun_path)) {
    throw base::SystemError(ENAMETOOLONG, "cannot make " + base::escape(path_.str()));
  }
  // Close-on-exec from birth: commands run on the host meanwhile.
  base::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path_.str().copy(address.sun_path, sizeof address.sun_path - 1);
  const mode_t before = ::umask(0177);
  const bool bound = socket && ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  const int error = errno;
  ::umask(before);
  if (!bound || ::listen(socket.get(), 16) != 0) {
    throw base::SystemError(bound ? errno : error, "cannot make " + base::escape(path_.str()));
  }
  listener_.assign(socket.release());
  broker_.add(*this);
  wait();
}

void ControlServer::Impl::stop() {
  broker_.remove(*this);
  boost::system::error_code ignored;
  listener_.close(ignored);
  pause_.cancel();
  ::unlink(path_.c_str());
  while (!peers_.empty()) drop(peers_.front());
}

void ControlServer::Impl::wait() {
  if (!listener_.is_open()) return;
  listener_.async_wait(asio::posix::stream_descriptor::wait_read,
                       [weak = weak_from_this()](boost::system::error_code error) {
                         if (auto self = weak.lock(); self && !error) self->accept();
                       });
}

void ControlServer::Impl::accept() {
  base::UniqueFd socket(::accept4(listener_.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!socket && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
    pause_.expires_after(try_again);
    pause_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
      if (auto self = weak.lock(); self && !error) self->wait();
    });
    return;
  }
  if (socket && peers_.size() < most_connections && is_owner(socket.get())) {
    peers_.push_back(std::make_shared<Peer>(Local::socket(loop_, Local(), socket.release())));
    read(peers_.back());
  }
  wait();
}

void ControlServer::Impl::read(const PeerPtr& peer) {
  auto buffer = asio::buffer(peer->buffer);
  peer->socket.async_read_some(buffer,
                               [weak = weak_from_this(), peer](boost::system::error_code error, std::size_t count) {
                                 auto self = weak.lock();
                                 if (!self || peer->gone) return;
                                 if (error) return self->drop(peer);
                                 std::string_view bytes(peer->buffer.data(), count);
                                 std::string line;
                                 for (;;) {
                                   auto split = peer->lines.take(bytes, line);
                                   if (split == wire::LineSplitter::Split::more) break;
                                   if (split == wire::LineSplitter::Split::too_long) return self->drop(peer);
                                   peer->timing = false;
                                   peer->half_line.cancel();
                                   self->take(peer, line);
                                   if (peer->gone) return;
                                 }
                                 self->watch_half_line(peer);
                                 self->read(peer);
                               });
}

void ControlServer::Impl::watch_half_line(const PeerPtr& peer) {
  // Whatever comes in between: the time counts from the first half.
  if (peer->timing || peer->lines.pending() == 0) return;
  peer->timing = true;
  peer->half_line.expires_after(half_line_);
  peer->half_line.async_wait([weak = weak_from_this(), peer](boost::system::error_code error) {
    auto self = weak.lock();
    if (self && !error && peer->timing) self->drop(peer);
  });
}

void ControlServer::Impl::take(const PeerPtr& peer, std::string_view line) {
  wire::Decoded<wire::FromControl> message = wire::decode_from_control(line);
  if (!message) return send(peer, wire::encode(message.error()));
  std::visit([&](const auto& body) { handle(peer, message->id, body); }, message->body);
}

wire::Questions ControlServer::Impl::questions() const {
  wire::Questions all;
  for (const prompt::Question& question : broker_.open()) all.questions.push_back(to_wire(question));
  if (auto flood = broker_.flood()) all.flood = broker::to_wire(*flood);
  return all;
}

void ControlServer::Impl::handle(const PeerPtr& peer, std::uint64_t id, const wire::QuestionsList&) {
  send(peer, wire::encode(wire::ToControl{id, questions()}));
}

void ControlServer::Impl::handle(const PeerPtr& peer, std::uint64_t id, const wire::QuestionsSubscribe&) {
  peer->subscribed = true;
  send(peer, wire::encode(wire::ToControl{id, questions()}));
}

void ControlServer::Impl::handle(const PeerPtr& peer, std::uint64_t id, const wire::QuestionAnswer& message) {
  Broker::Taken taken = broker_.answer(message.question, from_wire(message), "control");
  send(peer, wire::encode(wire::ToControl{id, taken_to_wire(taken)}));
}

void ControlServer::Impl::handle(const PeerPtr& peer, std::uint64_t id, const wire::SessionChoose& message) {
  wire::AnswerTaken taken = taken_to_wire(broker_.choose(from_wire(message)));
  using Outcome = wire::AnswerTaken::Outcome;
  if (taken.outcome == Outcome::gone) taken.reason = "there is nothing to choose: it doesn't ask too often now";
  if (taken.outcome == Outcome::not_offered) taken.reason = "the agent can't be paused: there is no room";
  send(peer, wire::encode(wire::ToControl{id, taken}));
}

void ControlServer::Impl::handle(const PeerPtr& peer, std::uint64_t id, const wire::SessionShow&) {
  const Summary& summary = broker_.summary();
  wire::SessionStatus status{.session = broker_.settings().session,
                             .profile = broker_.settings().profile,
                             .workspace = about_.workspace,
                             .started = about_.started,
                             .pid = static_cast<std::uint64_t>(::getpid()),
                             .asked = summary.asked,
                             .allowed = summary.allowed,
                             .denied = summary.denied,
                             .waiting = broker_.asking()};
  send(peer, wire::encode(wire::ToControl{id, status}));
}

void ControlServer::Impl::broadcast(const wire::ToControl& message) {
  if (std::ranges::none_of(peers_, [](const PeerPtr& peer) { return peer->subscribed; })) return;
  std::string line = wire::encode(message);
  std::list<PeerPtr> peers = peers_;  // one that is cut off leaves the list
  for (const PeerPtr& peer : peers) {
    if (peer->subscribed) send(peer, line);
  }
}

void ControlServer::Impl::send(const PeerPtr& peer, std::string line) {
  if (peer->gone) return;
  // At once where it fits: the session may be over before the loop comes round, and a peer whose answer was taken must
  // hear so.
  if (peer->unsent.empty()) {
    ssize_t sent = ::send(peer->socket.native_handle(), line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) line.erase(0, static_cast<std::size_t>(sent));
    if (line.empty()) return;
  }
  peer->unsent_bytes += line.size();
  if (peer->unsent_bytes > most_unsent) return drop(peer);
  peer->unsent.push_back(std::move(line));
  if (peer->unsent.size() == 1) write(peer);
}

void ControlServer::Impl::write(const PeerPtr& peer) {
  auto buffer = asio::buffer(peer->unsent.front());
  asio::async_write(peer->socket, buffer,
                    [weak = weak_from_this(), peer](boost::system::error_code error, std::size_t) {
                      auto self = weak.lock();
                      if (!self || peer->gone) return;
                      if (error) return self->drop(peer);
                      peer->unsent_bytes -= peer->unsent.front().size();
                      peer->unsent.pop_front();
                      if (!peer->unsent.empty()) self->write(peer);
                    });
}

void ControlServer::Impl::drop(const PeerPtr& peer) {
  if (std::exchange(peer->gone, true)) return;
  PeerPtr keep = peer;
  boost::system::error_code ignored;
  keep->half_line.cancel();
  keep->socket.close(ignored);
  peers_.remove(keep);
  if (keep->subscribed) broker_.presence_changed();
}

ControlServer::ControlServer(asio::io_context& loop, Broker& broker, const base::AbsPath& socket, About about,
                             std::chrono::milliseconds half_line)
    : impl_(std::make_shared<Impl>(loop, broker, socket, std::move(about), half_line)) {
  impl_->start();
}

ControlServer::~ControlServer() {
  impl_->stop();
}

}  // namespace agentbox::broker
