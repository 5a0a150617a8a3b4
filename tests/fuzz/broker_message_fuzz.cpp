// The broker's messages, both directions of both sockets. Any bytes must be refused, or be a message that is still the
// same after it was written and read again; and however a stream is cut, it holds the same lines.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/wire/broker_message.hpp"

namespace wire = agentbox::wire;

namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

template <class Message>
void round_trip(wire::Decoded<Message> (*decode)(std::string_view), std::string_view line) {
  wire::Decoded<Message> message = decode(line);
  if (!message) {
    require(!message.error().message.empty(), "a refusal has a reason");
    std::string answer = wire::encode(message.error());
    require(answer.find('\n') == answer.size() - 1, "a refusal is one line");
    answer.pop_back();
    require(wire::decode_to_room(answer).has_value(), "a refusal can be read");
    return;
  }
  std::string text = wire::encode(*message);
  require(text.find('\n') == text.size() - 1, "a message is one line");
  text.pop_back();
  // What is written need not have the length of what was read: a control character has longer and shorter escapes.
  if (text.size() > wire::line_limit) return;
  wire::Decoded<Message> again = decode(text);
  require(again.has_value() && *again == *message, "a message comes back as it was");
}

std::vector<std::string> cut(std::string_view stream, std::size_t piece) {
  wire::LineSplitter splitter(100);
  std::vector<std::string> lines;
  while (!stream.empty()) {
    std::string_view bytes = stream.substr(0, piece);
    stream.remove_prefix(bytes.size());
    std::string line;
    auto split = wire::LineSplitter::Split::line;
    while ((split = splitter.take(bytes, line)) == wire::LineSplitter::Split::line) lines.push_back(line);
    require(splitter.pending() <= 100, "no more than the limit is held");
    if (split == wire::LineSplitter::Split::too_long) {
      lines.emplace_back("(too long)");
      break;
    }
  }
  return lines;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view line(reinterpret_cast<const char*>(data), size);
  round_trip(wire::decode_from_room, line);
  round_trip(wire::decode_to_room, line);
  round_trip(wire::decode_from_control, line);
  round_trip(wire::decode_to_control, line);
  require(cut(line, 1) == cut(line, 7) && cut(line, 7) == cut(line, size + 1),
          "lines do not depend on how they arrive");
  return 0;
}
