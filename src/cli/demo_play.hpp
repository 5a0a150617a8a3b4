#pragma once

// The processes of the demo: started in its world, waited for, and ended with it.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "demo_world.hpp"

namespace agentbox::cli::stage {

// From here on Ctrl-C, a closed terminal and the like are noted instead of ending us, so that what was begun is put away.
class Signals {
 public:
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  // 0: none yet.
  [[nodiscard]] static int caught() noexcept;
};

enum class Streams : std::uint8_t {
  collected,  // stdin is empty
  ours        // with our terminal, if we have one
};

struct Played {
  std::string output, errors;  // of collected streams
  int status = 0;              // as waitpid(2) has it
};

// To its end, or until a signal for us has ended it; what collects ends after a minute. `each_moment` is called about
// twenty times a second meanwhile. Throws base::SystemError.
[[nodiscard]] Played play(std::vector<std::string> argv, const World& world, Streams streams,
                          const std::function<void()>& each_moment = {});

// This program.
[[nodiscard]] std::string own_path();

}  // namespace agentbox::cli::stage
