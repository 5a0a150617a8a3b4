#include <algorithm>
#include <random>
#include <set>

#include <catch2/catch.hpp>

#include "walk.hpp"
#include "walk_filter.hpp"
#include "walk_support.hpp"

using namespace agentbox;
using namespace agentbox::launch;
using namespace look_test;
using policy::FileKind;

TEST_CASE("the walk finds the roots of repositories and packages, and what each has") {
  Folder folder;
  folder.make_file("app/package.json");
  folder.make_file("app/.envrc");
  folder.make_folder("app/lib/.git");
  folder.make_file("linked/.git", "gitdir: /somewhere\n");
  folder.make_link("symlinked/.git", "/somewhere");
  folder.make_file("plain/notes.txt");
  folder.make_folder("package.json");  // a directory of that name marks nothing
  Walked walked = Asking(folder).roots().kinds({".envrc", ".vscode"}).walk();
  CHECK(walked.stopped.empty());
  CHECK(roots_of(walked, folder) == Strings{"", "app", "app/lib", "linked", "symlinked"});
  CHECK_FALSE(walked.roots[0].root.repository);
  CHECK_FALSE(walked.roots[0].root.package);
  CHECK(walked.roots[1].root.package);
  CHECK_FALSE(walked.roots[1].root.repository);
  CHECK(walked.roots[1].kinds == std::vector<std::uint32_t>{0});
  CHECK(walked.roots[2].root.repository);
  CHECK(walked.roots[2].kinds.empty());
}

TEST_CASE("roots below folders of foreign packages don't count, but what is hidden is hidden there too") {
  Folder folder;
  folder.make_file("node_modules/left-pad/package.json");
  folder.make_file("node_modules/left-pad/.env");
  folder.make_file("app/vendor/x/.git/config");
  folder.make_file("app/package.json");
  folder.make_file(".git/modules/x/.env");
  Walked walked = Asking(folder).roots().hide("**/.env").walk();
  CHECK(roots_of(walked, folder) == Strings{"", "app"});
  CHECK(paths_of(walked, folder) == Strings{".git/modules/x/.env", "node_modules/left-pad/.env"});

  Walked without = Asking(folder).roots().walk();
  CHECK(roots_of(without, folder) == Strings{"", "app"});
  CHECK(without.entries < walked.entries);  // it did not even look there
}

TEST_CASE("git's own object store is not searched, a folder of the same name is") {
  Folder folder;
  folder.make_file(".git/HEAD");
  folder.make_folder(".git/refs");
  folder.make_file(".git/objects/ab/secret.key");
  folder.make_file("src/objects/secret.key");
  CHECK(paths_of(Asking(folder).hide("**/*.key").walk(), folder) == Strings{"src/objects/secret.key"});
}

TEST_CASE("a bare repository is found where it lies open") {
  Folder folder;
  folder.make_file("store.git/HEAD");
  folder.make_folder("store.git/refs");
  folder.make_folder("store.git/objects");
  folder.make_file("no.git/HEAD");
  Walked walked = Asking(folder).roots().walk();
  REQUIRE(walked.bare.size() == 1);
  CHECK(walked.bare[0] == folder.path("store.git"));
}

TEST_CASE("what is hidden is not walked into") {
  Folder folder;
  folder.make_file("secrets/deep/secrets/x");
  folder.make_file("secrets/.env");
  folder.make_file("other/.env");
  Walked walked = Asking(folder).hide("**/secrets").hide("**/.env").walk();
  CHECK(paths_of(walked, folder) == Strings{"other/.env", "secrets"});
  // Positive control: a protected folder is walked into.
  Walked control = Asking(folder).protect("**/secrets").hide("**/.env").walk();
  CHECK(paths_of(control, folder) == Strings{"other/.env", "secrets", "secrets/.env", "secrets/deep/secrets"});
}

TEST_CASE("symbolic links are matched by their name and never followed") {
  Folder folder, outside;
  outside.make_file("deep/.env");
  folder.make_link("away", outside.str());
  folder.make_link("loop", ".");
  folder.make_link("sub/.env", "/etc/passwd");
  Walked walked = Asking(folder).roots().hide("**/.env").walk();
  CHECK(walked.stopped.empty());
  REQUIRE(paths_of(walked, folder) == Strings{"sub/.env"});
  CHECK(walked.matches[0].kind == FileKind::symlink);
  CHECK(walked.entries == 4);
}

TEST_CASE("names that are no text, FIFOs and sockets are walked past") {
  Folder folder;
  folder.make_file("new\nline/\xff\xfe/.env");
  folder.make_file("$(touch x)/.env");
  folder.make_file("a\\b/.env");
  folder.make_fifo(".env");
  Walked walked = Asking(folder).hide("**/.env").walk();
  CHECK(walked.stopped.empty());
  CHECK(paths_of(walked, folder) == Strings{"$(touch x)/.env", ".env", "a\\b/.env", "new\nline/\xff\xfe/.env"});
  auto fifo = std::ranges::find(walked.matches, folder.path(".env"), &FoundMatch::path);
  REQUIRE(fifo != walked.matches.end());
  CHECK(fifo->kind == FileKind::fifo);
}

TEST_CASE("a pattern that counts from the top leads only where it can match") {
  Folder folder;
  folder.make_file("keys/a.pem");
  folder.make_file("keys/deep/b.pem");
  folder.make_file("other/keys/c.pem");
  Walked walked = Asking(folder).hide("keys/*.pem").walk();
  CHECK(paths_of(walked, folder) == Strings{"keys/a.pem"});
  CHECK(walked.entries == 4);  // keys, other, a.pem, deep: neither deep nor other was opened
}

