#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "agentbox/base/sha256.hpp"

#include "support.hpp"

using namespace store_test;

namespace {

// Three verdicts, an answer, and its end.
void fill(const AbsPath& file) {
  Store store(file, Access::write);
  for (int i = 1; i <= 3; ++i) store.append(event(i));
  store.remember(answer(""), event(4, What::rule_added));
  store.remember(answer("pi-1"), event(5, What::rule_added));
  CHECK(store.revoke(2, event(6, What::rule_revoked)));
}

// A filled record that somebody did `sql` to.
std::string verified_after(const std::string& sql) {
  Folder folder;
  fill(folder.record());
  REQUIRE(verified(folder.record()).empty());
  Raw(folder.record()).tamper(sql);
  return verified(folder.record());
}

std::string bytes_of(const AbsPath& file) {
  std::ifstream in(file.str(), std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

void write_bytes(const AbsPath& file, const std::string& bytes) {
  std::ofstream(file.str(), std::ios::binary | std::ios::trunc) << bytes;
}

// The encoding as store.hpp has it, by other code.
std::string field(const std::string& text) {
  std::string out;
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(text.size() >> shift & 0xff);
  return out + text;
}

}  // namespace

TEST_CASE("a row's hash is what the documentation says") {
  Folder folder;
  Store store(folder.record(), Access::write);
  Event one = event(1);
  store.append(one);
  std::string bytes;
  for (const std::string& text :
       {std::string("agentbox audit 1"), std::string(64, '0'), std::string("verdict"), std::string("1700000000001"),
        one.session, one.profile, one.question, one.kind, one.summary, one.digest, one.verdict, one.by, one.detail,
        std::string(), std::string("1")}) {
    bytes += field(text);
  }
  CHECK(rows(store)[0].hash == agentbox::base::sha256(bytes));
}

TEST_CASE("what moves from one field into the next changes the hash") {
  Folder folder;
  Store store(folder.record(), Access::write);
  Event one = event(1), two = event(1);
  one.verdict = "allowx";
  one.by = "human";
  two.verdict = "allow";
  two.by = "xhuman";
  store.append(one);
  Folder second;
  Store other(second.record(), Access::write);
  other.append(two);
  CHECK(store.head().hash != other.head().hash);
}

TEST_CASE("verify finds one changed byte in every column of a row") {
  for (const char* column : {"what", "session", "profile", "question", "kind", "summary", "digest", "verdict", "by",
                             "detail", "answer", "previous", "hash"}) {
    INFO(column);
    std::string changed =
        std::string("UPDATE audit SET ") + column + " = 'X' || substr(" + column + ", 2) WHERE number = 2";
    CHECK(verified_after(changed) == "2: row 2 was changed");
  }
  CHECK(verified_after("UPDATE audit SET at = at + 1 WHERE number = 2") == "2: row 2 was changed");
  CHECK(verified_after("UPDATE audit SET number = 9 WHERE number = 2") == "2: row 2 is missing");
  CHECK(verified_after("UPDATE audit SET what = 'outcome' WHERE number = 2") == "2: row 2 was changed");
}

TEST_CASE("verify finds a byte that was changed in the file itself") {
  Folder folder;
  fill(folder.record());
  std::string bytes = bytes_of(folder.record());
  std::size_t place = bytes.find("git push 2");
  REQUIRE(place != std::string::npos);
  bytes[place + 9] = '3';
  write_bytes(folder.record(), bytes);
  CHECK(verified(folder.record()) == "2: row 2 was changed");
}

TEST_CASE("verify finds a deleted row, wherever it stood") {
  CHECK(verified_after("DELETE FROM audit WHERE number = 1") == "1: row 1 is missing");
  CHECK(verified_after("DELETE FROM audit WHERE number = 3") == "3: row 3 is missing");
  CHECK(verified_after("DELETE FROM audit WHERE number = 6") == "6: row 6 at the end is missing");
  CHECK(verified_after("DELETE FROM audit WHERE number >= 2") == "2: rows 2 to 6 at the end are missing");
  CHECK(verified_after("DELETE FROM audit") == "1: rows 1 to 6 at the end are missing");
}

TEST_CASE("verify finds swapped rows, and says which stands where") {
  constexpr const char* swap =
      "UPDATE audit SET number = -1 WHERE number = {a}; UPDATE audit SET number = {a} WHERE number = {b};"
      "UPDATE audit SET number = {b} WHERE number = -1";
  auto swapped = [&](const std::string& a, const std::string& b) {
    std::string sql = swap;
    for (auto [mark, value] : {std::pair{"{a}", a}, {"{b}", b}}) {
      for (std::size_t at = 0; (at = sql.find(mark)) != std::string::npos;) sql.replace(at, 3, value);
    }
    return verified_after(sql);
  };
  CHECK(swapped("2", "3") == "2: row 3 stands where row 2 was");
  CHECK(swapped("1", "6") == "1: row 6 stands where row 1 was");
}

TEST_CASE("verify finds rows that were added by hand, and an end that was moved") {
  constexpr const char* copy =
      "INSERT INTO audit SELECT 7, what, at, session, profile, question, kind, summary, digest,"
      "verdict, by, detail, answer, previous, hash FROM audit WHERE number = 6";
  CHECK(verified_after(copy) == "7: row 7 was added");
  CHECK(verified_after(std::string(copy) + "; UPDATE head SET rows = 7") == "7: row 6 stands where row 7 was");
  CHECK(verified_after("UPDATE head SET hash = replace(hash, substr(hash, 1, 1), 'g')") ==
        "6: the end of the record was changed");
  CHECK(verified_after("UPDATE head SET rows = 5") == "6: row 6 was added");
  // However far: the search for where a row was moved from ends with the rows that there are.
  CHECK(verified_after("UPDATE head SET rows = 9223372036854775807; UPDATE audit SET at = at + 1 WHERE number = 2") ==
        "2: row 2 was changed");
  CHECK(verified_after("DELETE FROM head") == "0: the end of the record was changed");
  // The last row, and the count with it, but not the hash.
  CHECK(verified_after("DELETE FROM audit WHERE number = 6; UPDATE head SET rows = 5") ==
        "5: the end of the record was changed");
}

TEST_CASE("verify finds an answer that is not as it was given") {
  for (const char* change :
       {"verdict = 'deny'", "breadth = 'exact'", "rule = '**'", "shown = 'x'", "profile = 'x'", "session = 'x'",
        "kind = 'connect'", "created = 7", "expires = 9999", "id = 9", "revoked = 5", "added = 5"}) {
    INFO(change);
    std::string sql = std::string("UPDATE remembered SET ") + change + " WHERE id = 1";
    CHECK_THAT(verified_after(sql), Catch::Contains("is not as row") && Catch::Contains("recorded it"));
  }
  CHECK(verified_after("UPDATE remembered SET revoked = NULL WHERE id = 2") ==
        "5: the answer 2 is not as row 5 recorded it");
  // How often it was used is no part of it.
  CHECK(verified_after("UPDATE remembered SET used = 12, last_used = 3") == "");
}

TEST_CASE("nothing is appended behind a broken end") {
  Folder folder;
  fill(folder.record());
  Raw(folder.record()).tamper("DELETE FROM audit WHERE number = 6");
  Store store(folder.record(), Access::write);
  Caught error = caught([&] { store.append(event(7)); });
  CHECK(error.kind == Kind::corrupt);
  CHECK(error.what == "cannot use the record " + folder.record().str() +
                          ": its end is not as it was written; see `agentbox log --verify`");
  CHECK(verified(folder.record()) == "6: row 6 at the end is missing");
}

TEST_CASE("the file itself refuses to change or delete a row") {
  Folder folder;
  fill(folder.record());
  Raw raw(folder.record());
  CHECK(raw.refusal("UPDATE audit SET verdict = 'allow'") == "the audit trail is append-only");
  CHECK(raw.refusal("DELETE FROM audit WHERE number = 1") == "the audit trail is append-only");
  CHECK(verified(folder.record()).empty());
}

// ---- several processes ----

TEST_CASE("eight processes begin one record at once, and its chain holds") {
  constexpr int processes = 8, each = 100;
  Folder folder;
  at_once(processes, [&](int process) {
    Store store(folder.record(), Access::write, std::chrono::minutes(2));
    for (int i = 0; i < each; ++i) {
      Event one = event(i);
      one.session = "pi-" + std::to_string(process);
      store.append(one);
    }
  });
  Store store(folder.record(), Access::read);
  CHECK(store.head().rows == processes * each);
  CHECK(verified(folder.record()).empty());
  for (int process = 0; process < processes; ++process) {
    std::vector<Row> own = rows(store, {.session = "pi-" + std::to_string(process)});
    REQUIRE(own.size() == each);
    // Each one's rows are in its own order.
    for (int i = 0; i < each; ++i) REQUIRE(own[static_cast<std::size_t>(i)].event.question == event(i).question);
  }
}

TEST_CASE("a writer that is killed loses nothing that it was told is recorded") {
  Folder folder;
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    try {
      Store store(folder.record(), Access::write);
      for (int i = 1;; ++i) {
        store.append(event(i));
        if (::write(ends[1], "x", 1) != 1) ::_exit(1);
      }
    } catch (...) {
      ::_exit(1);
    }
  }
  ::close(ends[1]);
  int acknowledged = 0;
  char byte = 0;
  while (acknowledged < 25 && ::read(ends[0], &byte, 1) == 1) ++acknowledged;
  ::kill(pid, SIGKILL);
  while (::read(ends[0], &byte, 1) == 1) ++acknowledged;
  ::close(ends[0]);
  REQUIRE(::waitpid(pid, nullptr, 0) == pid);
  CHECK(acknowledged >= 25);
  Store store(folder.record(), Access::write);
  CHECK(store.head().rows >= acknowledged);
  CHECK(verified(folder.record()).empty());
  const std::int64_t before = store.head().rows;
  CHECK(store.append(event(1)) == before + 1);
}
