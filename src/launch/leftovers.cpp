#include "leftovers.hpp"

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/base/diff.hpp"
#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/base/sha256.hpp"
#include "agentbox/launch/quarantine.hpp"

#include "guard_text.hpp"
#include "held.hpp"

namespace agentbox::launch {

namespace {

using base::AbsPath;
using base::SystemError;
using base::UniqueFd;
using policy::FileKind;

constexpr std::size_t most_entries = 500;         // of one leftover
constexpr std::uint64_t most_bytes = 4ULL << 20;  // of one leftover
constexpr std::size_t most_shown = 512 * 1024;    // bytes of a difference
constexpr std::size_t most_leftovers = 50;

std::optional<std::string> read_part(int file, std::uint64_t offset, std::uint64_t size) {
  std::string text(size, '\0');
  for (std::size_t at = 0; at < text.size();) {
    ssize_t count = ::pread(file, text.data() + at, text.size() - at, static_cast<off_t>(offset + at));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return std::nullopt;
    at += static_cast<std::size_t>(count);
  }
  return text;
}

}  // namespace

// ---- reading --------------------------------------------------------------------------------------------------------

struct Sight::Bounds {
  std::size_t entries = most_entries;
  std::uint64_t bytes = most_bytes;
  int depth = held_depth_limit;
};

bool Sight::add(int directory, const std::string& name, const std::string& relative, Bounds& bounds) {
  std::optional<Entry> entry = look_at(directory, name);
  if (!entry) return true;
  if (bounds.entries == 0 || bounds.depth == 0) return false;
  --bounds.entries;
  Node& node = nodes_[relative];
  node.kind = entry->kind;
  node.mode = entry->kind == FileKind::symlink ? 0 : entry->mode;
  if (entry->kind == FileKind::symlink) {
    node.text = read_link(directory, name);
  } else if (entry->kind == FileKind::regular) {
    std::expected<UniqueFd, int> file = open_regular(directory, name);
    if (!file) return false;
    const std::uint64_t size = look_at(file->get()).size;
    if (size > bounds.bytes) return false;
    bounds.bytes -= size;
    std::optional<std::string> text = read_part(file->get(), 0, size);
    if (!text) return false;
    node.text = *std::move(text);
  } else if (entry->kind == FileKind::directory) {
    std::expected<UniqueFd, int> inside = open_directory(directory, name);
    std::optional<std::vector<std::string>> names;
    if (inside) names = names_in(inside->get(), bounds.entries + 1);
    if (!names) return false;
    --bounds.depth;
    for (const std::string& child : *names) {
      if (!add(inside->get(), child, relative.empty() ? child : relative + "/" + child, bounds)) return false;
    }
    ++bounds.depth;
  }
  return true;
}

std::optional<Sight> Sight::of(int directory, const std::string& name) {
  Sight sight;
  Bounds bounds;
  try {
    if (!sight.add(directory, name, "", bounds)) return std::nullopt;
  } catch (const SystemError&) {
    return std::nullopt;
  }
  return sight;
}

std::optional<Sight> Sight::of(const HeldPath& held, int copies) {
  Sight sight;
  std::uint64_t left = most_bytes;
  for (const HeldNode& node : held.nodes) {
    Node& seen = sight.nodes_[node.relative];
    seen = {.kind = node.kind, .mode = node.kind == FileKind::symlink ? 0 : node.mode, .text = node.target};
    if (node.kind != FileKind::regular) continue;
    if (node.size > left) return std::nullopt;
    left -= node.size;
    std::optional<std::string> text = read_part(copies, node.offset, node.size);
    if (!text) return std::nullopt;
    seen.text = *std::move(text);
  }
  return sight;
}

std::uint64_t Sight::bytes() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& [relative, node] : nodes_) sum += node.text.size();
  return sum;
}

