// What may be wrong with the file, the disk and the other programs: each time a StoreError of its own kind.

#include <csignal>
#include <fstream>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <fmt/format.h>

#include "support.hpp"

using namespace store_test;

namespace {

void open_for_writing(const AbsPath& file) {
  Store store(file, Access::write);
}

std::string record(const Folder& folder) {
  return "the record " + folder.record().str();
}

void put(const AbsPath& file, const std::string& bytes) {
  std::ofstream out(file.str(), std::ios::binary | std::ios::trunc);
  out << bytes;
  REQUIRE(out.flush());
}

// One row is there, and nobody has it open.
void begin(const Folder& folder) {
  Store(folder.record(), Access::write).append(event(1));
}

}  // namespace

TEST_CASE("a record that another program holds for too long is locked, and can still be read") {
  Folder folder;
  begin(folder);
  Raw other(folder.record());
  other.run("BEGIN IMMEDIATE");
  Store store(folder.record(), Access::write, std::chrono::milliseconds(30));
  Caught error = caught([&] { store.append(event(2)); });
  CHECK(error.kind == Kind::locked);
  CHECK(error.what == "cannot use " + record(folder) + ": another program held it for longer than 30 ms");
  CHECK(error.hint == "another program is writing to it; `agentbox ps` lists the rooms that are open");
  CHECK(numbers(store).size() == 1);

  // Without patience it does not wait at all.
  store.set_patience(std::chrono::milliseconds(0));
  CHECK(caught([&] { store.append(event(2)); }).what == "cannot use " + record(folder) + ": another program holds it");

  other.run("COMMIT");
  CHECK(store.append(event(2)) == 2);
}

