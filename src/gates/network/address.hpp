#pragma once

// One IP address, in its one form: an IPv4 address that came dressed as IPv6 (::ffff:192.0.2.1) is the IPv4 address,
// so that no rule and no table ever sees two spellings of the same host.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace agentbox::gates::network {

class Address {
 public:
  enum class Family : std::uint8_t { v4, v6 };
  using V4 = std::array<std::uint8_t, 4>;
  using V6 = std::array<std::uint8_t, 16>;

  [[nodiscard]] static Address of(const V4& bytes) noexcept;
  [[nodiscard]] static Address of(const V6& bytes) noexcept;  // IPv4 if it is mapped
  // "192.0.2.1" or a form of RFC 4291 §2.2, as inet_pton(3) takes them: no brackets, no zone, no leading zeros in the
  // dotted quad, nothing before or after.
  [[nodiscard]] static std::optional<Address> parse(std::string_view text);

  [[nodiscard]] Family family() const noexcept { return family_; }
  // In network order: 4 or 16.
  [[nodiscard]] std::span<const std::uint8_t> bytes() const noexcept;
  // As inet_ntop(3) writes it.
  [[nodiscard]] std::string text() const;

  friend bool operator==(const Address&, const Address&) = default;

 private:
  Family family_ = Family::v4;
  V6 bytes_{};  // of an IPv4 address the first four; the rest is 0
};

}  // namespace agentbox::gates::network

template <>
struct std::hash<agentbox::gates::network::Address> {
  std::size_t operator()(const agentbox::gates::network::Address& address) const noexcept;
};
