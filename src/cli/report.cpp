#include "report.hpp"

#include <cstdio>

namespace agentbox::cli {

int refuse(const base::Diagnostics& diagnostics, const Terminal& terminal, base::ExitCode code) {
  // A standard error that can't be written is no reason to end otherwise.
  std::fputs(base::render(diagnostics, terminal.err).c_str(), stderr);
  return static_cast<int>(code);
}

}  // namespace agentbox::cli