std::string Sight::hash() const {
  if (nodes_.empty()) return {};
  if (const Node& itself = nodes_.begin()->second; itself.kind == FileKind::regular) return base::sha256(itself.text);
  base::Sha256 hash;
  for (const auto& [relative, node] : nodes_) {
    for (const std::string& field :
         {relative, std::string(kind_name(node.kind)), fmt::format("{:o}", node.mode), node.text}) {
      hash.update(fmt::format("{}:", field.size())).update(field);
    }
  }
  return hash.digest();
}

// ---- comparing ------------------------------------------------------------------------------------------------------

namespace {

const Sight::Node* find(const Sight& sight, const std::string& relative) {
  auto found = sight.nodes().find(relative);
  return found == sight.nodes().end() ? nullptr : &found->second;
}

struct Pair {
  std::string relative;
  const Sight::Node *before = nullptr, *after = nullptr;  // one may be missing
};

std::vector<Pair> differing(const Sight& before, const Sight& after) {
  std::set<std::string> all;
  for (const Sight* sight : {&before, &after}) {
    for (const auto& [relative, node] : sight->nodes()) all.insert(relative);
  }
  std::vector<Pair> pairs;
  for (const std::string& relative : all) {
    Pair pair{relative, find(before, relative), find(after, relative)};
    if (pair.before == nullptr || pair.after == nullptr || *pair.before != *pair.after)
      pairs.push_back(std::move(pair));
  }
  return pairs;
}

std::string_view verb(const Pair& pair) {
  if (pair.before == nullptr) return "new";
  return pair.after == nullptr ? "gone" : "changed";
}

// What isn't text, in one line that stands for it.
std::string stand_in(char mark, const Sight::Node& node) {
  switch (node.kind) {
    case FileKind::regular:
      return fmt::format("{}{} bytes that are not text, SHA-256 {}\n", mark, node.text.size(), base::sha256(node.text));
    case FileKind::symlink: return fmt::format("{}a symbolic link to {}\n", mark, base::escape(node.text));
    default: return fmt::format("{}a {}\n", mark, kind_name(node.kind));
  }
}

bool is_text(const Sight::Node* node) {
  return node == nullptr || (node->kind == FileKind::regular && node->text.find('\0') == std::string::npos);
}

// Nothing: it is longer than `room`.
std::optional<std::string> difference(const Pair& pair, std::size_t room) {
  std::string text;
  const bool both = pair.before != nullptr && pair.after != nullptr;
  if (both && pair.before->mode != pair.after->mode) {
    text += fmt::format("-mode {:04o}\n+mode {:04o}\n", pair.before->mode, pair.after->mode);
  }
  if (pair.before == nullptr && pair.after->kind == FileKind::regular && (pair.after->mode & 0111U) != 0) {
    text += fmt::format("+mode {:04o}, executable\n", pair.after->mode);
  }
  if (is_text(pair.before) && is_text(pair.after)) {
    base::Diff diff =
        base::unified_diff(pair.before == nullptr ? std::string_view() : pair.before->text,
                           pair.after == nullptr ? std::string_view() : pair.after->text, {.shown = room});
    if (diff.kind == base::Diff::Kind::too_long) return std::nullopt;
    return text + diff.text;
  }
  if (both && pair.before->kind == pair.after->kind && pair.before->text == pair.after->text) return text;
  if (pair.before != nullptr) text += stand_in('-', *pair.before);
  if (pair.after != nullptr) text += stand_in('+', *pair.after);
  return text;
}

}  // namespace

std::string in_words(const Sight& before, const Sight& after) {
  if (before.nodes().empty()) return "is new";
  if (after.nodes().empty()) return "was deleted";
  std::string words;
  std::size_t count = 0;
  for (const Pair& pair : differing(before, after)) {
    if (pair.relative.empty()) return "was changed";
    if (++count <= 5)
      words += fmt::format("{}{}: {}", words.empty() ? "" : ", ", verb(pair), base::escape(pair.relative));
  }
  if (count > 5) words += fmt::format(" and {} more", count - 5);
  return words;
}

