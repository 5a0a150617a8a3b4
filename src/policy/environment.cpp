// What the command finds in its environment, and the command itself.

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/policy/room_addresses.hpp"

#include "draft.hpp"
#include "floor.hpp"

namespace agentbox::policy {

namespace {

using base::AbsPath;

constexpr std::string_view default_path = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

// Can the room see this path as it is written? Links of the room's own lead to what they lead to outside.
bool is_in_room(Draft& draft, const AbsPath& path) {
  auto is_visible = [&](const AbsPath& place) {
    return draft.tree.at(place).access != Access::hidden && draft.tree.hidden_by(place) == nullptr;
  };
  return is_visible(path) || is_visible(draft.resolve(path).path) ||
         std::ranges::any_of(draft.policy.room_links,
                             [&](const RoomLink& link) { return path.is_within(link.target); });
}

// Of the owner's PATH what is in the room: a folder that isn't there would only tell about the machine.
std::string path_in_room(Draft& draft) {
  auto found = draft.facts.environment.find("PATH");
  std::string_view rest = found == draft.facts.environment.end() ? std::string_view() : found->second;
  std::string out;
  std::vector<std::string_view> seen;
  while (!rest.empty()) {
    std::string_view entry = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(entry.size() + 1, rest.size()));
    std::optional<AbsPath> path = AbsPath::parse(entry);
    if (!path || std::ranges::find(seen, entry) != seen.end() || !is_in_room(draft, *path)) continue;
    seen.push_back(entry);
    if (!out.empty()) out += ':';
    out += path->str();
  }
  return std::string(shim_folder) + ":" + (out.empty() ? std::string(default_path) : out);
}

class Environment {
 public:
  explicit Environment(Draft& draft) : draft_(draft) {}

  void add_basics() {
    const User& user = draft_.policy.user;
    variables_["AGENTBOX"] = "1";  // lets a program know that it is in a room
    variables_["HOME"] = user.home.str();
    variables_["USER"] = variables_["LOGNAME"] = user.name;
    variables_["SHELL"] = user.shell.str();
    variables_["PATH"] = path_in_room(draft_);
    variables_["PWD"] = draft_.policy.directory.str();
    // Where the host's programs keep their files; the profile's paths mean the same places.
    for (std::string_view name : {"XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"}) {
      auto found = draft_.facts.environment.find(std::string(name));
      if (found != draft_.facts.environment.end() && found->second.starts_with('/')) variables_.insert(*found);
    }
    // A git that was built elsewhere would not read /etc.
    const AbsPath git_config = AbsPath() / "etc/gitconfig";
    if (std::ranges::find(draft_.policy.room_files, git_config, &RoomFile::target) != draft_.policy.room_files.end()) {
      variables_["GIT_CONFIG_SYSTEM"] = git_config.str();
    }
  }

  void pass(const profile::Located<std::string>& item) {
    std::string_view name = item.value;
    if (name == "*") {
      draft_.error(item.origin, "'*' would pass the whole environment",
                   "name the variables; a wildcard stands at the end of a prefix, as in 'LC_*'");
      return;
    }
    bool prefix = name.ends_with('*');
    if (prefix) name.remove_suffix(1);
    auto at = draft_.facts.environment.lower_bound(std::string(name));
    for (; at != draft_.facts.environment.end() && at->first.starts_with(name); ++at) {
      if (!prefix && at->first != name) break;
      if (at->first == "PATH") continue;  // see add_basics
      variables_[at->first] = at->second;
      if (names_secret(at->first)) {
        draft_.note(Note::Kind::exposes, fmt::format("the agent can read the value of {}", base::escape(at->first)),
                    item.origin);
      }
      if (!prefix) break;
    }
  }

  void add_proxies() {
    if (draft_.policy.proxy == Proxy::none) return;
    for (auto& [name, value] : proxy_variables()) variables_[name] = std::move(value);
  }

