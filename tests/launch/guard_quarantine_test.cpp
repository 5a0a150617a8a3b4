#include <catch2/catch.hpp>

#include "agentbox/base/diagnostic.hpp"

#include "guard_support.hpp"
#include "quarantine.hpp"

using namespace agentbox::launch::test;
using namespace agentbox::launch;
using namespace agentbox;

namespace {

struct Shelf {
  explicit Shelf(const char* where = "/tmp") : world(where), quarantine(abs(world.state)) {}

  std::string take_it(const std::string& relative, const std::string& why = "a test") {
    Tree tree(abs(world.workspace));
    AbsPath path = abs(world.in(relative));
    return take({.state_folder = abs(world.state), .path = path, .session = "s1", .profile = "pi", .why = why},
                tree.directory(path.parent())->get(), std::string(path.name()), Writers::none)
        .value()
        .id;
  }
  std::string restore(const std::string& id) {
    base::Result<Quarantined> item = quarantine.find(id);
    if (!item) return item.error()[0].message;
    base::Result<void> done = quarantine.restore(*item);
    return done ? "" : done.error()[0].message;
  }

  World world;
  Quarantine quarantine;
};

}  // namespace

TEST_CASE("an empty quarantine lists nothing and makes nothing") {
  Shelf shelf;
  CHECK(shelf.quarantine.list().empty());
  CHECK_FALSE(exists(shelf.world.state));
}

TEST_CASE("what is taken comes back as it was") {
  // /dev/shm: another file system than /tmp's, so that copies are tried as well as renames.
  bool across = GENERATE(false, true);
  Shelf shelf;
  TempDir elsewhere("/dev/shm");
  if (across) {
    shelf.world.state = elsewhere / "state";
    shelf.quarantine = Quarantine(abs(shelf.world.state));
  }
  std::string path = shelf.world.in(".envrc");
  SECTION("a file") {
    write(path, "use nix\n");
    ::chmod(path.c_str(), 04755);
    std::string id = shelf.take_it(".envrc");
    CHECK_FALSE(exists(path));
    CHECK(shelf.restore(id).empty());
    CHECK(read(path) == "use nix\n");
    struct stat found = {};
    ::stat(path.c_str(), &found);
    CHECK((found.st_mode & 07777) == 0755);
  }
  SECTION("a link") {
    REQUIRE(::symlink("/nonexistent", path.c_str()) == 0);
    CHECK(shelf.restore(shelf.take_it(".envrc")).empty());
    CHECK(exists(path));
  }
  SECTION("a directory") {
    make_dir(path);
    make_dir(path + "/sub");
    write(path + "/sub/x", "1");
    REQUIRE(::symlink("x", (path + "/sub/y").c_str()) == 0);
    std::string id = shelf.take_it(".envrc");
    CHECK_FALSE(exists(path));
    CHECK(shelf.quarantine.content(shelf.quarantine.list()[0], 100).bytes == "sub/\nsub/x\nsub/y\n");
    CHECK(shelf.restore(id).empty());
    CHECK(read(path + "/sub/y") == "1");
  }
  CHECK(shelf.quarantine.list().empty());
}

TEST_CASE("a fifo across file systems leaves its description, and nothing to restore") {
  Shelf shelf;
  TempDir elsewhere("/dev/shm");
  shelf.world.state = elsewhere / "state";
  shelf.quarantine = Quarantine(abs(shelf.world.state));
  REQUIRE(::mkfifo(shelf.world.in("f").c_str(), 0644) == 0);
  std::string id = shelf.take_it("f");
  CHECK_FALSE(exists(shelf.world.in("f")));
  CHECK(shelf.restore(id) == "only the description of this fifo was kept: there is nothing to restore");
}

TEST_CASE("what is too big to be copied across file systems stays, and says so") {
  Shelf shelf;
  TempDir elsewhere("/dev/shm");
  shelf.world.state = elsewhere / "state";
  shelf.quarantine = Quarantine(abs(shelf.world.state));
  write(shelf.world.in("big"), "x");
  REQUIRE(::truncate(shelf.world.in("big").c_str(), 1LL << 40) == 0);
  CHECK_THROWS_WITH(
      shelf.take_it("big"),
      "cannot take " + shelf.world.in("big") +
          " to the quarantine: it is too big to be copied, and the state folder is on another file system");
  CHECK(exists(shelf.world.in("big")));
  CHECK(shelf.quarantine.list().empty());
}

