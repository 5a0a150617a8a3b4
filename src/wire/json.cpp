#include "json.hpp"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"

namespace agentbox::wire {

namespace {

constexpr std::size_t most_depth = 8;
constexpr std::size_t most_keys = 32;

// Strict, as RFC 3629 and the JSON library have it. Returns the length of the character at the front, 0 if it is none.
std::size_t character(std::string_view text) {
  auto byte = [&](std::size_t i) -> unsigned { return static_cast<unsigned char>(text[i]); };
  unsigned first = byte(0);
  if (first < 0x80) return 1;
  std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  // The second byte's range excludes overlong forms, surrogates and what lies beyond U+10FFFF.
  unsigned least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  unsigned most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (byte(1) < least || byte(1) > most) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xbf) return 0;
  }
  return length;
}

bool is_utf8(std::string_view value) {
  while (!value.empty()) {
    std::size_t length = character(value);
    if (length == 0) return false;
    value.remove_prefix(length);
  }
  return true;
}

// ---- base64, RFC 4648 §4 ----

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string to_base64(std::string_view value) {
  std::string out;
  for (std::size_t at = 0; at < value.size(); at += 3) {
    std::size_t count = std::min<std::size_t>(3, value.size() - at);
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      group = group << 8U | (i < count ? static_cast<unsigned char>(value[at + i]) : 0U);
    }
    for (std::size_t i = 0; i < 4; ++i) out += i <= count ? alphabet[group >> (18 - 6 * i) & 63U] : '=';
  }
  return out;
}

// Only what to_base64 writes: padded, no blanks, no bits left over.
std::optional<std::string> from_base64(std::string_view value) {
  if (value.size() % 4 != 0) return std::nullopt;
  std::string out;
  for (std::size_t at = 0; at < value.size(); at += 4) {
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      std::size_t digit = alphabet.find(value[at + i]);
      group = group << 6U | static_cast<std::uint32_t>(digit == std::string_view::npos ? 0 : digit);
    }
    for (std::size_t i = 0; i < 3; ++i) out += static_cast<char>(group >> (16 - 8 * i) & 0xffU);
  }
  if (value.ends_with('=')) out.pop_back();
  if (value.ends_with("==")) out.pop_back();
  if (to_base64(out) != value) return std::nullopt;
  return out;
}

// ---- reading ----

// Before anything is built of it: the reader itself would take any depth.
bool is_deep(std::string_view line) {
  std::size_t depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    char c = line[i];
    if (quoted) {
      if (c == '\\') ++i;
      quoted = quoted && c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      if (++depth > most_depth) return true;
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return false;
}

// Counts keys while the library parses; it would keep the last of two with the same name, and takes any number of them.
class Keys {
 public:
  bool operator()(int /*depth*/, Json::parse_event_t event, Json& value) {
    switch (event) {
      case Json::parse_event_t::object_start: open_.emplace_back(); return true;
      case Json::parse_event_t::object_end: open_.pop_back(); return true;
      case Json::parse_event_t::key: return take(value.get_ref<const std::string&>());
      default: return true;
    }
  }
  std::string problem;

 private:
  bool take(const std::string& key) {
    if (problem.empty() && open_.back().size() == most_keys) problem = "an object has too many keys";
    if (problem.empty() && !open_.back().insert(key).second) {
      problem = fmt::format("the key '{}' stands twice", base::escape(std::string_view(key).substr(0, 40)));
    }
    return problem.empty();
  }
  std::vector<std::set<std::string>> open_;
};

Refuse not_json(std::string message) {
  return {Code::not_json, std::move(message)};
}

}  // namespace

Json parse_line(std::string_view line, std::size_t limit) {
  if (line.size() > limit) throw not_json(fmt::format("a line is at most {} bytes long", limit));
  // The library would pass over a byte order mark.
  if (!line.starts_with('{')) throw not_json("a message is one JSON object");
  if (is_deep(line)) throw not_json(fmt::format("nested deeper than {}", most_depth));
  Keys keys;
  Json json = Json::parse(line, std::ref(keys), /*allow_exceptions=*/false);
  if (!keys.problem.empty()) throw not_json(std::move(keys.problem));
  if (json.is_discarded()) throw not_json("this is not JSON in UTF-8");
  if (!json.is_object()) throw not_json("a message is one JSON object");
  return json;
}

Json bytes(const std::string& value) {
  if (is_utf8(value)) return value;
  return Json{{"base64", to_base64(value)}};
}

Json byte_list(const std::vector<std::string>& values) {
  Json list = Json::array();
  for (const std::string& value : values) list.push_back(bytes(value));
  return list;
}

