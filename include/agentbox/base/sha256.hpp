#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace agentbox::base {

// SHA-256 (FIPS 180-4), bit by bit as the bytes come. A copy goes on from where the original stands.
class Sha256 {
 public:
  Sha256() noexcept;
  Sha256& update(std::span<const std::byte> bytes) noexcept;
  Sha256& update(std::string_view text) noexcept;
  // 64 hexadecimal digits, lower case. Afterwards it is as new.
  [[nodiscard]] std::string digest();

 private:
  // The library's own context: its header stays in sha256.cpp, which checks that it fits.
  alignas(8) std::array<std::byte, 128> context_{};
};

// Of one text.
[[nodiscard]] std::string sha256(std::string_view text);

}  // namespace agentbox::base
