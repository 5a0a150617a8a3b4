#include "freezer.hpp"

#include "agentbox/base/error.hpp"

#include "cgroup.hpp"

namespace agentbox::launch {

void Freezer::freeze() {
  if (depth_ > 0) {
    ++depth_;
    return;
  }
  if (group_ != nullptr) {
    try {
      group_->freeze();
    } catch (const base::SystemError&) {
      group_->thaw();
      throw;
    }
  } else {
    tracer_.hold();
  }
  depth_ = 1;
}

void Freezer::thaw() {
  if (depth_ == 0) return;
  --depth_;
  if (depth_ > 0) return;
  if (group_ != nullptr) {
    group_->thaw();
  } else {
    tracer_.release();
  }
}

}  // namespace agentbox::launch
