// Large programs are hashed in the loop a piece at a time, one after the other, so that a terminal and the other requests
// have their turn in between.

#include <utility>

#include <boost/asio/post.hpp>

#include "impl.hpp"

namespace agentbox::gates::commands {

// A program of ordinary size is done at once, also when a large one is under way.
void CommandGate::Impl::hash(const std::shared_ptr<Job>& job, FileHash file, std::function<void(FileHash)> then) {
  if (file.go_on() == FileHash::State::finished) return then(std::move(file));
  hashing_.push_back({job, std::move(file), std::move(then)});
  if (hashing_.size() == 1) hash_later();
}

void CommandGate::Impl::hash_later() {
  boost::asio::post(loop_, [weak = weak_from_this()] {
    if (auto self = weak.lock()) self->hash_on();
  });
}

void CommandGate::Impl::hash_on() {
  // Those whose requester has gone, or has given up before the question.
  while (!hashing_.empty() && !jobs_.contains(hashing_.front().job)) hashing_.pop_front();
  if (hashing_.empty()) return;
  if (hashing_.front().file.go_on() == FileHash::State::finished) {
    Hashing done = std::move(hashing_.front());
    hashing_.pop_front();
    done.then(std::move(done.file));
  }
  if (!hashing_.empty()) hash_later();
}

}  // namespace agentbox::gates::commands
