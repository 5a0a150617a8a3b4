#include "record.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"

#include "guard_text.hpp"
#include "guard_tree.hpp"

namespace agentbox::launch {

namespace {

using base::AbsPath;
using base::SystemError;
using base::UniqueFd;
using nlohmann::json;

constexpr const char* record_name = "record.json";
constexpr const char* copies_name = "held";
constexpr const char* alive_name = "alive";
constexpr std::size_t record_limit = 64 << 20;

json json_of(const HeldPath& held) {
  json nodes = json::array();
  for (const HeldNode& node : held.nodes) {
    nodes.push_back({{"relative", encode_bytes(node.relative)},
                     {"kind", kind_name(node.kind)},
                     {"mode", node.mode},
                     {"modified_ns", node.modified_ns},
                     {"size", node.size},
                     {"offset", node.offset},
                     {"target", encode_bytes(node.target)}});
  }
  return {{"path", encode_bytes(held.path.str())}, {"nodes", std::move(nodes)}};
}

json json_of(const GitRecord& git) {
  json links = json::array(), modules = json::array();
  for (const AbsPath& module : git.modules) modules.push_back(encode_bytes(module.str()));
  for (const auto& [name, target] : git.links) links.push_back({encode_bytes(name), encode_bytes(target)});
  return {{"entry", encode_bytes(git.entry.str())},
          {"directory", encode_bytes(git.directory.str())},
          {"head", encode_bytes(git.head)},
          {"modules", std::move(modules)},
          {"links", std::move(links)}};
}

// Thrown and caught in this file: what was read is no record.
struct NotARecord {};

std::string bytes_at(const json& from, const char* key) {
  std::optional<std::string> bytes = decode_bytes(from.at(key).get_ref<const std::string&>());
  if (!bytes) throw NotARecord{};
  return *std::move(bytes);
}

AbsPath path_of(const std::string& text) {
  std::optional<std::string> bytes = decode_bytes(text);
  std::optional<AbsPath> path = bytes ? AbsPath::parse(*bytes) : std::nullopt;
  if (!path) throw NotARecord{};
  return *std::move(path);
}
AbsPath path_at(const json& from, const char* key) {
  return path_of(from.at(key).get_ref<const std::string&>());
}

// Nothing that leads out of the held path: the record is trusted, but what it says is opened and written.
bool is_relative(std::string_view text) {
  return text.empty() || (text.front() != '/' && AbsPath::parse("/" + std::string(text)).has_value());
}

HeldPath held_of(const json& from) {
  HeldPath held{.path = path_at(from, "path"), .nodes = {}};
  for (const json& node : from.at("nodes")) {
    std::optional<policy::FileKind> kind = kind_of_name(node.at("kind").get_ref<const std::string&>());
    if (!kind) throw NotARecord{};
    held.nodes.push_back({.relative = bytes_at(node, "relative"),
                          .kind = *kind,
                          .mode = node.at("mode").get<std::uint32_t>(),
                          .modified_ns = node.at("modified_ns").get<std::int64_t>(),
                          .size = node.at("size").get<std::uint64_t>(),
                          .offset = node.at("offset").get<std::uint64_t>(),
                          .target = bytes_at(node, "target")});
    if (!is_relative(held.nodes.back().relative)) throw NotARecord{};
  }
  return held;
}

GitRecord git_of(const json& from) {
  GitRecord git{.entry = path_at(from, "entry"),
                .directory = path_at(from, "directory"),
                .head = bytes_at(from, "head"),
                .modules = {},
                .links = {}};
  for (const json& module : from.at("modules")) git.modules.push_back(path_of(module.get_ref<const std::string&>()));
  for (const json& link : from.at("links")) {
    std::optional<std::string> name = decode_bytes(link.at(0).get_ref<const std::string&>());
    std::optional<std::string> target = decode_bytes(link.at(1).get_ref<const std::string&>());
    if (!name || !target) throw NotARecord{};
    git.links.emplace_back(*std::move(name), *std::move(target));
  }
  return git;
}

std::int64_t now_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

UniqueFd open_or_make(int directory, const std::string& name, const AbsPath& whole) {
  if (::mkdirat(directory, name.c_str(), 0700) != 0 && errno != EEXIST) {
    throw SystemError(errno, "cannot make " + base::escape(whole.str()));
  }
  UniqueFd made(::openat(directory, name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!made) throw SystemError(errno, "cannot open " + base::escape(whole.str()));
  return made;
}

// The session becomes a file's name.
bool is_session_name(std::string_view session) {
  if (session.empty() || session.size() > 128 || session.front() == '.') return false;
  for (char c : session) {
    bool fine =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    if (!fine) return false;
  }
  return true;
}

UniqueFd open_run(int runs, const std::string& session) {
  return UniqueFd(::openat(runs, session.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

std::optional<Record> read_record(int folder) {
  std::expected<std::string, int> text = read_start(folder, record_name, record_limit);
  return text ? record_of_json(*text) : std::nullopt;
}

}  // namespace

std::string to_json(const Record& record) {
  json ghosts = json::array(), watched = json::array(), held = json::array(), git = json::array();
  for (const AbsPath& path : record.ghosts) ghosts.push_back(encode_bytes(path.str()));
  for (const AbsPath& path : record.watched) watched.push_back(encode_bytes(path.str()));
  for (const HeldPath& path : record.held) held.push_back(json_of(path));
  for (const GitRecord& directory : record.git) git.push_back(json_of(directory));
  json text = {{"version", 1},
               {"session", record.session},
               {"profile", encode_bytes(record.profile)},
               {"workspace", encode_bytes(record.workspace.str())},
               {"workspace_device", record.workspace_device},
               {"workspace_inode", record.workspace_inode},
               {"started", record.started},
               {"pid", record.pid},
               {"ghosts", std::move(ghosts)},
               {"watched", std::move(watched)},
               {"held", std::move(held)},
               {"git", std::move(git)}};
  return text.dump() + "\n";
}

std::optional<Record> record_of_json(std::string_view text) {
  try {
    json from = json::parse(text);
    if (from.at("version").get<int>() != 1) return std::nullopt;
    Record record;
    record.session = from.at("session").get<std::string>();
    if (!is_session_name(record.session)) return std::nullopt;
    record.profile = bytes_at(from, "profile");
    record.workspace = path_at(from, "workspace");
    record.workspace_device = from.at("workspace_device").get<std::uint64_t>();
    record.workspace_inode = from.at("workspace_inode").get<std::uint64_t>();
    record.started = from.at("started").get<std::int64_t>();
    record.pid = from.at("pid").get<std::int64_t>();
    for (const json& ghost : from.at("ghosts")) record.ghosts.push_back(path_of(ghost.get_ref<const std::string&>()));
    for (const json& path : from.at("watched")) record.watched.push_back(path_of(path.get_ref<const std::string&>()));
    for (const json& path : from.at("held")) record.held.push_back(held_of(path));
    for (const json& directory : from.at("git")) record.git.push_back(git_of(directory));
    return record;
  } catch (const json::exception&) {
    return std::nullopt;
  } catch (const NotARecord&) {
    return std::nullopt;
  }
}

bool guards(const Record& record, const AbsPath& path) {
  for (const AbsPath& watched : record.watched) {
    if (path.is_within(watched)) return true;
  }
  for (const HeldPath& held : record.held) {
    if (path.is_within(held.path)) return true;
  }
  return false;
}

void write_file(int directory, const std::string& name, std::string_view text, Durable durable) {
  std::string temporary = ".new-" + name;
  ::unlinkat(directory, temporary.c_str(), 0);
  UniqueFd file(::openat(directory, temporary.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) throw SystemError(errno, "cannot write " + name + " in the state folder");
  while (!text.empty()) {
    ssize_t put = ::write(file.get(), text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw SystemError(errno, "cannot write " + name + " in the state folder");
    text.remove_prefix(static_cast<std::size_t>(put));
  }
  if (durable == Durable::yes && ::fsync(file.get()) != 0) {
    throw SystemError(errno, "cannot write " + name + " in the state folder");
  }
  if (::renameat(directory, temporary.c_str(), directory, name.c_str()) != 0) {
    throw SystemError(errno, "cannot write " + name + " in the state folder");
  }
}

UniqueFd open_state_folder(const AbsPath& state_folder, std::string_view name) {
  AbsPath whole = state_folder / name;
  UniqueFd there(::open(whole.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (there) return there;
  if (errno != ENOENT) throw SystemError(errno, "cannot open " + base::escape(whole.str()));
  UniqueFd here(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (std::string_view component : whole.components()) here = open_or_make(here.get(), std::string(component), whole);
  return here;
}

int Spares::folder() {
  if (!folder_) {
    UniqueFd path = open_state_folder(state_folder_, "spares");
    folder_.reset(::openat(path.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder_) throw SystemError(errno, "cannot open " + base::escape((state_folder_ / "spares").str()));
  }
  return folder_.get();
}

int Spares::take(int parent, const std::string& name, Mode mode) {
  if (!names_) names_ = names_in(folder(), 100'000).value_or(std::vector<std::string>{});
  while (!names_->empty()) {
    std::string spare = std::move(names_->back());
    names_->pop_back();
    UniqueFd listing(::openat(folder(), spare.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!listing || !is_empty(listing.get()) || ::fchmod(listing.get(), static_cast<mode_t>(mode)) != 0) continue;
    int error = rename_entry(folder(), spare, parent, name);
    if (error == EEXIST) names_->push_back(std::move(spare));
    if (error == 0 || error == EEXIST) return error;
    if (error != ENOENT) break;  // another run was faster, else it can't be moved there
  }
  if (int error = make_directory(parent, name, static_cast<std::uint32_t>(mode)); error != 0) return error;
  UniqueFd made(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  return made && ::fchmod(made.get(), static_cast<mode_t>(mode)) == 0 ? 0 : errno;
}

int Spares::give_back(int parent, const std::string& name) {
  UniqueFd listing(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!listing) return errno == EACCES ? remove_entry(parent, name, policy::FileKind::directory) : errno;
  if (!is_empty(listing.get())) return ENOTEMPTY;
  // A name that says nothing and that nobody else has.
  std::string place = fmt::format("{:x}-{:x}", now_seconds(), look_at(listing.get()).inode);
  if (rename_entry(parent, name, folder(), place) != 0) {
    return remove_entry(parent, name, policy::FileKind::directory);
  }
  // Somebody wrote into it in this very moment: it is his, and goes back.
  if (!is_empty(listing.get()) && rename_entry(folder(), place, parent, name) == 0) return ENOTEMPTY;
  return 0;
}

void Spares::trim(const std::stop_token& stop, std::size_t most) const {
  UniqueFd spares(::open((state_folder_ / "spares").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!spares) return;
  std::vector<std::string> names = names_in(spares.get(), 1'000'000).value_or(std::vector<std::string>{});
  for (; names.size() > most && !stop.stop_requested(); names.pop_back()) {
    ::unlinkat(spares.get(), names.back().c_str(), AT_REMOVEDIR);  // never what has something in it
  }
}

RunsLock::RunsLock(const AbsPath& state_folder) {
  UniqueFd folder = open_state_folder(state_folder, "runs");
  folder_ = UniqueFd(::openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder_) throw SystemError(errno, "cannot open " + base::escape((state_folder / "runs").str()));
  for (int attempt = 0; ::flock(folder_.get(), LOCK_EX | LOCK_NB) != 0; ++attempt) {
    if (errno != EWOULDBLOCK && errno != EINTR) throw SystemError(errno, "cannot lock the state folder");
    if (attempt == 6000) {
      throw SystemError(EWOULDBLOCK, "another agentbox holds the state folder",
                        "is one of them stopped? `fg` lets it go on");
    }
    struct timespec pause = {.tv_sec = 0, .tv_nsec = 10'000'000};
    ::nanosleep(&pause, nullptr);
  }
}

RunFolder RunFolder::create(const RunsLock& runs, const std::string& session, Spares& spares) {
  if (!is_session_name(session)) throw SystemError(EINVAL, "a session's name must be a plain word");
  if (int error = spares.take(runs.folder(), session, Spares::Mode::secret); error != 0) {
    throw SystemError(error, "cannot make the record of session " + session);
  }
  UniqueFd folder = open_run(runs.folder(), session);
  if (!folder) throw SystemError(errno, "cannot open the record of session " + session);
  // May wait for a moment: `living_records` tries each lock, without the lock on all.
  while (::flock(folder.get(), LOCK_EX) != 0) {
    if (errno != EINTR) throw SystemError(errno, "cannot lock the record of session " + session);
  }
  return RunFolder(session, std::move(folder));
}

std::optional<RunFolder> RunFolder::seize(const RunsLock& runs, const std::string& session) {
  UniqueFd folder = open_run(runs.folder(), session);
  if (!folder || ::flock(folder.get(), LOCK_EX | LOCK_NB) != 0) return std::nullopt;
  return RunFolder(session, std::move(folder));
}

void RunFolder::write(const Record& record) const {
  write_file(folder_.get(), record_name, to_json(record), Durable::no);
}

std::optional<Record> RunFolder::read() const {
  return read_record(folder_.get());
}

bool RunFolder::has_record() const {
  return look_at(folder_.get(), record_name).has_value();
}

UniqueFd RunFolder::create_copies() const {
  UniqueFd file(::openat(folder_.get(), copies_name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600));
  if (!file) throw SystemError(errno, "cannot make the copies of held files");
  return file;
}

UniqueFd RunFolder::add_to_copies() const {
  UniqueFd file(::openat(folder_.get(), copies_name, O_CREAT | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) throw SystemError(errno, "cannot add to the copies of held files");
  return file;
}

std::expected<UniqueFd, int> RunFolder::open_copies() const {
  return open_regular(folder_.get(), copies_name);
}

void RunFolder::beat() const {
  UniqueFd file(::openat(folder_.get(), alive_name, O_CREAT | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600));
  std::string text = fmt::format("{:020}\n", now_seconds());
  // One write of one block: what is read back is an old time or a new one.
  if (file) (void)!::pwrite(file.get(), text.data(), text.size(), 0);
}

std::int64_t RunFolder::last_alive() const {
  std::expected<std::string, int> text = read_start(folder_.get(), alive_name, 64);
  std::int64_t seconds = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), seconds);
  return seconds;
}

void RunFolder::sync() const {
  for (const char* name : {copies_name, record_name}) {
    UniqueFd file(::openat(folder_.get(), name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (file) ::fsync(file.get());
  }
  ::fsync(folder_.get());
}

void RunFolder::remove(const RunsLock& runs, Spares& spares) const {
  // The record first: a folder without one means that nothing is left to do.
  ::unlinkat(folder_.get(), record_name, 0);
  for (const char* name : {copies_name, alive_name, ".new-record.json"}) ::unlinkat(folder_.get(), name, 0);
  (void)spares.give_back(runs.folder(), session_);
}

std::int64_t RunFolder::made() const {
  return look_at(folder_.get()).modified_ns / 1'000'000'000;
}

namespace {

enum class State { lives, dead };
std::vector<Record> records_of(State wanted, const AbsPath& state_folder, std::string_view except) {
  std::vector<Record> records;
  UniqueFd runs(::open((state_folder / "runs").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!runs) return records;
  for (const std::string& session : names_in(runs.get(), 100'000).value_or(std::vector<std::string>{})) {
    if (session == except) continue;
    UniqueFd folder = open_run(runs.get(), session);
    if (!folder) continue;
    bool is_dead = ::flock(folder.get(), LOCK_SH | LOCK_NB) == 0;  // closing it frees the lock
    if (is_dead != (wanted == State::dead)) continue;
    std::optional<Record> record = read_record(folder.get());
    if (record) records.push_back(*std::move(record));
  }
  return records;
}

}  // namespace

std::vector<Record> living_records(const AbsPath& state_folder, std::string_view except) {
  return records_of(State::lives, state_folder, except);
}

std::vector<Record> dead_records(const AbsPath& state_folder) {
  return records_of(State::dead, state_folder, {});
}

std::expected<UniqueFd, int> copies_of(const AbsPath& state_folder, const std::string& session) {
  UniqueFd run(::open((state_folder / "runs" / session).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!run) return std::unexpected(errno);
  return open_regular(run.get(), copies_name);
}

}  // namespace agentbox::launch
