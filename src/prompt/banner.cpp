#include "agentbox/prompt/banner.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "chrome.hpp"
#include "keys.hpp"

namespace agentbox::prompt {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t least_rows = 8, least_columns = 30;
constexpr std::size_t most_latest = 100;

std::string span_of(std::chrono::seconds time) {
  const auto count = time.count();
  if (count % 60 != 0 || count == 0) return fmt::format("{} {}", count, count == 1 ? "second" : "seconds");
  return count == 60 ? "one minute" : fmt::format("{} minutes", count / 60);
}

std::string waiting_text(std::size_t questions) {
  if (questions == 0) return {};
  return questions == 1 ? " One question waits." : fmt::format(" {} questions wait.", questions);
}

}  // namespace

class Banner::Impl {
 public:
  Impl(Flood flood, std::chrono::milliseconds quiet) : flood_(std::move(flood)), quiet_(quiet) {
    compose();
    resize(24, 80);
  }

  void resize(std::size_t rows, std::size_t columns);
  void set_colours(prompt::Colours colours) noexcept { canvas_.set_colours(colours); }
  std::string draw(prompt::Draw what, Clock::time_point now);
  [[nodiscard]] Clock::time_point next_change(Clock::time_point now) const;
  std::optional<Choice> type(std::string_view bytes, Clock::time_point now);
  void be_quiet(Clock::time_point now) { quiet_.begin(now); }
  [[nodiscard]] bool is_quiet(Clock::time_point at) const { return !quiet_.over(at); }
  void update(Flood flood) {
    flood_ = std::move(flood);
    view_.document = Document();
    compose();
    resize(canvas_.rows(), canvas_.columns());
  }
  void set_way_back(WayBack way) { way_back_ = way; }
  [[nodiscard]] bool left() const noexcept { return left_; }

 private:
  void compose();
  std::optional<Choice> press(const Press& press);
  [[nodiscard]] std::string who() const { return flood_.profile.empty() ? "the agent" : shown(flood_.profile); }
  [[nodiscard]] std::vector<Line> below(Clock::time_point now) const;

  Flood flood_;
  QuietPeriod quiet_;
  KeyReader reader_;
  Canvas canvas_;
  View view_;
  WayBack way_back_ = WayBack::none;
  bool left_ = false;
  std::string hint_;
};

void Banner::Impl::compose() {
  Document& document = view_.document;
  document.add(Look::heading, {},
               fmt::format("{} asked {} questions in {}", who(), flood_.questions, span_of(flood_.within)));
  document.add(Look::blank);
  const bool paused = flood_.agent == Flood::Agent::paused;
  document.add(
      Look::text, {},
      fmt::format("That is more than its profile allows ([approval] questions). Until you choose, no question is "
                  "shown and nothing is allowed.{}{}",
                  waiting_text(flood_.waiting), paused ? " The agent stands still." : ""));
  document.add(Look::blank);
  if (flood_.latest.empty()) return;
  document.add(Look::box_top, "what it asked for, the newest first");
  std::size_t number = 0;
  for (const std::string& line : flood_.latest) {
    if (++number > most_latest) break;
    document.add(Look::numbered, std::to_string(number), shown(line, Form::quoted));
  }
  document.add(Look::box_bottom);
}

void Banner::Impl::resize(std::size_t rows, std::size_t columns) {
  canvas_.resize(rows == 0 ? 24 : rows, columns == 0 ? 80 : columns);
  const std::size_t around = 3 + below({}).size();
  view_.resize(canvas_.rows() > around ? canvas_.rows() - around : 1, canvas_.columns());
}

std::vector<Line> Banner::Impl::below(Clock::time_point now) const {
  const bool works = quiet_.over(now);
  const auto ink = [&](Ink wanted) { return works ? wanted : Ink::off; };
  const std::string more = fmt::format("go on, {} more questions", flood_.more);
  const std::string less = fmt::format("go on, {} more", flood_.more);
  std::vector<KeyCap> caps;
  if (flood_.agent == Flood::Agent::runs) caps.push_back({"p", "pause the agent", "pause", ink(Ink::other)});
  caps.push_back({"D", "deny the rest of this session", "deny the rest", ink(Ink::deny)});
  caps.push_back({"g", more, less, ink(Ink::allow), KeyCap::Place::new_row});
  if (way_back_ == WayBack::offered) caps.push_back({"q", "back", "back", Ink::other});
  auto lines = key_rows(caps, canvas_.columns());
  if (!works) {
    lines.push_back(quiet_line(quiet_, now, canvas_.columns()));
  } else {
    lines.emplace_back().put(1, cut_to(hint_, canvas_.columns() > 2 ? canvas_.columns() - 2 : 1), Ink::warning);
  }
  return lines;
}

