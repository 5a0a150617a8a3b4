// The whole look: profile in, facts out.

#include "agentbox/launch/look.hpp"

#include <algorithm>
#include <set>

#include <catch2/catch.hpp>

#include "look_support.hpp"

using namespace agentbox;
using namespace agentbox::launch;
using base::AbsPath;
using look_test::Folder;
using policy::FileKind;
using policy::HostFacts;

namespace {

profile::Located<profile::PatternText> pattern(std::string text) {
  bool directory = text.ends_with('/');
  if (directory) text.pop_back();
  return {.value = {.text = std::move(text), .directory = directory}};
}
profile::Located<profile::PathText> path_text(const AbsPath& path) {
  return {.value = {.text = path.str()}};
}

HostFacts person(const Folder& folder) {
  HostFacts facts;
  facts.user = {.uid = ::geteuid(), .gid = ::getegid(), .name = "p", .group = "p", .home = folder.path("home")};
  facts.workspace = folder.path("home/w");
  facts.config_home = folder.path("home/.config");
  facts.state_home = folder.path("home/.local/state");
  facts.cache_home = folder.path("home/.cache");
  facts.data_home = folder.path("home/.local/share");
  folder.make_folder("home/w");
  return facts;
}

HostFacts look_at(const HostFacts& person, const profile::Profile& profile) {
  base::Result<HostFacts> facts = look(person, profile, {});
  REQUIRE(facts);
  return *std::move(facts);
}

FileKind kind(const HostFacts& facts, const AbsPath& path) {
  policy::SnapshotDisk disk(facts.files);
  return disk.look(path).kind;
}
std::set<std::string> matches(const HostFacts& facts, const AbsPath& below) {
  std::set<std::string> found;
  for (const policy::Match& match : facts.matches) {
    found.insert(match.pattern + " " + std::string(match.path.relative_to(below)));
  }
  return found;
}

}  // namespace

TEST_CASE("what a profile names is looked at through all its links") {
  Folder folder;
  HostFacts who = person(folder);
  folder.make_file("store/real/settings");
  folder.make_link("home/link", "../store/alias");
  folder.make_link("store/alias", "real");
  profile::Profile profile;
  profile.files_section.read = {path_text(folder.path("home/link/settings")), path_text(folder.path("home/gone/x"))};
  HostFacts facts = look_at(who, profile);
  CHECK(kind(facts, folder.path("home/link")) == FileKind::symlink);
  CHECK(kind(facts, folder.path("store/alias")) == FileKind::symlink);
  CHECK(kind(facts, folder.path("store/real/settings")) == FileKind::regular);
  CHECK(kind(facts, folder.path("home/gone")) == FileKind::missing);
  policy::SnapshotDisk disk(facts.files);
  CHECK(policy::resolve(folder.path("home/link/settings"), disk).path == folder.path("store/real/settings"));
  CHECK(facts.walk_complete);
  CHECK(facts.walk_entries == 0);  // no pattern asked for a walk
  CHECK(facts.roots.size() == 1);
}

TEST_CASE("kinds are looked at in each root and git directory, hidden names everywhere") {
  Folder folder;
  HostFacts who = person(folder);
  folder.git("init -q home/w");
  folder.make_file("home/w/.env");
  folder.make_file("home/w/app/package.json");
  folder.make_file("home/w/app/.vscode/settings.json");
  folder.make_file("home/w/app/.github/workflows/ci.yml");
  folder.make_file("home/w/app/.github/workflows/notes.txt");
  folder.make_link("home/w/.vscode", "app/.vscode");
  folder.make_file("home/w/node_modules/x/.env");
  folder.make_file("home/w/node_modules/x/.vscode/x");
  folder.make_file("home/w/node_modules/x/package.json");
  profile::Profile profile;
  profile.workspace.protect = {pattern("${roots}/.vscode/"), pattern("${gitdirs}/hooks/"), pattern("${gitdirs}/config"),
                               pattern("${roots}/.github/workflows/*.yml"), pattern("${gitdirs}/info/**")};
  profile.workspace.hide = {pattern("**/.env")};
  HostFacts facts = look_at(who, profile);
  AbsPath w = folder.path("home/w");
  REQUIRE(facts.roots.size() == 2);
  CHECK(facts.roots[0].path == w);
  CHECK(facts.roots[0].repository);
  CHECK(facts.roots[1].path == w / "app");
  CHECK(facts.roots[1].package);
  REQUIRE(facts.repositories.size() == 1);
  CHECK(kind(facts, w / ".vscode") == FileKind::symlink);
  CHECK(kind(facts, w / "app/.vscode") == FileKind::directory);
  CHECK(kind(facts, w / ".git/hooks") == FileKind::directory);
  CHECK(kind(facts, w / ".git/config") == FileKind::regular);
  CHECK(kind(facts, w / "node_modules/x/.vscode") == FileKind::missing);  // never asked
  CHECK(matches(facts, w) == std::set<std::string>{"**/.env .env", "**/.env node_modules/x/.env",
                                                   "${gitdirs}/info/** .git/info/exclude",
                                                   "${roots}/.github/workflows/*.yml app/.github/workflows/ci.yml"});
  CHECK(kind(facts, w / "node_modules/x/.env") == FileKind::regular);
}

