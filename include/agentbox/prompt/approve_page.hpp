#pragma once

// All open questions of all sessions, for `agentbox approve`: newest first, live. Nothing is answered here; what is
// opened becomes a QuestionPage. Pure.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "agentbox/prompt/page.hpp"

namespace agentbox::prompt {

// All raw; a summary may have been escaped already, for nothing is decided by it.
struct OpenQuestion {
  std::string session, id;
  std::string profile;
  std::string kind;                   // "command"
  std::string summary;                // one line; cut where it does not fit, for the question itself shows it in full
  Clock::time_point asked, deadline;  // a deadline of zero: none
};

class ApprovePage final : public Page {
 public:
  struct Open {
    std::string session, id;
    friend bool operator==(const Open&, const Open&) = default;
  };
  struct Leave {
    friend bool operator==(const Leave&, const Leave&) = default;
  };
  using Choice = std::variant<Open, Leave>;

  ApprovePage();
  ~ApprovePage() override;
  ApprovePage(ApprovePage&&) noexcept;
  ApprovePage& operator=(ApprovePage&&) noexcept;

  // In any order. The same question stays selected while it is there, else the one that took its place.
  void set_questions(std::vector<OpenQuestion> questions);
  // One line of ours about the whole: "2 sessions", "the broker of pi-3fa2 has ended".
  void set_notice(std::string notice);

  void resize(std::uint16_t rows, std::uint16_t columns) override;
  void set_colours(Colours colours) noexcept override;
  [[nodiscard]] std::string draw(Draw what, Clock::time_point now) override;
  void be_quiet(Clock::time_point now) override;
  [[nodiscard]] bool is_quiet(Clock::time_point at) const override;
  [[nodiscard]] Clock::time_point next_change(Clock::time_point now) const override;
  // One read. Enter opens, q and Ctrl-C leave. What was typed before the first drawing, and Enter within 300 ms after
  // the list changed beneath it, does nothing.
  [[nodiscard]] std::optional<Choice> type(std::string_view bytes, Clock::time_point now);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace agentbox::prompt
