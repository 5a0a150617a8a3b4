#pragma once

#include <stdexcept>
#include <string>

namespace agentbox::base {

// Exit codes of `agentbox` itself (DESIGN: as env(1), timeout(1) and podman(1) have them).
enum class ExitCode { ok = 0, failed = 1, usage = 2, agentbox_failed = 125, not_executable = 126, not_found = 127 };

// A protection or a step that the system refused. Caught once, in main: nothing goes on after it.
// `code` is an errno value, 0 where there is none.
class SystemError : public std::runtime_error {
 public:
  // "what on which object", for example SystemError(errno, "cannot open /dev/ptmx", "is devpts mounted?").
  SystemError(int code, std::string what, std::string hint = {});

  [[nodiscard]] int code() const noexcept { return code_; }
  [[nodiscard]] const std::string& hint() const noexcept { return hint_; }

 private:
  int code_;
  std::string hint_;
};

// strerror without its global state.
[[nodiscard]] std::string errno_text(int code);

}  // namespace agentbox::base
