#include "agentbox/broker/watch.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <map>
#include <set>
#include <utility>

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>

#include "agentbox/base/error.hpp"

#include "questions.hpp"

namespace agentbox::broker {

namespace asio = boost::asio;
using Local = asio::local::stream_protocol;
using boost::system::error_code;

namespace {

constexpr std::chrono::seconds look_again{1};
// A session that was stopped (Ctrl-Z) takes connections and says nothing.
constexpr std::chrono::seconds patience{3};
// Ids of our requests; answers have those above.
constexpr std::uint64_t show_id = 1, questions_id = 2;

// Nobody else may pretend to be a session: his questions would be ours to answer.
bool is_ours(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == ::geteuid();
}

}  // namespace

class Watch::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(Mode mode, std::function<Sockets()> look, Listener& listener)
      : mode_(mode), look_(std::move(look)), listener_(listener), look_timer_(loop_), patience_timer_(loop_) {}

  void run();
  void stop() { loop_.stop(); }
  [[nodiscard]] asio::io_context& loop() noexcept { return loop_; }
  void put(const std::string& session, decltype(wire::FromControl::body) body, Answered done);
  [[nodiscard]] std::size_t sessions() const noexcept;
  void close();

 private:
  // One connection.
  struct Link {
    Link(asio::io_context& loop, base::AbsPath where, Sockets::Named how)
        : path(std::move(where)), named(how), socket(loop) {}
    base::AbsPath path;
    Sockets::Named named;
    Local::socket socket;
    wire::LineSplitter lines{wire::control_reply_limit};
    std::array<char, 64 * 1024> buffer{};
    std::deque<std::string> unsent;
    std::string session;  // empty: it has not said so yet
    std::set<std::string> open;
    std::map<std::uint64_t, Answered> answers;
    std::uint64_t last_id = questions_id;
    bool told = false;  // what is open
    bool flooded = false;
    bool gone = false;
  };
  using LinkPtr = std::shared_ptr<Link>;

  void look();
  void connect(const base::AbsPath& path, Sockets::Named named);
  void begin(const LinkPtr& link);
  void read(const LinkPtr& link);
  void take(const LinkPtr& link, std::string_view line);
  void heard(const LinkPtr& link, std::optional<std::uint64_t> id, const wire::SessionStatus& status);
  void heard(const LinkPtr& link, std::optional<std::uint64_t> id, const wire::Questions& questions);
  void heard(const LinkPtr& link, std::optional<std::uint64_t> id, const wire::AnswerTaken& taken);
  void heard(const LinkPtr& link, std::optional<std::uint64_t> id, const wire::Refusal& refusal);
  void heard(const LinkPtr& link, std::optional<std::uint64_t> id, const wire::QuestionAdded& added);
  void heard(const LinkPtr& link, std::optional<std::uint64_t> id, const wire::QuestionChanged& changed);
  void heard(const LinkPtr& link, std::optional<std::uint64_t> id, const wire::QuestionGone& gone);
  void heard(const LinkPtr& link, std::optional<std::uint64_t> id, const wire::SessionFlooded& flooded);
  void heard(const LinkPtr& link, std::optional<std::uint64_t> id, const wire::SessionCalm& calm);
  void send(const LinkPtr& link, const wire::FromControl& message);
  void write(const LinkPtr& link);
  void drop(const LinkPtr& link, const std::string& why);
  void fail(const base::AbsPath& path, const std::string& why);
  void settle();

  Mode mode_;
  std::function<Sockets()> look_;
  Listener& listener_;
  asio::io_context loop_{1};
  asio::steady_timer look_timer_, patience_timer_;
  std::vector<LinkPtr> links_;
  std::set<std::string> failed_;  // said already
  bool looked_ = false, settled_ = false, closed_ = false;
};

void Watch::Impl::run() {
  asio::post(loop_, [weak = weak_from_this()] {
    if (auto self = weak.lock()) self->look();
  });
  patience_timer_.expires_after(patience);
  patience_timer_.async_wait([weak = weak_from_this()](error_code error) {
    auto self = weak.lock();
    if (!self || error || self->settled_) return;
    for (const LinkPtr& link : self->links_) {
      if (!link->told) self->fail(link->path, "it does not answer");
    }
    self->settled_ = true;
    self->listener_.settled();
  });
  loop_.run();
}

void Watch::Impl::look() {
  const Sockets sockets = look_();
  for (const base::AbsPath& path : sockets.all) {
    if (std::ranges::none_of(links_, [&](const LinkPtr& link) { return link->path == path; })) {
      connect(path, sockets.named);
    }
  }
  looked_ = true;
  settle();
  if (mode_ == Mode::once) return;
  look_timer_.expires_after(look_again);
  look_timer_.async_wait([weak = weak_from_this()](error_code error) {
    if (auto self = weak.lock(); self && !error) self->look();
  });
}

