#include "question_view.hpp"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

namespace agentbox::prompt {

namespace {

// The agent's reason is not what is decided on: it may not become the longest thing to read.
constexpr std::size_t most_said = 2000;  // bytes
constexpr std::size_t most_said_lines = 12;

Form form_of(const Question& question) {
  return question.form == Question::Form::quoted ? Form::quoted : Form::raw;
}

bool is_hash(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// A blank at the end of a line would not be seen.
std::string line_shown(std::string_view line, RightToLeft letters) {
  if (!line.ends_with(' ')) return shown(line, Form::raw, letters);
  return shown(line.substr(0, line.size() - 1), Form::raw, letters) + "\\x20";
}

// The mark before a line of a diff is ours: a blank that stands for an empty line says enough.
std::string diff_line_shown(std::string_view line) {
  constexpr std::string_view no_newline = "\\ No newline at end of file";
  if (line == no_newline) return std::string(no_newline);  // every line of a file has a mark before it
  const bool unchanged = line.starts_with(' ');
  return (unchanged ? " " : "") + line_shown(line.substr(unchanged ? 1 : 0), RightToLeft::escaped);
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

bool holds_right_to_left(std::string_view text) {
  return shown(text, Form::raw, RightToLeft::escaped) != shown(text, Form::raw, RightToLeft::kept);
}

void add_fact(Document& document, const Fact& fact, Details details) {
  if (fact.shown == Fact::Shown::details && details == Details::hidden) return;
  std::string value = shown(fact.value);
  if (details == Details::hidden && is_hash(fact.value)) value = fact.value.substr(0, 16) + "…";
  document.add(fact.weight == Fact::Weight::warning ? Look::warning : Look::fact, shown(fact.label), std::move(value));
}

void add_details(Document& document, const Question& question) {
  document.add(Look::blank);
  document.add(Look::section, {}, "details");
  document.add(Look::fact, "question", shown(question.id + " of session " + question.session));
  document.add(Look::fact, "digest", shown(question.digest));
  const auto not_offered = [&](std::string label, const std::string& reason) {
    document.add(Look::fact, std::move(label), "not offered: " + why_not(reason));
  };
  if (question.session_scopes.empty()) not_offered("session", question.why_not_session);
  if (question.lasting_scopes.empty()) not_offered("always", question.why_not_lasting);
}

// Its words are the model's: it may have been fooled.
void add_opinion(Document& document, const Opinion& opinion) {
  document.add(Look::gap);
  document.add(Look::section, {}, "second opinion, of a model");
  const std::string words = fmt::format("risk {} of 10: {}", opinion.risk, shown(opinion.reason));
  switch (opinion.says) {
    case Opinion::Says::nothing_yet: return document.add(Look::fact, "reviewer", "has not answered yet");
    case Opinion::Says::agrees: return document.add(Look::fact, "agrees", words);
    case Opinion::Says::objects: return document.add(Look::warning, "objects", words);
    case Opinion::Says::silent: return document.add(Look::fact, "is silent", shown(opinion.reason));
  }
}

void add_said(Document& document, std::string_view said) {
  document.add(Look::blank);
  if (said.empty()) {
    document.add(Look::faint, {}, "the agent gives no reason");
    return;
  }
  document.add(Look::unchecked_top, "what the agent says (not checked)");
  const std::string_view kept = said.substr(0, most_said);
  std::size_t left = said.size() - kept.size(), count = 0;
  for (std::string_view line : lines_of(kept)) {
    if (++count > most_said_lines) {
      left += line.size() + 1;
    } else {
      document.add(Look::unchecked, {}, line_shown(line, RightToLeft::kept));
    }
  }
  if (left > 0) document.add(Look::unchecked_bottom, fmt::format("cut here: it says {} bytes more", left));
}

Look look_of(std::string_view line, Question::Content form) {
  if (form == Question::Content::text || line.empty()) return Look::numbered;
  if (line.starts_with("@@")) return Look::hunk;
  if (line[0] == '+') return Look::added;
  return line[0] == '-' ? Look::removed : Look::numbered;
}

}  // namespace

void add_subject(Document& document, std::string_view subject, Form form) {
  document.add(Look::box_top, "exactly this");
  document.add(Look::box, {}, shown(subject, form));
  document.add(Look::box_bottom);
}

void add_facts(Document& document, const std::vector<Fact>& facts, Details details) {
  if (facts.empty()) return;
  document.add(Look::gap);
  document.add(Look::section, {}, "measured by agentbox");
  // What warns comes first: the eye goes there.
  for (const Fact::Weight weight : {Fact::Weight::warning, Fact::Weight::normal}) {
    for (const Fact& fact : facts) {
      if (fact.weight == weight) add_fact(document, fact, details);
    }
  }
}

void add_content(Document& document, std::string_view content, std::string_view title, Question::Content form) {
  if (content.empty()) return;
  const auto lines = lines_of(content);
  const bool diff = form == Question::Content::diff;
  std::string heading = fmt::format("{}, {} {}", shown(title), lines.size(), lines.size() == 1 ? "line" : "lines");
  if (!diff && holds_right_to_left(content)) heading += ", some from right to left";
  document.add(Look::blank);
  document.add(Look::box_top, heading);
  std::size_t number = 0;
  for (std::string_view line : lines) {
    document.add(look_of(line, form), std::to_string(++number),
                 diff ? diff_line_shown(line) : line_shown(line, RightToLeft::kept));
  }
  document.add(Look::box_bottom, content.ends_with('\n') ? "end" : "end, without a newline");
}

std::string why_not(std::string_view reason) {
  return reason.empty() ? "this can only be allowed once" : shown(reason);
}

std::string title_of(const Question& question) {
  return fmt::format("{} wants to {}", question.profile.empty() ? "the agent" : shown(question.profile),
                     shown(question.title));
}

QuestionDocument question_document(const Question& question, Details details) {
  QuestionDocument whole;
  Document& document = whole.document;
  add_subject(document, question.subject, form_of(question));
  whole.facts = document.blocks();
  add_facts(document, question.facts, details);
  if (question.opinion) add_opinion(document, *question.opinion);
  if (details == Details::shown) add_details(document, question);
  add_said(document, question.said);
  add_content(document, question.content, question.content_title, question.content_form);
  return whole;
}

ChoiceDocument choice_document(const Question& question, Answer::Kind kind) {
  const bool session = kind == Answer::Kind::session;
  const auto& scopes = session ? question.session_scopes : question.lasting_scopes;
  ChoiceDocument choice;
  Document& document = choice.document;
  document.add(Look::heading, {}, session ? "allow until this session ends" : "allow always");
  document.add(
      Look::faint, {},
      session ? "What is chosen here is done now, and from now on without a question, as long as this session lasts."
              : "What is chosen here is done now, and from now on without a question in every session with this "
                "profile. agentbox rules lists it and takes it back.");
  document.add(Look::blank);
  choice.first_choice = document.blocks();
  for (std::size_t i = 0; i < scopes.size(); ++i) {
    document.add(Look::choice, std::to_string(i + 1), shown(scopes[i], form_of(question)));
  }
  document.add(Look::blank);
  document.add(Look::box_top, "asked now");
  document.add(Look::box, {}, shown(question.subject, form_of(question)));
  document.add(Look::box_bottom);
  return choice;
}

}  // namespace agentbox::prompt