std::optional<std::string> difference(const Sight& before, const Sight& after) {
  std::string text;
  for (const Pair& pair : differing(before, after)) {
    // A name can hold a newline: then it would look like lines of the file.
    if (!pair.relative.empty()) text += fmt::format("@@ {}: {} @@\n", verb(pair), base::escape(pair.relative));
    std::optional<std::string> one = difference(pair, most_shown - std::min(text.size(), most_shown));
    if (!one || text.size() + one->size() > most_shown) return std::nullopt;
    text += *one;
  }
  return text;
}

// ---- finding --------------------------------------------------------------------------------------------------------

namespace {

class Finder {
 public:
  explicit Finder(const AbsPath& state_folder) : state_folder_(state_folder) {}

  void add(const HeldPath& held, int copies, const Tree& tree) {
    if (is_full()) return;
    std::expected<UniqueFd, int> parent = tree.directory(held.path.parent());
    if (!parent && parent.error() != ENOENT && parent.error() != ENOTDIR) return;
    std::optional<Sight> before = Sight::of(held, copies);
    std::optional<Sight> after = parent ? Sight::of(parent->get(), std::string(held.path.name())) : Sight();
    if (!before || !after || *before == *after) return;
    std::string words = in_words(*before, *after);
    add(Leftover::Kind::held, held.path, std::move(words), *before, *std::move(after), {});
  }

  void add(const GuardEvent& event) {
    if (is_full()) return;
    UniqueFd all = open_state_folder(state_folder_, "quarantine");
    std::expected<UniqueFd, int> item = open_directory(all.get(), event.id);
    if (!item) return;
    std::optional<Sight> after = Sight::of(item->get(), "content");
    // What is a description only can't be put back.
    if (!after || after->nodes().empty()) return;
    base::Result<Quarantined> description = Quarantine(state_folder_).find(event.id);
    if (!description) return;
    after->give_mode(description->mode);
    add(Leftover::Kind::quarantined, event.path, event.detail, Sight(), *std::move(after), event.id);
  }

  Leftovers take() { return std::move(found_); }

 private:
  [[nodiscard]] bool is_full() const { return found_.all.size() >= most_leftovers; }

  void add(Leftover::Kind kind, const AbsPath& path, std::string what, const Sight& before, Sight after,
           std::string id) {
    std::optional<std::string> shown = difference(before, after);
    if (!shown) return;
    found_.all.push_back({.kind = kind,
                          .path = path,
                          .what = std::move(what),
                          .difference = *std::move(shown),
                          .before = before.hash(),
                          .after = after.hash(),
                          .size = after.bytes()});
    found_.ids.push_back(std::move(id));
    found_.now.push_back(std::move(after));
  }

  const AbsPath& state_folder_;
  Leftovers found_;
};

}  // namespace

Leftovers find_leftovers(const Record& record, const RunFolder& folder, const Tree& tree, const AbsPath& state_folder,
                         const std::vector<GuardEvent>& events) {
  Finder finder(state_folder);
  std::expected<UniqueFd, int> copies = folder.open_copies();
  for (const HeldPath& held : record.held) {
    if (copies || held.nodes.empty()) finder.add(held, copies ? copies->get() : -1, tree);
  }
  std::set<AbsPath> seen;
  for (auto event = events.rbegin(); event != events.rend(); ++event) {
    if (event->kind != GuardEvent::Kind::quarantined || event->id.empty() || !seen.insert(event->path).second) continue;
    try {
      finder.add(*event);
    } catch (const SystemError&) {
      continue;  // it stays where it is
    }
  }
  return finder.take();
}

bool is_as_shown(const Tree& tree, const AbsPath& path, const Sight& shown) {
  std::expected<UniqueFd, int> parent = tree.directory(path.parent());
  if (!parent) return shown.nodes().empty() && (parent.error() == ENOENT || parent.error() == ENOTDIR);
  std::optional<Sight> now = Sight::of(parent->get(), std::string(path.name()));
  return now && *now == shown;
}

}  // namespace agentbox::launch
