#pragma once

// A host command that runs: its streams, its signals, its end.

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/wire/broker_message.hpp"

namespace boost::asio {
class io_context;
}

namespace agentbox::gates::commands {

enum class Streams : std::uint8_t {
  pipes,
  terminal,
  kept  // reads `input`; the output goes to memory until the command has ended: its reader stands still meanwhile
};

struct ToRun {
  int program = -1;    // open, verified
  std::string script;  // its path, when it is one
  std::vector<std::string> argv, environment;
  int directory = -1;
  Streams streams = Streams::pipes;
  int input = -1;         // of `kept`, open for reading; -1: nothing to read
  wire::WindowSize size;  // of the terminal
};

class Process {
 public:
  // Throws base::SystemError when something could not be made; an errno when the program could not be executed.
  [[nodiscard]] static std::expected<std::unique_ptr<Process>, int> start(boost::asio::io_context& loop,
                                                                          const ToRun& run);
  // Kills the whole session, and waits, if it still runs.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // Once, from the loop: a status as wait(2) has it. Not after the destructor.
  void when_ended(std::function<void(int status)> done);
  // Without the loop, and then `done` is not called: the status, or nothing if it still runs after `time`.
  [[nodiscard]] std::optional<int> wait_for(std::chrono::milliseconds time);
  // What the room gets: see wire::CommandStarted. Once; of `kept` streams only after the end.
  [[nodiscard]] std::vector<base::UniqueFd> take_streams();
  // Bytes of kept output, so far.
  [[nodiscard]] std::uint64_t kept() const;

  // To the terminal's foreground group, else to the command's own.
  void signal(int number);
  void resize(wire::WindowSize size);
  // SIGHUP to its group now; whatever is left of its session is killed when the command ends, or by `kill`.
  void hang_up();
  void kill();

 private:
  class Impl;
  explicit Process(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

}  // namespace agentbox::gates::commands
