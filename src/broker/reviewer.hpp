#pragma once

// Asks the model server for its opinion: two connections for each question that is put to it, one deadline over all of it,
// and a breaker, so that a server that fails costs nothing. Every failure is an opinion, too: silent, with the reason. No
// redirect is followed, no proxy of the environment is asked.
//
// Trust: the server is the owner's. What it says is bounded, read strictly (wire::decode_review), and only ever shown.

#include <functional>
#include <memory>
#include <string>

#include "agentbox/policy/reviewer.hpp"
#include "agentbox/prompt/question.hpp"

namespace boost::asio {
class io_context;
}

namespace agentbox::broker {

class Reviewer {
 public:
  Reviewer(boost::asio::io_context& loop, policy::Reviewer where);
  // Nobody is called back any more.
  ~Reviewer();
  Reviewer(const Reviewer&) = delete;
  Reviewer& operator=(const Reviewer&) = delete;

  // `about`: of wire::encode_case. `done` is called once, from the loop, never from within; not at all after `forget`.
  void ask(const std::string& id, std::string about, std::function<void(const prompt::Opinion&)> done);
  void forget(const std::string& id);

  static constexpr std::size_t most_at_once = 2;  // the others wait, and their time runs

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

// Of a reviewer that has none: `why` is "it did not answer within 20 seconds".
[[nodiscard]] prompt::Opinion silent(std::string why);

}  // namespace agentbox::broker
