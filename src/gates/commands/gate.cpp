// What is open, and its end.

#include <set>
#include <utility>

#include "impl.hpp"

namespace agentbox::gates::commands {

void Job::cancel() {
  if (auto owner = gate.lock()) owner->cancel(*this);
}
void Job::abandon(const std::string& reason) {
  if (auto owner = gate.lock()) owner->abandon(shared_from_this(), reason);
}
void Job::signal(int number) {
  if (process) process->signal(number);
}
void Job::resize(wire::WindowSize to) {
  size = to;
  if (process) process->resize(to);
}

CommandGate::Impl::Impl(boost::asio::io_context& loop, broker::Decider& decider, Setup setup)
    : loop_(loop),
      decider_(decider),
      setup_(std::move(setup)),
      places_(setup_.roots, setup_.hidden),
      programs_(setup_.folders) {}

void CommandGate::Impl::cancel(Job& job) {
  if (job.ticket) return decider_.cancel(*job.ticket);
  if (job.process || job.starting) return;
  job.from.tell(wire::Verdict{.verdict = wire::Verdict::Kind::cancelled, .reason = "the request was given up"});
  forget(job);  // its program was still being hashed: nobody was asked
}

void CommandGate::Impl::abandon(const std::shared_ptr<Job>& job, const std::string& why) {
  job->from.forget();
  if (job->ticket) return decider_.cancel(*job->ticket);
  if (job->process) return hang_up(job, why);
  if (!job->starting) forget(*job);
}

void CommandGate::Impl::end() {
  for (const auto& job : std::set(jobs_)) abandon(job, "the session has ended");
  for (const auto& job : std::exchange(jobs_, {})) {
    job->timer.reset();
    job->lookup.reset();
    if (job->starting) {
      decider_.outcome(job->verdict, job->command, "not started: the session has ended");
      go_on(*job);
    }
    if (!job->process) continue;
    job->process.reset();
    decider_.outcome(job->verdict, job->command, "killed: the session has ended");
    go_on(*job);
  }
}

CommandGate::CommandGate(boost::asio::io_context& loop, broker::Decider& decider, Setup setup)
    : impl_(std::make_shared<Impl>(loop, decider, std::move(setup))) {}
CommandGate::~CommandGate() {
  impl_->end();
}
std::shared_ptr<requests::Request> CommandGate::take(Requester from, wire::CommandRequest request) {
  return impl_->take(std::move(from), std::move(request));
}
CommandGate::Counters CommandGate::counters() const noexcept {
  return impl_->counters();
}

}  // namespace agentbox::gates::commands
