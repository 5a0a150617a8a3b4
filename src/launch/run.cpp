// The way of one launch, from a plan to an exit code. The order is what makes it safe:
//
//  1. the guard writes down what will be made, before it is made
//  2. bwrap is spawned; it lays a floor that holds nothing to execute, and waits
//  3. the helper furnishes the room; its last step puts init where bwrap will look for it
//  4. bwrap is let go, init starts the agent
//
// bwrap takes end-of-file on its block descriptor as "go". So if we die before 3 has ended, it goes on, finds nothing to
// execute, and ends. If we die after it, the room is whole, but init meets end-of-file on its control socket, and
// PR_SET_PDEATHSIG kills bwrap, which takes the room with it.

#include "agentbox/launch/run.hpp"

#include <array>
#include <cerrno>
#include <optional>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/gates/network/loopback_gate.hpp"
#include "agentbox/gates/network/publish_gate.hpp"
#include "agentbox/launch/guard.hpp"
#include "agentbox/launch/sessions.hpp"
#include "agentbox/prompt/relay.hpp"
#include "bwrap_facts.hpp"
#include "helper.hpp"
#include "places.hpp"
#include "report.hpp"
#include "seccomp_compile.hpp"
#include "signals.hpp"
#include "spawn.hpp"
#include "streams.hpp"
#include "supervisor.hpp"

namespace agentbox::launch {

namespace {

using base::AbsPath;
using base::SystemError;

// `write` with a trailing slash makes what is missing. Each parent exists or is made with it.
void make_granted_folders(const std::vector<policy::ToMake>& folders) {
  for (const policy::ToMake& folder : folders) make_private_folders(folder.path);
}

// Ends bwrap, which may wait on its block descriptor, if an exception leaves it behind.
class BwrapReaper {
 public:
  explicit BwrapReaper(Spawned& spawned) : spawned_(spawned) {}
  ~BwrapReaper() {
    if (spawned_.bwrap <= 0) return;
    ::kill(spawned_.bwrap, SIGKILL);
    ::waitpid(spawned_.bwrap, nullptr, 0);
  }
  BwrapReaper(const BwrapReaper&) = delete;
  BwrapReaper& operator=(const BwrapReaper&) = delete;

 private:
  Spawned& spawned_;
};

}  // namespace

}  // namespace agentbox::launch
