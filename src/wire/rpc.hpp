#pragma once

// What every message has around it: JSON-RPC 2.0 (https://www.jsonrpc.org/specification), without batches.

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "json.hpp"

namespace agentbox::wire {

// Every number that each JSON reader keeps exact.
inline constexpr std::uint64_t most_number = (std::uint64_t{1} << 53U) - 1;
inline constexpr std::size_t most_text = control_reply_limit;
inline constexpr std::size_t most_path = 4095;
inline constexpr std::size_t most_name = 200;

// ---- writing ----

[[nodiscard]] std::string write_request(std::uint64_t id, std::string_view method, Json params = Json::object());
[[nodiscard]] std::string write_notification(std::string_view method, Json params);
[[nodiscard]] std::string write_result(std::optional<std::uint64_t> id, Json result);
[[nodiscard]] std::string write_error(std::optional<std::uint64_t> id, Code code, const std::string& message);
// A field that is left out when it is empty.
void put_bytes(Json& object, const char* key, const std::string& value);
void put_text(Json& object, const char* key, const std::string& value);

// ---- reading ----

// A request or a notification.
struct Call {
  std::optional<std::uint64_t> id;
  std::string method;
  Json params;  // an object

  [[nodiscard]] Fields fields() const { return {params, "params", Code::wrong_parameters}; }
};
// A result or an error.
struct Reply {
  std::optional<std::uint64_t> id;
  std::optional<Json> result;  // an object
  std::optional<Refusal> error;
};

[[nodiscard]] Call read_call(const Json& message);
[[nodiscard]] Reply read_reply(const Json& message);
[[nodiscard]] bool is_call(const Json& message);
[[nodiscard]] std::uint64_t need_id(const std::optional<std::uint64_t>& id);
// A notification has none of its own.
void refuse_id(const Call& call);
[[noreturn]] void unknown_method(const Call& call);

// Runs `read` on the line's object; whatever is refused comes back with the request's id, where there is one.
template <class T, class Read>
[[nodiscard]] Decoded<T> decode_line(std::string_view line, std::size_t limit, Read read) {
  std::optional<std::uint64_t> id;
  try {
    Json message = parse_line(line, limit);
    if (auto found = message.find("id"); found != message.end() && found->is_number_unsigned()) {
      if (auto value = found->get<std::uint64_t>(); value <= most_number) id = value;
    }
    return read(message);
  } catch (Refuse& refused) {
    return std::unexpected(Fault{id, refused.code, std::move(refused.message)});
  }
}

}  // namespace agentbox::wire
