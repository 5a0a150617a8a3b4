#include "agentbox/launch/sources.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>

#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/base/unique_fd.hpp"

#include "installed.hpp"

namespace agentbox::launch {

namespace {

using Place = ProfileEntry::Place;

struct Folder {
  base::AbsPath path;
  Place place;
};

std::optional<base::AbsPath> from_environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before any thread, and nothing sets it
  return value == nullptr ? std::nullopt : base::AbsPath::parse(value);
}

std::optional<base::AbsPath> home() {
  if (auto path = from_environment("HOME")) return path;
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(getuid(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) return std::nullopt;
  return base::AbsPath::parse(entry.pw_dir);
}

std::vector<Folder> folders() {
  std::vector<Folder> result;
  // The XDG base directory specification: a relative value is to be ignored.
  auto config = from_environment("XDG_CONFIG_HOME");
  if (!config) {
    if (auto own = home()) config = *own / ".config";
  }
  if (config) result.push_back({*config / "agentbox/profiles", Place::user});
  auto add = [&](const char* path, Place place) {
    if (auto folder = base::AbsPath::parse(path)) result.push_back({*folder, place});
  };
  add("/etc/agentbox/profiles", Place::system);
  add("/run/current-system/sw/share/agentbox/profiles", Place::system);  // NixOS
  if (auto instead = from_environment("AGENTBOX_PROFILES")) {
    result.push_back({*instead, Place::shipped});
  } else {
    add(shipped_profiles(), Place::shipped);
  }
  return result;
}

// ---- reading
// ---------------------------------------------------------------------------------------------------

enum class Links { follow, refuse };

struct Content {
  std::string bytes;   // one more than the limit where there is more: `profile` says so
  int error = 0;       // errno of what failed; 0 with an empty `reason`: read
  std::string reason;  // why it is not read though it exists
  struct stat seen{};
};

// The file may be hostile (the workspace's own) or odd (a FIFO by mistake): never block, never follow where
// told not to, never read more than could be a profile.
Content read(const std::string& path, Links links) {
  int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (links == Links::refuse ? O_NOFOLLOW : 0);
  base::UniqueFd file(open(path.c_str(), flags));
  if (!file) {
    bool link = errno == ELOOP && links == Links::refuse;
    return {.error = errno, .reason = link ? "it is a symbolic link" : base::errno_text(errno)};
  }
  Content content;
  struct stat& status = content.seen;
  if (fstat(file.get(), &status) != 0) return {.error = errno, .reason = base::errno_text(errno)};
  if (!S_ISREG(status.st_mode)) {
    return {.error = EINVAL, .reason = S_ISDIR(status.st_mode) ? "it is a directory" : "it is not a regular file"};
  }
  content.bytes.resize(profile::size_limit + 1);
  std::size_t filled = 0;
  while (filled < content.bytes.size()) {
    ssize_t count = ::read(file.get(), content.bytes.data() + filled, content.bytes.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return {.error = errno, .reason = base::errno_text(errno)};
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  content.bytes.resize(filled);
  return content;
}

std::unexpected<base::Diagnostics> unreadable(const std::string& path, const std::string& reason) {
  return base::fail(fmt::format("cannot read the profile {}: {}", base::quote(path), reason));
}

// Whoever can write a profile says what rooms hold. Who owns the system's folders doesn't count: in a user
// namespace root's files seem to be nobody's.
base::Result<void> held_by_owner(const std::string& path, const struct stat& seen, Place place, const char* what) {
  const std::string quoted = base::quote(path);
  if (place == Place::user && seen.st_uid != 0 && seen.st_uid != getuid()) {
    return base::fail(fmt::format("{} {} belongs to user {}, who could change your rooms", what, quoted, seen.st_uid),
                      "a profile is used if it and its folder belong to you or to root: copy it to a folder of yours");
  }
  // In a sticky folder, such as /tmp, nobody can replace another's file. A group is often the user's own.
  const bool is_sticky = S_ISDIR(seen.st_mode) && (seen.st_mode & S_ISVTX) != 0;
  if ((seen.st_mode & S_IWOTH) == 0 || is_sticky) return {};
  return base::fail(fmt::format("everybody can write {} {}, and so change your rooms", what, quoted),
                    fmt::format("look at what it says, then: chmod o-w {}", quoted));
}

base::Result<void> held_by_owner(const std::string& path, const Content& content, Place place) {
  if (auto held = held_by_owner(path, content.seen, place, "the profile"); !held) return held;
  std::string folder = std::filesystem::path(path).parent_path().string();
  if (folder.empty()) folder = ".";
  struct stat seen{};
  if (stat(folder.c_str(), &seen) != 0) return unreadable(path, base::errno_text(errno));
  return held_by_owner(folder, seen, place, "the profile's folder");
}

// ---- finding
// ---------------------------------------------------------------------------------------------------

std::string no_such_hint(std::string_view name, const std::vector<ProfileEntry>& known) {
  std::vector<std::string_view> names;
  for (const ProfileEntry& entry : known) names.push_back(entry.name);
  if (std::string_view near = base::nearest(name, names); !near.empty()) return fmt::format("did you mean '{}'?", near);
  return "`agentbox profiles` lists them; a path has a '/'";
}

base::Result<profile::Source> by_name(std::string_view name, std::size_t from) {
  if (!profile::is_profile_name(name)) {
    return base::fail(
        fmt::format("'{}' is not a profile's name: those are made of a-z, 0-9, '_' and '-'", base::escape(name)),
        name.ends_with(".toml") ? fmt::format("a path has a '/': did you mean './{}'?", base::escape(name))
                                : "a path has a '/'");
  }
  std::vector<Folder> all = folders();
  for (std::size_t i = from; i < all.size(); ++i) {
    std::string path = (all[i].path / fmt::format("{}.toml", name)).str();
    Content content = read(path, Links::follow);
    // Only what is not there lets the next folder answer: an unreadable profile must not become another one.
    if (content.error == ENOENT || content.error == ENOTDIR) continue;
    if (!content.reason.empty()) return unreadable(path, content.reason);
    if (auto held = held_by_owner(path, content, all[i].place); !held) return std::unexpected(held.error());
    return profile::Source{.name = std::string(name), .file = path, .bytes = std::move(content.bytes), .folder = i};
  }
  if (from > 0)
    return base::fail(fmt::format("no further folder has a profile '{}'", name),
                      "a profile that extends its own name means the one that it replaces");
  return base::fail(fmt::format("no profile is called '{}'", name), no_such_hint(name, list_profiles()));
}

// The same file has one name, however it is written and wherever from: what was spent, the keys of payments and the answers
// that are remembered belong to it. The file itself may be a link, whose target is another one after an update.
std::filesystem::path one_name(const std::string& path) {
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::absolute(path, error);
  if (error) return path;
  const std::filesystem::path folder = std::filesystem::canonical(whole.parent_path(), error);
  return error ? whole.lexically_normal() : folder / whole.filename();
}

// For the room's guard: as it was written where that can be, since each link on the way is guarded as well.
std::string place_of(const std::string& path, const std::filesystem::path& where) {
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::absolute(path, error);
  if (error) return where.string();
  const auto plain = base::AbsPath::parse(whole.string());
  return plain ? plain->str() : where.string();
}

base::Result<profile::Source> by_path(const std::string& path) {
  Content content = read(path, Links::follow);
  if (content.error == ENOENT) return base::fail(fmt::format("there is no file {}", base::quote(path)));
  if (!content.reason.empty()) return unreadable(path, content.reason);
  if (auto held = held_by_owner(path, content, Place::user); !held) return std::unexpected(held.error());
  const std::filesystem::path where = one_name(path);
  profile::Source source{
      .name = where.string(), .file = path, .bytes = std::move(content.bytes), .place = place_of(path, where)};
  // A path into one of the folders is the profile of that name: `extends` with its own name means the next
  // folder.
  std::vector<Folder> all = folders();
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::string stem = where.stem().string();
    const bool is_there = where.parent_path() == one_name(all[i].path.str() + "/x").parent_path();
    if (is_there && where.extension() == ".toml" && profile::is_profile_name(stem)) {
      source.name = stem;
      source.folder = i;
    }
  }
  return source;
}

// A path in `extends` counts from the folder of the file that says it.
std::string resolve(const std::string& path, const std::string& file) {
  if (path.starts_with("~/")) {
    if (auto own = home()) return own->str() + path.substr(1);
  }
  if (path.starts_with('/')) return path;
  return (std::filesystem::path(file).parent_path() / path).lexically_normal().string();
}

base::Result<profile::Source> find(const profile::Wanted& wanted) {
  if (wanted.name.find('/') == std::string::npos) return by_name(wanted.name, wanted.from_folder);
  return by_path(resolve(wanted.name, wanted.origin.file));
}

}  // namespace

std::vector<base::AbsPath> profile_folders() {
  std::vector<base::AbsPath> result;
  for (Folder& folder : folders()) result.push_back(std::move(folder.path));
  return result;
}

base::Result<profile::Profile> load(std::string_view profile) {
  bool is_path = profile.find('/') != std::string_view::npos;
  base::Result<profile::Source> first = is_path ? by_path(std::string(profile)) : by_name(profile, 0);
  if (!first) return std::unexpected(first.error());
  return profile::load(*first, find);
}

base::Result<profile::Profile> tighten_by_workspace(profile::Profile profile, const base::AbsPath& workspace) {
  std::string path = (workspace / ".agentbox.toml").str();
  Content content = read(path, Links::refuse);
  if (content.error == ENOENT) return profile;
  // Whoever can make it unreadable could otherwise switch its rules off.
  if (!content.reason.empty()) {
    return base::fail(fmt::format("cannot read {}: {}", base::quote(path), content.reason),
                      "its rules may be why it is there: mend it or remove it");
  }
  return profile::tighten(profile, {.name = ".agentbox.toml", .file = path, .bytes = std::move(content.bytes)});
}

std::vector<ProfileEntry> list_profiles() {
  std::vector<ProfileEntry> result;
  std::set<std::string> seen;
  for (const Folder& folder : folders()) {
    auto close = [](DIR* directory) { closedir(directory); };
    std::unique_ptr<DIR, decltype(close)> directory(opendir(folder.path.c_str()));
    if (!directory) continue;
    std::vector<std::string> names;
    while (const dirent* entry =
               readdir(directory.get())) {  // NOLINT(concurrency-mt-unsafe): each stream has its own buffer
      std::string_view name = entry->d_name;
      if (!name.ends_with(".toml")) continue;
      name.remove_suffix(5);
      if (profile::is_profile_name(name)) names.emplace_back(name);
    }
    std::ranges::sort(names);
    for (const std::string& name : names) {
      result.push_back({.name = name,
                        .file = folder.path / fmt::format("{}.toml", name),
                        .place = folder.place,
                        .hidden_by_earlier = seen.contains(name)});
    }
    seen.insert(names.begin(), names.end());
  }
  return result;
}

}  // namespace agentbox::launch
