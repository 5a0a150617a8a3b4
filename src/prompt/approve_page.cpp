#include "agentbox/prompt/approve_page.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "chrome.hpp"
#include "keys.hpp"

namespace agentbox::prompt {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t least_rows = 6, least_columns = 20;
constexpr auto settling = 300ms;  // after the list changed

std::string age(Clock::duration time) {
  const auto seconds = std::max<std::int64_t>(0, std::chrono::floor<std::chrono::seconds>(time).count());
  if (seconds < 60) return fmt::format("{} s", seconds);
  return seconds < 3600 ? fmt::format("{} min", seconds / 60) : fmt::format("{} h", seconds / 3600);
}

}  // namespace

class ApprovePage::Impl {
 public:
  void set_questions(std::vector<OpenQuestion> questions);
  void set_notice(std::string notice) { notice_ = std::move(notice); }
  void resize(std::size_t rows, std::size_t columns) {
    canvas_.resize(rows == 0 ? 24 : rows, columns == 0 ? 80 : columns);
  }
  void set_colours(prompt::Colours colours) noexcept { canvas_.set_colours(colours); }
  std::string draw(prompt::Draw what, Clock::time_point now);
  void be_quiet(Clock::time_point now) { settling_.begin(now); }
  [[nodiscard]] bool is_quiet(Clock::time_point at) const { return !settling_.over(at); }
  [[nodiscard]] Clock::time_point next_change(Clock::time_point now) const;
  std::optional<Choice> type(std::string_view bytes, Clock::time_point now);

 private:
  std::optional<Choice> press(const Press& press, Clock::time_point now);
  void move(std::ptrdiff_t by) noexcept;
  // Rows of the list: between the bar, a blank row and the headings above, and the rule, the keys and the notice below.
  [[nodiscard]] std::size_t height() const noexcept { return canvas_.rows() > 6 ? canvas_.rows() - 6 : 1; }
  [[nodiscard]] Line row(const OpenQuestion& question, bool selected, Clock::time_point now) const;
  struct Cells {
    std::string left, session, kind, summary, asked;  // shown text
  };
  void draw_cells(Line& line, const Cells& cells, Ink ink) const;
  void draw_nothing(std::vector<Line>& lines) const;
  void keep_selected_visible() noexcept;

  std::vector<OpenQuestion> questions_;
  std::size_t selected_ = 0, top_ = 0;
  std::string notice_, hint_;
  QuietPeriod settling_{settling};
  bool changed_ = true;  // since the last drawing
  KeyReader reader_;
  Canvas canvas_;
};

void ApprovePage::Impl::set_questions(std::vector<OpenQuestion> questions) {
  std::ranges::sort(questions, [](const OpenQuestion& left, const OpenQuestion& right) {
    return std::tie(right.asked, left.session, left.id) < std::tie(left.asked, right.session, right.id);
  });
  const auto same = [&](const OpenQuestion& other) {
    return other.session == questions_[selected_].session && other.id == questions_[selected_].id;
  };
  std::size_t selected = selected_;
  if (selected_ < questions_.size()) {
    const auto found = std::ranges::find_if(questions, same);
    if (found != questions.end()) {
      selected = static_cast<std::size_t>(found - questions.begin());
    } else {
      changed_ = true;  // another one is under the cursor now
    }
  } else {
    changed_ = changed_ || !questions.empty();
  }
  questions_ = std::move(questions);
  selected_ = questions_.empty() ? 0 : std::min(selected, questions_.size() - 1);
  keep_selected_visible();
}

void ApprovePage::Impl::keep_selected_visible() noexcept {
  top_ = std::min(top_, selected_);
  if (selected_ >= top_ + height()) top_ = selected_ + 1 - height();
  if (top_ + height() > questions_.size()) top_ = questions_.size() > height() ? questions_.size() - height() : 0;
}

