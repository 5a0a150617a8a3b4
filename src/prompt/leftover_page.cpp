#include "agentbox/prompt/leftover_page.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "chrome.hpp"
#include "keys.hpp"
#include "question_view.hpp"

namespace agentbox::prompt {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t least_rows = 10, least_columns = 30;
constexpr auto soon = 15s;  // the deadline is shown in red

std::string title_of(const Leftover& leftover) {
  const std::string who = leftover.profile.empty() ? "the agent" : shown(leftover.profile);
  return leftover.kind == Leftover::Kind::held ? who + " changed a file that is kept only with your yes"
                                               : who + " made what programs outside would run or obey";
}

View view_of(const Leftover& leftover) {
  View view;
  add_subject(view.document, leftover.path, Form::raw);
  add_facts(view.document, leftover.facts, Details::shown);
  add_content(view.document, leftover.content, leftover.content_title, Question::Content::diff);
  return view;
}

}  // namespace

class LeftoverPage::Impl {
 public:
  Impl(Leftover leftover, std::chrono::milliseconds quiet)
      : leftover_(std::move(leftover)), quiet_(quiet), view_(view_of(leftover_)) {
    resize(24, 80);
  }

  void resize(std::size_t rows, std::size_t columns);
  void set_colours(prompt::Colours colours) noexcept { canvas_.set_colours(colours); }
  std::string draw(prompt::Draw what, Clock::time_point now);
  [[nodiscard]] Clock::time_point next_change(Clock::time_point now) const;
  std::optional<Choice> type(std::string_view bytes, Clock::time_point now);
  void be_quiet(Clock::time_point now) { quiet_.begin(now); }
  [[nodiscard]] bool is_quiet(Clock::time_point at) const { return !quiet_.over(at); }

 private:
  std::optional<Choice> press(const Press& press);
  std::optional<Choice> press_letter(const Press& press);
  [[nodiscard]] bool is_held() const noexcept { return leftover_.kind == Leftover::Kind::held; }
  // Held, and nothing was there before.
  [[nodiscard]] bool is_new() const noexcept { return is_held() && leftover_.was == Leftover::Was::missing; }
  [[nodiscard]] bool tiny() const noexcept { return canvas_.rows() < least_rows || canvas_.columns() < least_columns; }
  [[nodiscard]] bool in_time(Clock::time_point now) const noexcept {
    return leftover_.deadline == Clock::time_point{} || now < leftover_.deadline;
  }
  [[nodiscard]] std::vector<Line> above(Clock::time_point now) const;
  [[nodiscard]] std::vector<Line> below(Clock::time_point now) const;
  [[nodiscard]] Line status(Clock::time_point now) const;

  Leftover leftover_;
  QuietPeriod quiet_;
  KeyReader reader_;
  Canvas canvas_;
  View view_;
  bool end_seen_ = false;
  std::string hint_;
};

void LeftoverPage::Impl::resize(std::size_t rows, std::size_t columns) {
  canvas_.resize(rows == 0 ? 24 : rows, columns == 0 ? 80 : columns);
  if (tiny()) return;
  const std::size_t around = above({}).size() + below({}).size() + 1;
  view_.resize(canvas_.rows() > around ? canvas_.rows() - around : 1, canvas_.columns());
}

std::vector<Line> LeftoverPage::Impl::above(Clock::time_point now) const {
  std::string where = shown(leftover_.session);
  if (!leftover_.profile.empty()) where += " · profile " + shown(leftover_.profile);
  if (leftover_.of > 1) where += fmt::format(" · {} of {}", leftover_.number, leftover_.of);
  std::string left;
  if (leftover_.deadline != Clock::time_point{} && in_time(now)) {
    left = fmt::format("{} {}",
                       !is_held() ? "stays away in"
                       : is_new() ? "taken away in"
                                  : "restored in",
                       countdown(leftover_.deadline - now));
  }
  const bool hurry = leftover_.deadline != Clock::time_point{} && leftover_.deadline - now < soon;
  const bool roomy = canvas_.rows() >= 16;
  std::vector<Line> lines;
  lines.push_back(top_bar(where, left, hurry ? Ink::deny : Ink::bar, canvas_.columns()));
  if (roomy) lines.emplace_back();
  lines.emplace_back().put_shown(1, cut_to(title_of(leftover_), canvas_.columns() - 2), Ink::strong);
  if (roomy) lines.emplace_back();
  return lines;
}

std::vector<Line> LeftoverPage::Impl::below(Clock::time_point now) const {
  const bool works = quiet_.over(now) && in_time(now);
  const auto ink = [&](Ink wanted, bool available = true) { return works && available ? wanted : Ink::off; };
  const bool held = is_held();
  std::vector<KeyCap> caps{{"o", held ? "keep what the run made of it" : "put it back in its place",
                            held ? "keep" : "put back", ink(Ink::allow, end_seen_)},
                           {"d",
                            !held      ? "leave it in the quarantine"
                            : is_new() ? "take it away (quarantine)"
                                       : "restore what was there",
                            !held      ? "leave"
                            : is_new() ? "take away"
                                       : "restore",
                            ink(Ink::deny)}};
  if (leftover_.number < leftover_.of) {
    caps.push_back({"D", "the same for all the rest", "and the rest", ink(Ink::deny), KeyCap::Place::new_row});
  }
  auto lines = key_rows(caps, canvas_.columns());
  lines.push_back(status(now));
  return lines;
}

