#include "facts_json.hpp"

#include <array>
#include <stdexcept>
#include <utility>

#include <nlohmann/json.hpp>

namespace agentbox::test {

namespace {

using base::AbsPath;
using nlohmann::json;
using policy::FileKind;
using policy::GitLayout;

template <class T>
using Names = std::pair<std::string_view, T>;

constexpr std::array kinds = {
    Names<FileKind>{"missing", FileKind::missing},
    Names<FileKind>{"regular", FileKind::regular},
    Names<FileKind>{"directory", FileKind::directory},
    Names<FileKind>{"symlink", FileKind::symlink},
    Names<FileKind>{"socket", FileKind::socket},
    Names<FileKind>{"fifo", FileKind::fifo},
    Names<FileKind>{"character_device", FileKind::character_device},
    Names<FileKind>{"block_device", FileKind::block_device},
    Names<FileKind>{"unreadable", FileKind::unreadable},
};
constexpr std::array layouts = {
    Names<GitLayout>{"directory", GitLayout::directory}, Names<GitLayout>{"worktree", GitLayout::worktree},
    Names<GitLayout>{"submodule", GitLayout::submodule}, Names<GitLayout>{"bare", GitLayout::bare},
    Names<GitLayout>{"linked", GitLayout::linked},
};

template <class Table>
auto value_of(const Table& table, const std::string& name) {
  for (const auto& [known, value] : table) {
    if (known == name) return value;
  }
  throw std::invalid_argument("unknown name: " + name);
}
template <class Table, class T>
std::string name_of(const Table& table, T value) {
  for (const auto& [name, known] : table) {
    if (known == value) return std::string(name);
  }
  throw std::invalid_argument("unknown value");
}

AbsPath path(const json& value) {
  std::optional<AbsPath> parsed = AbsPath::parse(value.get<std::string>());
  if (!parsed) throw std::invalid_argument("not an absolute path: " + value.get<std::string>());
  return *std::move(parsed);
}
AbsPath path_or(const json& object, const char* key, const AbsPath& fallback) {
  return object.contains(key) ? path(object.at(key)) : fallback;
}
std::vector<AbsPath> paths(const json& object, const char* key) {
  std::vector<AbsPath> all;
  for (const json& item : object.value(key, json::array())) all.push_back(path(item));
  return all;
}
json text_of(const std::vector<AbsPath>& all) {
  json list = json::array();
  for (const AbsPath& one : all) list.push_back(one.str());
  return list;
}

policy::FileFact file_from(const json& value) {
  if (value.is_string()) return {.kind = value_of(kinds, value.get<std::string>())};
  if (value.contains("link")) return {.kind = FileKind::symlink, .target = value.at("link").get<std::string>()};
  return {.kind = value_of(kinds, value.at("kind").get<std::string>()),
          .uid = value.value("uid", 0U),
          .mode = value.value("mode", 0U)};
}
json file_to(const policy::FileFact& fact) {
  if (fact.kind == FileKind::symlink) return {{"link", fact.target}};
  if (fact.uid == 0 && fact.mode == 0) return name_of(kinds, fact.kind);
  return {{"kind", name_of(kinds, fact.kind)}, {"uid", fact.uid}, {"mode", fact.mode}};
}

void read_files(const json& object, policy::HostFacts& facts) {
  const json files = object.value("files", json::object());
  for (const auto& [text, value] : files.items()) {
    facts.files[path(json(text))] = file_from(value);
  }
  policy::Snapshot named = facts.files;
  for (const auto& [entry, fact] : named) {
    if (fact.kind == FileKind::missing) continue;
    for (AbsPath folder = entry.parent(); !folder.is_root(); folder = folder.parent()) {
      facts.files.try_emplace(folder, policy::FileFact{.kind = FileKind::directory});
    }
  }
}

policy::GitFact repository_from(const json& item) {
  policy::GitFact fact;
  fact.root = path(item.at("root"));
  fact.entry = path_or(item, "entry", fact.root / ".git");
  fact.layout = value_of(layouts, item.value("layout", "directory"));
  fact.git_dir = path_or(item, "git_dir", fact.entry);
  fact.common_dir = path_or(item, "common_dir", fact.git_dir);
  fact.confirmed = item.value("confirmed", false);
  fact.modules = paths(item, "modules");
  fact.links = paths(item, "links");
  fact.hook_places = paths(item, "hook_places");
  return fact;
}

void read_user(const json& object, policy::HostFacts& facts) {
  json user = object.value("user", json::object());
  facts.user = {.uid = user.value("uid", 1000U),
                .gid = user.value("gid", 1000U),
                .name = user.value("name", "u"),
                .group = user.value("group", "u"),
                .home = path_or(user, "home", AbsPath() / "home/u"),
                .shell = path_or(user, "shell", AbsPath() / "bin/bash")};
  facts.workspace = path_or(object, "workspace", facts.user.home / "work");
  facts.config_home = path_or(object, "config_home", facts.user.home / ".config");
  facts.state_home = path_or(object, "state_home", facts.user.home / ".local/state");
  facts.cache_home = path_or(object, "cache_home", facts.user.home / ".cache");
  facts.data_home = path_or(object, "data_home", facts.user.home / ".local/share");
  if (object.contains("runtime_dir")) facts.runtime_dir = path(object.at("runtime_dir"));
}

void read_machine(const json& object, policy::HostFacts& facts) {
  if (object.contains("bwrap")) {
    const json& item = object.at("bwrap");
    facts.bwrap = policy::BwrapFact{path(item.at("path")), item.value("uid", 0U), item.value("mode", 0755U),
                                    item.value("distrust", "")};
  }
  if (object.contains("cgroup")) {
    const json& item = object.at("cgroup");
    facts.cgroup = policy::CgroupFact{path(item.at("path")), item.value("controllers", std::vector<std::string>()),
                                      item.value("through_systemd", false)};
  }
  json devices = object.value("devices", json::object());
  facts.devices.gpu_nodes = paths(devices, "gpu_nodes");
  if (devices.contains("pipewire_socket")) facts.devices.pipewire_socket = path(devices.at("pipewire_socket"));
  if (devices.contains("wayland_socket")) facts.devices.wayland_socket = path(devices.at("wayland_socket"));
}

}  // namespace

policy::HostFacts facts_from_json(std::string_view text) {
  json object = json::parse(text, nullptr, true, true);
  policy::HostFacts facts;
  read_user(object, facts);
  facts.environment = object.value("environment", std::map<std::string, std::string>());
  read_files(object, facts);
  for (const json& item : object.value("roots", json::array())) {
    facts.roots.push_back({path(item.at("path")), item.value("repository", false), item.value("package", false)});
  }
  for (const json& item : object.value("repositories", json::array())) {
    facts.repositories.push_back(repository_from(item));
  }
  for (const json& item : object.value("matches", json::array())) {
    facts.matches.push_back(
        {item.at("pattern").get<std::string>(), path(item.at("path")), value_of(kinds, item.value("kind", "regular"))});
  }
  facts.walk_complete = object.value("walk_complete", true);
  facts.walk_stopped = object.value("walk_stopped", "");
  facts.walk_hint = object.value("walk_hint", "");
  if (object.contains("enclosing_repository")) facts.enclosing_repository = path(object.at("enclosing_repository"));
  facts.walk_entries = object.value("walk_entries", std::uint64_t{0});
  for (const json& item : object.value("git_config", json::array())) {
    facts.git_config.emplace_back(item.at(0).get<std::string>(), item.at(1).get<std::string>());
  }
  facts.git_ignore = object.value("git_ignore", "");
  read_machine(object, facts);
  return facts;
}

std::string facts_to_json(const policy::HostFacts& facts) {
  json object = {{"user",
                  {{"uid", facts.user.uid},
                   {"gid", facts.user.gid},
                   {"name", facts.user.name},
                   {"group", facts.user.group},
                   {"home", facts.user.home.str()},
                   {"shell", facts.user.shell.str()}}},
                 {"environment", facts.environment},
                 {"workspace", facts.workspace.str()},
                 {"config_home", facts.config_home.str()},
                 {"state_home", facts.state_home.str()},
                 {"cache_home", facts.cache_home.str()},
                 {"data_home", facts.data_home.str()},
                 {"walk_complete", facts.walk_complete},
                 {"walk_entries", facts.walk_entries},
                 {"walk_stopped", facts.walk_stopped},
                 {"walk_hint", facts.walk_hint},
                 {"git_ignore", facts.git_ignore},
                 {"git_config", json::array()},
                 {"files", json::object()},
                 {"roots", json::array()},
                 {"repositories", json::array()},
                 {"matches", json::array()},
                 {"devices", {{"gpu_nodes", text_of(facts.devices.gpu_nodes)}}}};
  if (facts.enclosing_repository) object["enclosing_repository"] = facts.enclosing_repository->str();
  if (facts.runtime_dir) object["runtime_dir"] = facts.runtime_dir->str();
  for (const auto& [entry, fact] : facts.files) object["files"][entry.str()] = file_to(fact);
  for (const auto& root : facts.roots) {
    object["roots"].push_back({{"path", root.path.str()}, {"repository", root.repository}, {"package", root.package}});
  }
  for (const auto& fact : facts.repositories) {
    object["repositories"].push_back({{"root", fact.root.str()},
                                      {"entry", fact.entry.str()},
                                      {"layout", name_of(layouts, fact.layout)},
                                      {"git_dir", fact.git_dir.str()},
                                      {"common_dir", fact.common_dir.str()},
                                      {"confirmed", fact.confirmed},
                                      {"modules", text_of(fact.modules)},
                                      {"links", text_of(fact.links)},
                                      {"hook_places", text_of(fact.hook_places)}});
  }
  for (const auto& match : facts.matches) {
    object["matches"].push_back(
        {{"pattern", match.pattern}, {"path", match.path.str()}, {"kind", name_of(kinds, match.kind)}});
  }
  for (const auto& [key, value] : facts.git_config) object["git_config"].push_back({key, value});
  if (facts.bwrap) {
    object["bwrap"] = {{"path", facts.bwrap->path.str()},
                       {"uid", facts.bwrap->uid},
                       {"mode", facts.bwrap->mode},
                       {"distrust", facts.bwrap->distrust}};
  }
  if (facts.cgroup) {
    object["cgroup"] = {{"path", facts.cgroup->path.str()},
                        {"controllers", facts.cgroup->controllers},
                        {"through_systemd", facts.cgroup->through_systemd}};
  }
  if (facts.devices.pipewire_socket) object["devices"]["pipewire_socket"] = facts.devices.pipewire_socket->str();
  if (facts.devices.wayland_socket) object["devices"]["wayland_socket"] = facts.devices.wayland_socket->str();
  return object.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace agentbox::test
