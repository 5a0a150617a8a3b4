#include "question.hpp"

#include <utility>

#include "agentbox/base/escape.hpp"
#include "agentbox/policy/git_remotes.hpp"
#include "agentbox/policy/ruling.hpp"

namespace agentbox::gates::commands {

broker::Asked question_about(policy::Command command, const Known& known, std::string said) {
  using Weight = prompt::Fact::Weight;
  broker::Asked asked;
  asked.title = "run a command on your machine";
  asked.subject = base::quote(command.argv);
  auto fact = [&asked](std::string label, std::string value, Weight weight = Weight::normal) {
    asked.facts.push_back({.label = std::move(label), .value = std::move(value), .weight = weight});
  };
  const policy::Program& program = *command.program;
  fact("program", program.path.str());
  fact("sha-256", program.sha256);
  fact("directory", command.directory.str());
  if (command.terminal == policy::Command::Terminal::pty && known.standstill == Known::Standstill::no) {
    fact("terminal", "one of its own, which the agent types into");
  }
  fact("rights", "runs with your rights, outside the room; sudo and the like work in it");
  if (known.standstill == Known::Standstill::yes) {
    fact("room", "stands still until the command has ended; its output comes then, and it gets no input");
  }
  for (const std::string& note : known.notes) fact("git", note);
  if (command.remotes) {
    const auto traffic = policy::traffic_of_git(command.argv);
    const bool pushes = traffic && traffic->way == policy::GitTraffic::Way::push;
    for (const std::string& address : command.remotes->addresses) fact(pushes ? "sends to" : "fetches from", address);
    if (command.remotes->certain == policy::Remotes::Certain::no) {
      fact("caution", "nobody can say which address git will talk to", Weight::warning);
    }
  }
  const policy::Knowledge knowledge = policy::knowledge_of(command);
  if (known.by_room == Known::Changeable::yes) {
    // What lies below the directory itself the policy has found out already.
    if (knowledge.trust != policy::Trust::runs_files)
      fact("caution", "the agent can change this program", Weight::warning);
  } else if (program.writable == policy::Program::Writable::yes) {
    fact("caution", "you can change this program, and so can all that runs as you", Weight::warning);
  }
  if (known.measured.rights == Measured::Rights::others) {
    fact("caution", "it runs with other rights than yours (set-user-ID or capabilities)", Weight::warning);
  }
  if (!knowledge.why.empty()) fact("caution", knowledge.why, Weight::warning);
  asked.said = std::move(said);
  asked.action = std::move(command);
  asked.session_scopes = policy::session_scopes(asked.action);
  asked.lasting_scopes = policy::lasting_scopes(asked.action);
  return asked;
}

}  // namespace agentbox::gates::commands
