#include "git.hpp"

namespace agentbox::gates::commands {

bool is_git(const std::string& word, const base::AbsPath& program) {
  return program.name() == "git" || word == "git" || word.ends_with("/git");
}

std::expected<GitRun, std::string> prepare_git(const std::vector<std::string>& /*argv*/, const Place& /*place*/) {
  return std::unexpected("git on the host is not built yet");
}

}  // namespace agentbox::gates::commands
