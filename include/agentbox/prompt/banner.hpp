#pragma once

// What is shown in place of questions when a session has used up its budget of them: an agent that asks and asks wants
// a yes out of weariness. Pure, as the question is; keys count by the same rules (question.hpp): alone, after the quiet
// period. Nothing here allows what the agent asked for.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/prompt/page.hpp"

namespace agentbox::prompt {

struct Flood {
  std::string session, profile;
  std::size_t questions = 0;  // asked
  std::chrono::seconds within{};
  std::size_t more = 0;             // so many questions `go_on` grants
  std::size_t waiting = 0;          // open now
  std::vector<std::string> latest;  // raw or escaped: what was asked for, the newest first, a line each
  Clock::time_point deadline;       // of the oldest question that waits; zero: none
  enum class Agent : std::uint8_t {
    runs,
    paused,
    elsewhere  // nobody can make it stand still: pause is not offered
  } agent = Agent::runs;
};

class Banner final : public Page {
 public:
  enum class Choice : std::uint8_t {
    pause,      // freeze the agent; nothing is answered
    deny_rest,  // of this session, without asking; also Ctrl-C
    go_on,      // with so many more questions
  };

  explicit Banner(Flood flood, std::chrono::milliseconds quiet = std::chrono::milliseconds(700));
  ~Banner() override;
  Banner(Banner&&) noexcept;
  Banner& operator=(Banner&&) noexcept;

  void resize(std::uint16_t rows, std::uint16_t columns) override;
  void set_colours(Colours colours) noexcept override;
  [[nodiscard]] std::string draw(Draw what, Clock::time_point now) override;
  [[nodiscard]] Clock::time_point next_change(Clock::time_point now) const override;
  // What it says now. The quiet period goes on: else an agent that asks on and on could keep its owner from choosing.
  void update(Flood flood);
  // Is there something to go back to without a choice (a list)? Then q leaves, and `left` says so from then on.
  enum class WayBack : std::uint8_t { none, offered };
  void set_way_back(WayBack way);
  [[nodiscard]] bool left() const noexcept;
  // One read.
  [[nodiscard]] std::optional<Choice> type(std::string_view bytes, Clock::time_point now);
  void be_quiet(Clock::time_point now) override;
  [[nodiscard]] bool is_quiet(Clock::time_point at) const override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace agentbox::prompt
