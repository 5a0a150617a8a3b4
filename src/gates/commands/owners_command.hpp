#pragma once

// A command of the profile's that pays or sends for the owner, outside the room. The room chooses when, and some of the
// words; never what runs. It runs in /, with a fixed environment, and nothing of what it says goes back into the room.

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agentbox/gates/commands/command_gate.hpp"
#include "agentbox/gates/commands/programs.hpp"

namespace boost::asio {
class io_context;
}

namespace agentbox::gates::commands {

// The program of `argv`, as it is now; an error, one clause, also where the room can change what the command does.
[[nodiscard]] std::expected<Measured, std::string> measure_for_owner(HostPrograms& programs,
                                                                     const std::vector<std::string>& argv,
                                                                     std::span<const base::AbsPath> writable);

class OwnersCommand {
 public:
  struct Limits {
    std::chrono::milliseconds time;     // then it is told to end
    std::chrono::milliseconds hang_up;  // from SIGHUP to SIGKILL
    std::uint64_t output;               // bytes that it may write
  };
  struct ToRun {
    const Measured& program;
    std::vector<std::string> argv;
    const Owner& owner;
    const std::string& search_path;
    int input = -1;  // open for reading; -1: nothing to read
    Limits limits;
  };
  struct Ended {
    int status = 0;           // as wait(2) has it
    std::string ended_by_us;  // why it was told to end, and so may say anything; empty: it wasn't
    std::string said;         // its last line, escaped, for the owner's record
  };

  // Verifies the program once more. Throws base::SystemError when something could not be made.
  [[nodiscard]] static std::expected<std::unique_ptr<OwnersCommand>, std::string> start(boost::asio::io_context& loop,
                                                                                        const ToRun& run);
  // Kills it, and waits, if it still runs.
  ~OwnersCommand();
  OwnersCommand(const OwnersCommand&) = delete;
  OwnersCommand& operator=(const OwnersCommand&) = delete;

  // Once, from the loop; not after the destructor, which may be called from within.
  void when_ended(std::function<void(const Ended&)> done);
  // Without the loop, and then `done` is not called: nothing if it still runs after `time`.
  [[nodiscard]] std::optional<Ended> wait_for(std::chrono::milliseconds time);

 private:
  class Impl;
  explicit OwnersCommand(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

}  // namespace agentbox::gates::commands
