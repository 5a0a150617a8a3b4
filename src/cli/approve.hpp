#pragma once

// `agentbox approve` without a terminal.

#include <functional>
#include <string>
#include <string_view>

#include "agentbox/broker/watch.hpp"

#include "options.hpp"

namespace agentbox::cli {

using Look = std::function<broker::Watch::Sockets()>;

int answer_question(const ApproveOptions& options, const Look& look, const Terminal& terminal);
int list_questions(const ApproveOptions& options, const Look& look, const Terminal& terminal);
// Until interrupted, or nobody reads any more.
int follow_questions(const Look& look, const Terminal& terminal);

// One JSON object, ASCII, without a newline. `event`: "open", "added", "changed".
[[nodiscard]] std::string json_line(std::string_view event, const std::string& session,
                                    const wire::WireQuestion& question);
[[nodiscard]] std::string json_line(const std::string& session, const wire::QuestionGone& gone);
// `event`: "flood".
[[nodiscard]] std::string json_line(const std::string& session, const wire::WireFlood& flood);
[[nodiscard]] std::string json_line_calm(const std::string& session);
// What became of an answer; `remembered`: the scope, empty for none.
[[nodiscard]] std::string json_line(const std::string& session, const std::string& id, std::string_view answer,
                                    const std::string& remembered, const wire::AnswerTaken& taken);

}  // namespace agentbox::cli
