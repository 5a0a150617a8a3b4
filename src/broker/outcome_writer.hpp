#pragma once

// Writes what became of deeds on a thread of its own. Nothing waits for that to be on record, and a disk may take long: so
// the agent's terminal and its connections don't stand still meanwhile.

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "agentbox/broker/decider.hpp"

namespace agentbox::broker {

class OutcomeWriter {
 public:
  // Called from that thread, or from the caller's where there can be none or it is far behind. Must not throw.
  using Write = std::function<void(const std::vector<Decider::Done>&)>;

  explicit OutcomeWriter(Write write);
  // When all is written.
  ~OutcomeWriter();
  OutcomeWriter(const OutcomeWriter&) = delete;
  OutcomeWriter& operator=(const OutcomeWriter&) = delete;

  // Of batches that wait. Who brings more waits for the disk himself.
  static constexpr std::size_t most_waiting = 256;
  void add(std::vector<Decider::Done> done);

 private:
  void work();

  Write write_;
  std::mutex mutex_;
  std::condition_variable news_;
  std::vector<std::vector<Decider::Done>> waiting_;
  bool over_ = false;
  std::optional<std::thread> thread_;  // the last: it uses the others
};

}  // namespace agentbox::broker
