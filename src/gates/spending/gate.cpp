#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include <sys/wait.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/gates/spending/payment_gate.hpp"
#include "agentbox/policy/budget.hpp"

#include "commands/owners_command.hpp"
#include "question.hpp"

namespace agentbox::gates::spending {

using base::SystemError;
using broker::Decider;
using commands::HostPrograms;
using commands::Measured;
using commands::OwnersCommand;
using requests::Requester;
using Paid = Decider::Paid;
using Outcome = wire::PaymentEnded::Outcome;

namespace {

// The contract of [spending.pay] command.
Paid paid_by(int status) {
  if (!WIFEXITED(status)) return Paid::unknown;
  return WEXITSTATUS(status) == 0 ? Paid::paid : WEXITSTATUS(status) == 1 ? Paid::not_paid : Paid::unknown;
}

std::string in_words(Paid paid, int status) {
  std::string_view what = paid == Paid::paid ? "paid" : paid == Paid::not_paid ? "not paid" : "unknown";
  if (WIFSIGNALED(status)) return fmt::format("{}: killed by signal {}", what, WTERMSIG(status));
  return fmt::format("{}: exit code {}", what, WEXITSTATUS(status));
}

// What the agent is told: nothing that the command has said.
wire::PaymentEnded for_room(Paid paid) {
  switch (paid) {
    case Paid::paid: return {Outcome::paid, {}};
    case Paid::not_paid: return {Outcome::not_paid, "the payment's program says that nothing was paid"};
    case Paid::not_started: return {Outcome::not_paid, "the payment's program was not started"};
    case Paid::unknown: break;
  }
  return {Outcome::unknown,
          "the payment's program did not say what became of it: don't use another key, tell the owner"};
}

}  // namespace

// One request.payment, from its line to its end.
struct Job final : requests::Request {
  Job(std::weak_ptr<PaymentGate::Impl> of, Requester by) : gate(std::move(of)), from(std::move(by)) {}
  void cancel() override;
  void abandon(const std::string& why) override;

  std::weak_ptr<PaymentGate::Impl> gate;
  Requester from;
  policy::Payment payment;
  Measured program;
  std::optional<Decider::Ticket> ticket;  // while it is asked
  broker::Verdict verdict;
  std::unique_ptr<OwnersCommand> command;  // while it is paid
};

class PaymentGate::Impl : public std::enable_shared_from_this<PaymentGate::Impl> {
 public:
  Impl(boost::asio::io_context& loop, Decider& decider, Setup setup)
      : loop_(loop), decider_(decider), setup_(std::move(setup)), programs_(setup_.folders) {}

  [[nodiscard]] std::shared_ptr<Job> take(const Requester& from, wire::PaymentRequest request);
  [[nodiscard]] std::expected<Measured, std::string> program();
  [[nodiscard]] bool has_command() const { return !setup_.rules.spending.pay.empty(); }
  void cancel(const Job& job) {
    if (job.ticket) decider_.cancel(*job.ticket);
  }
  void end();
  [[nodiscard]] Counters counters() const noexcept {
    auto paying = std::ranges::count_if(jobs_, [](const auto& job) { return job->command != nullptr; });
    return {.open = jobs_.size(), .paying = static_cast<std::size_t>(paying)};
  }

 private:
  void decided(const std::shared_ptr<Job>& job, const broker::Verdict& verdict);
  void carry_out(const std::shared_ptr<Job>& job);
  [[nodiscard]] std::expected<void, std::string> start(Job& job);
  void ended(const std::shared_ptr<Job>& job, const OwnersCommand::Ended& came);
  void settle(Job& job, Paid paid, const std::string& what);
  void forget(const std::shared_ptr<Job>& job);

