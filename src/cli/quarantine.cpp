#include "agentbox/launch/quarantine.hpp"

#include <ctime>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/launch/look.hpp"

#include "options.hpp"
#include "record_table.hpp"
#include "report.hpp"
#include "streams.hpp"

namespace agentbox::cli {

namespace {

using launch::Quarantine;
using launch::Quarantined;

// What `show` prints at most: enough to judge by, and a terminal survives it.
constexpr std::size_t shown_bytes = 64 * 1024;

std::string_view kind_of(const Quarantined& item) {
  switch (item.kind) {
    case policy::FileKind::regular: return "file";
    case policy::FileKind::directory: return "directory";
    case policy::FileKind::symlink: return "symbolic link";
    case policy::FileKind::fifo: return "fifo";
    case policy::FileKind::socket: return "socket";
    case policy::FileKind::character_device:
    case policy::FileKind::block_device: return "device";
    case policy::FileKind::missing:
    case policy::FileKind::unreadable: break;
  }
  return "damaged";
}

std::string time_of(std::int64_t when) {
  std::time_t seconds = when;
  std::tm parts = {};
  if (when == 0 || ::localtime_r(&seconds, &parts) == nullptr) return "-";
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min);
}

std::string size_of(const Quarantined& item) {
  if (item.kind != policy::FileKind::regular) return "-";
  if (item.size < 10'000) return fmt::format("{} B", item.size);
  if (item.size < 10'000'000) return fmt::format("{} kB", item.size / 1000);
  return fmt::format("{} MB", item.size / 1'000'000);
}

// The path escaped, since JSON can't hold every path.
nlohmann::json json_of(const Quarantined& item) {
  return {{"id", item.id},
          {"when", item.when},
          {"session", base::escape(item.session)},
          {"profile", base::escape(item.profile)},
          {"path", base::escape(item.path.str())},
          {"kind", kind_of(item)},
          {"size", item.size},
          {"mode", fmt::format("{:04o}", item.mode)},
          {"why", item.why}};
}

int list(const Quarantine& quarantine, const QuarantineOptions& options, const Terminal& terminal) {
  std::vector<Quarantined> items = quarantine.list();
  if (options.json) {
    nlohmann::json all = nlohmann::json::array();
    for (const Quarantined& item : items) all.push_back(json_of(item));
    fmt::print("{}\n", all.dump(2));
    return 0;
  }
  if (items.empty()) {
    fmt::print("nothing is in quarantine\n");
    return 0;
  }
  Table table({"ID", "WHEN", "PROFILE", "SIZE", "PATH"}, terminal.out, terminal_width());
  std::vector<std::vector<Cell>> rows;
  for (const Quarantined& item : items) {
    std::string path = item.session.empty() ? item.why : base::escape(item.path.str());
    rows.push_back({{.text = item.id, .tint = Tint::strong},
                    {.text = time_of(item.when)},
                    {.text = base::escape(item.profile)},
                    {.text = size_of(item)},
                    {.text = std::move(path)}});
  }
  fmt::print("{}", table.lines(rows));
  return 0;
}

// Line by line, each escaped: a pager or a terminal gets nothing that it would act upon. Tabs stay: they are harmless,
// and a Makefile without them can't be read.
std::string lines_of(std::string_view bytes) {
  std::string out;
  while (!bytes.empty()) {
    std::size_t end = bytes.find_first_of("\t\n");
    out += base::escape(bytes.substr(0, end));
    if (end == std::string_view::npos) break;
    out += bytes[end];
    bytes.remove_prefix(end + 1);
  }
  if (!out.empty() && out.back() != '\n') out += '\n';
  return out;
}

void show(const Quarantine& quarantine, const Quarantined& item, const QuarantineOptions& options) {
  Quarantine::Content content = quarantine.content(item, shown_bytes);
  // A directory's listing comes escaped, line by line.
  std::string text = item.kind == policy::FileKind::directory ? content.bytes : base::escape(content.bytes);
  if (options.json) {
    nlohmann::json json = json_of(item);
    json["content"] = text;
    json["whole"] = content.whole;
    fmt::print("{}\n", json.dump(2));
    return;
  }
  fmt::print("id       {}\npath     {}\nkind     {}, {}, mode {:04o}\ntaken    {} in session {} ({})\nwhy      {}\n",
             item.id, base::escape(item.path.str()), kind_of(item), size_of(item), item.mode, time_of(item.when),
             base::escape(item.session), base::escape(item.profile), item.why);
  if (item.kind == policy::FileKind::symlink) fmt::print("leads to {}\n", text);
  if (item.kind == policy::FileKind::directory) fmt::print("holds\n{}", content.bytes);
  if (item.kind == policy::FileKind::regular && !content.bytes.empty()) {
    fmt::print("\n{}", lines_of(content.bytes));
  }
  if (!content.whole) fmt::print("\n(there is more)\n");
}

// Each id for itself: one that fails does not keep the others from being done.
template <class Do>
int for_each(const Quarantine& quarantine, const QuarantineOptions& options, const Terminal& terminal, Do act) {
  base::Diagnostics problems;
  std::vector<Quarantined> items;
  if (options.all) items = quarantine.list();
  for (const std::string& id : options.ids) {
    base::Result<Quarantined> found = quarantine.find(id);
    if (found) {
      items.push_back(*std::move(found));
    } else {
      problems.insert(problems.end(), found.error().begin(), found.error().end());
    }
  }
  for (const Quarantined& item : items) {
    base::Result<void> done = act(item);
    if (!done) problems.insert(problems.end(), done.error().begin(), done.error().end());
  }
  return problems.empty() ? 0 : refuse(problems, terminal, base::ExitCode::failed);
}

}  // namespace

int quarantine(const QuarantineOptions& options, const Terminal& terminal) {
  Quarantine quarantine(launch::look_at_user(launch::current_directory()).state_home / "agentbox");
  if (options.action.empty() || options.action == "list") return list(quarantine, options, terminal);
  if (options.action == "show") {
    return for_each(quarantine, options, terminal, [&](const Quarantined& item) -> base::Result<void> {
      show(quarantine, item, options);
      return {};
    });
  }
  if (options.action == "restore") {
    return for_each(quarantine, options, terminal, [&](const Quarantined& item) -> base::Result<void> {
      base::Result<void> done = quarantine.restore(item);
      if (done) fmt::print("restored {}\n", base::escape(item.path.str()));
      return done;
    });
  }
  return for_each(quarantine, options, terminal, [&](const Quarantined& item) -> base::Result<void> {
    quarantine.erase(item);
    fmt::print("deleted {} ({})\n", item.id, base::escape(item.path.str()));
    return {};
  });
}

}  // namespace agentbox::cli