std::string Banner::Impl::draw(prompt::Draw what, Clock::time_point now) {
  for (const Press& each : reader_.settle(now)) {
    if (quiet_.over(now)) press(each);
  }
  if (!quiet_.begun()) quiet_.begin(now);
  std::vector<Line> lines;
  if (canvas_.rows() < least_rows || canvas_.columns() < least_columns) {
    const bool pause = flood_.agent == Flood::Agent::runs;
    lines.emplace_back().put(0, pause ? "agentbox: p pause" : "agentbox", Ink::strong);
    lines.emplace_back().put(0, "D deny the rest", Ink::strong);
    lines.emplace_back().put(0, fmt::format("g {} more", flood_.more), Ink::strong);
    return canvas_.draw(lines, what);
  }
  std::string where = shown(flood_.session);
  if (!flood_.profile.empty()) where += " · profile " + shown(flood_.profile);
  const bool waits = flood_.deadline != Clock::time_point{} && now < flood_.deadline;
  lines.push_back(
      top_bar(where, waits ? "first denied in " + countdown(flood_.deadline - now) : "", Ink::bar, canvas_.columns()));
  lines.emplace_back();
  view_.draw(lines);
  std::vector<Line> rows = below(now);
  lines.resize(canvas_.rows() - rows.size() - 1);
  lines.push_back(rule(position_of(view_, canvas_.columns()), canvas_.columns()));
  std::ranges::move(rows, std::back_inserter(lines));
  return canvas_.draw(lines, what);
}

Clock::time_point Banner::Impl::next_change(Clock::time_point now) const {
  Clock::time_point next = now + 1h;
  if (flood_.deadline != Clock::time_point{}) next = std::min(next, next_second(flood_.deadline, now));
  if (!quiet_.over(now)) next = std::min(next, quiet_.next_change(now));
  if (reader_.pending()) next = std::min(next, reader_.settles_at());
  return next;
}

std::optional<Banner::Choice> Banner::Impl::type(std::string_view bytes, Clock::time_point now) {
  for (const Press& each : reader_.feed(bytes, now)) {
    // Leaving chooses nothing, so it need not wait.
    if (way_back_ == WayBack::offered && quiet_.begun() && each.is_alone('q')) left_ = true;
    if (left_) return std::nullopt;
    if (!quiet_.over(now)) continue;
    if (const auto choice = press(each)) return choice;
  }
  return std::nullopt;
}

std::optional<Banner::Choice> Banner::Impl::press(const Press& press) {
  const auto page = static_cast<std::ptrdiff_t>(std::max<std::size_t>(view_.height(), 2) - 1);
  const bool alone = press.company == Press::Company::alone;
  const char letter = press.key == Key::character && press.text.size() == 1 ? press.text[0] : '\0';
  hint_.clear();
  if (alone && letter == 'p' && flood_.agent == Flood::Agent::runs) return Choice::pause;
  if (alone && letter == 'g') return Choice::go_on;
  if (alone && (letter == 'D' || (press.key == Key::control && press.text == "c"))) return Choice::deny_rest;
  if (press.key == Key::up || letter == 'k') {
    view_.scroll_by(-1);
  } else if (press.key == Key::down || letter == 'j') {
    view_.scroll_by(1);
  } else if (press.key == Key::page_up || press.key == Key::page_down) {
    view_.scroll_by(press.key == Key::page_up ? -page : page);
  } else if (press.key == Key::home || press.key == Key::end) {
    view_.scroll_to(press.key == Key::home ? 0 : view_.document.rows());
  } else if (press.key == Key::paste) {
    hint_ = "pasted text is not taken as an answer";
  } else {
    hint_ = alone || letter == '\0' ? "that key does nothing here"
                                    : "several keys at once are not taken: press one by itself";
  }
  return std::nullopt;
}

// ---- The outside ----

Banner::Banner(Flood flood, std::chrono::milliseconds quiet) : impl_(std::make_unique<Impl>(std::move(flood), quiet)) {}
Banner::~Banner() = default;
Banner::Banner(Banner&&) noexcept = default;
Banner& Banner::operator=(Banner&&) noexcept = default;

void Banner::resize(std::uint16_t rows, std::uint16_t columns) {
  impl_->resize(rows, columns);
}
void Banner::set_colours(Colours colours) noexcept {
  impl_->set_colours(colours);
}
std::string Banner::draw(Draw what, Clock::time_point now) {
  return impl_->draw(what, now);
}
Clock::time_point Banner::next_change(Clock::time_point now) const {
  return impl_->next_change(now);
}
std::optional<Banner::Choice> Banner::type(std::string_view bytes, Clock::time_point now) {
  return impl_->type(bytes, now);
}
void Banner::update(Flood flood) {
  impl_->update(std::move(flood));
}
void Banner::set_way_back(WayBack way) {
  impl_->set_way_back(way);
}
bool Banner::left() const noexcept {
  return impl_->left();
}
void Banner::be_quiet(Clock::time_point now) {
  impl_->be_quiet(now);
}
bool Banner::is_quiet(Clock::time_point at) const {
  return impl_->is_quiet(at);
}

}  // namespace agentbox::prompt
