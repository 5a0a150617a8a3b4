// Any bytes as a .git file and as a repository's configuration: both come from trees that an agent can write. Beyond
// "no crash": what is taken for a path could be one, and a value never holds what its text did not.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "git_text.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace agentbox::launch;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const auto& path : {parse_gitfile(bytes), parse_path_line(bytes)}) {
    if (path && (path->empty() || path->size() > 4095 || path->find('\0') != std::string::npos)) std::abort();
  }
  for (const char* key : {"worktree", "hookspath"}) {
    auto value = config_value(bytes, "core", key);
    if (value && value->size() > size + 4) std::abort();  // "true" stands for a key without a value
  }
  return 0;
}
