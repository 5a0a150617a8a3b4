#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <set>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/base/recipient.hpp"
#include "agentbox/base/sha256.hpp"
#include "agentbox/gates/messages/message_gate.hpp"
#include "agentbox/policy/messages.hpp"

#include "aside.hpp"
#include "commands/owners_command.hpp"
#include "mail.hpp"
#include "post.hpp"
#include "posted.hpp"
#include "question.hpp"
#include "requests/sealed.hpp"

namespace agentbox::gates::messages {

using base::SystemError;
using base::UniqueFd;
using broker::Decider;
using commands::HostPrograms;
using commands::Measured;
using commands::OwnersCommand;
using policy::Rules;
using requests::Requester;
using Outcome = wire::MessageEnded::Outcome;

namespace {

// What became of it: for the room, and for the record.
struct Fate {
  wire::MessageEnded ended;
  std::string record;
};

Fate not_sent(std::string why) {
  return {{Outcome::failed, 0, "it was not handed to what sends it"}, "not sent: " + std::move(why)};
}

// The contract of [messages.NAME] send. One that was told to end may say anything.
Fate fate_of(const OwnersCommand::Ended& came) {
  const int status = came.status;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {{Outcome::sent, 0, {}}, "sent: exit code 0"};
  if (WIFEXITED(status) && came.ended_by_us.empty()) {
    return {{Outcome::failed, WEXITSTATUS(status), "the program that sends says that it did not"},
            fmt::format("not sent: exit code {}", WEXITSTATUS(status))};
  }
  Fate fate{{Outcome::unknown, 0, "the program that sends was ended before it said what became of it"}, {}};
  fate.record = WIFSIGNALED(status) ? fmt::format("unknown: killed by signal {}", WTERMSIG(status))
                                    : fmt::format("unknown: exit code {}", WEXITSTATUS(status));
  if (!came.ended_by_us.empty()) fate.record += ": " + came.ended_by_us;
  return fate;
}

// The contract of [messages.NAME] post.
Fate fate_of(const Post::Ended& ended) {
  switch (ended.how) {
    case Post::Ended::How::not_reached: return not_sent(ended.why);
    case Post::Ended::How::lost:
      return {{Outcome::unknown, 0, "the server that sends did not say what became of it"}, "unknown: " + ended.why};
    case Post::Ended::How::answered: break;
  }
  if (ended.status < 300) return {{Outcome::sent, 0, {}}, fmt::format("sent: status {}", ended.status)};
  return {{Outcome::failed, ended.status, "the server that sends says that it did not"},
          fmt::format("not sent: status {}", ended.status)};
}

// Lines of a message end with a newline alone, whoever wrote them.
std::string with_newlines(std::string body) {
  std::string::size_type to = 0;
  for (std::string::size_type from = 0; from < body.size(); ++from) {
    if (body[from] == '\r' && from + 1 < body.size() && body[from + 1] == '\n') continue;
    body[to++] = body[from];
  }
  body.resize(to);
  return body;
}

// Where a program reads it from the beginning, and nobody can change it.
UniqueFd in_memory(std::string_view bytes) {
  UniqueFd memory(::memfd_create("agentbox-message", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  for (std::size_t done = 0; memory && done < bytes.size();) {
    const ssize_t count = ::write(memory.get(), bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) throw SystemError(errno, "cannot keep a message");
    done += static_cast<std::size_t>(count);
  }
  constexpr int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
  if (!memory || ::fcntl(memory.get(), F_ADD_SEALS, seals) != 0) throw SystemError(errno, "cannot keep a message");
  UniqueFd reading(::open(fmt::format("/proc/self/fd/{}", memory.get()).c_str(), O_RDONLY | O_CLOEXEC));
  if (!reading) throw SystemError(errno, "cannot keep a message");
  return reading;
}

}  // namespace

// One request.message, from its line to its end.
struct Job final : requests::Request {
  Job(std::weak_ptr<MessageGate::Impl> of, Requester by) : gate(std::move(of)), from(std::move(by)) {}
  void cancel() override;
  void abandon(const std::string& why) override;

  std::weak_ptr<MessageGate::Impl> gate;
  Requester from;
  policy::Message message;
  UniqueFd content;
  std::uint64_t body = 0;       // where the attachments begin in it
  std::vector<std::string> to;  // as it was written
  std::string why;
  std::optional<Measured> program;
  std::optional<Decider::Ticket> ticket;  // while it is asked
  broker::Verdict verdict;
  std::unique_ptr<OwnersCommand> command;  // while it is sent, one of the two
  std::unique_ptr<Post> post;
  std::unique_ptr<boost::asio::steady_timer> timer;  // of `post`
};

class MessageGate::Impl : public std::enable_shared_from_this<MessageGate::Impl> {
 public:
  Impl(boost::asio::io_context& loop, Decider& decider, Setup setup)
      : loop_(loop), decider_(decider), setup_(std::move(setup)), programs_(setup_.folders) {}

  [[nodiscard]] std::shared_ptr<Job> take(const Requester& from, const wire::MessageRequest& request, UniqueFd content);
  [[nodiscard]] std::string problem();
  void cancel(Job& job);
  void end();
  [[nodiscard]] Counters counters() const noexcept {
    auto sending = std::ranges::count_if(jobs_, [](const auto& job) { return job->command || job->post; });
    return {.open = jobs_.size(), .sending = static_cast<std::size_t>(sending)};
  }

 private:
  using Checked = std::expected<void, std::string>;
  [[nodiscard]] static Checked read(Job& job, const wire::MessageRequest& request);
  [[nodiscard]] std::expected<Measured, std::string> program(const Rules::Way& way) {
    return commands::measure_for_owner(programs_, way.send, setup_.writable);
  }
  void hash(const std::shared_ptr<Job>& job);
  void ask(const std::shared_ptr<Job>& job);
  void decided(const std::shared_ptr<Job>& job, const broker::Verdict& verdict);
  void carry_out(const std::shared_ptr<Job>& job);
  [[nodiscard]] Checked start(Job& job);
  [[nodiscard]] Checked start_program(Job& job, const Rules::Way& way, const std::vector<std::string>& contents);
  void ended(const std::shared_ptr<Job>& job, const OwnersCommand::Ended& came);
  void posted(const std::shared_ptr<Job>& job, const Post::Ended& what);
  void settle(Job& job, const Fate& fate);
  void forget(const std::shared_ptr<Job>& job);

  boost::asio::io_context& loop_;
  Decider& decider_;
  Setup setup_;
  HostPrograms programs_;
  std::set<std::shared_ptr<Job>> jobs_;
  std::size_t hashing_ = 0;  // also of those that were given up meanwhile
  Aside aside_{loop_};
};

void Job::cancel() {
  if (auto owner = gate.lock()) owner->cancel(*this);
}
// What is being sent goes on: whoever gives up half a message knows nothing of it.
void Job::abandon(const std::string& /*why*/) {
  from.forget();
  cancel();
}

// Before the question nobody else knows of it.
void MessageGate::Impl::cancel(Job& job) {
  if (job.ticket) return decider_.cancel(*job.ticket);
  const auto at = std::ranges::find(jobs_, &job, &std::shared_ptr<Job>::get);
  if (at == jobs_.end() || job.command || job.post) return;
  const std::shared_ptr<Job> given_up = *at;
  job.from.tell(wire::Verdict{.verdict = wire::Verdict::Kind::cancelled, .reason = "the request was given up"});
  forget(given_up);
}

// ---- what is asked --------------------------------------------------------------------------------------------------

std::string MessageGate::Impl::problem() {
  for (const Rules::Way& way : setup_.rules.messages.ways) {
    if (way.send.empty()) continue;
    if (auto found = program(way); !found) return fmt::format("by '{}': {}", way.name, found.error());
  }
  return {};
}

// The action of what has come: pinned, since nobody can change the memory any more.
MessageGate::Impl::Checked MessageGate::Impl::read(Job& job, const wire::MessageRequest& request) {
  auto size = requests::sealed_size(job.content);
  if (!size) return std::unexpected(size.error());
  std::uint64_t wanted = request.body;
  for (const auto& one : request.attachments) wanted += one.size;
  if (*size != wanted || request.body > wire::most_body || wanted - request.body > wire::most_attached) {
    return std::unexpected("the content is not as long as the sizes say");
  }
  policy::Message& message = job.message;
  message.backend = request.via;
  message.subject = request.subject;
  for (const std::string& one : request.to) {
    auto recipient = base::parse_recipient(one);
    if (!recipient) return std::unexpected(recipient.error());
    message.to.push_back(recipient->text);
  }
  auto body = requests::read_part(job.content, 0, request.body);
  if (!body) return std::unexpected("the content can't be read");
  message.body = with_newlines(*std::move(body));
  job.body = request.body;
  for (const auto& one : request.attachments) {
    message.attachments.push_back({.name = one.name, .sha256 = {}, .size = one.size});
  }
  return {};
}

// Beside the loop: it may be as much as 10 MiB, as often as the room likes.
void MessageGate::Impl::hash(const std::shared_ptr<Job>& job) {
  struct Work {
    UniqueFd content;
    std::uint64_t at = 0;
    std::vector<policy::Attachment> attachments;
    bool could_read = true;
  };
  auto work = std::make_shared<Work>(UniqueFd(::fcntl(job->content.get(), F_DUPFD_CLOEXEC, 0)), job->body,
                                     job->message.attachments);
  auto hash_all = [work, weak = std::weak_ptr(job)] {
    if (weak.expired()) return;  // not locked: see below
    for (policy::Attachment& one : work->attachments) {
      const auto bytes = requests::read_part(work->content, work->at, one.size);
      if (!bytes) {
        work->could_read = false;
        return;
      }
      work->at += one.size;
      one.sha256 = base::sha256(*bytes);
    }
  };
  // Held by `jobs_` alone: what the thread lets go of last must not be a job.
  ++hashing_;
  aside_.run(hash_all, [this, work, weak = std::weak_ptr(job)] {
    --hashing_;
    auto hashed = weak.lock();
    if (!hashed || !jobs_.contains(hashed)) return;
    if (!work->could_read) {
      hashed->from.refuse(wire::Code::wrong_parameters, "the content can't be read");
      return forget(hashed);
    }
    hashed->message.attachments = std::move(work->attachments);
    ask(hashed);
  });
}

std::shared_ptr<Job> MessageGate::Impl::take(const Requester& from, const wire::MessageRequest& request,
                                             UniqueFd content) {
  if (const std::size_t open = std::max(jobs_.size(), hashing_); open >= setup_.limits.open) {
    from.refuse(wire::Code::too_many, fmt::format("{} messages are open already: wait for them", open));
    return {};
  }
  auto job = std::make_shared<Job>(weak_from_this(), from);
  job->content = std::move(content);
  Checked checked = read(*job, request);
  const Rules::Way* way = setup_.rules.messages.way(job->message.backend);
  if (std::string problem; checked && way != nullptr) {
    problem = policy::problem_of(job->message, *way);
    if (!problem.empty()) checked = std::unexpected(std::move(problem));
  }
  if (!checked) {
    from.refuse(wire::Code::wrong_parameters, checked.error());
    return {};
  }
  job->to = request.to;
  job->why = request.why;
  jobs_.insert(job);
  job->message.attachments.empty() ? ask(job) : hash(job);
  return jobs_.contains(job) ? job : nullptr;
}

void MessageGate::Impl::ask(const std::shared_ptr<Job>& job) {
  const Rules::Way* way = setup_.rules.messages.way(job->message.backend);
  broker::Asked asked{.action = job->message, .title = "send a message", .said = job->why};
  // What is denied anyway needs no reason that tells about the host.
  if (way != nullptr && policy::rule(setup_.rules, job->message).decision != policy::Decision::deny) {
    if (!way->send.empty()) {
      auto measured = program(*way);
      if (!measured) {
        if (setup_.refused) setup_.refused(job->message, measured.error());
        job->from.refuse(wire::Code::failed, "the owner's way to send can't be used now: tell him");
        return forget(job);
      }
      job->program = *std::move(measured);
    }
    asked = question_about(job->message, job->to, *way, job->program, job->why);
    asked.delay = setup_.rules.messages.delay;
  }
  asked.waits = [weak = std::weak_ptr(job)](std::chrono::seconds left) {
    if (auto waiting = weak.lock(); waiting && waiting->ticket) waiting->from.tell(requests::in_wire(left));
  };
  job->ticket = decider_.ask(std::move(asked), [weak = weak_from_this(), job](const broker::Verdict& verdict) {
    job->ticket.reset();
    auto self = weak.lock();
    if (self && self->jobs_.contains(job)) self->decided(job, verdict);
  });
}

// ---- what was decided -----------------------------------------------------------------------------------------------

void MessageGate::Impl::decided(const std::shared_ptr<Job>& job, const broker::Verdict& verdict) {
  job->verdict = verdict;
  job->from.tell(requests::in_wire(verdict));
  if (verdict.kind == broker::Verdict::Kind::allow) return carry_out(job);
  forget(job);
}

void MessageGate::Impl::carry_out(const std::shared_ptr<Job>& job) {
  Checked started;
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
    settle(*job, not_sent(started.error()));
    return forget(job);
  }
  if (job->command) {
    job->command->when_ended([weak = weak_from_this(), job](const OwnersCommand::Ended& came) {
      if (auto self = weak.lock()) self->ended(job, came);
    });
    return;
  }
  job->post->when_ended([weak = weak_from_this(), job](const Post::Ended& what) {
    if (auto self = weak.lock()) self->posted(job, what);
  });
  job->timer = std::make_unique<boost::asio::steady_timer>(loop_, setup_.limits.time);
  job->timer->async_wait([weak = weak_from_this(), job](boost::system::error_code error) {
    auto self = weak.lock();
    if (error || !self || !job->post) return;
    self->posted(job, {.how = Post::Ended::How::lost, .why = "it took too long"});
  });
}

// The very bytes that were hashed: they are sealed, so that nobody could change them since.
MessageGate::Impl::Checked MessageGate::Impl::start(Job& job) {
  const Rules::Way* way = setup_.rules.messages.way(job.message.backend);
  if (way == nullptr) return std::unexpected("there is no such way to send");
  std::vector<std::string> contents;
  std::uint64_t at = job.body;
  for (const policy::Attachment& one : job.message.attachments) {
    auto bytes = requests::read_part(job.content, at, one.size);
    if (!bytes) return std::unexpected("an attachment can't be read");
    at += one.size;
    contents.push_back(*std::move(bytes));
  }
  if (!way->send.empty()) return start_program(job, *way, contents);
  if (!way->post) return std::unexpected("there is no such way to send");
  job.post = std::make_unique<Post>(loop_, *way->post, write_request(*way->post, write_json(job.message, contents)));
  return {};
}

MessageGate::Impl::Checked MessageGate::Impl::start_program(Job& job, const Rules::Way& way,
                                                            const std::vector<std::string>& contents) {
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const UniqueFd input =
      in_memory(way.format == profile::MessageFormat::mail ? write_mail(job.message, contents, now) : job.message.body);
  auto command = OwnersCommand::start(
      loop_,
      {.program = *job.program,
       .argv = policy::message_argv(way, job.message),
       .owner = setup_.owner,
       .search_path = programs_.search_path(),
       .input = input.get(),
       .limits = {.time = setup_.limits.time, .hang_up = setup_.limits.hang_up, .output = setup_.limits.output}});
  if (!command) return std::unexpected(std::move(command.error()));
  job.command = *std::move(command);
  return {};
}

void MessageGate::Impl::ended(const std::shared_ptr<Job>& job, const OwnersCommand::Ended& came) {
  Fate fate = fate_of(came);
  if (!came.said.empty()) fate.record += ": " + came.said;
  job->command.reset();
  settle(*job, fate);
  forget(job);
}

void MessageGate::Impl::posted(const std::shared_ptr<Job>& job, const Post::Ended& what) {
  const Fate fate = fate_of(what);
  job->post.reset();
  settle(*job, fate);
  forget(job);
}

void MessageGate::Impl::settle(Job& job, const Fate& fate) {
  decider_.outcome(job.verdict, job.message, fate.record);
  job.from.tell(fate.ended);
}

void MessageGate::Impl::forget(const std::shared_ptr<Job>& job) {
  job->from.done();
  if (job->timer) job->timer->cancel();
  jobs_.erase(job);
}

// Of the session itself. Nobody asks any more; what is being sent gets the time to end.
void MessageGate::Impl::end() {
  const auto until = std::chrono::steady_clock::now() + setup_.limits.at_end;
  auto left = [until] {
    const auto time = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    return std::max(time, std::chrono::milliseconds(0));
  };
  for (const auto& job : std::exchange(jobs_, {})) {
    if (job->ticket) decider_.cancel(*job->ticket);
    if (job->command) {
      if (const auto came = job->command->wait_for(left())) {
        ended(job, *came);
        continue;
      }
      job->command.reset();
    } else if (job->post) {
      if (const auto what = job->post->wait_for(left())) {
        settle(*job, fate_of(*what));
        continue;
      }
      job->post.reset();
    } else {
      continue;
    }
    settle(*job, fate_of(Post::Ended{.how = Post::Ended::How::lost, .why = "the session has ended"}));
  }
}

// ---- the face -------------------------------------------------------------------------------------------------------

MessageGate::MessageGate(boost::asio::io_context& loop, Decider& decider, Setup setup)
    : impl_(std::make_shared<Impl>(loop, decider, std::move(setup))) {}
MessageGate::~MessageGate() {
  impl_->end();
}
std::shared_ptr<requests::Request> MessageGate::take(const Requester& from, const wire::MessageRequest& request,
                                                     UniqueFd content) {
  return impl_->take(from, request, std::move(content));
}
std::string MessageGate::problem() {
  return impl_->problem();
}
MessageGate::Counters MessageGate::counters() const noexcept {
  return impl_->counters();
}

}  // namespace agentbox::gates::messages
