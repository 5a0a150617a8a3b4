// `agentbox check PROFILE|FILE`: every error at once, or one quiet line. An error is what no machine would take; what
// this machine alone would refuse is said, and is none: a profile may be checked where it isn't used.

#include "agentbox/policy/check.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/gates/commands/programs.hpp"
#include "agentbox/launch/look.hpp"
#include "agentbox/policy/policy.hpp"

#include "options.hpp"
#include "prepare.hpp"

namespace agentbox::cli {

namespace {

using base::AbsPath;
using base::Diagnostic;
using base::Diagnostics;

struct Checked {
  std::vector<std::string> files;
  Diagnostics errors;
  Diagnostics here;   // what `run` would refuse on this machine
  Diagnostics notes;  // what its author may not have meant
};

// An empty workspace: what lies in the one of the moment is nothing that a profile can be blamed for.
class EmptyFolder {
 public:
  EmptyFolder() {
    std::string name = "/tmp/agentbox-check-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw base::SystemError(errno, "cannot make a folder in /tmp");
    path_ = std::move(name);
  }
  EmptyFolder(const EmptyFolder&) = delete;
  EmptyFolder& operator=(const EmptyFolder&) = delete;
  ~EmptyFolder() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  [[nodiscard]] AbsPath path() const { return *AbsPath::parse(path_); }

 private:
  std::string path_;
};

void append(Diagnostics& all, Diagnostics more) {
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

// Where nobody's home is known, as where a package is built.
policy::HostFacts user_or_somebody() {
  try {
    return launch::look_at_user();
  } catch (const base::SystemError&) {
    policy::HostFacts facts;
    facts.user.home = AbsPath() / "home/you";
    facts.config_home = facts.user.home / ".config";
    facts.state_home = facts.user.home / ".local/state";
    facts.cache_home = facts.user.home / ".cache";
    facts.data_home = facts.user.home / ".local/share";
    return facts;
  }
}

// Grants in the workspace are about the one that `run` will have.
void leave_out_workspace(profile::Profile& profile) {
  auto is_there = [](const auto& item) {
    return item.value.text.starts_with("${workspace}") || item.value.text.starts_with("$workspace");
  };
  std::erase_if(profile.files_section.read, is_there);
  std::erase_if(profile.files_section.write, is_there);
}

// What pays and sends for the owner must be there before a room is.
Diagnostics programs_missing(const policy::Policy& policy) {
  gates::commands::HostPrograms programs(gates::commands::HostPrograms::usual_folders(policy.user.name));
  std::vector<AbsPath> writable;
  for (const policy::Mount& mount : policy.mounts) {
    if (mount.access == policy::Access::write) writable.push_back(mount.source);
  }
  Diagnostics missing;
  auto look = [&](const std::vector<std::string>& argv, const std::string& what, const char* hint) {
    std::string problem = gates::commands::within_reach(argv, writable);
    if (problem.empty()) {
      if (auto found = programs.measure(argv.front()); !found) problem = found.error().text;
    }
    if (!problem.empty()) missing.push_back({.message = what + ": " + problem, .hint = hint});
  };
  const policy::Rules& rules = policy.rules;
  if (rules.spending.limit && !rules.spending.pay.empty()) {
    look(rules.spending.pay, "nothing could be paid", "[spending.pay] command names it; mend it, or leave it out");
  }
  for (const policy::Rules::Way& way : rules.messages.ways) {
    if (way.send.empty()) continue;
    look(way.send, fmt::format("nothing could be sent by '{}'", way.name),
         "[messages] names it; install or mend it, or leave it out");
  }
  return missing;
}

Diagnostics refused_here(const profile::Profile& given) {
  profile::Profile profile = given;
  leave_out_workspace(profile);
  try {
    const EmptyFolder workspace;
    auto facts = launch::look(launch::look_at_user(workspace.path()), profile, {});
    if (!facts) return std::move(facts.error());
    auto policy = policy::decide(profile, *facts, {});
    if (!policy) return std::move(policy.error());
    return programs_missing(*policy);
  } catch (const base::SystemError& error) {
    return {{.message = error.what(), .hint = error.hint()}};
  }
}

Checked look_at(const std::string& name) {
  Checked checked;
  base::Result<profile::Profile> profile = load_profile(name);
  if (!profile) {
    checked.errors = std::move(profile.error());
    return checked;
  }
  checked.files = profile->files;
  append(checked.errors, policy::unbuilt(*profile, {}));
  append(checked.errors, policy::refused_everywhere(*profile, user_or_somebody()));
  if (auto note = policy::unprotected(*profile)) checked.notes.push_back(*std::move(note));
  if (!checked.errors.empty()) return checked;
  checked.here = refused_here(*profile);
  for (Diagnostic& one : checked.here) {
    one.severity = base::Severity::warning;
    one.message = "on this machine `agentbox run` would refuse: " + one.message;
  }
  return checked;
}

nlohmann::json to_json(const Diagnostics& diagnostics) {
  nlohmann::json list = nlohmann::json::array();
  for (const Diagnostic& diagnostic : diagnostics) {
    nlohmann::json json{{"file", diagnostic.file}, {"message", diagnostic.message}};
    if (diagnostic.at.line > 0) {
      json["line"] = diagnostic.at.line;
      json["column"] = diagnostic.at.column;
      json["length"] = diagnostic.at.length;
    }
    if (!diagnostic.hint.empty()) json["hint"] = diagnostic.hint;
    list.push_back(std::move(json));
  }
  return list;
}

void print_json(const CheckOptions& options, const Checked& checked) {
  nlohmann::json json{{"profile", options.profile},
                      {"ok", checked.errors.empty()},
                      {"errors", to_json(checked.errors)},
                      {"here", to_json(checked.here)},
                      {"notes", to_json(checked.notes)}};
  if (!checked.files.empty()) json["files"] = checked.files;
  // A file's name need not be UTF-8.
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

void print_text(const CheckOptions& options, const Checked& checked, const Terminal& terminal) {
  Diagnostics all = checked.errors;
  append(all, checked.here);
  append(all, checked.notes);
  std::fputs(base::render(all, terminal.err).c_str(), stderr);
  const std::size_t count = checked.errors.size();
  if (count > 1) std::fputs(fmt::format("\n{} errors\n", count).c_str(), stderr);
  if (count == 0) fmt::print("{}: no errors\n", base::escape(options.profile));
}

}  // namespace

int check(const CheckOptions& options, const Terminal& terminal) {
  const Checked checked = look_at(options.profile);
  if (options.json) {
    print_json(options, checked);
  } else {
    print_text(options, checked, terminal);
  }
  return static_cast<int>(checked.errors.empty() ? base::ExitCode::ok : base::ExitCode::failed);
}

}  // namespace agentbox::cli
