#pragma once

// A message as a mail: RFC 5322 and 2045 to 2047, 2231 for names of files. Every byte of it is written here: nothing that
// the agent gave stands in a header but recipients and names that were judged, and text that is encoded. Pure.

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/policy/action.hpp"

namespace agentbox::gates::messages {

// Of a message that policy::problem_of has no word against. `contents`: of its attachments, in their order. Lines end
// with "\n", as a sendmail program reads them. No From: that is the owner's, and his program's to write.
[[nodiscard]] std::string write_mail(const policy::Message& message, const std::vector<std::string>& contents,
                                     std::chrono::sys_seconds date);

// Its parts.
[[nodiscard]] std::string base64(std::string_view bytes);
[[nodiscard]] std::string quoted_printable(std::string_view text);
// A header's text: plain where it is, else encoded words of 75 characters at most, a line each.
[[nodiscard]] std::string header_text(std::string_view text);

}  // namespace agentbox::gates::messages