void Watch::Impl::connect(const base::AbsPath& path, Sockets::Named named) {
  if (path.str().size() >= sizeof(sockaddr_un::sun_path)) return fail(path, "the path of a socket may have 107 bytes");
  auto link = std::make_shared<Link>(loop_, path, named);
  links_.push_back(link);
  link->socket.async_connect(Local::endpoint(path.str()), [weak = weak_from_this(), link](error_code error) {
    auto self = weak.lock();
    if (!self || link->gone) return;
    if (!error) return self->begin(link);
    // A session that was killed leaves its socket behind, one that ends takes it along.
    const bool dead = error.value() == ECONNREFUSED || error.value() == ENOENT;
    const bool silent = dead && link->named == Sockets::Named::found;
    self->drop(link, silent ? "" : fmt::format("cannot connect: {}", base::errno_text(error.value())));
  });
}

void Watch::Impl::begin(const LinkPtr& link) {
  if (!is_ours(link->socket.native_handle())) return drop(link, "another user listens there");
  send(link, {show_id, wire::SessionShow{}});
  if (mode_ == Mode::once) {
    send(link, {questions_id, wire::QuestionsList{}});
  } else {
    send(link, {questions_id, wire::QuestionsSubscribe{}});
  }
  read(link);
}

void Watch::Impl::read(const LinkPtr& link) {
  link->socket.async_read_some(asio::buffer(link->buffer),
                               [weak = weak_from_this(), link](error_code error, std::size_t count) {
                                 auto self = weak.lock();
                                 if (!self || link->gone) return;
                                 if (error) return self->drop(link, link->told ? "" : "the session has ended");
                                 std::string_view bytes(link->buffer.data(), count);
                                 std::string line;
                                 for (;;) {
                                   auto split = link->lines.take(bytes, line);
                                   if (split == wire::LineSplitter::Split::more) break;
                                   if (split == wire::LineSplitter::Split::too_long) {
                                     return self->drop(link, "it says more at once than a session may");
                                   }
                                   self->take(link, line);
                                   if (link->gone) return;
                                 }
                                 self->read(link);
                               });
}

void Watch::Impl::take(const LinkPtr& link, std::string_view line) {
  wire::Decoded<wire::ToControl> message = wire::decode_to_control(line);
  // A question that can't be read in full is not shown in part.
  if (!message) return drop(link, "it does not speak this protocol: " + message.error().message);
  std::visit([&](const auto& body) { heard(link, message->id, body); }, message->body);
}

void Watch::Impl::heard(const LinkPtr& link, std::optional<std::uint64_t>, const wire::SessionStatus& status) {
  if (!link->session.empty() || status.session.empty()) return;
  link->session = status.session;
  listener_.began(status);
}

void Watch::Impl::heard(const LinkPtr& link, std::optional<std::uint64_t>, const wire::Questions& questions) {
  if (link->session.empty()) return drop(link, "it does not say which session it is");
  link->told = true;
  for (const wire::WireQuestion& question : questions.questions) heard(link, {}, wire::QuestionAdded{question});
  if (questions.flood) heard(link, {}, wire::SessionFlooded{*questions.flood});
  settle();
}

void Watch::Impl::heard(const LinkPtr& link, std::optional<std::uint64_t>, const wire::QuestionAdded& added) {
  if (link->session.empty() || !link->open.insert(added.question.id).second) return;
  listener_.added(link->session, added.question);
}

void Watch::Impl::heard(const LinkPtr& link, std::optional<std::uint64_t>, const wire::QuestionChanged& changed) {
  if (link->open.contains(changed.question.id)) listener_.changed(link->session, changed.question);
}

void Watch::Impl::heard(const LinkPtr& link, std::optional<std::uint64_t>, const wire::QuestionGone& gone) {
  if (link->open.erase(gone.question) > 0) listener_.gone(link->session, gone);
}

void Watch::Impl::heard(const LinkPtr& link, std::optional<std::uint64_t>, const wire::SessionFlooded& flooded) {
  if (link->session.empty()) return;
  link->flooded = true;
  listener_.flooded(link->session, flooded.flood);
}

void Watch::Impl::heard(const LinkPtr& link, std::optional<std::uint64_t>, const wire::SessionCalm&) {
  if (std::exchange(link->flooded, false)) listener_.calm(link->session);
}

void Watch::Impl::heard(const LinkPtr& link, std::optional<std::uint64_t> id, const wire::AnswerTaken& taken) {
  auto found = id ? link->answers.find(*id) : link->answers.end();
  if (found == link->answers.end()) return;
  Answered done = std::move(found->second);
  link->answers.erase(found);
  done(taken);
}

void Watch::Impl::heard(const LinkPtr& link, std::optional<std::uint64_t> id, const wire::Refusal& refusal) {
  if (id && link->answers.contains(*id)) {
    return heard(link, id, wire::AnswerTaken{wire::AnswerTaken::Outcome::not_offered, refusal.message});
  }
  drop(link, "it refused: " + refusal.message);
}

