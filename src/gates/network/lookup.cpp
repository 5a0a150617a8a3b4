#include "lookup.hpp"

#include <array>
#include <condition_variable>
#include <mutex>

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/broker/thread.hpp"

namespace agentbox::gates::network {

namespace {

using Clock = std::chrono::steady_clock;
using Key = std::pair<std::string, std::uint16_t>;

constexpr std::size_t most_threads = 4;     // a name whose servers are silent holds one for half a minute
constexpr std::size_t most_waiting = 1024;  // names
constexpr std::size_t most_known = 1024;
constexpr std::chrono::seconds stays{10};

// What the threads and the loop share. It outlives both: a thread can't be interrupted in getaddrinfo.
struct Shared {
  std::mutex mutex;
  std::condition_variable more;
  std::deque<Key> wanted;
  std::size_t threads = 0, idle = 0;
  bool closed = false;
};

Lookup::Found resolve(const Lookup::Resolve& how, const Key& key) {
  try {
    return {.targets = how(key.first, key.second), .error = {}};
  } catch (const base::SystemError& error) {
    return {.targets = {}, .error = error.what()};
  }
}

}  // namespace

class Lookup::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(boost::asio::io_context& loop, Resolve resolve) : loop_(loop), resolve_(std::move(resolve)) {}

  [[nodiscard]] const Found* known(const Key& key) const {
    const auto known = known_.find(key);
    return known != known_.end() && Clock::now() < known->second.second ? &known->second.first : nullptr;
  }

  void keep(const Key& key, std::vector<Target> good) {
    const auto known = known_.find(key);
    if (known == known_.end()) return;
    known->second.first.targets = std::move(good);
    known->second.first.checked = Found::Checked::yes;
  }

  void find(const std::string& name, std::uint16_t port, Done done) {
    Key key(name, port);
    if (const Found* before = known(key)) {
      boost::asio::post(loop_, [weak = weak_from_this(), done = std::move(done), found = *before] {
        if (weak.lock()) done(found);
      });
      return;
    }
    auto [waiting, first] = waiting_.try_emplace(key);
    waiting->second.push_back(std::move(done));
    if (!first) return;
    const auto refuse = [&](std::string why) {
      boost::asio::post(loop_, [weak = weak_from_this(), key, why = std::move(why)] {
        if (auto self = weak.lock()) self->answer(key, {.targets = {}, .error = why});
      });
    };
    const std::scoped_lock lock(shared_->mutex);
    if (shared_->wanted.size() >= most_waiting) return refuse("too many names are being looked up");
    // One that was woken has not taken its name yet: it is idle for one of those that are wanted.
    const bool wants_thread = shared_->wanted.size() >= shared_->idle && shared_->threads < most_threads;
    if (wants_thread && !start_thread() && shared_->threads == 0) return refuse("there is no thread to look it up");
    shared_->wanted.push_back(key);
    shared_->more.notify_one();
  }

  void close() {
    std::scoped_lock lock(shared_->mutex);
    shared_->closed = true;
    shared_->more.notify_all();
  }

 private:
  // The mutex is held. No: there can't be one.
  bool start_thread() {
    auto started = broker::start_without_signals(work, shared_, resolve_, weak_from_this(), &loop_);
    if (!started) return false;
    ++shared_->threads;  // it waits for the mutex before anything else
    started->detach();
    return true;
  }

  // Touches the loop only while the Impl lives: its owner lets go of it before the loop ends.
  static void work(const std::shared_ptr<Shared>& shared, const Resolve& how, const std::weak_ptr<Impl>& weak,
                   boost::asio::io_context* loop) {
    std::unique_lock lock(shared->mutex);
    for (;;) {
      ++shared->idle;
      shared->more.wait(lock, [&] { return shared->closed || !shared->wanted.empty(); });
      --shared->idle;
      if (shared->closed) break;
      Key key = shared->wanted.front();
      shared->wanted.pop_front();
      lock.unlock();
      Found found = resolve(how, key);
      lock.lock();
      if (shared->closed) break;
      boost::asio::post(*loop, [weak, key, found = std::move(found)] {
        if (auto self = weak.lock()) self->answer(key, found);
      });
    }
    --shared->threads;
  }

  void answer(const Key& key, const Found& found) {
    if (!found.targets.empty()) {
      if (known_.size() >= most_known) known_.clear();
      known_.insert_or_assign(key, std::pair(found, Clock::now() + stays));
    }
    auto node = waiting_.extract(key);
    if (node.empty()) return;
    for (const Done& done : node.mapped()) done(found);
  }

  boost::asio::io_context& loop_;
  Resolve resolve_;
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
  std::map<Key, std::vector<Done>> waiting_;
  std::map<Key, std::pair<Found, Clock::time_point>> known_;
};

Lookup::Lookup(boost::asio::io_context& loop, Resolve resolve)
    : impl_(std::make_shared<Impl>(loop, std::move(resolve))) {}
Lookup::~Lookup() {
  impl_->close();
}
void Lookup::keep(const std::string& name, std::uint16_t port, std::vector<Target> good) {
  impl_->keep({name, port}, std::move(good));
}
const Lookup::Found* Lookup::known(const std::string& name, std::uint16_t port) const {
  return impl_->known({name, port});
}
void Lookup::find(const std::string& name, std::uint16_t port, Done done) {
  impl_->find(name, port, std::move(done));
}

std::vector<Target> look_up_by_system(const std::string& name, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  // A dot at the end: the name is complete, no search domain of the host is tried with it.
  const int error = ::getaddrinfo((name + ".").c_str(), std::to_string(port).c_str(), &hints, &list);
  if (error != 0) {
    const char* why = error == EAI_SYSTEM ? "the system refused" : ::gai_strerror(error);
    throw base::SystemError(0, "cannot find the address of " + name + ": " + why);
  }
  std::vector<Target> targets;
  for (const addrinfo* at = list; at != nullptr; at = at->ai_next) {
    targets.push_back(Target::of(at->ai_addr, at->ai_addrlen));
  }
  ::freeaddrinfo(list);
  return targets;
}

}  // namespace agentbox::gates::network
