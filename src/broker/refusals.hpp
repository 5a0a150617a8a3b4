#pragma once

// What was refused without a person's word is recorded one by one up to a number in a minute; of the others only how many
// there were. A room that does nothing but knock would fill the owner's disk.

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agentbox/broker/decider.hpp"
#include "agentbox/prompt/question.hpp"

namespace agentbox::broker {

class Refusals {
 public:
  using Clock = prompt::Clock;
  // Each kind of action has a share for what a rule or a remembered answer refuses anyway, and one for the rest: neither
  // uses up the other's.
  enum class Share : std::uint8_t { settled, rest };
  [[nodiscard]] static Share share_of(const Verdict& verdict) noexcept;

  // May this one have rows of its own? Else it is counted.
  [[nodiscard]] bool is_recorded(const policy::Action& action, const Verdict& verdict, Clock::time_point now);
  // This one has its rows already.
  void recorded(const policy::Action& action, const Verdict& verdict, Clock::time_point now);
  // Of what would be asked: there were as many as are recorded.
  [[nodiscard]] bool is_full(const policy::Action& action, Clock::time_point now);

  // What came of the last one that is on record: so many more. Of the shares whose minute is over, or of all.
  struct Told {
    Verdict verdict;
    policy::Action action;
    std::string what;
  };
  enum class When : std::uint8_t { due, at_once };
  [[nodiscard]] std::vector<Told> tell(When when, Clock::time_point now);
  // When there is something to tell; nothing: there isn't.
  [[nodiscard]] std::optional<Clock::time_point> due() const;

 private:
  struct Minute {
    Clock::time_point until;
    std::size_t recorded = 0, untold = 0;
    Told last;
  };
  Minute& minute_of(const policy::Action& action, Share share, Clock::time_point now);

  std::map<std::pair<std::size_t, Share>, Minute> minutes_;
  std::vector<Told> over_;  // of minutes that have begun again
};

}  // namespace agentbox::broker
