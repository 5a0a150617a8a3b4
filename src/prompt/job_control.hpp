#pragma once

namespace agentbox::prompt {

// What the terminal does to a job on Ctrl-Z, done by ourselves: stops our whole process group, for a pipeline is one
// job. Returns when the shell has continued us; at once where no shell is left that could (an orphaned group, which the
// kernel spares from SIGTSTP, and which SIGSTOP would leave behind for ever).
void stop_until_continued() noexcept;

}  // namespace agentbox::prompt
