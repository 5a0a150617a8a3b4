#include "reviewer.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <list>
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

namespace agentbox::broker {

namespace asio = boost::asio;
using boost::system::error_code;
using prompt::Opinion;
using Tcp = asio::ip::tcp;

namespace {

// Names are not looked up: the profile takes none but this one.
std::vector<asio::ip::address> addresses_of(const std::string& host) {
  if (host == "localhost") return {asio::ip::address_v4::loopback(), asio::ip::address_v6::loopback()};
  error_code error;
  const asio::ip::address address = asio::ip::make_address(host, error);
  if (error || !address.is_loopback()) return {};
  return {address};
}

std::string host_header(const policy::Reviewer& where) {
  const bool brackets = where.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", brackets ? "[" : "", where.host, brackets ? "]" : "", where.port);
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
      : loop_(loop), where_(std::move(where)), addresses_(addresses_of(where_.host)) {}

  void ask(const std::string& id, std::string about, std::function<void(const Opinion&)> done);
  void forget(const std::string& id);
  void close();

 private:
  // One question: GET /models, then POST /chat/completions, each on a connection of its own.
  struct Job {
    Job(asio::io_context& loop, std::string of, std::string what, std::function<void(const Opinion&)> whom)
        : id(std::move(of)), about(std::move(what)), done(std::move(whom)), deadline(loop), socket(loop) {}
    std::string id, about;
    std::function<void(const Opinion&)> done;
    asio::steady_timer deadline;
    Tcp::socket socket;
    std::size_t address = 0;
    enum class Asks : std::uint8_t { models, opinion } asks = Asks::models;
    std::string request;
    wire::HttpReply reply;
    std::array<char, 8192> buffer{};
    bool begun = false, over = false;
  };
  using JobPtr = std::shared_ptr<Job>;

  void begin_next();
  void connect(const JobPtr& job);
  void send(const JobPtr& job);
  void read(const JobPtr& job);
  void take(const JobPtr& job);
  void fail(const JobPtr& job, std::string why);
  void end(const JobPtr& job, const Opinion& opinion);
  void drop(const JobPtr& job);

  asio::io_context& loop_;
  policy::Reviewer where_;
  std::vector<asio::ip::address> addresses_;
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
      if (auto self = weak.lock(); self && !job->over) self->connect(job);
    });
  }
}

void Reviewer::Impl::connect(const JobPtr& job) {
  if (job->address >= addresses_.size()) return fail(job, "its address is not on this machine");
  const std::string path = where_.path + (job->asks == Job::Asks::models ? "/models" : "/chat/completions");
  if (job->asks == Job::Asks::models) job->request = wire::http_get(host_header(where_), path);
  job->reply = wire::HttpReply();
  error_code ignored;
  job->socket.close(ignored);
  const Tcp::endpoint endpoint(addresses_[job->address], where_.port);
  const int socket = ::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
  if (socket < 0) return fail(job, "it can't be reached: " + base::errno_text(errno));
  job->socket.assign(endpoint.protocol(), socket, ignored);
  job->socket.async_connect(endpoint, [weak = weak_from_this(), job](error_code error) {
    auto self = weak.lock();
    if (!self || job->over) return;
    if (!error) return self->send(job);
    // `localhost` may be only one of the two.
    if (job->asks == Job::Asks::models && ++job->address < self->addresses_.size()) return self->connect(job);
    self->fail(job, "it can't be reached: " + base::errno_text(error.value()));
  });
}

void Reviewer::Impl::send(const JobPtr& job) {
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
  job->socket.async_read_some(
      asio::buffer(job->buffer), [weak = weak_from_this(), job](error_code error, std::size_t count) {
        auto self = weak.lock();
        if (!self || job->over) return;
        using State = wire::HttpReply::State;
        if (error && error != asio::error::eof) return self->fail(job, "its server hung up");
        const State state = error ? job->reply.end() : job->reply.take(std::string_view(job->buffer.data(), count));
        if (state == State::more) return self->read(job);
        if (state == State::wrong) return self->fail(job, job->reply.problem());
        self->take(job);
      });
}

void Reviewer::Impl::take(const JobPtr& job) {
  if (job->asks == Job::Asks::models) {
    const auto model = wire::decode_models(job->reply.body(), where_.model);
    if (!model) return fail(job, model.error());
    job->asks = Job::Asks::opinion;
    job->request = wire::http_post(host_header(where_), where_.path + "/chat/completions",
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
