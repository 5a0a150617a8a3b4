// The record while another program holds it.

#include "recorder.hpp"

#include <string>

#include <sqlite3.h>

#include <catch2/catch.hpp>

#include "support.hpp"

using namespace agentbox;
using namespace agentbox::broker;
using namespace agentbox::broker::test;

namespace {

// What other programs do to the record.
class Other {
 public:
  explicit Other(const base::AbsPath& file) { REQUIRE(sqlite3_open(file.c_str(), &open_) == SQLITE_OK); }
  ~Other() { sqlite3_close(open_); }
  Other(const Other&) = delete;
  Other& operator=(const Other&) = delete;
  void run(const char* sql) { REQUIRE(sqlite3_exec(open_, sql, nullptr, nullptr, nullptr) == SQLITE_OK); }

 private:
  sqlite3* open_ = nullptr;
};

std::string problem_of(Recorder& recorder) {
  try {
    recorder.append({{.what = store::Event::What::outcome, .at = {}, .session = "pi-1", .profile = "pi"}});
  } catch (const store::StoreError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("only the first waits for a locked record, whatever is read meanwhile") {
  Folder folder;
  Settings settings;
  settings.session = "pi-1";
  settings.profile = "pi";
  settings.record = folder / "record.db";
  Recorder recorder(settings);
  CHECK(problem_of(recorder).empty());
  Other other(settings.record);
  for (int time = 0; time < 2; ++time) {
    other.run("BEGIN IMMEDIATE");
    CHECK(problem_of(recorder).find("held it for longer than 2000 ms") != std::string::npos);
    for (int i = 0; i < 2; ++i) {
      CHECK(recorder.remembered("command").empty());
      CHECK(problem_of(recorder).find("another program holds it") != std::string::npos);
    }
    other.run("COMMIT");
    CHECK(problem_of(recorder).empty());
  }
}
