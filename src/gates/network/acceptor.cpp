#include "acceptor.hpp"

#include <cerrno>
#include <chrono>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "shared_listener.hpp"

namespace agentbox::gates::network {

namespace {

constexpr auto try_again = std::chrono::milliseconds(100);

}  // namespace

// One of its listeners.
class Acceptor::Door final : public Watched::Listener {
 public:
  Door(Acceptor& acceptor, std::shared_ptr<SharedListener> listener)
      : acceptor_(acceptor),
        listener_(std::move(listener)),
        seat_(acceptor.loop_, *this),
        timer_(acceptor.loop_),
        number_(listener_->join(seat_, *acceptor.load_)) {
    look();
  }
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;
  ~Door() { listener_->leave(number_); }

  // It takes the next one, if there may be one more.
  void look() {
    if (!rests_ && acceptor_.has_room()) listener_->ready(number_);
  }

  void on_events(std::uint32_t /*events*/) override {
    if (!acceptor_.has_room()) return listener_->give_up(number_, false);
    base::UniqueFd client = listener_->accept();
    if (!client && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) return rest();
    if (client) acceptor_.add(1);
    // Before it is seen to: another may be the next to accept.
    listener_->give_up(number_, acceptor_.has_room());
    if (client) acceptor_.accepted_(std::move(client), listener_->family());
  }

 private:
  void rest() {
    rests_ = true;
    listener_->give_up(number_, false);
    timer_.expires_after(try_again);
    timer_.async_wait([this, alive = std::weak_ptr(alive_)](boost::system::error_code error) {
      if (error || alive.expired()) return;
      rests_ = false;
      look();
    });
  }

  Acceptor& acceptor_;
  const std::shared_ptr<SharedListener> listener_;
  Seat seat_;
  boost::asio::steady_timer timer_;
  bool rests_ = false;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  const SharedListener::Number number_;
};

Acceptor::Acceptor(boost::asio::io_context& loop, std::size_t most_open, Accepted accepted, Load load)
    : loop_(loop), most_open_(most_open), accepted_(std::move(accepted)), load_(std::move(load)) {}

Acceptor::~Acceptor() = default;

void Acceptor::serve(base::UniqueFd listener) {
  serve(std::make_shared<SharedListener>(std::move(listener)));
}

void Acceptor::serve(std::shared_ptr<SharedListener> listener) {
  doors_.push_back(std::make_unique<Door>(*this, std::move(listener)));
}

void Acceptor::close() {
  doors_.clear();
}

void Acceptor::release() {
  const bool was_full = !has_room();
  add(-1);
  if (!was_full) return;
  for (auto& door : doors_) door->look();
}

}  // namespace agentbox::gates::network
