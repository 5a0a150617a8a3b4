// A walk that remembers an earlier one must find what a walk without memory finds, whatever happened in between.

#include <chrono>
#include <random>

#include <fcntl.h>

#include <catch2/catch.hpp>

#include "walk_memory.hpp"
#include "walk_open.hpp"
#include "walk_support.hpp"

using namespace agentbox::launch;
using namespace look_test;
using policy::FileKind;

namespace {

constexpr std::string_view key = "a key";
constexpr std::int64_t second = 1'000'000'000;

std::int64_t clock_ns() {
  return std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::int64_t ctime_of(const std::string& path) {
  struct stat seen{};
  REQUIRE(::lstat(path.c_str(), &seen) == 0);
  return seen.st_ctim.tv_sec * second + seen.st_ctim.tv_nsec;
}

// From now on changes get other stamps than those before: so a test need not wait for two seconds, as the walk's rule does.
void let_the_clock_tick() {
  Folder elsewhere;
  elsewhere.make_file("probe");
  std::int64_t before = ctime_of(elsewhere.str());
  for (int i = 0; ctime_of(elsewhere.str()) == before; ++i) elsewhere.make_file("probe" + std::to_string(i));
}
std::int64_t later() {
  return clock_ns() + 10 * second;
}

std::shared_ptr<const WalkMemory> remember(const Walked& walked) {
  std::optional<std::string> bytes =
      memory_of(walked.notes.directories, walked.notes.before.get(), walked.notes.place, key);
  REQUIRE(bytes);
  std::optional<WalkMemory> memory = WalkMemory::parse(*bytes, key);
  REQUIRE(memory);
  return std::make_shared<const WalkMemory>(*std::move(memory));
}

// All but what tells how it was found out.
std::string text_of(const Walked& walked) {
  std::string text = std::to_string(walked.entries) + " " + walked.stopped + " " + walked.hint + "\n";
  for (const FoundRoot& found : walked.roots) {
    text +=
        found.root.path.str() + (found.root.repository ? " repository" : "") + (found.root.package ? " package" : "");
    for (std::uint32_t kind : found.kinds) text += " " + std::to_string(kind);
    text += "\n";
  }
  for (const AbsPath& path : walked.bare) text += "bare " + path.str() + "\n";
  for (const FoundMatch& match : walked.matches) {
    text += std::to_string(match.pattern) + " " + match.path.str() + " " +
            std::to_string(static_cast<int>(match.kind)) + "\n";
  }
  return text;
}

Asking ask(const Folder& folder) {
  Asking asking(folder);
  asking.roots().kinds({".envrc", ".vscode"}).hide("**/.env").protect("**/*.pem").hide("**/secrets");
  return asking;
}

// Does the walk read `relative` again?
bool is_read(const Walked& walked, const std::string& relative) {
  return std::ranges::find(walked.notes.directories, relative, &DirectoryNote::relative) !=
         walked.notes.directories.end();
}

// Random work of a hostile agent in a tree of names that mean something.
class Mess {
 public:
  Mess(const Folder& folder, unsigned seed) : folder_(folder), random_(seed) {}

  void grow(int steps) {
    for (int i = 0; i < steps; ++i) make();
  }
  void change(int steps) {
    for (int i = 0; i < steps; ++i) {
      std::error_code ignored;
      std::string one = any_path(), other = any_path();
      switch (pick(9)) {
        case 0: fs::remove_all(one, ignored); break;
        case 1:
        case 2: fs::rename(one, free_path(), ignored); break;
        case 3: (void)!::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE); break;
        case 4: replace_by_link(one, other); break;
        case 5: (void)!::chmod(one.c_str(), pick(2) == 0 ? 0700 : 0755); break;
        case 6: change_secretly(one); break;
        default: make();
      }
    }
  }

 private:
  std::size_t pick(std::size_t below) { return std::uniform_int_distribution<std::size_t>(0, below - 1)(random_); }
  std::vector<std::string> paths(bool folders_only) {
    std::vector<std::string> found{folder_.str()};
    for (const auto& entry : fs::recursive_directory_iterator(folder_.str())) {
      if (!folders_only || entry.symlink_status().type() == fs::file_type::directory) found.push_back(entry.path());
    }
    std::ranges::sort(found);
    return found;
  }
  std::string any_path() {
    std::vector<std::string> all = paths(false);
    return all[1 % all.size() + pick(all.size() - 1 % all.size())];
  }
  std::string free_path() {
    static const std::vector<std::string> names{".env",    "a.pem", "b",       "node_modules", "package.json",
                                                "secrets", ".git",  ".vscode", "src",          "HEAD",
                                                "objects", "refs",  ".envrc",  "lfs"};
    std::vector<std::string> folders = paths(true);
    std::string path = folders[pick(folders.size())] + "/" + names[pick(names.size())];
    return pick(2) == 0 ? path : path + std::to_string(pick(9));
  }
  void make() {
    std::string path = free_path();
    std::error_code ignored;
    switch (pick(8)) {
      case 0: (void)!::symlink(folder_.str().c_str(), path.c_str()); break;
      case 1: (void)!::mkfifo(path.c_str(), 0600); break;
      case 2:
      case 3:
        (void)!::close(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0600));
        break;
      default: (void)!::mkdir(path.c_str(), 0700);
    }
  }
  void replace_by_link(const std::string& one, const std::string& other) {
    std::error_code ignored;
    std::string aside = free_path();
    fs::rename(one, aside, ignored);
    (void)!::symlink(pick(2) == 0 ? aside.c_str() : other.c_str(), one.c_str());
  }
  // As somebody would who wants nobody to see it: the directory gets its times back.
  void change_secretly(const std::string& path) {
    struct stat before{};
    std::string parent = fs::path(path).parent_path();
    REQUIRE(::stat(parent.c_str(), &before) == 0);
    make();
    std::error_code ignored;
    fs::rename(path, path + "x", ignored);
    timespec times[] = {before.st_atim, before.st_mtim};
    (void)!::utimensat(AT_FDCWD, parent.c_str(), times, 0);
  }

