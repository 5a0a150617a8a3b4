#include "agentbox/policy/git_config.hpp"

#include <algorithm>
#include <utility>

namespace agentbox::policy {

namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}
bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {
    if (text_.starts_with("\xef\xbb\xbf")) text_.remove_prefix(3);  // git skips it too
  }

  std::vector<GitSetting> run() {
    while (!text_.empty()) {
      char c = text_.front();
      if (is_space(c) || c == '\n') {
        text_.remove_prefix(1);
      } else if (c == '#' || c == ';') {
        skip_line();
      } else if (c == '[') {
        section();
      } else {
        variable();
      }
    }
    return std::move(found_);
  }

 private:
  void skip_line() { text_.remove_prefix(std::min(text_.find('\n'), text_.size())); }
  char take() {
    if (text_.empty()) return '\n';
    char c = text_.front();
    text_.remove_prefix(1);
    return c;
  }

  // [section], [section "sub"] and the old [section.sub]
  void section() {
    take();
    section_.clear();
    subsection_.reset();
    char c = take();
    while (c != ']' && c != '\n' && !is_space(c) && c != '"') section_ += lower(c), c = take();
    if (std::size_t dot = section_.find('.'); dot != std::string::npos) {
      subsection_ = section_.substr(dot + 1);
      section_.resize(dot);
    }
    while (is_space(c)) c = take();
    if (c == '"') {
      subsection_.emplace();
      for (c = take(); c != '"' && c != '\n'; c = take()) *subsection_ += c == '\\' ? take() : c;
      while (c != ']' && c != '\n') c = take();
    }
  }

  void variable() {
    std::string name;
    char c = lower(take());
    while (is_word(c)) name += c, c = lower(take());
    while (is_space(c)) c = take();
    std::string text;
    if (c == '=') {
      text = value();
    } else if (c != '\n') {
      skip_line();  // a comment behind a name without value; or what git would refuse
    }
    if (!name.empty()) found_.push_back({section_, subsection_, std::move(name), std::move(text)});
  }

  // Up to the end of the line; quotes, comments and continued lines as git has them.
  std::string value() {
    std::string out;
    bool quoted = false;
    while (!text_.empty()) {
      char c = take();
      if (c == '\n') break;
      if (c == '\\') {
        char next = take();
        if (next == '\r' && text_.starts_with('\n')) next = take();
        if (next != '\n') out += next;
      } else if (c == '"') {
        quoted = !quoted;
      } else if (!quoted && (c == '#' || c == ';')) {
        skip_line();
      } else if (!out.empty() || !is_space(c)) {
        out += c;
      }
    }
    while (!out.empty() && is_space(out.back())) out.pop_back();
    return out;
  }

  std::string_view text_;
  std::string section_;
  std::optional<std::string> subsection_;
  std::vector<GitSetting> found_;
};

}  // namespace

std::string key_of(const GitSetting& setting) {
  return setting.section + "." + (setting.subsection ? *setting.subsection + "." : "") + setting.name;
}

std::vector<GitSetting> read_git_config(std::string_view config) {
  return Reader(config).run();
}

}  // namespace agentbox::policy
