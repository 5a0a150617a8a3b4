#pragma once

// One wish of an agent's, from its line on request.sock to the last word about it: for all that is done outside by others,
// and not by what this program carries.

#include <functional>
#include <optional>
#include <string>

#include "agentbox/wire/broker_message.hpp"

#include "room_words.hpp"

namespace agentbox::inside {

void say(int stream, const std::string& text);

struct Wish {
  Deed deed;
  std::string what;     // quoted already
  std::string nothing;  // what hasn't happened: "nothing was paid"
  std::string doing;    // while what was allowed is done: "it is being paid"
  std::string lost;     // when the broker goes meanwhile; lines
  // Is it done when its verdict comes? Then a broker that goes without one leaves it open whether it was done.
  enum class Done { after_verdict, with_verdict } done = Done::after_verdict;
  // A twin's verdict is not the last word: what became of the first one follows.
  enum class Twin { ends, goes_on } twin = Twin::ends;
  // Is told what is allowed and all that follows, says so, and gives the exit code at the end.
  std::function<std::optional<Exit>(const decltype(wire::ToRoom::body)&)> hear;
};

// `with`: a descriptor that travels beside it, -1 for none. The exit code. If we are killed while the owner is asked the
// connection goes, and the question with it.
[[nodiscard]] int ask(decltype(wire::FromRoom::body) request, int with, const Wish& wish);

}  // namespace agentbox::inside
