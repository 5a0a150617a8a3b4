#include "name_table.hpp"

#include <algorithm>
#include <utility>

namespace agentbox::gates::network {

namespace {

// 198.18.0.0/15 (RFC 2544: benchmarks between devices, never routed); the last address is left out for those programs
// that take it for a broadcast.
constexpr std::uint32_t range = 0xc6120000;
constexpr std::uint32_t range_size = 1U << 17U;
constexpr std::uint32_t own_numbers = 16;
constexpr std::uint32_t end_number = range_size - 1;

Address four(std::uint32_t number) {
  const std::uint32_t value = range + number;
  return Address::of(Address::V4{static_cast<std::uint8_t>(value >> 24U), static_cast<std::uint8_t>(value >> 16U),
                                 static_cast<std::uint8_t>(value >> 8U), static_cast<std::uint8_t>(value)});
}

// prefix (48 bits), lap (48 bits), the IPv4 address (32 bits)
Address six(const NameTable::Prefix& prefix, std::uint64_t lap, const Address& four) {
  Address::V6 bytes{};
  std::ranges::copy(prefix, bytes.begin());
  for (unsigned i = 0; i < 6; ++i) bytes[6 + i] = static_cast<std::uint8_t>(lap >> (40 - 8 * i));
  std::ranges::copy(four.bytes(), bytes.begin() + 12);
  return Address::of(bytes);
}

std::uint32_t number_in(std::span<const std::uint8_t> four_bytes) {
  std::uint32_t value = 0;
  for (const std::uint8_t byte : four_bytes) value = value << 8U | byte;
  return value - range;  // what lies below the range wraps to beyond its end
}

}  // namespace

NameTable::Pin::Pin(NameTable& table, std::uint32_t slot, const std::string& name)
    : table_(&table), slot_(slot), name_(&name) {}
NameTable::Pin::Pin(Pin&& other) noexcept
    : table_(std::exchange(other.table_, nullptr)), slot_(other.slot_), name_(other.name_) {}
NameTable::Pin& NameTable::Pin::operator=(Pin&& other) noexcept {
  if (this != &other) {
    release();
    table_ = std::exchange(other.table_, nullptr);
    slot_ = other.slot_;
    name_ = other.name_;
  }
  return *this;
}
NameTable::Pin::~Pin() {
  release();
}
void NameTable::Pin::release() noexcept {
  if (table_ != nullptr) std::exchange(table_, nullptr)->unpin(slot_);
}
const std::string& NameTable::Pin::name() const {
  return *name_;
}

NameTable::NameTable(const Prefix& prefix, Limits limits)
    : prefix_(prefix), limits_(limits), next_number_(own_numbers) {
  // With half of the numbers free, the search for one ends soon.
  limits_.names = std::clamp<std::size_t>(limits_.names, 1, range_size / 2);
}

NameTable::Pair NameTable::addresses(const Entry& entry) const {
  const Address v4 = four(entry.number);
  return {v4, six(prefix_, entry.lap, v4)};
}

NameTable::Pair NameTable::own(std::uint8_t number) const {
  const Address v4 = four(number % own_numbers);
  return {v4, six(prefix_, 0, v4)};
}

bool NameTable::in_range(const Address& address) const noexcept {
  const auto bytes = address.bytes();
  if (address.family() == Address::Family::v4) return number_in(bytes) < range_size;
  return std::ranges::equal(prefix_, bytes.first(prefix_.size()));
}

std::uint32_t NameTable::slot_of(const Address& address) const {
  if (!in_range(address)) return none;
  const auto found = by_number_.find(number_in(address.bytes().last(4)));
  if (found == by_number_.end()) return none;
  const Pair pair = addresses(entries_[found->second]);
  return address == pair.four || address == pair.six ? found->second : none;
}

std::size_t NameTable::size() const {
  const std::scoped_lock lock(mutex_);
  return by_name_.size();
}

std::optional<std::string> NameTable::name_of(const Address& address) const {
  const std::scoped_lock lock(mutex_);
  const std::uint32_t slot = slot_of(address);
  if (slot == none) return std::nullopt;
  return entries_[slot].name;
}

std::optional<NameTable::Pin> NameTable::arrive(const Address& address, Time now) {
  const std::scoped_lock lock(mutex_);
  const std::uint32_t slot = slot_of(address);
  if (slot == none) return std::nullopt;
  Entry& entry = entries_[slot];
  if (entry.pins++ == 0) unlink(slot);
  entry.used = std::max(entry.used, now);
  return Pin(*this, slot, entry.name);
}

void NameTable::unpin(std::uint32_t slot) noexcept {
  const std::scoped_lock lock(mutex_);
  if (--entries_[slot].pins == 0) link_newest(slot);
}

std::optional<NameTable::Pair> NameTable::give(std::string_view name, Time now) {
  const std::scoped_lock lock(mutex_);
  if (const auto found = by_name_.find(name); found != by_name_.end()) {
    Entry& entry = entries_[found->second];
    entry.used = std::max(entry.used, now);
    if (entry.pins == 0) {
      unlink(found->second);
      link_newest(found->second);
    }
    return addresses(entry);
  }
  const std::uint32_t slot = vacate(now);
  if (slot == none) return std::nullopt;
  Entry& entry = entries_[slot];
  entry.name = name;
  entry.used = now;
  take_number(entry);
  by_name_.emplace(entry.name, slot);
  by_number_.emplace(entry.number, slot);
  link_newest(slot);
  return addresses(entry);
}

std::uint32_t NameTable::vacate(Time now) {
  if (entries_.size() < limits_.names) {
    entries_.emplace_back();
    return static_cast<std::uint32_t>(entries_.size() - 1);
  }
  if (oldest_ == none || now - entries_[oldest_].used < limits_.life) return none;
  const std::uint32_t slot = oldest_;
  unlink(slot);
  by_number_.erase(entries_[slot].number);
  by_name_.erase(entries_[slot].name);
  return slot;
}

void NameTable::take_number(Entry& entry) {
  do {
    entry.number = next_number_;
    entry.lap = lap_;
    if (++next_number_ == end_number) {
      next_number_ = own_numbers;
      ++lap_;
    }
  } while (by_number_.contains(entry.number));
}

void NameTable::link_newest(std::uint32_t slot) {
  Entry& entry = entries_[slot];
  entry.older = newest_;
  entry.newer = none;
  (newest_ == none ? oldest_ : entries_[newest_].newer) = slot;
  newest_ = slot;
}

void NameTable::unlink(std::uint32_t slot) {
  Entry& entry = entries_[slot];
  (entry.older == none ? oldest_ : entries_[entry.older].newer) = entry.newer;
  (entry.newer == none ? newest_ : entries_[entry.newer].older) = entry.older;
  entry.older = entry.newer = none;
}

}  // namespace agentbox::gates::network
