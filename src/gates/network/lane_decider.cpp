#include "lane_decider.hpp"

#include <utility>
#include <variant>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "agentbox/policy/action.hpp"

namespace agentbox::gates::network {

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
