// One command pattern against one argv, by element.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/policy/ruling.hpp"

#include "programs.hpp"

namespace agentbox::policy {

namespace {

using Words = std::vector<std::string>;

constexpr std::size_t longest_path = 4095, longest_name = 255;  // PATH_MAX without its NUL, NAME_MAX

bool is_option(std::string_view element) {
  return element.starts_with('-');
}

// A word of a CommandPattern (a backslash before what is meant as it stands) against one element. Only the last star is
// ever tried again: no pattern takes more than the product of both lengths.
bool glob(std::string_view word, std::string_view element) {
  std::size_t w = 0, e = 0, star = std::string_view::npos, resume = 0;
  while (e < element.size()) {
    bool quoted = w < word.size() && word[w] == '\\' && w + 1 < word.size();
    if (w < word.size() && !quoted && word[w] == '*') {
      star = w++;
      resume = e;
    } else if (w < word.size() && word[w + (quoted ? 1 : 0)] == element[e]) {
      w += quoted ? 2 : 1;
      ++e;
    } else if (star != std::string_view::npos) {
      w = star + 1;
      e = ++resume;
    } else {
      return false;
    }
  }
  while (w < word.size() && word[w] == '*') ++w;
  return w == word.size();
}

bool matches_narrow(const Words& words, const Words& argv) {
  if (words.empty() || argv.empty() || words[0] != argv[0]) return false;
  for (std::size_t i = 1; i < words.size(); ++i) {
    if (words[i] == "**") return std::none_of(argv.begin() + static_cast<std::ptrdiff_t>(i), argv.end(), is_option);
    if (i == argv.size() || (is_option(argv[i]) && !is_option(words[i])) || !glob(words[i], argv[i])) return false;
  }
  return argv.size() == words.size();
}

std::string_view file_name(std::string_view program) {
  return program.substr(program.rfind('/') + 1);
}

// Fails closed: a bare name is any file of that name, an absolute path may be meant by its bare name.
bool names_program(std::string_view rule, std::string_view word) {
  if (rule == word) return true;
  bool both_absolute = rule.starts_with('/') && word.starts_with('/');
  return !both_absolute && file_name(rule) == file_name(word);
}

// All places of the pattern at which one may stand, after each element: for each word one bit "this one is next", and
// one "the element before was an option that was passed over, so this one may be its value".
class WideMatch {
 public:
  explicit WideMatch(const Words& words) : words_(words), now_(words.size() + 1), next_(words.size() + 1) {}

  void begin() { now_[1] |= at; }
  // True when the rest, whatever it is, belongs to the pattern.
  bool take(std::string_view element) {
    if (open_end()) return true;
    std::fill(next_.begin(), next_.end(), std::uint8_t{0});
    for (std::size_t i = 1; i < now_.size(); ++i) {
      if (now_[i] == 0) continue;
      if (i < words_.size() && glob(words_[i], element)) next_[i + 1] |= at;
      if (is_option(element)) next_[i] |= at | value;
      if ((now_[i] & value) != 0) next_[i] |= at;
    }
    std::swap(now_, next_);
    return open_end();
  }
  [[nodiscard]] bool ends() const { return now_.back() != 0 || open_end(); }

 private:
  static constexpr std::uint8_t at = 1, value = 2;
  [[nodiscard]] bool open_end() const { return words_.back() == "**" && now_[words_.size() - 1] != 0; }
  const Words& words_;
  std::vector<std::uint8_t> now_, next_;
};

bool matches_wide(const Words& words, const Command& command) {
  const Words& argv = command.argv;
  if (words.empty() || argv.empty()) return false;
  // Most rules are about another program: known before anything is reserved.
  bool first =
      names_program(words[0], argv[0]) || (command.program && names_program(words[0], command.program->path.str()));
  auto is_named = [&](const std::string& element) { return names_program(words[0], element); };
  if (!first && std::none_of(argv.begin() + 1, argv.end(), is_named)) return false;
  bool anywhere = runs_others(command);
  if (!first && !anywhere) return false;
  WideMatch match(words);
  if (first) match.begin();
  for (std::size_t i = 1; i < argv.size(); ++i) {
    if (match.take(argv[i])) return true;
    if (anywhere && names_program(words[0], argv[i])) match.begin();
  }
  return match.ends();
}

}  // namespace

bool is_program_name(std::string_view word) noexcept {
  if (word.empty() || word.front() == '-' || word.find('\0') != std::string_view::npos) return false;
  if (word.size() > longest_path) return false;
  if (word.find('/') == std::string_view::npos) return word != "." && word != ".." && word.size() <= longest_name;
  if (word.front() != '/' || word.back() == '/') return false;
  for (std::size_t begin = 1; begin <= word.size();) {
    std::size_t end = std::min(word.find('/', begin), word.size());
    std::string_view part = word.substr(begin, end - begin);
    if (part.empty() || part == "." || part == ".." || part.size() > longest_name) return false;
    begin = end + 1;
  }
  return true;
}

bool matches(const profile::CommandPattern& pattern, const Command& command, Reach reach) {
  return reach == Reach::narrow ? matches_narrow(pattern.words, command.argv) : matches_wide(pattern.words, command);
}

bool matches(const profile::CommandPattern& pattern, const std::vector<std::string>& argv) {
  return matches_narrow(pattern.words, argv);
}

}  // namespace agentbox::policy
