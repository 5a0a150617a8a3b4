#pragma once

// A message as it is posted to a server of this machine: the request, and what its answer says. Pure.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/policy/action.hpp"
#include "agentbox/policy/ruling.hpp"

namespace agentbox::gates::messages {

// {"to": [...], "subject": "...", "body": "...", "attachments": [{"name": "...", "base64": "..."}]}
[[nodiscard]] std::string write_json(const policy::Message& message, const std::vector<std::string>& contents);
[[nodiscard]] std::string write_request(const profile::PostAddress& address, std::string_view json);

// The status of an answer of which so much has come.
struct Status {
  enum class Is : std::uint8_t {
    unfinished,
    known,
    nonsense  // no answer of HTTP
  } is = Is::unfinished;
  int code = 0;  // 200 to 599
};
[[nodiscard]] Status read_status(std::string_view answer);
inline constexpr std::size_t most_answer = 16 * 1024;  // bytes within which it must be known

}  // namespace agentbox::gates::messages
