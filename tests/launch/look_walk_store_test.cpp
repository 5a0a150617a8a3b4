// What is on the disk between two walks: believed only if nobody else could have written it, and if it is whole.

#include <fcntl.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "walk_store.hpp"
#include "walk_support.hpp"

using namespace agentbox::launch;
using namespace look_test;

namespace {

struct Shelf {
  Folder workspace, state;

  Shelf() {
    // Directories cost more than files: these are enough to be worth a memory.
    for (int i = 0; i < 260; ++i) workspace.make_folder("d" + std::to_string(i));
  }
  Asking ask() {
    Asking asking(workspace);
    asking.roots().kinds({".envrc"}).hide("**/.env");
    return asking;
  }
  [[nodiscard]] WalkStore store(Asking& asking) const { return {state.path(), asking.request()}; }
  void fill() {
    Asking asking = ask();
    WalkStore it = store(asking);
    it.note(asking.noting(INT64_MAX).walk().notes);
    it.save();
  }
  bool is_known() {
    Asking asking = ask();
    return store(asking).load() != nullptr;
  }
  std::vector<std::string> files() {
    std::vector<std::string> names;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(state.str() + "/walks", none)) names.push_back(entry.path());
    return names;
  }
  std::string only_file() {
    REQUIRE(files().size() == 1);
    return files()[0];
  }
};

std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void put(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

}  // namespace

TEST_CASE("a memory comes back from the disk and spares the next walk") {
  Shelf shelf;
  CHECK_FALSE(shelf.is_known());
  shelf.fill();
  Asking asking = shelf.ask();
  auto memory = shelf.store(asking).load();
  REQUIRE(memory);
  CHECK(asking.with(memory).walk().listed == 0);
  struct stat seen{};
  REQUIRE(::stat(shelf.only_file().c_str(), &seen) == 0);
  CHECK((seen.st_mode & 07777) == 0600);
  REQUIRE(::stat((shelf.state.str() + "/walks").c_str(), &seen) == 0);
  CHECK((seen.st_mode & 07777) == 0700);
}

TEST_CASE("a memory counts for one workspace and one set of things looked for") {
  Shelf shelf;
  shelf.fill();
  REQUIRE(shelf.is_known());
  Folder other;
  std::vector<Asking> others;
  others.emplace_back(other).roots().kinds({".envrc"}).hide("**/.env");
  others.emplace_back(shelf.workspace).roots().kinds({".envrc"}).hide("**/.env").hide("**/x");
  others.emplace_back(shelf.workspace).roots().kinds({".envrc"}).hide("**/.enw");
  others.emplace_back(shelf.workspace).roots().kinds({".envrc"}).protect("**/.env");
  others.emplace_back(shelf.workspace).roots().kinds({".envrc"}).hide(".env");
  others.emplace_back(shelf.workspace).roots().kinds({".envrc", ".x"}).hide("**/.env");
  others.emplace_back(shelf.workspace).kinds({".envrc"}).hide("**/.env");  // no markers
  for (Asking& asking : others) CHECK(shelf.store(asking).load() == nullptr);
  // Not even where the files' names are the same.
  std::string file = shelf.only_file(), bytes = bytes_of(file);
  WalkStore store = shelf.store(others[2]);  // a key as long as the first
  store.note(others[2].noting(INT64_MAX).walk().notes);
  store.save();
  REQUIRE(shelf.files().size() == 2);
  REQUIRE(shelf.store(others[2]).load());
  for (const std::string& name : shelf.files()) {
    if (name != file) put(name, bytes);
  }
  CHECK(shelf.store(others[2]).load() == nullptr);
}

TEST_CASE("a damaged memory is none") {
  Shelf shelf;
  shelf.fill();
  std::string file = shelf.only_file(), whole = bytes_of(file);
  for (std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{47}, std::size_t{48}, whole.size() / 2, whole.size() - 1}) {
    put(file, whole.substr(0, size));
    CHECK_FALSE(shelf.is_known());
  }
  put(file, whole + '\0');
  CHECK_FALSE(shelf.is_known());
  for (std::size_t at = 0; at < whole.size(); at += at < 600 ? 1 : 97) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 4);
    put(file, bytes);
    CAPTURE(at);
    REQUIRE_FALSE(shelf.is_known());
  }
  std::string zeros(whole.size(), '\0');  // as after a loss of power
  put(file, zeros);
  CHECK_FALSE(shelf.is_known());
  put(file, whole);
  CHECK(shelf.is_known());
}

