#pragma once

// What the lanes of a gate have in common. For any thread.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agentbox/gates/network/gate.hpp"

#include "known_yes.hpp"
#include "meter.hpp"
#include "name_table.hpp"

namespace agentbox::gates::network {

// For the record, in the order in which they ended.
class WaitingRows {
 public:
  void add(broker::Decider::Done row) {
    const std::scoped_lock lock(mutex_);
    rows_.push_back(std::move(row));
  }
  [[nodiscard]] std::vector<broker::Decider::Done> take() {
    const std::scoped_lock lock(mutex_);
    return std::exchange(rows_, {});
  }
  [[nodiscard]] std::size_t size() {
    const std::scoped_lock lock(mutex_);
    return rows_.size();
  }

 private:
  std::mutex mutex_;
  std::vector<broker::Decider::Done> rows_;
};

class GateCommon {
 public:
  // The decider must outlive it; it is asked for what any thread may ask.
  GateCommon(GateSetup setup, broker::Decider& decider);
  GateCommon(const GateCommon&) = delete;
  GateCommon& operator=(const GateCommon&) = delete;

  // Who made the connection whose socket this is, as GateSetup has it. It costs a look through the room's /proc: so many
  // in a second.
  [[nodiscard]] std::optional<Requester> who(int client);

  const GateSetup setup;
  const std::size_t lanes;               // at least one
  const std::vector<std::string> named;  // names that the profile speaks well of
  NameTable names;
  KnownYes yes;
  Meter meter;
  WaitingRows rows;
  // As GateCounters has them.
  std::atomic<std::uint64_t> connections = 0, refused = 0, to_upstream = 0, to_client = 0;

 private:
  std::mutex looking_;
  int looks_ = 0;  // in this second
  std::chrono::steady_clock::time_point looks_until_;
};

}  // namespace agentbox::gates::network
