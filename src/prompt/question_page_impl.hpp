#pragma once

// The state behind a question on the screen; question_keys.cpp changes it, question_page.cpp shows it.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/prompt/question.hpp"

#include "chrome.hpp"
#include "keys.hpp"
#include "line_editor.hpp"
#include "question_view.hpp"

namespace agentbox::prompt {

class QuestionPage::Impl {
 public:
  Impl(Question question, std::chrono::milliseconds quiet)
      : question_(std::move(question)), quiet_(quiet), editor_(comment_limit) {
    reading_.document = question_document(question_, details_).document;
    resize(24, 80);
  }

  void resize(std::size_t rows, std::size_t columns);
  void set_colours(prompt::Colours colours) noexcept { canvas_.set_colours(colours); }
  std::string draw(prompt::Draw what, Clock::time_point now);
  [[nodiscard]] Clock::time_point next_change(Clock::time_point now) const;
  std::optional<Answer> type(std::string_view bytes, Clock::time_point now);
  void be_quiet(Clock::time_point now) { quiet_.begin(now); }
  [[nodiscard]] bool is_quiet(Clock::time_point at) const {
    return !quiet_.over(at) || (mode_ == Mode::choosing && !choice_quiet_.over(at));
  }
  void set_waiting(std::size_t questions) { question_.waiting = questions; }
  void update(Question question, Clock::time_point now);
  void set_way_back(WayBack way) {
    way_back_ = way;
    fit_views();
  }
  [[nodiscard]] bool left() const noexcept { return left_; }
  void end(std::string why) {
    ended_ = std::move(why);
    mode_ = Mode::reading;
  }
  [[nodiscard]] const Question& question() const noexcept { return question_; }

 private:
  enum class Mode : std::uint8_t { reading, choosing, commenting, typing };

  // Keys.
  std::optional<Answer> press(const Press& press, Clock::time_point now);
  std::optional<Answer> press_letter(const Press& press, Clock::time_point now);
  std::optional<Answer> allow(Clock::time_point now);
  void suggest(std::string_view words);
  void press_commenting(const Press& press);
  void press_typing(const Press& press);
  [[nodiscard]] bool has_phrase() const noexcept { return typed_ == question_.phrase; }
  void choose(Answer::Kind kind);
  void select(std::size_t scope);
  void toggle_details();
  void scroll(Key key);
  std::optional<Answer> answer(Answer::Kind kind, std::size_t scope = 0) const;

  // The screen.
  [[nodiscard]] bool tiny() const noexcept { return canvas_.rows() < 10 || canvas_.columns() < 30; }
  [[nodiscard]] View& view() noexcept { return mode_ == Mode::choosing ? choosing_ : reading_; }
  [[nodiscard]] std::vector<std::string> title_rows(Spacing spacing) const;
  [[nodiscard]] std::vector<Line> keys(Clock::time_point now) const;
  [[nodiscard]] std::vector<KeyCap> key_caps(Clock::time_point now) const;
  [[nodiscard]] std::vector<KeyCap> delayed_caps(bool works) const;
  [[nodiscard]] Line status(Clock::time_point now) const;
  [[nodiscard]] std::string right_of_bar(Clock::time_point now) const;
  [[nodiscard]] std::vector<Line> tiny_page() const;
  void fit_views();
  void note_what_was_seen();
  void note_whether_it_is_early(Clock::time_point now);
  [[nodiscard]] bool in_time(Clock::time_point now) const noexcept {
    return ended_.empty() && (question_.deadline == Clock::time_point{} || now < question_.deadline);
  }
  // Allowed already: only a no means anything.
  [[nodiscard]] bool delayed() const noexcept { return question_.stage == Question::Stage::delayed; }
  [[nodiscard]] bool too_early(Clock::time_point now) const noexcept { return now < question_.earliest; }
  [[nodiscard]] bool read_to_the_end() const noexcept { return mode_ == Mode::choosing ? scope_seen_ : end_seen_; }

  Question question_;
  QuietPeriod quiet_;
  static constexpr std::chrono::milliseconds choice_time{300};
  static constexpr std::size_t comment_limit = 500;  // bytes
  QuietPeriod choice_quiet_{choice_time};
  KeyReader reader_;
  LineEditor editor_;
  Canvas canvas_;
  View reading_, choosing_;
  Mode mode_ = Mode::reading, before_comment_ = Mode::reading;
  Details details_ = Details::hidden;
  Answer::Kind choice_ = Answer::Kind::session;
  std::size_t first_choice_ = 0, scope_ = 0;
  std::size_t below_details_ = 0;
  bool end_seen_ = false;    // of the question
  bool scope_seen_ = false;  // of the scope that is selected
  WayBack way_back_ = WayBack::none;
  bool left_ = false;
  std::string ended_;  // why it is over; empty: it isn't
  std::string comment_, hint_, typed_;
  [[nodiscard]] std::string phrase_label() const { return "allow: type " + shown(question_.phrase); }
  std::string phrase_label_ = phrase_label();  // on the key
  std::string wait_label_;                     // likewise
  bool early_ = false;                         // as it was drawn last
};

}  // namespace agentbox::prompt
