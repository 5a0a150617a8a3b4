#include "prepare.hpp"

#include <cerrno>
#include <iterator>

#include <sys/stat.h>
#include <unistd.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/launch/look.hpp"
#include "agentbox/launch/sources.hpp"
#include "agentbox/plan/seccomp.hpp"
#include "agentbox/profile/parse.hpp"

namespace agentbox::cli {

namespace {

profile::Origin flag_origin(const char* flag, const std::string& text) {
  return {.file = flag, .at = {}, .source_line = text};
}

// Parses each text of a repeatable flag, collecting what is wrong with any of them.
template <class T, class Parse>
void parse_flags(const char* flag, const std::vector<std::string>& texts, Parse parse, profile::List<T>& out,
                 base::Diagnostics& errors) {
  for (const std::string& text : texts) {
    profile::Origin origin = flag_origin(flag, text);
    base::Result<T> value = parse(text, origin);
    if (value) {
      out.push_back({*std::move(value), std::move(origin)});
    } else {
      errors.insert(errors.end(), value.error().begin(), value.error().end());
    }
  }
}

// On the command line a path may be relative: to where the user stands.
std::vector<std::string> made_absolute(const std::vector<std::string>& texts) {
  std::vector<std::string> out;
  for (const std::string& text : texts) {
    bool is_pattern = text.empty() || text[0] == '~' || text[0] == '$';
    out.push_back(is_pattern ? text : launch::path_as_typed(text));
  }
  return out;
}

base::Result<policy::Flags> parse_all_flags(const RoomOptions& options) {
  policy::Flags flags;
  base::Diagnostics errors;
  flags.command = options.command;
  parse_flags("--read", made_absolute(options.read), profile::parse_path, flags.read, errors);
  parse_flags("--write", made_absolute(options.write), profile::parse_path, flags.write, errors);
  parse_flags("--hide", options.hide, profile::parse_pattern, flags.hide, errors);
  parse_flags("--allow", options.allow, profile::parse_host_rule, flags.allow, errors);
  if (!errors.empty()) return std::unexpected(std::move(errors));
  return flags;
}

base::Result<base::AbsPath> find_workspace(const std::string& given) {
  if (given.empty()) return launch::current_directory();
  std::string text = launch::path_as_typed(given);
  struct stat info{};
  if (::stat(text.c_str(), &info) != 0) {
    return base::fail("cannot use " + base::escape(given) + " as the workspace: " + base::errno_text(errno));
  }
  auto path = base::AbsPath::parse(text);
  if (!path) {
    return base::fail("the workspace " + base::escape(given) + " is not a plain path", "write it without '..'");
  }
  if (!S_ISDIR(info.st_mode)) return base::fail("the workspace " + base::escape(given) + " is not a directory");
  return *std::move(path);
}

void check_names(const profile::List<std::string>& names, std::optional<base::Diagnostic> (*check)(std::string_view),
                 base::Diagnostics& errors) {
  for (const auto& name : names) {
    std::optional<base::Diagnostic> problem = check(name.value);
    if (!problem) continue;
    problem->file = name.origin.file;
    problem->at = name.origin.at;
    problem->source_line = name.origin.source_line;
    errors.push_back(*std::move(problem));
  }
}

base::Result<profile::Profile> with_known_calls(base::Result<profile::Profile> profile) {
  if (!profile) return profile;
  base::Diagnostics errors;
  check_names(profile->seccomp.allow, plan::check_seccomp_allow, errors);
  check_names(profile->seccomp.deny, plan::check_seccomp_deny, errors);
  if (!errors.empty()) return std::unexpected(std::move(errors));
  return profile;
}

}  // namespace

launch::OnAsk on_ask_of(const std::string& text) {
  if (text == "queue") return launch::OnAsk::queue;
  if (text == "deny") return launch::OnAsk::deny;
  if (text == "terminal" || ::isatty(STDERR_FILENO) == 1) return launch::OnAsk::terminal;
  return launch::OnAsk::deny;
}

base::Result<profile::Profile> load_profile(const std::string& name) {
  return with_known_calls(launch::load(name));
}

base::Result<Prepared> prepare(const RoomOptions& options, policy::HostFacts user) {
  Prepared prepared;
  auto flags = parse_all_flags(options);
  if (!flags) return std::unexpected(std::move(flags.error()));
  auto workspace = find_workspace(options.workspace);
  if (!workspace) return std::unexpected(std::move(workspace.error()));
  auto profile = load_profile(options.profile);
  if (!profile) return std::unexpected(std::move(profile.error()));
  auto tightened = with_known_calls(launch::tighten_by_workspace(*std::move(profile), *workspace));
  if (!tightened) return std::unexpected(std::move(tightened.error()));
  auto facts = launch::look(launch::with_workspace(std::move(user), *workspace), *tightened, *flags, &prepared.walks);
  if (!facts) return std::unexpected(std::move(facts.error()));
  auto policy = policy::decide(*tightened, *facts, *flags);
  if (!policy) return std::unexpected(std::move(policy.error()));
  return Prepared{*std::move(tightened), *std::move(flags), *std::move(facts), *std::move(policy),
                  std::move(prepared.walks)};
}

}  // namespace agentbox::cli
