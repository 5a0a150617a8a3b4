// A configuration that an agent wrote, read to say what it would execute.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "guard_config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using agentbox::launch::executing_keys;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  if (executing_keys(text, 4).size() > 4) __builtin_trap();
  return 0;
}
