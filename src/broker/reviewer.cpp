#include "reviewer.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <list>
#include <memory>
#include <utility>
#include <vector>

#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/wire/reviewer_message.hpp"

#include "addresses.hpp"
#include "key_file.hpp"
#include "tls.hpp"

namespace agentbox::broker {

namespace asio = boost::asio;
using boost::system::error_code;
using prompt::Opinion;
using Tcp = asio::ip::tcp;

namespace {

using Scheme = policy::Reviewer::Scheme;

// Of what needs no look-up. Without TLS nothing leaves this machine.
std::vector<Tcp::endpoint> endpoints_of(const policy::Reviewer& where) {
  if (where.host == "localhost") {
    return {{asio::ip::address_v4::loopback(), where.port}, {asio::ip::address_v6::loopback(), where.port}};
  }
  error_code error;
  const asio::ip::address address = asio::ip::make_address(where.host, error);
  if (error || (where.scheme == Scheme::http && !address.is_loopback())) return {};
  return {{address, where.port}};
}

std::string seconds(std::chrono::milliseconds time) {
  if (time.count() % 1000 != 0) return fmt::format("{} ms", time.count());
  return fmt::format("{} second{}", time.count() / 1000, time.count() == 1000 ? "" : "s");
}

Opinion opinion_of(const wire::Review& review) {
  const bool objects = review.objects == wire::Review::Objects::yes;
  return {
      .says = objects ? Opinion::Says::objects : Opinion::Says::agrees, .risk = review.risk, .reason = review.reason};
}

}  // namespace

Opinion silent(std::string why) {
  return {.says = Opinion::Says::silent, .risk = 0, .reason = std::move(why)};
}

class Reviewer::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& loop, policy::Reviewer where)
      : loop_(loop), where_(std::move(where)), known_(endpoints_of(where_)) {}

  void ask(const std::string& id, std::string about, std::function<void(const Opinion&)> done);
  void forget(const std::string& id);
  void close();

 private:
  // One question: GET /models, then POST /chat/completions, each on a connection of its own.
  struct Job {
    Job(asio::io_context& loop, std::string of, std::string what, std::function<void(const Opinion&)> whom)
        : id(std::move(of)),
          about(std::move(what)),
          done(std::move(whom)),
          deadline(loop),
          attempt(loop),
          socket(loop) {}
    std::string id, about;
    std::function<void(const Opinion&)> done;
    asio::steady_timer deadline, attempt;  // of it all; of one address among several
    std::unique_ptr<Addresses> search;
    std::vector<Tcp::endpoint> endpoints;
    std::size_t at = 0;  // of endpoints
    Tcp::socket socket;
    std::unique_ptr<Tls> tls;  // with https
    std::string key;
    enum class Asks : std::uint8_t { models, opinion } asks = Asks::models;
    std::string request, wire;  // what is sent; with TLS the latter
    wire::HttpReply reply;
    std::array<char, 8192> buffer{};
    bool begun = false, over = false;
  };
  using JobPtr = std::shared_ptr<Job>;

  void begin_next();
  void begin(const JobPtr& job);
  void look_up(const JobPtr& job);
  void connect(const JobPtr& job);
  void watch_attempt(const JobPtr& job);
  void send(const JobPtr& job);
  void read(const JobPtr& job);
  void heard(const JobPtr& job, std::string_view bytes);
  void hung_up(const JobPtr& job);
  void go_on_with_tls(const JobPtr& job);
  void read_tls(const JobPtr& job);
  void take(const JobPtr& job);
  void fail(const JobPtr& job, std::string why);
  void end(const JobPtr& job, const Opinion& opinion);
  void drop(const JobPtr& job);

  asio::io_context& loop_;
  policy::Reviewer where_;
  std::vector<Tcp::endpoint> known_;
  policy::Breaker breaker_;
  std::list<JobPtr> jobs_;
};

void Reviewer::Impl::ask(const std::string& id, std::string about, std::function<void(const Opinion&)> done) {
  if (!breaker_.try_at(policy::Breaker::Clock::now())) {
    asio::post(loop_, [weak = weak_from_this(), done = std::move(done)] {
      if (weak.lock()) done(silent("it failed several times, and is left alone for a minute"));
    });
    return;
  }
  const JobPtr job = jobs_.emplace_back(std::make_shared<Job>(loop_, id, std::move(about), std::move(done)));
  job->deadline.expires_after(where_.timeout);
  job->deadline.async_wait([weak = weak_from_this(), job](error_code error) {
    auto self = weak.lock();
    if (self && !error) self->fail(job, "it did not answer within " + seconds(self->where_.timeout));
  });
  begin_next();
}

