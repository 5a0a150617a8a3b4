#include "agentbox/launch/quarantine.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "agentbox/base/escape.hpp"
#include "agentbox/launch/look.hpp"

#include "options.hpp"
#include "report.hpp"

namespace agentbox::cli {

namespace {

using launch::Quarantine;
using launch::Quarantined;

constexpr std::size_t show_limit = 256 * 1024;

std::string local_time(std::int64_t seconds) {
  std::time_t when = seconds;
  std::tm parts{};
  std::array<char, 32> text{};
  if (::localtime_r(&when, &parts) == nullptr) return "?";
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M", &parts)};
}

std::string_view name_of(policy::FileKind kind) {
  switch (kind) {
    case policy::FileKind::regular: return "file";
    case policy::FileKind::directory: return "directory";
    case policy::FileKind::symlink: return "link";
    case policy::FileKind::socket: return "socket";
    case policy::FileKind::fifo: return "pipe";
    default: return "other";
  }
}

nlohmann::json to_json(const Quarantined& item) {
  return {{"id", item.id},
          {"when", item.when},
          {"session", item.session},
          {"profile", base::escape(item.profile)},
          {"path", base::escape(item.path.str())},
          {"kind", name_of(item.kind)},
          {"size", item.size},
          {"why", base::escape(item.why)}};
}

int list(const Quarantine& quarantine, const QuarantineOptions& options) {
  std::vector<Quarantined> items = quarantine.list();
  if (options.json) {
    nlohmann::json all = nlohmann::json::array();
    for (const Quarantined& item : items) all.push_back(to_json(item));
    fmt::print("{}\n", all.dump(2));
    return 0;
  }
  if (items.empty()) {
    std::fputs("nothing is in quarantine\n", stderr);
    return 0;
  }
  std::size_t id_width = 2, session_width = 7;
  for (const Quarantined& item : items) {
    id_width = std::max(id_width, item.id.size());
    session_width = std::max(session_width, item.session.size());
  }
  fmt::print("{:<{}}  {:<16}  {:<{}}  {:>8}  {}\n", "ID", id_width, "WHEN", "SESSION", session_width, "SIZE", "PATH");
  for (const Quarantined& item : items) {
    fmt::print("{:<{}}  {}  {:<{}}  {:>8}  {}\n", item.id, id_width, local_time(item.when), item.session, session_width,
               item.size, base::escape(item.path.str()));
    fmt::print("{:<{}}  {}\n", "", id_width, base::escape(item.why));
  }
  return 0;
}

// What an agent wrote is shown line by line, every byte of it made harmless.
void print_content(const Quarantine::Content& content) {
  std::string_view rest = content.bytes;
  while (!rest.empty()) {
    std::size_t end = std::min(rest.find('\n'), rest.size());
    fmt::print("    {}\n", base::escape(rest.substr(0, end)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (!content.whole) fmt::print("    ... and more\n");
}

int show(const Quarantine& quarantine, const Quarantined& item, const QuarantineOptions& options) {
  if (options.json) {
    nlohmann::json json = to_json(item);
    Quarantine::Content content = quarantine.content(item, show_limit);
    json["content"] = base::escape(content.bytes);
    json["whole"] = content.whole;
    fmt::print("{}\n", json.dump(2));
    return 0;
  }
  fmt::print(
      "id       {}\npath     {}\nkind     {}, {} bytes, mode {:04o}\ntaken    {} from session {} (profile {})\nwhy     "
      " {}\n",
      item.id, base::escape(item.path.str()), name_of(item.kind), item.size, item.mode, local_time(item.when),
      item.session, base::escape(item.profile), base::escape(item.why));
  fmt::print("content\n");
  print_content(quarantine.content(item, show_limit));
  return 0;
}

int restore(const Quarantine& quarantine, const Quarantined& item, const Terminal& terminal) {
  base::Result<void> restored = quarantine.restore(item);
  if (!restored) return refuse(restored.error(), terminal, base::ExitCode::failed);
  fmt::print("{} is back at {}\n", item.id, base::escape(item.path.str()));
  return 0;
}

// One of "show", "restore" and "delete", for each id that was named.
int act_on_each(const Quarantine& quarantine, const QuarantineOptions& options, const Terminal& terminal) {
  std::vector<std::string> ids = options.ids;
  if (options.all) {
    for (const Quarantined& item : quarantine.list()) ids.push_back(item.id);
  }
  int code = 0;
  for (const std::string& id : ids) {
    base::Result<Quarantined> item = quarantine.find(id);
    if (!item) {
      code = refuse(item.error(), terminal, base::ExitCode::failed);
    } else if (options.action == "show") {
      code = std::max(code, show(quarantine, *item, options));
    } else if (options.action == "restore") {
      code = std::max(code, restore(quarantine, *item, terminal));
    } else {
      quarantine.erase(*item);
      fmt::print("{} deleted\n", item->id);
    }
  }
  return code;
}

}  // namespace

int quarantine(const QuarantineOptions& options, const Terminal& terminal) {
  policy::HostFacts user = launch::look_at_user();
  Quarantine quarantine(user.state_home / "agentbox");
  if (options.action.empty() || options.action == "list") return list(quarantine, options);
  return act_on_each(quarantine, options, terminal);
}

}  // namespace agentbox::cli