TEST_CASE("who waits with patience gets his turn") {
  Folder folder;
  begin(folder);
  Store store(folder.record(), Access::write, std::chrono::minutes(1));
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  // The other holds the lock before we try, and lets go while we wait or before: both must do.
  pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    sqlite3* other = nullptr;
    sqlite3_open(folder.record().c_str(), &other);
    bool held = sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK;
    if (::write(ends[1], held ? "y" : "n", 1) != 1) ::_exit(1);
    ::usleep(50'000);
    ::_exit(sqlite3_exec(other, "COMMIT", nullptr, nullptr, nullptr) == SQLITE_OK ? 0 : 1);
  }
  char held = 0;
  REQUIRE(::read(ends[0], &held, 1) == 1);
  CHECK(held == 'y');
  CHECK(store.append(event(2)) == 2);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("a record that may only be read is read, and not written") {
  CHECK(as_ordinary_user([]() -> std::string {
          Folder folder;
          begin(folder);
          ::chmod(folder.record().c_str(), 0400);
          if (numbers(Store(folder.record(), Access::read)).size() != 1) return "can't be read";
          try {
            open_for_writing(folder.record());
          } catch (const StoreError& error) {
            if (error.kind() != Kind::read_only) return "another kind";
            return error.what() == "cannot use " + record(folder) + ": it may only be read" ? "refused" : error.what();
          }
          return "opened";
        }) == "refused");
}

TEST_CASE("a record that could only be read for a while is written again when it is mended") {
  CHECK(as_ordinary_user([]() -> std::string {
          Folder folder;
          begin(folder);
          ::chmod(folder.record().c_str(), 0400);
          if (numbers(Store(folder.record(), Access::read)).size() != 1) return "can't be read";
          try {
            open_for_writing(folder.record());
            return "opened";
          } catch (const StoreError&) {
          }
          // What a reader of an earlier version has left.
          for (const char* beside : {"-wal", "-shm"}) {
            std::ofstream(folder.record().str() + beside, std::ios::app);
            ::chmod((folder.record().str() + beside).c_str(), 0400);
          }
          ::chmod(folder.record().c_str(), 0600);
          return Store(folder.record(), Access::write).append(event(2)) == 2 ? "written" : "another row";
        }) == "written");
}

TEST_CASE("a folder that may only be read gets no record") {
  CHECK(as_ordinary_user([]() -> std::string {
          Folder folder;
          ::mkdir(folder.record().parent().c_str(), 0500);
          try {
            open_for_writing(folder.record());
          } catch (const StoreError& error) {
            if (error.kind() != Kind::read_only) return "another kind";
            return error.what() == "cannot make " + record(folder) + ": Permission denied" ? "refused" : error.what();
          }
          return "opened";
        }) == "refused");
}

TEST_CASE("a reader of a record that isn't there is told so, and makes none") {
  Folder folder;
  Caught error = caught([&] { Store store(folder.record(), Access::read); });
  CHECK(error.kind == Kind::missing);
  CHECK_FALSE(std::filesystem::exists(folder.record().parent().str()));

  ::mkdir(folder.record().parent().c_str(), 0700);
  error = caught([&] { Store store(folder.record(), Access::read); });
  CHECK(error.kind == Kind::missing);
  CHECK(error.what == "there is no record yet at " + folder.record().str());
  CHECK(error.hint == "it begins with the first room that asks for something");

  // Who was killed between making it and filling it.
  put(folder.record(), "");
  ::chmod(folder.record().c_str(), 0600);
  error = caught([&] { Store store(folder.record(), Access::read); });
  CHECK(error.kind == Kind::missing);
  begin(folder);
  CHECK(verified(folder.record()).empty());
}

TEST_CASE("what is no record of agentbox is left alone") {
  Folder folder;
  ::mkdir(folder.record().parent().c_str(), 0700);
  SECTION("garbage") {
    put(folder.record(), "this is not a database, and it is long enough to be told from one by its first bytes ......");
    Caught error = caught([&] { open_for_writing(folder.record()); });
    CHECK(error.kind == Kind::corrupt);
    CHECK(error.what == "cannot use " + record(folder) + ": file is not a database");
    CHECK(error.hint == "keep it for a look, and move it away: agentbox then begins a new one");
  }
  SECTION("another program's database") {
    Raw(folder.record()).run("CREATE TABLE mine (x); INSERT INTO mine VALUES (7)");
    ::chmod(folder.record().c_str(), 0600);
    Caught error = caught([&] { open_for_writing(folder.record()); });
    CHECK(error.kind == Kind::corrupt);
    CHECK(error.what == "cannot use " + record(folder) + ": it is not a record of agentbox");
    CHECK(Raw(folder.record()).run("SELECT x FROM mine, pragma_journal_mode WHERE journal_mode = 'delete'") ==
          std::vector<std::string>{"7"});
  }
}

TEST_CASE("a file that was cut off is corrupt, not short") {
  Folder folder;
  {
    Store store(folder.record(), Access::write);
    Event one = event(1);
    one.detail = std::string(3000, 'x');
    for (int i = 0; i < 200; ++i) store.append(one);
  }
  auto size = std::filesystem::file_size(folder.record().str());
  for (auto kept : {size / 2, size - 4096, std::uintmax_t{5000}, std::uintmax_t{700}}) {
    INFO(kept);
    std::filesystem::resize_file(folder.record().str(), kept);
    CHECK(caught([&] { (void)Store(folder.record(), Access::read).verify(); }).kind == Kind::corrupt);
    CHECK(caught([&] { Store(folder.record(), Access::write).append(event(1)); }).kind == Kind::corrupt);
  }
}

TEST_CASE("a place that isn't this user's alone is not trusted") {
  Folder folder;
  begin(folder);
  auto refused = [&](const std::string& why, const AbsPath& file) {
    Caught error = caught([&] { open_for_writing(file); });
    CHECK(error.kind == Kind::unsafe);
    CHECK(error.what == "cannot trust the record " + file.str() + ": " + why);
    CHECK(caught([&] { Store store(file, Access::read); }).kind == Kind::unsafe);
  };
  AbsPath state = folder.record().parent();
  SECTION("others may write it") {
    for (mode_t mode : {0620U, 0602U}) {
      ::chmod(folder.record().c_str(), mode);
      refused("others may write it", folder.record());
    }
    // Its folder keeps others out, so that reading it is no way in.
    ::chmod(folder.record().c_str(), 0644);
    open_for_writing(folder.record());
  }
  SECTION("a symbolic link, wherever it leads") {
    REQUIRE(::symlink("agentbox.db", (state / "link.db").c_str()) == 0);
    refused("it is a symbolic link", state / "link.db");
    REQUIRE(::symlink("/etc/passwd", (state / "new.db-wal").c_str()) == 0);
    CHECK(caught([&] { open_for_writing(state / "new.db"); }).what ==
          "cannot trust the record " + (state / "new.db-wal").str() + ": it is a symbolic link");
    REQUIRE(::symlink("nowhere", (state / "dangling.db").c_str()) == 0);
    refused("it is a symbolic link", state / "dangling.db");
  }
  SECTION("no file at all") {
    REQUIRE(::mkfifo((state / "fifo.db").c_str(), 0600) == 0);
    refused("it is not a regular file", state / "fifo.db");
  }
  SECTION("a folder that others can open") {
    ::chmod(state.c_str(), 0750);
    Caught error = caught([&] { open_for_writing(folder.record()); });
    CHECK(error.kind == Kind::unsafe);
    CHECK(error.what == state.str() + " is not a folder that only you can open");
    CHECK(error.hint == "`chmod 700` it if it is yours; agentbox keeps its records there");
    ::chmod(state.c_str(), 0700);
    open_for_writing(folder.record());
  }
  SECTION("a folder on the way may be a link of the user's own") {
    REQUIRE(::symlink("state", (folder.path() / "elsewhere").c_str()) == 0);
    CHECK(numbers(Store(folder.path() / "elsewhere/agentbox.db", Access::read)).size() == 1);
  }
}

TEST_CASE("another user's record is not trusted") {
  if (::geteuid() != 0) return;  // only root can give a file away
  Folder folder;
  begin(folder);
  REQUIRE(::chown(folder.record().c_str(), 65534, 65534) == 0);
  CHECK(caught([&] { open_for_writing(folder.record()); }).what ==
        "cannot trust " + record(folder) + ": it belongs to another user");
  REQUIRE(::chown(folder.record().parent().c_str(), 65534, 65534) == 0);
  CHECK(caught([&] { open_for_writing(folder.record()); }).what ==
        folder.record().parent().str() + " is not a folder that only you can open");
}

TEST_CASE("a record that is moved or removed while it is open takes no more rows") {
  Folder folder;
  begin(folder);
  Store store(folder.record(), Access::write);
  CHECK(store.append(event(2)) == 2);
  REQUIRE(::rename(folder.record().c_str(), (folder.path() / "moved.db").c_str()) == 0);
  Caught error = caught([&] { store.append(event(3)); });
  CHECK(error.kind == Kind::failed);
  CHECK(error.what == "cannot use " + record(folder) + ": it was moved or removed while it was open");
  CHECK(caught([&] { store.count_use(1, at(1)); }).kind == Kind::failed);
  begin(folder);  // a new one in its place is another one
  CHECK(caught([&] { store.append(event(3)); }).kind == Kind::failed);
}

// ---- a full disk ----

namespace {

void write_text(const char* file, const std::string& text) {
  int fd = ::open(file, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || ::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    throw std::runtime_error(std::string("cannot write ") + file);
  }
  ::close(fd);
}

// A small file system of our own, in a namespace that ends with this process.
void mount_small(const AbsPath& folder) {
  uid_t uid = ::geteuid();
  gid_t gid = ::getegid();
  if (::unshare(CLONE_NEWNS | (uid == 0 ? 0 : CLONE_NEWUSER)) != 0) throw std::runtime_error("unshare");
  if (uid != 0) {
    write_text("/proc/self/setgroups", "deny");
    write_text("/proc/self/uid_map", fmt::format("{} {} 1", uid, uid));
    write_text("/proc/self/gid_map", fmt::format("{} {} 1", gid, gid));
  }
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("small", folder.c_str(), "tmpfs", 0, "size=512k,mode=0700") != 0) {
    throw std::runtime_error("mount");
  }
}

// Appends until it is refused; what was recorded must be whole, and go on when there is space again.
std::string fill_up(const AbsPath& file, const std::function<void()>& make_space) {
  Store store(file, Access::write);
  Event one = event(1);
  one.detail = std::string(5000, 'x');
  std::int64_t recorded = 0;
  std::string refusal;
  while (refusal.empty()) {
    if (recorded > 1000) return "it never fills up";
    try {
      recorded = store.append(one);
    } catch (const StoreError& error) {
      if (error.kind() != Kind::full) return std::string("another kind: ") + error.what();
      refusal = error.what();
    }
  }
  if (recorded < 5) return "full at once";
  if (auto damage = store.verify()) return damage->what;
  if (store.head().rows != recorded) return "half a row";
  make_space();
  if (store.append(one) != recorded + 1) return "a gap";
  if (auto damage = store.verify()) return damage->what;
  return refusal.substr(refusal.rfind(": ") + 2);
}

}  // namespace

