// Versions of the file: each earlier one is kept as SQL in files/, and must arrive at today's.

#include "opening.hpp"

#include <array>
#include <fstream>
#include <sstream>

#include <sys/stat.h>

#include "support.hpp"

using namespace store_test;
using agentbox::store::open_record;
using agentbox::store::Steps;
using agentbox::store::steps;

namespace {

constexpr auto patience = std::chrono::seconds(5);

std::string text_of(const std::string& name) {
  std::ifstream in(std::string(FILES_FOLDER) + "/" + name);
  REQUIRE(in);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

void make(const Folder& folder, const std::string& sql) {
  ::mkdir(folder.record().parent().c_str(), 0700);
  Raw(folder.record()).run(sql);
  ::chmod(folder.record().c_str(), 0600);
}

std::string schema_of(const AbsPath& file) {
  return Raw(file).run(
      "SELECT group_concat(type || ' ' || name || ': ' || sql, char(10)) FROM "
      "(SELECT * FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name)")[0];
}

std::string version_of(const AbsPath& file) {
  return Raw(file).run("PRAGMA user_version")[0];
}

// One more step, as a later agentbox may have it.
std::array<const char*, 3> with_next(const char* next) {
  return {steps()[0], steps()[1], next};
}
constexpr const char* next_step =
    "ALTER TABLE remembered ADD COLUMN note TEXT NOT NULL DEFAULT 'none'; CREATE TABLE later (x INTEGER) STRICT";

}  // namespace

TEST_CASE("a file of version 1 opens, and is as a new one would be") {
  Folder folder;
  make(folder, text_of("version_1.sql"));
  Store store(folder.record(), Access::write);
  CHECK(verified(folder.record()).empty());
  CHECK(store.head() == Head{4, "58d18dc6a46725b4ce5a6e6d2675c78994d18e50120efd9bdf24d01a62033fbf"});
  std::vector<Row> found = rows(store);
  REQUIRE(found.size() == 4);
  CHECK(found[0].event.what == What::session_began);
  CHECK(found[2].event.summary == "git push origin main");
  CHECK(store.remembered("pi", "pi-0001", "command", at(1'700'000'001'000)).size() == 1);
  CHECK(store.append(event(5)) == 5);

  Folder fresh;
  Store(fresh.record(), Access::write).append(event(1));
  // Who changes a step that files were made with has made a version that nobody moves forward.
  CHECK(schema_of(folder.record()) == schema_of(fresh.record()));
  CHECK(Raw(folder.record()).run("PRAGMA journal_mode")[0] == "wal");
}

TEST_CASE("a file of version 2 opens, with its ledger") {
  Folder folder;
  make(folder, text_of("version_2.sql"));
  Store store(folder.record(), Access::write);
  CHECK(verified(folder.record()).empty());
  REQUIRE(store.payments(std::nullopt, std::nullopt).size() == 3);
  CHECK(store.payment(1)->state == Payment::State::paid);
  CHECK(store.payment(2)->state == Payment::State::unknown);
  CHECK(store.payment(3)->state == Payment::State::not_paid);
  CHECK(store.payment_of("pi", "invoice-2")->to == "bob");
  CHECK(store.ledger_time() == at(1'795'435'207'000));
  CHECK(store.budgets(at(1'795'435'208'000)).at(0).balance.used == 2250);

  Folder fresh;
  Store(fresh.record(), Access::write).append(event(1));
  CHECK(schema_of(folder.record()) == schema_of(fresh.record()));
}

TEST_CASE("an older file is moved forward, with all that is in it") {
  Folder folder;
  {
    Store store(folder.record(), Access::write);
    store.append(event(1));
    store.remember(answer(""), event(2, What::rule_added));
  }
  auto later = with_next(next_step);
  (void)open_record(folder.record(), Access::write, patience, later);
  CHECK(version_of(folder.record()) == "3");
  CHECK(Raw(folder.record()).run("SELECT note, (SELECT count(*) FROM audit) FROM remembered") ==
        std::vector<std::string>{"none", "2"});
  // Again: there is nothing left to do.
  (void)open_record(folder.record(), Access::write, patience, later);
  CHECK(version_of(folder.record()) == "3");

  SECTION("and the earlier agentbox leaves it alone") {
    for (Access access : {Access::read, Access::write}) {
      Caught error = caught([&] { Store store(folder.record(), access); });
      CHECK(error.kind == Kind::newer);
      CHECK(error.what ==
            "cannot use the record " + folder.record().str() + ": it is version 3, this agentbox knows 2");
      CHECK(error.hint == "use the agentbox that wrote it, or a later one");
    }
  }
}

TEST_CASE("a reader moves an older file forward too") {
  Folder folder;
  Store(folder.record(), Access::write).append(event(1));
  auto later = with_next(next_step);
  CHECK(open_record(folder.record(), Access::read, patience, later)->number("SELECT count(*) FROM audit") == 1);
  CHECK(version_of(folder.record()) == "3");
}

TEST_CASE("a new file goes through all steps at once") {
  Folder folder;
  auto later = with_next(next_step);
  (void)open_record(folder.record(), Access::write, patience, later);
  CHECK(version_of(folder.record()) == "3");
  CHECK(Raw(folder.record()).run("SELECT count(*) FROM later")[0] == "0");
}

TEST_CASE("a step that fails leaves the file as it was") {
  Folder folder;
  Store(folder.record(), Access::write).append(event(1));
  std::string before = schema_of(folder.record());
  auto later = with_next("CREATE TABLE later (x); INSERT INTO no_such_table VALUES (1)");
  Caught error = caught([&] { (void)open_record(folder.record(), Access::write, patience, later); });
  CHECK(error.kind == Kind::failed);
  CHECK(error.what == "cannot use the record " + folder.record().str() + ": no such table: no_such_table");
  CHECK(schema_of(folder.record()) == before);
  CHECK(version_of(folder.record()) == "2");
  CHECK(Store(folder.record(), Access::write).append(event(2)) == 2);
}

TEST_CASE("several processes may move one file forward at once") {
  Folder folder;
  Store(folder.record(), Access::write).append(event(1));
  auto later = with_next(next_step);
  at_once(6, [&](int) { (void)open_record(folder.record(), Access::write, std::chrono::minutes(1), later); });
  CHECK(version_of(folder.record()) == "3");
}
