#include "toml.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "agentbox/base/escape.hpp"

#include "scan.hpp"

namespace agentbox::profile {

namespace {

// A file with more syntax errors than this is not a profile.
constexpr std::size_t syntax_error_limit = 20;

// ---- tree
// ------------------------------------------------------------------------------------------------------

// How long the token is that begins here: a string with its quotes, brackets up to their end on this line,
// else a word.
std::size_t token_length(std::string_view bytes, std::size_t offset) {
  std::string_view line = bytes.substr(offset, std::min(bytes.find('\n', offset), bytes.size()) - offset);
  if (line.empty()) return 1;
  if (line.front() == '"' || line.front() == '\'') {
    for (std::size_t i = 1; i < line.size(); ++i) {
      if (line[i] == '\\' && line.front() == '"') {
        ++i;
      } else if (line[i] == line.front()) {
        return i + 1;
      }
    }
    return line.size();
  }
  if (line.front() == '[' || line.front() == '{') {
    std::size_t end = line.rfind(line.front() == '[' ? ']' : '}');
    return end == std::string_view::npos ? 1 : end + 1;
  }
  return std::max<std::size_t>(std::min(line.find_first_of(" \t\r,]}#="), line.size()), 1);
}

class Tree {
 public:
  explicit Tree(const Text& text) : text_(text) {}

  [[nodiscard]] base::Position position(const toml::source_region& region) const {
    std::size_t offset = text_.offset_of(region.begin.line, region.begin.column);
    return text_.at(offset, token_length(text_.bytes(), offset));
  }

  [[nodiscard]] Node node(const toml::node& from) const {
    Node to;
    to.at = position(from.source());
    switch (from.type()) {
      case toml::node_type::string: string(to, from); break;
      case toml::node_type::integer:
        to.kind = Node::Kind::integer;
        to.integer = from.as_integer()->get();
        break;
      case toml::node_type::floating_point: to.kind = Node::Kind::number; break;
      case toml::node_type::boolean:
        to.kind = Node::Kind::boolean;
        to.boolean = from.as_boolean()->get();
        break;
      case toml::node_type::array: {
        to.kind = Node::Kind::list;
        const toml::array& items = *from.as_array();
        to.items.reserve(items.size());
        for (const toml::node& item : items) to.items.push_back(node(item));
        break;
      }
      case toml::node_type::table: table(to, *from.as_table()); break;
      default: to.kind = Node::Kind::date; break;
    }
    return to;
  }

 private:
  void string(Node& to, const toml::node& from) const {
    to.kind = Node::Kind::string;
    to.text = from.as_string()->get();
    std::size_t inside = text_.offset_of(from.source().begin.line, from.source().begin.column) + 1;
    if (to.at.length == to.text.size() + 2 && text_.bytes().substr(inside, to.text.size()) == to.text)
      to.exact = inside;
  }

  // In the order of the file, not of the library's map.
  void table(Node& to, const toml::table& from) const {
    to.kind = Node::Kind::table;
    to.entries.reserve(from.size());
    for (const auto& [key, value] : from) {
      to.entries.push_back({std::string(key.str()), position(key.source()), node(value)});
    }
    std::ranges::sort(to.entries, [](const Entry& a, const Entry& b) {
      return std::pair(a.at.line, a.at.column) < std::pair(b.at.line, b.at.column);
    });
  }

  const Text& text_;
};

// ---- errors
// ----------------------------------------------------------------------------------------------------

// "Error while parsing string: unknown escape sequence '\q'" → the part that a reader needs. The library has
// already named control characters; what remains of the file's bytes is escaped here.
std::string plain_words(std::string_view description) {
  if (description.starts_with("Error while parsing ")) {
    if (std::size_t colon = description.find(": "); colon != std::string_view::npos)
      description.remove_prefix(colon + 2);
  }
  std::string words = base::escape(description);
  for (std::size_t i = words.find("\\\\"); i != std::string::npos; i = words.find("\\\\", i + 1)) words.erase(i, 1);
  return words;
}

class Recovery {
 public:
  Recovery(const Text& text, base::Diagnostics& errors) : text_(text), errors_(errors), scan_(scan(text)) {
    bytes_ = std::string(text.bytes());
    if (bytes_.starts_with("\xef\xbb\xbf")) std::fill_n(bytes_.begin(), 3, ' ');  // a byte order mark
    errors_.insert(errors_.end(), scan_.errors.begin(), scan_.errors.end());
    for (std::size_t index : scan_.broken) leave_out(index);
  }

  Node run() {
    for (std::size_t i = 0; i < syntax_error_limit; ++i) {
      try {
        return Tree(text_).node(toml::parse(std::string_view(bytes_)));
      } catch (const toml::parse_error& error) {
        if (!understand(error)) break;
      }
    }
    return {};
  }

