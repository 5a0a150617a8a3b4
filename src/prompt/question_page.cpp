#include <algorithm>
#include <iterator>
#include <utility>

#include "question_page_impl.hpp"

namespace agentbox::prompt {

using namespace std::chrono_literals;

namespace {

constexpr auto soon = 15s;  // the deadline is shown in red

}  // namespace

void QuestionPage::Impl::resize(std::size_t rows, std::size_t columns) {
  canvas_.resize(rows == 0 ? 24 : rows, columns == 0 ? 80 : columns);
  fit_views();
}

// What changes is shown before it counts: keys that were on their way meant what stood there before.
void QuestionPage::Impl::update(Question question, Clock::time_point now) {
  if (question.digest != question_.digest || !ended_.empty()) return;
  question_.waiting = question.waiting;
  const auto none = Clock::time_point{};
  const bool other_phrase = question.phrase != question_.phrase;
  const bool other_wait = (question.earliest == none) != (question_.earliest == none);
  const bool other_stage = question.stage != question_.stage;
  if (!other_phrase && !other_wait && !other_stage && question.opinion == question_.opinion) return;
  question_.opinion = std::move(question.opinion);
  if (other_wait) question_.earliest = question.earliest;
  if (other_stage) question_.deadline = question.deadline;
  question_.stage = question.stage;
  if (other_phrase) {
    question_.phrase = std::move(question.phrase);
    typed_.clear();
    phrase_label_ = phrase_label();
    if (mode_ == Mode::typing) mode_ = Mode::reading;
  }
  // It stands in the document: whoever was choosing, or leaves a line of text for the choice, has not seen it yet.
  if (mode_ == Mode::choosing || other_stage) mode_ = Mode::reading;
  before_comment_ = Mode::reading;
  const std::size_t top = reading_.top();
  reading_.document = question_document(question_, details_).document;
  fit_views();
  reading_.scroll_to(top);
  end_seen_ = false;
  hint_.clear();
  if (quiet_.begun()) quiet_.begin(now);
}

std::vector<std::string> QuestionPage::Impl::title_rows(Spacing spacing) const {
  const std::string title = title_of(question_);
  const std::size_t room = canvas_.columns() - 2;
  if (spacing == Spacing::tight) return {cut_to(title, room)};
  std::vector<std::string> rows;
  for (const Piece& piece : wrap(title, room)) {
    const auto row = std::string_view(title).substr(piece.begin, piece.end - piece.begin);
    rows.emplace_back(row.substr(std::min(row.find_first_not_of(' '), row.size())));
  }
  if (rows.size() > 2) rows = {cut_to(title, room)};
  rows.emplace_back();
  return rows;
}

void QuestionPage::Impl::fit_views() {
  if (tiny()) return;
  // The bar, a blank row where there is room, the title; the rule, the keys, the status.
  const auto fit = [&](Mode mode, View& view, Spacing spacing) {
    const Mode now = std::exchange(mode_, mode);
    const std::size_t above = spacing == Spacing::tight ? 2 : 2 + title_rows(spacing).size();
    const std::size_t below = 2 + keys({}).size();
    mode_ = now;
    view.resize(canvas_.rows() > above + below ? canvas_.rows() - above - below : 1, canvas_.columns(), spacing);
  };
  for (const auto& [mode, view] : {std::pair(Mode::reading, &reading_), std::pair(Mode::choosing, &choosing_)}) {
    fit(mode, *view, Spacing::roomy);
    if (canvas_.rows() >= 16 && view->fits()) continue;
    fit(mode, *view, Spacing::tight);
    if (canvas_.rows() >= 16 && !view->fits()) fit(mode, *view, Spacing::roomy);  // it is scrolled anyway
  }
}

std::vector<KeyCap> QuestionPage::Impl::key_caps(Clock::time_point now) const {
  const bool works = quiet_.over(now) && in_time(now);
  const auto ink = [&](Ink wanted, bool available = true) { return works && available ? wanted : Ink::off; };
  if (mode_ == Mode::typing) {
    return {{"Enter", "done", "done", ink(Ink::other)}, {"Esc", "leave it", "leave", ink(Ink::other)}};
  }
  if (mode_ == Mode::commenting) {
    return {{"Enter", "keep", "keep", ink(Ink::other)},
            {"Esc", "leave it", "leave", ink(Ink::other)},
            {"Ctrl-U", "delete all", "delete all", ink(Ink::other)}};
  }
  if (mode_ == Mode::choosing) {
    const bool ready = scope_seen_ && choice_quiet_.over(now);
    const bool session = choice_ == Answer::Kind::session;
    return {{"o", session ? "allow this until the session ends" : "allow this always", "allow", ink(Ink::allow, ready)},
            {"↑↓", "choose", "choose", ink(Ink::other)},
            {"Esc", "back", "back", ink(Ink::other)},
            {"d", "deny", "deny", ink(Ink::deny)}};
  }
  if (delayed()) return delayed_caps(works);
  std::vector<KeyCap> caps = {{"o", "allow once", "once", ink(Ink::allow, end_seen_)}};
  if (!has_phrase()) caps = {{"o", phrase_label_, phrase_label_, ink(Ink::allow, end_seen_)}};
  if (!question_.session_scopes.empty()) caps.push_back({"s", "this session", "session", ink(Ink::allow, end_seen_)});
  if (!question_.lasting_scopes.empty()) caps.push_back({"a", "always", "always", ink(Ink::allow, end_seen_)});
  if (early_) caps = {{"o", wait_label_, wait_label_, Ink::off}};
  caps.push_back({"d", "deny", "deny", ink(Ink::deny), KeyCap::Place::new_row});
  caps.push_back({"D", "deny for this session", "deny session", ink(Ink::deny)});
  caps.push_back({"i", details_ == Details::shown ? "less" : "details", "details", ink(Ink::other)});
  caps.push_back({"c", "comment", "comment", ink(Ink::other)});
  if (way_back_ == WayBack::offered) caps.push_back({"q", "back", "back", Ink::other});
  return caps;
}

std::vector<KeyCap> QuestionPage::Impl::delayed_caps(bool works) const {
  const auto ink = [&](Ink wanted) { return works ? wanted : Ink::off; };
  std::vector<KeyCap> caps = {{"d", "cancel it", "cancel", ink(Ink::deny)},
                              {"D", "cancel, and deny for this session", "deny session", ink(Ink::deny)},
                              {"i", details_ == Details::shown ? "less" : "details", "details", ink(Ink::other)},
                              {"c", "comment", "comment", ink(Ink::other)}};
  if (way_back_ == WayBack::offered) caps.push_back({"q", "back", "back", Ink::other});
  return caps;
}

std::vector<Line> QuestionPage::Impl::keys(Clock::time_point now) const {
  return key_rows(key_caps(now), canvas_.columns());
}

Line QuestionPage::Impl::status(Clock::time_point now) const {
  const std::size_t columns = canvas_.columns();
  if (!ended_.empty()) {
    Line line;
    line.put_shown(1, cut_to(shown(ended_), columns > 2 ? columns - 2 : 1), Ink::alarm);
    return line;
  }
  if (!quiet_.over(now)) return quiet_line(quiet_, now, columns);
  if (mode_ == Mode::choosing && !choice_quiet_.over(now)) return quiet_line(choice_quiet_, now, columns);
  if (mode_ == Mode::commenting) return editor_.draw("comment:", columns);
  if (mode_ == Mode::typing) return editor_.draw("type " + shown(question_.phrase) + ":", columns);
  Line line;
  const auto say = [&](std::string_view words, Ink ink) {
    return line.put_shown(1, cut_to(words, columns > 2 ? columns - 2 : 1), ink);
  };
  if (!in_time(now)) return say(delayed() ? "too late: it is being done" : "too late: it counts as denied", Ink::alarm);
  if (!hint_.empty()) return say(hint_, Ink::warning);
  if (delayed()) return say("it was allowed and waits: d cancels it", Ink::warning);
  if (!read_to_the_end()) {
    return say(columns < 40 ? "read to the end first (PgDn)" : "read to the end first: ↓ PgDn End", Ink::warning);
  }
  if (!comment_.empty()) {
    line.put(1, "comment:", Ink::faint);
    return line.put_shown(10, cut_to(shown(comment_), columns > 12 ? columns - 12 : 1));
  }
  if (question_.waiting == 0) return line;
  return say(
      std::to_string(question_.waiting) + (question_.waiting == 1 ? " more question waits" : " more questions wait"),
      Ink::faint);
}

std::string QuestionPage::Impl::right_of_bar(Clock::time_point now) const {
  if (!ended_.empty()) return "over";
  if (question_.deadline == Clock::time_point{}) return {};
  if (!in_time(now)) return delayed() ? "done" : "expired";
  return (delayed() ? "done in " : "denied in ") + countdown(question_.deadline - now);
}

std::vector<Line> QuestionPage::Impl::tiny_page() const {
  const std::string words =
      !ended_.empty() ? shown(ended_) : "agentbox has a question: make this window at least 30 × 10. d denies";
  std::vector<Line> lines;
  const std::size_t columns = std::max<std::size_t>(canvas_.columns(), 1);
  for (const Piece& piece : wrap(words, columns)) {
    auto row = std::string_view(words).substr(piece.begin, piece.end - piece.begin);
    if (row.starts_with(' ')) row.remove_prefix(1);
    lines.emplace_back().put(0, row, Ink::strong);
  }
  return lines;
}

// The keys may take another number of rows then.
void QuestionPage::Impl::note_whether_it_is_early(Clock::time_point now) {
  const bool early = too_early(now);
  wait_label_ = early ? "allow: in " + countdown(question_.earliest - now) : "";
  if (std::exchange(early_, early) != early) fit_views();
}

void QuestionPage::Impl::note_what_was_seen() {
  if (mode_ == Mode::choosing) {
    scope_seen_ = scope_seen_ || choosing_.document.last_row_of(first_choice_ + scope_) < choosing_.bottom();
  } else {
    end_seen_ = end_seen_ || reading_.bottom() == reading_.document.rows();
  }
}

std::string QuestionPage::Impl::draw(prompt::Draw what, Clock::time_point now) {
  for (const Press& each : reader_.settle(now)) {
    hint_.clear();
    if (quiet_.over(now) && in_time(now)) press(each, now);  // Escape, which answers nothing
  }
  if (!quiet_.begun()) quiet_.begin(now);
  note_whether_it_is_early(now);
  if (tiny()) return canvas_.draw(tiny_page(), what);
  if (mode_ == Mode::choosing && !choice_quiet_.begun()) choice_quiet_.begin(now);
  note_what_was_seen();

  std::string where = shown(question_.session);
  if (!question_.profile.empty()) where += " · profile " + shown(question_.profile);
  std::vector<Line> lines;
  const bool hurry = question_.deadline != Clock::time_point{} && question_.deadline - now < soon;
  lines.push_back(top_bar(where, right_of_bar(now), hurry ? Ink::deny : Ink::bar, canvas_.columns()));
  const Spacing spacing = view().spacing();
  if (spacing == Spacing::roomy) lines.emplace_back();
  for (const std::string& row : title_rows(spacing)) lines.emplace_back().put_shown(1, row, Ink::strong);
  std::vector<Line> below = keys(now);
  below.push_back(status(now));
  view().draw(lines);
  lines.resize(canvas_.rows() - below.size() - 1);
  lines.push_back(rule(position_of(view(), canvas_.columns()), canvas_.columns()));
  std::ranges::move(below, std::back_inserter(lines));
  return canvas_.draw(lines, what);
}

Clock::time_point QuestionPage::Impl::next_change(Clock::time_point now) const {
  Clock::time_point next = now + 1h;
  if (question_.deadline != Clock::time_point{}) next = std::min(next, next_second(question_.deadline, now));
  if (too_early(now)) next = std::min(next, next_second(question_.earliest, now));
  if (!quiet_.over(now)) next = std::min(next, quiet_.next_change(now));
  if (mode_ == Mode::choosing && choice_quiet_.begun() && !choice_quiet_.over(now)) {
    next = std::min(next, choice_quiet_.next_change(now));
  }
  if (reader_.pending()) next = std::min(next, reader_.settles_at());
  return next;
}

// ---- The outside ----

QuestionPage::QuestionPage(Question question, std::chrono::milliseconds quiet)
    : impl_(std::make_unique<Impl>(std::move(question), quiet)) {}
QuestionPage::~QuestionPage() = default;
QuestionPage::QuestionPage(QuestionPage&&) noexcept = default;
QuestionPage& QuestionPage::operator=(QuestionPage&&) noexcept = default;

void QuestionPage::resize(std::uint16_t rows, std::uint16_t columns) {
  impl_->resize(rows, columns);
}
void QuestionPage::set_colours(prompt::Colours colours) noexcept {
  impl_->set_colours(colours);
}
std::string QuestionPage::draw(prompt::Draw what, Clock::time_point now) {
  return impl_->draw(what, now);
}
Clock::time_point QuestionPage::next_change(Clock::time_point now) const {
  return impl_->next_change(now);
}
std::optional<Answer> QuestionPage::type(std::string_view bytes, Clock::time_point now) {
  return impl_->type(bytes, now);
}
void QuestionPage::be_quiet(Clock::time_point now) {
  impl_->be_quiet(now);
}
bool QuestionPage::is_quiet(Clock::time_point at) const {
  return impl_->is_quiet(at);
}
void QuestionPage::set_waiting(std::size_t questions) {
  impl_->set_waiting(questions);
}
void QuestionPage::update(Question question, Clock::time_point now) {
  impl_->update(std::move(question), now);
}
void QuestionPage::set_way_back(WayBack way) {
  impl_->set_way_back(way);
}
void QuestionPage::end(std::string why) {
  impl_->end(std::move(why));
}
bool QuestionPage::left() const noexcept {
  return impl_->left();
}
const Question& QuestionPage::question() const noexcept {
  return impl_->question();
}

}  // namespace agentbox::prompt
