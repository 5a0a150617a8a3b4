#pragma once

// The process's own standard streams, as they are when it starts.

#include <cstddef>

#include "options.hpp"

namespace agentbox::cli {

// Each of 0, 1, 2 that is closed becomes /dev/null, so that no file opened later takes its number and gets
// what was meant for a stream. Must come before anything else is opened. Throws base::SystemError.
void open_missing_streams();

// Colours only on a terminal that can show them, and never with NO_COLOR (https://no-color.org).
[[nodiscard]] Terminal judge_terminal();

// Columns of the terminal that is stdout; 0 when it is none, or doesn't know.
[[nodiscard]] std::size_t terminal_width();

// Flushes stdout. Throws base::SystemError if not everything could be written (a full disk must not look like
// success); a reader that went away is no error of ours.
void finish_output();

}  // namespace agentbox::cli
