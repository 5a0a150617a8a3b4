#include "git.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/gates/open_beneath.hpp"
#include "agentbox/policy/git_config.hpp"
#include "agentbox/policy/git_folders.hpp"

namespace agentbox::gates::commands {

using base::UniqueFd;
using std::string_view_literals::operator""sv;

namespace {

using Refused = std::unexpected<std::string>;
template <class T>
using Or = std::expected<T, std::string>;

constexpr std::size_t most_config = 1 << 20;
constexpr std::size_t most_entries = 100'000;

// ---- arguments ------------------------------------------------------------------------------------------------------

constexpr std::array global_options{"--no-pager"sv, "-P"sv, "--no-optional-locks"sv, "--version"sv, "-v"sv};
// They change the owner's own settings, print what he keeps secret, or run what their arguments or nested repositories
// say.
constexpr std::array refused_commands{"bisect"sv,        "config"sv,       "daemon"sv,      "difftool"sv,
                                      "filter-branch"sv, "gui"sv,          "hook"sv,        "imap-send"sv,
                                      "instaweb"sv,      "maintenance"sv,  "shell"sv,       "send-email"sv,
                                      "mergetool"sv,     "submodule"sv,    "web--browse"sv, "upload-pack"sv,
                                      "receive-pack"sv,  "http-backend"sv, "remote-ext"sv,  "remote-fd"sv};

Or<void> judge_arguments(const std::vector<std::string>& argv) {
  std::size_t at = 1;
  while (at < argv.size() && argv[at].starts_with('-')) {
    if (std::ranges::find(global_options, argv[at]) == global_options.end()) {
      return Refused("git's option " + base::quote(argv[at].substr(0, 100)) +
                     " is refused on the host: change to the repository's directory and run git there without it");
    }
    ++at;
  }
  if (at == argv.size()) return {};
  const std::string& command = argv[at];
  if (command.starts_with("credential") || std::ranges::find(refused_commands, command) != refused_commands.end()) {
    return Refused("`git " + base::escape(command.substr(0, 100)) +
                   "` is refused on the host: ask the owner to run it himself");
  }
  return {};
}

// ---- the repository -------------------------------------------------------------------------------------------------

UniqueFd open_below(int directory, const char* path, std::uint64_t flags) {
  return gates::open_beneath(directory, path, flags, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

std::optional<mode_t> type_of(const UniqueFd& directory, const char* name) {
  struct stat info{};
  if (::fstatat(directory.get(), name, &info, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
  return info.st_mode & S_IFMT;
}
bool is_there(const UniqueFd& directory, const char* name) {
  return type_of(directory, name).has_value();
}

std::string path_of(const UniqueFd& fd) {
  std::array<char, 4096> text{};
  ssize_t size = ::readlink(("/proc/self/fd/" + std::to_string(fd.get())).c_str(), text.data(), text.size());
  return size > 0 ? std::string(text.data(), static_cast<std::size_t>(size)) : std::string();
}

// A regular file's content; empty when there is none; nothing when it can't be said.
std::optional<std::string> read_small(const UniqueFd& directory, const char* name, std::size_t limit) {
  if (!is_there(directory, name)) return "";
  UniqueFd file = open_below(directory.get(), name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  struct stat info{};
  if (!file || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  std::string text(limit + 1, '\0');
  std::size_t done = 0;
  while (done < text.size()) {
    ssize_t count = ::read(file.get(), text.data() + done, text.size() - done);
    if (count < 0) return std::nullopt;
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  if (done > limit) return std::nullopt;
  text.resize(done);
  return text;
}
std::string without_end(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

struct Repository {
  UniqueFd git, common;  // `common`: where its configuration is
  std::string tree;      // the working tree's root
};

// The directory itself could be a repository without a working tree, which git finds as well.
bool looks_bare(const UniqueFd& directory) {
  return is_there(directory, "HEAD") && is_there(directory, "objects") && is_there(directory, "refs");
}

// `.git` is a file: a linked worktree, whose administrative directory must name it back. Else anybody could lay a file
// here that makes git work on a foreign repository.
Or<UniqueFd> open_linked(const UniqueFd& level, const std::string& entry) {
  const std::optional<std::string> text = read_small(level, ".git", 8192);
  constexpr std::string_view mark = "gitdir: ";
  if (!text || !text->starts_with(mark)) return Refused(entry + " is no file of git's");
  UniqueFd git = open_below(level.get(), without_end(text->substr(mark.size())).c_str(), O_RDONLY | O_DIRECTORY);
  if (!git) return Refused(entry + " leads nowhere, or through a symbolic link");
  const std::optional<std::string> back = read_small(git, "gitdir", 8192);
  if (!back || without_end(*back) != path_of(level) + "/.git") {
    return Refused(entry + " leads to a repository that does not know of it (a submodule, or a planted file)");
  }
  return git;
}

Or<Repository> open_repository(const UniqueFd& level) {
  Repository repository;
  repository.tree = path_of(level);
  const std::string entry = base::escape(repository.tree) + "/.git";
  const std::optional<mode_t> type = type_of(level, ".git");
  if (type == S_IFDIR) {
    repository.git = open_below(level.get(), ".git", O_RDONLY | O_DIRECTORY);
    if (!repository.git) return Refused(entry + " can't be opened");
  } else if (type == S_IFREG) {
    auto git = open_linked(level, entry);
    if (!git) return Refused(git.error());
    repository.git = *std::move(git);
  } else {
    return Refused(entry + " is a symbolic link, or nothing that git knows");
  }
  const std::optional<std::string> common = read_small(repository.git, "commondir", 8192);
  if (!common) return Refused(entry + " has a commondir that can't be read");
  const std::string where = common->empty() ? "." : without_end(*common);
  repository.common = open_below(repository.git.get(), where.c_str(), O_RDONLY | O_DIRECTORY);
  if (!repository.common) return Refused(entry + " has a commondir that leads nowhere, or through a symbolic link");
  return repository;
}

// Links in it make git read and write elsewhere. Hooks are off, and what lies among the loose objects is only ever read
// as an object. `inside`: the directory as the git directory sees it, empty for itself.
Or<void> look_for_links(const UniqueFd& directory, const std::string& name, const std::string& inside,
                        std::size_t depth, std::size_t& left) {
  UniqueFd copy = open_below(directory.get(), ".", O_RDONLY | O_DIRECTORY);
  DIR* list = copy ? ::fdopendir(copy.get()) : nullptr;
  if (list == nullptr) return Refused(base::escape(name) + " can't be listed");
  (void)copy.release();
  struct Close {
    DIR* list;
    ~Close() { ::closedir(list); }
  } close{list};
  for (;;) {
    errno = 0;                              // only it tells an error from the end
    const dirent* entry = ::readdir(list);  // NOLINT(concurrency-mt-unsafe): a stream of our own
    if (entry == nullptr && errno != 0) return Refused(base::escape(name) + " can't be listed");
    if (entry == nullptr) return {};
    const std::string_view text = entry->d_name;
    if (text == "." || text == "..") continue;
    if (left-- == 0) return Refused("the repository has too many files to look through");
    const std::string path = name + "/" + entry->d_name;
    std::optional<mode_t> type;
    if (entry->d_type == DT_UNKNOWN) type = type_of(directory, entry->d_name);
    const bool is_link = entry->d_type == DT_LNK || (type && *type == S_IFLNK);
    const bool is_directory = entry->d_type == DT_DIR || (type && *type == S_IFDIR);
    if (is_link) return Refused(base::escape(path) + " is a symbolic link: git would read or write elsewhere");
    const std::string seen = inside.empty() ? entry->d_name : inside + "/" + entry->d_name;
    const bool is_passed_over = depth == 0 && (text == "hooks" || text == "modules" || text == "worktrees");
    if (!is_directory || is_passed_over || policy::holds_only_objects(seen)) continue;
    if (depth > 64) return Refused(base::escape(path) + " lies too deep");
    UniqueFd below = open_below(directory.get(), entry->d_name, O_RDONLY | O_DIRECTORY);
    if (!below) return Refused(base::escape(path) + " can't be opened");
    if (auto found = look_for_links(below, path, seen, depth + 1, left); !found) return found;
  }
}

Or<void> judge_config(const UniqueFd& directory, const char* name) {
  const std::string path = base::escape(path_of(directory)) + "/" + name;
  const std::optional<std::string> text = read_small(directory, name, most_config);
  if (!text) return Refused(path + " can't be read");
  const std::vector<std::string> reasons = policy::unfit_for_host(*text, 3);
  if (reasons.empty()) return {};
  std::string all;
  for (const std::string& reason : reasons) all += (all.empty() ? "" : "; ") + reason;
  return Refused("git on the host would act on settings of the repository that are not known to be harmless, in " +
                 path + ": " + all);
}

Or<void> judge(const Repository& repository) {
  for (const auto& [directory, name] :
       {std::pair{&repository.common, "config"}, {&repository.git, "config.worktree"}}) {
    if (auto judged = judge_config(*directory, name); !judged) return judged;
  }
  UniqueFd information = open_below(repository.common.get(), "objects/info", O_RDONLY | O_DIRECTORY);
  if (information && is_there(information, "alternates")) {
    return Refused("the repository borrows objects of another one (objects/info/alternates)");
  }
  std::size_t left = most_entries;
  for (const UniqueFd* directory : {&repository.common, &repository.git}) {
    if (auto found = look_for_links(*directory, path_of(*directory), "", 0, left); !found) return found;
  }
  return {};
}

// The one whose files the directory belongs to, found as git does; nothing: none.
Or<std::optional<Repository>> find_repository(const Place& place) {
  const std::size_t inside = place.path.depth() - place.root.depth();
  UniqueFd level = open_below(place.directory.get(), ".", O_RDONLY | O_DIRECTORY);
  std::optional<Repository> found;
  for (std::size_t up = 0; level; ++up) {
    // Beyond the root nobody in the room can have laid anything.
    if (up > inside && found) break;
    if (is_there(level, ".git")) {
      if (found)
        return Refused("the repository " + base::escape(found->tree) + " lies within another, " +
                       base::escape(path_of(level)));
      auto repository = open_repository(level);
      if (!repository) return Refused(repository.error());
      found = *std::move(repository);
    } else if (looks_bare(level) && up <= inside) {
      return Refused(base::escape(path_of(level)) + " looks like a repository without a working tree");
    }
    struct stat here{}, above{};
    UniqueFd next = open_below(level.get(), "..", O_RDONLY | O_DIRECTORY);
    if (!next || ::fstat(level.get(), &here) != 0 || ::fstat(next.get(), &above) != 0) break;
    if (here.st_dev == above.st_dev && here.st_ino == above.st_ino) break;
    level = std::move(next);
  }
  return found;
}

// ---- the environment ------------------------------------------------------------------------------------------------

// They win over every file. The owner's own files stay: credential helpers, proxies, his name.
constexpr std::array<std::pair<const char*, const char*>, 21> settings{{
    {"core.hooksPath", "/dev/null"},
    {"core.fsmonitor", "false"},
    {"core.sshCommand", "ssh"},
    {"core.pager", "cat"},
    {"core.editor", "false"},
    {"sequence.editor", "false"},
    {"core.alternateRefsCommand", "true"},
    {"protocol.ext.allow", "never"},
    // Whatever goes into a nested repository goes by that one's settings.
    {"submodule.recurse", "false"},
    {"push.recurseSubmodules", "no"},
    {"fetch.recurseSubmodules", "false"},
    {"diff.ignoreSubmodules", "all"},
    {"diff.submodule", "short"},
    {"status.submoduleSummary", "false"},
    {"safe.bareRepository", "explicit"},
    // Nothing that goes on when the room does.
    {"gc.auto", "0"},
    {"gc.autoDetach", "false"},
    {"maintenance.auto", "false"},
    {"log.showSignature", "false"},
    {"core.untrackedCache", "keep"},
    {"help.autoCorrect", "never"},
}};

std::vector<std::string> environment_for(const std::optional<Repository>& repository) {
  std::vector<std::string> result{"GIT_CONFIG_COUNT=" + std::to_string(settings.size())};
  for (std::size_t i = 0; i < settings.size(); ++i) {
    result.push_back("GIT_CONFIG_KEY_" + std::to_string(i) + "=" + settings.at(i).first);
    result.push_back("GIT_CONFIG_VALUE_" + std::to_string(i) + "=" + settings.at(i).second);
  }
  for (const char* fixed : {"GIT_SSH_COMMAND=ssh", "GIT_PAGER=cat", "GIT_EDITOR=false", "GIT_SEQUENCE_EDITOR=false",
                            "GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0",
                            // Not a path: git would run the hooks that lie there.
                            "GIT_ALLOW_PROTOCOL=https:http:ssh:git"}) {
    result.emplace_back(fixed);
  }
  if (!repository) return result;
  // Exactly the one that was looked at; git looks for none by itself.
  result.push_back("GIT_DIR=" + path_of(repository->git));
  result.push_back("GIT_WORK_TREE=" + repository->tree);
  return result;
}

// ---- what a remote's name depends on, besides the configuration -----------------------------------------------------

std::optional<std::string> branch_of(const Repository& repository) {
  const std::optional<std::string> text = read_small(repository.git, "HEAD", 8192);
  if (!text) return std::nullopt;
  const std::string head = without_end(*text);
  constexpr std::string_view mark = "ref: refs/heads/";
  if (head.starts_with(mark)) {
    // Where references are kept otherwise, this file says nothing.
    return head == "ref: refs/heads/.invalid" ? std::nullopt : std::optional(head.substr(mark.size()));
  }
  const bool is_hash = head.size() >= 40 && head.find_first_not_of("0123456789abcdef") == std::string::npos;
  return is_hash ? std::optional<std::string>("") : std::nullopt;
}

bool is_empty(const UniqueFd& directory, const char* name) {
  if (!is_there(directory, name)) return true;
  UniqueFd copy = open_below(directory.get(), name, O_RDONLY | O_DIRECTORY);
  DIR* list = copy ? ::fdopendir(copy.get()) : nullptr;
  if (list == nullptr) return false;
  (void)copy.release();
  std::size_t entries = 0;
  errno = 0;                                                    // only it tells an error from the end
  while (entries < 3 && ::readdir(list) != nullptr) ++entries;  // NOLINT(concurrency-mt-unsafe): a stream of our own
  const bool is_read = entries == 3 || errno == 0;
  ::closedir(list);
  return is_read && entries < 3;  // "." and ".."
}

policy::GitView view_of(const std::optional<Repository>& repository) {
  policy::GitView view{.config = {}, .branch = "", .old_files = policy::GitView::OldFiles::no};
  if (!repository) return view;
  view.branch = branch_of(*repository);
  for (const UniqueFd* directory : {&repository->common, &repository->git}) {
    if (!is_empty(*directory, "remotes") || !is_empty(*directory, "branches")) {
      view.old_files = policy::GitView::OldFiles::yes;
    }
  }
  return view;
}

}  // namespace

bool is_git(const std::string& word, const base::AbsPath& program) {
  return program.name() == "git" || word == "git" || word.ends_with("/git");
}

std::expected<GitRun, std::string> prepare_git(const std::vector<std::string>& argv, const Place& place) {
  if (auto judged = judge_arguments(argv); !judged) return Refused(judged.error());
  auto repository = find_repository(place);
  if (!repository) return Refused(repository.error());
  if (*repository) {
    if (auto judged = judge(**repository); !judged) return Refused(judged.error());
  }
  return GitRun{.environment = environment_for(*repository), .view = view_of(*repository)};
}

}  // namespace agentbox::gates::commands