  void set(const std::string& name, const profile::Located<std::string>& value, const ValueNames& names) {
    base::Result<std::string> text = expand_value(value, names);
    if (text) {
      variables_[name] = *std::move(text);
    } else {
      draft_.fail(text.error());
    }
  }

  void add_sockets() {
    const DeviceFact& devices = draft_.facts.devices;
    if (!draft_.policy.devices.audio && !draft_.policy.devices.display) return;
    AbsPath runtime = draft_.facts.runtime_dir.value_or(AbsPath() / fmt::format("run/user/{}", draft_.facts.user.uid));
    variables_["XDG_RUNTIME_DIR"] = runtime.str();
    auto name_of = [&](const AbsPath& socket) {
      return socket.parent() == runtime ? std::string(socket.name()) : socket.str();
    };
    if (draft_.policy.devices.display && devices.wayland_socket) {
      variables_["WAYLAND_DISPLAY"] = name_of(*devices.wayland_socket);
    }
    if (draft_.policy.devices.audio && devices.pipewire_socket && *devices.pipewire_socket != runtime / "pipewire-0") {
      variables_["PIPEWIRE_REMOTE"] = name_of(*devices.pipewire_socket);
    }
  }

  std::vector<std::pair<std::string, std::string>> take() { return {variables_.begin(), variables_.end()}; }

 private:
  Draft& draft_;
  std::map<std::string, std::string> variables_;
};

}  // namespace

// Also for what isn't HTTP the proxy is that of HTTP: a library that has no SOCKS fails on the mere word.
std::vector<std::pair<std::string, std::string>> proxy_variables() {
  const std::string proxy = fmt::format("http://{}:{}", room_address_v4, http_proxy_port);
  const std::string direct = "localhost,127.0.0.1,::1";
  return {{"http_proxy", proxy}, {"https_proxy", proxy}, {"all_proxy", proxy}, {"no_proxy", direct},
          {"HTTP_PROXY", proxy}, {"HTTPS_PROXY", proxy}, {"ALL_PROXY", proxy}, {"NO_PROXY", direct}};
}

bool names_secret(std::string_view variable) {
  constexpr std::string_view words[] = {"TOKEN", "SECRET", "PASSWORD",   "PASSWD", "PASSPHRASE",
                                        "_KEY",  "APIKEY", "CREDENTIAL", "COOKIE", "AUTH"};
  return std::ranges::any_of(words,
                             [&](std::string_view word) { return variable.find(word) != std::string_view::npos; });
}

void choose_shell(Draft& draft) {
  AbsPath& shell = draft.policy.user.shell;
  if (is_in_room(draft, shell)) return;
  draft.note(Note::Kind::changed, fmt::format("your shell {} is not in the room: /bin/sh stands in", shown(shell)));
  shell = AbsPath() / "bin/sh";
}

void decide_environment(Draft& draft) {
  ValueNames names{draft.places, draft.policy.user.name, draft.policy.user.shell.str()};
  Environment environment(draft);
  environment.add_basics();
  for (const auto& item : draft.profile.environment.pass) environment.pass(item);
  environment.add_sockets();
  environment.add_proxies();
  for (const auto& [name, value] : draft.profile.environment.set) environment.set(name, value, names);
  draft.policy.environment = environment.take();

  draft.policy.command = draft.flags.command;
  if (!draft.policy.command.empty() || !draft.profile.command) return;
  for (const std::string& word : draft.profile.command->value) {
    base::Result<std::string> text = expand_value({word, draft.profile.command->origin}, names);
    // As a path everywhere else in a profile. Of the other words nobody knows whether they are paths.
    if (text && draft.policy.command.empty() && text->starts_with("~/")) {
      text->replace(0, 1, draft.policy.user.home.str());
    }
    if (text) {
      draft.policy.command.push_back(*std::move(text));
    } else {
      draft.fail(text.error());
    }
  }
}

}  // namespace agentbox::policy
