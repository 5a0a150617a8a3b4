// Any bytes as a host: what is read is never longer than four bytes for each of its letters.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "network/punycode.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto text = agentbox::gates::network::decoded_host(bytes); text && text->size() > 4 * size) std::abort();
  return 0;
}
