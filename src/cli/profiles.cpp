// `agentbox profiles`: what there is to run, and where it comes from.

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/launch/sources.hpp"

#include "options.hpp"
#include "streams.hpp"
#include "wrap.hpp"

namespace agentbox::cli {

namespace {

std::string_view name_of(launch::ProfileEntry::Place place) {
  switch (place) {
    case launch::ProfileEntry::Place::user: return "user";
    case launch::ProfileEntry::Place::system: return "system";
    case launch::ProfileEntry::Place::shipped: return "shipped";
  }
  return "";
}

// A building block names no command, and is there to be extended.
enum class Kind : std::uint8_t { to_run, block };

struct Line {
  Kind kind = Kind::to_run;
  launch::ProfileEntry entry;
  bool sound = false;
  std::string description;
};

Kind kind_of(const profile::Profile& profile, const Line& line) {
  const bool own = line.entry.place != launch::ProfileEntry::Place::shipped;
  return own || profile.command || line.entry.name == "default" ? Kind::to_run : Kind::block;
}

std::vector<Line> lines() {
  std::vector<Line> result;
  for (launch::ProfileEntry& entry : launch::list_profiles()) {
    Line line{.entry = std::move(entry)};
    base::Result<profile::Profile> profile = launch::load(line.entry.file.str());
    line.sound = profile.has_value();
    // Only its own: a parent's description says what the parent is for.
    if (profile && profile->description && profile->description->origin.file == line.entry.file.str()) {
      line.description = profile->description->value;
    }
    if (profile) line.kind = kind_of(*profile, line);
    result.push_back(std::move(line));
  }
  return result;
}

int print_json(const std::vector<Line>& all) {
  nlohmann::json json = nlohmann::json::array();
  for (const Line& line : all) {
    json.push_back({{"name", line.entry.name},
                    {"description", line.description},
                    {"file", line.entry.file.str()},
                    {"place", name_of(line.entry.place)},
                    {"hidden", line.entry.hidden_by_earlier},
                    {"ok", line.sound}});
  }
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  return static_cast<int>(base::ExitCode::ok);
}

}  // namespace

int profiles(const ProfilesOptions& options, const Terminal& terminal) {
  std::vector<Line> all = lines();
  if (options.json) return print_json(all);
  std::ranges::stable_sort(all, {}, &Line::kind);
  bool colour = terminal.out == base::Colour::on;
  std::size_t width = 4;
  for (const Line& line : all) width = std::max(width, line.entry.name.size());
  fmt::print("{}{:<{}}  {:<7}  DESCRIPTION{}\n", colour ? "\033[1m" : "", "NAME", width, "FROM",
             colour ? "\033[0m" : "");
  Kind group = all.empty() ? Kind::to_run : all.front().kind;
  for (const Line& line : all) {
    if (line.kind != group) fmt::print("\n{}to extend{}\n", colour ? "\033[1m" : "", colour ? "\033[0m" : "");
    group = line.kind;
    std::string description = base::escape(line.description);
    if (!line.sound)
      description = fmt::format("has errors: see `agentbox check {}`", base::quote(line.entry.file.str()));
    if (line.entry.hidden_by_earlier) description = "(hidden by the one above) " + description;
    bool dim = colour && line.entry.hidden_by_earlier;
    fmt::print("{}{:<{}}  {:<7}  {}{}\n", dim ? "\033[2m" : "", line.entry.name, width, name_of(line.entry.place),
               wrapped(description, prose_width(terminal_width()), width + 11, width + 11), dim ? "\033[0m" : "");
  }
  return static_cast<int>(base::ExitCode::ok);
}

}  // namespace agentbox::cli
