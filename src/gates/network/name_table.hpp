#pragma once

// Which name lies behind which address that the resolver of the room gave out. No question ever leaves the machine, so
// an address is no more than a ticket: it comes back when the room connects, and the name is known then.
//
// The room is hostile and may ask for any number of names. The table is bounded; the name that was used longest ago
// makes room, unless a connection holds it or its answer may still be believed. An IPv6 address is never given out
// twice; an IPv4 one comes back as late as possible. Should a client have kept one far beyond its time to live, its
// connection goes to the other name: that name is what is ruled on, and what TLS and Host are held against.
//
// For any thread.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "address.hpp"

namespace agentbox::gates::network {

class NameTable {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Prefix = std::array<std::uint8_t, 6>;  // fdXX:XXXX:XXXX::/48, random for each session (RFC 4193 §3.2.2)

  struct Pair {
    Address four, six;
    friend bool operator==(const Pair&, const Pair&) = default;
  };
  struct Limits {
    std::size_t names = 65'536;  // at most half of the range
    // For how long an answer may be believed; no name makes room earlier.
    std::chrono::seconds life{60};
  };

  // A connection that is open. The name keeps its addresses for as long.
  class Pin {
   public:
    Pin(Pin&& other) noexcept;
    Pin& operator=(Pin&& other) noexcept;
    ~Pin();
    [[nodiscard]] const std::string& name() const;

   private:
    friend class NameTable;
    Pin(NameTable& table, std::uint32_t slot, const std::string& name);
    void release() noexcept;
    NameTable* table_;
    std::uint32_t slot_;
    const std::string* name_;  // in the table, where it stays for as long
  };

  explicit NameTable(const Prefix& prefix) : NameTable(prefix, Limits{}) {}
  NameTable(const Prefix& prefix, Limits limits);
  NameTable(const NameTable&) = delete;
  NameTable& operator=(const NameTable&) = delete;
  ~NameTable() = default;

  // The name's addresses, the same as before where it has some. `name` is canonical (host_name.hpp). Nothing: the table
  // is full of names that may not make room now.
  [[nodiscard]] std::optional<Pair> give(std::string_view name, Time now);

  // What stands behind an address that a connection goes to; nothing for an address that was never given out or has
  // lost its name. The table must outlive the pin.
  [[nodiscard]] std::optional<Pin> arrive(const Address& address, Time now);
  [[nodiscard]] std::optional<std::string> name_of(const Address& address) const;

  // Is the address one of the ranges that this table gives out, or keeps for agentbox itself? Whatever isn't in them
  // was not named by us: the room went there by the address.
  [[nodiscard]] bool in_range(const Address& address) const noexcept;
  // For agentbox's own listeners in the room, never given to a name: 198.18.0.0 to 198.18.0.15 and the same numbers
  // under the prefix. `number` is less than 16.
  [[nodiscard]] Pair own(std::uint8_t number) const;

  [[nodiscard]] std::size_t size() const;

 private:
  static constexpr std::uint32_t none = ~std::uint32_t{0};
  struct Entry {
    std::string name;
    std::uint32_t number = 0;  // offset of its IPv4 address in the range
    std::uint64_t lap = 0;     // how often the range had been gone through; makes the IPv6 address unique
    std::uint32_t pins = 0;
    std::uint32_t older = none, newer = none;  // by last use; the pinned ones are not in this list
    Time used;
  };

  [[nodiscard]] Pair addresses(const Entry& entry) const;
  [[nodiscard]] std::uint32_t slot_of(const Address& address) const;  // none
  [[nodiscard]] std::uint32_t vacate(Time now);                       // a slot for a new name, or none
  void take_number(Entry& entry);
  void link_newest(std::uint32_t slot);
  void unlink(std::uint32_t slot);
  void unpin(std::uint32_t slot) noexcept;

  Prefix prefix_;
  Limits limits_;
  mutable std::mutex mutex_;   // all that follows
  std::deque<Entry> entries_;  // grows only; a name's bytes stay where they are
  // Ordered: the names are the room's, and it could choose some that hash to the same.
  std::map<std::string_view, std::uint32_t> by_name_;
  std::unordered_map<std::uint32_t, std::uint32_t> by_number_;
  std::uint32_t oldest_ = none, newest_ = none;
  std::uint32_t next_number_;
  std::uint64_t lap_ = 0;
};

}  // namespace agentbox::gates::network
