#pragma once

// The supervisor needs more descriptors than most users' soft limit of 1,024; what it starts for its owner must not get
// them: a program that waits by select(2) breaks beyond that.

#include <cstdint>

#include <sys/resource.h>

namespace agentbox::gates {

// Raises the soft limit of this process to `wanted`, or as far as the hard one lets it. Returns what it is now. Never lowers.
std::uint64_t raise_open_files(std::uint64_t wanted) noexcept;
// What it was before the first of these: for whatever is executed. nullptr: it was never raised.
[[nodiscard]] const rlimit* open_files_before() noexcept;

}  // namespace agentbox::gates
