#include "environment.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace agentbox::gates::commands {

namespace {

using std::string_view_literals::operator""sv;

// Ways to the owner's own agents and desktop, without which a command that he allows could not do its work. Not
// GPG_TTY: it names a terminal that isn't the command's.
constexpr std::array inherited{"LANG"sv,
                               "SSH_AUTH_SOCK"sv,
                               "DBUS_SESSION_BUS_ADDRESS"sv,
                               "XDG_RUNTIME_DIR"sv,
                               "DISPLAY"sv,
                               "WAYLAND_DISPLAY"sv,
                               "XAUTHORITY"sv};

bool is_inherited(std::string_view name) {
  return name.starts_with("LC_") || std::ranges::find(inherited, name) != inherited.end();
}

bool is_terminal_name(std::string_view value) {
  return !value.empty() && value.size() <= 64 && std::ranges::all_of(value, [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '+' ||
           c == '.' || c == '_';
  });
}

}  // namespace

std::vector<std::string> fixed_environment(const Owner& owner, const std::string& search_path,
                                           const policy::Command& command) {
  std::vector<std::string> result{"PATH=" + search_path, "HOME=" + owner.home, "USER=" + owner.name,
                                  "LOGNAME=" + owner.name, "SHELL=" + owner.shell};
  std::string terminal = "xterm-256color";
  std::vector<std::string_view> seen;
  for (const std::string& entry : owner.environment) {
    std::size_t equals = entry.find('=');
    if (equals == std::string::npos) continue;
    std::string_view name = std::string_view(entry).substr(0, equals);
    if (std::ranges::find(seen, name) != seen.end()) continue;
    seen.push_back(name);
    if (name == "TERM" && is_terminal_name(entry.substr(equals + 1))) terminal = entry.substr(equals + 1);
    if (is_inherited(name)) result.push_back(entry);
  }
  if (command.terminal == policy::Command::Terminal::pty) result.push_back("TERM=" + terminal);
  // Programs that look for their own place (pwd, shells) would else follow links to find it.
  result.push_back("PWD=" + command.directory.str());
  return result;
}

}  // namespace agentbox::gates::commands
