// What is open, and its end.

#include <set>
#include <utility>

#include "impl.hpp"

namespace agentbox::gates::commands {

void Job::cancel() {
  if (auto owner = gate.lock()) owner->cancel(*this);
}
void Job::abandon(const std::string& why) {
  if (auto owner = gate.lock()) owner->abandon(shared_from_this(), why);
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

void CommandGate::Impl::cancel(const Job& job) {
  if (job.ticket) decider_.cancel(*job.ticket);
}

void CommandGate::Impl::abandon(const std::shared_ptr<Job>& job, const std::string& why) {
  job->from.forget();
  cancel(*job);
  if (job->process) hang_up(job, why);
}

void CommandGate::Impl::end() {
  for (const auto& job : std::set(jobs_)) abandon(job, "the session has ended");
  for (const auto& job : std::exchange(jobs_, {})) {
    job->timer.reset();
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
