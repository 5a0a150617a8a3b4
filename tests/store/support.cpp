#include "support.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <fmt/format.h>

namespace store_test {

namespace fs = std::filesystem;

Folder::Folder() {
  std::string name = fs::canonical(fs::temp_directory_path()) / "agentbox-store-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
  path_ = name;
}

Folder::~Folder() {
  std::error_code ignored;
  fs::permissions(path_ + "/state", fs::perms::owner_all, ignored);
  fs::remove_all(path_, ignored);
}

Caught caught(const std::function<void()>& act) {
  try {
    act();
  } catch (const StoreError& error) {
    return {error.kind(), error.what(), error.hint()};
  }
  FAIL("nothing was thrown");
  return {};
}

namespace {

std::string text_of(const std::function<std::string()>& act) {
  try {
    return act();
  } catch (const std::exception& error) {
    return std::string("threw: ") + error.what();
  }
}

}  // namespace

std::string in_child(const std::function<std::string()>& act) {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::close(ends[0]);
    std::string text = text_of(act);
    ssize_t written = ::write(ends[1], text.data(), text.size());
    ::_exit(written == static_cast<ssize_t>(text.size()) ? 0 : 1);
  }
  ::close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t count = 0; (count = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(count));
  }
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  return text;
}

std::string as_ordinary_user(const std::function<std::string()>& act) {
  return in_child([&]() -> std::string {
    constexpr uid_t nobody = 65534;
    if (::geteuid() == 0 && (::setresgid(nobody, nobody, nobody) != 0 || ::setresuid(nobody, nobody, nobody) != 0)) {
      return "cannot become an ordinary user";
    }
    return act();
  });
}

void at_once(int processes, const std::function<void(int)>& act) {
  int gate[2];
  REQUIRE(::pipe2(gate, O_CLOEXEC) == 0);
  std::vector<pid_t> children;
  for (int process = 0; process < processes; ++process) {
    pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ::close(gate[1]);
      char byte = 0;
      if (::read(gate[0], &byte, 1) != 0) ::_exit(2);  // end of file: all are there
      std::string problem = text_of([&] {
        act(process);
        return std::string();
      });
      if (problem.empty()) ::_exit(0);
      problem += '\n';
      ::_exit(::write(STDERR_FILENO, problem.data(), problem.size()) < 0 ? 3 : 1);
    }
    children.push_back(child);
  }
  ::close(gate[0]);
  ::close(gate[1]);
  for (pid_t child : children) {
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
}

Raw::Raw(const AbsPath& file) {
  REQUIRE(sqlite3_open_v2(file.c_str(), &handle_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr) == SQLITE_OK);
}

std::vector<std::string> Raw::run(const std::string& sql) {
  std::vector<std::string> first;
  char* message = nullptr;
  auto keep = [](void* out, int count, char** values, char** /*names*/) {
    auto& columns = *static_cast<std::vector<std::string>*>(out);
    if (!columns.empty()) return 0;
    for (int i = 0; i < count; ++i) columns.emplace_back(values[i] == nullptr ? "NULL" : values[i]);
    return 0;
  };
  int code = sqlite3_exec(handle_, sql.c_str(), keep, &first, &message);
  INFO(sql << ": " << (message == nullptr ? "" : message));
  REQUIRE(code == SQLITE_OK);
  return first;
}

std::string Raw::refusal(const std::string& sql) {
  int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? "" : sqlite3_errmsg(handle_);
}

void Raw::tamper(const std::string& sql) {
  run("DROP TRIGGER IF EXISTS audit_no_update; DROP TRIGGER IF EXISTS audit_no_delete");
  run(sql);
}

Event event(int number, What what) {
  return {.what = what,
          .at = at(1'700'000'000'000 + number),
          .session = "pi-" + std::to_string(number % 2),
          .profile = "pi",
          .question = "q" + std::to_string(number),
          .kind = number % 3 == 0 ? "connect" : "command",
          .summary = "git push " + std::to_string(number),
          .digest = std::string(64, 'd'),
          .verdict = number % 2 == 0 ? "allow" : "deny",
          .by = "human",
          .detail = R"({"exit_code":0})"};
}

std::vector<Row> rows(const Store& store, const Filter& filter) {
  std::vector<Row> found;
  store.read(filter, [&](const Row& row) {
    found.push_back(row);
    return true;
  });
  return found;
}

std::vector<std::int64_t> numbers(const Store& store, const Filter& filter) {
  std::vector<std::int64_t> found;
  for (const Row& row : rows(store, filter)) found.push_back(row.number);
  return found;
}

std::string verified(const AbsPath& file) {
  auto damage = Store(file, Access::read).verify();
  return damage ? fmt::format("{}: {}", damage->number, damage->what) : "";
}

Remembered answer(const std::string& session, Remembered::Verdict verdict) {
  return {.profile = "pi",
          .session = session,
          .kind = "command",
          .verdict = verdict,
          .breadth = Remembered::Breadth::pattern,
          .rule = "git push origin *",
          .shown = "git push origin *",
          .created = at(1000)};
}

}  // namespace store_test
