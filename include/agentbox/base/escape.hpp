#pragma once

#include <span>
#include <string>
#include <string_view>

namespace agentbox::base {

// Makes bytes from outside (file names, profile text, an agent's words) safe and exact to show on one line of
// a terminal: printable text stays; control characters, ESC, DEL, C1, bidirectional and zero-width characters
// and bytes that are not UTF-8 become \n, \t, \x1b or \u{202e}. A backslash is doubled, so that the result is
// unambiguous.
[[nodiscard]] std::string escape(std::string_view untrusted);

// One argv element as a POSIX shell word that reads back to the same bytes where it is printable: plain words
// stay plain, others are quoted, and $'...' is used where escapes are needed. ["a b"] and ["a","b"] look
// different.
[[nodiscard]] std::string quote(std::string_view argument);
[[nodiscard]] std::string quote(std::span<const std::string> argv);

}  // namespace agentbox::base
