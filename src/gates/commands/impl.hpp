#pragma once

// The gate's own parts: what was asked, what runs.

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "agentbox/gates/commands/command_gate.hpp"
#include "agentbox/gates/commands/programs.hpp"

#include "git.hpp"
#include "places.hpp"
#include "process.hpp"
#include "question.hpp"

namespace agentbox::gates::commands {

using requests::Requester;

// git, asked for its configuration. Its end kills what still runs.
struct Lookup {
  std::unique_ptr<Process> process;
  std::unique_ptr<boost::asio::steady_timer> timer;
};

// One request.command, from its line to its end.
struct Job final : requests::Request, std::enable_shared_from_this<Job> {
  Job(std::weak_ptr<CommandGate::Impl> of, Requester by) : gate(std::move(of)), from(std::move(by)) {}
  void cancel() override;
  void abandon(const std::string& why) override;
  void signal(int number) override;
  void resize(wire::WindowSize to) override;

  std::weak_ptr<CommandGate::Impl> gate;
  Requester from;
  policy::Command command;
  Measured measured;
  std::uint64_t device = 0, inode = 0;  // of the directory that the question named
  std::optional<wire::WindowSize> size;
  bool git = false;
  std::string why;                                // the requester's own words
  std::optional<broker::Decider::Ticket> ticket;  // while it is asked
  broker::Verdict verdict;
  std::unique_ptr<Process> process;  // while it runs
  bool starting = false;             // allowed, and its program is hashed once more, its addresses looked up again
  std::shared_ptr<Lookup> lookup;    // before the question, and again after the yes
  bool standing_still = false;       // `before` was called for it
  std::string ended_by_us;           // why; empty: it wasn't
  std::unique_ptr<boost::asio::steady_timer> timer;
};

class CommandGate::Impl : public std::enable_shared_from_this<CommandGate::Impl> {
 public:
  Impl(boost::asio::io_context& loop, broker::Decider& decider, Setup setup);

  // ask.cpp
  [[nodiscard]] std::shared_ptr<Job> take(Requester from, wire::CommandRequest request);

  // gate.cpp
  void abandon(const std::shared_ptr<Job>& job, const std::string& why);
  void cancel(Job& job);
  void end();  // of the gate itself
  [[nodiscard]] Counters counters() const noexcept { return {.requests = jobs_.size(), .running = running_}; }

 private:
  // ask.cpp
  void measured(const std::shared_ptr<Job>& job);
  void ask(const std::shared_ptr<Job>& job, const Known& known);
  void refuse_job(const std::shared_ptr<Job>& job, std::string why);
  void refuse(const Requester& from, wire::Code code, std::string why, const policy::Action* action = nullptr);
  bool pass(const Requester& from, const policy::Command& command);
  void put(const std::shared_ptr<Job>& job, broker::Asked asked);
  void decided(const std::shared_ptr<Job>& job, const broker::Verdict& verdict);

  // hashing.cpp
  void hash(const std::shared_ptr<Job>& job, FileHash file, std::function<void(FileHash)> then);
  void hash_later();
  void hash_on();

  // remotes.cpp
  // `then` is called at once or from the loop, not at all when the job is no more. The descriptors and the run's
  // environment must be there until it is.
  void find_remotes(const std::shared_ptr<Job>& job, const ToRun& run, const policy::GitView& view,
                    std::function<void(policy::Remotes)> then);

  // carry_out.cpp
  struct Starting;
  void carry_out(const std::shared_ptr<Job>& job);
  [[nodiscard]] std::expected<Starting, std::string> prepare(const std::shared_ptr<Job>& job);
  void verified(const std::shared_ptr<Job>& job, const std::shared_ptr<Starting>& starting, FileHash hash);
  [[nodiscard]] std::expected<void, std::string> start(const std::shared_ptr<Job>& job, Starting& starting);
  void not_started(const std::shared_ptr<Job>& job, const std::string& why);
  void watch(const std::shared_ptr<Job>& job);
  void watch_standstill(const std::shared_ptr<Job>& job);
  void ended(const std::shared_ptr<Job>& job, int status);
  void hang_up(const std::shared_ptr<Job>& job, std::string why);
  void go_on(Job& job);
  void forget(Job& job);

  boost::asio::io_context& loop_;
  broker::Decider& decider_;
  Setup setup_;
  Places places_;
  HostPrograms programs_;
  std::set<std::shared_ptr<Job>> jobs_;
  // What is hashed, and for whom; the first has its turn.
  struct Hashing {
    std::shared_ptr<Job> job;
    FileHash file;
    std::function<void(FileHash)> then;
  };
  std::deque<Hashing> hashing_;
  std::size_t running_ = 0;
};

}  // namespace agentbox::gates::commands
