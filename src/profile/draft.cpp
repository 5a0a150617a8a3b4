#include "draft.hpp"

#include <algorithm>
#include <map>
#include <tuple>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "agentbox/base/escape.hpp"

#include "rows.hpp"

namespace agentbox::profile {

namespace {

constexpr std::size_t error_limit = 100;

// Where each key stands in the schema; built once.
const std::map<std::pair<std::string_view, std::string_view>, std::size_t>& index() {
  static const auto table = [] {
    std::map<std::pair<std::string_view, std::string_view>, std::size_t> result;
    for (std::size_t i = 0; i < rows().size(); ++i) result[{rows()[i].doc.section, rows()[i].doc.key}] = i;
    return result;
  }();
  return table;
}

bool is_section(std::string_view name) {
  return std::ranges::any_of(sections(), [&](const SectionDoc& section) { return section.name == name; });
}

// What may stand at this level: keys, and the tables beneath.
std::vector<std::string_view> names_in(std::string_view section) {
  std::vector<std::string_view> names;
  for (const Row& row : rows()) {
    if (row.doc.section == section) names.push_back(row.doc.key);
  }
  for (const SectionDoc& other : sections()) {
    std::string_view name = other.name;
    if (section.empty() ? !name.empty() && name.find('.') == std::string_view::npos
                        : name.size() > section.size() && name.starts_with(section) && name[section.size()] == '.') {
      if (!section.empty()) name.remove_prefix(section.size() + 1);
      if (name != "NAME") names.push_back(name);
    }
  }
  return names;
}

class Reader {
 public:
  explicit Reader(Reading& reading) : reading_(reading) {}

  // `section` is its name in the schema, `shown` as the file says it.
  void table(const Node& node, const std::string& section, const std::string& shown) {
    for (const Entry& entry : node.entries) {
      auto row = index().find({section, entry.key});
      if (row != index().end()) {
        reading_.row = row->second;
        reading_.draft.said.push_back({row->second, reading_.text.origin(entry.at)});
        rows()[row->second].read(reading_, entry.value);
        continue;
      }
      std::string below = section.empty() ? entry.key : section + "." + entry.key;
      if (is_section(below)) {
        subtable(entry, below, shown.empty() ? entry.key : shown + "." + entry.key);
      } else if (entry.value.kind == Node::Kind::table && is_section(section + ".NAME")) {
        named(entry, section, shown);
      } else {
        unknown(entry, section, shown);
      }
    }
  }

 private:
  void subtable(const Entry& entry, const std::string& section, const std::string& shown) {
    if (entry.value.kind != Node::Kind::table) {
      bool tables = entry.value.kind == Node::Kind::list && !entry.value.items.empty() &&
                    entry.value.items[0].kind == Node::Kind::table;
      return reading_.error(
          entry.at,
          fmt::format("[{}] is a table, found {}", shown, tables ? "a list of tables" : name_of(entry.value.kind)),
          tables ? fmt::format("write [{}] in single brackets, once", shown) : "");
    }
    table(entry.value, section, shown);
  }

  void named(const Entry& entry, const std::string& section, const std::string& shown) {
    if (!is_profile_name(entry.key)) {
      return reading_.error(entry.at, fmt::format("'{}' is not a name: those are made of a-z, 0-9, '_' and '-'",
                                                  base::escape(entry.key)));
    }
    reading_.table = entry.key;
    table(entry.value, section + ".NAME", shown + "." + entry.key);
    if (entry.value.entries.empty()) reading_.error(entry.at, fmt::format("[{}.{}] says nothing", shown, entry.key));
    reading_.table = {};
  }

  void unknown(const Entry& entry, const std::string& section, const std::string& shown) {
    bool is_table = entry.value.kind == Node::Kind::table;
    std::string key = base::escape(entry.key);
    std::string what = section.empty() && is_table ? fmt::format("unknown section [{}]", key)
                       : section.empty()           ? fmt::format("unknown key '{}'", key)
                                                   : fmt::format("unknown key '{}' in [{}]", key, base::escape(shown));
    reading_.error(entry.at, std::move(what), suggestion(entry.key, section, is_table));
  }

