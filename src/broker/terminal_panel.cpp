#include "agentbox/broker/terminal_panel.hpp"

#include "agentbox/broker/watch.hpp"

#include "questions.hpp"

namespace agentbox::broker {

TerminalPanel::TerminalPanel(boost::asio::io_context& loop, Broker& broker, prompt::HumanTerminal& terminal,
                             prompt::Relay* relay, prompt::Colours colours)
    : broker_(broker), asker_(loop, terminal, relay) {
  asker_.set_colours(colours);
  broker_.add(*this);
}

TerminalPanel::~TerminalPanel() {
  lost_ = true;
  broker_.remove(*this);
}

void TerminalPanel::stop() {
  lost_ = true;
  asker_.stop();
  broker_.presence_changed();
}

Panel::Presence TerminalPanel::presence() const {
  return lost_ ? Presence::nobody : Presence::maybe;
}

void TerminalPanel::show(const prompt::Question& question) {
  // What waits before it is done needs no answer, and the agent's screen is not taken for it.
  if (lost_ || question.stage == prompt::Question::Stage::delayed) return;
  asker_.ask(question, [this, id = question.id](std::optional<prompt::Answer> answer) {
    if (answer) {
      const Broker::Taken taken = broker_.answer(id, *answer, "terminal");
      if (taken == Broker::Taken::not_offered || taken == Broker::Taken::too_early) show_again(id);
    } else if (!std::exchange(lost_, true)) {
      broker_.presence_changed();  // the terminal is gone
    }
  });
}

// What a yes takes has changed while it was on its way.
void TerminalPanel::show_again(const std::string& id) {
  for (const prompt::Question& question : broker_.open()) {
    if (question.id == id) return show(question);
  }
}

void TerminalPanel::change(const prompt::Question& question) {
  if (question.stage == prompt::Question::Stage::asked) return asker_.change(question);
  asker_.withdraw(question.id, "this question was allowed elsewhere, and waits; agentbox approve can cancel it");
}

void TerminalPanel::withdraw(const std::string& id, Verdict::Kind verdict, const std::string& by) {
  asker_.withdraw(id, "this question " + words_for({.question = id, .verdict = to_wire(verdict), .by = by}));
}

void TerminalPanel::warn(const prompt::Flood& flood) {
  if (lost_) return;
  asker_.warn(flood, [this](std::optional<prompt::Banner::Choice> choice) {
    if (choice) (void)broker_.choose(*choice);
  });
}

void TerminalPanel::withdraw_warning() {
  asker_.withdraw_warning();
}

}  // namespace agentbox::broker