  const Folder& folder_;
  std::mt19937 random_;
};

}  // namespace

TEST_CASE("what has not changed is not read again") {
  Folder folder;
  folder.make_file("app/package.json");
  folder.make_file("app/.envrc");
  folder.make_file("app/src/.env");
  folder.make_file("keys/a.pem");
  folder.make_file("store.git/HEAD");
  folder.make_folder("store.git/refs");
  folder.make_folder("store.git/objects");
  for (int i = 0; i < 100; ++i) folder.make_file("plain/" + std::to_string(i));
  Walked first = ask(folder).noting(later()).walk();
  CHECK(first.listed == first.entries);
  Walked again = ask(folder).noting(later()).with(remember(first)).walk();
  CHECK(again.listed == 0);
  CHECK(again.notes.directories.empty());
  CHECK(text_of(again) == text_of(first));
  CHECK(again.matches.size() == 2);
  CHECK(again.bare.size() == 1);

  folder.make_file("plain/deep/.env");
  Walked third = ask(folder).noting(later()).with(remember(first)).walk();
  CHECK(third.listed == 102);  // plain and plain/deep
  CHECK(third.matches.size() == 3);
  // What was remembered goes on into the next memory.
  CHECK(ask(folder).noting(later()).with(remember(third)).walk().listed == 0);
}

TEST_CASE("on random trees that change at random, a walk with a memory finds what one without finds") {
  unsigned seed = GENERATE(range(1u, 13u));
  CAPTURE(seed);
  Folder folder;
  Mess mess(folder, seed);
  mess.grow(300);
  std::shared_ptr<const WalkMemory> memory;
  std::uint64_t entries = 0, listed = 0;
  for (int round = 0; round < 8; ++round) {
    CAPTURE(round);
    Asking with = ask(folder), without = ask(folder);
    if (seed % 2 == 0) with.with_help_from_the_start();
    // Some memories skip rounds, as when another profile is used in between.
    let_the_clock_tick();
    Walked remembered = with.noting(later()).with(memory).walk();
    Walked plain = without.walk();
    REQUIRE(plain.stopped.empty());
    REQUIRE(text_of(remembered) == text_of(plain));
    if (round > 0) entries += remembered.entries, listed += remembered.listed;
    if (round % 3 != 1) memory = remember(remembered);
    let_the_clock_tick();
    mess.change(round == 3 ? 60 : 6);
  }
  CHECK(listed < entries);
}

TEST_CASE("a directory above may give those below another meaning, though they did not change") {
  Folder folder;
  folder.make_file("x/lib/package.json");
  folder.make_file("y/sub/package.json");
  folder.make_folder("y/refs");
  folder.make_folder("y/objects");
  auto memory = remember(ask(folder).noting(later()).walk());
  fs::rename(folder.str() + "/x", folder.str() + "/node_modules");
  folder.make_file("y/HEAD");  // a bare repository now: no roots in it
  Walked walked = ask(folder).with(memory).walk();
  CHECK(roots_of(walked, folder) == std::vector<std::string>{""});
  CHECK(text_of(walked) == text_of(ask(folder).walk()));
}

TEST_CASE("a directory that is young when it is read is read again") {
  Folder folder;
  folder.make_file("old/x");
  folder.make_file("young/x");
  std::int64_t changed = ctime_of(folder.str() + "/young");
  // Two seconds, and nothing from the future.
  for (std::int64_t now : {changed - 3600 * second, changed, changed + second, changed + 2 * second}) {
    CAPTURE(now - changed);
    Walked walked = ask(folder).noting(later()).with(remember(ask(folder).noting(now).walk())).walk();
    CHECK(is_read(walked, "young"));
  }
  auto memory = remember(ask(folder).noting(changed + 2 * second + 1).walk());
  CHECK_FALSE(is_read(ask(folder).noting(later()).with(memory).walk(), "young"));
}

