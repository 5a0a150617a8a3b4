// From a request to a verdict: refused here, passed back to the shim, or brought before the broker.

#include <utility>

#include "agentbox/base/error.hpp"

#include "impl.hpp"

namespace agentbox::gates::commands {

void CommandGate::Impl::refuse(const Requester& from, wire::Code code, std::string why, const policy::Action* action) {
  if (action != nullptr && setup_.refused) setup_.refused(*action, why);
  from.refuse(code, std::move(why));
}

// A shim stands in for a program of the room: what no rule speaks of is meant for that one.
bool CommandGate::Impl::pass(const Requester& from, const policy::Command& command) {
  if (!policy::rule(setup_.rules, command).rule.empty()) return false;
  from.tell(wire::Verdict{.verdict = wire::Verdict::Kind::pass,
                          .reason = "no rule of the profile speaks of this command",
                          .rule = {},
                          .comment = {}});
  return true;
}

std::shared_ptr<Job> CommandGate::Impl::take(Requester from, wire::CommandRequest request) {
  auto refuse_it = [&](wire::Code code, std::string why, const policy::Action* action = nullptr) {
    refuse(from, code, std::move(why), action);
    return std::shared_ptr<Job>();
  };
  auto job = std::make_shared<Job>(weak_from_this(), from);
  job->size = request.terminal;
  job->command.argv = std::move(request.argv);
  if (request.terminal) job->command.terminal = policy::Command::Terminal::pty;
  const bool is_shim = request.from == wire::CommandRequest::From::shim;
  if (!policy::is_program_name(job->command.argv.front())) {
    return refuse_it(wire::Code::wrong_parameters,
                     "the program is a bare name or an absolute path, such as git or /usr/bin/git");
  }
  auto directory = base::AbsPath::parse(request.directory);
  if (!directory) {
    return refuse_it(wire::Code::wrong_parameters, "the directory is no absolute path without '..'");
  }
  job->command.directory = *std::move(directory);

  auto measured = programs_.measure(job->command.argv.front());
  if (measured) {
    job->measured = *std::move(measured);
    job->command.program = job->measured.program;
  }
  if (is_shim && pass(from, job->command)) return {};
  const policy::Action action = job->command;
  // What is denied anyway needs no reason that tells about the host.
  const bool denied = policy::rule(setup_.rules, action).decision == policy::Decision::deny;
  broker::Asked asked;
  if (denied || !job->command.program) {
    if (!denied) {
      auto code =
          measured.error().why == NotMeasured::Why::not_found ? wire::Code::no_such_program : wire::Code::failed;
      return refuse_it(code, measured.error().text, &action);
    }
    asked.action = action;
    asked.title = "run a command on your machine";
    asked.said = std::move(request.why);
    return put(std::move(job), std::move(asked));
  }
  auto place = places_.open(job->command.directory);
  if (!place) return refuse_it(wire::Code::failed, place.error(), &action);
  job->device = place->device;
  job->inode = place->inode;
  Known known{.measured = job->measured};
  if (places_.is_writable(job->measured.program.path)) known.by_room = Known::Changeable::yes;
  job->git = is_git(job->command.argv.front(), job->measured.program.path);
  if (job->git) {
    auto run = prepare_git(job->command.argv, *place);
    if (!run) return refuse_it(wire::Code::failed, run.error(), &action);
    known.standstill = Known::Standstill::yes;
    known.notes.push_back("hooks, fsmonitor, external diff and pagers are off; the repository's settings are harmless");
  }
  asked = question_about(job->command, known, std::move(request.why));
  return put(std::move(job), std::move(asked));
}

std::shared_ptr<Job> CommandGate::Impl::put(std::shared_ptr<Job> job, broker::Asked asked) {
  jobs_.insert(job);
  job->ticket = decider_.ask(std::move(asked), [weak = weak_from_this(), job](const broker::Verdict& verdict) {
    job->ticket.reset();
    auto self = weak.lock();
    if (self && self->jobs_.contains(job)) self->decided(job, verdict);
  });
  return job;
}

void CommandGate::Impl::decided(const std::shared_ptr<Job>& job, const broker::Verdict& verdict) {
  job->verdict = verdict;
  if (verdict.kind != broker::Verdict::Kind::allow) {
    job->from.tell(requests::in_wire(verdict));
    return forget(*job);
  }
  if (job->from.is_gone()) {
    decider_.outcome(verdict, job->command, "not started: its requester has gone");
    return forget(*job);
  }
  job->from.tell(requests::in_wire(verdict));
  carry_out(job);
}

}  // namespace agentbox::gates::commands
