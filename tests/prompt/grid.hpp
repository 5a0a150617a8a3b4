#pragma once

// A terminal that knows our own sequences and nothing else: whatever a page draws becomes a grid of characters, and
// every other byte is a mistake. Written apart from the pages: its widths come from the C library.

#include <clocale>
#include <cstddef>
#include <cstdint>
#include <cwchar>
#include <string>
#include <string_view>
#include <vector>

namespace agentbox::test {

class Grid {
 public:
  Grid(std::size_t rows, std::size_t columns) : cells_(rows, std::vector<std::string>(columns, " ")) {
    std::setlocale(LC_CTYPE, "C.UTF-8");
  }

  // The first thing that was not ours, or that left the screen; empty: nothing.
  [[nodiscard]] const std::string& mistake() const noexcept { return mistake_; }

  Grid& apply(std::string_view bytes) {
    while (!bytes.empty() && mistake_.empty()) {
      const std::size_t taken = bytes[0] == '\033' ? sequence(bytes) : letter(bytes);
      bytes.remove_prefix(taken);
    }
    return *this;
  }

  // As text, without blanks at the ends of rows.
  [[nodiscard]] std::string text() const {
    std::string out;
    for (const auto& row : cells_) {
      std::string line;
      for (const auto& cell : row) line += cell;
      line.erase(line.find_last_not_of(' ') + 1);
      out += line + '\n';
    }
    return out;
  }
  [[nodiscard]] std::string row(std::size_t number) const {
    const std::string all = text();
    std::size_t begin = 0;
    for (; number > 0; --number) begin = all.find('\n', begin) + 1;
    return all.substr(begin, all.find('\n', begin) - begin);
  }
  [[nodiscard]] bool shows(std::string_view words) const { return text().find(words) != std::string::npos; }
  [[nodiscard]] std::size_t rows_written() const noexcept { return rows_written_; }
  void count_from_now() noexcept { rows_written_ = 0; }

 private:
  std::size_t fail(std::string what) {
    mistake_ = std::move(what);
    return 1;
  }

  std::size_t sequence(std::string_view bytes) {
    if (bytes.size() < 3 || bytes[1] != '[') return fail("an escape that is no CSI");
    const auto end = bytes.find_first_not_of("0123456789;", 2);
    if (end == std::string_view::npos) return fail("a sequence without an end");
    const std::string parameters(bytes.substr(2, end - 2));
    switch (bytes[end]) {
      case 'm': break;
      case 'H': {
        const auto colon = parameters.find(';');
        if (colon == std::string::npos) return fail("a position without a column");
        row_ = std::stoul(parameters) - 1;
        column_ = std::stoul(parameters.substr(colon + 1)) - 1;
        ++rows_written_;
        break;
      }
      case 'G': column_ = std::stoul(parameters) - 1; break;
      case 'K':
        if (!parameters.empty()) return fail("an erasure with a parameter");
        for (std::size_t i = column_; row_ < cells_.size() && i < columns(); ++i) cells_[row_][i] = " ";
        break;
      default: return fail(std::string("a sequence that ends in ") + bytes[end]);
    }
    if (bytes[end] != 'm' && (row_ >= cells_.size() || column_ >= columns())) return fail("a position outside");
    return end + 1;
  }

  std::size_t letter(std::string_view bytes) {
    std::mbstate_t state{};
    wchar_t code = 0;
    const std::size_t length = std::mbrtowc(&code, bytes.data(), bytes.size(), &state);
    if (length == 0 || length > 4) return fail("not UTF-8");
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return fail("a control character");
    int width = ::wcwidth(code);
    if (width < 0) width = 1;  // what the C library doesn't know yet
    if (width == 0) {
      if (column_ == 0) return fail("a mark that nothing carries");
      cells_[row_][column_ - 1] += bytes.substr(0, length);
      return length;
    }
    if (column_ + static_cast<std::size_t>(width) > columns()) return fail("a row that is too wide");
    cells_[row_][column_] = bytes.substr(0, length);
    if (width == 2) cells_[row_][column_ + 1].clear();
    column_ += static_cast<std::size_t>(width);
    return length;
  }

  [[nodiscard]] std::size_t columns() const noexcept { return cells_[0].size(); }

  std::vector<std::vector<std::string>> cells_;
  std::size_t row_ = 0, column_ = 0, rows_written_ = 0;
  std::string mistake_;
};

}  // namespace agentbox::test