TEST_CASE("why: a change that leaves no other stamp would not be seen") {
  Folder folder;
  folder.make_file("a/.env");
  std::optional<Seen> top = see(AT_FDCWD, folder.str().c_str()), a = see(AT_FDCWD, (folder.str() + "/a").c_str());
  REQUIRE(top);
  REQUIRE(a);
  // As if the file had come after the walk, in the same tick of the clock.
  DirectoryNote root, before;
  root.stamp = top->stamp;
  root.add("a", FileKind::directory);
  before.relative = "a";
  before.stamp = a->stamp;
  std::vector<DirectoryNote> notes{root, before};
  auto memory =
      std::make_shared<const WalkMemory>(*WalkMemory::parse(*memory_of(notes, nullptr, top->place, key), key));
  CHECK(ask(folder).with(memory).walk().matches.empty());
  // What the walk itself notes of it at that moment: nothing to be believed.
  for (const DirectoryNote& note : ask(folder).noting_by_the_clock().walk().notes.directories) CHECK_FALSE(note.stamp);
}

TEST_CASE("what is changed right after a walk is seen by the next") {
  Folder folder;
  for (int i = 0; i < 300; ++i) {
    folder.make_file("d/" + std::to_string(i));
    Walked walked = ask(folder).noting_by_the_clock().walk();
    folder.make_file("d/.env");
    REQUIRE(ask(folder).with(remember(walked)).walk().matches.size() == 1);
    fs::remove(folder.str() + "/d/.env");
  }
}

TEST_CASE("the same times on another directory, or a link in its place, mean nothing") {
  Folder folder, outside;
  folder.make_folder("a");
  folder.make_folder("b/c");
  outside.make_file(".env");
  let_the_clock_tick();
  auto memory = remember(ask(folder).noting(later()).walk());
  let_the_clock_tick();
  fs::rename(folder.str() + "/a", outside.str() + "/a");
  folder.make_link("a", outside.str() + "/a");  // the very same directory, but not in the workspace
  fs::rename(folder.str() + "/b", outside.str() + "/b");
  folder.make_link("b", outside.str() + "/b");
  Walked walked = ask(folder).noting(later()).with(memory).walk();
  CHECK(walked.entries == 2);
  CHECK(walked.listed == 2);
}

TEST_CASE("remembered entries count for the bound") {
  Folder folder;
  for (int i = 0; i < 50; ++i) folder.make_file("many/" + std::to_string(i));
  auto memory = remember(ask(folder).noting(later()).walk());
  Walked walked = ask(folder).bounds({.entries = 50}).with(memory).walk();
  CHECK(walked.stopped == "it has more than 50 entries");
  CHECK(ask(folder).bounds({.entries = 51}).with(memory).walk().stopped.empty());
}

TEST_CASE("a folder that was closed since stops the walk, and a stopped walk leaves nothing") {
  if (::geteuid() == 0) return;  // nothing is closed to root
  Folder folder;
  folder.make_file("closed/in/.env");
  let_the_clock_tick();
  auto memory = remember(ask(folder).noting(later()).walk());
  folder.close("closed");
  Walked walked = ask(folder).noting(later()).with(memory).walk();
  CHECK(walked.stopped == "closed cannot be read");
  CHECK(walked.notes.directories.empty());
}

TEST_CASE("what others may open today is read each time") {
  Folder folder;
  folder.make_file("shared/x");
  folder.close("shared", 0300);  // root can read it now; its owner can't
  if (::geteuid() != 0) return;
  auto memory = remember(ask(folder).noting(later()).walk());
  CHECK(is_read(ask(folder).noting(later()).with(memory).walk(), "shared"));
}

TEST_CASE("each part of a stamp counts") {
  Folder folder;
  folder.make_file("a/x");
  auto walk_after = [&](auto change) {
    Walked walked = ask(folder).noting(later()).walk();
    auto a = std::ranges::find(walked.notes.directories, "a", &DirectoryNote::relative);
    change(a->stamp.value());
    return ask(folder).noting(later()).with(remember(walked)).walk();
  };
  CHECK(is_read(walk_after([](Stamp& stamp) { ++stamp.inode; }), "a"));
  CHECK(is_read(walk_after([](Stamp& stamp) { ++stamp.changed_ns; }), "a"));
  CHECK(is_read(walk_after([](Stamp& stamp) { ++stamp.modified_ns; }), "a"));
  CHECK_FALSE(is_read(walk_after([](Stamp&) {}), "a"));
}

TEST_CASE("a memory of another mount is none") {
  Folder folder;
  folder.make_file("a/x");
  Walked walked = ask(folder).noting(later()).walk();
  ++walked.notes.place.mount;
  Walked again = ask(folder).noting(later()).with(remember(walked)).walk();
  CHECK(again.listed == again.entries);
}
