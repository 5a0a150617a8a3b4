#include "address.hpp"

#include <algorithm>

#include <arpa/inet.h>

namespace agentbox::gates::network {

Address Address::of(const V4& bytes) noexcept {
  Address result;
  std::ranges::copy(bytes, result.bytes_.begin());
  return result;
}

Address Address::of(const V6& bytes) noexcept {
  static constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::ranges::equal(mapped, std::span(bytes).first<12>())) {
    return of(V4{bytes[12], bytes[13], bytes[14], bytes[15]});
  }
  Address result;
  result.family_ = Family::v6;
  result.bytes_ = bytes;
  return result;
}

std::optional<Address> Address::parse(std::string_view text) {
  // inet_pton(3) reads up to a NUL: what follows one must not be lost.
  if (text.size() >= INET6_ADDRSTRLEN || text.find('\0') != std::string_view::npos) return std::nullopt;
  const std::string terminated(text);
  if (V4 four{}; inet_pton(AF_INET, terminated.c_str(), four.data()) == 1) return of(four);
  if (V6 six{}; inet_pton(AF_INET6, terminated.c_str(), six.data()) == 1) return of(six);
  return std::nullopt;
}

std::span<const std::uint8_t> Address::bytes() const noexcept {
  return std::span(bytes_).first(family_ == Family::v4 ? 4 : 16);
}

std::string Address::text() const {
  char out[INET6_ADDRSTRLEN] = {};
  inet_ntop(family_ == Family::v4 ? AF_INET : AF_INET6, bytes_.data(), out, sizeof out);
  return out;
}

}  // namespace agentbox::gates::network

std::size_t std::hash<agentbox::gates::network::Address>::operator()(
    const agentbox::gates::network::Address& address) const noexcept {
  const auto bytes = address.bytes();
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}