void Reviewer::Impl::begin_next() {
  auto begun = static_cast<std::size_t>(std::ranges::count_if(jobs_, [](const JobPtr& job) { return job->begun; }));
  for (const JobPtr& job : jobs_) {
    if (begun >= most_at_once) return;
    if (std::exchange(job->begun, true)) continue;
    ++begun;
    asio::post(loop_, [weak = weak_from_this(), job] {
      if (auto self = weak.lock(); self && !job->over) self->begin(job);
    });
  }
}

void Reviewer::Impl::begin(const JobPtr& job) {
  if (where_.key_file) {
    auto key = read_key(*where_.key_file);
    if (!key) return fail(job, "its key can't be used: " + key.error());
    job->key = *std::move(key);
  }
  job->request =
      wire::http_get({.host = policy::authority_of(where_), .path = where_.path + "/models", .key = job->key});
  job->endpoints = known_;
  if (!known_.empty() || where_.scheme == Scheme::http) return connect(job);
  look_up(job);
}

void Reviewer::Impl::look_up(const JobPtr& job) {
  auto found = [weak = weak_from_this(), weak_job = std::weak_ptr(job)](const Addresses::Found& result) {
    auto self = weak.lock();
    const JobPtr asking = weak_job.lock();
    if (!self || !asking || asking->over) return;
    for (const std::string& one : result.addresses) {
      error_code error;
      const asio::ip::address address = asio::ip::make_address(one, error);
      if (!error) asking->endpoints.emplace_back(address, self->where_.port);
    }
    if (asking->endpoints.empty()) return self->fail(asking, "its address can't be found: " + result.problem);
    self->connect(asking);
  };
  job->search = std::make_unique<Addresses>(loop_, where_.host, std::move(found));
}

void Reviewer::Impl::connect(const JobPtr& job) {
  if (job->at >= job->endpoints.size()) return fail(job, "its address is not on this machine");
  job->reply = wire::HttpReply();
  job->tls.reset();
  error_code ignored;
  job->socket.close(ignored);
  const Tcp::endpoint endpoint = job->endpoints[job->at];
  const int socket = ::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
  if (socket < 0) return fail(job, "it can't be reached: " + base::errno_text(errno));
  job->socket.assign(endpoint.protocol(), socket, ignored);
  watch_attempt(job);
  job->socket.async_connect(endpoint, [weak = weak_from_this(), job](error_code error) {
    auto self = weak.lock();
    if (!self || job->over) return;
    job->attempt.cancel();
    if (!error) return self->send(job);
    // `localhost` may be only one of the two; a name has several.
    if (job->asks == Job::Asks::models && ++job->at < job->endpoints.size()) return self->connect(job);
    if (error == asio::error::operation_aborted) error = asio::error::timed_out;
    self->fail(job, "it can't be reached: " + base::errno_text(error.value()));
  });
}

// One that doesn't answer leaves the others their share of the time.
void Reviewer::Impl::watch_attempt(const JobPtr& job) {
  const std::size_t left = job->endpoints.size() - job->at;
  if (job->asks != Job::Asks::models || left < 2) return;
  const auto now = std::chrono::steady_clock::now();
  job->attempt.expires_at(now + (job->deadline.expiry() - now) / static_cast<int>(left));
  job->attempt.async_wait([job](error_code error) {
    if (error || job->over) return;
    error_code ignored;
    job->socket.close(ignored);
  });
}

void Reviewer::Impl::send(const JobPtr& job) {
  if (where_.scheme == Scheme::https) {
    auto tls = Tls::to(where_.host);
    if (!tls) return fail(job, std::move(tls.error()));
    job->tls = *std::move(tls);
    job->tls->say(job->request);
    return go_on_with_tls(job);
  }
  asio::async_write(job->socket, asio::buffer(job->request),
                    [weak = weak_from_this(), job](error_code error, std::size_t) {
                      auto self = weak.lock();
                      if (!self || job->over) return;
                      // A server that has answered early and closed is heard all the same.
                      if (error && error != asio::error::broken_pipe && error != asio::error::connection_reset) {
                        return self->fail(job, "it can't be asked: " + base::errno_text(error.value()));
                      }
                      self->read(job);
                    });
}