Line LeftoverPage::Impl::status(Clock::time_point now) const {
  if (!quiet_.over(now)) return quiet_line(quiet_, now, canvas_.columns());
  Line line;
  const auto say = [&](std::string_view words, Ink ink) {
    return line.put_shown(1, cut_to(words, canvas_.columns() > 2 ? canvas_.columns() - 2 : 1), ink);
  };
  if (!in_time(now)) return say("too late", Ink::alarm);
  if (!hint_.empty()) return say(hint_, Ink::warning);
  if (!end_seen_) return say("to keep it, read to the end first: ↓ PgDn End", Ink::warning);
  return line;
}

std::string LeftoverPage::Impl::draw(prompt::Draw what, Clock::time_point now) {
  for (const Press& each : reader_.settle(now)) {
    if (quiet_.over(now) && in_time(now)) press(each);  // Escape, which answers nothing
  }
  if (!quiet_.begun()) quiet_.begin(now);
  if (tiny()) {
    std::vector<Line> lines;
    lines.emplace_back().put(0, "agentbox: a larger window", Ink::strong);
    lines.emplace_back().put(0,
                             !is_held() ? "d leaves it away"
                             : is_new() ? "d takes it away"
                                        : "d restores",
                             Ink::strong);
    return canvas_.draw(lines, what);
  }
  end_seen_ = end_seen_ || view_.bottom() == view_.document.rows();
  std::vector<Line> lines = above(now), rows = below(now);
  view_.draw(lines);
  lines.resize(canvas_.rows() - rows.size() - 1);
  lines.push_back(rule(position_of(view_, canvas_.columns()), canvas_.columns()));
  std::ranges::move(rows, std::back_inserter(lines));
  return canvas_.draw(lines, what);
}

Clock::time_point LeftoverPage::Impl::next_change(Clock::time_point now) const {
  Clock::time_point next = now + 1h;
  if (leftover_.deadline != Clock::time_point{}) next = std::min(next, next_second(leftover_.deadline, now));
  if (!quiet_.over(now)) next = std::min(next, quiet_.next_change(now));
  if (reader_.pending()) next = std::min(next, reader_.settles_at());
  return next;
}

std::optional<LeftoverPage::Choice> LeftoverPage::Impl::type(std::string_view bytes, Clock::time_point now) {
  hint_.clear();
  for (const Press& each : reader_.feed(bytes, now)) {
    if (!quiet_.over(now) || !in_time(now)) continue;
    if (const auto choice = press(each)) return choice;
  }
  return std::nullopt;
}

std::optional<LeftoverPage::Choice> LeftoverPage::Impl::press(const Press& press) {
  const auto page = static_cast<std::ptrdiff_t>(std::max<std::size_t>(view_.height(), 2) - 1);
  switch (press.key) {
    case Key::control:
      if (press.text == "c" && press.company == Press::Company::alone) return Choice::restore_rest;
      break;
    case Key::character: return press_letter(press);
    case Key::up: view_.scroll_by(-1); return {};
    case Key::down: view_.scroll_by(1); return {};
    case Key::page_up: view_.scroll_by(-page); return {};
    case Key::page_down: view_.scroll_by(page); return {};
    case Key::home: view_.scroll_to(0); return {};
    case Key::end: view_.scroll_to(view_.document.rows()); return {};
    case Key::paste: hint_ = "pasted text is not taken as an answer"; return {};
    default: break;
  }
  hint_ = !is_held() ? "that key does nothing here: d leaves it away"
          : is_new() ? "that key does nothing here: o keeps, d takes it away"
                     : "that key does nothing here: o keeps, d restores";
  return {};
}

std::optional<LeftoverPage::Choice> LeftoverPage::Impl::press_letter(const Press& press) {
  const char letter = press.text.size() == 1 ? press.text[0] : '\0';
  if (letter == 'j' || letter == 'k') {
    view_.scroll_by(letter == 'j' ? 1 : -1);
    return {};
  }
  const bool answers = letter == 'o' || letter == 'd' || letter == 'D';
  if (answers && !press.is_alone(letter)) {
    hint_ = "several keys at once are not taken: press one by itself";
    return {};
  }
  if (letter == 'd') return Choice::restore;
  if (letter == 'D') return Choice::restore_rest;
  if (letter == 'o' && end_seen_ && !tiny()) return Choice::keep;
  if (!answers) hint_ = "that key does nothing here";
  return {};
}

// ---- The outside ----

LeftoverPage::LeftoverPage(Leftover leftover, std::chrono::milliseconds quiet)
    : impl_(std::make_unique<Impl>(std::move(leftover), quiet)) {}
LeftoverPage::~LeftoverPage() = default;
LeftoverPage::LeftoverPage(LeftoverPage&&) noexcept = default;
LeftoverPage& LeftoverPage::operator=(LeftoverPage&&) noexcept = default;

void LeftoverPage::resize(std::uint16_t rows, std::uint16_t columns) {
  impl_->resize(rows, columns);
}
void LeftoverPage::set_colours(Colours colours) noexcept {
  impl_->set_colours(colours);
}
std::string LeftoverPage::draw(Draw what, Clock::time_point now) {
  return impl_->draw(what, now);
}
Clock::time_point LeftoverPage::next_change(Clock::time_point now) const {
  return impl_->next_change(now);
}
std::optional<LeftoverPage::Choice> LeftoverPage::type(std::string_view bytes, Clock::time_point now) {
  return impl_->type(bytes, now);
}
void LeftoverPage::be_quiet(Clock::time_point now) {
  impl_->be_quiet(now);
}
bool LeftoverPage::is_quiet(Clock::time_point at) const {
  return impl_->is_quiet(at);
}

}  // namespace agentbox::prompt
