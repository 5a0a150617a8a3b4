#include "owners_command.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"

#include "environment.hpp"
#include "process.hpp"

namespace agentbox::gates::commands {

using base::SystemError;
using base::UniqueFd;
using Clock = std::chrono::steady_clock;

namespace {

constexpr auto look_again = std::chrono::milliseconds(200);
constexpr std::size_t most_said = 300;  // bytes

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

std::expected<Measured, std::string> measure_for_owner(HostPrograms& programs, const std::vector<std::string>& argv,
                                                       std::span<const base::AbsPath> writable) {
  if (std::string problem = within_reach(argv, writable); !problem.empty()) return std::unexpected(std::move(problem));
  auto measured = programs.measure(argv.front());
  if (!measured) return std::unexpected(measured.error().text);
  // A bare name says where it leads only now.
  std::string problem = within_reach({measured->program.path.str()}, writable);
  if (!problem.empty()) return std::unexpected(std::move(problem));
  return *std::move(measured);
}

class OwnersCommand::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(boost::asio::io_context& loop, std::unique_ptr<Process> process, Limits limits)
      : process_(std::move(process)), timer_(loop), limits_(limits) {}

  void when_ended(std::function<void(const Ended&)> done) {
    done_ = std::move(done);
    process_->when_ended([weak = weak_from_this()](int status) {
      if (auto self = weak.lock()) self->ended(status);
    });
    watch(Clock::now() + limits_.time);
  }
  std::optional<Ended> wait_for(std::chrono::milliseconds time) {
    if (!process_) return std::nullopt;
    const std::optional<int> status = process_->wait_for(time);
    return status ? std::optional(what_came(*status)) : std::nullopt;
  }
  void stop() {
    done_ = nullptr;
    timer_.cancel();
    process_.reset();
  }

 private:
  void watch(Clock::time_point deadline) {
    timer_.expires_at(std::min(deadline, Clock::now() + look_again));
    timer_.async_wait([weak = weak_from_this(), deadline](boost::system::error_code error) {
      auto self = weak.lock();
      if (error || !self || !self->process_) return;
      if (self->process_->kept() > self->limits_.output) return self->hang_up("it wrote too much");
      if (Clock::now() >= deadline) return self->hang_up("it took too long");
      self->watch(deadline);
    });
  }
  void hang_up(std::string why) {
    ended_by_us_ = std::move(why);
    process_->hang_up();
    timer_.expires_after(limits_.hang_up);
    timer_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
      auto self = weak.lock();
      if (!error && self && self->process_) self->process_->kill();
    });
  }
  void ended(int status) {
    const Ended came = what_came(status);
    if (auto done = std::exchange(done_, nullptr)) done(came);
  }
  Ended what_came(int status) {
    timer_.cancel();
    Ended came{.status = status, .ended_by_us = ended_by_us_, .said = last_words(*process_)};
    process_.reset();
    return came;
  }

  std::unique_ptr<Process> process_;  // while it runs
  boost::asio::steady_timer timer_;
  Limits limits_;
  std::string ended_by_us_;
  std::function<void(const Ended&)> done_;
};

std::expected<std::unique_ptr<OwnersCommand>, std::string> OwnersCommand::start(boost::asio::io_context& loop,
                                                                                const ToRun& run) {
  // Nobody in the room can plant anything there.
  const base::AbsPath directory;
  const UniqueFd root(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) throw SystemError(errno, "cannot open /");
  auto program = HostPrograms::open_again(run.program.program);
  if (!program) return std::unexpected(program.error().text);
  const policy::Command command{.argv = run.argv, .directory = directory};
  commands::ToRun how{.program = program->get(),
                      .script = {},
                      .argv = run.argv,
                      .environment = fixed_environment(run.owner, run.search_path, command),
                      .directory = root.get(),
                      .streams = Streams::kept,
                      .input = run.input};
  if (run.program.form == Measured::Form::script) how.script = run.program.program.path.str();
  auto process = Process::start(loop, how);
  if (!process) return std::unexpected("cannot be executed: " + base::errno_text(process.error()));
  return std::unique_ptr<OwnersCommand>(
      new OwnersCommand(std::make_shared<Impl>(loop, *std::move(process), run.limits)));
}

OwnersCommand::~OwnersCommand() {
  impl_->stop();
}
void OwnersCommand::when_ended(std::function<void(const Ended&)> done) {
  impl_->when_ended(std::move(done));
}
std::optional<OwnersCommand::Ended> OwnersCommand::wait_for(std::chrono::milliseconds time) {
  return impl_->wait_for(time);
}

}  // namespace agentbox::gates::commands
