#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <deque>
#include <span>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/gates/network/watched.hpp"

namespace agentbox::gates::network {

namespace {

// Then others of the loop have their turn: the guard of names looks between its handlers.
constexpr std::size_t most_at_once = 32;
constexpr std::uint32_t readable = EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR;
constexpr std::uint32_t writable = EPOLLOUT | EPOLLHUP | EPOLLERR;
constexpr std::uint32_t over = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

constexpr unsigned generation_at = 32;

std::uint64_t data_of(std::uint32_t place, std::uint32_t generation) {
  return std::uint64_t{generation} << generation_at | place;
}

// Twice 15 s may have gone before that: a silent end is noticed after 135 s at most.
void keep_alive(int socket) {
  const int on = 1, idle = 45, interval = 15, probes = 4;
  ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

epoll_event wanted(std::uint32_t place, std::uint32_t generation, bool for_room) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP | EPOLLET | (for_room ? EPOLLOUT : 0U);
  event.data.u64 = data_of(place, generation);
  return event;
}

}  // namespace

// The epoll instance within a loop's in which its sockets are.
class Watcher : public boost::asio::execution_context::service {
 public:
  using key_type = Watcher;
  static boost::asio::execution_context::id id;

  // Throws base::SystemError.
  [[nodiscard]] static Watcher& of(boost::asio::io_context& loop) { return boost::asio::use_service<Watcher>(loop); }
  // For asio alone: see `of`.
  explicit Watcher(boost::asio::io_context& loop);

 private:
  friend class Watched;
  friend class Seat;

  struct Place {
    Watched::Listener* listener = nullptr;
    Watched::Then on_readable, on_writable;
    std::uint32_t generation = 0;  // of what is here: an event may be of something before it
    bool readable = false;         // the kernel has said so, and nobody that all of it is read
    bool hung_up = false;
    bool for_room = false;                                                  // the kernel tells of room to write, too
    enum class Asked : std::uint8_t { no, later, next } asked = Asked::no;  // whether its other side is still there
    int socket = -1;                                                        // while that is not `no`
  };

  // Its other side, now and then, once the socket is no longer young.
  void ask_later(std::uint32_t place, int socket);
  void wait_to_ask();
  void ask();
  std::uint32_t take_place();
  bool add(int socket, std::uint32_t& place, bool for_room);
  // The kernel looks again, and tells what there is.
  bool look_again(int socket, std::uint32_t place);
  void cancel(std::uint32_t place);
  void forget(std::uint32_t place);
  void later(Watched::Then then, int error);

  void shutdown() override;
  void arm();
  void on_events();
  void tell(const epoll_event& event);

  boost::asio::io_context& loop_;
  boost::asio::posix::stream_descriptor epoll_;
  std::deque<Place> places_;
  std::vector<std::uint32_t> free_;
  std::vector<epoll_event> ending_;
  boost::asio::steady_timer timer_;
  bool asks_ = false;
  Watched::Manner manner_;
};

boost::asio::execution_context::id Watcher::id;

Watcher::Watcher(boost::asio::io_context& loop)
    : boost::asio::execution_context::service(loop), loop_(loop), epoll_(loop), timer_(loop) {
  base::UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) throw base::SystemError(errno, "cannot create an epoll instance");
  epoll_.assign(epoll.release());
  arm();
}

// What waits may own sockets that are here.
void Watcher::shutdown() {
  boost::system::error_code ignored;
  epoll_.close(ignored);
  timer_.cancel();
  std::vector<Watched::Then> waiting;
  for (Place& place : places_) {
    waiting.push_back(std::exchange(place.on_readable, nullptr));
    waiting.push_back(std::exchange(place.on_writable, nullptr));
  }
}

void Watcher::arm() {
  epoll_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](boost::system::error_code error) {
    if (error) return;
    on_events();
    arm();
  });
}

// Who goes on is waited for; who has said all can wait until those have been seen to. In each further round it is what has
// come meanwhile: to go by way of asio costs three system calls.
void Watcher::on_events() {
  std::array<epoll_event, most_at_once> events;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled by the kernel
  ending_.clear();
  for (std::size_t round = 0; round < manner_.rounds; ++round) {
    const int count = ::epoll_wait(epoll_.native_handle(), events.data(), static_cast<int>(events.size()), 0);
    if (count <= 0) break;
    for (const epoll_event& event : std::span(events).first(static_cast<std::size_t>(count))) {
      (event.events & over) != 0 ? ending_.push_back(event) : tell(event);
    }
  }
  for (const epoll_event& event : ending_) tell(event);
}

// Whoever hears of it may do anything, also give this place to another socket.
void Watcher::tell(const epoll_event& event) {
  const std::uint32_t events = event.events;
  const auto generation = static_cast<std::uint32_t>(event.data.u64 >> generation_at);
  Place& place = places_.at(static_cast<std::uint32_t>(event.data.u64));
  if (place.generation != generation) return;
  if ((events & readable) != 0) place.readable = true;
  if ((events & over) != 0) place.hung_up = true;
  if (place.listener != nullptr) return place.listener->on_events(events);
  if ((events & readable) != 0 && place.on_readable) std::exchange(place.on_readable, nullptr)(0);
  if (place.generation != generation) return;
  if ((events & writable) != 0 && place.on_writable) std::exchange(place.on_writable, nullptr)(0);
}

std::uint32_t Watcher::take_place() {
  if (free_.empty()) {
    places_.emplace_back();
    return static_cast<std::uint32_t>(places_.size() - 1);
  }
  const std::uint32_t place = free_.back();
  free_.pop_back();
  return place;
}

