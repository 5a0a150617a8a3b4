#include <catch2/catch.hpp>

#include "guard_support.hpp"
#include "guard_text.hpp"
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
  {
    RunFolder run = RunFolder::create(runs, "s1");
    run.write(sample());
    CHECK_FALSE(RunFolder::seize(runs, "s1"));
    CHECK(living_records(state).size() == 1);
    CHECK(living_records(state, "s1").empty());
    CHECK_THROWS_WITH(RunFolder::create(runs, "s1"), "cannot make the record of session s1: File exists");
    struct stat found = {};
    ::stat((folder / "deep/state/runs/s1").c_str(), &found);
    CHECK((found.st_mode & 0777) == 0700);
    ::stat((folder / "deep/state/runs/s1/record.json").c_str(), &found);
    CHECK((found.st_mode & 0777) == 0600);
  }
  CHECK(living_records(state).empty());
  CHECK(RunFolder::seize(runs, "s1"));
  CHECK_THROWS_WITH(RunFolder::create(runs, "../s1"), "a session's name must be a plain word: Invalid argument");
}

TEST_CASE("an empty directory is discarded to the trash, a filled one stays") {
  TempDir folder;
  AbsPath state = abs(folder / "state");
  make_dir(folder / "empty");
  make_dir(folder / "filled");
  write(folder / "filled/x", "");
  base::UniqueFd here(::open(folder.str().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  Trash trash(state);
  CHECK(trash.discard(here.get(), "empty") == 0);
  CHECK_FALSE(exists(folder / "empty"));
  CHECK(trash.discard(here.get(), "filled") == ENOTEMPTY);
  CHECK(exists(folder / "filled/x"));
  trash.empty({}, 1);
  CHECK(::rmdir((folder / "state/trash").c_str()) == -1);
  trash.empty({});
  CHECK(::rmdir((folder / "state/trash").c_str()) == 0);
}
