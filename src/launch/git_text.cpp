#include "git_text.hpp"

#include <algorithm>
#include <cctype>

namespace agentbox::launch {

namespace {

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-';
}
char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

class ConfigReader {
 public:
  explicit ConfigReader(std::string_view bytes) : rest_(bytes) {
    if (rest_.starts_with("\xef\xbb\xbf")) rest_.remove_prefix(3);
  }

  std::optional<std::string> last(std::string_view section, std::string_view key) {
    std::optional<std::string> found;
    std::string current;
    while (true) {
      skip_blank();
      if (rest_.empty()) return found;
      if (rest_.front() == '[') {
        std::optional<std::string> name = read_section();
        if (!name) return found;
        current = *std::move(name);
        continue;
      }
      std::string name = read_word();
      if (name.empty()) return found;
      std::optional<std::string> value = read_value();
      if (!value) return found;
      if (current == section && name == key) found = std::move(value);
    }
  }

 private:
  void skip_blank() {
    while (!rest_.empty()) {
      if (rest_.front() == '#' || rest_.front() == ';') {
        rest_.remove_prefix(std::min(rest_.find('\n'), rest_.size()));
      } else if (std::isspace(static_cast<unsigned char>(rest_.front())) != 0) {
        rest_.remove_prefix(1);
      } else {
        return;
      }
    }
  }
  std::string read_word() {
    std::string word;
    while (!rest_.empty() && is_word(rest_.front())) word += lower(take());
    return word;
  }
  // "[core]"; "[remote "origin"]" gives a name that equals none, for nobody asks for it.
  std::optional<std::string> read_section() {
    take();
    std::string name;
    while (!rest_.empty() && rest_.front() != ']') {
      char c = take();
      if (c == '\n') return std::nullopt;
      if (c == '\\' && !rest_.empty()) c = take();
      name += lower(c);
    }
    if (rest_.empty()) return std::nullopt;
    take();
    return name;
  }
  std::optional<std::string> read_value() {
    skip_spaces();
    if (rest_.empty() || rest_.front() == '\n' || rest_.front() == '\r') return "true";  // "[core] bare"
    if (take() != '=') return std::nullopt;
    skip_spaces();
    std::string value;
    std::size_t kept = 0;  // up to here it isn't trailing blank
    bool is_quoted = false;
    while (!rest_.empty() && rest_.front() != '\n') {
      char c = take();
      if (c == '"') {
        is_quoted = !is_quoted;
        kept = value.size();
        continue;
      }
      if (!is_quoted && (c == '#' || c == ';')) {
        rest_.remove_prefix(std::min(rest_.find('\n'), rest_.size()));
        break;
      }
      if (c == '\\') {
        if (rest_.empty()) return std::nullopt;
        c = take();
        if (c == '\n') continue;
        switch (c) {
          case 'n': c = '\n'; break;
          case 't': c = '\t'; break;
          case 'b': c = '\b'; break;
          case '"':
          case '\\': break;
          default: return std::nullopt;
        }
        value += c;
        kept = value.size();
        continue;
      }
      value += c;
      if (is_quoted || (c != ' ' && c != '\t' && c != '\r')) kept = value.size();
    }
    if (is_quoted) return std::nullopt;
    value.resize(kept);
    return value;
  }
  void skip_spaces() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t')) rest_.remove_prefix(1);
  }
  char take() {
    char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }

  std::string_view rest_;
};

}  // namespace

std::optional<std::string> parse_path_line(std::string_view bytes) {
  while (!bytes.empty() && (bytes.back() == '\n' || bytes.back() == '\r')) bytes.remove_suffix(1);
  if (bytes.empty() || bytes.size() > 4095 || bytes.find('\0') != std::string_view::npos) return std::nullopt;
  return std::string(bytes);
}

std::optional<std::string> parse_gitfile(std::string_view bytes) {
  constexpr std::string_view mark = "gitdir: ";
  if (!bytes.starts_with(mark)) return std::nullopt;
  return parse_path_line(bytes.substr(mark.size()));
}

std::optional<std::string> config_value(std::string_view bytes, std::string_view section, std::string_view key) {
  return ConfigReader(bytes).last(section, key);
}

}  // namespace agentbox::launch
