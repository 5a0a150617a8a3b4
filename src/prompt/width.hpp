#pragma once

// How many columns a terminal gives a character: a table of our own, for the C library's depends on the locale.

#include <cstdint>

namespace agentbox::prompt {

enum class Width : std::uint8_t { zero, one, two };

// Of a code point that base::escape lets pass. Terminals disagree about a few (ambiguous width, spacing vowel signs):
// whoever draws positions the cursor anew after text that isn't ours.
[[nodiscard]] Width width_of(std::uint32_t code) noexcept;
// A letter of a script that runs from right to left: some terminals then reorder what stands beside it.
[[nodiscard]] bool is_right_to_left(std::uint32_t code) noexcept;
// Regional indicators and skin tones: some terminals draw two of them as one picture, others don't.
[[nodiscard]] bool joins_with_neighbours(std::uint32_t code) noexcept;

}  // namespace agentbox::prompt
