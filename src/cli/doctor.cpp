#include "agentbox/launch/doctor.hpp"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/launch/guard.hpp"
#include "agentbox/launch/look.hpp"
#include "agentbox/launch/sessions.hpp"

#include "options.hpp"
#include "streams.hpp"
#include "wrap.hpp"

namespace agentbox::cli {

namespace {

using launch::Diagnosis;
using launch::Finding;

std::string_view name_of(Finding::State state) {
  switch (state) {
    case Finding::State::ok: return "ok";
    case Finding::State::warning: return "warning";
    case Finding::State::missing: return "missing";
  }
  return "";
}

std::string_view name_of(Finding::Group group) {
  switch (group) {
    case Finding::Group::room: return "room";
    case Finding::Group::limits: return "limits";
    case Finding::Group::folders: return "folders";
    case Finding::Group::later: return "later";
  }
  return "";
}

std::string_view title_of(Finding::Group group) {
  switch (group) {
    case Finding::Group::room: return "What every room needs";
    case Finding::Group::limits: return "Limits";
    case Finding::Group::folders: return "Your folders";
    case Finding::Group::later: return "For gates that this version does not have yet";
  }
  return "";
}

std::string coloured(std::string_view text, std::string_view code, base::Colour colour) {
  return colour == base::Colour::on ? fmt::format("\033[{}m{}\033[0m", code, text) : std::string(text);
}

void print_finding(const Finding& finding, std::size_t what_width, std::size_t width, base::Colour colour) {
  constexpr std::size_t state_width = 7;
  std::size_t indent = 2 + state_width + 2 + what_width + 2;
  std::string_view code = finding.state == Finding::State::ok        ? "32"
                          : finding.state == Finding::State::warning ? "33"
                                                                     : "1;31";
  std::string state = coloured(fmt::format("{:<{}}", name_of(finding.state), state_width), code, colour);
  fmt::print("  {}  {:<{}}  {}\n", state, finding.what, what_width, wrapped(finding.text, width, indent, indent));
  // Words to type stay on their own lines, unbroken, so that they can be copied.
  std::string_view mend = finding.mend;
  while (!mend.empty()) {
    std::size_t end = std::min(mend.find('\n'), mend.size());
    fmt::print("{:{}}{}\n", "", indent, coloured(mend.substr(0, end), "2", colour));
    mend.remove_prefix(std::min(end + 1, mend.size()));
  }
}

void print_diagnosis(const Diagnosis& diagnosis, base::Colour colour) {
  std::size_t width = 0;
  for (const Finding& finding : diagnosis.findings) width = std::max(width, finding.what.size());
  const std::size_t terminal = terminal_width(), lines = terminal == 0 ? 100 : prose_width(terminal);
  const Finding* before = nullptr;
  for (const Finding& finding : diagnosis.findings) {
    if (before == nullptr || before->group != finding.group) {
      fmt::print("{}{}\n", before == nullptr ? "" : "\n", coloured(title_of(finding.group), "1", colour));
    }
    print_finding(finding, width, lines, colour);
    before = &finding;
  }
  fmt::print("\n{}\n", diagnosis.can_build_rooms()
                           ? "Rooms can be built on this machine."
                           : "No room can be built on this machine until what is missing is mended.");
}

nlohmann::json json_of(const Diagnosis& diagnosis) {
  nlohmann::json findings = nlohmann::json::array();
  for (const Finding& finding : diagnosis.findings) {
    findings.push_back({{"id", finding.id},
                        {"group", name_of(finding.group)},
                        {"state", name_of(finding.state)},
                        {"what", finding.what},
                        {"text", finding.text},
                        {"mend", finding.mend}});
  }
  return {{"rooms", diagnosis.can_build_rooms()}, {"findings", std::move(findings)}};
}

int sweep(const DoctorOptions& options) {
  policy::HostFacts facts = launch::look_at_user();
  (void)launch::list_sessions();  // which removes what killed supervisors left in the runtime folder
  std::vector<launch::Swept> swept = launch::sweep(facts.state_home / "agentbox", launch::Sweeping::all);
  if (options.json) {
    nlohmann::json list = nlohmann::json::array();
    for (const launch::Swept& one : swept) list.push_back({{"path", one.path.str()}, {"what", one.what}});
    fmt::print("{}\n", nlohmann::json{{"swept", std::move(list)}}.dump(2, ' ', false,
                                                                       nlohmann::json::error_handler_t::replace));
    return 0;
  }
  if (swept.empty()) fmt::print("Nothing was left behind.\n");
  for (const launch::Swept& one : swept) fmt::print("{}\n", one.what);
  return 0;
}

}  // namespace

int doctor(const DoctorOptions& options, const Terminal& terminal) {
  if (options.sweep) return sweep(options);
  Diagnosis diagnosis = launch::examine();
  if (options.json) {
    fmt::print("{}\n", json_of(diagnosis).dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    print_diagnosis(diagnosis, terminal.out);
  }
  return static_cast<int>(diagnosis.can_build_rooms() ? base::ExitCode::ok : base::ExitCode::failed);
}

}  // namespace agentbox::cli
