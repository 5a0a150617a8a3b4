#pragma once

#include "agentbox/broker/broker.hpp"
#include "agentbox/broker/panel.hpp"
#include "agentbox/prompt/asker.hpp"

namespace agentbox::broker {

// The session's own terminal. Put it after the terminal and the relay; call `stop` before Relay::drain.
class TerminalPanel final : public Panel {
 public:
  TerminalPanel(boost::asio::io_context& loop, Broker& broker, prompt::HumanTerminal& terminal, prompt::Relay* relay,
                prompt::Colours colours);
  ~TerminalPanel() override;
  TerminalPanel(const TerminalPanel&) = delete;
  TerminalPanel& operator=(const TerminalPanel&) = delete;

  // Gives the terminal back for good: nothing is asked here any more.
  void stop();

  [[nodiscard]] Presence presence() const override;
  void show(const prompt::Question& question) override;
  void change(const prompt::Question& question) override;
  void withdraw(const std::string& id, Verdict::Kind verdict, const std::string& by) override;
  void warn(const prompt::Flood& flood) override;
  void withdraw_warning() override;

 private:
  void show_again(const std::string& id);

  Broker& broker_;
  prompt::Asker asker_;
  bool lost_ = false;
};

}  // namespace agentbox::broker