TEST_CASE("a full disk refuses the row, keeps what is there, and takes rows again when there is space") {
  CHECK(in_child([]() -> std::string {
          Folder folder;
          AbsPath disk = folder.path() / "disk";
          ::mkdir(disk.c_str(), 0700);
          mount_small(disk);
          put(disk / "ballast", std::string(150'000, 'x'));
          std::string said = fill_up(disk / "agentbox.db", [&] { ::unlink((disk / "ballast").c_str()); });
          ::umount2(disk.c_str(), MNT_DETACH);
          return said;
        }) == "database or disk is full");
}

TEST_CASE("a limit on the size of files is as good as a full disk") {
  CHECK(in_child([]() -> std::string {
          Folder folder;
          std::signal(SIGXFSZ, SIG_IGN);
          rlimit old{};
          ::getrlimit(RLIMIT_FSIZE, &old);
          rlimit small{.rlim_cur = 300'000, .rlim_max = old.rlim_max};
          ::setrlimit(RLIMIT_FSIZE, &small);
          return fill_up(folder.record(), [&] { ::setrlimit(RLIMIT_FSIZE, &old); });
        }) == "disk I/O error (File too large)");
}

TEST_CASE("a new record on a full disk is refused, and begins when there is space") {
  CHECK(in_child([]() -> std::string {
          Folder folder;
          AbsPath disk = folder.path() / "disk";
          ::mkdir(disk.c_str(), 0700);
          mount_small(disk);
          std::ofstream(disk.str() + "/ballast") << std::string(1'000'000, 'x');
          std::string said;
          try {
            open_for_writing(disk / "agentbox.db");
            said = "opened";
          } catch (const StoreError& error) {
            said = error.kind() == Kind::full ? "full" : error.what();
          }
          ::unlink((disk / "ballast").c_str());
          Store(disk / "agentbox.db", Access::write).append(event(1));
          said += verified(disk / "agentbox.db");
          ::umount2(disk.c_str(), MNT_DETACH);
          return said;
        }) == "full");
}
