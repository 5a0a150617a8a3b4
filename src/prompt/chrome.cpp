#include "chrome.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace agentbox::prompt {

using namespace std::chrono_literals;

namespace {

constexpr auto quiet_step = 100ms;

std::size_t width_of(const KeyCap& key, std::string_view KeyCap::* label) {
  return width_of_text(key.key) + 3 + width_of_text(key.*label);
}

void put_cap(Line& line, std::size_t column, const KeyCap& key, std::string_view KeyCap::* label) {
  line.put(column, fmt::format(" {} ", key.key), key.ink);
  line.put(line.end() + 1, key.*label, key.ink == Ink::off ? Ink::faint : Ink::plain);
}

// A row for each group, and the keys below each other. Nothing if that is wider than the screen, or no table.
std::optional<std::vector<Line>> in_columns(std::span<const KeyCap> keys, std::size_t columns,
                                            std::string_view KeyCap::* label, std::size_t gap) {
  std::vector<std::vector<const KeyCap*>> groups(1);
  for (const KeyCap& key : keys) {
    if (key.place == KeyCap::Place::new_row && !groups.back().empty()) groups.emplace_back();
    groups.back().push_back(&key);
  }
  if (groups.size() != 2) return std::nullopt;
  std::vector<Line> rows(groups.size());
  std::size_t column = 1;
  for (std::size_t place = 0; place < std::max(groups[0].size(), groups[1].size()); ++place) {
    std::size_t widest = 0;
    for (std::size_t row = 0; row < groups.size(); ++row) {
      if (place >= groups[row].size()) continue;
      const KeyCap& key = *groups[row][place];
      if (column + width_of(key, label) > columns) return std::nullopt;
      put_cap(rows[row], column, key, label);
      widest = std::max(widest, width_of(key, label));
    }
    column += widest + gap;
  }
  return rows;
}

std::vector<Line> flow(std::span<const KeyCap> keys, std::size_t columns, std::string_view KeyCap::* label,
                       bool groups) {
  std::vector<Line> rows(1);
  std::size_t column = 1;
  for (const KeyCap& key : keys) {
    const std::size_t width = width_of(key, label);
    const bool wanted = groups && key.place == KeyCap::Place::new_row;
    if (column > 1 && (wanted || column + width > columns)) {
      rows.emplace_back();
      column = 1;
    }
    put_cap(rows.back(), column, key, label);
    column = rows.back().end() + 2;
  }
  return rows;
}

}  // namespace

Clock::time_point QuietPeriod::next_change(Clock::time_point now) const noexcept {
  const auto rest = left(now);
  return now + (rest % quiet_step == 0ms ? std::min(rest, quiet_step) : rest % quiet_step);
}

std::chrono::milliseconds QuietPeriod::left(Clock::time_point now) const noexcept {
  if (!until_) return length_;
  return std::max(0ms, std::chrono::ceil<std::chrono::milliseconds>(*until_ - now));
}

std::string countdown(Clock::duration left) {
  const auto seconds = std::max<std::int64_t>(0, std::chrono::ceil<std::chrono::seconds>(left).count());
  if (seconds < 3600) return fmt::format("{}:{:02}", seconds / 60, seconds % 60);
  return fmt::format("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

Clock::time_point next_second(Clock::time_point end, Clock::time_point now) {
  if (now >= end) return now + 1h;
  return end - (std::chrono::ceil<std::chrono::seconds>(end - now) - 1s);
}

Line top_bar(std::string_view where, std::string_view right, Ink right_ink, std::size_t columns) {
  Line line;
  constexpr std::string_view name = " agentbox ";
  const std::size_t right_width = right.empty() ? 0 : width_of_text(right) + 2;
  line.put(0, name, Ink::name);
  const std::size_t room = columns > name.size() + right_width ? columns - name.size() - right_width : 0;
  line.fill(line.end(), line.end() + 1, " ", Ink::bar);
  if (room > 4) line.put_shown(line.end(), cut_to(where, room - 1), Ink::faint);
  line.fill(line.end(), columns > right_width ? columns - right_width : 0, " ", Ink::bar);
  if (!right.empty()) line.put(line.end(), fmt::format(" {} ", right), right_ink);
  line.fill(line.end(), columns, " ", Ink::bar);
  return line;
}

std::string position_of(const View& view, std::size_t columns) {
  if (view.fits()) return {};
  const std::size_t rows = view.document.rows();
  const bool below = view.bottom() < rows;
  if (columns < 50) return fmt::format("{}-{} of {}{}", view.top() + 1, view.bottom(), rows, below ? " ↓ more" : "");
  return fmt::format("lines {}-{} of {}, {}", view.top() + 1, view.bottom(), rows, below ? "more below ↓" : "end");
}

Line rule(std::string_view position, std::size_t columns) {
  Line line;
  if (position.empty()) return line.fill(0, columns, "─", Ink::faint);
  const std::string words = cut_to(position, columns > 6 ? columns - 6 : 1);
  const std::size_t width = width_of_text(words);
  line.fill(0, columns > width + 4 ? columns - width - 4 : 0, "─", Ink::faint);
  line.put(line.end() + 1, words, Ink::strong);
  return line.fill(line.end() + 1, columns, "─", Ink::faint);
}

std::vector<Line> key_rows(std::span<const KeyCap> keys, std::size_t columns) {
  auto rows = flow(keys, columns, &KeyCap::label, false);
  if (rows.size() == 1) return rows;
  for (const auto label : {&KeyCap::label, &KeyCap::short_label}) {
    for (const std::size_t gap : {3U, 2U}) {
      if (auto table = in_columns(keys, columns, label, gap)) return *std::move(table);
    }
  }
  return flow(keys, columns, &KeyCap::short_label, true);
}

Line quiet_line(const QuietPeriod& quiet, Clock::time_point now, std::size_t columns) {
  const std::string_view words = columns < 50 ? "keys work in a moment" : "read first: the keys work in a moment";
  Line line;
  line.put(1, words, Ink::faint);
  const std::size_t cells = std::min<std::size_t>(14, columns > line.end() + 3 ? columns - line.end() - 3 : 0);
  const auto length = std::max<std::int64_t>(1, quiet.length().count());
  const auto left = std::min(quiet.left(now).count(), length);
  const auto filled = cells - cells * static_cast<std::size_t>(left) / static_cast<std::size_t>(length);
  const std::size_t begin = line.end() + 2;
  line.fill(begin, begin + filled, "━", Ink::strong);
  return line.fill(begin + filled, begin + cells, "─", Ink::faint);
}

}  // namespace agentbox::prompt
