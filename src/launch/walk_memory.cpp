#include "walk_memory.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>
#include <unordered_map>
#include <utility>

namespace agentbox::launch {

using policy::FileKind;

namespace {

// The file: Head, the key, then records. A record is a RecordHead, its Slots sorted by name, and the names. The
// records of a directory's folders stand before its own, so no chain of offsets has a loop. In this machine's
// byte order: it is never carried to another one.
constexpr std::uint64_t magic = 0x31306b6c77786261;  // "abxwlk01"
constexpr std::size_t name_limit = 255;
// As deep as a walk goes, and more.
constexpr unsigned depth_limit = 256;

struct Head {
  std::uint64_t magic, checksum;  // of all that follows
  std::uint64_t size, device, mount;
  std::uint32_t key_size, top;
};
struct RecordHead {
  std::uint64_t inode;
  std::int64_t changed_ns, modified_ns;
  std::uint64_t all_entries;
  std::uint32_t count, folders;
};
struct Slot {
  std::uint32_t name;    // offset
  std::uint32_t folder;  // offset of its record; 0: none
  std::uint8_t kind, length;
  std::uint16_t unused;
};
static_assert(std::has_unique_object_representations_v<Head> && std::has_unique_object_representations_v<RecordHead> &&
              std::has_unique_object_representations_v<Slot>);

constexpr std::size_t unsummed = 2 * sizeof(std::uint64_t);

template <class T>
T take(std::string_view bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}
template <class T>
void append(std::string& to, const T& value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// Against a disk that lost power, not against a forger.
std::uint64_t checksum(std::string_view bytes) {
  std::uint64_t sum = 0x9e3779b97f4a7c15;
  auto mix = [&sum](std::uint64_t word) { sum = (std::rotl(sum, 23) ^ word) * 0xff51afd7ed558ccd; };
  for (; bytes.size() >= sizeof sum; bytes.remove_prefix(sizeof sum)) mix(take<std::uint64_t>(bytes, 0));
  for (char byte : bytes) mix(static_cast<unsigned char>(byte));
  return sum ^ (sum >> 32);
}

// Writes the head of `bytes`, which have room for it.
void seal(std::string& bytes, const MountPlace& place, std::uint32_t key_size, std::uint32_t top) {
  Head head{.magic = magic,
            .checksum = 0,
            .size = bytes.size(),
            .device = place.device,
            .mount = place.mount,
            .key_size = key_size,
            .top = top};
  std::memcpy(bytes.data(), &head, sizeof head);
  head.checksum = checksum(std::string_view(bytes).substr(unsummed));
  std::memcpy(bytes.data(), &head, sizeof head);
}

bool is_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

bool is_kind(std::uint8_t kind) {
  return kind > std::to_underlying(FileKind::missing) && kind <= std::to_underlying(FileKind::unreadable);
}

}  // namespace

std::optional<WalkMemory> WalkMemory::parse(std::string bytes, std::string_view key) {
  if (bytes.size() < sizeof(Head) || bytes.size() > size_limit) return std::nullopt;
  Head head = take<Head>(bytes, 0);
  if (head.magic != magic || head.size != bytes.size() || head.key_size != key.size()) return std::nullopt;
  std::string_view all = bytes;
  if (all.substr(sizeof head, head.key_size) != key) return std::nullopt;
  if (head.checksum != checksum(all.substr(unsummed))) return std::nullopt;
  WalkMemory memory;
  memory.bytes_ = std::move(bytes);
  memory.top_ = head.top;
  memory.place_ = {head.device, head.mount};
  return memory;
}

std::string_view WalkMemory::key_in(std::string_view bytes) {
  if (bytes.size() < sizeof(Head)) return {};
  Head head = take<Head>(bytes, 0);
  if (head.magic != magic || head.key_size > bytes.size() - sizeof head) return {};
  return bytes.substr(sizeof head, head.key_size);
}

WalkMemory::Directory WalkMemory::open(std::uint32_t at) const {
  std::string_view bytes = bytes_;
  if (at < sizeof(Head) || at > bytes.size() || bytes.size() - at < sizeof(RecordHead)) return {};
  auto head = take<RecordHead>(bytes, at);
  std::size_t slots = at + sizeof head;
  if ((bytes.size() - slots) / sizeof(Slot) < head.count) return {};
  std::string_view last;
  for (std::uint32_t i = 0; i < head.count; ++i) {
    Slot slot = take<Slot>(bytes, slots + i * sizeof(Slot));
    if (slot.name > bytes.size() || bytes.size() - slot.name < slot.length) return {};
    std::string_view name = bytes.substr(slot.name, slot.length);
    if (!is_name(name) || !is_kind(slot.kind) || slot.folder >= at || (i > 0 && name <= last)) return {};
    last = name;
  }
  Directory directory;
  directory.memory_ = this;
  directory.at_ = static_cast<std::uint32_t>(slots);
  directory.count_ = head.count;
  directory.has_folders_ = head.folders != 0;
  directory.all_entries_ = head.all_entries;
  directory.stamp_ = {head.inode, head.changed_ns, head.modified_ns};
  return directory;
}

WalkMemory::Entry WalkMemory::Directory::operator[](std::uint32_t index) const {
  std::string_view bytes = memory_->bytes_;
  Slot slot = take<Slot>(bytes, at_ + index * sizeof(Slot));
  return {bytes.substr(slot.name, slot.length), static_cast<FileKind>(slot.kind)};
}

WalkMemory::Directory WalkMemory::Directory::folder(std::string_view name) const {
  if (memory_ == nullptr || !has_folders_) return {};
  std::string_view bytes = memory_->bytes_;
  std::uint32_t begin = 0, end = count_;
  while (begin < end) {
    std::uint32_t middle = begin + (end - begin) / 2;
    Slot slot = take<Slot>(bytes, at_ + middle * sizeof(Slot));
    int order = bytes.substr(slot.name, slot.length).compare(name);
    if (order == 0) return slot.folder == 0 ? Directory() : memory_->open(slot.folder);
    (order < 0 ? begin : end) = order < 0 ? middle + 1 : middle;
  }
  return {};
}

void DirectoryNote::add(std::string_view name, FileKind kind) {
  if (name.size() > name_limit) {
    stamp.reset();
    return;
  }
  packed_ += static_cast<char>(kind);
  packed_ += static_cast<char>(static_cast<unsigned char>(name.size()));
  packed_ += name;
}

namespace {

class Writer {
 public:
  Writer(std::span<const DirectoryNote> notes, std::string_view key) {
    for (const DirectoryNote& note : notes) notes_[note.relative] = &note;
    bytes_.resize(sizeof(Head));
    bytes_ += key;
  }
  // The offset of a record for `relative`; 0 if nothing is known of it.
  std::uint32_t write(const std::string& relative, const WalkMemory::Directory& before, unsigned depth) {
    auto found = notes_.find(relative);
    bool is_noted = found != notes_.end();
    if ((!is_noted && !before) || depth > depth_limit || bytes_.size() > WalkMemory::size_limit) return 0;
    std::vector<WalkMemory::Entry> entries = is_noted ? entries_of(*found->second) : entries_of(before);
    std::vector<std::uint32_t> folders;
    for (const WalkMemory::Entry& entry : entries) {
      bool is_folder = entry.kind == FileKind::directory;
      std::string path = relative.empty() ? "" : relative + "/";
      folders.push_back(is_folder ? write(path.append(entry.name), before.folder(entry.name), depth + 1) : 0);
    }
    Stamp stamp = is_noted ? found->second->stamp.value_or(Stamp()) : before.stamp();
    std::uint64_t all = is_noted ? found->second->all_entries : before.all_entries();
    return put(entries, folders, stamp, all);
  }
  [[nodiscard]] std::optional<std::string> finish(const MountPlace& place, std::uint32_t key_size, std::uint32_t top) {
    if (bytes_.size() > WalkMemory::size_limit) return std::nullopt;
    seal(bytes_, place, key_size, top);
    return std::move(bytes_);
  }

