#pragma once

// What the pages on the human's terminal have in common. A page is pure: what is drawn and what keys do depends on
// nothing but the calls.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace agentbox::prompt {

using Clock = std::chrono::steady_clock;

enum class Colours : std::uint8_t { none, sixteen };
enum class Draw : std::uint8_t { whole, changes };

// Before the first page: the alternate screen, pasted text marked as such, no cursor, no wrapping at the right edge
// (where a terminal's width of a character differs from ours nothing spills over), and the ordinary margins and
// character set. After the last one, the reverse. Both may be sent at any time, also twice.
[[nodiscard]] std::string_view enter_pages() noexcept;
[[nodiscard]] std::string_view leave_pages() noexcept;

class Page {
 public:
  Page() = default;
  virtual ~Page() = default;

  // From now on; zeros count as 24 × 80. What has been read stays read.
  virtual void resize(std::uint16_t rows, std::uint16_t columns) = 0;
  virtual void set_colours(Colours colours) noexcept = 0;
  // The bytes that show it as of `now`: printable text and sequences of our own, nothing else. `whole` draws every row
  // over whatever is there, so that one page can follow another without a clear screen in between; `changes` only rows
  // that differ from the last drawing. Both leave the cursor anywhere.
  [[nodiscard]] virtual std::string draw(Draw what, Clock::time_point now) = 0;
  // The quiet period begins anew: the terminal took longer to show the page, or showed something else meanwhile.
  virtual void be_quiet(Clock::time_point now) = 0;
  // Would a key that answers something do nothing at that time, because what is on the page has only just come?
  [[nodiscard]] virtual bool is_quiet(Clock::time_point at) const = 0;
  // When something changes by itself: the next second of a countdown.
  [[nodiscard]] virtual Clock::time_point next_change(Clock::time_point now) const = 0;

 protected:
  Page(Page&&) = default;
  Page& operator=(Page&&) = default;
};

}  // namespace agentbox::prompt