TEST_CASE("a huge sparse file on the same file system is moved, not copied") {
  Shelf shelf;
  write(shelf.world.in("big"), "x");
  REQUIRE(::truncate(shelf.world.in("big").c_str(), 1LL << 40) == 0);
  std::string id = shelf.take_it("big");
  CHECK_FALSE(exists(shelf.world.in("big")));
  CHECK_FALSE(shelf.quarantine.content(shelf.quarantine.list()[0], 10).whole);
}

TEST_CASE("restoring overwrites nothing and follows no link") {
  Shelf shelf;
  make_dir(shelf.world.in("pkg"));
  write(shelf.world.in("pkg/.envrc"), "agent's");
  std::string id = shelf.take_it("pkg/.envrc");
  std::string path = shelf.world.in("pkg/.envrc");
  SECTION("something is there") {
    write(path, "owner's");
    CHECK(shelf.restore(id) == "there is a file at " + path + " already");
    CHECK(read(path) == "owner's");
  }
  SECTION("a directory on the way is a link") {
    make_dir(shelf.world.folder / "home");
    ::rmdir(shelf.world.in("pkg").c_str());
    (void)!::symlink((shelf.world.folder / "home").c_str(), shelf.world.in("pkg").c_str());
    CHECK(shelf.restore(id) == "cannot restore to " + path + ": a directory on the way is a symbolic link");
    CHECK_FALSE(exists(shelf.world.folder / "home/.envrc"));
  }
  SECTION("the directory is gone") {
    ::rmdir(shelf.world.in("pkg").c_str());
    CHECK(shelf.restore(id) == "cannot restore to " + path + ": No such file or directory");
  }
  SECTION("a running room would take it again") {
    shelf.world.watch_for(".envrc", policy::Watched::Why::protect, "/pkg");
    Guard guard(shelf.world.policy, shelf.world.plan, abs(shelf.world.state), "s9");
    CHECK(shelf.restore(id) == "a running room guards " + path + " and would take it again");
  }
  CHECK(shelf.quarantine.list().size() == 1);
}

TEST_CASE("names and places are kept byte by byte") {
  Shelf shelf;
  std::string name = "a\n\xff%41 \033[2J";
  write(shelf.world.in(name), "x");
  shelf.take_it(name);
  CHECK(shelf.quarantine.list().at(0).path.str() == shelf.world.in(name));
}

TEST_CASE("an id may be shortened while only one item has it") {
  Shelf shelf;
  write(shelf.world.in("a"), "");
  write(shelf.world.in("b"), "");
  std::string a = shelf.take_it("a"), b = shelf.take_it("b");
  CHECK(shelf.quarantine.find(a)->id == a);
  CHECK(shelf.quarantine.find(a.substr(0, 14))->id == a);
  CHECK(shelf.quarantine.find(a.substr(0, 8)).error()[0].message ==
        "2 items of the quarantine begin with '" + a.substr(0, 8) + "'");
  CHECK(shelf.quarantine.find("nope").error()[0].message == "there is no item 'nope' in the quarantine");
  shelf.quarantine.erase(*shelf.quarantine.find(a));
  CHECK(shelf.quarantine.list().size() == 1);
}

TEST_CASE("an item with a damaged description is listed and can be deleted, not restored") {
  Shelf shelf;
  write(shelf.world.in("a"), "");
  std::string id = shelf.take_it("a");
  write(shelf.world.state + "/quarantine/" + id + "/item.json", "{\"path\": \"../../etc\"}");
  REQUIRE(shelf.quarantine.list().size() == 1);
  CHECK(shelf.quarantine.list()[0].why == "its description cannot be read");
  CHECK(shelf.restore(id) == "it is not known where this item stood");
  shelf.quarantine.erase(shelf.quarantine.list()[0]);
  CHECK(shelf.quarantine.list().empty());
}

TEST_CASE("what a program writes after its file was taken is in the item, and nothing that comes after the room") {
  bool across = GENERATE(false, true);
  World world;
  TempDir elsewhere("/dev/shm");
  if (across) world.state = elsewhere / "state";
  world.watch_for(".npmrc");
  Watching run(world);
  int fd = ::open(world.in(".npmrc").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
  REQUIRE(run.until([&] { return !run.events.empty(); }));
  REQUIRE(::write(fd, "registry=x", 10) == 10);
  (void)run.guard.finish();
  REQUIRE(::write(fd, "later", 5) == 5);
  ::close(fd);
  std::vector<Quarantined> items = world.quarantine();
  REQUIRE(items.size() == 1);
  CHECK(items[0].size == 10);
  CHECK(Quarantine(abs(world.state)).content(items[0], 100).bytes == "registry=x");
}