 private:
  // Reports the error and leaves its statement out. False when there is nothing left to leave out.
  bool understand(const toml::parse_error& error) {
    std::size_t offset = text_.offset_of(error.source().begin.line, error.source().begin.column);
    std::optional<std::size_t> index = statement_at(offset);
    if (!index) {
      errors_.push_back(text_.error(text_.at(offset, 1), plain_words(error.description())));
      return false;
    }
    const Statement& statement = scan_.statements[*index];
    if (error.description().find("cannot redefine") != std::string_view::npos) {
      redefined(statement, *index, offset);
    } else {
      malformed(statement, offset, error.description());
    }
    leave_out(*index);
    return true;
  }

  void malformed(const Statement& statement, std::size_t offset, std::string_view description) {
    std::string_view whole = text_.bytes().substr(statement.begin, statement.end - statement.begin);
    std::size_t value = statement.header ? whole.size() : whole.find('=', statement.key.size());
    value = value >= whole.size() ? value : whole.find_first_not_of(" \t", value + 1);
    // A word without quotes: the library takes it for a date or a number, and says so.
    if (value < whole.size() && offset <= statement.begin + value + token_length(whole, value)) {
      char first = whole[value];
      bool letter = (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z');
      if (letter || std::string_view("~/.$_*!").find(first) != std::string_view::npos) {
        errors_.push_back(text_.error(text_.at(statement.begin + value, token_length(whole, value)), "expected a value",
                                      "a string needs quotes"));
        return;
      }
    }
    // The library names a number that it cannot hold, and points behind it.
    if (std::size_t end = description.find("' is not representable"); end != std::string_view::npos) {
      std::size_t begin = description.rfind('\'', end - 1) + 1;
      std::string_view digits = description.substr(begin, end - begin);
      if (std::size_t at = whole.find(digits); at != std::string_view::npos) {
        errors_.push_back(
            text_.error(text_.at(statement.begin + at, digits.size()), "this number is too large to count"));
        return;
      }
    }
    // Never beyond the statement's own last line: the library may have read on to the next one.
    std::size_t shown = std::clamp(offset, statement.begin, std::max(statement.end, statement.begin + 1) - 1);
    errors_.push_back(text_.error(text_.at(shown, 1), plain_words(description)));
  }

  void redefined(const Statement& statement, std::size_t index, std::size_t offset) {
    std::string hint;
    bool top = statement.header;
    for (std::size_t i = 0; i < index; ++i) {
      const Statement& earlier = scan_.statements[i];
      if (earlier.key == statement.key && earlier.header == statement.header &&
          (top || section_name(earlier) == section_name(statement))) {
        hint = fmt::format("it is on line {} already", text_.at(earlier.begin, 1).line);
        break;
      }
    }
    if (hint.empty() && !statement.header && offset > statement.begin + statement.key.size()) {
      // Within an inline table.
      errors_.push_back(
          text_.error(text_.at(statement.begin, statement.key.size()),
                      fmt::format("a key is set twice in the table of '{}'", base::escape(statement.key))));
      return;
    }
    std::string name = statement.header ? fmt::format("section [{}]", base::escape(statement.key))
                                        : fmt::format("key '{}'", base::escape(statement.key));
    if (statement.header && !hint.empty()) hint += ": put these keys there";
    std::size_t begin = statement.begin;
    while (statement.header && begin < statement.end && text_.bytes()[begin] == '[') ++begin;
    errors_.push_back(text_.error(text_.at(begin, statement.key.size()), "duplicate " + name, hint));
  }

  [[nodiscard]] std::string_view section_name(const Statement& statement) const {
    return statement.section == Statement::npos ? std::string_view() : scan_.statements[statement.section].key;
  }

  // The last one that begins at or before `offset` and has not been left out.
  [[nodiscard]] std::optional<std::size_t> statement_at(std::size_t offset) const {
    for (std::size_t i = scan_.statements.size(); i-- > 0;) {
      if (scan_.statements[i].begin <= offset && !is_out(i)) return i;
    }
    return std::nullopt;
  }

  [[nodiscard]] bool is_out(std::size_t index) const { return bytes_[scan_.statements[index].begin] == ' '; }

  // A section without its header would change the meaning of its keys: they go with it.
  void leave_out(std::size_t index) {
    blank(scan_.statements[index]);
    if (!scan_.statements[index].header) return;
    for (std::size_t i = index + 1; i < scan_.statements.size() && scan_.statements[i].section == index; ++i) {
      blank(scan_.statements[i]);
    }
  }

  void blank(const Statement& statement) {
    for (std::size_t i = statement.begin; i < statement.end; ++i) {
      if (bytes_[i] != '\n') bytes_[i] = ' ';
    }
  }

  const Text& text_;
  base::Diagnostics& errors_;
  Scan scan_;
  std::string bytes_;
};

}  // namespace

Node read_toml(const Text& text, base::Diagnostics& errors) {
  return Recovery(text, errors).run();
}

std::string_view name_of(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::string: return "a string";
    case Node::Kind::integer: return "an integer";
    case Node::Kind::number: return "a number with a fraction";
    case Node::Kind::boolean: return "a boolean";
    case Node::Kind::date: return "a date";
    case Node::Kind::list: return "a list";
    case Node::Kind::table: return "a table";
  }
  return "something else";
}

}  // namespace agentbox::profile
