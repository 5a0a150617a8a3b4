// Any bytes as the body of a call to a model server: what passes holds no address under a name that could mean media.
// Checked by a second reader of the parsed value, which knows nothing of the first but the exceptions.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "network/model_api.hpp"

using namespace agentbox::gates::network;
using nlohmann::json;

namespace {

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return text;
}

void check(const json& value, const std::string& key, int depth) {
  if (value.is_string() && key.find("url") != std::string::npos) {
    if (!value.get_ref<const std::string&>().starts_with("data:")) std::abort();
  }
  if (value.is_array()) {
    for (const json& element : value) check(element, key, depth + 1);
  }
  if (!value.is_object()) return;
  for (const auto& [name, element] : value.items()) {
    const std::string word = lower(name);
    const bool form = word == "arguments" || word == "parameters" || word == "input_schema" || word == "json_schema" ||
                      word == "schema" || word == "format" || (word == "input" && depth > 0);
    if (!form || !element.is_object()) check(element, word, depth + 1);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  if (problem_of_model_body(body)) return 0;
  const json value = json::parse(body, nullptr, false);
  if (!value.is_object()) std::abort();
  check(value, "", 0);
  return 0;
}
