// Which addresses git talks to.

#include "agentbox/policy/git_remotes.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "actions.hpp"

using namespace agentbox;
using namespace agentbox::policy;
using test::Argv;
using Config = std::vector<std::pair<std::string, std::string>>;

namespace {

// "?" where it is not certain.
Argv where(Argv argv, Config config, std::optional<std::string> branch = "main",
           GitView::OldFiles old_files = GitView::OldFiles::no) {
  argv.insert(argv.begin(), "git");
  const auto traffic = traffic_of_git(argv);
  if (!traffic) return {};
  Remotes found = remotes_of(*traffic, {std::move(config), std::move(branch), old_files});
  CHECK(found.addresses.empty() == (found.certain == Remotes::Certain::no));
  return found.certain == Remotes::Certain::yes ? found.addresses : Argv{"?"};
}
const Config plain{{"remote.origin.url", "https://a.example/x"}, {"remote.origin.fetch", "+refs/heads/*"}};
Config with(Config config, const Config& more) {
  config.insert(config.end(), more.begin(), more.end());
  return config;
}

}  // namespace

TEST_CASE("a remote's name becomes its address") {
  CHECK(where({"push", "origin", "main"}, plain) == Argv{"https://a.example/x"});
  CHECK(where({"fetch", "-q", "origin"}, plain) == Argv{"https://a.example/x"});
  CHECK(where({"--no-pager", "ls-remote", "origin"}, plain) == Argv{"https://a.example/x"});
  CHECK(where({"push", "other"}, plain) == Argv{"?"});
  CHECK(where({"push", "git@b.example:y/z"}, plain) == Argv{"git@b.example:y/z"});
  CHECK(where({"push", "../y"}, plain) == Argv{"?"});
  CHECK(where({"push", "ext::x/y"}, plain) == Argv{"?"});
  CHECK(where({"clone", "https://b.example/y"}, plain) == Argv{"https://b.example/y"});
  CHECK(where({"clone", "origin"}, plain) == Argv{"?"});
}

TEST_CASE("a push goes to each pushurl, else to each url; a fetch comes from the first") {
  const Config two = with(plain, {{"remote.origin.url", "https://b.example/y"}});
  CHECK(where({"push"}, two) == Argv{"https://a.example/x", "https://b.example/y"});
  CHECK(where({"fetch"}, two) == Argv{"https://a.example/x"});
  const Config other = with(two, {{"remote.origin.pushurl", "ssh://c.example/z"}});
  CHECK(where({"push"}, other) == Argv{"ssh://c.example/z"});
  CHECK(where({"fetch"}, other) == Argv{"https://a.example/x"});
  CHECK(where({"push"}, with(plain, {{"remote.origin.url", ""}})) == Argv{"?"});
}

TEST_CASE("insteadOf and pushInsteadOf rewrite, the longest first") {
  const Config rewritten = with(plain, {{"url.https://b.example/.insteadof", "https://a.example/"},
                                        {"url.https://c.example/.insteadof", "https://a"}});
  CHECK(where({"push"}, rewritten) == Argv{"https://b.example/x"});
  CHECK(where({"fetch", "https://a.example/y"}, rewritten) == Argv{"https://b.example/y"});
  const Config pushes = with(rewritten, {{"url.git@d.example:.pushinsteadof", "https://a.example/"}});
  CHECK(where({"push"}, pushes) == Argv{"git@d.example:x"});
  CHECK(where({"fetch"}, pushes) == Argv{"https://b.example/x"});
  // Not where there is a pushurl.
  CHECK(where({"push"}, with(pushes, {{"remote.origin.pushurl", "https://a.example/p"}})) ==
        Argv{"https://b.example/p"});
  // A token of the owner's is not shown.
  CHECK(where({"push"}, with(plain, {{"url.https://me:secret@a.example/.insteadof", "https://a.example/"}})) ==
        Argv{"https://me@a.example/x"});
  CHECK(where({"push"}, with(plain, {{"url.file:///.insteadof", "https://"}})) == Argv{"?"});
}

TEST_CASE("where no remote is named git chooses") {
  const Config two = with(plain, {{"remote.b.url", "https://b.example/y"}});
  CHECK(where({"push"}, two) == Argv{"https://a.example/x"});
  CHECK(where({"push"}, with(two, {{"remote.pushdefault", "b"}})) == Argv{"https://b.example/y"});
  CHECK(where({"pull"}, with(two, {{"remote.pushdefault", "b"}})) == Argv{"https://a.example/x"});
  CHECK(where({"pull"}, with(two, {{"branch.main.remote", "b"}})) == Argv{"https://b.example/y"});
  CHECK(where({"pull"}, with(two, {{"branch.main.remote", "b"}}), "side") == Argv{"https://a.example/x"});
  CHECK(where({"push"}, with(two, {{"branch.main.pushremote", "b"}})) == Argv{"https://b.example/y"});
  CHECK(where({"pull"}, with(plain, {{"branch.main.remote", "."}})) == Argv{"?"});
  CHECK(where({"push"}, two, std::nullopt) == Argv{"?"});
  CHECK(where({"push", "b"}, two, std::nullopt) == Argv{"https://b.example/y"});
  CHECK(where({"fetch", "--all"}, two) == Argv{"https://a.example/x", "https://b.example/y"});
  CHECK(where({"fetch"}, with(two, {{"fetch.all", "true"}})) == Argv{"https://a.example/x", "https://b.example/y"});
}

TEST_CASE("what isn't known is not certain") {
  CHECK(where({"push", "--repo=b"}, plain) == Argv{"?"});
  CHECK(where({"push", "--receive-pack=x", "origin"}, plain) == Argv{"?"});
  CHECK(where({"fetch", "--multiple", "origin"}, plain) == Argv{"?"});
  CHECK(where({"fetch", "all"}, with(plain, {{"remotes.all", "a b"}})) == Argv{"?"});
  CHECK(where({"push", "a/b"}, {{"url.https://b.example/.insteadof", "a/"}}, "main", GitView::OldFiles::yes) ==
        Argv{"?"});
  CHECK(where({"push"}, with(plain, {{"remote.origin.vcs", "x"}})) == Argv{"?"});
  for (const char* other : {"remote", "archive", "lfs", "alias", "request-pull", "-v"}) {
    CHECK(where({other, "update"}, plain) == Argv{"?"});
  }
  for (const char* here : {"status", "commit", "log", "merge", "rebase"}) CHECK(where({here, "x"}, plain).empty());
  CHECK(where({"remote", "-v"}, plain).empty());
}

TEST_CASE("git's list of settings is read as it is printed") {
  using namespace std::string_literals;
  CHECK(read_git_list("a.b\nc\nd\0remote.x.y.url\n\0core.bare\0"s) ==
        Config{{"a.b", "c\nd"}, {"remote.x.y.url", ""}, {"core.bare", ""}});
  CHECK(read_git_list("").empty());
}
