#pragma once

// `[approval] notify`: a command of the owner's that says on his desktop, or wherever he looks, that a question waits. It
// is told what the question is about, never answers it, and whatever becomes of it changes no verdict.

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agentbox/base/path.hpp"
#include "agentbox/broker/panel.hpp"

namespace boost::asio {
class io_context;
}

namespace agentbox::broker {

class Broker;

struct NotifyCommand {
  base::AbsPath program;                 // found already: a PATH is never searched here
  std::vector<std::string> argv;         // as the profile has it, with argv[0]; the notice is appended
  std::vector<std::string> environment;  // all of it: notify_environment
};

// What a desktop's programs need, of the owner's environment, and a fixed PATH. `variable` as getenv(3).
[[nodiscard]] std::vector<std::string> notify_environment(const std::function<const char*(const char*)>& variable);

// One line, at most 200 bytes, that begins with a letter: no option, no markup (a notification's body may be taken for
// HTML), no escape sequence, no control character, whatever the agent has put into the question. `more`: others that
// came with it.
[[nodiscard]] std::string notice_for(const prompt::Question& question, std::size_t more);

struct NotifyPace {
  std::chrono::milliseconds between{
      5000};                               // at most one is started in this time; what comes meanwhile is told together
  std::chrono::milliseconds limit{10000};  // then it is killed
};

// A panel at which nobody is ever present. Put it after the broker.
class Notifier final : public Panel {
 public:
  Notifier(boost::asio::io_context& loop, Broker& broker, NotifyCommand command, NotifyPace pace = {});
  // Kills what still runs.
  ~Notifier() override;
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  [[nodiscard]] Presence presence() const override { return Presence::nobody; }
  void show(const prompt::Question& question) override;
  void change(const prompt::Question&) override {}
  void withdraw(const std::string& id, Verdict::Kind verdict, const std::string& by) override;
  void warn(const prompt::Flood& flood) override;
  void withdraw_warning() override;

 private:
  class Impl;
  Broker& broker_;
  std::shared_ptr<Impl> impl_;
  bool warned_ = false;
};

}  // namespace agentbox::broker
