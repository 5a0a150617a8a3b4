#pragma once

// Runs one of the host's own programs for an answer: with an environment that is written here, no input, a
// deadline and a cap on what it says. Never a shell, never through PATH.

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "agentbox/base/path.hpp"
#include "agentbox/base/unique_fd.hpp"

namespace agentbox::launch {

// `name` in the system's own program folders; nothing if it isn't there. A user's folder is never looked at.
[[nodiscard]] std::optional<base::AbsPath> find_program(std::string_view name);

class HostProgram {
 public:
  struct Answer {
    int status = 0;      // as waitpid(2)
    std::string output;  // its standard output
    enum class End { exited, timed_out, said_too_much } end = End::exited;
    [[nodiscard]] bool succeeded() const { return end == End::exited && status == 0; }
  };
  enum class Errors { dropped, in_output };
  // Starts at once, in "/"; throws base::SystemError if it can't. argv[0] is the program.
  HostProgram(const std::vector<std::string>& argv, const std::vector<std::string>& environment,
              Errors errors = Errors::dropped);
  HostProgram(HostProgram&& other) noexcept : pid_(std::exchange(other.pid_, -1)), output_(std::move(other.output_)) {}
  HostProgram& operator=(HostProgram&&) = delete;
  ~HostProgram();  // kills it if nobody asked for its answer

  // Waits for its end. What is late or too long is killed, with its children.
  [[nodiscard]] Answer finish(std::chrono::milliseconds timeout, std::size_t limit);

 private:
  void kill_and_reap(int* status) noexcept;
  pid_t pid_ = -1;
  base::UniqueFd output_;
};

}  // namespace agentbox::launch