TEST_CASE("a memory that somebody else could have put there is none") {
  Shelf shelf;
  shelf.fill();
  std::string file = shelf.only_file(), aside = shelf.state.str() + "/aside";
  REQUIRE(::chmod(file.c_str(), 0644) == 0);
  CHECK_FALSE(shelf.is_known());
  REQUIRE(::chmod(file.c_str(), 0600) == 0);
  CHECK(shelf.is_known());
  fs::rename(file, aside);
  REQUIRE(::symlink(aside.c_str(), file.c_str()) == 0);
  CHECK_FALSE(shelf.is_known());
  fs::remove(file);
  REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
  CHECK_FALSE(shelf.is_known());
  fs::remove(file);
  fs::rename(aside, file);
  CHECK(shelf.is_known());
  std::string folder = shelf.state.str() + "/walks";
  REQUIRE(::chmod(folder.c_str(), 0770) == 0);
  CHECK_FALSE(shelf.is_known());
  REQUIRE(::chmod(folder.c_str(), 0700) == 0);
  if (::geteuid() == 0) {
    REQUIRE(::chown(file.c_str(), 1, 0) == 0);
    CHECK_FALSE(shelf.is_known());
  }
}

TEST_CASE("a small workspace leaves no file, nor does one that was not read") {
  Shelf shelf;
  Folder small;
  small.make_file("a/x");
  Asking asking(small);
  WalkStore store = shelf.store(asking);
  store.note(asking.noting(INT64_MAX).walk().notes);
  store.save();
  CHECK(shelf.files().empty());
  // Nor one in which everything is young.
  Asking young = shelf.ask();
  WalkStore second = shelf.store(young);
  second.note(young.noting_by_the_clock().walk().notes);
  second.save();
  CHECK(shelf.files().empty());
}

TEST_CASE("the oldest memories go") {
  Shelf shelf;
  shelf.fill();
  std::string folder = shelf.state.str() + "/walks";
  for (int i = 0; i < 100; ++i) {
    std::string path = folder + "/" + std::to_string(i);
    put(path, "x");
    timespec times[] = {{.tv_sec = i, .tv_nsec = 0}, {.tv_sec = i, .tv_nsec = 0}};
    REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
  }
  shelf.fill();
  CHECK(shelf.files().size() == 64);
  CHECK(shelf.is_known());
  CHECK(fs::exists(folder + "/99"));
  CHECK_FALSE(fs::exists(folder + "/0"));
}

TEST_CASE("a sweep forgets workspaces that are gone, and no others") {
  Shelf shelf;
  shelf.fill();
  auto gone = std::make_unique<Folder>();
  for (int i = 0; i < 260; ++i) gone->make_folder("d" + std::to_string(i));
  Asking asking(*gone);
  asking.roots();
  WalkStore store(shelf.state.path(), asking.request());
  store.note(asking.noting(INT64_MAX).walk().notes);
  store.save();
  REQUIRE(shelf.files().size() == 2);
  CHECK(WalkStore::forget(shelf.state.path()) == 0);
  gone.reset();
  CHECK(WalkStore::forget(shelf.state.path()) == 1);
  CHECK(shelf.files().size() == 1);
  CHECK(shelf.is_known());
  put(shelf.only_file(), bytes_of(shelf.only_file()).substr(0, 60));  // no memory any more
  CHECK(WalkStore::forget(shelf.state.path()) == 1);
  CHECK(WalkStore::forget(shelf.state.path()) == 0);
}

TEST_CASE("where nothing can be written, nothing is remembered and nothing fails") {
  Shelf shelf;
  shelf.state.make_file("walks", "in the way");
  shelf.fill();
  CHECK_FALSE(shelf.is_known());
}
