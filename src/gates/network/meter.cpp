#include "meter.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "agentbox/base/error.hpp"
#include "agentbox/policy/traffic.hpp"

namespace agentbox::gates::network {

namespace {

constexpr std::chrono::seconds write_after{5};
constexpr std::chrono::milliseconds press_after{20};
// Of a limit that outlives the session: others may have used it, and what is old leaves its window.
constexpr std::chrono::seconds look_after{10};
constexpr std::int64_t parts = 16;

std::int64_t plus(std::int64_t a, std::int64_t b) noexcept {
  return a > std::numeric_limits<std::int64_t>::max() - b ? std::numeric_limits<std::int64_t>::max() : a + b;
}

std::int64_t number_of(std::uint64_t bytes) noexcept {
  return static_cast<std::int64_t>(
      std::min<std::uint64_t>(bytes, static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())));
}

bool is_pace(const policy::Limit& limit) noexcept {
  return limit.counts == policy::Limit::Counts::times;
}

// Zero: the whole session.
std::chrono::milliseconds window_of(const profile::Budget& budget) {
  const policy::Time long_ago{};
  const std::optional<policy::Time> since =
      policy::window_of(budget, long_ago, {.begins = long_ago - std::chrono::hours(24), .ends = long_ago});
  return since ? long_ago - *since : std::chrono::milliseconds(0);
}

}  // namespace

policy::Balance Meter::Tally::balance() const {
  const std::scoped_lock lock(*mutex_);
  policy::Balance balance{.limit = limit_, .used = used_, .opens = {}};
  if (left_of() == 0) balance.fits = policy::Balance::Fits::no;
  return balance;
}

void Meter::Tally::allow(std::int64_t portion, const std::string& question) {
  const std::scoped_lock lock(*mutex_);
  if (!question.empty() && question == answered_) return;
  answered_ = question;
  why_.clear();
  until_ = {};
  allowed_ = plus(std::max(allowed_, used_), portion);
}

void Meter::Tally::refuse(std::string why, Clock::time_point until) {
  const std::scoped_lock lock(*mutex_);
  why_ = std::move(why);
  until_ = until;
}

std::optional<std::string> Meter::Tally::refused(Clock::time_point now) const {
  const std::scoped_lock lock(*mutex_);
  return now < until_ ? std::optional(why_) : std::nullopt;
}

std::shared_ptr<Meter::Tally> Meter::tally(policy::Limit limit) {
  const Key key{limit.name, limit.subject};
  if (auto found = tallies_.find(key); found != tallies_.end()) return found->second;
  if (tallies_.size() >= most) make_room();
  auto tally = std::make_shared<Tally>(std::move(limit), mutex_);
  if (!is_pace(tally->limit())) read(*tally);
  tallies_.emplace(key, tally);
  return tally;
}

// Those that a connection is using stay, whatever their number: there are only so many connections.
void Meter::make_room() {
  write_down(Due::all, Clock::now());
  std::size_t goes = tallies_.size() / 4;
  const std::scoped_lock lock(*mutex_);
  std::erase_if(tallies_, [&](const auto& one) {
    const Tally& tally = *one.second;
    if (goes == 0 || one.second.use_count() > 1 || tally.unwritten_ != 0 || tally.limit().subject.empty()) return false;
    --goes;
    return true;
  });
}

void Meter::read(Tally& tally) {
  tally.looked_ = Clock::now();
  const std::vector<policy::Balance> balances = decider_.standing(std::span(&tally.limit_, 1));
  const std::int64_t on_record = balances.empty() ? 0 : balances.front().used;
  const std::scoped_lock lock(*mutex_);
  const std::int64_t now = plus(on_record, tally.unwritten_);
  // Its window has moved on: what was said yes to was about another one.
  if (now < tally.used_) tally.allowed_ = tally.limit_.budget.amount;
  tally.used_ = now;
}

Meter::Tallies Meter::bytes(const policy::Connect& connect, const std::string& site) {
  const std::scoped_lock work(at_work_);
  Tallies tallies;
  for (policy::Limit& limit : policy::byte_limits(rules_, connect, site)) tallies.push_back(tally(std::move(limit)));
  return tallies;
}

std::uint64_t Meter::reserve(const Tallies& tallies, std::uint64_t wanted) {
  const std::scoped_lock lock(*mutex_);
  auto least = number_of(wanted);
  for (const std::shared_ptr<Tally>& one : tallies) {
    least = std::min(least, std::max<std::int64_t>(one->left_of() - one->reserved_, 0));
  }
  for (const std::shared_ptr<Tally>& one : tallies) one->reserved_ += least;
  return static_cast<std::uint64_t>(least);
}

