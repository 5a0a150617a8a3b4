#pragma once

// Strict JSON for hostile lines. Only the broker's messages include this: the JSON library is heavy.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "agentbox/wire/broker_message.hpp"

namespace agentbox::wire {

// Keeps the order in which the fields are written.
using Json = nlohmann::ordered_json;

// Thrown and caught within a decoder.
struct Refuse {
  Code code;
  std::string message;
};

// One object within the limits of this protocol, or Refuse{not_json}.
[[nodiscard]] Json parse_line(std::string_view line, std::size_t limit);

// {"base64": ...} where it isn't UTF-8.
[[nodiscard]] Json bytes(const std::string& value);
[[nodiscard]] Json byte_list(const std::vector<std::string>& values);
// With U+FFFD for what isn't UTF-8.
[[nodiscard]] std::string text(const std::string& value);
[[nodiscard]] Json text_list(const std::vector<std::string>& values);

// Reads the fields of one object; each is asked for once, and at the end no other may be left.
class Fields {
 public:
  // `place`: "params", for messages. `code`: of what is wrong.
  Fields(const Json& object, std::string place, Code code);

  [[nodiscard]] bool has(std::string_view key) const { return object_.contains(key); }
  [[nodiscard]] const Json* find(std::string_view key);  // nothing when it is missing
  [[nodiscard]] const Json& need(std::string_view key);

  [[nodiscard]] std::uint64_t number(std::string_view key, std::uint64_t least, std::uint64_t most);
  [[nodiscard]] std::uint64_t number_or(std::string_view key, std::uint64_t otherwise, std::uint64_t most);
  // At most `most` bytes, no NUL.
  [[nodiscard]] std::string text(std::string_view key, std::size_t most);
  [[nodiscard]] std::string bytes(std::string_view key, std::size_t most);
  [[nodiscard]] std::string text_or_none(std::string_view key, std::size_t most);
  [[nodiscard]] std::string bytes_or_none(std::string_view key, std::size_t most);
  // False when it is missing.
  [[nodiscard]] bool flag(std::string_view key);
  [[nodiscard]] std::vector<std::string> byte_list(std::string_view key, std::size_t least, std::size_t most);
  [[nodiscard]] std::vector<std::string> text_list(std::string_view key, std::size_t most);
  // The place of the text in `names`.
  [[nodiscard]] std::size_t choice(std::string_view key, std::span<const std::string_view> names);
  [[nodiscard]] Fields object(std::string_view key);
  // Each item of a list of objects.
  [[nodiscard]] std::vector<Fields> objects(std::string_view key, std::size_t most);
  void end() const;

  [[noreturn]] void refuse(std::string_view key, std::string_view problem) const;

 private:
  [[nodiscard]] std::string bytes_of(const Json& value, std::string_view key, std::size_t most) const;
  [[nodiscard]] std::string text_of(const Json& value, std::string_view key, std::size_t most) const;

  [[nodiscard]] std::string below(std::string_view key) const;  // the place of what it holds

  const Json& object_;
  std::string place_;
  Code code_;
  std::vector<std::string> asked_;
};

}  // namespace agentbox::wire