std::string text(const std::string& value) {
  if (is_utf8(value)) return value;
  std::string out;
  for (std::string_view rest = value; !rest.empty();) {
    std::size_t length = character(rest);
    out += length == 0 ? std::string_view("\xef\xbf\xbd") : rest.substr(0, length);
    rest.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

Json text_list(const std::vector<std::string>& values) {
  Json list = Json::array();
  for (const std::string& value : values) list.push_back(text(value));
  return list;
}

// ---- Fields ----

Fields::Fields(const Json& object, std::string place, Code code)
    : object_(object), place_(std::move(place)), code_(code) {
  if (!object.is_object()) throw Refuse{code, place_ + " must be an object"};
}

void Fields::refuse(std::string_view key, std::string_view problem) const {
  throw Refuse{code_, fmt::format("{}{}{} {}", place_, place_.empty() ? "" : ".", key, problem)};
}

const Json* Fields::find(std::string_view key) {
  asked_.emplace_back(key);
  auto found = object_.find(key);
  return found == object_.end() ? nullptr : &*found;
}

const Json& Fields::need(std::string_view key) {
  const Json* value = find(key);
  if (value == nullptr) refuse(key, "is missing");
  return *value;
}

std::uint64_t Fields::number(std::string_view key, std::uint64_t least, std::uint64_t most) {
  const Json& value = need(key);
  bool fits = value.is_number_unsigned() && value.get<std::uint64_t>() >= least && value.get<std::uint64_t>() <= most;
  if (!fits) refuse(key, fmt::format("must be an integer from {} to {}", least, most));
  return value.get<std::uint64_t>();
}

std::uint64_t Fields::number_or(std::string_view key, std::uint64_t otherwise, std::uint64_t most) {
  return has(key) ? number(key, 0, most) : otherwise;
}

std::string Fields::text_of(const Json& value, std::string_view key, std::size_t most) const {
  if (!value.is_string()) refuse(key, "must be text");
  const auto& content = value.get_ref<const std::string&>();
  if (content.size() > most) refuse(key, fmt::format("must be at most {} bytes long", most));
  if (content.find('\0') != std::string::npos) refuse(key, "holds a NUL");
  return content;
}

std::string Fields::bytes_of(const Json& value, std::string_view key, std::size_t most) const {
  if (value.is_string()) return text_of(value, key, most);
  if (!value.is_object() || value.size() != 1 || !value.contains("base64") || !value["base64"].is_string()) {
    refuse(key, "must be text, or bytes as {\"base64\": \"...\"}");
  }
  std::optional<std::string> content = from_base64(value["base64"].get_ref<const std::string&>());
  if (!content) refuse(key, "is not base64");
  if (content->size() > most) refuse(key, fmt::format("must be at most {} bytes long", most));
  if (content->find('\0') != std::string::npos) refuse(key, "holds a NUL");
  return *std::move(content);
}

std::string Fields::text(std::string_view key, std::size_t most) {
  return text_of(need(key), key, most);
}
std::string Fields::bytes(std::string_view key, std::size_t most) {
  return bytes_of(need(key), key, most);
}
std::string Fields::text_or_none(std::string_view key, std::size_t most) {
  const Json* value = find(key);
  return value == nullptr ? std::string() : text_of(*value, key, most);
}
std::string Fields::bytes_or_none(std::string_view key, std::size_t most) {
  const Json* value = find(key);
  return value == nullptr ? std::string() : bytes_of(*value, key, most);
}

bool Fields::flag(std::string_view key) {
  const Json* value = find(key);
  if (value != nullptr && !value->is_boolean()) refuse(key, "must be true or false");
  return value != nullptr && value->get<bool>();
}

std::vector<std::string> Fields::byte_list(std::string_view key, std::size_t least, std::size_t most) {
  const Json& list = need(key);
  if (!list.is_array() || list.size() < least || list.size() > most) {
    refuse(key, fmt::format("must be a list of {} to {}", least, most));
  }
  std::vector<std::string> values;
  for (const Json& value : list) values.push_back(bytes_of(value, key, control_reply_limit));
  return values;
}

std::vector<std::string> Fields::text_list(std::string_view key, std::size_t most) {
  const Json& list = need(key);
  if (!list.is_array() || list.size() > most) refuse(key, fmt::format("must be a list of at most {}", most));
  std::vector<std::string> values;
  for (const Json& value : list) values.push_back(text_of(value, key, control_reply_limit));
  return values;
}

std::size_t Fields::choice(std::string_view key, std::span<const std::string_view> names) {
  const Json& value = need(key);
  auto found = value.is_string() ? std::ranges::find(names, value.get_ref<const std::string&>()) : names.end();
  if (found == names.end()) refuse(key, fmt::format("must be one of {}", fmt::join(names, ", ")));
  return static_cast<std::size_t>(found - names.begin());
}

std::string Fields::below(std::string_view key) const {
  return place_.empty() ? std::string(key) : fmt::format("{}.{}", place_, key);
}

Fields Fields::object(std::string_view key) {
  const Json& value = need(key);
  return {value, below(key), code_};
}

std::vector<Fields> Fields::objects(std::string_view key, std::size_t most) {
  const Json& list = need(key);
  if (!list.is_array() || list.size() > most) refuse(key, fmt::format("must be a list of at most {}", most));
  std::vector<Fields> all;
  for (const Json& value : list) all.emplace_back(value, below(key), code_);
  return all;
}

void Fields::end() const {
  for (const auto& item : object_.items()) {
    if (std::ranges::find(asked_, item.key()) != asked_.end()) continue;
    throw Refuse{code_, fmt::format("{}{}'{}' is not known", place_, place_.empty() ? "" : ": ",
                                    base::escape(std::string_view(item.key()).substr(0, 40)))};
  }
}

}  // namespace agentbox::wire
