// A walk's memory as a damaged disk may hold it. The checksum would stop nearly all of it, so it is made right first: what
// comes behind it must stand by itself. What is read can be written, and is then read as the same.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "walk_memory.hpp"

using agentbox::launch::memory_of;
using agentbox::launch::sealed_memory;
using agentbox::launch::WalkMemory;

namespace {

constexpr std::string_view key = "k";

// Some of the tree, in the order of its names: a few bytes can describe an endless one.
std::string text_of(const WalkMemory::Directory& directory, unsigned depth, std::size_t& left) {
  std::string text = std::to_string(directory.stamp().inode) + " " + std::to_string(directory.all_entries());
  if (depth > 200) return text;
  for (std::uint32_t i = 0; i < directory.size() && left > 0; ++i, --left) {
    WalkMemory::Entry entry = directory[i];
    if (entry.name.empty() || entry.name.find('/') != std::string_view::npos) __builtin_trap();
    text +=
        "\n" + std::string(depth, ' ') + std::string(entry.name) + " " + std::to_string(static_cast<int>(entry.kind));
    if (entry.kind != agentbox::policy::FileKind::directory) continue;
    if (WalkMemory::Directory below = directory.folder(entry.name)) text += " " + text_of(below, depth + 1, left);
  }
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view raw(reinterpret_cast<const char*>(data), size);
  (void)WalkMemory::parse(std::string(raw), key);
  // The first four bytes: where the top's record lies.
  std::uint32_t top = 0;
  for (std::size_t i = 0; i < 4 && !raw.empty(); ++i, raw.remove_prefix(1)) {
    top = top << 8 | static_cast<unsigned char>(raw.front());
  }
  std::optional<WalkMemory> memory = WalkMemory::parse(sealed_memory(raw, top, key), key);
  if (!memory) __builtin_trap();
  std::size_t left = 1000;
  std::string text = text_of(memory->top(), 0, left);
  std::optional<std::string> bytes = memory_of({}, &*memory, memory->place(), key);
  if (!bytes) return 0;  // many folders that share a record: too large once each has its own
  std::optional<WalkMemory> again = WalkMemory::parse(*bytes, key);
  if (!again) __builtin_trap();
  if (std::size_t same = 1000; left > 0 && text_of(again->top(), 0, same) != text) __builtin_trap();
  return 0;
}
