#pragma once

// A yes that the network gate remembers, for as long as it holds. For any thread.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
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

  // Nothing: there is none.
  [[nodiscard]] std::shared_ptr<const broker::Verdict> find(const Key& key, Clock::time_point now);
  void keep(const Key& key, const broker::Verdict& verdict, Clock::time_point now);

 private:
  struct Yes {
    std::shared_ptr<const broker::Verdict> verdict;
    Clock::time_point until;
  };
  [[nodiscard]] std::chrono::seconds holds(const broker::Verdict& verdict) const;

  std::chrono::seconds once_holds_;
  std::mutex mutex_;
  std::map<Key, Yes> yes_;
};

}  // namespace agentbox::gates::network
