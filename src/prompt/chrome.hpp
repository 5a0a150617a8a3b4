#pragma once

// What stands around the scrolling part of every page: the bar at the top, the rule with the position, the keys, the
// countdowns.

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/prompt/page.hpp"

#include "canvas.hpp"
#include "document.hpp"

namespace agentbox::prompt {

// The first `quiet` after something came to the screen, when keys do nothing.
class QuietPeriod {
 public:
  explicit QuietPeriod(std::chrono::milliseconds length) noexcept : length_(length) {}
  void begin(Clock::time_point now) noexcept { until_ = now + length_; }
  [[nodiscard]] bool begun() const noexcept { return until_.has_value(); }
  [[nodiscard]] bool over(Clock::time_point now) const noexcept { return until_ && now >= *until_; }
  // In steps of a tenth of a second.
  [[nodiscard]] Clock::time_point next_change(Clock::time_point now) const noexcept;
  [[nodiscard]] std::chrono::milliseconds left(Clock::time_point now) const noexcept;
  [[nodiscard]] std::chrono::milliseconds length() const noexcept { return length_; }

 private:
  std::chrono::milliseconds length_;
  std::optional<Clock::time_point> until_;
};

// "1:42", "0:07", "2:03:00"; rounded up, so that it ends when the time does.
[[nodiscard]] std::string countdown(Clock::duration left);
// The next moment at which that text changes.
[[nodiscard]] Clock::time_point next_second(Clock::time_point end, Clock::time_point now);

// All text here is shown text. What does not fit is cut: `where` first.
[[nodiscard]] Line top_bar(std::string_view where, std::string_view right, Ink right_ink, std::size_t columns);
// "lines 1-12 of 340, more below ↓", or nothing when all is visible.
[[nodiscard]] std::string position_of(const View& view, std::size_t columns);
[[nodiscard]] Line rule(std::string_view position, std::size_t columns);

struct KeyCap {
  std::string_view key;
  std::string_view label, short_label;
  Ink ink = Ink::other;                                                       // off: it does nothing now
  enum class Place : std::uint8_t { beside, new_row } place = Place::beside;  // where one row is not enough
};
// On one row where they fit; with short labels where the long ones would need more than two.
[[nodiscard]] std::vector<Line> key_rows(std::span<const KeyCap> keys, std::size_t columns);
// For the quiet period.
[[nodiscard]] Line quiet_line(const QuietPeriod& quiet, Clock::time_point now, std::size_t columns);

}  // namespace agentbox::prompt
