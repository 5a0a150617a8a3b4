#pragma once

#include "agentbox/base/diagnostic.hpp"
#include "agentbox/base/error.hpp"

#include "options.hpp"

namespace agentbox::cli {

// Prints all diagnostics to stderr and gives the exit code back: `return refuse(profile.error(), terminal,
// code)`.
[[nodiscard]] int refuse(const base::Diagnostics& diagnostics, const Terminal& terminal, base::ExitCode code);

}  // namespace agentbox::cli
