// The record while another program holds it.

#include "recorder.hpp"

#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

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

Settings settings_in(const Folder& folder) {
  Settings settings;
  settings.session = "pi-1";
  settings.profile = "pi";
  settings.record = folder / "record.db";
  return settings;
}

std::vector<std::string> rows_in(const base::AbsPath& record) {
  std::vector<std::string> rows;
  const store::Store store(record, store::Store::Access::read);
  store.read({}, [&](const store::Row& row) {
    const bool of_session = row.event.question.empty();
    rows.push_back(std::string(name_of(row.event.what)) + (of_session ? "" : " " + row.event.question));
    return true;
  });
  return rows;
}

Decider::Done done(const std::string& question) {
  return {.verdict = {.kind = Verdict::Kind::allow, .question = question},
          .action = policy::Connect{.host = "example.org", .port = 443},
          .what = "ended",
          .traffic = {}};
}

}  // namespace

TEST_CASE("only the first waits for a locked record, whatever is read meanwhile") {
  Folder folder;
  const Settings settings = settings_in(folder);
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

TEST_CASE("what became of deeds waits for a locked record, and nobody waits with it") {
  Folder folder;
  const Settings settings = settings_in(folder);
  {
    Recorder recorder(settings);
    CHECK(problem_of(recorder).empty());
    Other other(settings.record);
    other.run("BEGIN IMMEDIATE");
    recorder.outcomes({done("1"), done("2")});
    recorder.outcomes({done("3")});
    // Had it waited, it would have given up by now, and the rows would be lost.
    other.run("COMMIT");
    recorder.end({});
  }
  CHECK(rows_in(settings.record) ==
        std::vector<std::string>{"session_began", "outcome", "outcome 1", "outcome 2", "outcome 3", "session_ended"});
}

TEST_CASE("what became of deeds is on record when the session's end is, though it was the first of all") {
  Folder folder;
  const Settings settings = settings_in(folder);
  Recorder recorder(settings);
  recorder.outcomes({done("7")});
  recorder.end({});
  CHECK(rows_in(settings.record) == std::vector<std::string>{"session_began", "outcome 7", "session_ended"});
}

TEST_CASE("who brings what became of deeds faster than it is written writes it himself, and nothing is lost") {
  std::mutex mutex;
  std::condition_variable disk, caller;
  bool is_used = false, answers = false;
  std::vector<std::string> written;
  const auto write = [&](const std::vector<Decider::Done>& batch) {
    const std::string& question = batch.front().verdict.question;
    std::unique_lock lock(mutex);
    is_used = true;
    caller.notify_all();
    disk.wait(lock, [&] { return answers || question == "mine"; });
    written.push_back(question);
  };
  {
    OutcomeWriter writer(write);
    writer.add({done("first")});
    {
      std::unique_lock lock(mutex);
      caller.wait(lock, [&] { return is_used; });
    }
    for (std::size_t i = 0; i < OutcomeWriter::most_waiting; ++i) writer.add({done("waits")});
    writer.add({done("mine")});
    const std::scoped_lock lock(mutex);
    CHECK(written == std::vector<std::string>{"mine"});
    answers = true;
    disk.notify_all();
  }
  CHECK(written.size() == OutcomeWriter::most_waiting + 2);
}
