#include "address_class.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

namespace agentbox::gates::network {

namespace {

using Bytes = std::span<const std::uint8_t>;
using enum AddressClass;

struct Four {
  Address::V4 base;
  unsigned prefix;
  AddressClass kind;
};

// The first entry that holds the address counts. IANA's registry of special IPv4 addresses (RFC 6890 and its updates),
// with what clouds have added.
constexpr std::array four_table{
    // Metadata and credentials; the first is that of AWS, Google, Azure, DigitalOcean, Hetzner, OpenStack.
    Four{{169, 254, 169, 254}, 32, metadata}, Four{{169, 254, 170, 2}, 32, metadata},  // AWS ECS tasks
    Four{{169, 254, 170, 23}, 32, metadata},                                           // AWS EKS pods
    Four{{100, 100, 100, 200}, 32, metadata},                                          // Alibaba Cloud
    Four{{168, 63, 129, 16}, 32, metadata},  // Azure's WireServer, within public space
    Four{{192, 0, 0, 192}, 32, metadata},    // Oracle Cloud
    Four{{0, 0, 0, 0}, 32, unspecified},     // RFC 1122 §3.2.1.3
    Four{{0, 0, 0, 0}, 8, reserved},         // "this network", RFC 791 §3.2
    Four{{10, 0, 0, 0}, 8, private_},        // RFC 1918
    Four{{100, 64, 0, 0}, 10, cgnat},        // RFC 6598
    Four{{127, 0, 0, 0}, 8, loopback},       // RFC 1122 §3.2.1.3
    Four{{169, 254, 0, 0}, 16, link_local},  // RFC 3927
    Four{{172, 16, 0, 0}, 12, private_},     // RFC 1918
    Four{{192, 0, 0, 0}, 24, reserved},      // protocol assignments, RFC 6890
    Four{{192, 0, 2, 0}, 24, reserved},      // documentation, RFC 5737
    Four{{192, 88, 99, 0}, 24, reserved},    // 6to4 relays, withdrawn, RFC 7526
    Four{{192, 168, 0, 0}, 16, private_},    // RFC 1918
    Four{{198, 18, 0, 0}, 15, reserved},     // benchmarks, RFC 2544; NameTable's
    Four{{198, 51, 100, 0}, 24, reserved},   // documentation, RFC 5737
    Four{{203, 0, 113, 0}, 24, reserved},    // documentation, RFC 5737
    Four{{224, 0, 0, 0}, 4, multicast},      // RFC 5771
    Four{{240, 0, 0, 0}, 4, reserved},       // RFC 1112 §4, and the broadcast, RFC 8190
};

// Where an IPv4 address stands within an IPv6 one.
enum class Holds { nothing, at_2, at_12, inverted_at_12 };

struct Six {
  Address::V6 base;
  unsigned prefix;
  AddressClass kind;
  Holds holds = Holds::nothing;
};

// IANA's registry of special IPv6 addresses (RFC 6890 and its updates) and of what is assigned at all: 2000::/3.
constexpr std::array six_table{
    Six{{0xfd, 0, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54}, 128, metadata},  // AWS, fd00:ec2::254
    Six{{0xfd, 0, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x23}, 128, metadata},     // AWS EKS pods
    Six{{0xfd, 0x20, 0, 0xce, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54}, 128, metadata},  // Google, fd20:ce::254
    Six{{}, 128, unspecified},                                                            // RFC 4291 §2.5.2
    Six{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128, loopback},                 // RFC 4291 §2.5.3
    Six{{0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0}, 96, reserved, Holds::at_12},       // NAT64, RFC 6052
    Six{{0x20, 0x01, 0, 0}, 32, reserved, Holds::inverted_at_12},                         // Teredo, RFC 4380
    Six{{0x20, 0x01, 0, 0}, 23, reserved},         // protocol assignments, RFC 2928
    Six{{0x20, 0x01, 0x0d, 0xb8}, 32, reserved},   // documentation, RFC 3849
    Six{{0x20, 0x02}, 16, reserved, Holds::at_2},  // 6to4, RFC 3056
    Six{{0x3f, 0xff, 0}, 20, reserved},            // documentation, RFC 9637
    Six{{0x20}, 3, public_},                       // RFC 4291 §2.4, all that is assigned
    Six{{0xfc}, 7, private_},                      // unique local, RFC 4193
    Six{{0xfe, 0x80}, 10, link_local},             // RFC 4291 §2.5.6
    Six{{0xfe, 0xc0}, 10, private_},               // site local, withdrawn, RFC 3879
    Six{{0xff}, 8, multicast},                     // RFC 4291 §2.7
    // Not assigned, among it NAT64 with a prefix of the network's own (64:ff9b:1::/48, RFC 8215), the discard prefix
    // (100::/64, RFC 6666), segment routing (5f00::/16, RFC 9602) and IPv4-compatible addresses (RFC 4291 §2.5.5.1).
    Six{{}, 0, reserved},
};

bool holds(Bytes base, unsigned prefix, Bytes address) {
  const std::size_t whole = prefix / 8;
  if (!std::ranges::equal(base.first(whole), address.first(whole))) return false;
  const unsigned rest = prefix % 8;
  return rest == 0 || ((base[whole] ^ address[whole]) >> (8 - rest)) == 0;
}

AddressClass class_of_four(Bytes address) {
  for (const Four& entry : four_table) {
    if (holds(entry.base, entry.prefix, address)) return entry.kind;
  }
  return public_;
}

AddressClass class_of_six(Bytes address) {
  for (const Six& entry : six_table) {
    if (!holds(entry.base, entry.prefix, address)) continue;
    Address::V4 inner{};
    switch (entry.holds) {
      case Holds::nothing: return entry.kind;
      case Holds::at_2: std::ranges::copy(address.subspan(2, 4), inner.begin()); break;
      case Holds::at_12: std::ranges::copy(address.subspan(12, 4), inner.begin()); break;
      case Holds::inverted_at_12:
        std::ranges::transform(address.subspan(12, 4), inner.begin(),
                               [](std::uint8_t byte) { return static_cast<std::uint8_t>(~byte); });
        break;
    }
    return class_of_four(inner);
  }
  return reserved;
}

}  // namespace

AddressClass class_of(const Address& address) noexcept {
  return address.family() == Address::Family::v4 ? class_of_four(address.bytes()) : class_of_six(address.bytes());
}

std::string_view text_of(AddressClass kind) noexcept {
  switch (kind) {
    case public_: return "a public address";
    case unspecified: return "no host's address";
    case loopback: return "an address of this machine";
    case private_: return "a private address";
    case link_local: return "an address of the local link";
    case cgnat: return "an address of the provider's own network";
    case multicast: return "a multicast address";
    case metadata: return "a cloud's metadata address";
    case reserved: return "a reserved address";
  }
  return "a reserved address";
}

}  // namespace agentbox::gates::network
