#include <cstdio>
#include <ctime>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "agentbox/launch/sessions.hpp"

#include "options.hpp"

namespace agentbox::cli {

namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

// "3s", "12m", "5h", "2d": as short as ps(1) should be.
std::string age(std::int64_t since) {
  std::int64_t seconds = ::time(nullptr) - since;
  if (seconds < 0) return "?";
  if (seconds < 120) return fmt::format("{}s", seconds);
  if (seconds < 7200) return fmt::format("{}m", seconds / 60);
  if (seconds < 172800) return fmt::format("{}h", seconds / 3600);
  return fmt::format("{}d", seconds / 86400);
}

}  // namespace

int ps(const PsOptions& options, const Terminal&) {
  std::vector<launch::SessionInfo> sessions = launch::list_sessions();
  if (options.json) {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& session : sessions) {
      list.push_back({{"session", session.id},
                      {"kind", session.kind == launch::SessionInfo::Kind::broker ? "broker" : "room"},
                      {"pid", session.pid},
                      {"profile", session.profile},
                      {"workspace", session.workspace},
                      {"command", session.command},
                      {"since", session.since}});
    }
    fmt::print("{}\n", list.dump(2));
    return 0;
  }
  if (sessions.empty()) {
    std::fputs("no room is open\n", stderr);
    return 0;
  }
  std::size_t id_width = 7, profile_width = 7, workspace_width = 9;
  for (const auto& session : sessions) {
    id_width = std::max(id_width, session.id.size());
    profile_width = std::max(profile_width, session.profile.size());
    workspace_width = std::max(workspace_width, session.workspace.size());
  }
  fmt::print("{:<{}}  {:>7}  {:>4}  {:<{}}  {:<{}}  {}\n", "SESSION", id_width, "PID", "AGE", "PROFILE", profile_width,
             "WORKSPACE", workspace_width, "COMMAND");
  for (const auto& session : sessions) {
    fmt::print("{:<{}}  {:>7}  {:>4}  {:<{}}  {:<{}}  {}\n", session.id, id_width, session.pid, age(session.since),
               session.profile, profile_width, session.workspace, workspace_width,
               session.kind == launch::SessionInfo::Kind::broker ? "(broker)" : joined(session.command));
  }
  return 0;
}

}  // namespace agentbox::cli
