#include <catch2/catch.hpp>

#include "agentbox/policy/facts.hpp"

#include "resolver.hpp"
#include "world.hpp"

using namespace agentbox;
using policy::FileKind;
using policy::Resolution;
using policy::Snapshot;
using policy::SnapshotDisk;
using test::path;

namespace {

struct Tree {
  Snapshot files;
  Tree& folder(std::string_view at) { return put(at, {.kind = FileKind::directory}); }
  Tree& file(std::string_view at) { return put(at, {.kind = FileKind::regular}); }
  Tree& link(std::string_view at, std::string to) {
    return put(at, {.kind = FileKind::symlink, .target = std::move(to)});
  }
  Tree& put(std::string_view at, policy::FileFact fact) {
    files[path(at)] = std::move(fact);
    return *this;
  }
  // Both ways of resolving, which must agree.
  Resolution resolve(std::string_view at) {
    SnapshotDisk disk(files);
    Resolution plain = policy::resolve(path(at), disk);
    policy::Resolver remembering(disk);
    for (int i = 0; i < 2; ++i) {
      Resolution again = remembering(path(at));
      CHECK(again.kind == plain.kind);
      CHECK(again.path == plain.path);
      CHECK(again.deepest == plain.deepest);
      CHECK(again.links.size() == plain.links.size());
    }
    return plain;
  }
};

}  // namespace

TEST_CASE("a path without links is itself") {
  Tree tree;
  tree.folder("/a").folder("/a/b").file("/a/b/f");
  Resolution found = tree.resolve("/a/b/f");
  CHECK(found.kind == FileKind::regular);
  CHECK(found.path == path("/a/b/f"));
  CHECK(found.deepest == path("/a/b"));
  CHECK(found.links.empty());
  CHECK(tree.resolve("/").kind == FileKind::directory);
}

TEST_CASE("'..' in a link's target means the parent of where the link really is") {
  Tree tree;
  // /home/u is really /data/u, so /home/u/l → ../x is /data/x, not /home/x.
  tree.folder("/home").link("/home/u", "/data/u").folder("/data").folder("/data/u").link("/data/u/l", "../x");
  tree.file("/data/x").file("/home/x");
  Resolution found = tree.resolve("/home/u/l");
  CHECK(found.path == path("/data/x"));
  REQUIRE(found.links.size() == 2);
  CHECK(found.links[0].at == path("/home/u"));
  CHECK(found.links[1].at == path("/data/u/l"));
  CHECK(found.links[1].target == "../x");
}

TEST_CASE("'..' above the root stays at the root") {
  Tree tree;
  tree.link("/l", "../../../a").file("/a");
  CHECK(tree.resolve("/l").path == path("/a"));
}

TEST_CASE("a circle of links is a symlink and ends") {
  Tree tree;
  tree.link("/a", "b").link("/b", "a");
  Resolution found = tree.resolve("/a/x");
  CHECK(found.kind == FileKind::symlink);
  CHECK(found.links.size() == 40);
}

TEST_CASE("forty links are followed, one more is not") {
  Tree tree;
  for (int i = 0; i < 50; ++i) tree.link("/l" + std::to_string(i), "l" + std::to_string(i + 1));
  tree.file("/l50");
  CHECK(tree.resolve("/l10").kind == FileKind::regular);
  CHECK(tree.resolve("/l9").kind == FileKind::symlink);
}

TEST_CASE("what is missing has the place where it would be") {
  Tree tree;
  tree.folder("/a").link("/l", "/a/none");
  Resolution found = tree.resolve("/l/x/y");
  CHECK(found.kind == FileKind::missing);
  CHECK(found.path == path("/a/none/x/y"));
  CHECK(found.deepest == path("/a"));
  CHECK(tree.resolve("/b").deepest == path("/"));
}

TEST_CASE("an absolute link starts again at the root") {
  Tree tree;
  tree.folder("/a").folder("/a/b").link("/a/b/l", "/none");
  CHECK(tree.resolve("/a/b/l").deepest == path("/"));
}

TEST_CASE("behind a file there is nothing") {
  Tree tree;
  tree.file("/f");
  Resolution found = tree.resolve("/f/x");
  CHECK(found.kind == FileKind::missing);
  CHECK(found.path == path("/f/x"));
}

TEST_CASE("behind a folder that can't be searched nobody knows") {
  Tree tree;
  tree.put("/a", {.kind = FileKind::unreadable});
  CHECK(tree.resolve("/a/x").kind == FileKind::unreadable);
  CHECK(tree.resolve("/a").kind == FileKind::unreadable);
}

TEST_CASE("a link target that is no path ends the walk") {
  Tree tree;
  tree.link("/long", std::string(3000, 'a') + "/" + std::string(3000, 'b'));
  tree.link("/empty", "");
  tree.folder("/" + std::string(3000, 'a'));
  CHECK(tree.resolve("/long").kind == FileKind::unreadable);
  CHECK(tree.resolve("/empty").kind == FileKind::missing);
}

TEST_CASE("resolve_parent keeps the last component as it is") {
  Tree tree;
  tree.folder("/a").link("/d", "a").link("/a/l", "x");
  SnapshotDisk disk(tree.files);
  Resolution found = policy::resolve_parent(path("/d/l"), disk);
  CHECK(found.kind == FileKind::symlink);
  CHECK(found.path == path("/a/l"));
  CHECK(found.fact.target == "x");
}