void Reviewer::Impl::read(const JobPtr& job) {
  job->socket.async_read_some(asio::buffer(job->buffer),
                              [weak = weak_from_this(), job](error_code error, std::size_t count) {
                                auto self = weak.lock();
                                if (!self || job->over) return;
                                if (error == asio::error::eof) return self->hung_up(job);
                                if (error) return self->fail(job, "its server hung up");
                                self->heard(job, std::string_view(job->buffer.data(), count));
                              });
}

void Reviewer::Impl::heard(const JobPtr& job, std::string_view bytes) {
  using State = wire::HttpReply::State;
  const State state = job->reply.take(bytes);
  if (state == State::wrong) return fail(job, job->reply.problem());
  if (state == State::done) return take(job);
  job->tls ? read_tls(job) : read(job);
}

void Reviewer::Impl::hung_up(const JobPtr& job) {
  if (job->reply.end() == wire::HttpReply::State::wrong) return fail(job, job->reply.problem());
  take(job);
}

void Reviewer::Impl::go_on_with_tls(const JobPtr& job) {
  std::string text;
  job->wire.clear();
  const Tls::State state = job->tls->go_on(text, job->wire);
  auto then = [this, job, state, text = std::move(text)] {
    if (state == Tls::State::wrong) return fail(job, job->tls->problem());
    if (state == Tls::State::more) return text.empty() ? read_tls(job) : heard(job, text);
    // What came before its end counts first.
    using Reply = wire::HttpReply::State;
    const Reply reply = job->reply.take(text);
    if (reply == Reply::wrong) return fail(job, job->reply.problem());
    reply == Reply::done ? take(job) : hung_up(job);
  };
  if (job->wire.empty()) return then();
  asio::async_write(job->socket, asio::buffer(job->wire),
                    [weak = weak_from_this(), job, then = std::move(then)](error_code, std::size_t) {
                      // One that has hung up may have said why.
                      if (auto self = weak.lock(); self && !job->over) then();
                    });
}

// An end without TLS's own is none: whoever is on the way could have cut the answer short.
void Reviewer::Impl::read_tls(const JobPtr& job) {
  job->socket.async_read_some(asio::buffer(job->buffer),
                              [weak = weak_from_this(), job](error_code error, std::size_t count) {
                                auto self = weak.lock();
                                if (!self || job->over) return;
                                if (error) return self->fail(job, "its server hung up");
                                job->tls->take(std::string_view(job->buffer.data(), count));
                                self->go_on_with_tls(job);
                              });
}

void Reviewer::Impl::take(const JobPtr& job) {
  if (job->asks == Job::Asks::models) {
    const auto model = wire::decode_models(job->reply.body(), where_.model);
    if (!model) return fail(job, model.error());
    job->asks = Job::Asks::opinion;
    job->request = wire::http_post(
        {.host = policy::authority_of(where_), .path = where_.path + "/chat/completions", .key = job->key},
        wire::encode_review(*model, where_.instructions, job->about));
    return connect(job);
  }
  const auto review = wire::decode_review(job->reply.body());
  if (!review) return fail(job, "what it said is no answer: " + review.error());
  breaker_.succeeded();
  end(job, opinion_of(*review));
}

void Reviewer::Impl::fail(const JobPtr& job, std::string why) {
  if (job->over) return;
  breaker_.failed(policy::Breaker::Clock::now());
  end(job, silent(std::move(why)));
}

void Reviewer::Impl::end(const JobPtr& job, const Opinion& opinion) {
  drop(job);
  const auto done = std::move(job->done);
  begin_next();
  done(opinion);
}

void Reviewer::Impl::drop(const JobPtr& job) {
  job->over = true;
  job->deadline.cancel();
  job->attempt.cancel();
  job->search.reset();
  error_code ignored;
  job->socket.close(ignored);
  jobs_.remove(JobPtr(job));
}

void Reviewer::Impl::forget(const std::string& id) {
  const auto found = std::ranges::find_if(jobs_, [&](const JobPtr& job) { return job->id == id; });
  if (found == jobs_.end()) return;
  breaker_.given_up();
  drop(JobPtr(*found));
  begin_next();
}

void Reviewer::Impl::close() {
  while (!jobs_.empty()) drop(JobPtr(jobs_.front()));
}

Reviewer::Reviewer(asio::io_context& loop, policy::Reviewer where)
    : impl_(std::make_shared<Impl>(loop, std::move(where))) {}
Reviewer::~Reviewer() {
  impl_->close();
}
void Reviewer::ask(const std::string& id, std::string about, std::function<void(const Opinion&)> done) {
  impl_->ask(id, std::move(about), std::move(done));
}
void Reviewer::forget(const std::string& id) {
  impl_->forget(id);
}

}  // namespace agentbox::broker