void ApprovePage::Impl::move(std::ptrdiff_t by) noexcept {
  const auto last = static_cast<std::ptrdiff_t>(questions_.size()) - 1;
  selected_ = static_cast<std::size_t>(
      std::clamp<std::ptrdiff_t>(static_cast<std::ptrdiff_t>(selected_) + by, 0, std::max<std::ptrdiff_t>(last, 0)));
  keep_selected_visible();
}

std::optional<ApprovePage::Choice> ApprovePage::Impl::type(std::string_view bytes, Clock::time_point now) {
  for (const Press& each : reader_.feed(bytes, now)) {
    if (!settling_.begun()) continue;
    if (auto choice = press(each, now)) return choice;
  }
  return std::nullopt;
}

std::optional<ApprovePage::Choice> ApprovePage::Impl::press(const Press& press, Clock::time_point now) {
  const auto page = static_cast<std::ptrdiff_t>(std::max<std::size_t>(height(), 2) - 1);
  const auto all = static_cast<std::ptrdiff_t>(questions_.size());
  hint_.clear();
  if (press.key == Key::control && press.text == "c") return Leave{};
  switch (press.key) {
    case Key::up:
    case Key::down: move(press.key == Key::up ? -1 : 1); return std::nullopt;
    case Key::page_up:
    case Key::page_down: move(press.key == Key::page_up ? -page : page); return std::nullopt;
    case Key::home:
    case Key::end: move(press.key == Key::home ? -all : all); return std::nullopt;
    case Key::enter:
      if (questions_.empty() || changed_ || !settling_.over(now)) return std::nullopt;
      return Open{questions_[selected_].session, questions_[selected_].id};
    case Key::character:
      if (press.text == "q") return Leave{};
      if (press.text == "k" || press.text == "j") {
        move(press.text == "k" ? -1 : 1);
        return std::nullopt;
      }
      [[fallthrough]];
    default:
      hint_ = questions_.empty() ? "q leaves" : "Enter shows a question; it is answered there";
      return std::nullopt;
  }
}

// Time left, session, kind, what, and since when: the middle takes what is left of the width.
void ApprovePage::Impl::draw_cells(Line& line, const Cells& cells, Ink ink) const {
  const std::size_t columns = canvas_.columns();
  const bool wide = columns >= 70, narrow = columns < 44;
  line.put(2, cells.left, ink);
  std::size_t column = 9;
  if (!narrow) {
    line.put_shown(column, cut_to(cells.session, 16), ink);
    column += 18;
  }
  if (wide) {
    line.put_shown(column, cut_to(cells.kind, 9), ink);
    column += 11;
  }
  const std::size_t right = wide ? 10 : 1;
  line.put_shown(column, cut_to(cells.summary, columns > column + right ? columns - column - right : 1), ink);
  if (wide) line.put(columns - 8, cells.asked, ink == Ink::plain ? Ink::faint : ink);
}

Line ApprovePage::Impl::row(const OpenQuestion& question, bool selected, Clock::time_point now) const {
  Line line;
  if (selected) line.put(0, ">", Ink::name);
  const std::string left = question.deadline == Clock::time_point{} ? "" : countdown(question.deadline - now);
  draw_cells(line,
             {left, shown(question.session), shown(question.kind), shown(question.summary, Form::quoted),
              age(now - question.asked)},
             selected ? Ink::strong : Ink::plain);
  return line;
}

void ApprovePage::Impl::draw_nothing(std::vector<Line>& lines) const {
  constexpr std::string_view words[] = {"nothing is waiting", "", "questions of every session appear here",
                                        "as soon as an agent asks one"};
  const std::size_t above = height() > std::size(words) ? (height() - std::size(words)) / 2 : 0;
  lines.resize(lines.size() + above);
  for (std::string_view each : words) {
    const std::size_t column = canvas_.columns() > each.size() ? (canvas_.columns() - each.size()) / 2 : 0;
    lines.emplace_back().put(column, each, each == words[0] ? Ink::strong : Ink::faint);
  }
}