  static std::string suggestion(std::string_view key, const std::string& section, bool is_table) {
    std::vector<std::string_view> names = names_in(section);
    if (std::string_view near = base::nearest(key, names); !near.empty()) {
      return is_table && section.empty() ? fmt::format("did you mean [{}]?", near)
                                         : fmt::format("did you mean '{}'?", near);
    }
    std::vector<std::string> elsewhere;
    for (const Row& row : rows()) {
      if (row.doc.key == key && !is_table)
        elsewhere.push_back(row.doc.section.empty() ? "the top of the file" : fmt::format("[{}]", row.doc.section));
    }
    if (!elsewhere.empty()) return fmt::format("'{}' is a key of {}", key, fmt::join(elsewhere, ", "));
    return fmt::format("known here: {}", fmt::join(names, ", "));
  }

  Reading& reading_;
};

}  // namespace

void Reading::expected(const Node& node, std::string_view what, std::string hint) const {
  error(node.at, fmt::format("expected {}, found {}", what, name_of(node.kind)), std::move(hint));
}

void Reading::fault(const Node& node, const Fault& fault, std::size_t skipped) const {
  base::Position at = node.at;
  if (fault.length != Fault::whole && node.exact != 0) {
    at = text.at(node.exact + skipped + fault.offset, fault.length);
  }
  error(at, fault.message, fault.hint);
}

std::optional<std::vector<std::string>> read_argv(Reading& reading, const Node& node, const ArgvForm& form) {
  if (node.kind != Node::Kind::list) {
    reading.expected(
        node, "a list of strings",
        node.kind == Node::Kind::string ? "each argument is an element of its own: [\"program\", \"argument\"]" : "");
    return std::nullopt;
  }
  std::vector<std::string> argv;
  std::size_t errors = reading.errors.size();
  for (const Node& item : node.items) {
    if (item.kind != Node::Kind::string) {
      reading.error(item.at, fmt::format("expected a list of strings, found {} in it", name_of(item.kind)));
      continue;
    }
    if (item.text.find('\0') != std::string::npos) reading.error(item.at, "an argument cannot hold a NUL");
    if (Parsed<std::string> text = value(item.text); form.references && !text) reading.fault(item, text.error());
    bool first = &item == &node.items.front();
    if (first && item.text.empty()) reading.error(item.at, "the name of the program is missing");
    for (std::size_t open = item.text.find('{'); !form.placeholders.empty() && open != std::string::npos;
         open = item.text.find('{', open + 1)) {
      if (open > 0 && item.text[open - 1] == '$') --open;
      std::string_view name = std::string_view(item.text).substr(open);
      name = name.substr(0, name.find('}') == std::string_view::npos ? name.size() : name.find('}') + 1);
      if (std::ranges::find(form.placeholders, name) == form.placeholders.end()) {
        reading.error(item.at, fmt::format("'{}' is not replaced by anything here", base::escape(name)),
                      fmt::format("these are: {}", fmt::join(form.placeholders, ", ")));
      } else if (first && name.starts_with('{')) {
        reading.error(item.at, "the program itself cannot be chosen by the agent");
      } else if (form.placed == ArgvForm::Placed::alone && name.size() != item.text.size()) {
        reading.error(item.at, fmt::format("{} must be an argument of its own", name),
                      "a program that wants one word of both is called by a script of yours");
      }
      if (item.text[open] == '$') ++open;
    }
    argv.push_back(item.text);
  }
  if (node.items.empty()) reading.error(node.at, "an empty list names no program");
  if (reading.errors.size() > errors) return std::nullopt;
  return argv;
}

// { to = "localhost:8080", as = "llm", via = "socks5h://127.0.0.1:9050" }
template <>
OtherItem<HostRule> other_item<HostRule>() {
  return [](Reading& reading, const Node& node) -> std::optional<HostRule> {
    std::optional<HostRule> rule;
    HostRule extra;
    std::size_t errors = reading.errors.size();
    bool denies = rows()[reading.row].doc.key == "deny";
    for (const Entry& entry : node.entries) {
      bool known = entry.key == "to" || entry.key == "as" || entry.key == "via";
      if (!known) {
        std::string_view near = base::nearest(entry.key, {"to", "as", "via"});
        reading.error(entry.at, fmt::format("unknown key '{}' of a host", base::escape(entry.key)),
                      near.empty() ? "known here: to, as, via" : fmt::format("did you mean '{}'?", near));
      } else if (denies && entry.key != "to") {
        reading.error(entry.at, fmt::format("what is denied has no '{}'", entry.key));
      } else if (entry.value.kind != Node::Kind::string) {
        reading.expected(entry.value, "a string");
      } else if (entry.key == "to") {
        Parsed<HostRule> parsed = host_rule(entry.value.text);
        if (parsed)
          rule = std::move(*parsed);
        else
          reading.fault(entry.value, parsed.error());
      } else if (entry.key == "via") {
        Parsed<std::string> parsed = upstream(entry.value.text);
        if (parsed)
          extra.via = std::move(*parsed);
        else
          reading.fault(entry.value, parsed.error());
      } else if (entry.value.text == "llm") {
        extra.speech = Speech::llm;
      } else {
        reading.error(entry.value.at, fmt::format("unknown kind of server '{}'", base::escape(entry.value.text)),
                      "the only kind is \"llm\"");
      }
    }
    if (reading.errors.size() > errors) return std::nullopt;
    if (!rule) {
      reading.error(node.at, "the host is missing", "{ to = \"localhost:8080\", as = \"llm\" }");
      return std::nullopt;
    }
    rule->speech = extra.speech;
    rule->via = extra.via;
    return rule;
  };
}

// { port = 3000, raw = true }, { port = "8080:3000", raw = true }
template <>
OtherItem<Publication> other_item<Publication>() {
  return [](Reading& reading, const Node& node) -> std::optional<Publication> {
    std::optional<Publication> result;
    Serves serves = Serves::pages;
    std::size_t errors = reading.errors.size();
    for (const Entry& entry : node.entries) {
      if (entry.key == "raw") {
        if (entry.value.kind != Node::Kind::boolean) {
          reading.expected(entry.value, "true or false");
        } else if (entry.value.boolean) {
          serves = Serves::raw;
        }
      } else if (entry.key != "port") {
        std::string_view near = base::nearest(entry.key, {"port", "raw"});
        reading.error(entry.at, fmt::format("unknown key '{}' of a published port", base::escape(entry.key)),
                      near.empty() ? "known here: port, raw" : fmt::format("did you mean '{}'?", near));
      } else if (entry.value.kind != Node::Kind::string && entry.value.kind != Node::Kind::integer) {
        reading.expected(entry.value, "a port");
      } else {
        bool number = entry.value.kind == Node::Kind::integer;
        Parsed<Publication> parsed = publication(number ? std::to_string(entry.value.integer) : entry.value.text);
        if (parsed)
          result = std::move(*parsed);
        else
          reading.fault(entry.value, parsed.error());
      }
    }
    if (reading.errors.size() > errors) return std::nullopt;
    if (!result) {
      reading.error(node.at, "the port is missing", "{ port = 3000, raw = true }");
      return std::nullopt;
    }
    result->serves = serves;
    return result;
  };
}

Draft read_draft(const Source& source, base::Diagnostics& errors) {
  Draft draft{.name = source.name, .file = source.file, .place = source.place.empty() ? source.file : source.place};
  base::Diagnostics own = check_bytes(source);
  if (own.empty()) {
    Text text(source);
    Node root = read_toml(text, own);
    Reading reading{.source = source, .text = text, .draft = draft, .errors = own};
    Reader(reading).table(root, "", "");
    check_shadows(draft, own);
    tidy(own);
  }
  errors.insert(errors.end(), std::make_move_iterator(own.begin()), std::make_move_iterator(own.end()));
  return draft;
}

void tidy(base::Diagnostics& errors) {
  std::ranges::sort(errors, [](const base::Diagnostic& a, const base::Diagnostic& b) {
    return std::tie(a.at.line, a.at.column, a.message) < std::tie(b.at.line, b.at.column, b.message);
  });
  if (errors.size() <= error_limit) return;
  std::size_t left = errors.size() - error_limit;
  std::string file = errors.back().file;
  errors.resize(error_limit);
  errors.push_back({.file = file, .message = fmt::format("and {} more errors", left)});
}

}  // namespace agentbox::profile
