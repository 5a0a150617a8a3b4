#include "posted.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "mail.hpp"

namespace agentbox::gates::messages {

std::string write_json(const policy::Message& message, const std::vector<std::string>& contents) {
  nlohmann::ordered_json json{{"to", message.to}, {"subject", message.subject}, {"body", message.body}};
  json["attachments"] = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < message.attachments.size(); ++i) {
    json["attachments"].push_back(
        {{"name", message.attachments[i].name}, {"base64", base64(i < contents.size() ? contents[i] : std::string())}});
  }
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string write_request(const profile::PostAddress& address, std::string_view json) {
  const bool brackets = address.host.find(':') != std::string::npos;
  return fmt::format(
      "POST {} HTTP/1.1\r\nHost: {}{}{}:{}\r\nUser-Agent: agentbox\r\nContent-Type: application/json\r\n"
      "Content-Length: {}\r\nConnection: close\r\n\r\n{}",
      address.path, brackets ? "[" : "", address.host, brackets ? "]" : "", address.port, json.size(), json);
}

Status read_status(std::string_view answer) {
  using Is = Status::Is;
  for (;;) {
    constexpr std::string_view start = "HTTP/1.";
    const std::string_view begun = answer.substr(0, start.size());
    if (!start.starts_with(begun)) return {.is = Is::nonsense};
    const std::size_t end = answer.find("\r\n");
    if (end == std::string_view::npos) return {.is = answer.size() > most_answer ? Is::nonsense : Is::unfinished};
    // "HTTP/1.1 200 OK"
    const std::string_view line = answer.substr(0, end);
    auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    const bool form = line.size() >= 12 && is_digit(line[7]) && line[8] == ' ' &&
                      std::ranges::all_of(line.substr(9, 3), is_digit) && (line.size() == 12 || line[12] == ' ');
    if (!form) return {.is = Is::nonsense};
    const int code = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
    if (code >= 200 && code <= 599) return {.is = Is::known, .code = code};
    if (code < 100 || code > 199) return {.is = Is::nonsense};
    // Only a word on the way: the answer stands behind it.
    const std::size_t next = answer.find("\r\n\r\n");
    if (next == std::string_view::npos) return {.is = answer.size() > most_answer ? Is::nonsense : Is::unfinished};
    answer.remove_prefix(next + 4);
  }
}

}  // namespace agentbox::gates::messages