void Watch::Impl::put(const std::string& session, decltype(wire::FromControl::body) body, Answered done) {
  auto found = std::ranges::find_if(links_, [&](const LinkPtr& link) { return link->session == session; });
  if (found == links_.end()) {
    asio::post(loop_, [done = std::move(done)] {
      done({.outcome = wire::AnswerTaken::Outcome::gone, .reason = "its session has ended"});
    });
    return;
  }
  const LinkPtr link = *found;
  link->answers.emplace(++link->last_id, std::move(done));
  send(link, {link->last_id, std::move(body)});
  if (mode_ == Mode::live) return;
  patience_timer_.expires_after(patience);
  patience_timer_.async_wait([weak = weak_from_this(), link](error_code error) {
    if (auto self = weak.lock(); self && !error) self->drop(link, "it does not answer");
  });
}

void Watch::Impl::send(const LinkPtr& link, const wire::FromControl& message) {
  link->unsent.push_back(wire::encode(message));
  if (link->unsent.size() == 1) write(link);
}

void Watch::Impl::write(const LinkPtr& link) {
  asio::async_write(link->socket, asio::buffer(link->unsent.front()),
                    [weak = weak_from_this(), link](error_code error, std::size_t) {
                      auto self = weak.lock();
                      // Why it failed is what the reader finds.
                      if (!self || link->gone || error) return;
                      link->unsent.pop_front();
                      if (!link->unsent.empty()) self->write(link);
                    });
}

void Watch::Impl::drop(const LinkPtr& dropped, const std::string& why) {
  const LinkPtr link = dropped;
  if (std::exchange(link->gone, true)) return;
  error_code ignored;
  link->socket.close(ignored);
  std::erase(links_, link);
  if (closed_) return;
  for (auto& [id, done] : std::exchange(link->answers, {})) {
    done({.outcome = wire::AnswerTaken::Outcome::gone, .reason = "its session has ended or does not answer"});
  }
  for (const std::string& id : std::exchange(link->open, {})) {
    listener_.gone(link->session, {.question = id, .verdict = wire::Verdict::Kind::unavailable, .by = "fault"});
  }
  if (std::exchange(link->flooded, false)) listener_.calm(link->session);
  if (!link->session.empty()) listener_.ended(link->session);
  if (!why.empty()) fail(link->path, why);
  settle();
}

void Watch::Impl::fail(const base::AbsPath& path, const std::string& why) {
  if (failed_.insert(path.str()).second) listener_.failed(path, why);
}

void Watch::Impl::settle() {
  if (settled_ || !looked_ || closed_) return;
  if (!std::ranges::all_of(links_, [](const LinkPtr& link) { return link->told; })) return;
  settled_ = true;
  patience_timer_.cancel();
  listener_.settled();
}

std::size_t Watch::Impl::sessions() const noexcept {
  return static_cast<std::size_t>(
      std::ranges::count_if(links_, [](const LinkPtr& link) { return !link->session.empty(); }));
}

void Watch::Impl::close() {
  closed_ = true;
  while (!links_.empty()) drop(links_.back(), "");
}

// ---- the face ----

Watch::Watch(Mode mode, std::function<Sockets()> look, Listener& listener)
    : impl_(std::make_shared<Impl>(mode, std::move(look), listener)) {}
Watch::~Watch() {
  impl_->close();
}
void Watch::run() {
  impl_->run();
}
void Watch::stop() {
  impl_->stop();
}
asio::io_context& Watch::loop() noexcept {
  return impl_->loop();
}
void Watch::answer(const std::string& session, const std::string& id, const prompt::Answer& answer, Answered done) {
  impl_->put(session, to_wire(id, answer), std::move(done));
}
void Watch::choose(const std::string& session, prompt::Banner::Choice choice, Answered done) {
  impl_->put(session, to_wire(choice), std::move(done));
}
std::size_t Watch::sessions() const noexcept {
  return impl_->sessions();
}

prompt::Question question_of(const wire::WireQuestion& question, prompt::Clock::time_point at) {
  return from_wire(question, at);
}

prompt::Flood flood_of(const wire::WireFlood& flood, prompt::Clock::time_point at) {
  return from_wire(flood, at);
}

std::string summary_of(const prompt::Flood& flood) {
  return fmt::format("asks too often: {} questions in {}; {} {}", flood.questions, in_words(flood.within),
                     flood.waiting, flood.waiting == 1 ? "waits" : "wait");
}

std::string words_for(const wire::QuestionGone& gone) {
  using Kind = wire::Verdict::Kind;
  switch (gone.verdict) {
    case Kind::expired: return "expired: nobody answered in time";
    case Kind::unavailable: return "is denied: its session has ended or can't go on";
    case Kind::cancelled: return "was given up by who asked";
    case Kind::duplicate: return "was done already";
    case Kind::allow:
    case Kind::deny:
    case Kind::pass: break;
  }
  if (gone.verdict == Kind::allow && gone.by == "clock") return "is being done: its delay is over";
  const std::string what = gone.verdict == Kind::allow ? "was allowed" : "was denied";
  if (gone.by == "terminal") return what + " at the session's own terminal";
  if (gone.by == "control") return what + " elsewhere";
  if (gone.by == "limit") return what + ": no more questions of this session are answered";
  return what;
}

}  // namespace agentbox::broker
