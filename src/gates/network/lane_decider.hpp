#pragma once

// The decider as a lane has it: questions go to the loop in which they are asked, and their verdicts come back.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agentbox/broker/decider.hpp"

#include "known_yes.hpp"

namespace boost::asio {
class io_context;
}

namespace agentbox::gates::network {

// One for all lanes, in the decider's loop: what several of them ask at the same time is asked once.
class Desk : public std::enable_shared_from_this<Desk> {
 public:
  using Ticket = broker::Decider::Ticket;
  using Heard = std::function<void(const broker::Verdict&)>;

  // The decider must outlive what is asked, and so must the yes that are known: another lane may have brought one since this
  // one looked.
  Desk(broker::Decider& decider, KnownYes& yes) : decider_(decider), yes_(yes) {}

  // `heard` is called from the lane's loop, once, unless it is cancelled or the lane has left before.
  void ask(boost::asio::io_context& lane, Ticket ticket, broker::Asked asked, Heard heard);
  // What nobody waits for any more is given up.
  void cancel(const boost::asio::io_context& lane, Ticket ticket);
  void leave(const boost::asio::io_context& lane);

 private:
  struct Waiter {
    boost::asio::io_context* lane;
    Ticket ticket;
    Heard heard;
  };
  struct Open {
    Ticket ticket = 0;         // the decider's
    std::uint64_t number = 0;  // ours
    std::optional<Key> key;    // of a connection
    std::vector<Waiter> waiters;
  };
  void answer(const std::string& what, std::uint64_t number, const broker::Verdict& verdict);
  template <class Which>
  void forget(Which which);

  broker::Decider& decider_;
  KnownYes& yes_;
  std::uint64_t last_ = 0;
  std::map<std::string, Open> open_;  // by policy::canonical
};

class LaneDecider final : public broker::Decider {
 public:
  // `loop` is the decider's. Both must outlive it.
  LaneDecider(boost::asio::io_context& lane, boost::asio::io_context& loop, broker::Decider& decider,
              std::shared_ptr<Desk> desk);

  Ticket ask(broker::Asked asked, std::function<void(const broker::Verdict&)> done) override;
  void cancel(Ticket ticket) override;
  // These three are for any thread by themselves.
  void outcomes(std::vector<Done> done) override { decider_.outcomes(std::move(done)); }
  std::vector<policy::Balance> standing(std::span<const policy::Limit> limits) override {
    return decider_.standing(limits);
  }
  [[nodiscard]] bool counted(std::span<const policy::Use> uses, std::span<const policy::Limit> limits) override {
    return decider_.counted(uses, limits);
  }
  // A gate of connections has none of these.
  void outcome(const broker::Verdict&, const policy::Action&, const std::string&) override {}
  void settle(const broker::Verdict&, const policy::Action&, Paid, const std::string&) override {}

 private:
  boost::asio::io_context& lane_;
  boost::asio::io_context& loop_;
  broker::Decider& decider_;
  std::shared_ptr<Desk> desk_;
  Ticket last_ = 0;
};

}  // namespace agentbox::gates::network
