// `agentbox check PROFILE|FILE`: every error at once, or one quiet line.

#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"

#include "options.hpp"
#include "prepare.hpp"

namespace agentbox::cli {

namespace {

nlohmann::json to_json(const base::Diagnostic& diagnostic) {
  nlohmann::json json{{"file", diagnostic.file}, {"message", diagnostic.message}};
  if (diagnostic.at.line > 0) {
    json["line"] = diagnostic.at.line;
    json["column"] = diagnostic.at.column;
    json["length"] = diagnostic.at.length;
  }
  if (!diagnostic.hint.empty()) json["hint"] = diagnostic.hint;
  return json;
}

int print_json(const CheckOptions& options, const base::Result<profile::Profile>& profile) {
  nlohmann::json json{{"profile", options.profile}, {"ok", profile.has_value()}, {"errors", nlohmann::json::array()}};
  if (profile) {
    json["files"] = profile->files;
  } else {
    for (const base::Diagnostic& diagnostic : profile.error()) json["errors"].push_back(to_json(diagnostic));
  }
  // A file's name need not be UTF-8.
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  return static_cast<int>(profile ? base::ExitCode::ok : base::ExitCode::failed);
}

}  // namespace

int check(const CheckOptions& options, const Terminal& terminal) {
  base::Result<profile::Profile> profile = load_profile(options.profile);
  if (options.json) return print_json(options, profile);
  if (!profile) {
    std::fputs(base::render(profile.error(), terminal.err).c_str(), stderr);
    if (profile.error().size() > 1) std::fputs(fmt::format("\n{} errors\n", profile.error().size()).c_str(), stderr);
    return static_cast<int>(base::ExitCode::failed);
  }
  fmt::print("{}: no errors\n", base::escape(options.profile));
  return static_cast<int>(base::ExitCode::ok);
}

}  // namespace agentbox::cli