  boost::asio::io_context& loop_;
  Decider& decider_;
  Setup setup_;
  HostPrograms programs_;
  std::set<std::shared_ptr<Job>> jobs_;
};

void Job::cancel() {
  if (auto owner = gate.lock()) owner->cancel(*this);
}
// What is being paid goes on: whoever gives up half a payment knows nothing of it.
void Job::abandon(const std::string& /*why*/) {
  from.forget();
  cancel();
}

// ---- what is asked --------------------------------------------------------------------------------------------------

std::expected<Measured, std::string> PaymentGate::Impl::program() {
  return commands::measure_for_owner(programs_, setup_.rules.spending.pay, setup_.writable);
}

std::shared_ptr<Job> PaymentGate::Impl::take(const Requester& from, wire::PaymentRequest request) {
  if (jobs_.size() >= setup_.limits.open) {
    from.refuse(wire::Code::too_many, fmt::format("{} payments are open already: wait for them", jobs_.size()));
    return {};
  }
  auto amount = policy::parse_amount(request.amount, request.currency);
  if (!amount) {
    from.refuse(wire::Code::wrong_parameters, amount.error());
    return {};
  }
  auto job = std::make_shared<Job>(weak_from_this(), from);
  job->payment = {.amount = *amount,
                  .currency = std::move(request.currency),
                  .to = std::move(request.to),
                  .memo = std::move(request.memo),
                  .key = std::move(request.key)};
  if (std::string problem = policy::problem_of(job->payment); !problem.empty()) {
    from.refuse(wire::Code::wrong_parameters, std::move(problem));
    return {};
  }
  broker::Asked asked{.action = job->payment, .title = "make a payment", .said = request.why};
  // What is denied anyway needs no reason that tells about the host.
  if (policy::rule(setup_.rules, job->payment).decision != policy::Decision::deny) {
    auto measured = program();
    if (!measured) {
      if (setup_.refused) setup_.refused(job->payment, measured.error());
      from.refuse(wire::Code::failed, "the owner's way to pay can't be used now: tell him");
      return {};
    }
    job->program = *std::move(measured);
    asked = question_about(job->payment, job->program, std::move(request.why));
    asked.delay = setup_.rules.spending.delay;
  }
  asked.waits = [weak = std::weak_ptr(job)](std::chrono::seconds left) {
    if (auto waiting = weak.lock(); waiting && waiting->ticket) waiting->from.tell(requests::in_wire(left));
  };
  jobs_.insert(job);
  job->ticket = decider_.ask(
      std::move(asked), [weak = weak_from_this(), job, &decider = decider_](const broker::Verdict& verdict) {
        job->ticket.reset();
        auto self = weak.lock();
        if (self && self->jobs_.contains(job)) return self->decided(job, verdict);
        if (verdict.kind != broker::Verdict::Kind::allow) return;
        decider.settle(verdict, job->payment, Paid::not_started, "not started: the session has ended");
      });
  return job;
}

// ---- what was decided -----------------------------------------------------------------------------------------------

void PaymentGate::Impl::decided(const std::shared_ptr<Job>& job, const broker::Verdict& verdict) {
  job->verdict = verdict;
  job->from.tell(requests::in_wire(verdict));
  if (verdict.kind == broker::Verdict::Kind::allow) return carry_out(job);
  if (verdict.kind == broker::Verdict::Kind::duplicate) {
    using Earlier = broker::Verdict::Earlier;
    Outcome outcome = Outcome::pending;
    if (verdict.earlier == Earlier::paid) outcome = Outcome::paid;
    if (verdict.earlier == Earlier::unknown) outcome = Outcome::unknown;
    job->from.tell(wire::PaymentEnded{outcome, verdict.reason});
  }
  forget(job);
}

// It is reserved by now: from here on every way out settles it.
void PaymentGate::Impl::carry_out(const std::shared_ptr<Job>& job) {
  std::expected<void, std::string> started;
  if (job->from.is_gone()) {
    started = std::unexpected("its requester has gone");
  } else {
    try {
      started = start(*job);
    } catch (const SystemError& error) {
      started = std::unexpected(error.what());
    }
  }
  if (!started) {
    settle(*job, Paid::not_started, "not started: " + started.error());
    return forget(job);
  }
  job->command->when_ended([weak = weak_from_this(), job](const OwnersCommand::Ended& came) {
    if (auto self = weak.lock()) self->ended(job, came);
  });
}

std::expected<void, std::string> PaymentGate::Impl::start(Job& job) {
  auto command = OwnersCommand::start(
      loop_,
      {.program = job.program,
       .argv = policy::payment_argv(setup_.rules.spending.pay, job.payment),
       .owner = setup_.owner,
       .search_path = programs_.search_path(),
       .limits = {.time = setup_.limits.time, .hang_up = setup_.limits.hang_up, .output = setup_.limits.output}});
  if (!command) return std::unexpected(std::move(command.error()));
  job.command = *std::move(command);
  return {};
}

void PaymentGate::Impl::ended(const std::shared_ptr<Job>& job, const OwnersCommand::Ended& came) {
  const Paid said = paid_by(came.status);
  const Paid paid = came.ended_by_us.empty() || said == Paid::paid ? said : Paid::unknown;
  std::string what = in_words(paid, came.status);
  if (!came.ended_by_us.empty()) what += ": " + came.ended_by_us;
  if (!came.said.empty()) what += ": " + came.said;
  job->command.reset();
  settle(*job, paid, what);
  forget(job);
}

void PaymentGate::Impl::settle(Job& job, Paid paid, const std::string& what) {
  decider_.settle(job.verdict, job.payment, paid, what);
  job.from.tell(for_room(paid));
}

void PaymentGate::Impl::forget(const std::shared_ptr<Job>& job) {
  job->from.done();
  jobs_.erase(job);
}

// Of the session itself. Nobody asks any more; what is being paid gets the time to end.
void PaymentGate::Impl::end() {
  const auto until = std::chrono::steady_clock::now() + setup_.limits.at_end;
  for (const auto& job : std::exchange(jobs_, {})) {
    cancel(*job);
    if (!job->command) continue;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (const auto came = job->command->wait_for(std::max(left, std::chrono::milliseconds(0)))) {
      ended(job, *came);
    } else {
      job->command.reset();
      settle(*job, Paid::unknown, "unknown: killed, since the session has ended");
    }
  }
}

// ---- the face -------------------------------------------------------------------------------------------------------

PaymentGate::PaymentGate(boost::asio::io_context& loop, Decider& decider, Setup setup)
    : impl_(std::make_shared<Impl>(loop, decider, std::move(setup))) {}
PaymentGate::~PaymentGate() {
  impl_->end();
}
std::shared_ptr<requests::Request> PaymentGate::take(const Requester& from, wire::PaymentRequest request) {
  return impl_->take(from, std::move(request));
}
std::string PaymentGate::problem() {
  if (!impl_->has_command()) return {};
  auto program = impl_->program();
  return program ? std::string() : program.error();
}
PaymentGate::Counters PaymentGate::counters() const noexcept {
  return impl_->counters();
}

}  // namespace agentbox::gates::spending
