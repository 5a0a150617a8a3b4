#pragma once

// Where a person sees the open questions and answers them: the session's own terminal, or whoever is connected to its
// control.sock. All panels show the same questions; an answer at one takes them from the others.

#include <cstdint>
#include <string>

#include "agentbox/broker/decider.hpp"
#include "agentbox/prompt/banner.hpp"
#include "agentbox/prompt/question.hpp"

namespace agentbox::broker {

class Panel {
 public:
  virtual ~Panel() = default;
  // May somebody see what is shown here now?
  enum class Presence : std::uint8_t { nobody, maybe };
  [[nodiscard]] virtual Presence presence() const = 0;

  virtual void show(const prompt::Question& question) = 0;
  virtual void change(const prompt::Question& question) = 0;
  // `by`: where the verdict came from: "terminal", "control", "rule", "limit", "clock", "requester", "fault".
  virtual void withdraw(const std::string& id, Verdict::Kind verdict, const std::string& by) = 0;
  // The budget of questions is used up: in place of them, until a choice is made.
  virtual void warn(const prompt::Flood& flood) = 0;
  virtual void withdraw_warning() = 0;
};

}  // namespace agentbox::broker
