#include <algorithm>

#include "agentbox/wire/broker_message.hpp"

namespace agentbox::wire {

LineSplitter::Split LineSplitter::take(std::string_view& bytes, std::string& line) {
  if (too_long_) return Split::too_long;
  std::size_t end = bytes.find('\n');
  std::size_t length = std::min(end, bytes.size());
  if (held_.size() + length > limit_) {
    too_long_ = true;
    held_ = {};
    return Split::too_long;
  }
  held_.append(bytes.substr(0, length));
  if (end == std::string_view::npos) {
    bytes = {};
    return Split::more;
  }
  bytes.remove_prefix(end + 1);
  line = std::move(held_);
  held_.clear();
  return Split::line;
}

}  // namespace agentbox::wire
