#include "aside.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include <boost/asio/post.hpp>

#include "agentbox/broker/thread.hpp"

namespace agentbox::gates {

struct Aside::Owner {
  std::mutex mutex;
  boost::asio::io_context* loop;  // nullptr: it is gone
};

namespace {

struct Piece {
  std::function<void()> work;
  std::function<void()> done;
};

// One thread for the whole process, from the first piece on.
class Worker {
 public:
  // False: there can't be a thread.
  bool take(Piece& piece) {
    std::scoped_lock lock(mutex_);
    if (!started_ && !start()) return false;
    pieces_.push_back(std::move(piece));
    more_.notify_one();
    return true;
  }

 private:
  bool start() {
    auto started = broker::start_without_signals([this] { work(); });
    if (!started) return false;  // the next piece tries again
    started->detach();
    started_ = true;
    return true;
  }

  [[noreturn]] void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      more_.wait(lock, [this] { return !pieces_.empty(); });
      Piece piece = std::move(pieces_.front());
      pieces_.pop_front();
      lock.unlock();
      piece.work();
      piece.done();
      piece = {};
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable more_;
  std::deque<Piece> pieces_;
  bool started_ = false;
};

// Never destroyed: its thread may be at work when the process ends.
Worker& worker() {
  static Worker* const one = new Worker;
  return *one;
}

}  // namespace

Aside::Aside(boost::asio::io_context& loop) : owner_(std::make_shared<Owner>()) {
  owner_->loop = &loop;
}

Aside::~Aside() {
  const std::scoped_lock lock(owner_->mutex);
  owner_->loop = nullptr;
}

void Aside::run(std::function<void()> work, std::function<void()> then) {
  auto done = [owner = owner_, then = std::move(then)] {
    const std::scoped_lock lock(owner->mutex);
    if (owner->loop == nullptr) return;
    boost::asio::post(*owner->loop, [owner, then] {
      // Its owner may have gone since.
      if (owner->loop != nullptr) then();
    });
  };
  Piece piece{.work = std::move(work), .done = std::move(done)};
  if (worker().take(piece)) return;
  piece.work();
  piece.done();
}

}  // namespace agentbox::gates
