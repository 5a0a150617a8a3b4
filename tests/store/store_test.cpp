#include "agentbox/store/store.hpp"

#include <sys/stat.h>

#include "support.hpp"

using namespace store_test;
using namespace std::string_literals;

namespace {

mode_t mode_of(const AbsPath& path) {
  struct stat info{};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

std::vector<std::int64_t> ids(const std::vector<Remembered>& answers) {
  std::vector<std::int64_t> found;
  for (const Remembered& one : answers) found.push_back(one.id);
  return found;
}

using Ids = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("what is appended is read back as it was, also by another process's eyes") {
  Folder folder;
  std::vector<Event> written;
  {
    Store store(folder.record(), Access::write);
    for (int i = 1; i <= 5; ++i) {
      written.push_back(event(i, static_cast<What>(i % 7)));
      CHECK(store.append(written.back()) == i);
    }
  }
  Store store(folder.record(), Access::read);
  std::vector<Row> found = rows(store);
  REQUIRE(found.size() == 5);
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(found[i].event == written[i]);
    CHECK(found[i].number == static_cast<std::int64_t>(i + 1));
    CHECK(found[i].previous == (i == 0 ? std::string(64, '0') : found[i - 1].hash));
    CHECK(found[i].hash.size() == 64);
  }
  CHECK(store.head() == Head{5, found.back().hash});
  CHECK(verified(folder.record()).empty());
}

TEST_CASE("several events are written together") {
  Folder folder;
  Store store(folder.record(), Access::write);
  std::vector<Event> events = {event(1, What::request), event(2)};
  store.append(events);
  CHECK(numbers(store) == Ids{1, 2});
  store.append(std::span<const Event>{});
  CHECK(store.head().rows == 2);
}

TEST_CASE("any bytes and a long detail come back as they were") {
  Folder folder;
  Event odd = event(1);
  odd.summary = "a\0b\xff\xfe\xc3\x28\r\n\x1b[2J"s;
  odd.session = "\0"s;
  odd.kind = "\xed\xa0\x80";
  odd.by.clear();
  odd.detail = std::string(1'000'000, 'x') + "\0y"s;
  Store(folder.record(), Access::write).append(odd);
  Store store(folder.record(), Access::read);
  REQUIRE(rows(store).size() == 1);
  CHECK(rows(store)[0].event == odd);
  // A filter compares whole texts, not up to the first NUL.
  CHECK(numbers(store, {.session = odd.session}) == Ids{1});
  CHECK(numbers(store, {.session = "\0x"s}).empty());
  CHECK(numbers(store, {.session = ""}).empty());
  CHECK(numbers(store, {.kind = odd.kind}) == Ids{1});
  CHECK(verified(folder.record()).empty());
}

TEST_CASE("filters leave only what they name, in order") {
  Folder folder;
  Store store(folder.record(), Access::write);
  for (int i = 1; i <= 6; ++i) store.append(event(i));
  CHECK(numbers(store, {.session = "pi-1"}) == Ids{1, 3, 5});
  CHECK(numbers(store, {.kind = "connect"}) == Ids{3, 6});
  CHECK(numbers(store, {.verdict = "allow"}) == Ids{2, 4, 6});
  CHECK(numbers(store, {.session = "pi-1", .kind = "connect"}) == Ids{3});
  CHECK(numbers(store, {.since = event(3).at, .until = event(5).at}) == Ids{3, 4});
  CHECK(numbers(store, {.after = 4}) == Ids{5, 6});
  CHECK(numbers(store, {.latest = 2}) == Ids{5, 6});
  CHECK(numbers(store, {.session = "pi-1", .latest = 2}) == Ids{3, 5});
  CHECK(numbers(store, {.session = "pi-1' OR 1=1 --"}).empty());
}

TEST_CASE("a reader ends when it has enough") {
  Folder folder;
  Store store(folder.record(), Access::write);
  for (int i = 1; i <= 3; ++i) store.append(event(i));
  int seen = 0;
  store.read({}, [&](const Row&) { return ++seen < 2; });
  CHECK(seen == 2);
  // And holds nothing that would be in a writer's way.
  CHECK(store.append(event(4)) == 4);
}

TEST_CASE("reading does not block a writer, nor sees what came after it began") {
  Folder folder;
  Store store(folder.record(), Access::write);
  for (int i = 1; i <= 3; ++i) store.append(event(i));
  Store other(folder.record(), Access::write, std::chrono::milliseconds(0));
  std::vector<std::int64_t> seen;
  store.read({}, [&](const Row& row) {
    seen.push_back(row.number);
    other.append(event(9));
    return true;
  });
  CHECK(seen == Ids{1, 2, 3});
  CHECK(store.head().rows == 6);
}

TEST_CASE("rows keep their order when the clock is set back") {
  Folder folder;
  Store store(folder.record(), Access::write);
  for (std::int64_t time : {5000, 1000, -3}) {
    Event one = event(1);
    one.at = at(time);
    store.append(one);
  }
  std::vector<Row> found = rows(store);
  CHECK(found[0].event.at == at(5000));
  CHECK(found[1].event.at == at(1000));
  CHECK(found[2].event.at == at(-3));
  CHECK(verified(folder.record()).empty());
}

TEST_CASE("the record and its folder are for its owner alone, whatever the umask") {
  for (mode_t mask : {0000U, 0077U, 0777U}) {
    Folder folder;
    std::string said = in_child([&]() -> std::string {
      ::umask(mask);
      Store(folder.record(), Access::write).append(event(1));
      // Open, so that what SQLite puts beside it is there too.
      Store store(folder.record(), Access::write);
      store.append(event(2));
      return std::to_string(mode_of(folder.record())) + " " +
             std::to_string(mode_of(*AbsPath::parse(folder.record().str() + "-wal"))) + " " +
             std::to_string(mode_of(*AbsPath::parse(folder.record().str() + "-shm"))) + " " +
             std::to_string(mode_of(folder.record().parent()));
    });
    CHECK(said == "384 384 384 448");  // 0600 and 0700
  }
}

// ---- remembered answers ----

TEST_CASE("an answer is remembered with its record, and taken back with another") {
  Folder folder;
  Store store(folder.record(), Access::write);
  Remembered wanted = answer("");
  wanted.expires = at(9000);
  std::int64_t id = store.remember(wanted, event(1, What::rule_added));
  std::vector<Remembered> found = store.remembered("pi", "pi-1", "command", at(2000));
  REQUIRE(found.size() == 1);
  wanted.id = id;
  CHECK(found[0] == wanted);
  CHECK(rows(store).back().event.what == What::rule_added);
  CHECK(rows(store).back().answer.size() == 64);

  CHECK(store.revoke(id, event(2, What::rule_revoked)));
  CHECK(store.remembered("pi", "pi-1", "command", at(2000)).empty());
  CHECK(rows(store).back().event.what == What::rule_revoked);
  REQUIRE(store.all_remembered().size() == 1);
  CHECK(store.all_remembered()[0].revoked == event(2).at);
  // Twice, or one that is not there: nothing happens, and nothing is recorded.
  CHECK_FALSE(store.revoke(id, event(3, What::rule_revoked)));
  CHECK_FALSE(store.revoke(99, event(3, What::rule_revoked)));
  CHECK(store.head().rows == 2);
  CHECK(verified(folder.record()).empty());
}

TEST_CASE("an answer holds for its profile, its kind and its session only") {
  Folder folder;
  Store store(folder.record(), Access::write);
  auto remember = [&](Remembered one) { return store.remember(one, event(1, What::rule_added)); };
  std::int64_t always = remember(answer(""));
  std::int64_t here = remember(answer("pi-1"));
  std::int64_t there = remember(answer("pi-2"));
  Remembered other = answer("");
  other.profile = "claude";
  std::int64_t foreign = remember(other);
  Remembered host = answer("");
  host.kind = "connect";
  std::int64_t connect = remember(host);

  CHECK(ids(store.remembered("pi", "pi-1", "command", at(1))) == Ids{here, always});
  CHECK(ids(store.remembered("pi", "pi-3", "command", at(1))) == Ids{always});
  CHECK(ids(store.remembered("pi", "", "command", at(1))) == Ids{always});
  CHECK(ids(store.remembered("pi", std::nullopt, "command", at(1))) == Ids{there, here, always});
  CHECK(ids(store.remembered("claude", "pi-1", "command", at(1))) == Ids{foreign});
  CHECK(ids(store.remembered("pi", "pi-1", "connect", at(1))) == Ids{connect});
  CHECK(store.remembered("pi", "pi-1", "payment", at(1)).empty());
  CHECK(store.remembered(std::nullopt, std::nullopt, std::nullopt, at(1)).size() == 5);
}

TEST_CASE("a denial comes before every grant, and the newest first") {
  Folder folder;
  Store store(folder.record(), Access::write);
  using Verdict = Remembered::Verdict;
  for (Verdict verdict : {Verdict::deny, Verdict::allow, Verdict::deny, Verdict::allow}) {
    store.remember(answer("", verdict), event(1, What::rule_added));
  }
  CHECK(ids(store.remembered("pi", "s", "command", at(1))) == Ids{3, 1, 4, 2});
}

TEST_CASE("an answer ends when it expires, and a clock set back does not revive it") {
  Folder folder;
  Store store(folder.record(), Access::write);
  Remembered brief = answer("");
  brief.created = at(1000);
  brief.expires = at(2000);
  store.remember(brief, event(1, What::rule_added));
  auto held = [&](std::int64_t now) {
    bool listed = !store.remembered("pi", "s", "command", at(now)).empty();
    CHECK(listed == holds_at(brief, at(now)));
    return listed;
  };
  CHECK(held(1000));
  CHECK(held(1999));
  CHECK_FALSE(held(2000));
  CHECK_FALSE(held(999));
}

TEST_CASE("what a session was told ends with it, and what holds always stays") {
  Folder folder;
  Store store(folder.record(), Access::write);
  std::int64_t always = store.remember(answer(""), event(1, What::rule_added));
  store.remember(answer("pi-1"), event(1, What::rule_added));
  std::int64_t other = store.remember(answer("pi-2"), event(1, What::rule_added));
  store.forget_session("pi-1");
  CHECK(ids(store.all_remembered()) == Ids{always, other});
  // No session at all is not every session.
  store.forget_session("");
  CHECK(ids(store.all_remembered()) == Ids{always, other});
  CHECK(verified(folder.record()).empty());
  // An id is never used again: `rules revoke 3` must not hit another answer.
  store.forget_session("pi-2");
  CHECK(store.remember(answer(""), event(1, What::rule_added)) == 4);
}

TEST_CASE("each use is counted, with its record or alone") {
  Folder folder;
  Store store(folder.record(), Access::write);
  std::int64_t id = store.remember(answer(""), event(1, What::rule_added));
  store.count_use(id, at(3000));
  std::vector<Event> events = {event(2, What::request), event(3)};
  CHECK(store.append_and_count(events, id, at(4000)));
  CHECK(store.all_remembered()[0].used == 2);
  CHECK(store.all_remembered()[0].last_used == at(4000));
  CHECK(store.head().rows == 3);
  CHECK(caught([&] { store.count_use(77, at(1)); }).what == "there is no remembered answer 77");

  SECTION("one that was revoked meanwhile gives no verdict, and leaves no trace of one") {
    CHECK(store.revoke(id, event(4, What::rule_revoked)));
    CHECK_FALSE(store.append_and_count(events, id, at(5000)));
    CHECK(store.head().rows == 4);
    CHECK(store.all_remembered()[0].used == 2);
  }
}
