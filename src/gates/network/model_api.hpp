#pragma once

// A grant with `as = "llm"`: what of a model server's API passes. Such a server can do more than answer: fetch a picture
// from any address, pull, push and delete models, change its own settings, run tools of its own, pass a request on to a
// cloud. So methods and paths are a list, and a body may only hold what it brings along itself.
//
// The lists follow the routes of llama.cpp's server (tools/server/server.cpp), Ollama (server/routes.go) and vLLM as
// they stood in 2026; whatever isn't known here is refused. The answer isn't looked at: it streams.
//
// What it can't see: a model of Ollama's own library that is remote by its configuration and not by its name; and that
// Hugging Face's TGI fetches a picture that is named in the text itself ("![](http://...)"). A grant of such a server is
// a grant of the network that it has.

#include <cstddef>
#include <expected>
#include <optional>
#include <string_view>

#include "http_head.hpp"

namespace agentbox::gates::network {

// What a body may hold: enough for the pictures of a long conversation. HttpRequests::collect().
inline constexpr std::size_t most_model_body = 32U << 20U;

enum class ModelBody { none, json };

// Is this one of the listed calls? json: collect() its body and ask problem_of_model_body() before it goes on.
[[nodiscard]] std::expected<ModelBody, HttpRefusal> rule_model_call(const HttpRequest& request);

// Reads all of it, some 20 ms for each MiB: a big one not on the loop that serves others.
[[nodiscard]] std::optional<HttpRefusal> problem_of_model_body(std::string_view body);

}  // namespace agentbox::gates::network
