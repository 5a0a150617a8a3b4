#pragma once

// A folder of its own for one test, a child process, and SQLite by hand: what somebody does to the file who is not
// agentbox.

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <sqlite3.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "agentbox/base/path.hpp"
#include "agentbox/store/store.hpp"

namespace store_test {

using agentbox::base::AbsPath;
using namespace agentbox::store;
using Access = Store::Access;
using Kind = StoreError::Kind;
using What = Event::What;

class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] AbsPath path() const { return *AbsPath::parse(path_); }
  // Where the record goes: neither it nor its folder is there yet.
  [[nodiscard]] AbsPath record() const { return path() / "state/agentbox.db"; }

 private:
  std::string path_;
};

// The kind and the text of what `act` throws; REQUIREs that it throws.
struct Caught {
  Kind kind;
  std::string what, hint;
};
[[nodiscard]] Caught caught(const std::function<void()>& act);

// Runs in a child process; returns its text, or "threw: ...".
[[nodiscard]] std::string in_child(const std::function<std::string()>& act);
// The same as an ordinary user, since root may do everything. `act` makes its own Folder.
[[nodiscard]] std::string as_ordinary_user(const std::function<std::string()>& act);

// So many processes that begin `act` at the same moment; REQUIREs that none of them throws.
void at_once(int processes, const std::function<void(int)>& act);

// SQLite by hand.
class Raw {
 public:
  explicit Raw(const AbsPath& file);
  ~Raw() { sqlite3_close(handle_); }
  Raw(const Raw&) = delete;
  Raw& operator=(const Raw&) = delete;
  // The first row's columns, if there is one. REQUIREs success.
  std::vector<std::string> run(const std::string& sql);
  // What SQLite says against it; empty when it does it.
  std::string refusal(const std::string& sql);
  // Past the triggers.
  void tamper(const std::string& sql);

 private:
  sqlite3* handle_ = nullptr;
};

// Event `number` of a session, with something in every field.
[[nodiscard]] Event event(int number, What what = What::verdict);
[[nodiscard]] std::vector<Row> rows(const Store& store, const Filter& filter = {});
[[nodiscard]] std::vector<std::int64_t> numbers(const Store& store, const Filter& filter = {});
// Opens it anew for that; "" when nothing is wrong.
[[nodiscard]] std::string verified(const AbsPath& file);

[[nodiscard]] inline Time at(std::int64_t milliseconds) {
  return Time(std::chrono::milliseconds(milliseconds));
}
[[nodiscard]] Remembered answer(const std::string& session, Remembered::Verdict verdict = Remembered::Verdict::allow);

}  // namespace store_test
