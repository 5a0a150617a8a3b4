// From a request to a verdict: refused here, passed back to the shim, or brought before the broker.

#include <utility>

#include "agentbox/base/error.hpp"
#include "agentbox/policy/near.hpp"

#include "environment.hpp"
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
                          .comment = policy::near_rule(setup_.rules, command.argv)});
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

  job->why = std::move(request.why);
  auto deny = [&] {
    broker::Asked asked;
    asked.action = job->command;
    asked.title = "run a command on your machine";
    asked.said = std::move(job->why);
    jobs_.insert(job);
    put(job, std::move(asked));
    return job;
  };
  auto is_denied = [&] { return policy::rule(setup_.rules, job->command).decision == policy::Decision::deny; };
  // Nothing of the room is opened for what no rule would let run.
  if (!is_shim && job->command.argv.front().starts_with('/') && is_denied()) return deny();
  auto begun = programs_.begin(job->command.argv.front());
  if (begun) job->command.program = begun->measured.program;
  if (is_shim && pass(from, job->command)) return {};
  // What is denied anyway needs no reason that tells about the host.
  if (is_denied()) return deny();
  if (!begun) {
    const policy::Action action = job->command;
    auto code = begun.error().why == NotMeasured::Why::not_found ? wire::Code::no_such_program : wire::Code::failed;
    return refuse_it(code, begun.error().text, &action);
  }
  jobs_.insert(job);
  auto finish = [this, job](HostPrograms::Measuring all) {
    auto found = programs_.finish(std::move(all));
    if (!found) return refuse_job(job, found.error().text);
    job->measured = *std::move(found);
    job->command.program = job->measured.program;
    measured(job);
  };
  if (!begun->hash) {
    finish(*std::move(begun));
  } else {
    FileHash file = *std::exchange(begun->hash, std::nullopt);
    auto held = std::make_shared<HostPrograms::Measuring>(*std::move(begun));
    hash(job, std::move(file), [finish, held](FileHash hashed) {
      held->hash = std::move(hashed);
      finish(std::move(*held));
    });
  }
  // Refused at once, most likely, where it is not there any more.
  return jobs_.contains(job) ? job : nullptr;
}

// The program is known: all that the question says is found out now.
void CommandGate::Impl::measured(const std::shared_ptr<Job>& job) {
  auto place = places_.open(job->command.directory);
  if (!place) return refuse_job(job, place.error());
  job->device = place->device;
  job->inode = place->inode;
  Known known{.measured = job->measured};
  if (places_.is_writable(job->measured.program.path)) known.by_room = Known::Changeable::yes;
  job->git = is_git(job->command.argv.front(), job->measured.program.path);
  if (job->git && setup_.caller == Setup::Caller::elsewhere) {
    return refuse_job(job,
                      "git obeys files that you can change while it runs, and a broker without a room can't stop you "
                      "meanwhile: use git in a room (`agentbox run`)");
  }
  if (job->git) {
    auto run = prepare_git(job->command.argv, *place);
    if (!run) return refuse_job(job, run.error());
    known.standstill = Known::Standstill::yes;
    known.notes.push_back("hooks, fsmonitor, external diff and pagers are off; the repository's settings are harmless");
    if (policy::traffic_of_git(job->command.argv)) {
      // Its device and inode are those that were measured; what the room can change isn't run for this.
      auto program = HostPrograms::begin_again(*job->command.program);
      if (!program) return refuse_job(job, program.error().text);
      auto file = std::make_shared<base::UniqueFd>(program->take_file());
      auto there = std::make_shared<Place>(*std::move(place));
      ToRun how{.program = file->get(),
                .environment = fixed_environment(setup_.owner, programs_.search_path(), job->command),
                .directory = there->directory.get()};
      how.environment.insert(how.environment.end(), run->environment.begin(), run->environment.end());
      return find_remotes(job, how, run->view, [this, job, known, file, there](policy::Remotes found) {
        job->command.remotes = std::move(found);
        ask(job, known);
      });
    }
  }
  ask(job, known);
}

void CommandGate::Impl::ask(const std::shared_ptr<Job>& job, const Known& known) {
  if (!job->from.is_gone()) put(job, question_about(job->command, known, std::move(job->why)));
}

// One that was taken, and can't even be asked for.
void CommandGate::Impl::refuse_job(const std::shared_ptr<Job>& job, std::string why) {
  const policy::Action action = job->command;
  if (!job->from.is_gone()) refuse(job->from, wire::Code::failed, std::move(why), &action);
  forget(*job);
}

void CommandGate::Impl::put(const std::shared_ptr<Job>& job, broker::Asked asked) {
  job->ticket = decider_.ask(std::move(asked), [weak = weak_from_this(), job](const broker::Verdict& verdict) {
    job->ticket.reset();
    auto self = weak.lock();
    if (self && self->jobs_.contains(job)) self->decided(job, verdict);
  });
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
