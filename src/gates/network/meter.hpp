#pragma once

// Counts what leaves through the gate against the thresholds of [network]: the bytes exactly and before they go, the
// connections as they come. What was used is written to the record now and then, since nobody waits for a disk at each
// byte: soon when a sixteenth of a limit is unwritten, else after some seconds. A kill loses no more than that.
//
// For any thread: the lanes count what passes through them against the same limits.
//
// The room chooses the names, so there is an end to those that are counted in memory: one that is forgotten is read from the
// record again.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agentbox/broker/decider.hpp"
#include "agentbox/policy/budget.hpp"
#include "agentbox/policy/ruling.hpp"

namespace agentbox::gates::network {

class Meter {
 public:
  using Clock = std::chrono::steady_clock;

  // One limit, for whom it is counted.
  class Tally {
   public:
    Tally(policy::Limit limit, std::shared_ptr<std::mutex> mutex)
        : limit_(std::move(limit)), mutex_(std::move(mutex)), allowed_(limit_.budget.amount) {}
    [[nodiscard]] const policy::Limit& limit() const noexcept { return limit_; }
    // What is reserved at this moment counts as not used.
    [[nodiscard]] std::int64_t left() const noexcept {
      const std::scoped_lock lock(*mutex_);
      return left_of();
    }
    [[nodiscard]] policy::Balance balance() const;
    // The owner has said yes: so much more, from now on. Once for a question, whoever heard the answer.
    void allow(std::int64_t portion, const std::string& question);
    // He has said no: until then nobody asks again.
    void refuse(std::string why, Clock::time_point until);
    [[nodiscard]] std::optional<std::string> refused(Clock::time_point now) const;

   private:
    friend class Meter;
    [[nodiscard]] std::int64_t left_of() const noexcept { return allowed_ > used_ ? allowed_ - used_ : 0; }
    policy::Limit limit_;
    std::shared_ptr<std::mutex> mutex_;  // the meter's, for all that follows
    std::int64_t used_ = 0, allowed_ = 0, reserved_ = 0;
    std::int64_t unwritten_ = 0;                                     // of `used_`
    Clock::time_point looked_;                                       // at the record, or at what has left the window
    std::deque<std::pair<Clock::time_point, std::int64_t>> lately_;  // connections, in steps of the window
    std::string why_, answered_;                                     // of a no; the question that the last yes was for
    Clock::time_point until_;
  };
  using Tallies = std::vector<std::shared_ptr<Tally>>;

  // The decider must outlive it.
  Meter(const policy::Rules& rules, broker::Decider& decider) : rules_(rules), decider_(decider) {}

  // What the bytes of a connection to this host take from. Throws base::SystemError where the record can't be read.
  [[nodiscard]] Tallies bytes(const policy::Connect& connect, const std::string& site);
  // So many of the wanted bytes may go, and nobody else gets them before `took` says how many did. 0: none.
  [[nodiscard]] std::uint64_t reserve(const Tallies& tallies, std::uint64_t wanted);
  // True: `write` is to be called soon. That is said once until then, and once more where it presses.
  [[nodiscard]] bool took(const Tallies& tallies, std::uint64_t reserved, std::uint64_t bytes);
  // Before anybody is asked: other sessions' use too, and what has left its window.
  void look_again(Tally& tally);

  // One more connection: nothing, if it may be made; it is counted then. Else what is in its way.
  [[nodiscard]] std::shared_ptr<Tally> connection(const policy::Connect& connect, Clock::time_point now);

  // Writes what is due; `all`: at the end.
  enum class Due : std::uint8_t { now_and_then, all };
  void write(Due due, Clock::time_point now);
  [[nodiscard]] bool has_unwritten() const;

  [[nodiscard]] std::size_t size() const;
  static constexpr std::size_t most = 4096;

 private:
  using Key = std::pair<std::string, std::string>;  // the limit's name, the subject
  std::shared_ptr<Tally> tally(policy::Limit limit);
  void read(Tally& tally);
  void look(Tally& tally);
  void write_down(Due due, Clock::time_point now);
  void make_room();

  const policy::Rules& rules_;
  broker::Decider& decider_;
  mutable std::mutex at_work_;  // for the next two, also while the record is waited for; taken before the other one
  std::map<Key, std::shared_ptr<Tally>> tallies_;
  Clock::time_point written_;
  // For the next, and what is in the tallies. Nobody waits with it: bytes are counted where they pass.
  std::shared_ptr<std::mutex> mutex_ = std::make_shared<std::mutex>();
  enum class Unwritten : std::uint8_t { nothing, some, much };
  Unwritten unwritten_ = Unwritten::nothing, said_ = Unwritten::nothing;  // there is, and was told by `took`
};

}  // namespace agentbox::gates::network
