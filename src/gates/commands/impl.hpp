#pragma once

// The server's own parts: who is connected, what was asked, what runs.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "agentbox/gates/commands/command_server.hpp"
#include "agentbox/gates/commands/programs.hpp"

#include "git.hpp"
#include "places.hpp"
#include "process.hpp"
#include "question.hpp"
#include "requests/connection.hpp"

namespace agentbox::gates::commands {

using requests::Connection;

// One request.command, from its line to its end.
struct Job {
  std::uint64_t id = 0;
  std::weak_ptr<Connection> connection;  // gone: nobody is told
  policy::Command command;
  Measured measured;
  std::uint64_t device = 0, inode = 0;  // of the directory that the question named
  std::optional<wire::WindowSize> size;
  bool git = false;
  std::string why;                                // the requester's own words
  std::optional<broker::Decider::Ticket> ticket;  // while it is asked
  broker::Verdict verdict;
  std::unique_ptr<Process> process;  // while it runs
  bool starting = false;             // allowed, and its program is hashed once more
  bool standing_still = false;       // `before` was called for it
  std::string ended_by_us;           // why; empty: it wasn't
  std::unique_ptr<boost::asio::steady_timer> timer;
};

class CommandServer::Impl : public std::enable_shared_from_this<CommandServer::Impl> {
 public:
  Impl(boost::asio::io_context& loop, broker::Decider& decider, Setup setup);

  // server.cpp
  void serve(base::UniqueFd listener);
  void stop();
  void end();  // of the server itself
  [[nodiscard]] Counters counters() const noexcept;

 private:
  using Jobs = std::map<std::pair<Connection*, std::uint64_t>, std::shared_ptr<Job>>;
  struct Listener;
  using Linked = std::shared_ptr<Connection>;

  // server.cpp
  void wait(Listener& listener);
  void accept(Listener& listener);
  void welcome(base::UniqueFd socket);
  void received(const Linked& connection, wire::FromRoom message);
  void gone(Connection* connection);
  void abandon(const std::shared_ptr<Job>& job, std::string why);
  [[nodiscard]] std::shared_ptr<Job> find(const Linked& connection, std::uint64_t id) const;
  [[nodiscard]] wire::RoomStatus status() const;

  // ask.cpp
  void ask(const Linked& connection, std::uint64_t id, wire::CommandRequest request);
  void measured(const std::shared_ptr<Job>& job);
  void refuse_job(const std::shared_ptr<Job>& job, std::string why);
  void refuse(const Linked& connection, std::uint64_t id, wire::Code code, std::string why,
              const policy::Action* action = nullptr);
  bool pass(const Linked& connection, std::uint64_t id, const policy::Command& command);
  void put(const Linked& connection, std::shared_ptr<Job> job, broker::Asked asked);
  void decided(const std::shared_ptr<Job>& job, const broker::Verdict& verdict);

  // hashing.cpp
  void hash(const std::shared_ptr<Job>& job, FileHash file, std::function<void(FileHash)> then);
  void hash_later();
  void hash_on();

  // carry_out.cpp
  struct Starting;
  void carry_out(const std::shared_ptr<Job>& job);
  [[nodiscard]] std::expected<Starting, std::string> prepare(const std::shared_ptr<Job>& job);
  [[nodiscard]] std::expected<void, std::string> start(const std::shared_ptr<Job>& job, Starting& starting,
                                                       FileHash hash);
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
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::set<Linked> connections_;
  std::set<std::shared_ptr<Job>> jobs_;
  Jobs by_id_;
  // What is hashed, and for whom; the first has its turn.
  struct Hashing {
    std::shared_ptr<Job> job;
    FileHash file;
    std::function<void(FileHash)> then;
  };
  std::deque<Hashing> hashing_;
  std::size_t running_ = 0;
  bool stopped_ = false;
};

struct CommandServer::Impl::Listener {
  explicit Listener(boost::asio::io_context& loop) : socket(loop), timer(loop) {}
  boost::asio::posix::stream_descriptor socket;
  boost::asio::steady_timer timer;
};

void tell(const Job& job, decltype(wire::ToRoom::body) body, std::vector<base::UniqueFd> with = {});

}  // namespace agentbox::gates::commands
