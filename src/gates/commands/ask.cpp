// From a request to a verdict: refused here, passed back to the shim, or brought before the broker.

#include <utility>

#include "agentbox/base/error.hpp"

#include "impl.hpp"

namespace agentbox::gates::commands {

namespace {

wire::Verdict::Kind kind_of(broker::Verdict::Kind kind) {
  using From = broker::Verdict::Kind;
  using To = wire::Verdict::Kind;
  switch (kind) {
    case From::allow: return To::allow;
    case From::deny: return To::deny;
    case From::duplicate: return To::duplicate;
    case From::expired: return To::expired;
    case From::unavailable: return To::unavailable;
    case From::cancelled: return To::cancelled;
  }
  return To::unavailable;
}

}  // namespace

void CommandServer::Impl::refuse(const Linked& connection, std::uint64_t id, wire::Code code, std::string why,
                                 const policy::Action* action) {
  if (action != nullptr && setup_.refused) setup_.refused(*action, why);
  connection->send({id, wire::Refusal{code, std::move(why)}});
}

// A shim stands in for a program of the room: what no rule speaks of is meant for that one.
bool CommandServer::Impl::pass(const Linked& connection, std::uint64_t id, const policy::Command& command) {
  if (!policy::rule(setup_.rules, command).rule.empty()) return false;
  connection->send({id, wire::Verdict{.verdict = wire::Verdict::Kind::pass,
                                      .reason = "no rule of the profile speaks of this command",
                                      .rule = {},
                                      .comment = {}}});
  return true;
}

void CommandServer::Impl::ask(const Linked& connection, std::uint64_t id, wire::CommandRequest request) {
  if (by_id_.contains({connection.get(), id})) {
    return refuse(connection, id, wire::Code::wrong_parameters, "this id is that of an open request");
  }
  auto first = by_id_.lower_bound({connection.get(), 0});
  std::size_t open = 0;
  for (auto at = first; at != by_id_.end() && at->first.first == connection.get(); ++at) ++open;
  if (open >= setup_.limits.requests) {
    return refuse(connection, id, wire::Code::too_many, "too many requests are open on this connection");
  }
  auto job = std::make_shared<Job>();
  job->id = id;
  job->connection = connection;
  job->size = request.terminal;
  job->command.argv = std::move(request.argv);
  if (request.terminal) job->command.terminal = policy::Command::Terminal::pty;
  const bool is_shim = request.from == wire::CommandRequest::From::shim;
  if (!policy::is_program_name(job->command.argv.front())) {
    return refuse(connection, id, wire::Code::wrong_parameters,
                  "the program is a bare name or an absolute path, such as git or /usr/bin/git");
  }
  auto directory = base::AbsPath::parse(request.directory);
  if (!directory) {
    return refuse(connection, id, wire::Code::wrong_parameters, "the directory is no absolute path without '..'");
  }
  job->command.directory = *std::move(directory);

  auto measured = programs_.measure(job->command.argv.front());
  if (measured) {
    job->measured = *std::move(measured);
    job->command.program = job->measured.program;
  }
  if (is_shim && pass(connection, id, job->command)) return;
  const policy::Action action = job->command;
  // What is denied anyway needs no reason that tells about the host.
  const bool denied = policy::rule(setup_.rules, action).decision == policy::Decision::deny;
  broker::Asked asked;
  if (denied || !job->command.program) {
    if (!denied) {
      auto code =
          measured.error().why == NotMeasured::Why::not_found ? wire::Code::no_such_program : wire::Code::failed;
      return refuse(connection, id, code, measured.error().text, &action);
    }
    asked.action = action;
    asked.title = "run a command on your machine";
    asked.said = std::move(request.why);
    return put(connection, std::move(job), std::move(asked));
  }
  auto place = places_.open(job->command.directory);
  if (!place) return refuse(connection, id, wire::Code::failed, place.error(), &action);
  job->device = place->device;
  job->inode = place->inode;
  Known known{.measured = job->measured};
  if (places_.is_writable(job->measured.program.path)) known.by_room = Known::Changeable::yes;
  job->git = is_git(job->command.argv.front(), job->measured.program.path);
  if (job->git && setup_.caller == Setup::Caller::elsewhere) {
    return refuse(connection, id, wire::Code::failed,
                  "git obeys files that you can change while it runs, and a broker without a room can't stop you "
                  "meanwhile: use git in a room (`agentbox run`)",
                  &action);
  }
  if (job->git) {
    auto run = prepare_git(job->command.argv, *place);
    if (!run) return refuse(connection, id, wire::Code::failed, run.error(), &action);
    known.standstill = Known::Standstill::yes;
    known.notes.push_back("hooks, fsmonitor, external diff and pagers are off; the repository's settings are harmless");
  }
  asked = question_about(job->command, known, std::move(request.why));
  put(connection, std::move(job), std::move(asked));
}

void CommandServer::Impl::put(const Linked& connection, std::shared_ptr<Job> job, broker::Asked asked) {
  jobs_.insert(job);
  by_id_.emplace(std::pair{connection.get(), job->id}, job);
  job->ticket = decider_.ask(std::move(asked), [weak = weak_from_this(), job](const broker::Verdict& verdict) {
    job->ticket.reset();
    auto self = weak.lock();
    if (self && self->jobs_.contains(job)) self->decided(job, verdict);
  });
}

void CommandServer::Impl::decided(const std::shared_ptr<Job>& job, const broker::Verdict& verdict) {
  job->verdict = verdict;
  wire::Verdict answer{
      .verdict = kind_of(verdict.kind), .reason = verdict.reason, .rule = verdict.rule, .comment = verdict.comment};
  if (verdict.kind != broker::Verdict::Kind::allow) {
    tell(*job, std::move(answer));
    return forget(*job);
  }
  if (job->connection.expired()) {
    decider_.outcome(verdict, job->command, "not started: its requester has gone");
    return forget(*job);
  }
  tell(*job, std::move(answer));
  carry_out(job);
}

}  // namespace agentbox::gates::commands
