// From a yes to the end of a command: exactly what was asked is run, once everything has been measured again.

#include <csignal>
#include <cstdlib>
#include <utility>

#include <sys/wait.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"

#include "environment.hpp"
#include "impl.hpp"

namespace agentbox::gates::commands {

using base::SystemError;
using base::UniqueFd;

namespace {

constexpr int not_executed = 126;
constexpr auto look_again = std::chrono::milliseconds(200);

std::string in_words(int status) {
  if (WIFSIGNALED(status)) return "killed by signal " + std::to_string(WTERMSIG(status));
  return "exit code " + std::to_string(WEXITSTATUS(status));
}

wire::CommandExited exited(int status, std::string reason) {
  if (WIFSIGNALED(status)) return {wire::CommandExited::How::killed, WTERMSIG(status), std::move(reason)};
  return {wire::CommandExited::How::exited, WEXITSTATUS(status), std::move(reason)};
}

}  // namespace

// What is opened and checked; its program last, because that may take a while.
struct CommandGate::Impl::Starting {
  Place place;
  ToRun run;
  policy::GitView view;
  UniqueFd program;
};

void CommandGate::Impl::carry_out(const std::shared_ptr<Job>& job) {
  if (running_ >= setup_.limits.running) {
    return not_started(job, std::to_string(running_) + " commands run already: wait until some have ended");
  }
  try {
    auto prepared = prepare(job);
    if (!prepared) return not_started(job, prepared.error());
    auto program = HostPrograms::begin_again(*job->command.program);
    if (!program) return not_started(job, program.error().text);
    ++running_;
    job->starting = true;
    auto starting = std::make_shared<Starting>(*std::move(prepared));
    hash(job, *std::move(program), [this, job, starting](FileHash file) {
      job->starting = false;
      --running_;
      verified(job, starting, std::move(file));
    });
  } catch (const SystemError& error) {
    not_started(job, error.what());
  }
}

// Its program is the one that was asked for, and so must the addresses be.
void CommandGate::Impl::verified(const std::shared_ptr<Job>& job, const std::shared_ptr<Starting>& starting,
                                 FileHash hash) {
  auto launch = [this, job, starting] {
    if (job->from.is_gone()) return not_started(job, "its requester has gone");
    try {
      if (auto started = start(job, *starting); !started) return not_started(job, started.error());
    } catch (const SystemError& error) {
      return not_started(job, error.what());
    }
    ++running_;
    watch(job);
  };
  auto program = HostPrograms::finish_again(std::move(hash), *job->command.program);
  if (!program) return not_started(job, program.error().text);
  starting->program = *std::move(program);
  starting->run.program = starting->program.get();
  if (!job->command.remotes) return launch();
  job->starting = true;
  find_remotes(job, starting->run, starting->view, [this, job, launch](const policy::Remotes& now) {
    job->starting = false;
    if (now != *job->command.remotes) {
      return not_started(job, "the addresses that git would talk to are others than in the question");
    }
    launch();
  });
}

void CommandGate::Impl::not_started(const std::shared_ptr<Job>& job, const std::string& why) {
  go_on(*job);
  decider_.outcome(job->verdict, job->command, "not started: " + why);
  job->from.tell(wire::CommandExited{wire::CommandExited::How::exited, not_executed, why});
  forget(*job);
}

std::expected<CommandGate::Impl::Starting, std::string> CommandGate::Impl::prepare(const std::shared_ptr<Job>& job) {
  // From here on nobody in the room can change what is looked at.
  if (job->git && setup_.before) {
    setup_.before();
    job->standing_still = true;
  }
  auto place = places_.open(job->command.directory);
  if (!place) return std::unexpected(place.error());
  if (place->device != job->device || place->inode != job->inode) {
    return std::unexpected(base::escape(job->command.directory.str()) + " has changed since the question");
  }
  ToRun run{.argv = job->command.argv,
            .environment = fixed_environment(setup_.owner, programs_.search_path(), job->command),
            .directory = place->directory.get()};
  if (job->git) {
    auto git = prepare_git(job->command.argv, *place);
    if (!git) return std::unexpected(git.error());
    run.environment.insert(run.environment.end(), git->environment.begin(), git->environment.end());
    run.streams = Streams::kept;
    return Starting{*std::move(place), std::move(run), std::move(git->view), {}};
  } else if (job->size) {
    run.streams = Streams::terminal;
    run.size = *job->size;
  }
  return Starting{*std::move(place), std::move(run), {}, {}};
}

std::expected<void, std::string> CommandGate::Impl::start(const std::shared_ptr<Job>& job, Starting& starting) {
  ToRun& run = starting.run;
  if (run.streams == Streams::terminal) run.size = *job->size;  // it may have changed meanwhile
  // Its interpreter opens a script by its path: who may write there can still swap it within this instant.
  if (job->measured.form == Measured::Form::script) run.script = job->command.program->path.str();
  auto process = Process::start(loop_, run);
  if (!process) return std::unexpected("cannot be executed: " + base::errno_text(process.error()));
  job->process = *std::move(process);
  return {};
}

void CommandGate::Impl::watch(const std::shared_ptr<Job>& job) {
  if (!job->git) job->from.tell(wire::CommandStarted{}, job->process->take_streams());
  job->process->when_ended([weak = weak_from_this(), job](int status) {
    if (auto self = weak.lock()) self->ended(job, status);
  });
  if (!job->git) return;
  job->timer = std::make_unique<boost::asio::steady_timer>(loop_, setup_.limits.standstill);
  watch_standstill(job);
}

// The room stands still and nobody reads: neither may go on without end.
void CommandGate::Impl::watch_standstill(const std::shared_ptr<Job>& job) {
  const auto deadline = job->timer->expiry();
  job->timer->expires_at(std::min(deadline, std::chrono::steady_clock::now() + look_again));
  job->timer->async_wait([weak = weak_from_this(), job, deadline](boost::system::error_code error) {
    auto self = weak.lock();
    if (error || !self || !job->process) return;
    if (job->process->kept() > self->setup_.limits.standstill_output) {
      return self->hang_up(job, "it wrote too much while the room stood still");
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      return self->hang_up(job, "it took too long while the room stood still");
    }
    job->timer->expires_at(deadline);
    self->watch_standstill(job);
  });
}

void CommandGate::Impl::hang_up(const std::shared_ptr<Job>& job, std::string why) {
  job->ended_by_us = std::move(why);
  job->process->hang_up();
  job->timer = std::make_unique<boost::asio::steady_timer>(loop_, setup_.limits.hang_up);
  job->timer->async_wait([job](boost::system::error_code error) {
    if (!error && job->process) job->process->kill();
  });
}

void CommandGate::Impl::ended(const std::shared_ptr<Job>& job, int status) {
  --running_;
  std::string outcome = in_words(status);
  if (!job->ended_by_us.empty()) outcome += ": " + job->ended_by_us;
  decider_.outcome(job->verdict, job->command, outcome);
  if (job->git) {
    try {
      job->from.tell(wire::CommandStarted{}, job->process->take_streams());
    } catch (const SystemError& error) {
      job->ended_by_us = std::string("its output is lost: ") + error.what();
    }
  }
  job->process.reset();
  go_on(*job);
  job->from.tell(exited(status, job->ended_by_us));
  forget(*job);
}

// Once for each `before`.
void CommandGate::Impl::go_on(Job& job) {
  if (std::exchange(job.standing_still, false) && setup_.after) setup_.after();
}

void CommandGate::Impl::forget(Job& job) {
  job.from.done();
  job.lookup.reset();
  if (job.timer) job.timer->cancel();
  std::erase_if(jobs_, [&](const std::shared_ptr<Job>& one) { return one.get() == &job; });
}

}  // namespace agentbox::gates::commands
