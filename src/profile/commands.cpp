// Command patterns: split like POSIX shell words (2.2 Quoting, 2.3 Token Recognition), and nothing is
// expanded. What a shell would expand or act upon is an error: written here, it could never match what the
// program really receives.

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"

#include "values.hpp"

namespace agentbox::profile {

namespace {

class Splitter {
 public:
  explicit Splitter(std::string_view text) : text_(text) {}

  Parsed<std::vector<std::string>> run() {
    while (at_ < text_.size()) {
      char c = text_[at_];
      if (c == ' ' || c == '\t') {
        end_word();
        ++at_;
      } else if (Parsed<bool> step = element(c); !step) {
        return std::unexpected(step.error());
      }
    }
    end_word();
    return std::move(words_);
  }

 private:
  Parsed<bool> element(char c) {
    bool first = !in_word_;
    in_word_ = true;
    if (c == '\'') return single();
    if (c == '"') return twofold();
    if (c == '\\') {
      if (at_ + 1 == text_.size()) return fault_at(text_, text_.substr(at_), "nothing follows this backslash");
      literal(text_[at_ + 1]);
      at_ += 2;
      return true;
    }
    bool special = std::string_view("|&;<>()$`\n").find(c) != std::string_view::npos;
    if (special || (first && (c == '~' || c == '#'))) {
      return fault_at(text_, text_.substr(at_, 1),
                      fmt::format("no shell reads this, so an unquoted '{}' can match nothing",
                                  c == '\n' ? "\\n" : std::string(1, c)),
                      "quote it if the program is to receive it as it stands");
    }
    if (c == '*') {
      word_ += '*';
    } else {
      literal(c);
    }
    ++at_;
    return true;
  }

  Parsed<bool> single() {
    std::size_t end = text_.find('\'', at_ + 1);
    if (end == std::string_view::npos)
      return fault_at(text_, text_.substr(at_), "the quote that begins here is not closed");
    for (char c : text_.substr(at_ + 1, end - at_ - 1)) literal(c);
    at_ = end + 1;
    return true;
  }

  Parsed<bool> twofold() {
    std::size_t begin = at_++;
    while (at_ < text_.size() && text_[at_] != '"') {
      char c = text_[at_];
      if (c == '$' || c == '`') {
        return fault_at(text_, text_.substr(at_, 1), fmt::format("no shell reads this: '{}' is not expanded", c),
                        "put it in single quotes");
      }
      bool escaped = c == '\\' && at_ + 1 < text_.size() &&
                     std::string_view("$`\"\\").find(text_[at_ + 1]) != std::string_view::npos;
      if (escaped) ++at_;
      literal(text_[at_++]);
    }
    if (at_ == text_.size()) return fault_at(text_, text_.substr(begin), "the quote that begins here is not closed");
    ++at_;
    return true;
  }

  void literal(char c) {
    if (c == '*' || c == '\\') word_ += '\\';
    word_ += c;
  }

  void end_word() {
    if (!in_word_) return;
    words_.push_back(std::move(word_));
    word_.clear();
    in_word_ = false;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string word_;
  bool in_word_ = false;
  std::vector<std::string> words_;
};

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("_-./:=@%+,^!{}[]?~#").find(c) != std::string_view::npos;
}

// One spelling for each word, which reads back to the same word.
std::string canonical(std::string_view word) {
  if (word.empty()) return "''";
  std::string out;
  for (std::size_t i = 0; i < word.size(); ++i) {
    bool quoted = word[i] == '\\';  // a star or a backslash that is meant as it stands
    if (quoted) ++i;
    bool begins = i == 0 && (word[i] == '~' || word[i] == '#');
    if (quoted || begins || (!is_plain(word[i]) && word[i] != '*')) out += '\\';
    out += word[i];
  }
  return out;
}

// Two stars side by side that are not quoted.
bool has_double_star(std::string_view word) {
  for (std::size_t i = 0; i + 1 < word.size(); ++i) {
    if (word[i] == '\\') {
      ++i;
    } else if (word[i] == '*' && word[i + 1] == '*') {
      return true;
    }
  }
  return false;
}

Parsed<bool> check_program(const std::string& program) {
  if (program.find('*') != std::string::npos || program.find('\\') != std::string::npos) {
    return fault("the program itself must be named, without '*' or '\\'");
  }
  if (program.empty() || program == "." || program == "..") return fault("the name of the program is missing");
  if (program.front() == '-') return fault("the name of a program does not begin with '-'");
  if (program.find('/') != std::string::npos) {
    bool absolute = program.front() == '/' && program.find("/../") == std::string::npos &&
                    program.find("//") == std::string::npos && program.find("/./") == std::string::npos &&
                    !program.ends_with('/') && !program.ends_with("/..");
    if (!absolute) {
      return fault("a program is a bare name or an absolute path without '.' or '..'",
                   "a relative one would be whatever the agent has put there");
    }
  }
  return true;
}

}  // namespace

Parsed<CommandPattern> command_pattern(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return fault("a command cannot hold a NUL");
  Parsed<std::vector<std::string>> words = Splitter(text).run();
  if (!words) return std::unexpected(words.error());
  if (words->empty()) return fault("an empty command names nothing");
  if (Parsed<bool> program = check_program(words->front()); !program) return std::unexpected(program.error());
  CommandPattern result{.words = std::move(*words)};
  for (std::size_t i = 0; i < result.words.size(); ++i) {
    const std::string& word = result.words[i];
    if (has_double_star(word)) {
      if (word != "**")
        return fault("'**' must be an argument of its own: it is any number of them",
                     "within an argument '*' is enough");
      if (i + 1 < result.words.size()) return fault("'**' must be the last argument: nothing behind it could match");
    }
    if (i > 0) result.text += ' ';
    result.text += canonical(word);
  }
  return result;
}

}  // namespace agentbox::profile
