// Two hostile texts: whatever is shown leads from one to the other.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "agentbox/base/diff.hpp"

#include "../base/apply_diff.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  std::string_view text(reinterpret_cast<const char*>(data + 2), size - 2);
  std::size_t middle = (data[0] * 256U + data[1]) % (text.size() + 1);
  std::string_view before = text.substr(0, middle), after = text.substr(middle);
  auto diff = agentbox::base::unified_diff(before, after, {.context = data[1] % 5U, .differences = data[0]});
  if ((diff.kind == agentbox::base::Diff::Kind::same) != (before == after)) __builtin_trap();
  if (diff.kind != agentbox::base::Diff::Kind::text) return 0;
  if (agentbox::test::apply_diff(before, diff.text) != after) __builtin_trap();
  return 0;
}
