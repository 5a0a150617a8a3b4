#include "report.hpp"

#include <cstdio>

#include <fmt/format.h>

namespace agentbox::cli {

int refuse(const base::Diagnostics& diagnostics, const Terminal& terminal, base::ExitCode code) {
  fmt::print(stderr, "{}", base::render(diagnostics, terminal.err));
  return static_cast<int>(code);
}

}  // namespace agentbox::cli
