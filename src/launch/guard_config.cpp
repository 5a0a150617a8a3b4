#include "guard_config.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace agentbox::launch {

namespace {

struct Key {
  std::string_view section, name;  // name "*": every one
};

// Keys of git 2.5x whose value is a command, a program, or a file with more keys (git-config(1)).
constexpr std::array executing = {
    Key{"core", "alternaterefscommand"},
    Key{"core", "askpass"},
    Key{"core", "attributesfile"},
    Key{"core", "editor"},
    Key{"core", "fsmonitor"},
    Key{"core", "gitproxy"},
    Key{"core", "hookspath"},
    Key{"core", "pager"},
    Key{"core", "sshcommand"},
    Key{"core", "worktree"},
    Key{"browser", "*"},
    Key{"credential", "helper"},
    Key{"diff", "command"},
    Key{"diff", "external"},
    Key{"diff", "textconv"},
    Key{"difftool", "cmd"},
    Key{"difftool", "path"},
    Key{"filter", "clean"},
    Key{"filter", "process"},
    Key{"filter", "smudge"},
    Key{"gpg", "defaultkeycommand"},
    Key{"gpg", "program"},
    Key{"guitool", "cmd"},
    Key{"hook", "command"},
    Key{"imap", "tunnel"},
    Key{"include", "path"},
    Key{"includeif", "path"},
    Key{"init", "templatedir"},
    Key{"instaweb", "*"},
    Key{"interactive", "difffilter"},
    Key{"lfs", "*"},
    Key{"man", "cmd"},
    Key{"man", "path"},
    Key{"merge", "driver"},
    Key{"mergetool", "cmd"},
    Key{"mergetool", "path"},
    Key{"pager", "*"},
    Key{"protocol", "allow"},
    Key{"receive", "procreceiverefs"},
    Key{"remote", "receivepack"},
    Key{"remote", "uploadpack"},
    Key{"remote", "vcs"},
    Key{"sendemail", "*"},
    Key{"sequence", "editor"},
    Key{"ssh", "variant"},
    Key{"tar", "command"},
    Key{"trailer", "cmd"},
    Key{"trailer", "command"},
    Key{"uploadpack", "packobjectshook"},
    Key{"url", "insteadof"},
    Key{"url", "pushinsteadof"},
    Key{"web", "browser"},
};

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

  std::vector<std::string> run(std::size_t limit) {
    while (!text_.empty() && found_.size() < limit) {
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
    std::string value;
    if (c == '=') {
      value = this->value();
    } else if (c != '\n') {
      skip_line();  // a comment behind a name without value; or what git would refuse
    }
    if (!name.empty() && executes(name, value)) add(name);
  }

  // Up to the end of the line; quotes, comments and continued lines as git has them. Spaces at the ends don't
  // matter here.
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
    return out;
  }

  [[nodiscard]] bool executes(std::string_view name, std::string_view value) const {
    if (section_ == "alias") return value.starts_with('!');
    if (section_ == "submodule" && name == "update") return value.starts_with('!');
    if (section_ == "core" && name == "fsmonitor") return value != "true" && value != "false" && !value.empty();
    if ((section_ == "remote" && (name == "url" || name == "pushurl")))
      return value.find("::") != std::string_view::npos;
    if (section_ == "gpg" && name == "program") return true;
    return std::ranges::any_of(
        executing, [&](const Key& key) { return key.section == section_ && (key.name == "*" || key.name == name); });
  }

  void add(const std::string& name) {
    std::string whole = section_ + "." + (subsection_ ? *subsection_ + "." : "") + name;
    if (std::ranges::find(found_, whole) == found_.end()) found_.push_back(std::move(whole));
  }

  std::string_view text_;
  std::string section_;
  std::optional<std::string> subsection_;
  std::vector<std::string> found_;
};

}  // namespace

std::vector<std::string> executing_keys(std::string_view config, std::size_t limit) {
  return Reader(config).run(limit);
}

}  // namespace agentbox::launch
