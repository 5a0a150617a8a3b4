// The messages between the supervisor and init. What comes from the room may be any bytes: it must be refused, or be
// a message that encodes to the same bytes again.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "agentbox/wire/init_message.hpp"

namespace wire = agentbox::wire;

namespace {

template <class Decoded>
void round_trip(const Decoded& decoded, std::span<const std::byte> bytes) {
  if (!decoded) return;
  std::vector<std::byte> again = wire::encode(*decoded);
  if (!std::equal(again.begin(), again.end(), bytes.begin(), bytes.end())) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  round_trip(wire::decode_from_init(bytes), bytes);
  round_trip(wire::decode_to_init(bytes), bytes);
  round_trip(wire::decode_start(bytes), bytes);
  return 0;
}