bool Meter::took(const Tallies& tallies, std::uint64_t reserved, std::uint64_t bytes) {
  const std::scoped_lock lock(*mutex_);
  auto now = Unwritten::nothing;
  for (const std::shared_ptr<Tally>& one : tallies) {
    one->reserved_ -= number_of(reserved);
    one->used_ = plus(one->used_, number_of(bytes));
    one->unwritten_ = plus(one->unwritten_, number_of(bytes));
    if (bytes != 0)
      now = std::max(now, one->unwritten_ > one->limit_.budget.amount / parts ? Unwritten::much : Unwritten::some);
  }
  unwritten_ = std::max(unwritten_, now);
  if (said_ >= now) return false;
  said_ = now;
  return true;
}

bool Meter::has_unwritten() const {
  const std::scoped_lock lock(*mutex_);
  return unwritten_ != Unwritten::nothing;
}

std::size_t Meter::size() const {
  const std::scoped_lock work(at_work_);
  return tallies_.size();
}

void Meter::look_again(Tally& tally) {
  const std::scoped_lock work(at_work_);
  look(tally);
}

void Meter::look(Tally& tally) {
  if (is_pace(tally.limit_) || tally.limit_.budget.period == profile::Period::session) return;
  try {
    read(tally);
  } catch (const base::SystemError&) {  // NOLINT(bugprone-empty-catch): it stays as it was, which lets nothing more go
  }
}

std::shared_ptr<Meter::Tally> Meter::connection(const policy::Connect& connect, Clock::time_point now) {
  const std::scoped_lock work(at_work_);
  for (policy::Limit& limit : policy::pace_limits(rules_, connect)) {
    const std::chrono::milliseconds window = window_of(limit.budget);
    const std::shared_ptr<Tally> one = tally(std::move(limit));
    const std::scoped_lock lock(*mutex_);
    auto& lately = one->lately_;
    while (window.count() > 0 && !lately.empty() && lately.front().first + window <= now) {
      one->used_ -= lately.front().second;
      lately.pop_front();
      // A yes is for what comes now: a quiet time takes it back.
      if (lately.empty()) one->allowed_ = one->limit_.budget.amount;
    }
    if (one->left_of() == 0) return one;
    ++one->used_;
    const auto step = std::max(window / 64, std::chrono::milliseconds(1));
    if (lately.empty() || (window.count() > 0 && lately.back().first + step <= now)) lately.emplace_back(now, 0);
    ++lately.back().second;
  }
  return nullptr;
}

void Meter::write(Due due, Clock::time_point now) {
  const std::scoped_lock work(at_work_);
  write_down(due, now);
}

void Meter::write_down(Due due, Clock::time_point now) {
  // Each byte is in the tally of its site and in that of all: it is written once, for its site.
  std::map<std::string, std::int64_t> by_site;
  std::vector<std::pair<std::shared_ptr<Tally>, std::int64_t>> written;
  std::vector<policy::Limit> limits;
  bool presses = false;
  {
    const std::scoped_lock lock(*mutex_);
    presses = unwritten_ == Unwritten::much;
    if (unwritten_ == Unwritten::nothing) return;
    said_ = Unwritten::some;  // it is said again that it presses
    if (due == Due::now_and_then && now < written_ + (presses ? press_after : std::chrono::milliseconds(write_after))) {
      return;
    }
    for (const auto& [key, one] : tallies_) {
      if (is_pace(one->limit())) continue;
      if (limits.empty() || limits.back().name != one->limit().name) limits.push_back(one->limit());
      if (one->unwritten_ == 0) continue;
      written.emplace_back(one, one->unwritten_);
      if (!one->limit().subject.empty()) by_site[one->limit().subject] = one->unwritten_;
    }
    unwritten_ = said_ = Unwritten::nothing;
  }
  written_ = now;
  std::vector<policy::Use> uses;
  for (const auto& [site, amount] : by_site) uses.push_back(policy::bytes_out(site, amount));
  const bool counted = decider_.counted(uses, limits);
  {
    const std::scoped_lock lock(*mutex_);
    if (!counted) {
      unwritten_ = std::max(unwritten_, presses ? Unwritten::much : Unwritten::some);
      return;
    }
    for (const auto& [one, amount] : written) one->unwritten_ -= amount;
  }
  for (const auto& [key, one] : tallies_) {
    if (now >= one->looked_ + look_after) look(*one);
  }
}

}  // namespace agentbox::gates::network
