#include "walk_store.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <tuple>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"

#include "files.hpp"
#include "guard_tree.hpp"
#include "places.hpp"

namespace agentbox::launch {

using base::AbsPath;
using base::UniqueFd;

namespace {

// A walk that read less is not worth a file: about a millisecond. A directory costs as much as so many entries.
constexpr std::uint64_t worth_saving = 4000;
constexpr std::uint64_t directory_cost = 16;
constexpr std::size_t files_limit = 64;
constexpr std::uint64_t bytes_limit = 64 << 20;
// A file that is used is made the youngest again, but not at each start.
constexpr std::int64_t use_counts_after_s = 3600;

// Each item with its length: no two lists of items look alike.
class Key {
 public:
  void add(std::uint32_t number) { text_.append(reinterpret_cast<const char*>(&number), sizeof number); }
  void add(std::string_view item) {
    add(static_cast<std::uint32_t>(item.size()));
    text_ += item;
  }
  template <class Range>
  void add_all(const Range& items) {
    add(static_cast<std::uint32_t>(items.size()));
    for (const auto& item : items) add(std::string_view(item));
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

// Stamps are the kernel's word for as long as it runs. After that the disk may have been in another machine, or have
// lost what was written last. Empty: the kernel doesn't say.
std::string boot() {
  return read_kernel_file("/proc/sys/kernel/random/boot_id", 64).value_or("");
}

std::string key_of(const WalkRequest& request) {
  std::string current = boot();
  if (current.empty()) return {};
  Key key;
  for (std::string_view item :
       {std::string_view(AGENTBOX_VERSION), std::string_view(current), std::string_view(request.top.str())}) {
    key.add(item);
  }
  key.add_all(request.foreign);
  key.add_all(request.markers);
  key.add_all(request.kinds);
  for (const policy::PatternSet::Pattern& pattern : request.patterns) {
    key.add(static_cast<std::uint32_t>(pattern.base) * 4 + (pattern.any_depth ? 2U : 0U) + (pattern.hides ? 1U : 0U));
    key.add_all(pattern.components);
  }
  return key.take();
}

// The first item of a key's rest; empty at its end.
std::string_view take_item(std::string_view& rest) {
  std::uint32_t size = 0;
  if (rest.size() < sizeof size) return {};
  std::memcpy(&size, rest.data(), sizeof size);
  std::string_view item = rest.substr(sizeof size, size);
  rest.remove_prefix(sizeof size + item.size());
  return item;
}

// May a walk to come read what has this key?
bool is_of_use(std::string_view key) {
  if (take_item(key) != AGENTBOX_VERSION || take_item(key) != boot()) return false;
  std::optional<AbsPath> top = AbsPath::parse(take_item(key));
  struct stat seen{};
  return top && (::lstat(top->c_str(), &seen) == 0 ? S_ISDIR(seen.st_mode) : errno != ENOENT && errno != ENOTDIR);
}

// FNV-1a. Two keys with one name take turns, no more: the file holds the key.
std::uint64_t hash(std::string_view text) {
  std::uint64_t sum = 0xcbf29ce484222325;
  for (char byte : text) sum = (sum ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  return sum;
}

bool is_private(const struct stat& seen) {
  return seen.st_uid == ::geteuid() && (seen.st_mode & 0077) == 0;
}

UniqueFd open_folder(const AbsPath& path) {
  UniqueFd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat seen{};
  if (!folder || ::fstat(folder.get(), &seen) != 0 || !is_private(seen)) return {};
  return folder;
}

std::optional<std::string> read_memory(int folder, const std::string& name) {
  UniqueFd file(::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat seen{};
  if (!file || ::fstat(file.get(), &seen) != 0 || !S_ISREG(seen.st_mode) || !is_private(seen)) return std::nullopt;
  if (static_cast<std::uint64_t>(seen.st_size) > WalkMemory::size_limit) return std::nullopt;
  std::string bytes(static_cast<std::size_t>(seen.st_size), '\0');
  if (::read(file.get(), bytes.data(), bytes.size()) != seen.st_size) return std::nullopt;
  if (::time(nullptr) - seen.st_mtime > use_counts_after_s) ::futimens(file.get(), nullptr);
  return bytes;
}

std::uint64_t worth_of(const std::vector<DirectoryNote>& notes) {
  std::uint64_t worth = 0;
  for (const DirectoryNote& note : notes) worth += note.stamp ? note.all_entries + directory_cost : 0;
  return worth;
}

// The least recently used go. Half-written ones, of a run that was killed, grow old like the others.
void trim(int folder) {
  std::optional<std::vector<std::string>> names = names_in(folder, 10'000);
  if (!names) return;
  std::vector<std::tuple<std::int64_t, std::string, std::uint64_t>> files;
  for (std::string& name : *names) {
    std::optional<Entry> entry = look_at(folder, name);
    if (entry) files.emplace_back(entry->modified_ns, std::move(name), entry->size);
  }
  std::ranges::sort(files, std::ranges::greater());
  std::uint64_t count = 0, bytes = 0;
  for (const auto& [modified, name, size] : files) {
    bytes += size;
    if (++count > files_limit || bytes > bytes_limit) ::unlinkat(folder, name.c_str(), 0);
  }
}

}  // namespace

WalkStore::WalkStore(const AbsPath& state_folder, const WalkRequest& request)
    : folder_(state_folder / "walks"), key_(key_of(request)), name_(fmt::format("{:016x}", hash(key_))) {}

std::shared_ptr<const WalkMemory> WalkStore::load() const {
  if (key_.empty()) return nullptr;
  UniqueFd folder = open_folder(folder_);
  std::optional<std::string> bytes = folder ? read_memory(folder.get(), name_) : std::nullopt;
  std::optional<WalkMemory> memory = bytes ? WalkMemory::parse(*std::move(bytes), key_) : std::nullopt;
  return memory ? std::make_shared<const WalkMemory>(*std::move(memory)) : nullptr;
}

void WalkStore::save() noexcept {
  try {
    WalkNotes notes = std::move(notes_);
    notes_ = {};
    if (key_.empty() || worth_of(notes.directories) < worth_saving) return;
    std::optional<std::string> bytes = memory_of(notes.directories, notes.before.get(), notes.place, key_);
    if (bytes) write(*bytes);
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): the next start walks in full
  }
}

std::size_t WalkStore::forget(const AbsPath& state_folder) {
  UniqueFd folder = open_folder(state_folder / "walks");
  std::optional<std::vector<std::string>> names = folder ? names_in(folder.get(), 10'000) : std::nullopt;
  std::size_t removed = 0;
  for (const std::string& name : names.value_or(std::vector<std::string>())) {
    if (name.starts_with('.')) continue;  // being written, or half-written by a run that was killed: `trim` has it
    std::optional<std::string> bytes = read_memory(folder.get(), name);
    if (bytes && is_of_use(WalkMemory::key_in(*bytes))) continue;
    if (::unlinkat(folder.get(), name.c_str(), 0) == 0) ++removed;
  }
  return removed;
}

void WalkStore::write(const std::string& bytes) const {
  make_private_folders(folder_);
  UniqueFd folder = open_folder(folder_);
  if (!folder) return;
  // Another run may be writing the same memory: each has a file of its own until it is whole.
  std::string temporary = fmt::format(".{}-{}", name_, ::getpid());
  ::unlinkat(folder.get(), temporary.c_str(), 0);
  UniqueFd file(::openat(folder.get(), temporary.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return;
  bool is_whole = ::write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
  if (!is_whole || ::renameat(folder.get(), temporary.c_str(), folder.get(), name_.c_str()) != 0) {
    ::unlinkat(folder.get(), temporary.c_str(), 0);
  }
  trim(folder.get());
}

}  // namespace agentbox::launch
