#pragma once

// What a question says, as documents.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/prompt/question.hpp"

#include "document.hpp"

namespace agentbox::prompt {

enum class Details : std::uint8_t { hidden, shown };

struct QuestionDocument {
  Document document;
  std::size_t facts = 0;  // the block where they begin
};
[[nodiscard]] QuestionDocument question_document(const Question& question, Details details);
// What a yes for the session or for always can be remembered for. The scopes' blocks come in their order.
struct ChoiceDocument {
  Document document;
  std::size_t first_choice = 0;  // its block
};
[[nodiscard]] ChoiceDocument choice_document(const Question& question, Answer::Kind kind);

// The parts that other pages have too. All text is raw but the title.
void add_subject(Document& document, std::string_view subject, Form form);
void add_facts(Document& document, const std::vector<Fact>& facts, Details details);
void add_content(Document& document, std::string_view content, std::string_view title, Question::Content form);

// "pi wants to run a command on your machine", shown text.
[[nodiscard]] std::string title_of(const Question& question);

// Why a scope is not offered, shown text.
[[nodiscard]] std::string why_not(std::string_view reason);

}  // namespace agentbox::prompt
