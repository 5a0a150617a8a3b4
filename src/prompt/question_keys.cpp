#include <algorithm>
#include <utility>

#include "question_page_impl.hpp"

namespace agentbox::prompt {

std::optional<Answer> QuestionPage::Impl::type(std::string_view bytes, Clock::time_point now) {
  if (bytes.empty()) return std::nullopt;
  hint_.clear();
  for (const Press& each : reader_.feed(bytes, now)) {
    // Leaving answers nothing, so it need not wait.
    if (way_back_ == WayBack::offered && quiet_.begun() && mode_ != Mode::commenting && mode_ != Mode::typing &&
        each.is_alone('q'))
      left_ = true;
    if (left_) return std::nullopt;
    if (!quiet_.over(now) || !in_time(now)) continue;
    if (auto given = press(each, now)) return given;
  }
  return std::nullopt;
}

std::optional<Answer> QuestionPage::Impl::answer(Answer::Kind kind, std::size_t scope) const {
  const bool yes = kind != Answer::Kind::deny && kind != Answer::Kind::deny_session;
  return Answer{kind, scope, comment_, question_.digest, yes ? typed_ : std::string()};
}

// The first thing to say about one read stays.
void QuestionPage::Impl::suggest(std::string_view words) {
  if (hint_.empty()) hint_ = words;
}

std::optional<Answer> QuestionPage::Impl::press(const Press& press, Clock::time_point now) {
  if (press.key == Key::control && press.text == "c") {
    if (press.company == Press::Company::alone) return answer(Answer::Kind::deny);
    suggest("several keys at once are not taken: press Ctrl-C by itself");
    return std::nullopt;
  }
  if (mode_ == Mode::commenting && !tiny()) {
    press_commenting(press);
    return std::nullopt;
  }
  if (mode_ == Mode::typing && !tiny()) {
    press_typing(press);
    return std::nullopt;
  }
  switch (press.key) {
    case Key::character: return press_letter(press, now);
    case Key::up:
    case Key::down:
    case Key::page_up:
    case Key::page_down:
    case Key::home:
    case Key::end: scroll(press.key); return std::nullopt;
    case Key::escape:
      if (mode_ == Mode::choosing) {
        mode_ = Mode::reading;
      } else {
        suggest(way_back_ == WayBack::offered ? "Escape does nothing here: d denies, q goes back"
                                              : "Escape does nothing here: d denies");
      }
      return std::nullopt;
    case Key::paste: suggest("pasted text is not taken as an answer"); return std::nullopt;
    default: suggest("that key does nothing here: o allows, d denies"); return std::nullopt;
  }
}

std::optional<Answer> QuestionPage::Impl::press_letter(const Press& press, Clock::time_point now) {
  const char letter = press.text.size() == 1 ? press.text[0] : '\0';
  const bool answers = letter == 'o' || letter == 'd' || letter == 'D';
  if (answers && !press.is_alone(letter)) {
    suggest("several keys at once are not taken: press one by itself");
    return std::nullopt;
  }
  if (letter == 'd') return answer(Answer::Kind::deny);
  if (letter == 'D') return answer(Answer::Kind::deny_session);
  if (tiny()) return std::nullopt;
  const bool choosing = mode_ == Mode::choosing;
  if (delayed() && (letter == 'o' || letter == 's' || letter == 'a')) {
    suggest("it was allowed, and waits to be done: d cancels it");
    return std::nullopt;
  }
  if (letter == 'o') return allow(now);
  if (letter == 'j' || letter == 'k') {
    scroll(letter == 'j' ? Key::down : Key::up);
  } else if (choosing && letter >= '1' && letter <= '9') {
    select(static_cast<std::size_t>(letter - '1'));
  } else if (letter == 's' || letter == 'a') {
    choose(letter == 's' ? Answer::Kind::session : Answer::Kind::always);
  } else if (letter == 'c') {
    before_comment_ = std::exchange(mode_, Mode::commenting);
    editor_.set(comment_);
  } else if (letter == 'i' && !choosing) {
    toggle_details();
  } else {
    suggest("that key does nothing here: o allows, d denies");
  }
  return std::nullopt;
}

std::optional<Answer> QuestionPage::Impl::allow(Clock::time_point now) {
  if (!read_to_the_end()) {
    return std::nullopt;
  }
  if (too_early(now)) {
    suggest("a yes is not possible yet: read it meanwhile");
    return std::nullopt;
  }
  if (!has_phrase()) {
    before_comment_ = std::exchange(mode_, Mode::typing);
    editor_.set("");
    return std::nullopt;
  }
  if (mode_ == Mode::reading) return answer(Answer::Kind::once);
  if (choice_quiet_.over(now)) return answer(choice_, scope_);
  return std::nullopt;
}

void QuestionPage::Impl::press_commenting(const Press& press) {
  if (press.key == Key::enter) {
    comment_ = editor_.text();
    mode_ = before_comment_;
    suggest(comment_.empty() ? "" : "the comment goes with your answer");
  } else if (press.key == Key::escape) {
    mode_ = before_comment_;
  } else {
    editor_.press(press);
  }
}

// Typing it allows nothing yet: that takes one more `o`.
void QuestionPage::Impl::press_typing(const Press& press) {
  if (press.key == Key::enter) {
    typed_ = editor_.text() == question_.phrase ? question_.phrase : "";
    mode_ = before_comment_;
    suggest(has_phrase() ? "now o allows it" : "that is not it: nothing is allowed");
  } else if (press.key == Key::escape) {
    mode_ = before_comment_;
  } else {
    editor_.press(press);
  }
}

void QuestionPage::Impl::choose(Answer::Kind kind) {
  const bool session = kind == Answer::Kind::session;
  const auto& scopes = session ? question_.session_scopes : question_.lasting_scopes;
  if (scopes.empty()) {
    const std::string& reason = session ? question_.why_not_session : question_.why_not_lasting;
    suggest(std::string(session ? "for this session" : "always") + " is not offered: " + why_not(reason));
    return;
  }
  if (!end_seen_) return;
  auto choice = choice_document(question_, kind);
  choosing_ = View();
  choosing_.document = std::move(choice.document);
  first_choice_ = choice.first_choice;
  choice_ = kind;
  mode_ = Mode::choosing;
  choice_quiet_ = QuietPeriod(choice_time);
  fit_views();
  select(0);
}

void QuestionPage::Impl::select(std::size_t scope) {
  const auto& scopes = choice_ == Answer::Kind::session ? question_.session_scopes : question_.lasting_scopes;
  if (scope >= scopes.size()) return;
  for (std::size_t i = 0; i < scopes.size(); ++i) {
    choosing_.document.set_look(first_choice_ + i, i == scope ? Look::chosen_choice : Look::choice);
  }
  scope_ = scope;
  scope_seen_ = false;
  choosing_.show(choosing_.document.last_row_of(first_choice_ + scope));
  choosing_.show(choosing_.document.first_row_of(first_choice_ + scope));
}

void QuestionPage::Impl::toggle_details() {
  const bool on = details_ == Details::hidden;
  details_ = on ? Details::shown : Details::hidden;
  auto whole = question_document(question_, details_);
  // Back to the same text afterwards: what lies below the details stays as far from the end.
  if (on) below_details_ = reading_.document.rows() - reading_.top();
  reading_.document = std::move(whole.document);
  fit_views();
  if (!on) reading_.scroll_to(reading_.document.rows() - std::min(below_details_, reading_.document.rows()));
  if (on && !reading_.fits()) reading_.scroll_to(reading_.document.first_row_of(whole.facts));
}

void QuestionPage::Impl::scroll(Key key) {
  View& shown_view = view();
  const auto page = static_cast<std::ptrdiff_t>(std::max<std::size_t>(shown_view.height(), 2) - 1);
  if (mode_ == Mode::choosing && (key == Key::up || key == Key::down)) {
    // Within a scope that is longer than the screen the arrows scroll.
    const auto last = choosing_.document.last_row_of(first_choice_ + scope_);
    const bool down = key == Key::down;
    if (down && last >= choosing_.bottom()) return choosing_.scroll_by(1);
    if (!down && choosing_.document.first_row_of(first_choice_ + scope_) < choosing_.top()) {
      return choosing_.scroll_by(-1);
    }
    if (down) select(scope_ + 1);
    if (!down && scope_ > 0) select(scope_ - 1);
    if (!down && scope_ == 0) choosing_.scroll_to(0);
    return;
  }
  if (key == Key::up) shown_view.scroll_by(-1);
  if (key == Key::down) shown_view.scroll_by(1);
  if (key == Key::page_up) shown_view.scroll_by(-page);
  if (key == Key::page_down) shown_view.scroll_by(page);
  if (key == Key::home) shown_view.scroll_to(0);
  if (key == Key::end) shown_view.scroll_to(shown_view.document.rows());
}

}  // namespace agentbox::prompt
