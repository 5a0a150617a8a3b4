#include <set>
#include <utility>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/gates/changes/change_gate.hpp"

#include "question.hpp"
#include "targets.hpp"

namespace agentbox::gates::changes {

using base::AbsPath;
using base::SystemError;
using base::UniqueFd;
using requests::Requester;

namespace {

// Each folder that the room may write to.
std::vector<AbsPath> writable_roots(const policy::Policy& policy) {
  std::set<AbsPath> roots;
  for (const policy::Mount& mount : policy.mounts) {
    using Why = policy::Mount::Why;
    const bool is_grant = mount.why == Why::grant || mount.why == Why::workspace || mount.why == Why::git;
    if (is_grant && mount.access == policy::Access::write && mount.kind == policy::FileKind::directory) {
      roots.insert(mount.target);
    }
  }
  return {roots.begin(), roots.end()};
}

}  // namespace

// One request.change, from its line to its end.
struct Job final : requests::Request {
  Job(std::weak_ptr<ChangeGate::Impl> of, Requester by) : gate(std::move(of)), from(std::move(by)) {}
  void cancel() override;
  void abandon(const std::string& why) override;

  std::weak_ptr<ChangeGate::Impl> gate;
  Requester from;
  policy::Change change;
  Target target;
  AbsPath root;
  std::optional<std::string> content;             // nothing: it is removed
  std::optional<broker::Decider::Ticket> ticket;  // while it is asked
};

class ChangeGate::Impl : public std::enable_shared_from_this<ChangeGate::Impl> {
 public:
  Impl(broker::Decider& decider, Setup setup)
      : decider_(decider), setup_(std::move(setup)), targets_(writable_roots(*setup_.policy), setup_.limits.content) {}

  [[nodiscard]] std::shared_ptr<Job> take(const Requester& from, wire::ChangeRequest request, const UniqueFd& content);
  void cancel(const Job& job) {
    if (job.ticket) decider_.cancel(*job.ticket);
  }
  void end() {
    for (const auto& job : std::exchange(jobs_, {})) cancel(*job);
  }

 private:
  using Prepared = std::expected<broker::Asked, std::string>;
  [[nodiscard]] Prepared prepare(Job& job, const AbsPath& path, const std::string& why);
  void decided(const std::shared_ptr<Job>& job, const broker::Verdict& verdict);
  [[nodiscard]] std::expected<void, std::string> carry_out(const Job& job, const broker::Verdict& verdict);
  [[nodiscard]] std::expected<void, std::string> replace(const Job& job) const;