bool Watcher::add(int socket, std::uint32_t& place, bool for_room) {
  place = take_place();
  epoll_event event = wanted(place, places_.at(place).generation, for_room);
  if (::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, socket, &event) != 0) {
    free_.push_back(place);
    return false;
  }
  places_.at(place).for_room = for_room;
  return true;
}

bool Watcher::look_again(int socket, std::uint32_t number) {
  Place& place = places_.at(number);
  place.readable = false;  // or it is said anew
  epoll_event event = wanted(number, place.generation, place.for_room);
  return ::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_MOD, socket, &event) == 0;
}

void Watcher::later(Watched::Then then, int error) {
  if (then) boost::asio::post(loop_, [then = std::move(then), error] { then(error); });
}

void Watcher::cancel(std::uint32_t number) {
  Place& place = places_.at(number);
  later(std::exchange(place.on_readable, nullptr), ECANCELED);
  later(std::exchange(place.on_writable, nullptr), ECANCELED);
  place.listener = nullptr;
}

// A socket that is closed leaves epoll by itself, unless it has a twin: one of a room's may, in the helper that made
// it. Whatever comes of that bears a generation that is over.
void Watcher::forget(std::uint32_t number) {
  cancel(number);
  Place& place = places_.at(number);
  place = Place{.generation = place.generation + 1};
  free_.push_back(number);
}

void Watcher::ask_later(std::uint32_t place, int socket) {
  places_.at(place).asked = Place::Asked::later;
  places_.at(place).socket = socket;
  if (!std::exchange(asks_, true)) wait_to_ask();
}

void Watcher::wait_to_ask() {
  timer_.expires_after(manner_.young);
  timer_.async_wait([this](boost::system::error_code error) {
    if (!error) ask();
  });
}

void Watcher::ask() {
  asks_ = false;
  for (Place& place : places_) {
    if (place.asked == Place::Asked::next) keep_alive(place.socket);
    place.asked = place.asked == Place::Asked::later ? Place::Asked::next : Place::Asked::no;
    asks_ = asks_ || place.asked == Place::Asked::next;
  }
  if (asks_) wait_to_ask();
}

// ---- one of its sockets ----

void Watched::prepare(boost::asio::io_context& loop) {
  (void)Watcher::of(loop);
}

void Watched::prepare(boost::asio::io_context& loop, const Manner& manner) {
  Watcher::of(loop).manner_ = manner;
}

void Watched::wait(boost::asio::io_context& loop, For what, Then then) {
  Watcher& watcher = watcher_ != nullptr ? *watcher_ : Watcher::of(loop);
  const bool writing = what == For::writing;
  if (watcher_ == nullptr) {
    if (!watcher.add(socket_.get(), place_, writing)) return watcher.later(std::move(then), errno);
    known_to(watcher);
  } else {
    Watcher::Place& place = watcher.places_.at(place_);
    if (writing || place.readable) {
      place.for_room = place.for_room || writing;
      if (!watcher.look_again(socket_.get(), place_)) return watcher.later(std::move(then), errno);
    }
  }
  Watcher::Place& place = watcher.places_.at(place_);
  Then& slot = writing ? place.on_writable : place.on_readable;
  watcher.later(std::exchange(slot, std::move(then)), ECANCELED);
}

void Watched::known_to(Watcher& watcher) {
  watcher_ = &watcher;
  if (std::exchange(asks_, false)) watcher.ask_later(place_, socket_.get());
}

void Watched::notice_silent_end() {
  asks_ = watcher_ == nullptr;
  if (watcher_ != nullptr) watcher_->ask_later(place_, socket_.get());
}

void Watched::dry() noexcept {
  if (watcher_ == nullptr) return;
  Watcher::Place& place = watcher_->places_[place_];
  if (!place.hung_up) place.readable = false;
}

void Watched::cancel() {
  if (watcher_ != nullptr) watcher_->cancel(place_);
}

bool Watched::listen(boost::asio::io_context& loop, Listener& listener) {
  if (watcher_ == nullptr) {
    Watcher& watcher = Watcher::of(loop);
    if (!watcher.add(socket_.get(), place_, false)) return false;
    known_to(watcher);
  }
  watcher_->cancel(place_);
  watcher_->places_[place_].listener = &listener;
  return true;
}

bool Watched::listen_for_room() {
  if (watcher_ == nullptr) return false;
  Watcher::Place& place = watcher_->places_[place_];
  return std::exchange(place.for_room, true) || watcher_->look_again(socket_.get(), place_);
}

bool Watched::may_be_readable() const noexcept {
  return watcher_ == nullptr || watcher_->places_[place_].readable;
}

bool Watched::hung_up() const noexcept {
  return watcher_ != nullptr && watcher_->places_[place_].hung_up;
}

Watched Watched::hand_over() {
  if (watcher_ != nullptr) {
    Watcher::Place& place = watcher_->places_[place_];
    place.on_readable = place.on_writable = nullptr;
  }
  return std::move(*this);
}

void Watched::reset() {
  if (Watcher* watcher = std::exchange(watcher_, nullptr)) watcher->forget(place_);
  socket_.reset();
}

// ---- a place for events of others ----

Seat::Seat(boost::asio::io_context& loop, Watched::Listener& listener)
    : watcher_(Watcher::of(loop)),
      place_(watcher_.take_place()),
      data_(data_of(place_, watcher_.places_.at(place_).generation)) {
  watcher_.places_.at(place_).listener = &listener;
}
Seat::~Seat() {
  watcher_.forget(place_);
}
int Seat::epoll() const noexcept {
  return watcher_.epoll_.native_handle();
}

}  // namespace agentbox::gates::network
