#include "agentbox/base/sha256.hpp"

#include <cstdint>
#include <type_traits>

#include <nettle/sha2.h>

namespace agentbox::base {

namespace {

sha256_ctx* state(std::array<std::byte, 128>& bytes) {
  static_assert(sizeof(sha256_ctx) <= sizeof(bytes) && alignof(sha256_ctx) <= 8);
  static_assert(std::is_trivially_copyable_v<sha256_ctx> && std::is_trivially_destructible_v<sha256_ctx>);
  return reinterpret_cast<sha256_ctx*>(bytes.data());
}

}  // namespace

Sha256::Sha256() noexcept {
  sha256_init(state(context_));
}

Sha256& Sha256::update(std::span<const std::byte> bytes) noexcept {
  if (!bytes.empty()) {
    sha256_update(state(context_), bytes.size(), reinterpret_cast<const std::uint8_t*>(bytes.data()));
  }
  return *this;
}

Sha256& Sha256::update(std::string_view text) noexcept {
  return update(std::as_bytes(std::span(text)));
}

std::string Sha256::digest() {
  std::array<std::uint8_t, SHA256_DIGEST_SIZE> raw{};
  sha256_digest(state(context_), raw.size(), raw.data());  // begins anew by itself
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * raw.size());
  for (std::uint8_t byte : raw) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

std::string sha256(std::string_view text) {
  return Sha256().update(text).digest();
}

}  // namespace agentbox::base