  broker::Decider& decider_;
  Setup setup_;
  Targets targets_;
  std::set<std::shared_ptr<Job>> jobs_;
};

void Job::cancel() {
  if (auto owner = gate.lock()) owner->cancel(*this);
}
void Job::abandon(const std::string& /*why*/) {
  from.forget();
  cancel();
}

// ---- what is proposed -----------------------------------------------------------------------------------------------

std::shared_ptr<Job> ChangeGate::Impl::take(const Requester& from, wire::ChangeRequest request,
                                            const UniqueFd& content) {
  if (jobs_.size() >= setup_.limits.open) {
    from.refuse(wire::Code::too_many, fmt::format("{} proposals are open already: wait for them", jobs_.size()));
    return {};
  }
  const auto path = AbsPath::parse(request.path);
  if (!path || path->str() != request.path) {
    from.refuse(wire::Code::wrong_parameters, "the path is no absolute path without '.', '..' and empty parts");
    return {};
  }
  auto job = std::make_shared<Job>(weak_from_this(), from);
  if (request.what == wire::ChangeRequest::What::write) {
    auto sealed = read_sealed(content, setup_.limits.content);
    if (!sealed) {
      from.refuse(wire::Code::wrong_parameters, std::move(sealed.error()));
      return {};
    }
    job->content = *std::move(sealed);
  }
  // For the record of what is refused before the file is looked at.
  job->target.path = *path;
  job->change = change_of(job->target, job->content);
  Prepared asked;
  try {
    asked = prepare(*job, *path, request.why);
  } catch (const SystemError& error) {
    asked = std::unexpected(error.what());
  }
  if (!asked) {
    if (setup_.refused) setup_.refused(job->change, asked.error());
    from.refuse(wire::Code::failed, std::move(asked.error()));
    return {};
  }
  jobs_.insert(job);
  job->ticket = decider_.ask(*std::move(asked), [weak = weak_from_this(), job](const broker::Verdict& verdict) {
    job->ticket.reset();
    auto self = weak.lock();
    if (self && self->jobs_.erase(job) > 0) self->decided(job, verdict);
  });
  return job;
}

ChangeGate::Impl::Prepared ChangeGate::Impl::prepare(Job& job, const AbsPath& path, const std::string& why) {
  const std::string name = base::escape(path.str());
  auto standing = policy::standing_of(*setup_.policy, path);
  if (!standing) return std::unexpected(standing.error());
  job.root = standing->root;
  auto target = targets_.open(job.root, path);
  if (!target) return std::unexpected(target.error());
  job.target = *std::move(target);
  job.change = change_of(job.target, job.content);
  if (job.target.is == Target::Is::missing && !job.content) return std::unexpected(name + " is not there");
  std::optional<Original> original = setup_.original ? setup_.original(path) : std::nullopt;
  if (original && original->was == Original::Was::other) {
    return std::unexpected(name + " was no file when the run began: tell the owner what to change, and why");
  }
  // A held file may say already what is proposed: the owner's yes is what it lacks.
  const bool is_so = job.target.is == Target::Is::file && job.target.content == job.content;
  const bool stays_so = !original || (original->was == Original::Was::file && original->content == job.content);
  if (is_so && stays_so) return std::unexpected(name + " says exactly this already");
  return question_about(
      {.target = job.target, .standing = *standing, .original = original, .content = job.content, .said = why});
}

// ---- what was decided -----------------------------------------------------------------------------------------------

void ChangeGate::Impl::decided(const std::shared_ptr<Job>& job, const broker::Verdict& verdict) {
  if (verdict.kind != broker::Verdict::Kind::allow) {
    job->from.tell(requests::in_wire(verdict));
  } else if (job->from.is_gone()) {
    decider_.outcome(verdict, job->change, "not changed: its requester has gone");
  } else if (const auto done = carry_out(*job, verdict)) {
    job->from.tell(requests::in_wire(verdict));
  } else {
    job->from.refuse(wire::Code::failed, "the owner allowed it, but nothing was changed: " + done.error());
  }
  job->from.done();
}

// Exactly these bytes, in place of exactly those that were shown.
std::expected<void, std::string> ChangeGate::Impl::carry_out(const Job& job, const broker::Verdict& verdict) {
  std::expected<void, std::string> done;
  try {
    if (setup_.before) setup_.before();
  } catch (const SystemError& error) {
    done = std::unexpected(error.what());
    decider_.outcome(verdict, job.change, "not changed: " + done.error());
    return done;
  }
  try {
    done = replace(job);
  } catch (const SystemError& error) {
    done = std::unexpected(error.what());
  }
  decider_.outcome(verdict, job.change, !done ? "not changed: " + done.error() : job.content ? "written" : "removed");
  // What these throw ends the run: a room must not go on beside what could not be guarded again.
  if (done && setup_.changed) setup_.changed(job.target.path);
  if (setup_.after) setup_.after();
  return done;
}

std::expected<void, std::string> ChangeGate::Impl::replace(const Job& job) const {
  auto now = targets_.open(job.root, job.target.path);
  if (!now) return std::unexpected(now.error());
  if (!now->is_as(job.target)) {
    return std::unexpected(base::escape(job.target.path.str()) +
                           " was changed meanwhile: look at it, and propose again");
  }
  if (job.content) {
    write(*now, *job.content);
  } else {
    remove(*now);
  }
  return {};
}

ChangeGate::ChangeGate(broker::Decider& decider, Setup setup)
    : impl_(std::make_shared<Impl>(decider, std::move(setup))) {}
ChangeGate::~ChangeGate() {
  impl_->end();
}
std::shared_ptr<requests::Request> ChangeGate::take(Requester from, wire::ChangeRequest request, UniqueFd content) {
  return impl_->take(from, std::move(request), content);
}

}  // namespace agentbox::gates::changes
