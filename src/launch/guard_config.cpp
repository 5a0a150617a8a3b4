#include "guard_config.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "agentbox/policy/git_config.hpp"

namespace agentbox::launch {

namespace {

struct Key {
  std::string_view section, name;  // name "*": every one
};

// Keys of git 2.5x whose value is a command, a program, or a file with more keys (git-config(1)).
constexpr std::array executing = {
    Key{"core", "alternaterefscommand"},
    Key{"core", "askpass"},
    Key{"core", "attributesfile"},
    Key{"core", "editor"},
    Key{"core", "fsmonitor"},
    Key{"core", "gitproxy"},
    Key{"core", "hookspath"},
    Key{"core", "pager"},
    Key{"core", "sshcommand"},
    Key{"core", "worktree"},
    Key{"browser", "*"},
    Key{"credential", "helper"},
    Key{"diff", "command"},
    Key{"diff", "external"},
    Key{"diff", "textconv"},
    Key{"difftool", "cmd"},
    Key{"difftool", "path"},
    Key{"filter", "clean"},
    Key{"filter", "process"},
    Key{"filter", "smudge"},
    Key{"gpg", "defaultkeycommand"},
    Key{"gpg", "program"},
    Key{"guitool", "cmd"},
    Key{"hook", "command"},
    Key{"imap", "tunnel"},
    Key{"include", "path"},
    Key{"includeif", "path"},
    Key{"init", "templatedir"},
    Key{"instaweb", "*"},
    Key{"interactive", "difffilter"},
    Key{"lfs", "*"},
    Key{"man", "cmd"},
    Key{"man", "path"},
    Key{"merge", "driver"},
    Key{"mergetool", "cmd"},
    Key{"mergetool", "path"},
    Key{"pager", "*"},
    Key{"protocol", "allow"},
    Key{"receive", "procreceiverefs"},
    Key{"remote", "receivepack"},
    Key{"remote", "uploadpack"},
    Key{"remote", "vcs"},
    Key{"sendemail", "*"},
    Key{"sequence", "editor"},
    Key{"ssh", "variant"},
    Key{"tar", "command"},
    Key{"trailer", "cmd"},
    Key{"trailer", "command"},
    Key{"uploadpack", "packobjectshook"},
    Key{"url", "insteadof"},
    Key{"url", "pushinsteadof"},
    Key{"web", "browser"},
};

bool executes(const policy::GitSetting& setting) {
  const auto& [section, subsection, name, value] = setting;
  if (section == "alias") return value.starts_with('!');
  if (section == "submodule" && name == "update") return value.starts_with('!');
  if (section == "core" && name == "fsmonitor") return value != "true" && value != "false" && !value.empty();
  if (section == "remote" && (name == "url" || name == "pushurl")) return value.find("::") != std::string::npos;
  return std::ranges::any_of(
      executing, [&](const Key& key) { return key.section == section && (key.name == "*" || key.name == name); });
}

}  // namespace

std::vector<std::string> executing_keys(std::string_view config, std::size_t limit) {
  std::vector<std::string> found;
  for (const policy::GitSetting& setting : policy::read_git_config(config)) {
    if (found.size() >= limit) break;
    std::string key = policy::key_of(setting);
    if (executes(setting) && std::ranges::find(found, key) == found.end()) found.push_back(std::move(key));
  }
  return found;
}

}  // namespace agentbox::launch