 private:
  static std::vector<WalkMemory::Entry> entries_of(const DirectoryNote& note) {
    std::vector<WalkMemory::Entry> entries;
    std::string_view rest = note.packed();
    while (!rest.empty()) {
      auto kind = static_cast<FileKind>(rest[0]);
      auto length = static_cast<unsigned char>(rest[1]);
      entries.push_back({rest.substr(2, length), kind});
      rest.remove_prefix(2U + length);
    }
    std::ranges::sort(entries, {}, &WalkMemory::Entry::name);
    return entries;
  }
  static std::vector<WalkMemory::Entry> entries_of(const WalkMemory::Directory& before) {
    std::vector<WalkMemory::Entry> entries;
    for (std::uint32_t i = 0; i < before.size(); ++i) entries.push_back(before[i]);
    return entries;
  }
  std::uint32_t put(const std::vector<WalkMemory::Entry>& entries, const std::vector<std::uint32_t>& folders,
                    const Stamp& stamp, std::uint64_t all_entries) {
    auto at = static_cast<std::uint32_t>(bytes_.size());
    auto count = static_cast<std::uint32_t>(entries.size());
    RecordHead head{.inode = stamp.inode,
                    .changed_ns = stamp.changed_ns,
                    .modified_ns = stamp.modified_ns,
                    .all_entries = all_entries,
                    .count = count,
                    .folders = static_cast<std::uint32_t>(
                        std::ranges::count(entries, FileKind::directory, &WalkMemory::Entry::kind))};
    append(bytes_, head);
    auto name = static_cast<std::uint32_t>(bytes_.size() + count * sizeof(Slot));
    for (std::uint32_t i = 0; i < count; ++i) {
      auto length = static_cast<std::uint8_t>(entries[i].name.size());
      append(bytes_, Slot{.name = name,
                          .folder = folders[i],
                          .kind = static_cast<std::uint8_t>(entries[i].kind),
                          .length = length,
                          .unused = 0});
      name += length;
    }
    for (const WalkMemory::Entry& entry : entries) bytes_ += entry.name;
    return at;
  }

  std::unordered_map<std::string_view, const DirectoryNote*> notes_;
  std::string bytes_;
};

}  // namespace

std::optional<std::string> memory_of(std::span<const DirectoryNote> notes, const WalkMemory* before,
                                     const MountPlace& place, std::string_view key) {
  Writer writer(notes, key);
  std::uint32_t top = writer.write("", before != nullptr ? before->top() : WalkMemory::Directory(), 0);
  return writer.finish(place, static_cast<std::uint32_t>(key.size()), top);
}

std::string sealed_memory(std::string_view records, std::uint32_t top, std::string_view key) {
  std::string bytes(sizeof(Head), '\0');
  bytes.append(key).append(records);
  seal(bytes, {}, static_cast<std::uint32_t>(key.size()), top);
  return bytes;
}

}  // namespace agentbox::launch
