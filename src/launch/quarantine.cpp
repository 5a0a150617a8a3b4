#include "quarantine.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"

#include "guard_text.hpp"
#include "record.hpp"

namespace agentbox::launch {

namespace {

using base::AbsPath;
using base::SystemError;
using base::UniqueFd;
using nlohmann::json;
using policy::FileKind;

constexpr const char* content_name = "content";
constexpr const char* description_name = "item.json";
constexpr const char* temporary_name = ".agentbox-restore";

std::string day_of(std::int64_t when) {
  std::time_t seconds = when;
  std::tm parts = {};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}{:02}{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
}

std::string fresh_id(std::int64_t when) {
  constexpr std::string_view letters = "23456789abcdefghjkmnpqrstuvwxyz";  // none that look alike
  unsigned char bytes[6] = {};
  if (::getrandom(bytes, sizeof bytes, 0) != static_cast<ssize_t>(sizeof bytes)) throw SystemError(errno, "getrandom");
  std::string id = day_of(when) + "-";
  for (unsigned char byte : bytes) id += letters[byte % letters.size()];
  return id;
}

std::string describe(const Quarantined& item, bool sealed) {
  json text = {{"version", 1},
               {"sealed", sealed},
               {"when", item.when},
               {"session", item.session},
               {"profile", encode_bytes(item.profile)},
               {"path", encode_bytes(item.path.str())},
               {"kind", kind_name(item.kind)},
               {"size", item.size},
               {"mode", item.mode},
               {"modified_ns", item.modified_ns},
               {"why", encode_bytes(item.why)}};
  return text.dump(2) + "\n";
}

Quarantined unreadable(std::string id) {
  return {.id = std::move(id), .kind = FileKind::unreadable, .why = "its description cannot be read"};
}

Quarantined read_item(int folder, const std::string& id) {
  std::expected<UniqueFd, int> item = open_directory(folder, id);
  if (!item) return unreadable(id);
  std::expected<std::string, int> text = read_start(item->get(), description_name, 64 * 1024);
  if (!text) return unreadable(id);
  try {
    json parsed = json::parse(*text);
    Quarantined found;
    found.id = id;
    found.when = parsed.at("when").get<std::int64_t>();
    found.session = parsed.at("session").get<std::string>();
    found.profile = decode_bytes(parsed.at("profile").get<std::string>()).value_or("");
    std::optional<std::string> path = decode_bytes(parsed.at("path").get<std::string>());
    std::optional<base::AbsPath> absolute = path ? base::AbsPath::parse(*path) : std::nullopt;
    std::optional<FileKind> kind = kind_of_name(parsed.at("kind").get<std::string>());
    if (!absolute || !kind) return unreadable(id);
    found.path = *absolute;
    found.kind = *kind;
    found.size = parsed.at("size").get<std::uint64_t>();
    found.mode = parsed.at("mode").get<std::uint32_t>();
    found.modified_ns = parsed.at("modified_ns").get<std::int64_t>();
    found.why = decode_bytes(parsed.at("why").get<std::string>()).value_or("");
    return found;
  } catch (const json::exception&) {
    return unreadable(id);
  }
}

// A new item's folder, with its description already on disk: a crash leaves an item without content, never
// content without a description.
struct NewItem {
  std::string id;
  UniqueFd folder, item;
  bool complete = false;  // all of it is here, and the original is being removed piece by piece: must not be dropped
};

void sync(int descriptor) {
  if (::fsync(descriptor) != 0) throw SystemError(errno, "cannot write the quarantine to disk");
}

NewItem make_item(const Taking& taking, Quarantined description, bool sealed) {
  UniqueFd state = open_state_folder(taking.state_folder, "quarantine");
  NewItem made;
  for (int attempt = 0;; ++attempt) {
    made.id = fresh_id(description.when);
    int error = make_directory(state.get(), made.id, 0700);
    if (error == 0) break;
    if (error != EEXIST || attempt == 8) throw SystemError(error, "cannot make a place in the quarantine");
  }
  std::expected<UniqueFd, int> item = open_directory(state.get(), made.id);
  if (!item) throw SystemError(item.error(), "cannot open a place in the quarantine");
  made.item = std::move(*item);
  made.folder = std::move(state);
  description.id = made.id;
  write_file(made.item.get(), description_name, describe(description, sealed), Durable::yes);
  return made;
}

void drop_item(const NewItem& made) {
  Bound bound{.entries = 1'000'000};
  (void)remove_tree(made.folder.get(), made.id, bound);
}

Quarantined description_of(const Taking& taking, const Entry& entry) {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  return {.when = std::chrono::duration_cast<std::chrono::seconds>(now).count(),
          .session = taking.session,
          .profile = taking.profile,
          .path = taking.path,
          .kind = entry.kind,
          .size = entry.kind == FileKind::regular ? entry.size : 0,
          .mode = entry.mode & 0777,
          .modified_ns = entry.modified_ns,
          .why = taking.why};
}

[[noreturn]] void refuse(int error, const Taking& taking, std::string_view why) {
  throw SystemError(error, fmt::format("cannot take {} to the quarantine{}", base::escape(taking.path.str()), why));
}

// The entry must still be the one that was copied: another room may be at work in the same tree.
void remove_taken(const Taking& taking, int directory, const std::string& name, const Entry& copied) {
  std::optional<Entry> now = look_at(directory, name);
  if (!now) return;
  if (!same_object(*now, copied)) refuse(0, taking, ": it changes while it is taken");
  int error = remove_entry(directory, name, copied.kind);
  if (error != 0 && error != ENOENT) refuse(error, taking, "");
}

bool copy_file(const Taking& taking, const NewItem& made, int directory, const std::string& name, const Entry& entry) {
  if (entry.size > quarantine_copy_limit) return false;
  std::expected<UniqueFd, int> file = open_regular(directory, name);
  if (!file) return false;
  Entry opened = look_at(file->get());
  if (opened.inode != entry.inode || opened.device != entry.device) return false;
  NewFile copy{file->get(), 0, entry.size, 0600, entry.modified_ns};
  if (int error = place_file(made.item.get(), content_name, copy, temporary_name); error != 0)
    refuse(error, taking, "");
  std::expected<UniqueFd, int> kept = open_regular(made.item.get(), content_name);
  if (!kept) refuse(kept.error(), taking, "");
  sync(kept->get());
  remove_taken(taking, directory, name, entry);
  return true;
}

bool copy_link(const Taking& taking, const NewItem& made, int directory, const std::string& name, const Entry& entry) {
  if (::symlinkat(read_link(directory, name).c_str(), made.item.get(), content_name) != 0) refuse(errno, taking, "");
  remove_taken(taking, directory, name, entry);
  return true;
}

void move_or_copy(const Taking& taking, NewItem& made, int directory, const std::string& name, const Entry& entry) {
  int error = rename_entry(directory, name, made.item.get(), content_name);
  if (error == 0 || error == ENOENT) return;
  if (error != EXDEV) refuse(error, taking, "");
  if (entry.kind == FileKind::regular) {
    refuse(0, taking, ": it is too big to be copied, and the state folder is on another file system");
  }
  if (entry.kind == FileKind::directory) {
    Bound bound, removing{.entries = 20000};
    if (!copy_tree(directory, name, made.item.get(), content_name, bound)) {
      refuse(0, taking, ": it is too big to be copied, and the state folder is on another file system");
    }
    made.complete = true;
    if (!remove_tree(directory, name, removing)) refuse(0, taking, ": it grows while it is taken");
    return;
  }
  remove_taken(taking, directory, name,
               entry);  // a fifo, socket or device: its description is all that it is
}

}  // namespace

std::optional<Taken> take(const Taking& taking, int directory, const std::string& name, Writers writers) {
  std::optional<Entry> entry = look_at(directory, name);
  if (!entry) return std::nullopt;
  bool sealed = writers == Writers::none || entry->kind != FileKind::regular;
  NewItem made = make_item(taking, description_of(taking, *entry), sealed);
  Taken taken{.id = made.id, .file = {}};
  try {
    if (!sealed) taken.file = open_regular(directory, name).value_or(UniqueFd());
    bool done = !sealed && rename_entry(directory, name, made.item.get(), content_name) == 0;
    if (!done && entry->kind == FileKind::regular) done = copy_file(taking, made, directory, name, *entry);
    if (!done && entry->kind == FileKind::symlink) done = copy_link(taking, made, directory, name, *entry);
    if (!done) move_or_copy(taking, made, directory, name, *entry);
  } catch (...) {
    // What is still in its place need not be here as well; what has been moved is no longer there, and stays.
    if (!made.complete && look_at(directory, name)) drop_item(made);
    throw;
  }
  return taken;
}

namespace {

void seal_item(int item, Quarantined description, int from) {
  Entry entry = look_at(from);
  if (entry.kind != FileKind::regular || entry.size > quarantine_copy_limit) return;
  NewFile copy{from, 0, entry.size, 0600, entry.modified_ns};
  constexpr const char* sealed_name = "content.sealed";
  ::unlinkat(item, sealed_name, 0);
  if (int error = place_file(item, sealed_name, copy, temporary_name); error != 0) {
    throw SystemError(error, "cannot copy what is in the quarantine");
  }
  if (::renameat(item, sealed_name, item, content_name) != 0) {
    throw SystemError(errno, "cannot copy what is in the quarantine");
  }
  description.size = entry.size;
  description.modified_ns = entry.modified_ns;
  write_file(item, description_name, describe(description, true), Durable::no);
}

}  // namespace

void seal(const AbsPath& state_folder, const Taken& taken) {
  UniqueFd folder = open_state_folder(state_folder, "quarantine");
  std::expected<UniqueFd, int> item = open_directory(folder.get(), taken.id);
  if (!item || !taken.file) return;  // its owner has deleted or restored it already; or it is no file
  Quarantined description = read_item(folder.get(), taken.id);
  if (description.kind == FileKind::regular) seal_item(item->get(), std::move(description), taken.file.get());
}

void seal_all(const AbsPath& state_folder, std::string_view session) {
  UniqueFd folder(::open((state_folder / "quarantine").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return;
  for (Quarantined& found : Quarantine(state_folder).list()) {
    if (found.session != session || found.kind != FileKind::regular) continue;
    std::expected<UniqueFd, int> item = open_directory(folder.get(), found.id);
    if (!item) continue;
    std::expected<std::string, int> text = read_start(item->get(), description_name, 64 * 1024);
    std::expected<UniqueFd, int> file = open_regular(item->get(), content_name);
    if (!text || !file || json::parse(*text, nullptr, false).value("sealed", true)) continue;
    seal_item(item->get(), std::move(found), file->get());
  }
}

std::string keep(const Taking& taking, const NewFile& file) {
  Entry entry{.kind = FileKind::regular, .modified_ns = file.modified_ns, .size = file.size, .mode = file.mode};
  NewItem made = make_item(taking, description_of(taking, entry), true);
  NewFile copy = file;
  copy.mode = 0600;
  if (int error = place_file(made.item.get(), content_name, copy, temporary_name); error != 0)
    refuse(error, taking, "");
  return made.id;
}

Quarantine::Quarantine(base::AbsPath state_folder)
    : state_folder_(std::move(state_folder)), folder_(state_folder_ / "quarantine") {}

std::vector<Quarantined> Quarantine::list() const {
  std::vector<Quarantined> items;
  UniqueFd folder(::open(folder_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder) {
    if (errno == ENOENT) return items;
    throw SystemError(errno, "cannot open " + base::escape(folder_.str()));
  }
  std::optional<std::vector<std::string>> names = names_in(folder.get(), 1'000'000);
  if (!names) throw SystemError(0, "there are more than a million items in " + base::escape(folder_.str()));
  for (const std::string& name : *names) items.push_back(read_item(folder.get(), name));
  std::ranges::stable_sort(items, {}, &Quarantined::when);
  return items;
}

base::Result<Quarantined> Quarantine::find(std::string_view id) const {
  std::vector<Quarantined> items = list();
  std::vector<Quarantined> found;
  for (Quarantined& item : items) {
    if (item.id == id) return std::move(item);
    if (!id.empty() && item.id.starts_with(id)) found.push_back(std::move(item));
  }
  if (found.size() == 1) return std::move(found.front());
  if (found.empty()) {
    return base::fail(fmt::format("there is no item '{}' in the quarantine", base::escape(id)),
                      "`agentbox quarantine list` shows them all");
  }
  return base::fail(fmt::format("{} items of the quarantine begin with '{}'", found.size(), base::escape(id)),
                    "write more of the id");
}

namespace {

void list_tree(int directory, const std::string& prefix, std::string& out, Bound& bound, std::size_t limit) {
  std::optional<std::vector<std::string>> names = names_in(directory, bound.entries);
  if (!names) return;
  for (const std::string& name : *names) {
    if (bound.entries == 0 || out.size() > limit) return;
    --bound.entries;
    std::optional<Entry> entry = look_at(directory, name);
    if (!entry) continue;
    out += base::escape(prefix + name) + (entry->kind == FileKind::directory ? "/\n" : "\n");
    if (entry->kind != FileKind::directory || bound.depth == 0) continue;
    std::expected<UniqueFd, int> inside = open_directory(directory, name);
    if (!inside) continue;
    --bound.depth;
    list_tree(inside->get(), prefix + name + "/", out, bound, limit);
    ++bound.depth;
  }
}

UniqueFd open_item(const base::AbsPath& folder, const std::string& id) {
  UniqueFd all(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!all) throw SystemError(errno, "cannot open " + base::escape(folder.str()));
  std::expected<UniqueFd, int> item = open_directory(all.get(), id);
  if (!item) throw SystemError(item.error(), "cannot open the item " + base::escape(id));
  return std::move(*item);
}

// 0, or EEXIST, or EXDEV for what can't be moved there.
int put_back(const Quarantined& item, int from, int to, const std::string& name) {
  if (item.kind == FileKind::regular) {
    std::expected<UniqueFd, int> file = open_regular(from, content_name);
    if (!file) return file.error();
    Entry entry = look_at(file->get());
    return place_file(to, name, {file->get(), 0, entry.size, item.mode, item.modified_ns}, temporary_name);
  }
  if (item.kind == FileKind::symlink) {
    return ::symlinkat(read_link(from, content_name).c_str(), to, name.c_str()) == 0 ? 0 : errno;
  }
  int error = rename_entry(from, content_name, to, name);
  if (error != EXDEV || item.kind != FileKind::directory) return error;
  if (look_at(to, name)) return EEXIST;
  Bound bound;
  return copy_tree(from, content_name, to, name, bound) ? 0 : EFBIG;
}

}  // namespace

Quarantine::Content Quarantine::content(const Quarantined& item, std::size_t limit) const {
  UniqueFd folder = open_item(folder_, item.id);
  std::optional<Entry> entry = look_at(folder.get(), content_name);
  Content content;
  if (!entry) return content;
  if (entry->kind == FileKind::regular) {
    content.bytes = read_start(folder.get(), content_name, limit).value_or("");
    content.whole = entry->size <= content.bytes.size();
  } else if (entry->kind == FileKind::symlink) {
    content.bytes = read_link(folder.get(), content_name);
  } else if (entry->kind == FileKind::directory) {
    std::expected<UniqueFd, int> inside = open_directory(folder.get(), content_name);
    Bound bound;
    if (inside) list_tree(inside->get(), "", content.bytes, bound, limit);
    content.whole = content.bytes.size() <= limit && bound.entries > 0;
    if (content.bytes.size() > limit) content.bytes.resize(content.bytes.rfind('\n', limit) + 1);
  }
  return content;
}

base::Result<void> Quarantine::restore(const Quarantined& item) const {
  std::string place = base::escape(item.path.str());
  if (item.path.is_root()) return base::fail("it is not known where this item stood");
  for (const Record& living : living_records(state_folder_)) {
    if (!guards(living, item.path)) continue;
    return base::fail(fmt::format("a running room guards {} and would take it again", place),
                      fmt::format("restore it after session {} has ended", base::escape(living.session)));
  }
  UniqueFd folder = open_item(folder_, item.id);
  if (!look_at(folder.get(), content_name)) {
    return base::fail(
        fmt::format("only the description of this {} was kept: there is nothing to restore", kind_name(item.kind)));
  }
  base::AbsPath parent = item.path.parent();
  Tree tree{base::AbsPath()};
  std::expected<UniqueFd, int> directory = tree.directory(parent);
  if (!directory) {
    bool linked = directory.error() == ELOOP;
    return base::fail(
        fmt::format("cannot restore to {}: {}", place,
                    linked ? "a directory on the way is a symbolic link" : base::errno_text(directory.error())),
        linked ? "move the link out of the way, or copy the content by hand" : "");
  }
  int error = put_back(item, folder.get(), directory->get(), std::string(item.path.name()));
  if (error == EEXIST) {
    std::optional<Entry> there = look_at(directory->get(), std::string(item.path.name()));
    return base::fail(
        fmt::format("there is a {} at {} already", kind_name(there ? there->kind : FileKind::regular), place),
        "move it away first; nothing is overwritten");
  }
  if (error != 0) return base::fail(fmt::format("cannot restore to {}: {}", place, base::errno_text(error)));
  erase(item);
  return {};
}

void Quarantine::erase(const Quarantined& item) const {
  UniqueFd all(::open(folder_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!all) throw SystemError(errno, "cannot open " + base::escape(folder_.str()));
  Bound bound{.entries = 10'000'000, .depth = 256};
  if (!remove_tree(all.get(), item.id, bound)) {
    throw SystemError(0, "the item " + item.id + " is too big to be removed",
                      "remove " + base::escape((folder_ / item.id).str()) + " by hand");
  }
}

}  // namespace agentbox::launch
