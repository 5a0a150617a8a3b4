#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include "explain.hpp"

namespace agentbox::cli {

namespace {

using nlohmann::ordered_json;
using policy::Access;
using policy::FileKind;
using policy::Mount;
using policy::Note;

std::string_view name_of(Access access) {
  constexpr std::array names = {"hidden", "read", "write"};
  return names[static_cast<std::size_t>(access)];
}
std::string_view name_of(Mount::Why why) {
  constexpr std::array names = {"floor",   "grant", "workspace", "git",    "ancestor",
                                "protect", "hide",  "ghost",     "device", "pin"};
  return names[static_cast<std::size_t>(why)];
}
std::string_view name_of(FileKind kind) {
  constexpr std::array names = {"missing", "regular",          "directory",    "symlink",   "socket",
                                "fifo",    "character_device", "block_device", "unreadable"};
  return names[static_cast<std::size_t>(kind)];
}
std::string_view name_of(Note::Kind kind) {
  constexpr std::array names = {"skipped", "skipped", "shadowed", "exposes", "changed", "warning"};
  return names[static_cast<std::size_t>(kind)];
}
std::string_view name_of(profile::WorkspaceMode mode) {
  constexpr std::array names = {"direct", "review", "read-only"};
  return names[static_cast<std::size_t>(mode)];
}

// Which line says so; without the members where none does.
void add_origin(ordered_json& object, const profile::Origin& origin) {
  if (origin.file.empty()) return;
  object["file"] = origin.file;
  if (origin.at.line > 0) object["line"] = origin.at.line;
}

template <class List, class Make>
ordered_json each(const List& list, Make make) {
  ordered_json array = ordered_json::array();
  for (const auto& item : list) array.push_back(make(item));
  return array;
}

ordered_json mount_json(const Mount& mount) {
  ordered_json object = {{"path", mount.target.str()},
                         {"access", name_of(mount.access)},
                         {"kind", name_of(mount.kind)},
                         {"why", name_of(mount.why)}};
  add_origin(object, mount.origin);
  return object;
}

void add_room(ordered_json& object, const policy::Policy& policy) {
  object["mounts"] = each(policy.mounts, mount_json);
  object["private"] = each(policy.tmpfs, [](const policy::Tmpfs& one) {
    return ordered_json{{"path", one.target.str()}, {"bytes", one.size}, {"mode", one.mode}};
  });
  object["files"] = each(policy.room_files, [](const policy::RoomFile& one) {
    return ordered_json{{"path", one.target.str()}, {"mode", one.mode}, {"content", one.content}};
  });
  object["links"] = each(policy.room_links, [](const policy::RoomLink& one) {
    return ordered_json{{"path", one.target.str()}, {"to", one.to}};
  });
  object["made"] = each(policy.to_make, [](const policy::ToMake& one) {
    ordered_json item = {{"path", one.path.str()}};
    add_origin(item, one.origin);
    return item;
  });
  object["watched"] = each(policy.watched, [](const policy::Watched& one) {
    ordered_json item = {{"path", one.wanted.str()},
                         {"directory", one.directory.str()},
                         {"name", one.name},
                         {"why", one.why == policy::Watched::Why::hide ? "hide" : "protect"}};
    add_origin(item, one.origin);
    return item;
  });
  object["held"] = each(policy.held, [](const policy::Held& one) {
    ordered_json item = {{"path", one.path.str()}, {"kind", name_of(one.kind)}};
    add_origin(item, one.origin);
    return item;
  });
}

void add_settings(ordered_json& object, const policy::Policy& policy) {
  ordered_json environment = ordered_json::object();
  for (const auto& [name, value] : policy.environment) {
    environment[name] = policy::names_secret(name) ? ordered_json() : ordered_json(value);
  }
  object["environment"] = std::move(environment);
  object["loopback"] = each(policy.loopback, [](const policy::Loopback& one) {
    ordered_json item = {{"port", one.port}, {"speech", one.speech == profile::Speech::llm ? "llm" : "any"}};
    add_origin(item, one.origin);
    return item;
  });
  object["publish"] = each(policy.publish, [](const profile::Publication& one) {
    return ordered_json{{"outside", one.outside}, {"inside", one.inside}, {"raw", one.serves == profile::Serves::raw}};
  });
  auto rule = [](const auto& one) {
    ordered_json item = {{"rule", one.value.text}};
    add_origin(item, one.origin);
    return item;
  };
  const auto& commands = policy.rules.commands;
  auto otherwise = commands.default_;
  object["commands"] = {{"allow", each(commands.allow, rule)},
                        {"ask", each(commands.ask, rule)},
                        {"deny", each(commands.deny, rule)},
                        {"default", otherwise == profile::Default::ask     ? "ask"
                                    : otherwise == profile::Default::allow ? "allow"
                                                                           : "deny"}};
  auto maybe = [&](const auto& limit) { return limit ? rule(*limit) : ordered_json(nullptr); };
  if (const policy::Rules::Traffic& traffic = policy.rules.traffic; policy.outside == policy::Outside::ruled) {
    object["traffic"] = {{"bytes_out", maybe(traffic.bytes_out)},
                         {"bytes_out_per_host", maybe(traffic.bytes_out_per_host)},
                         {"connections_per_host", maybe(traffic.connections_per_host)}};
  }
  if (const policy::Rules::Messages& messages = policy.rules.messages; !messages.ways.empty()) {
    const auto& lists = messages.lists;
    object["messages"] = {{"self", each(messages.self, rule)},
                          {"allow", each(lists.allow, rule)},
                          {"ask", each(lists.ask, rule)},
                          {"deny", each(lists.deny, rule)},
                          {"default", lists.default_ == profile::Default::ask     ? "ask"
                                      : lists.default_ == profile::Default::allow ? "allow"
                                                                                  : "deny"},
                          {"limit", messages.limit ? rule(*messages.limit) : ordered_json(nullptr)}};
    if (messages.delay.count() > 0) object["messages"]["delay"] = messages.delay.count();
    object["messages"]["ways"] = each(messages.ways, [](const policy::Rules::Way& way) {
      ordered_json item = {{"name", way.name}};
      if (way.post) {
        item["post"] = way.post->text;
      } else {
        item["send"] = way.send;
        item["format"] = way.format == profile::MessageFormat::mail ? "mail" : "text";
      }
      return item;
    });
  }
  if (const policy::Rules::Spending& spending = policy.rules.spending; spending.limit && !spending.pay.empty()) {
    object["spending"] = {{"limit", rule(*spending.limit)},
                          {"single", maybe(spending.single)},
                          {"per_recipient", maybe(spending.per_recipient)},
                          {"count", maybe(spending.count)},
                          {"command", spending.pay}};
    if (spending.delay.count() > 0) object["spending"]["delay"] = spending.delay.count();
  }
  if (const policy::Approval& approval = policy.approval; approval.reviewer) {
    const bool both = approval.consent == policy::Consent::human_and_reviewer;
    object["reviewer"] = {{"url", policy::url_of(*approval.reviewer)},
                          {"host", approval.reviewer->host},
                          {"port", approval.reviewer->port},
                          {"path", approval.reviewer->path},
                          {"model", approval.reviewer->model},
                          {"require", both ? "human+reviewer" : "human"},
                          {"wait", approval.friction.wait.count() / 1000},
                          {"phrase", approval.friction.phrase == policy::Friction::Phrase::typed}};
  }
  object["devices"] = {
      {"gpu", policy.devices.gpu}, {"audio", policy.devices.audio}, {"display", policy.devices.display}};
  object["seccomp"] = {{"allow", policy.seccomp_allow}, {"deny", policy.seccomp_deny}};
  const policy::Limits& limits = policy.limits;
  object["limits"] = {{"processes", limits.processes},
                      {"open_files", limits.open_files},
                      {"file_size", limits.file_size},
                      {"cpu_time", limits.cpu_time.count()},
                      {"time", limits.time.count()},
                      {"memory", limits.memory},
                      {"cpu", limits.cpu}};
}

}  // namespace

std::string explain_json(const Explained& explained) {
  const policy::Policy& policy = explained.policy;
  ordered_json object = {{"format", "agentbox-explain/1"},      {"profile", policy.profile},
                         {"profile_files", policy.files},       {"command", policy.command},
                         {"workspace", policy.workspace.str()}, {"mode", name_of(policy.mode)},
                         {"directory", policy.directory.str()}};
  add_room(object, policy);
  add_settings(object, policy);
  object["notes"] = each(policy.notes, [](const Note& note) {
    ordered_json item = {{"kind", name_of(note.kind)}, {"text", note.text}};
    add_origin(item, note.origin);
    return item;
  });
  object["unbuilt"] = each(explained.unbuilt, [](const base::Diagnostic& one) {
    ordered_json item = {{"text", one.message}};
    add_origin(item, {one.file, one.at, one.source_line});
    return item;
  });
  return object.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace agentbox::cli
