#pragma once

// Pipes for splice(2). A direction holds one only while bytes are in it, so a thousand idle connections hold
// none.

#include <cstddef>
#include <optional>
#include <vector>

#include "agentbox/base/unique_fd.hpp"

namespace agentbox::gates::network {

struct Pipe {
  base::UniqueFd read_end, write_end;
};

class PipePool {
 public:
  // Nothing when there are no descriptors left.
  [[nodiscard]] std::optional<Pipe> take();
  // It must be empty.
  void give_back(Pipe pipe);
  // It holds bytes that nobody wants.
  void discard(Pipe pipe);

 private:
  std::vector<Pipe> idle_;
  std::size_t taken_ = 0;
};

}  // namespace agentbox::gates::network