TEST_CASE("a workspace that is reached through a link is walked where it really is") {
  Folder folder;
  HostFacts who = person(folder);
  folder.make_file("real/.env");
  folder.make_file("real/.git/HEAD");
  folder.make_link("home/alias", "../real");
  who.workspace = folder.path("home/alias");
  profile::Profile profile;
  profile.workspace.hide = {pattern("**/.env")};
  profile.workspace.protect = {pattern("${gitdirs}/config")};
  HostFacts facts = look_at(who, profile);
  CHECK(matches(facts, folder.path("real")) == std::set<std::string>{"**/.env .env"});
  REQUIRE(facts.repositories.size() == 1);
  CHECK(facts.repositories[0].root == folder.path("real"));
}

TEST_CASE("a bound that is met leaves the facts marked as incomplete") {
  Folder folder;
  HostFacts who = person(folder);
  std::string deep = "home/w";
  for (int i = 0; i < 70; ++i) deep += "/d";
  folder.make_folder(deep);
  profile::Profile profile;
  profile.workspace.hide = {pattern("**/.env")};
  HostFacts facts = look_at(who, profile);
  CHECK_FALSE(facts.walk_complete);
  CHECK(facts.walk_stopped == "its folders are more than 64 deep");
}

TEST_CASE("the owner's git configuration is read only when it is asked for") {
  Folder folder;
  HostFacts who = person(folder);
  folder.make_file("home/.gitconfig", "[user]\n\tname = A B\n[include]\n\tpath = more\n");
  folder.make_file("home/more", "[alias]\n\tst = \"status\\n-s\"\n");
  profile::Profile profile;
  CHECK(look_at(who, profile).git_config.empty());
  profile.git.config = {.value = profile::GitConfig::inert};
  std::vector<std::pair<std::string, std::string>> settings = look_at(who, profile).git_config;
  CHECK(std::ranges::count(settings, std::pair<std::string, std::string>("user.name", "A B")) == 1);
  CHECK(std::ranges::count(settings, std::pair<std::string, std::string>("alias.st", "status\n-s")) == 1);
  folder.make_file("store/ignore", "*.swp\n");
  folder.make_link("home/.config/git/ignore", "../../../store/ignore");
  CHECK(look_at(who, profile).git_ignore == "*.swp\n");
  std::filesystem::remove(folder.str() + "/home/.gitconfig");
  CHECK(look_at(who, profile).git_config.empty());
}

TEST_CASE("what can't be expanded is an error, not a gap") {
  Folder folder;
  HostFacts who = person(folder);
  profile::Profile profile;
  profile.files_section.read = {{.value = {.text = "$NOWHERE/x"}}};
  base::Result<HostFacts> facts = look(who, profile, {});
  REQUIRE_FALSE(facts);
  CHECK(facts.error().front().message.find("NOWHERE") != std::string::npos);
}

TEST_CASE("a tree of hostile git pointers ends the look without harm") {
  Folder folder;
  HostFacts who = person(folder);
  folder.make_fifo("home/w/.git");
  folder.make_file("home/w/a/.git", "gitdir: ../b/.git\n");
  folder.make_file("home/w/b/.git", "gitdir: ../a/.git\n");
  folder.make_file("home/w/c/.git", "gitdir: " + std::string(4000, '/') + "\n");
  folder.make_link("home/w/d/.git", "../d/.git");
  folder.make_file("home/w/e/.git", std::string(100, '\0'));
  std::filesystem::resize_file(folder.str() + "/home/w/e/.git", std::uintmax_t(1) << 30);
  profile::Profile profile;
  profile.workspace.protect = {pattern("${gitdirs}/config"), pattern("${roots}/.envrc")};
  HostFacts facts = look_at(who, profile);
  CHECK(facts.roots.size() == 6);
  // c's is "/" itself: it is foreign and does not name c back.
  for (const policy::GitFact& repository : facts.repositories) CHECK_FALSE(repository.confirmed);
  CHECK(facts.walk_complete);
}
