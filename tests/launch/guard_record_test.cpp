#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "guard_support.hpp"
#include "guard_text.hpp"
#include "guard_tree.hpp"
#include "record.hpp"

using namespace agentbox::launch::test;
using namespace agentbox::launch;
using namespace agentbox;

namespace {

Record sample() {
  Record record;
  record.session = "s1";
  record.profile = "pi \xff";
  record.workspace = abs("/home/u/w\n%");
  record.workspace_device = ~0ULL;
  record.workspace_inode = 7;
  record.started = 1;
  record.pid = 42;
  record.ghosts = {abs("/w/.vscode")};
  record.watched = {abs("/w/.envrc"), abs("/w/.npmrc")};
  record.held = {{abs("/w/A"),
                  {{.relative = "", .kind = policy::FileKind::directory, .mode = 0755},
                   {.relative = "x/y", .kind = policy::FileKind::symlink, .target = "\xfe/.."}}},
                 {abs("/w/B"), {}}};
  record.git = {{abs("/w/.git"), abs("/m/.git"), "ref: x", {abs("/m/.git/modules/a")}, {{"refs/x", "\x01"}}}};
  return record;
}

}  // namespace

TEST_CASE("a record reads back as it was written, whatever the bytes") {
  CHECK(record_of_json(to_json(sample())) == sample());
}

TEST_CASE("what is no record is none") {
  CHECK_FALSE(record_of_json(""));
  CHECK_FALSE(record_of_json("[]"));
  CHECK_FALSE(record_of_json("{\"version\":1}"));
  std::string good = to_json(sample());
  auto with = [&](std::string_view from, std::string_view to) {
    std::string text = good;
    std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return record_of_json(text.replace(at, from.size(), to));
  };
  CHECK(with("\"pid\":42", "\"pid\":43"));  // the helper itself works
  CHECK_FALSE(with("\"version\":1", "\"version\":2"));
  CHECK_FALSE(with("\"session\":\"s1\"", "\"session\":\"../x\""));
  CHECK_FALSE(with("/w/.vscode", "w/.vscode"));
  CHECK_FALSE(with("/w/.vscode", "/w/../x"));
  CHECK_FALSE(with("x/y", "../y"));
  CHECK_FALSE(with("x/y", "/y"));
  CHECK_FALSE(with("symbolic link", "wormhole"));
  CHECK_FALSE(with("/w/.vscode", "/w/%0"));
}

TEST_CASE("bytes survive percent-encoding") {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  CHECK(decode_bytes(encode_bytes(all)) == all);
  CHECK(encode_bytes("a b%\n\xc3\xa4") == "a b%25%0A%C3%A4");
  CHECK_FALSE(decode_bytes("%4"));
  CHECK_FALSE(decode_bytes("%zz"));
}

TEST_CASE("a session's folder is locked while it is held, and private") {
  TempDir folder;
  AbsPath state = abs(folder / "deep/state");
  RunsLock runs(state);
  Spares spares(state);
  {
    RunFolder run = RunFolder::create(runs, "s1", spares);
    run.write(sample());
    CHECK_FALSE(RunFolder::seize(runs, "s1"));
    CHECK(living_records(state).size() == 1);
    CHECK(living_records(state, "s1").empty());
    CHECK_THROWS_WITH(RunFolder::create(runs, "s1", spares), "cannot make the record of session s1: File exists");
    struct stat found = {};
    ::stat((folder / "deep/state/runs/s1").c_str(), &found);
    CHECK((found.st_mode & 0777) == 0700);
    ::stat((folder / "deep/state/runs/s1/record.json").c_str(), &found);
    CHECK((found.st_mode & 0777) == 0600);
  }
  CHECK(living_records(state).empty());
  CHECK(RunFolder::seize(runs, "s1"));
  CHECK_THROWS_WITH(RunFolder::create(runs, "../s1", spares),
                    "a session's name must be a plain word: Invalid argument");
}

TEST_CASE("an empty directory becomes a spare and is used again, a filled one stays") {
  TempDir folder;
  AbsPath state = abs(folder / "state");
  make_dir(folder / "empty");
  make_dir(folder / "filled");
  write(folder / "filled/x", "");
  base::UniqueFd here(::open(folder.str().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  auto inode = [&](const std::string& name) { return look_at(here.get(), name)->inode; };
  std::uint64_t number = inode("empty");
  {
    Spares spares(state);
    CHECK(spares.give_back(here.get(), "empty") == 0);
    CHECK_FALSE(exists(folder / "empty"));
    CHECK(spares.give_back(here.get(), "filled") == ENOTEMPTY);
    CHECK(exists(folder / "filled/x"));
  }
  Spares spares(state);
  CHECK(spares.take(here.get(), "filled", Spares::Mode::open) == EEXIST);
  CHECK(exists(folder / "filled/x"));
  mode_t before = ::umask(077);
  CHECK(spares.take(here.get(), "again", Spares::Mode::open) == 0);
  CHECK(spares.take(here.get(), "fresh", Spares::Mode::open) == 0);  // there is no spare left
  CHECK(spares.take(here.get(), "secret", Spares::Mode::secret) == 0);
  ::umask(before);
  CHECK(inode("again") == number);
  CHECK((look_at(here.get(), "again")->mode & 07777) == 0755);
  CHECK((look_at(here.get(), "fresh")->mode & 07777) == 0755);
  CHECK((look_at(here.get(), "secret")->mode & 07777) == 0700);
}

TEST_CASE("a spare that is not empty is not used, and spares are trimmed") {
  TempDir folder;
  AbsPath state = abs(folder / "state");
  base::UniqueFd here(::open(folder.str().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  make_dir(folder / "a");
  Spares spares(state);
  REQUIRE(spares.give_back(here.get(), "a") == 0);
  for (const auto& entry : std::filesystem::directory_iterator(folder / "state/spares")) {
    write(entry.path().string() + "/x", "somebody's");
  }
  CHECK(spares.take(here.get(), "b", Spares::Mode::open) == 0);
  CHECK_FALSE(exists(folder / "b/x"));
  REQUIRE(spares.give_back(here.get(), "b") == 0);
  Spares(state).trim({}, 0);
  std::size_t left = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "state/spares")) {
    ++left;
    CHECK(exists(entry.path().string() + "/x"));
  }
  CHECK(left == 1);
}
