#include "outcome_writer.hpp"

#include <utility>

#include "agentbox/broker/thread.hpp"

namespace agentbox::broker {

OutcomeWriter::OutcomeWriter(Write write) : write_(std::move(write)) {
  thread_ = start_without_signals([this] { work(); });
}

OutcomeWriter::~OutcomeWriter() {
  {
    const std::scoped_lock lock(mutex_);
    over_ = true;
  }
  news_.notify_one();
  if (thread_) thread_->join();
}

void OutcomeWriter::add(std::vector<Decider::Done> done) {
  {
    const std::scoped_lock lock(mutex_);
    if (thread_ && waiting_.size() < most_waiting) {
      waiting_.push_back(std::move(done));
      news_.notify_one();
      return;
    }
  }
  write_(done);
}

void OutcomeWriter::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    news_.wait(lock, [this] { return over_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    const std::vector<std::vector<Decider::Done>> batches = std::exchange(waiting_, {});
    lock.unlock();
    for (const auto& batch : batches) write_(batch);
    lock.lock();
  }
}

}  // namespace agentbox::broker
