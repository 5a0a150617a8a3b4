#include "scan.hpp"

#include <algorithm>

namespace agentbox::profile {

namespace {

// The library recurses into brackets and dotted keys; a profile needs three levels.
constexpr std::size_t nesting_limit = 16;

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}
bool is_bare(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

class Scanner {
 public:
  explicit Scanner(const Text& text) : text_(text), bytes_(text.bytes()) {}

  Scan run() {
    while (skip_to_statement()) {
      statement();
      result_.statements.back().end = at_;
    }
    return std::move(result_);
  }

 private:
  bool skip_to_statement() {
    while (at_ < bytes_.size()) {
      if (bytes_[at_] == '#') {
        skip_line();
      } else if (bytes_[at_] == '\n' || is_blank(bytes_[at_])) {
        ++at_;
      } else {
        return true;
      }
    }
    return false;
  }

  void skip_line() { at_ = std::min(bytes_.find('\n', at_), bytes_.size()); }

  void statement() {
    bool header = bytes_[at_] == '[';
    result_.statements.push_back({.begin = at_, .header = header, .section = header ? Statement::npos : section_});
    if (header) section_ = result_.statements.size() - 1;
    open_.clear();
    dots_ = 0;
    bool key_ended = false;
    while (at_ < bytes_.size()) {
      char c = bytes_[at_];
      if (c == '\n') {
        if (header || open_.empty()) return end_key(key_ended);
        ++at_;
        if (begins_statement(at_)) break;
      } else if (c == '#') {
        if (!key_ended && (header || open_.empty())) {
          end_key(key_ended);
          key_ended = true;
        }
        skip_line();
      } else if (c == '"' || c == '\'') {
        string(c);
      } else {
        if (c == '=' && !key_ended && open_.empty()) {
          end_key(false);
          key_ended = true;
        }
        if (!header) bracket(c);
        count_dots(c);
        ++at_;
      }
    }
    end_key(key_ended);
    if (!header && !open_.empty()) unclosed();
  }

  void end_key(bool ended) {
    if (ended) return;
    Statement& current = result_.statements.back();
    std::string_view key = trim(bytes_.substr(current.begin, at_ - current.begin));
    if (current.header) {
      while (!key.empty() && key.front() == '[') key.remove_prefix(1);
      while (!key.empty() && key.back() == ']') key.remove_suffix(1);
      key = trim(key);
    }
    current.key = key;
  }

  void bracket(char c) {
    if (c == '[' || c == '{') {
      open_.push_back(at_);
      if (open_.size() == nesting_limit) refuse(at_, 1, "brackets are nested too deep");
    } else if ((c == ']' || c == '}') && !open_.empty()) {
      open_.pop_back();
    }
  }

  void count_dots(char c) {
    if (c == '.') {
      if (++dots_ == nesting_limit) refuse(at_, 1, "a key has too many parts");
    } else if (!is_bare(c) && !is_blank(c)) {
      dots_ = 0;
    }
  }

  // At a quote. A string on one line ends at the line's end in any case.
  void string(char quote) {
    std::size_t begin = at_;
    bool multiline = bytes_.substr(at_, 3) == std::string_view(quote == '"' ? "\"\"\"" : "'''");
    std::size_t marks = multiline ? 3 : 1;
    at_ += marks;
    while (at_ < bytes_.size() && (multiline || bytes_[at_] != '\n')) {
      if (bytes_[at_] == '\\' && quote == '"') {
        at_ = std::min(at_ + 2, bytes_.size());
      } else if (bytes_.substr(at_, marks) == bytes_.substr(begin, marks)) {
        at_ += marks;
        while (multiline && at_ < bytes_.size() && bytes_[at_] == quote) ++at_;  // up to two quotes before the end
        return;
      } else {
        ++at_;
      }
    }
    if (!multiline) at_ = std::min(at_, std::min(bytes_.find('\n', begin), bytes_.size()));
    std::size_t end = std::min(at_, std::min(bytes_.find('\n', begin), bytes_.size()));
    refuse(begin, end - begin, "the string that begins here is not closed");
  }

  // Within brackets: nothing but a new statement looks like `key =` or `[section]` at the beginning of a
  // line. (A line of an inline table would, but those may not span lines.)
  bool begins_statement(std::size_t offset) const {
    std::string_view line = bytes_.substr(offset, std::min(bytes_.find('\n', offset), bytes_.size()) - offset);
    line = trim(line.substr(0, line.find('#')));
    if (line.size() > 2 && line.front() == '[' && line.back() == ']') {
      while (!line.empty() && line.front() == '[') line.remove_prefix(1);
      while (!line.empty() && line.back() == ']') line.remove_suffix(1);
      return !line.empty() && line.front() >= 'a' && line.front() <= 'z' && line != "true" && line != "false" &&
             line != "inf" && line != "nan" && std::ranges::all_of(line, [](char c) { return is_bare(c) || c == '.'; });
    }
    std::size_t key = 0;
    while (key < line.size() && (is_bare(line[key]) || line[key] == '.')) ++key;
    std::string_view rest = trim(line.substr(key));
    return key > 0 && !rest.empty() && rest.front() == '=';
  }

  void unclosed() {
    std::size_t begin = open_.back();
    refuse(
        begin, 1,
        bytes_[begin] == '[' ? "the list that begins here is not closed" : "the table that begins here is not closed");
  }

  void refuse(std::size_t offset, std::size_t length, std::string message) {
    std::size_t index = result_.statements.size() - 1;
    if (!result_.broken.empty() && result_.broken.back() == index) return;
    result_.broken.push_back(index);
    result_.errors.push_back(text_.error(text_.at(offset, length), std::move(message)));
  }

  const Text& text_;
  std::string_view bytes_;
  std::size_t at_ = 0;
  std::size_t section_ = Statement::npos;
  std::vector<std::size_t> open_;
  std::size_t dots_ = 0;
  Scan result_;
};

}  // namespace

Scan scan(const Text& text) {
  return Scanner(text).run();
}

}  // namespace agentbox::profile
