// What a repository's own configuration may hold where the host's git is to run in it. A list of what is known to be
// harmless (git-config(1) of git 2.5x), not of what is known to be bad: the next git has new keys.

#include <algorithm>
#include <array>
#include <string_view>

#include "agentbox/base/escape.hpp"
#include "agentbox/policy/git_config.hpp"

#include "draft.hpp"

namespace agentbox::policy {

namespace {

using std::string_view_literals::operator""sv;

// Whatever the value is, git does nothing but what it would do anyway. As key_of, the subsection as '*'.
constexpr std::array harmless{"core.repositoryformatversion"sv,
                              "core.filemode"sv,
                              "core.logallrefupdates"sv,
                              "core.ignorecase"sv,
                              "core.precomposeunicode"sv,
                              "core.symlinks"sv,
                              "core.sharedrepository"sv,
                              "core.compression"sv,
                              "core.loosecompression"sv,
                              "core.bigfilethreshold"sv,
                              "core.preloadindex"sv,
                              "core.untrackedcache"sv,
                              "core.splitindex"sv,
                              "core.commitgraph"sv,
                              "core.multipackindex"sv,
                              "core.longpaths"sv,
                              "core.sparsecheckout"sv,
                              "core.sparsecheckoutcone"sv,
                              "core.hidedotfiles"sv,
                              "extensions.objectformat"sv,
                              "extensions.refstorage"sv,
                              "extensions.worktreeconfig"sv,  // whose file is read as well
                              "index.version"sv,
                              "index.threads"sv,
                              "index.sparse"sv,
                              "feature.manyfiles"sv,
                              "gc.auto"sv,
                              "gc.autodetach"sv,
                              "gc.autopacklimit"sv,
                              "gc.pruneexpire"sv,
                              "gc.logexpiry"sv,
                              "gc.worktreepruneexpire"sv,
                              "gc.reflogexpire"sv,
                              "gc.reflogexpireunreachable"sv,
                              "gc.bigpackthreshold"sv,
                              "pack.window"sv,
                              "pack.depth"sv,
                              "pack.threads"sv,
                              "pack.windowmemory"sv,
                              "pack.compression"sv,
                              "pack.indexversion"sv,
                              "maintenance.auto"sv,
                              "maintenance.strategy"sv,
                              "remote.*.fetch"sv,
                              "remote.*.tagopt"sv,
                              "remote.*.prune"sv,
                              "remote.*.prunetags"sv,
                              "remote.*.skipfetchall"sv,
                              "remote.*.skipdefaultupdate"sv,
                              "remote.*.gh-resolved"sv,
                              "branch.*.merge"sv,
                              "branch.*.rebase"sv,
                              "branch.*.description"sv,
                              "branch.*.vscode-merge-base"sv,
                              "branch.*.github-pr-owner-number"sv,
                              "submodule.*.active"sv,
                              "submodule.active"sv};
// Of these the value is an address, or the name of a remote.
constexpr std::array addresses{"remote.*.url"sv, "remote.*.pushurl"sv, "submodule.*.url"sv};
constexpr std::array remotes{"branch.*.remote"sv, "branch.*.pushremote"sv, "remote.pushdefault"sv,
                             "checkout.defaultremote"sv};
// Of these only "false" is harmless.
constexpr std::array off{"core.bare"sv, "core.fsmonitor"sv};

bool contains(auto&& list, std::string_view key) {
  return std::ranges::find(list, key) != list.end();
}

bool is_plain(std::string_view text, std::string_view marks) {
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           marks.find(c) != std::string_view::npos;
  });
}

// user@host:path, or what follows ssh:// up to its path: neither part may be taken for an option of ssh
// (CVE-2017-1000117).
bool is_plain_login(std::string_view login) {
  std::size_t at = login.find('@');
  std::string_view host = at == std::string_view::npos ? login : login.substr(at + 1);
  return is_plain(login, "._-@[]:%") && login.front() != '-' && !host.empty() && host.front() != '-';
}

// Where it could be a path or an address git takes it for one.
bool is_remote_name(std::string_view text) {
  return text == "." || (is_plain(text, "_-.") && text.front() != '-' && text.front() != '.');
}

std::string reason_against(const GitSetting& setting) {
  const std::string key = setting.section + (setting.subsection ? ".*." : ".") + setting.name;
  const std::string shown = base::escape(key_of(setting).substr(0, 100));
  if (contains(harmless, key)) return {};
  if (contains(addresses, key)) {
    return is_plain_git_address(setting.value) ? "" : shown + ", which is no plain https, ssh or git address";
  }
  if (contains(remotes, key)) {
    return is_remote_name(setting.value) || is_plain_git_address(setting.value) ? ""
                                                                                : shown + ", which names no remote";
  }
  if (contains(off, key) && setting.value == "false") return {};
  return is_inert_git_key(key_of(setting)) ? "" : shown;
}

}  // namespace

bool is_plain_git_address(std::string_view address) {
  constexpr std::string_view marks = "._-~/:@%+=,!*()[]&?";
  if (!is_plain(address, marks) || address.front() == '-' || address.find("::") != std::string_view::npos) return false;
  for (std::string_view scheme : {"https://"sv, "http://"sv, "git://"sv, "ssh://"sv, "git+ssh://"sv}) {
    if (!address.starts_with(scheme)) continue;
    std::string_view rest = address.substr(scheme.size());
    return is_plain_login(rest.substr(0, rest.find('/')));
  }
  if (address.find("://") != std::string_view::npos) return false;  // file://, and helpers of that name
  // What has no colon, or a slash before it, is a path.
  std::size_t colon = address.find(':');
  return colon != std::string_view::npos && address.substr(0, colon).find('/') == std::string_view::npos &&
         is_plain_login(address.substr(0, colon));
}

std::vector<std::string> unfit_for_host(std::string_view config, std::size_t limit) {
  std::vector<std::string> reasons;
  for (const GitSetting& setting : read_git_config(config)) {
    std::string reason = reason_against(setting);
    if (reason.empty() || contains(reasons, reason)) continue;
    if (reasons.size() >= limit) break;
    reasons.push_back(std::move(reason));
  }
  return reasons;
}

}  // namespace agentbox::policy
