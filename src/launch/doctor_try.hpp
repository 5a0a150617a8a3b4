#pragma once

// How the doctor tries things: in a child, so that a filter, a namespace or a crash stays there.

#include <functional>
#include <optional>
#include <string>

namespace agentbox::launch {

struct Trouble {
  int code = 0;      // errno, 0 where there is none
  std::string what;  // "cannot mount: Operation not permitted"
  std::string hint;  // what to do, if the one who failed knows
};

// Runs `work` in a child with no terminal and no standard streams. What it throws as base::SystemError comes back; so
// does its death, and its not coming to an end within five seconds. Nothing: it worked.
[[nodiscard]] std::optional<Trouble> try_in_child(const std::function<void()>& work);

// For use in a child: enters a user namespace of its own as root, with the other namespaces of `flags`.
void enter_own_namespaces(int flags);

// The calls that the launch stands on, each done for real; each throws base::SystemError.
void try_mount_calls();          // in namespaces of its own: clone a tree, make it read-only, move it, take it off
void try_paths_and_processes();  // openat2, pidfd, close_range, sealed memory files
void try_seccomp();
void try_keyring();
void try_terminal();
void try_inotify();
void try_tracing();  // of a process in a user namespace of its own, as those of a room are
void try_capture();  // of connections, in a network namespace of its own
void try_fuse();
void try_overlay(const std::string& folder);

}  // namespace agentbox::launch
