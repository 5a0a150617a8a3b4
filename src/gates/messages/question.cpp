#include "question.hpp"

#include <utility>

#include <fmt/format.h>

namespace agentbox::gates::messages {

broker::Asked question_about(const policy::Message& message, const std::vector<std::string>& raw,
                             const policy::Rules::Way& way, const std::optional<commands::Measured>& program,
                             std::string said) {
  using Weight = prompt::Fact::Weight;
  using Shown = prompt::Fact::Shown;
  broker::Asked asked;
  asked.action = message;
  asked.title = "send a message by " + way.name;
  for (const std::string& one : message.to) asked.subject += (asked.subject.empty() ? "" : ", ") + one;
  auto fact = [&asked](std::string label, std::string value, Weight weight = Weight::normal,
                       Shown shown = Shown::always) {
    asked.facts.push_back({.label = std::move(label), .value = std::move(value), .weight = weight, .shown = shown});
  };
  for (std::size_t i = 0; i < message.to.size(); ++i) {
    fact("to", message.to[i]);
    if (i < raw.size() && raw[i] != message.to[i]) fact("written as", raw[i]);
  }
  if (!message.subject.empty()) fact("subject", message.subject);
  for (const policy::Attachment& one : message.attachments) {
    fact("attached", fmt::format("{} ({} {})", one.name, one.size, one.size == 1 ? "byte" : "bytes"));
    fact("sha-256", one.sha256);
  }
  if (!message.attachments.empty()) fact("caution", "what is in the attachments is not shown here", Weight::warning);
  if (program) {
    fact("program", program->program.path.str(), Weight::normal, Shown::details);
    fact("sha-256", program->program.sha256, Weight::normal, Shown::details);
    if (program->program.writable == policy::Program::Writable::yes) {
      fact("caution", "you can change the program that sends, and so can all that runs as you", Weight::warning);
    }
  } else if (way.post) {
    fact("server", way.post->text, Weight::normal, Shown::details);
  }
  asked.said = std::move(said);
  asked.content = message.body;
  return asked;
}

}  // namespace agentbox::gates::messages
