// git's remote.c in small: how a remote's name becomes addresses. Whatever isn't covered here is not certain.

#include "agentbox/policy/git_remotes.hpp"

#include <algorithm>

#include "agentbox/policy/git_config.hpp"

namespace agentbox::policy {

namespace {

// The part between "remote." and ".url".
std::optional<std::string_view> subsection(std::string_view key, std::string_view section, std::string_view name) {
  if (key.size() <= section.size() + name.size() + 2 || !key.starts_with(section) || !key.ends_with(name)) return {};
  if (key[section.size()] != '.' || key[key.size() - name.size() - 1] != '.') return {};
  return key.substr(section.size() + 1, key.size() - section.size() - name.size() - 2);
}

struct Settings {
  explicit Settings(const GitView& view) : view_(view) {}

  [[nodiscard]] std::vector<std::string> all(std::string_view section, std::string_view sub,
                                             std::string_view name) const {
    std::vector<std::string> values;
    for (const auto& [key, value] : view_.config) {
      if (subsection(key, section, name) == sub) values.push_back(value);
    }
    return values;
  }
  [[nodiscard]] std::string last(std::string_view wanted) const {
    std::string found;
    for (const auto& [key, value] : view_.config) {
      if (key == wanted) found = value;
    }
    return found;
  }
  // Every remote that has a setting, as git counts them.
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& [key, value] : view_.config) {
      const std::string_view text = key;
      const std::size_t dot = text.rfind('.');
      if (!text.starts_with("remote.") || dot <= 7) continue;
      std::string name(text.substr(7, dot - 7));
      if (std::ranges::find(found, name) == found.end()) found.push_back(std::move(name));
    }
    return found;
  }
  // The longest beginning that fits; of equal ones the first.
  [[nodiscard]] std::optional<std::string> rewritten(const std::string& address, std::string_view by) const {
    std::size_t longest = 0;
    std::optional<std::string> result;
    for (const auto& [key, value] : view_.config) {
      const auto base = subsection(key, "url", by);
      if (!base || value.empty() || value.size() <= longest || !address.starts_with(value)) continue;
      longest = value.size();
      result = std::string(*base) + address.substr(longest);
    }
    return result;
  }

 private:
  const GitView& view_;
};

using Addresses = std::vector<std::string>;

// Nothing: can't be told.
std::optional<Addresses> addresses_of(const std::string& remote, GitTraffic::Way way, const GitView& view) {
  const Settings settings(view);
  if (!settings.all("remote", remote, "vcs").empty()) return {};
  Addresses urls = settings.all("remote", remote, "url"), pushurls = settings.all("remote", remote, "pushurl");
  // An empty one takes back those before it, in newer versions.
  if (std::ranges::count(urls, "") + std::ranges::count(pushurls, "") > 0) return {};
  if (urls.empty()) {
    // It is an address itself, unless a file or another setting gives it a meaning; and git takes what has no slash for
    // a remote's name first.
    if (!pushurls.empty() || view.old_files == GitView::OldFiles::yes) return {};
    if (remote.find('/') == std::string::npos) return {};
    urls.push_back(remote);
  }
  const bool pushes = way == GitTraffic::Way::push;
  Addresses rewritten;
  for (const std::string& address : pushurls)
    rewritten.push_back(settings.rewritten(address, "insteadof").value_or(address));
  if (pushes && pushurls.empty()) {
    for (const std::string& address : urls) {
      if (auto other = settings.rewritten(address, "pushinsteadof")) rewritten.push_back(*std::move(other));
    }
  }
  if (!pushes || rewritten.empty()) {
    rewritten.clear();
    for (const std::string& address : urls)
      rewritten.push_back(settings.rewritten(address, "insteadof").value_or(address));
    if (!pushes) rewritten.resize(1);  // it fetches from the first
  }
  return rewritten;
}

// Where no remote is named.
std::optional<std::string> chosen(GitTraffic::Way way, const GitView& view) {
  if (!view.branch) return {};
  const Settings settings(view);
  std::vector<std::string> keys;
  const bool pushes = way == GitTraffic::Way::push;
  if (pushes && !view.branch->empty()) keys.push_back("branch." + *view.branch + ".pushremote");
  if (pushes) keys.emplace_back("remote.pushdefault");
  if (!view.branch->empty()) keys.push_back("branch." + *view.branch + ".remote");
  for (const std::string& key : keys) {
    if (std::string name = settings.last(key); !name.empty()) return name;
  }
  const std::vector<std::string> names = settings.names();
  // With a single one of another name versions differ: the older ones then find nothing.
  return names.size() == 1 ? names.front() : "origin";
}

// A token in the owner's own settings is nothing to show or to keep.
std::string without_password(const std::string& address) {
  const std::size_t scheme = address.find("://");
  if (scheme == std::string::npos) return address;
  const std::size_t begin = scheme + 3, end = std::min(address.find_first_of("/?#", begin), address.size());
  const std::size_t at = address.rfind('@', end);
  if (at == std::string::npos || at < begin) return address;
  const std::size_t colon = address.find(':', begin);
  if (colon > at) return address;
  return address.substr(0, colon) + address.substr(at);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> read_git_list(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> list;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\0'), text.size());
    const std::string_view one = text.substr(0, end);
    const std::size_t line = std::min(one.find('\n'), one.size());
    list.emplace_back(one.substr(0, line), one.substr(std::min(line + 1, one.size())));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return list;
}

bool talks_to_remotes(const Command& command) {
  if (command.remotes) return true;
  if (command.argv.empty()) return false;
  const std::string_view word = command.argv.front();
  const bool is_git =
      word.substr(word.rfind('/') + 1) == "git" || (command.program && command.program->path.name() == "git");
  return is_git && traffic_of_git(command.argv).has_value();
}

Remotes remotes_of(const GitTraffic& traffic, const GitView& view) {
  const Settings settings(view);
  std::vector<std::string> names;
  const bool fetches = traffic.way == GitTraffic::Way::fetch;
  const std::string all = settings.last("fetch.all");
  if (traffic.whom == GitTraffic::Whom::unsure) return {};
  if (traffic.whom == GitTraffic::Whom::all || (fetches && traffic.remote.empty() && !all.empty() && all != "false")) {
    if (view.old_files == GitView::OldFiles::yes) return {};
    for (std::string& name : settings.names()) {
      if (!settings.all("remote", name, "url").empty()) names.push_back(std::move(name));
    }
  } else if (!traffic.remote.empty()) {
    // A group of remotes, of the owner's settings.
    if (fetches && !settings.last("remotes." + traffic.remote).empty()) return {};
    names.push_back(traffic.remote);
  } else if (auto name = chosen(traffic.way, view)) {
    names.push_back(*std::move(name));
  }
  Remotes found;
  for (const std::string& name : names) {
    const std::optional<Addresses> addresses = addresses_of(name, traffic.way, view);
    if (!addresses) return {};
    for (const std::string& address : *addresses) {
      if (!is_plain_git_address(address)) return {};
      std::string text = without_password(address);
      if (std::ranges::find(found.addresses, text) == found.addresses.end()) found.addresses.push_back(std::move(text));
    }
  }
  if (!found.addresses.empty()) found.certain = Remotes::Certain::yes;
  return found;
}

}  // namespace agentbox::policy
