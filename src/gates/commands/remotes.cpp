// Which addresses git will talk to: it is asked for all its settings, the owner's and the repository's, in the very
// environment that it will run in. That runs nothing of the repository's (git-config(1)); its answer is only read.
// Before the question the room doesn't stand still, so the same is found out again after the yes, when it does.

#include <algorithm>
#include <array>
#include <utility>

#include <unistd.h>

#include "agentbox/base/error.hpp"

#include "impl.hpp"

namespace agentbox::gates::commands {

namespace {

constexpr std::uint64_t most_settings = 4 << 20;
// A file that somebody in the room holds a lease on, or has made a FIFO, keeps it waiting: not longer than this.
constexpr auto most_time = std::chrono::seconds(10);
constexpr auto look_again = std::chrono::milliseconds(200);

// Nothing: too much, or it can't be read.
std::optional<std::string> read_all(const base::UniqueFd& file) {
  std::string text;
  std::array<char, 65536> part;
  for (;;) {
    const ssize_t count = ::read(file.get(), part.data(), part.size());
    if (count < 0) return std::nullopt;
    if (count == 0) return text;
    text.append(part.data(), static_cast<std::size_t>(count));
    if (text.size() > most_settings) return std::nullopt;
  }
}

void watch_over(const std::shared_ptr<Lookup>& lookup, std::chrono::steady_clock::time_point deadline) {
  lookup->timer->expires_at(std::min(deadline, std::chrono::steady_clock::now() + look_again));
  lookup->timer->async_wait([weak = std::weak_ptr(lookup), deadline](boost::system::error_code error) {
    auto self = weak.lock();
    if (error || !self || !self->process) return;
    const bool is_over = std::chrono::steady_clock::now() >= deadline;
    if (is_over || self->process->kept() > most_settings) return self->process->kill();
    watch_over(self, deadline);
  });
}

}  // namespace

void CommandGate::Impl::find_remotes(const std::shared_ptr<Job>& job, const ToRun& run, const policy::GitView& view,
                                     std::function<void(policy::Remotes)> then) {
  const auto traffic = policy::traffic_of_git(job->command.argv);
  // Nobody has said yes to a program that the room can change.
  const bool is_safe = !places_.is_writable(job->command.program->path);
  const auto looking = std::ranges::count_if(jobs_, [](const auto& one) { return one->lookup != nullptr; });
  const bool is_much = static_cast<std::size_t>(looking) >= setup_.limits.running;
  if (!traffic || traffic->whom == policy::GitTraffic::Whom::unsure || !is_safe || is_much) return then({});
  ToRun how{.program = run.program,
            .argv = {job->command.argv.front(), "config", "--list", "-z"},
            .environment = run.environment,
            .directory = run.directory,
            .streams = Streams::kept};
  if (job->measured.form == Measured::Form::script) how.script = job->command.program->path.str();
  auto lookup = std::make_shared<Lookup>();
  try {
    auto process = Process::start(loop_, how);
    if (!process) return then({});
    lookup->process = *std::move(process);
  } catch (const base::SystemError&) {
    return then({});
  }
  lookup->timer = std::make_unique<boost::asio::steady_timer>(loop_);
  job->lookup = lookup;
  lookup->process->when_ended([weak = weak_from_this(), held = std::weak_ptr(lookup), job, seen = policy::GitView(view),
                               traffic, then = std::move(then)](int status) mutable {
    auto self = weak.lock();
    auto ended = held.lock();
    if (!self || !ended) return;
    job->lookup.reset();
    ended->timer->cancel();
    policy::Remotes found;
    try {
      std::vector<base::UniqueFd> streams = ended->process->take_streams();
      const std::optional<std::string> text = status == 0 ? read_all(streams.at(1)) : std::nullopt;
      if (text) {
        seen.config = policy::read_git_list(*text);
        found = policy::remotes_of(*traffic, seen);
      }
    } catch (const base::SystemError&) {
      found = {};  // not certain
    }
    ended->process.reset();
    if (self->jobs_.contains(job)) then(std::move(found));
  });
  watch_over(lookup, std::chrono::steady_clock::now() + most_time);
}

}  // namespace agentbox::gates::commands
