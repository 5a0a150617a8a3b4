// A configuration that an agent wrote, read to say what it would execute.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "agentbox/policy/git_config.hpp"

#include "guard_config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using agentbox::launch::executing_keys;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  if (executing_keys(text, 4).size() > 4) __builtin_trap();
  // What executes is never called harmless; an address without a helper may be.
  auto unfit = agentbox::policy::unfit_for_host(text, 4);
  if (unfit.size() > 4 || (unfit.empty() && !executing_keys(text, 1).empty())) __builtin_trap();
  return 0;
}
