// The second opinion on a question that is put: asked for at once, shown when it comes. It changes what a yes takes, and
// nothing else: no word of a model's is an answer.

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/post.hpp>

#include "agentbox/wire/reviewer_message.hpp"

#include "broker_impl.hpp"

namespace agentbox::broker {

namespace {

// Without what the agent says of itself.
wire::ReviewCase case_of(const prompt::Question& question) {
  wire::ReviewCase about{.kind = question.kind,
                         .title = question.title,
                         .subject = question.subject,
                         .facts = {},
                         .content_title = question.content_title,
                         .content = question.content};
  for (const prompt::Fact& fact : question.facts) about.facts.push_back({.label = fact.label, .value = fact.value});
  return about;
}

}  // namespace

void Broker::Impl::review(OpenQuestion& open) {
  if (!settings_.reviewer) return;
  open.question.opinion = prompt::Opinion{};
  if (settings_.consent == policy::Consent::human_and_reviewer) {
    // Until the reviewer agrees. What the gate itself wants typed stays what is typed.
    open.question.earliest = Clock::now() + settings_.friction.wait;
    if (open.question.phrase.empty() && settings_.friction.phrase == policy::Friction::Phrase::typed) {
      open.question.phrase = "anyway " + open.question.digest.substr(0, 4);
    }
  }
  auto done = [weak = weak_from_this(), id = open.question.id](const prompt::Opinion& opinion) {
    if (auto self = weak.lock()) self->reviewed(id, opinion);
  };
  std::optional<std::string> about = wire::encode_case(case_of(open.question));
  if (!about) {
    asio::post(loop_, [done] { done(silent("there is too much to read for it to judge the whole")); });
    return;
  }
  if (!reviewer_) reviewer_ = std::make_unique<Reviewer>(loop_, *settings_.reviewer);
  reviewer_->ask(open.question.id, *std::move(about), std::move(done));
}

void Broker::Impl::reviewed(const std::string& id, const prompt::Opinion& opinion) {
  auto at = find(id);
  if (at == questions_.end()) return;
  prompt::Question& question = at->question;
  question.opinion = opinion;
  if (opinion.says == prompt::Opinion::Says::agrees) {
    question.earliest = {};
    question.phrase = at->asked.phrase;
  }
  for (Panel* panel : panels_) panel->change(question);
}

}  // namespace agentbox::broker