TEST_CASE("a bound that is met is said, with what to do") {
  Folder folder;
  for (int i = 0; i < 50; ++i) folder.make_file("many/" + std::to_string(i));
  WalkBounds few{.entries = 50};
  Walked walked = Asking(folder).roots().bounds(few).walk();
  CHECK(walked.stopped == "it has more than 50 entries");
  CHECK_FALSE(walked.hint.empty());
  few.entries = 51;
  CHECK(Asking(folder).roots().bounds(few).walk().stopped.empty());

  folder.make_folder("1/2/3/4/5");
  WalkBounds shallow{.depth = 4};
  CHECK(Asking(folder).roots().bounds(shallow).walk().stopped == "its folders are more than 4 deep");
  shallow.depth = 5;
  CHECK(Asking(folder).roots().bounds(shallow).walk().stopped.empty());

  WalkBounds hurried{.time = std::chrono::milliseconds(-1)};
  CHECK(Asking(folder).roots().bounds(hurried).walk().stopped == "it could not be searched within 0 s");
}

TEST_CASE("a folder of one's own that can't be read stops the walk: the room could open it up") {
  if (::geteuid() == 0) return;  // nothing is closed to root
  Folder folder;
  folder.make_file("closed/.env");
  folder.close("closed");
  Walked walked = Asking(folder).hide("**/.env").walk();
  CHECK(walked.stopped == "closed cannot be read");
  CHECK(walked.hint == "chmod u+rx closed, or hide it");
  CHECK(Asking(folder).hide("closed").hide("**/.env").walk().stopped.empty());
}

TEST_CASE("the walk ends on a tree that is changed under it") {
  Folder folder;
  for (int i = 0; i < 200; ++i) folder.make_file("d" + std::to_string(i) + "/e/f/x");
  // The worst case is brought about by the comparison itself: it removes what is about to be entered.
  PatternSet::Pattern every;
  every.components = {"**"};
  WalkRequest request{.top = folder.path(), .patterns = std::span(&every, 1)};
  request.match = [&](std::string_view relative, std::vector<std::size_t>&) {
    if (relative.ends_with("/e")) fs::remove_all(folder.str() + "/" + std::string(relative));
    if (relative == "d7") {
      fs::remove_all(folder.str() + "/d7");
      folder.make_link("d7", "/");
    }
  };
  Walked walked = launch::walk(request);
  CHECK(walked.stopped.empty());
  CHECK(walked.entries <= 400);
}

TEST_CASE("a deep tree does not exhaust the descriptors") {
  Folder folder;
  std::string deep;
  for (int i = 0; i < 64; ++i) deep += (i == 0 ? "d" : "/d");
  folder.make_file(deep + "/.env");
  Walked walked = Asking(folder).hide("**/.env").walk();
  CHECK(walked.stopped.empty());
  CHECK(walked.matches.size() == 1);
  folder.make_folder(deep + "/e/f");
  CHECK(Asking(folder).hide("**/.env").walk().stopped == "its folders are more than 64 deep");
}

TEST_CASE("on random trees the walk finds exactly what a plain recursion finds") {
  unsigned seed = GENERATE(1u, 2u, 3u, 4u);
  std::mt19937 random(seed);
  auto pick = [&](std::size_t below) { return std::uniform_int_distribution<std::size_t>(0, below - 1)(random); };
  const Strings names{".env", "a.pem", "b", "node_modules", "package.json", "src", "x.key", "secrets",
                      ".git", "keys",  "*", "e f"};
  Folder folder;
  Strings folders{""};
  for (int i = 0; i < 2500; ++i) {
    std::string path =
        folders[pick(folders.size())] + names[pick(names.size())] + (pick(3) == 0 ? "" : std::to_string(pick(40)));
    std::error_code failed;
    if (pick(3) == 0) {
      if (fs::create_directory(folder.str() + "/" + path, failed) && std::ranges::count(path, '/') < 20)
        folders.push_back(path + "/");
    } else if (!fs::exists(fs::symlink_status(folder.str() + "/" + path))) {
      pick(10) == 0 ? folder.make_link(path, folder.str()) : folder.make_file(path);
    }
  }
  Asking asking(folder);
  if (seed % 2 == 0) asking.with_help_from_the_start();
  asking.roots().hide("**/.env").hide("**/*.pem").hide("**/secrets").hide("**/keys*/*.key").hide("src/b*");
  Strings expected, expected_roots;
  auto recurse = [&](auto& self, const std::string& relative, bool roots_count) -> void {
    bool is_root = relative.empty();
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder.str() + "/" + relative)) {
      std::string name = entry.path().filename(), below = relative.empty() ? name : relative + "/" + name;
      bool is_folder = entry.symlink_status().type() == fs::file_type::directory;
      if (name == ".git" || (name == "package.json" && !is_folder)) is_root = is_root || roots_count;
      bool is_hidden = asking.matches_any(below);
      if (is_hidden) expected.push_back(below);
      if (is_folder && !is_hidden) self(self, below, roots_count && name != "node_modules" && name != ".git");
    }
    if (is_root) expected_roots.push_back(relative);
  };
  recurse(recurse, "", true);
  Walked walked = asking.walk();
  REQUIRE(walked.stopped.empty());
  std::set<std::string> found;
  for (const std::string& path : paths_of(walked, folder)) found.insert(path);
  CHECK(found == std::set<std::string>(expected.begin(), expected.end()));
  Strings roots = roots_of(walked, folder);
  CHECK(std::set<std::string>(roots.begin(), roots.end()) ==
        std::set<std::string>(expected_roots.begin(), expected_roots.end()));
  CHECK(roots.size() == expected_roots.size());
  CHECK(found.size() > 20);
}
