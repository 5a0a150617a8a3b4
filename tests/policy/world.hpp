#pragma once

// A machine and a profile in a few words, for tests of `decide`.

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "agentbox/policy/policy.hpp"

namespace agentbox::test {

inline base::AbsPath path(std::string_view text) {
  auto parsed = base::AbsPath::parse(text);
  REQUIRE(parsed);
  return *parsed;
}

// user u, home /home/u, workspace /home/u/work, a merged /usr.
struct World {
  World() {
    facts.user = {
        .uid = 1000, .gid = 1000, .name = "u", .group = "u", .home = path("/home/u"), .shell = path("/bin/sh")};
    facts.workspace = path("/home/u/work");
    facts.config_home = path("/home/u/.config");
    facts.state_home = path("/home/u/.local/state");
    facts.cache_home = path("/home/u/.cache");
    facts.data_home = path("/home/u/.local/share");
    for (const char* folder :
         {"/usr", "/usr/bin", "/usr/lib", "/etc", "/tmp", "/var/tmp", "/proc", "/dev/shm", "/home/u/work", "/run"}) {
      folder_at(folder);
    }
    link("/bin", "usr/bin").link("/lib", "usr/lib");
    facts.roots.push_back({path("/home/u/work"), false, false});
    profile.name = "test";
  }

  World& put(std::string_view at, policy::FileFact fact) {
    base::AbsPath place = path(at);
    facts.files[place] = std::move(fact);
    for (base::AbsPath folder = place.parent(); !folder.is_root(); folder = folder.parent()) {
      facts.files.try_emplace(folder, policy::FileFact{.kind = policy::FileKind::directory});
    }
    return *this;
  }
  World& folder_at(std::string_view at) { return put(at, {.kind = policy::FileKind::directory}); }
  World& file(std::string_view at) { return put(at, {.kind = policy::FileKind::regular}); }
  World& socket(std::string_view at) { return put(at, {.kind = policy::FileKind::socket}); }
  World& link(std::string_view at, std::string to) {
    return put(at, {.kind = policy::FileKind::symlink, .target = std::move(to)});
  }
  World& match(std::string pattern, std::string_view at, policy::FileKind kind = policy::FileKind::regular) {
    facts.matches.push_back({std::move(pattern), path(at), kind});
    return *this;
  }

  // Each line of the profile gets a number of its own.
  profile::Origin origin(std::string text, std::string file = "test.toml") {
    return {.file = std::move(file), .at = {.line = ++line_, .column = 1}, .source_line = std::move(text)};
  }
  static profile::PathText path_text(std::string text) {
    bool directory = text.ends_with('/');
    if (directory) text.pop_back();
    return {std::move(text), directory};
  }
  static profile::PatternText pattern_text(std::string text) {
    bool directory = text.ends_with('/');
    if (directory) text.pop_back();
    return {std::move(text), directory};
  }
  World& read(const std::string& text) {
    profile.files_section.read.push_back({path_text(text), origin("read = " + text)});
    return *this;
  }
  World& write(const std::string& text) {
    profile.files_section.write.push_back({path_text(text), origin("write = " + text)});
    return *this;
  }
  World& write_flag(const std::string& text) {
    flags.write.push_back({path_text(text), {.file = "--write", .at = {}, .source_line = text}});
    return *this;
  }
  World& hide(const std::string& text) {
    profile.workspace.hide.push_back({pattern_text(text), origin("hide = " + text)});
    return *this;
  }
  World& protect(const std::string& text, const std::string& file = "base.toml") {
    profile.workspace.protect.push_back({pattern_text(text), origin("protect = " + text, file)});
    return *this;
  }
  World& hold(const std::string& text) {
    profile.workspace.hold.push_back({pattern_text(text), origin("hold = " + text, "base.toml")});
    return *this;
  }
  World& allow(profile::HostRule rule) {
    profile.network.allow.push_back({std::move(rule), origin("allow")});
    return *this;
  }

  base::Result<policy::Policy> decide() const { return policy::decide(profile, facts, flags); }
  policy::Policy policy() const {
    auto result = decide();
    if (!result) FAIL(base::render(result.error(), base::Colour::off));
    return *std::move(result);
  }
  // "/a: the message\nhint: ..." of every error, without where it stands.
  std::vector<std::string> errors() const {
    auto result = decide();
    std::vector<std::string> texts;
    if (result) return texts;
    for (const auto& error : result.error()) texts.push_back(error.message);
    return texts;
  }

  policy::HostFacts facts;
  profile::Profile profile;
  policy::Flags flags;

 private:
  std::uint32_t line_ = 0;
};

// "read /a/b protect", one for each mount below `below`.
inline std::vector<std::string> mounts(const policy::Policy& policy, std::string_view below = "/home") {
  constexpr const char* access[] = {"hidden", "read", "write"};
  constexpr const char* why[] = {"floor",   "grant", "workspace", "git",    "ancestor",
                                 "protect", "hide",  "ghost",     "device", "pin"};
  std::vector<std::string> lines;
  for (const policy::Mount& mount : policy.mounts) {
    if (!mount.target.is_within(path(below))) continue;
    lines.push_back(std::string(access[static_cast<int>(mount.access)]) + " " + mount.target.str() + " " +
                    why[static_cast<int>(mount.why)]);
  }
  return lines;
}

inline std::vector<std::string> notes(const policy::Policy& policy, policy::Note::Kind kind) {
  std::vector<std::string> texts;
  for (const policy::Note& note : policy.notes) {
    if (note.kind == kind) texts.push_back(note.text);
  }
  return texts;
}

using Lines = std::vector<std::string>;

}  // namespace agentbox::test