std::string ApprovePage::Impl::draw(prompt::Draw what, Clock::time_point now) {
  if (std::exchange(changed_, false)) settling_.begin(now);
  keep_selected_visible();
  std::vector<Line> lines;
  if (canvas_.rows() < least_rows || canvas_.columns() < least_columns) {
    lines.emplace_back().put(0, fmt::format("{} waiting", questions_.size()), Ink::strong);
    return canvas_.draw(lines, what);
  }
  const std::size_t count = questions_.size();
  lines.push_back(
      top_bar("questions", count == 0 ? "" : fmt::format("{} waiting", count), Ink::bar, canvas_.columns()));
  if (count == 0) {
    draw_nothing(lines);
  } else {
    lines.emplace_back();
    draw_cells(lines.emplace_back(), {"left", "session", "kind", "what", "asked"}, Ink::faint);
    for (std::size_t i = top_; i < std::min(count, top_ + height()); ++i) {
      lines.push_back(row(questions_[i], i == selected_, now));
    }
  }
  lines.resize(canvas_.rows() - 3);
  const bool all = count <= height();
  lines.push_back(rule(all ? "" : fmt::format("{}-{} of {}", top_ + 1, std::min(count, top_ + height()), count),
                       canvas_.columns()));
  const Ink ink = count == 0 ? Ink::off : Ink::other;
  const KeyCap caps[] = {
      {"Enter", "show it", "show", ink}, {"↑↓", "choose", "choose", ink}, {"q", "leave", "leave", Ink::other}};
  lines.push_back(key_rows(caps, canvas_.columns()).front());
  const std::size_t room = canvas_.columns() - 2;
  lines.emplace_back().put_shown(1, cut_to(hint_.empty() ? shown(notice_) : hint_, room),
                                 hint_.empty() ? Ink::faint : Ink::warning);
  return canvas_.draw(lines, what);
}

Clock::time_point ApprovePage::Impl::next_change(Clock::time_point now) const {
  Clock::time_point next = now + 1h;
  if (reader_.pending()) next = std::min(next, reader_.settles_at());
  if (settling_.begun() && !settling_.over(now)) next = std::min(next, settling_.next_change(now));
  if (!questions_.empty()) next = std::min(next, now + 1s);
  for (const OpenQuestion& question : questions_) {
    if (question.deadline != Clock::time_point{}) next = std::min(next, next_second(question.deadline, now));
  }
  return next;
}

// ---- The outside ----

ApprovePage::ApprovePage() : impl_(std::make_unique<Impl>()) {}
ApprovePage::~ApprovePage() = default;
ApprovePage::ApprovePage(ApprovePage&&) noexcept = default;
ApprovePage& ApprovePage::operator=(ApprovePage&&) noexcept = default;

void ApprovePage::set_questions(std::vector<OpenQuestion> questions) {
  impl_->set_questions(std::move(questions));
}
void ApprovePage::set_notice(std::string notice) {
  impl_->set_notice(std::move(notice));
}
void ApprovePage::resize(std::uint16_t rows, std::uint16_t columns) {
  impl_->resize(rows, columns);
}
void ApprovePage::set_colours(Colours colours) noexcept {
  impl_->set_colours(colours);
}
std::string ApprovePage::draw(Draw what, Clock::time_point now) {
  return impl_->draw(what, now);
}
void ApprovePage::be_quiet(Clock::time_point now) {
  impl_->be_quiet(now);
}
bool ApprovePage::is_quiet(Clock::time_point at) const {
  return impl_->is_quiet(at);
}
Clock::time_point ApprovePage::next_change(Clock::time_point now) const {
  return impl_->next_change(now);
}
std::optional<ApprovePage::Choice> ApprovePage::type(std::string_view bytes, Clock::time_point now) {
  return impl_->type(bytes, now);
}

}  // namespace agentbox::prompt
