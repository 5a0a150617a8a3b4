#include "lane.hpp"

#include <cerrno>
#include <exception>
#include <optional>
#include <thread>
#include <utility>
#include <variant>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/broker/thread.hpp"
#include "agentbox/policy/action.hpp"

#include "lane_decider.hpp"

namespace agentbox::gates::network {

// ---- Lane ----

class Lane::Impl {
 public:
  explicit Impl(boost::asio::io_context& owner) : owner_(owner) {}

  void start() {
    thread_ = broker::start_without_signals([this] { work(); });
    if (!thread_) throw base::SystemError(EAGAIN, "cannot start a thread for the room's connections");
  }

  void stop() {
    loop.stop();
    if (thread_ && thread_->joinable()) thread_->join();
  }

  void finish() {
    constexpr int most = 10'000;
    loop.restart();
    try {
      for (int i = 0; i < most && loop.poll_one() != 0; ++i) {
      }
    } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): all of it ends now
    }
  }

  boost::asio::io_context loop;
  Splicer splicer{loop};

 private:
  void work() {
    try {
      loop.run();
    } catch (...) {
      boost::asio::post(owner_, [error = std::current_exception()] { std::rethrow_exception(error); });
    }
  }

  boost::asio::io_context& owner_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> stays_ = boost::asio::make_work_guard(loop);
  std::optional<std::thread> thread_;
};

Lane::Lane(boost::asio::io_context& owner) : impl_(std::make_unique<Impl>(owner)) {}
Lane::~Lane() {
  stop();
}
void Lane::start() {
  impl_->start();
}
void Lane::stop() {
  impl_->stop();
}
void Lane::finish() {
  impl_->finish();
}
boost::asio::io_context& Lane::loop() noexcept {
  return impl_->loop;
}
Splicer& Lane::splicer() noexcept {
  return impl_->splicer;
}

// ---- Desk ----

void Desk::ask(boost::asio::io_context& lane, Ticket ticket, broker::Asked asked, Heard heard) {
  std::optional<Key> key;
  if (const auto* connect = std::get_if<policy::Connect>(&asked.action)) key = key_of(*connect);
  if (const auto known = key ? yes_.find(*key, KnownYes::Clock::now()) : nullptr) {
    return boost::asio::post(lane, [heard = std::move(heard), known] { heard(*known); });
  }
  const std::string what = policy::canonical(asked.action);
  auto [open, first] = open_.try_emplace(what);
  open->second.waiters.push_back({&lane, ticket, std::move(heard)});
  if (!first) return;
  const std::uint64_t number = open->second.number = ++last_;
  open->second.key = std::move(key);
  auto answer = [weak = weak_from_this(), what, number](const broker::Verdict& verdict) {
    if (const auto self = weak.lock()) self->answer(what, number, verdict);
  };
  open->second.ticket = decider_.ask(std::move(asked), std::move(answer));
}

// What was given up is answered, too; somebody may have asked the same again since.
void Desk::answer(const std::string& what, std::uint64_t number, const broker::Verdict& verdict) {
  const auto open = open_.find(what);
  if (open == open_.end() || open->second.number != number) return;
  auto node = open_.extract(open);
  if (node.mapped().key && verdict.kind == broker::Verdict::Kind::allow) {
    yes_.keep(*node.mapped().key, verdict, KnownYes::Clock::now());
  }
  for (Waiter& waiter : node.mapped().waiters) {
    boost::asio::post(*waiter.lane, [heard = std::move(waiter.heard), verdict] { heard(verdict); });
  }
}

template <class Which>
void Desk::forget(Which which) {
  for (auto open = open_.begin(); open != open_.end();) {
    if (std::erase_if(open->second.waiters, which) == 0 || !open->second.waiters.empty()) {
      ++open;
      continue;
    }
    const Ticket ticket = open->second.ticket;
    open = open_.erase(open);
    decider_.cancel(ticket);
  }
}

void Desk::cancel(const boost::asio::io_context& lane, Ticket ticket) {
  forget([&](const Waiter& waiter) { return waiter.lane == &lane && waiter.ticket == ticket; });
}

void Desk::leave(const boost::asio::io_context& lane) {
  forget([&](const Waiter& waiter) { return waiter.lane == &lane; });
}

// ---- LaneDecider ----

LaneDecider::LaneDecider(boost::asio::io_context& lane, boost::asio::io_context& loop, broker::Decider& decider,
                         std::shared_ptr<Desk> desk)
    : lane_(lane), loop_(loop), decider_(decider), desk_(std::move(desk)) {}

broker::Decider::Ticket LaneDecider::ask(broker::Asked asked, std::function<void(const broker::Verdict&)> done) {
  const Ticket ticket = ++last_;
  boost::asio::post(loop_, [desk = std::weak_ptr(desk_), &lane = lane_, ticket, asked = std::move(asked),
                            done = std::move(done)]() mutable {
    if (auto open = desk.lock()) open->ask(lane, ticket, std::move(asked), std::move(done));
  });
  return ticket;
}

void LaneDecider::cancel(Ticket ticket) {
  boost::asio::post(loop_, [desk = std::weak_ptr(desk_), &lane = lane_, ticket] {
    if (auto open = desk.lock()) open->cancel(lane, ticket);
  });
}

}  // namespace agentbox::gates::network
