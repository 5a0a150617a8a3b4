#include "lane.hpp"

#include <cerrno>
#include <exception>
#include <optional>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/broker/thread.hpp"
#include "agentbox/gates/network/watched.hpp"

namespace agentbox::gates::network {

class Lane::Impl {
 public:
  // Nobody else has a turn here for whom that would be long.
  explicit Impl(boost::asio::io_context& owner) : owner_(owner) {
    Watched::prepare(loop, {.rounds = 4});
  }

  void start() {
    thread_ = broker::start_without_signals([this] { work(); });
    if (!thread_) throw base::SystemError(EAGAIN, "cannot start a thread for the room's connections");
  }

  void stop() {
    loop.stop();
    if (thread_ && thread_->joinable()) thread_->join();
  }

  void finish() {
    constexpr int most = 10'000;
    loop.restart();
    try {
      for (int i = 0; i < most && loop.poll_one() != 0; ++i) {
      }
    } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): all of it ends now
    }
  }

  boost::asio::io_context loop;
  Splicer splicer{loop};

 private:
  void work() {
    try {
      loop.run();
    } catch (...) {
      boost::asio::post(owner_, [error = std::current_exception()] { std::rethrow_exception(error); });
    }
  }

  boost::asio::io_context& owner_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> stays_ = boost::asio::make_work_guard(loop);
  std::optional<std::thread> thread_;
};

Lane::Lane(boost::asio::io_context& owner) : impl_(std::make_unique<Impl>(owner)) {}
Lane::~Lane() {
  stop();
}
void Lane::start() {
  impl_->start();
}
void Lane::stop() {
  impl_->stop();
}
void Lane::finish() {
  impl_->finish();
}
boost::asio::io_context& Lane::loop() noexcept {
  return impl_->loop;
}
Splicer& Lane::splicer() noexcept {
  return impl_->splicer;
}

}  // namespace agentbox::gates::network
