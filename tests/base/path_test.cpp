#include "agentbox/base/path.hpp"

#include <algorithm>

#include <catch2/catch.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/base/join.hpp"

using namespace agentbox;
using base::AbsPath;

namespace {
AbsPath path(std::string_view text) {
  auto parsed = AbsPath::parse(text);
  REQUIRE(parsed);
  return *parsed;
}
}  // namespace

TEST_CASE("a path is normalised without asking the file system") {
  CHECK(path("/").str() == "/");
  CHECK(path("//a///b/").str() == "/a/b");
  CHECK(path("/./a/./b/.").str() == "/a/b");
  CHECK(path("/a\xff\n b").str() == "/a\xff\n b");
}

TEST_CASE("what is not an absolute path without '..' is refused") {
  CHECK_FALSE(AbsPath::parse(""));
  CHECK_FALSE(AbsPath::parse("a/b"));
  CHECK_FALSE(AbsPath::parse("/a/../b"));
  CHECK_FALSE(AbsPath::parse("/.."));
  CHECK_FALSE(AbsPath::parse(std::string_view("/a\0b", 4)));
  CHECK_FALSE(AbsPath::parse("/" + std::string(5000, 'a')));
  CHECK(AbsPath::parse("/..."));
}

TEST_CASE("containment is by component, not by string") {
  CHECK(path("/a/b").is_within(path("/a")));
  CHECK(path("/a").is_within(path("/a")));
  CHECK_FALSE(path("/a").is_below(path("/a")));
  CHECK_FALSE(path("/ab").is_within(path("/a")));
  CHECK(path("/ab").is_below(path("/")));
  CHECK(path("/a/b/c").relative_to(path("/a")) == "b/c");
  CHECK(path("/a").relative_to(path("/")) == "a");
  CHECK(path("/a").relative_to(path("/a")).empty());
}

TEST_CASE("parts of a path") {
  CHECK(path("/a/b").name() == "b");
  CHECK(path("/a/b").parent() == path("/a"));
  CHECK(path("/a").parent() == path("/"));
  CHECK(path("/").parent() == path("/"));
  CHECK(path("/").depth() == 0);
  CHECK(path("/a/b").depth() == 2);
  CHECK(path("/a/b").components() == std::vector<std::string_view>{"a", "b"});
  CHECK(path("/") / "a/b" == path("/a/b"));
  CHECK(path("/x") / "a" == path("/x/a"));
}

TEST_CASE("somebody else's words below a folder are checked, and ours throw rather than become another path") {
  const AbsPath folder = path("/" + std::string(4000, 'a'));
  CHECK(base::join(path("/a"), "b//c/.") == path("/a/b/c"));
  CHECK(base::join(path("/"), "a") == path("/a"));
  CHECK(base::join(folder, std::string(93, 'b')));
  CHECK_FALSE(base::join(folder, std::string(94, 'b')));
  CHECK_FALSE(base::join(folder, "../b"));
  CHECK_FALSE(base::join(folder, std::string_view("a\0b", 3)));
  CHECK_THROWS_AS(folder / std::string(94, 'b'), base::SystemError);
}

TEST_CASE("parents sort before their children, and children before longer-named siblings") {
  std::vector<AbsPath> paths = {path("/a-b"), path("/a/b"), path("/a"), path("/")};
  std::ranges::sort(paths);
  CHECK(paths == std::vector<AbsPath>{path("/"), path("/a"), path("/a/b"), path("/a-b")});
}
