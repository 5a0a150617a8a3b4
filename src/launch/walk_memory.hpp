#pragma once

// What one walk leaves for the next: each directory, by what tells whether it has changed since, with those of
// its entries that can matter. Pure: bytes in, bytes out.
//
// Trust: the bytes lie in the owner's state folder, which no room may write (policy's Forbidden), and belong to
// one boot of the machine. So they are believed, but may be damaged: a checksum covers all of them, and each
// offset is looked at before it is used. Whatever is wrong counts as nothing remembered, and is read again.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/policy/facts.hpp"

namespace agentbox::launch {

// Equal stamps: the same directory with the same entries of the same kinds, their names included. Each entry
// that is made, removed or renamed sets the ctime of its directory, and no system call sets a ctime to a value
// of the caller's choice: utimensat(2) takes only the other two times.
struct Stamp {
  std::uint64_t inode = 0;
  std::int64_t changed_ns = 0, modified_ns = 0;
  friend bool operator==(const Stamp&, const Stamp&) = default;
};

// Where all of a memory's directories lie: on one mount. As statx(2) says it.
struct MountPlace {
  std::uint64_t device = 0, mount = 0;
  friend bool operator==(const MountPlace&, const MountPlace&) = default;
};

class WalkMemory {
 public:
  static constexpr std::size_t size_limit = 8 << 20;

  // Nothing if it is not a memory for exactly this key, or is damaged.
  [[nodiscard]] static std::optional<WalkMemory> parse(std::string bytes, std::string_view key);
  // What `bytes` say they are a memory for; empty if they are none.
  [[nodiscard]] static std::string_view key_in(std::string_view bytes);

  struct Entry {
    std::string_view name;
    policy::FileKind kind = policy::FileKind::missing;
  };
  // A directory as it was, or nothing at all. A view: it must not outlive its memory.
  class Directory {
   public:
    Directory() = default;
    explicit operator bool() const noexcept { return memory_ != nullptr; }

    // Never equal to that of a real directory when only its folders are remembered.
    [[nodiscard]] const Stamp& stamp() const noexcept { return stamp_; }
    [[nodiscard]] std::uint64_t all_entries() const noexcept { return all_entries_; }  // also those left out
    [[nodiscard]] bool has_folders() const noexcept { return has_folders_; }
    [[nodiscard]] std::uint32_t size() const noexcept { return count_; }
    [[nodiscard]] Entry operator[](std::uint32_t index) const;
    [[nodiscard]] Directory folder(std::string_view name) const;

   private:
    friend class WalkMemory;
    const WalkMemory* memory_ = nullptr;
    std::uint32_t at_ = 0, count_ = 0;
    bool has_folders_ = false;
    std::uint64_t all_entries_ = 0;
    Stamp stamp_;
  };
  [[nodiscard]] Directory top() const { return open(top_); }
  [[nodiscard]] const MountPlace& place() const noexcept { return place_; }

 private:
  WalkMemory() = default;
  [[nodiscard]] Directory open(std::uint32_t at) const;

  std::string bytes_;
  std::uint32_t top_ = 0;
  MountPlace place_;
};

// A directory that a walk has read.
struct DirectoryNote {
  std::string relative;  // "" for the top
  // Nothing: it could change without another stamp, or what matters of it is not all here.
  std::optional<Stamp> stamp;
  std::uint64_t all_entries = 0;

  void add(std::string_view name, policy::FileKind kind);
  [[nodiscard]] const std::string& packed() const noexcept { return packed_; }

 private:
  std::string packed_;  // for each entry its kind, its length, its name
};

// A memory of the directories in `notes`, and of those that `before` knows and that were not read again. Nothing
// if it would be too large.
[[nodiscard]] std::optional<std::string> memory_of(std::span<const DirectoryNote> notes, const WalkMemory* before,
                                                   const MountPlace& place, std::string_view key);

// Whatever `records` are, with a right checksum: for the tests.
[[nodiscard]] std::string sealed_memory(std::string_view records, std::uint32_t top, std::string_view key);

}  // namespace agentbox::launch
