#pragma once

// Puts what a run has left before its owner, one page after the other, on his terminal; and on record.

#include <string>
#include <utility>
#include <vector>

#include "agentbox/base/path.hpp"
#include "agentbox/broker/broker.hpp"
#include "agentbox/launch/guard.hpp"
#include "agentbox/launch/run.hpp"
#include "agentbox/prompt/human_terminal.hpp"

namespace boost::asio {
class io_context;
}

namespace agentbox::launch {

class Review {
 public:
  // All are kept.
  Review(const RunRequest& request, std::string session, broker::Broker& broker)
      : request_(request), session_(std::move(session)), broker_(broker) {}

  // Runs the loop until all are decided: by him, by the time that he has for each ([approval] timeout; when it is over
  // nobody is there, and the rest is `as_usual` too), by a signal, or because the terminal is gone.
  [[nodiscard]] std::vector<Fate> ask(boost::asio::io_context& loop, prompt::HumanTerminal& terminal,
                                      const std::vector<Leftover>& leftovers, int signals);
  // What became of each, for the record.
  void settled(const std::vector<GuardEvent>& events);

 private:
  class Pages;
  struct Decided {
    policy::Change change;
    broker::Verdict verdict;
  };

  [[nodiscard]] Fate record(const Leftover& leftover, Fate fate, broker::Verdict::By by);

  const RunRequest& request_;
  std::string session_;
  broker::Broker& broker_;
  std::vector<Decided> decided_;
};

}  // namespace agentbox::launch
