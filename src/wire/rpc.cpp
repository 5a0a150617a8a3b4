#include "rpc.hpp"

#include <array>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"

namespace agentbox::wire {

namespace {

constexpr std::array codes{Code::not_json, Code::not_a_request, Code::unknown_method, Code::wrong_parameters,
                           Code::failed,   Code::too_many,      Code::not_yours,      Code::no_such_program};

Json opened() {
  return Json{{"jsonrpc", "2.0"}};
}

std::string line_of(const Json& message) {
  return message.dump() + '\n';
}

Json id_or_null(const std::optional<std::uint64_t>& id) {
  return id ? Json(*id) : Json(nullptr);
}

Fields envelope(const Json& message) {
  Fields fields(message, "", Code::not_a_request);
  if (fields.text("jsonrpc", 10) != "2.0") fields.refuse("jsonrpc", "must be \"2.0\"");
  return fields;
}

std::optional<std::uint64_t> read_id(Fields& fields) {
  const Json* id = fields.find("id");
  if (id == nullptr || id->is_null()) return std::nullopt;
  return fields.number("id", 0, most_number);
}

Code read_code(const Json& value) {
  if (value.is_number_integer()) {
    for (Code code : codes) {
      if (value == static_cast<std::int32_t>(code)) return code;
    }
  }
  throw Refuse{Code::not_a_request, "error.code is none of this protocol"};
}

}  // namespace

std::string write_request(std::uint64_t id, std::string_view method, Json params) {
  Json message = opened();
  message["id"] = id;
  message["method"] = method;
  if (!params.empty()) message["params"] = std::move(params);
  return line_of(message);
}

std::string write_notification(std::string_view method, Json params) {
  Json message = opened();
  message["method"] = method;
  message["params"] = std::move(params);
  return line_of(message);
}

std::string write_result(std::optional<std::uint64_t> id, Json result) {
  Json message = opened();
  message["id"] = id_or_null(id);
  message["result"] = std::move(result);
  return line_of(message);
}

std::string write_error(std::optional<std::uint64_t> id, Code code, const std::string& message) {
  Json reply = opened();
  reply["id"] = id_or_null(id);
  reply["error"] = Json{{"code", static_cast<std::int32_t>(code)}, {"message", text(message)}};
  return line_of(reply);
}

void put_bytes(Json& object, const char* key, const std::string& value) {
  if (!value.empty()) object[key] = bytes(value);
}
void put_text(Json& object, const char* key, const std::string& value) {
  if (!value.empty()) object[key] = text(value);
}

bool is_call(const Json& message) {
  return message.contains("method");
}

Call read_call(const Json& message) {
  Fields fields = envelope(message);
  Call call;
  if (fields.has("id")) call.id = fields.number("id", 0, most_number);
  static_cast<void>(fields.find("id"));
  call.method = fields.text("method", most_name);
  const Json* params = fields.find("params");
  if (params != nullptr && !params->is_object()) fields.refuse("params", "must be an object");
  call.params = params == nullptr ? Json::object() : *params;
  fields.end();
  return call;
}

Reply read_reply(const Json& message) {
  Fields fields = envelope(message);
  Reply reply{.id = read_id(fields)};
  const Json* result = fields.find("result");
  const Json* error = fields.find("error");
  if ((result == nullptr) == (error == nullptr)) {
    throw Refuse{Code::not_a_request, "a message has one of method, result and error"};
  }
  if (result != nullptr) {
    if (!result->is_object()) fields.refuse("result", "must be an object");
    reply.result = *result;
  } else {
    Fields inner(*error, "error", Code::not_a_request);
    Code code = read_code(inner.need("code"));
    reply.error = Refusal{code, inner.text("message", most_text)};
    inner.end();
  }
  fields.end();
  return reply;
}

std::uint64_t need_id(const std::optional<std::uint64_t>& id) {
  if (!id) throw Refuse{Code::not_a_request, "id is missing"};
  return *id;
}

void refuse_id(const Call& call) {
  if (call.id) throw Refuse{Code::not_a_request, fmt::format("{} is a notification, it has no id", call.method)};
}

void unknown_method(const Call& call) {
  throw Refuse{Code::unknown_method, fmt::format("there is no method '{}' here", base::escape(call.method))};
}

std::string encode(const Fault& fault) {
  return write_error(fault.id, fault.code, fault.message);
}

}  // namespace agentbox::wire
