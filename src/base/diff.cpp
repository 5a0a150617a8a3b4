// E. Myers, "An O(ND) difference algorithm and its variations" (1986), the greedy one, over numbered lines.

#include "agentbox/base/diff.hpp"

#include <algorithm>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace agentbox::base {

namespace {

using Lines = std::vector<std::string_view>;  // each with its newline, if it has one

Lines lines_of(std::string_view text) {
  Lines lines;
  while (!text.empty()) {
    std::size_t end = text.find('\n');
    std::size_t length = end == std::string_view::npos ? text.size() : end + 1;
    lines.push_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return lines;
}

// Equal lines have equal numbers: the search compares no bytes.
using Numbers = std::vector<std::uint32_t>;

class Numbering {
 public:
  Numbers of(const Lines& lines) {
    Numbers numbers;
    numbers.reserve(lines.size());
    for (std::string_view line : lines) {
      numbers.push_back(known_.try_emplace(line, static_cast<std::uint32_t>(known_.size())).first->second);
    }
    return numbers;
  }

 private:
  std::unordered_map<std::string_view, std::uint32_t> known_;
};

// A million empty lines can keep the search busy for seconds.
constexpr std::uint64_t most_compared = 20'000'000;

// So many lines are equal, then so many are removed and so many added.
struct Step {
  std::size_t same = 0, removed = 0, added = 0;
};

class Search {
 public:
  Search(const Numbers& before, const Numbers& after, std::size_t most)
      : before_(before), after_(after), most_(static_cast<std::int64_t>(most)) {
    while (first_ < std::min(before.size(), after.size()) && before[first_] == after[first_]) ++first_;
    while (last_ < std::min(before.size(), after.size()) - first_ &&
           before[before.size() - 1 - last_] == after[after.size() - 1 - last_]) {
      ++last_;
    }
    rows_ = static_cast<std::int64_t>(before.size() - first_ - last_);
    columns_ = static_cast<std::int64_t>(after.size() - first_ - last_);
  }

  // In order; the last one may have nothing but equal lines.
  std::vector<Step> run() {
    std::vector<Step> steps;
    add(steps, {.same = first_});
    if (find()) {
      walk_back(steps);
    } else {
      add(steps, {.removed = static_cast<std::size_t>(rows_), .added = static_cast<std::size_t>(columns_)});
    }
    add(steps, {.same = last_});
    return steps;
  }

 private:
  // What is removed and what is added between two equal lines is one step, removed lines first.
  static void add(std::vector<Step>& steps, Step step) {
    if (steps.empty() || (step.same > 0 && steps.back().removed + steps.back().added > 0)) {
      steps.push_back(step);
      return;
    }
    steps.back().same += step.same;
    steps.back().removed += step.removed;
    steps.back().added += step.added;
  }

  // How far down each diagonal (row minus column, from -d to d) one comes with d differences, for every d until the end
  // is reached. False: it takes more than `most_`, or too long.
  bool find() {
    std::vector<std::int64_t> reach{0};  // of the diagonals -d, -d + 2, ..., d
    for (std::int64_t d = 0; d <= most_; ++d) {
      if (d > 0) reach = advance(d);
      for (std::int64_t i = 0; i <= d; ++i) {
        std::int64_t diagonal = 2 * i - d;
        std::int64_t& row = reach[static_cast<std::size_t>(i)];
        for (; row < rows_ && row - diagonal < columns_ && is_same(row, row - diagonal); ++row) ++compared_;
        if (row >= rows_ && row - diagonal >= columns_) {
          reaches_.push_back(std::move(reach));
          return true;
        }
      }
      reaches_.push_back(reach);
      if (compared_ > most_compared) return false;
    }
    return false;
  }

  // One difference more: a removed line goes one row on (to the diagonal above), an added one stays in its row.
  std::vector<std::int64_t> advance(std::int64_t d) const {
    const std::vector<std::int64_t>& before = reaches_.back();
    std::vector<std::int64_t> reach(static_cast<std::size_t>(d) + 1);
    for (std::int64_t i = 0; i <= d; ++i) {
      reach[static_cast<std::size_t>(i)] = comes_by_adding(before, i, d) ? before[static_cast<std::size_t>(i)]
                                                                         : before[static_cast<std::size_t>(i - 1)] + 1;
    }
    return reach;
  }
  // Of the two ways to the diagonal `i` of `d` the one that comes further.
  static bool comes_by_adding(const std::vector<std::int64_t>& before, std::int64_t i, std::int64_t d) {
    if (i == 0) return true;
    if (i == d) return false;
    return before[static_cast<std::size_t>(i)] > before[static_cast<std::size_t>(i - 1)];
  }

  void walk_back(std::vector<Step>& steps) const {
    std::vector<Step> back;
    std::int64_t row = rows_, i = (rows_ - columns_ + static_cast<std::int64_t>(reaches_.size()) - 1) / 2;
    for (auto d = static_cast<std::int64_t>(reaches_.size()) - 1; d > 0; --d) {
      const std::vector<std::int64_t>& before = reaches_[static_cast<std::size_t>(d - 1)];
      bool added = comes_by_adding(before, i, d);
      std::int64_t from = added ? before[static_cast<std::size_t>(i)] : before[static_cast<std::size_t>(i - 1)] + 1;
      back.push_back({.same = static_cast<std::size_t>(row - from)});
      back.push_back({.removed = added ? 0U : 1U, .added = added ? 1U : 0U});
      row = added ? from : from - 1;
      if (!added) --i;
    }
    add(steps, {.same = static_cast<std::size_t>(row)});
    for (auto step = back.rbegin(); step != back.rend(); ++step) add(steps, *step);
  }

  [[nodiscard]] bool is_same(std::int64_t row, std::int64_t column) const {
    return before_[first_ + static_cast<std::size_t>(row)] == after_[first_ + static_cast<std::size_t>(column)];
  }

  const Numbers& before_;
  const Numbers& after_;
  std::int64_t most_;
  std::size_t first_ = 0, last_ = 0;     // equal lines at either end
  std::int64_t rows_ = 0, columns_ = 0;  // lines between them
  std::uint64_t compared_ = 0;
  std::vector<std::vector<std::int64_t>> reaches_;
};

// Puts the hunks together: steps whose equal lines between them are few belong to one.
class Writer {
 public:
  Writer(const Lines& before, const Lines& after, const Diff::Limits& limits)
      : before_(before), after_(after), limits_(limits) {}

  // False: it is too long.
  bool write(const std::vector<Step>& steps) {
    std::size_t row = 0, column = 0;  // of the step
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const Step& step = steps[i];
      if (step.removed + step.added > 0) {
        bool is_near = in_hunk_ && step.same <= 2 * limits_.context;
        std::size_t lead = is_near ? step.same : std::min(step.same, limits_.context);
        if (!is_near) {
          close();
          open(row + step.same - lead, column + step.same - lead);
        }
        for (std::size_t k = 0; k < lead; ++k) line(' ', before_[row + step.same - lead + k]);
        for (std::size_t k = 0; k < step.removed; ++k) line('-', before_[row + step.same + k]);
        for (std::size_t k = 0; k < step.added; ++k) line('+', after_[column + step.same + k]);
        if (text.size() + hunk_.size() > limits_.shown) return false;
      }
      row += step.same + step.removed;
      column += step.same + step.added;
    }
    close();
    return text.size() <= limits_.shown;
  }

  std::string text;

 private:
  void open(std::size_t row, std::size_t column) {
    in_hunk_ = true;
    hunk_row_ = row, hunk_column_ = column;
    hunk_rows_ = hunk_columns_ = 0;
    hunk_.clear();
  }
  // With the equal lines that follow it.
  void close() {
    if (!std::exchange(in_hunk_, false)) return;
    std::size_t next = hunk_row_ + hunk_rows_;
    for (std::size_t k = 0; k < limits_.context && next + k < before_.size(); ++k) line(' ', before_[next + k]);
    text += fmt::format("@@ -{} +{} @@\n", range(hunk_row_, hunk_rows_), range(hunk_column_, hunk_columns_));
    text += hunk_;
  }
  // As diff(1) counts: the line before, where there is none.
  static std::string range(std::size_t first, std::size_t count) {
    if (count == 1) return fmt::format("{}", first + 1);
    return fmt::format("{},{}", count == 0 ? first : first + 1, count);
  }
  void line(char mark, std::string_view content) {
    hunk_ += mark;
    hunk_ += content;
    if (mark != '+') ++hunk_rows_;
    if (mark != '-') ++hunk_columns_;
    if (!content.ends_with('\n')) hunk_ += "\n\\ No newline at end of file\n";
  }

  const Lines& before_;
  const Lines& after_;
  const Diff::Limits& limits_;
  bool in_hunk_ = false;
  std::size_t hunk_row_ = 0, hunk_column_ = 0, hunk_rows_ = 0, hunk_columns_ = 0;
  std::string hunk_;
};

}  // namespace

Diff unified_diff(std::string_view before, std::string_view after, const Diff::Limits& limits) {
  if (before == after) return {};
  if (before.find('\0') != std::string_view::npos || after.find('\0') != std::string_view::npos) {
    return {.kind = Diff::Kind::binary};
  }
  Lines old_lines = lines_of(before), new_lines = lines_of(after);
  Numbering numbering;
  Numbers old_numbers = numbering.of(old_lines), new_numbers = numbering.of(new_lines);
  std::vector<Step> steps = Search(old_numbers, new_numbers, limits.differences).run();
  Diff diff{.kind = Diff::Kind::text};
  for (const Step& step : steps) {
    diff.removed += step.removed;
    diff.added += step.added;
  }
  Writer writer(old_lines, new_lines, limits);
  if (writer.write(steps)) {
    diff.text = std::move(writer.text);
  } else {
    diff.kind = Diff::Kind::too_long;
  }
  return diff;
}

Diff unified_diff(std::string_view before, std::string_view after) {
  return unified_diff(before, after, Diff::Limits{});
}

}  // namespace agentbox::base
