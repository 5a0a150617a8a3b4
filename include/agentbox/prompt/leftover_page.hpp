#pragma once

// What a run has left, at its end: a held file that it changed, a file that was taken to the quarantine. One page for each,
// with the same manners as the question (question.hpp): only the byte `o`, alone in its read, keeps what the agent made,
// and only when the end of everything that is shown has been on the screen; nothing counts in the quiet period and after
// the deadline. Pure.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/prompt/page.hpp"
#include "agentbox/prompt/question.hpp"

namespace agentbox::prompt {

struct Leftover {
  enum class Kind : std::uint8_t {
    held,        // else it is restored
    quarantined  // else it stays in the quarantine
  } kind = Kind::held;
  enum class Was : std::uint8_t { there, missing } was = Was::there;  // held and missing: else it is taken away
  std::string session, profile;
  std::string path;                                    // raw
  std::vector<Fact> facts;                             // values are raw
  std::string content;                                 // raw: a diff, in lines; empty: nothing can be shown
  std::string content_title = "what the run changed";  // ours
  std::size_t number = 1, of = 1;
  Clock::time_point deadline;  // zero: none
};

class LeftoverPage final : public Page {
 public:
  enum class Choice : std::uint8_t { keep, restore, restore_rest };

  explicit LeftoverPage(Leftover leftover, std::chrono::milliseconds quiet = std::chrono::milliseconds(700));
  ~LeftoverPage() override;
  LeftoverPage(LeftoverPage&&) noexcept;
  LeftoverPage& operator=(LeftoverPage&&) noexcept;

  // Below 10 × 30 a page that asks for a larger window, on which nothing can be kept.
  void resize(std::uint16_t rows, std::uint16_t columns) override;
  void set_colours(Colours colours) noexcept override;
  [[nodiscard]] std::string draw(Draw what, Clock::time_point now) override;
  [[nodiscard]] Clock::time_point next_change(Clock::time_point now) const override;
  // One read.
  [[nodiscard]] std::optional<Choice> type(std::string_view bytes, Clock::time_point now);
  void be_quiet(Clock::time_point now) override;
  [[nodiscard]] bool is_quiet(Clock::time_point at) const override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace agentbox::prompt
