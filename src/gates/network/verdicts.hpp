#pragma once

// What the network gate remembers of verdicts: a yes for as long as it holds, and how many denials there were.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "agentbox/broker/decider.hpp"

namespace agentbox::gates::network {

// A name or address, and a port.
using Key = std::pair<std::string, std::uint16_t>;
[[nodiscard]] Key key_of(const policy::Connect& action);

class KnownYes {
 public:
  using Clock = std::chrono::steady_clock;
  // `once_holds`: the yes of a person, who was asked once.
  explicit KnownYes(std::chrono::seconds once_holds) : once_holds_(once_holds) {}

  // Until the next call.
  [[nodiscard]] const broker::Verdict* find(const Key& key, Clock::time_point now);
  void keep(const Key& key, const broker::Verdict& verdict, Clock::time_point now);

 private:
  struct Yes {
    broker::Verdict verdict;
    Clock::time_point until;
  };
  [[nodiscard]] std::chrono::seconds holds(const broker::Verdict& verdict) const;

  std::chrono::seconds once_holds_;
  std::map<Key, Yes> yes_;
};

// Denials are recorded one by one up to a number in a minute; of the others only how many there were. A room that does
// nothing but knock would fill the owner's disk.
class Denials {
 public:
  using Clock = std::chrono::steady_clock;
  explicit Denials(broker::Decider& decider) : decider_(decider) {}

  // Were too many denied? Then this one is refused without another look, and counted.
  [[nodiscard]] bool refuses(Clock::time_point now);
  void recorded(const policy::Connect& action, const broker::Verdict& verdict, Clock::time_point now);
  // Puts the number of those that were not recorded on the record: when the minute is over, or at once.
  enum class When : std::uint8_t { due, at_once };
  void tell(When when, Clock::time_point now);
  [[nodiscard]] bool has_untold() const noexcept { return untold_ > 0; }

 private:
  void begin_again(Clock::time_point now);

  broker::Decider& decider_;
  Clock::time_point until_;  // a minute is over
  std::size_t recorded_ = 0, untold_ = 0;
  broker::Decider::Done last_;
};

}  // namespace agentbox::gates::network
