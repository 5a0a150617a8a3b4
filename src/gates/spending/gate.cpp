#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <set>
#include <utility>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/gates/spending/payment_gate.hpp"
#include "agentbox/policy/budget.hpp"

#include "commands/environment.hpp"
#include "commands/process.hpp"
#include "question.hpp"

namespace agentbox::gates::spending {

using base::SystemError;
using base::UniqueFd;
using broker::Decider;
using commands::HostPrograms;
using commands::Measured;
using commands::Process;
using requests::Requester;
using Paid = Decider::Paid;
using Outcome = wire::PaymentEnded::Outcome;

namespace {

constexpr auto look_again = std::chrono::milliseconds(200);
constexpr std::size_t most_said = 300;  // bytes of what the command has said, for the owner's record

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

// The last line that holds anything, of what was written to the standard error, else to the standard output.
std::string last_words(Process& process) {
  std::vector<UniqueFd> streams;
  try {
    streams = process.take_streams();
  } catch (const SystemError&) {
    return {};
  }
  for (std::size_t stream : {2UZ, 1UZ}) {
    if (streams.size() <= stream) continue;
    std::array<char, 4096> bytes{};
    const off_t size = ::lseek(streams[stream].get(), 0, SEEK_END);
    const auto room = static_cast<off_t>(bytes.size());
    const ssize_t count = ::pread(streams[stream].get(), bytes.data(), bytes.size(), std::max<off_t>(size - room, 0));
    std::string_view text(bytes.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
    text = text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
    if (text.empty()) continue;
    text.remove_prefix(text.rfind('\n') + 1);  // npos + 1 is 0
    return base::escape(text.substr(0, most_said));
  }
  return {};
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
  std::unique_ptr<Process> process;  // while it is paid
  std::string ended_by_us;           // why; empty: it wasn't
  std::unique_ptr<boost::asio::steady_timer> timer;
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
    auto paying = std::ranges::count_if(jobs_, [](const auto& job) { return job->process != nullptr; });
    return {.open = jobs_.size(), .paying = static_cast<std::size_t>(paying)};
  }

 private:
  void decided(const std::shared_ptr<Job>& job, const broker::Verdict& verdict);
  void carry_out(const std::shared_ptr<Job>& job);
  [[nodiscard]] std::expected<void, std::string> start(Job& job);
  void watch(const std::shared_ptr<Job>& job, std::chrono::steady_clock::time_point deadline);
  void hang_up(const std::shared_ptr<Job>& job, std::string why);
  void ended(const std::shared_ptr<Job>& job, int status);
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
  // A link to the program, a script or settings that it is given: whoever can write them says what it does.
  for (const std::string& word : setup_.rules.spending.pay) {
    const auto named = base::AbsPath::parse(word);
    if (!named) continue;
    if (std::ranges::any_of(setup_.writable, [&](const base::AbsPath& root) { return named->is_within(root); })) {
      return std::unexpected(base::escape(word) +
                             " is part of the payment's command, and lies where the agent can "
                             "change it");
    }
  }
  auto measured = programs_.measure(setup_.rules.spending.pay.front());
  if (!measured) return std::unexpected(measured.error().text);
  const base::AbsPath& path = measured->program.path;
  if (std::ranges::any_of(setup_.writable, [&](const base::AbsPath& root) { return path.is_within(root); })) {
    return std::unexpected(base::escape(path.str()) + " pays, and lies where the agent can change it");
  }
  return *std::move(measured);
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
  jobs_.insert(job);
  job->ticket = decider_.ask(std::move(asked), [weak = weak_from_this(), job](const broker::Verdict& verdict) {
    job->ticket.reset();
    auto self = weak.lock();
    if (self && self->jobs_.contains(job)) self->decided(job, verdict);
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
  job->process->when_ended([weak = weak_from_this(), job](int status) {
    if (auto self = weak.lock()) self->ended(job, status);
  });
  job->timer = std::make_unique<boost::asio::steady_timer>(loop_);
  watch(job, std::chrono::steady_clock::now() + setup_.limits.time);
}

std::expected<void, std::string> PaymentGate::Impl::start(Job& job) {
  // Nobody in the room can plant anything there.
  const base::AbsPath directory;
  const UniqueFd root(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) throw SystemError(errno, "cannot open /");
  const policy::Command command{.argv = policy::payment_argv(setup_.rules.spending.pay, job.payment),
                                .directory = directory};
  auto program = HostPrograms::open_again(job.program.program);
  if (!program) return std::unexpected(program.error().text);
  commands::ToRun run{.program = program->get(),
                      .script = {},
                      .argv = command.argv,
                      .environment = commands::fixed_environment(setup_.owner, programs_.search_path(), command),
                      .directory = root.get(),
                      .streams = commands::Streams::kept};
  if (job.program.form == Measured::Form::script) run.script = job.program.program.path.str();
  auto process = Process::start(loop_, run);
  if (!process) return std::unexpected("cannot be executed: " + base::errno_text(process.error()));
  job.process = *std::move(process);
  return {};
}

void PaymentGate::Impl::watch(const std::shared_ptr<Job>& job, std::chrono::steady_clock::time_point deadline) {
  job->timer->expires_at(std::min(deadline, std::chrono::steady_clock::now() + look_again));
  job->timer->async_wait([weak = weak_from_this(), job, deadline](boost::system::error_code error) {
    auto self = weak.lock();
    if (error || !self || !job->process) return;
    if (job->process->kept() > self->setup_.limits.output) return self->hang_up(job, "it wrote too much");
    if (std::chrono::steady_clock::now() >= deadline) return self->hang_up(job, "it took too long");
    self->watch(job, deadline);
  });
}

void PaymentGate::Impl::hang_up(const std::shared_ptr<Job>& job, std::string why) {
  job->ended_by_us = std::move(why);
  job->process->hang_up();
  job->timer->expires_after(setup_.limits.hang_up);
  job->timer->async_wait([job](boost::system::error_code error) {
    if (!error && job->process) job->process->kill();
  });
}

void PaymentGate::Impl::ended(const std::shared_ptr<Job>& job, int status) {
  // One that was told to end may say anything.
  const Paid paid = job->ended_by_us.empty() || paid_by(status) == Paid::paid ? paid_by(status) : Paid::unknown;
  std::string what = in_words(paid, status);
  if (!job->ended_by_us.empty()) what += ": " + job->ended_by_us;
  if (std::string said = last_words(*job->process); !said.empty()) what += ": " + said;
  job->process.reset();
  settle(*job, paid, what);
  forget(job);
}

void PaymentGate::Impl::settle(Job& job, Paid paid, const std::string& what) {
  decider_.settle(job.verdict, job.payment, paid, what);
  job.from.tell(for_room(paid));
}

void PaymentGate::Impl::forget(const std::shared_ptr<Job>& job) {
  job->from.done();
  if (job->timer) job->timer->cancel();
  jobs_.erase(job);
}

// Of the session itself. Nobody asks any more; what is being paid gets the time to end.
void PaymentGate::Impl::end() {
  const auto until = std::chrono::steady_clock::now() + setup_.limits.at_end;
  for (const auto& job : std::exchange(jobs_, {})) {
    cancel(*job);
    if (!job->process) continue;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    const std::optional<int> status = job->process->wait_for(std::max(left, std::chrono::milliseconds(0)));
    if (status) {
      ended(job, *status);
    } else {
      job->process.reset();
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
