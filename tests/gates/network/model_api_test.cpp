#include "network/model_api.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "agentbox/base/escape.hpp"

using namespace agentbox::gates::network;
using namespace std::string_literals;

namespace {

std::string call(std::string_view method, std::string_view path, const std::vector<HttpField>& fields = {}) {
  HttpRequest request{.method = std::string(method), .path = std::string(path), .fields = fields};
  const auto ruling = rule_model_call(request);
  if (!ruling) return std::to_string(ruling.error().status) + " " + std::string(ruling.error().text);
  return *ruling == ModelBody::json ? "json" : "none";
}
std::string body(const std::string& text) {
  const auto problem = problem_of_model_body(text);
  return problem ? std::to_string(problem->status) + " " + std::string(problem->text) : "passes";
}
std::string content(const std::string& part) {
  return body(R"({"model":"m","messages":[{"role":"user","content":[)" + part + "]}]}");
}

const std::string not_listed = "403 only the listed calls of a model server pass here";
const std::string not_inline = "403 media must be inline (data:...;base64,...), not an address";
const std::string by_itself = "403 its body names what the model server would fetch or run by itself";
const std::string servers_tool = "403 the model server itself would run this tool";
const std::string cloud = "403 this model runs in a cloud, not on the model server";

}  // namespace

TEST_CASE("the listed calls of a model server pass") {
  for (const std::string_view path :
       {"/v1/chat/completions", "/v1/completions", "/v1/messages", "/v1/messages?beta=true", "/v1/embeddings",
        "/v1/responses", "/completion", "/tokenize", "/apply-template", "/api/chat", "/api/generate", "/api/show"}) {
    INFO(path);
    CHECK(call("POST", path) == "json");
    CHECK(call("DELETE", path) == not_listed);
    CHECK(call("PUT", path) == not_listed);
    CHECK(call("post", path) == not_listed);
  }
  for (const std::string_view path : {"/", "/health", "/props", "/v1/models", "/v1/models/org/model-7b:q4", "/api/tags",
                                      "/api/version", "/v1/models?limit=1000"}) {
    INFO(path);
    CHECK(call("GET", path) == "none");
    CHECK(call("HEAD", path) == "none");
    CHECK(call("POST", path) == not_listed);
  }
}

TEST_CASE("whatever changes, uploads, fetches or shows others' work does not") {
  for (const std::string_view path : {"/api/pull",
                                      "/api/push",
                                      "/api/create",
                                      "/api/copy",
                                      "/api/delete",
                                      "/api/blobs/sha256:00",
                                      "/api/me",
                                      "/api/signout",
                                      "/api/experimental/web_search",
                                      "/api/experimental/web_fetch",
                                      "/props",
                                      "/slots/0?action=save",
                                      "/lora-adapters",
                                      "/models",
                                      "/models/load",
                                      "/models/unload",
                                      "/tools",
                                      "/cors-proxy",
                                      "/v1/load_lora_adapter",
                                      "/v1/audio/transcriptions",
                                      "/v1/images/generations",
                                      "/v1/chat/completions/control",
                                      "/v1/files",
                                      "/metrics",
                                      "/collective_rpc",
                                      "/v1/chat/completions/",
                                      "//v1/chat/completions",
                                      "/v1/../api/pull",
                                      "/v1/chat%2fcompletions",
                                      "/V1/chat/completions",
                                      "/v1/chat/completions;x",
                                      "/invocations"}) {
    INFO(path);
    CHECK(call("POST", path) == not_listed);
  }
  for (const std::string_view path : {"/slots", "/metrics", "/v1/models/../../api/pull", "/v1/models//x", "/v1/models/",
                                      "/v1/streams", "/tools", "/cors-proxy", "/debug/pprof", "/api/pull"}) {
    INFO(path);
    CHECK(call("GET", path) == not_listed);
  }
  CHECK(call("DELETE", "/api/delete") == not_listed);
  CHECK(call("POST", "/v1/messages?a=%00") == "403 the query of its address is not plain");
  CHECK(call("GET", "/v1/models?url=http://a") == "403 the query of its address is not plain");
  CHECK(call("POST", "/api/chat", {{"Content-Encoding", "zstd"}}) == "415 its body must not be compressed");
  CHECK(call("GET", "/v1/models/glm:cloud") == cloud);
}

TEST_CASE("a conversation passes, whatever is said in it") {
  CHECK(body(R"({"model":"m","stream":true,"messages":[{"role":"system","content":"see http://example.org"},
    {"role":"user","content":[{"type":"text","text":"https://a.example/b.png file:///etc/passwd"}]},
    {"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function",
      "function":{"name":"fetch","arguments":"{\"url\":\"http://a\"}"}}]},
    {"role":"tool","tool_call_id":"1","content":"http://a says no"}]})") == "passes");
  // Ollama's and Anthropic's calls of a tool hold their arguments as they are.
  CHECK(body(R"({"model":"m","messages":[{"role":"assistant","content":"","tool_calls":[
    {"function":{"name":"fetch","arguments":{"url":"http://a","URL":1,"é":2}}}]}]})") == "passes");
  CHECK(content(R"({"type":"tool_use","id":"1","name":"fetch","input":{"url":"http://a","image_url":"http://b"}})") ==
        "passes");
  CHECK(body(R"({"model":"m","tools":[{"type":"function","function":{"name":"f","parameters":
    {"$schema":"http://json-schema.org/draft-07/schema#","properties":{"url":{"type":"string","format":"uri"}}}}},
    {"name":"g","input_schema":{"$id":"https://a"}},{"type":"bash_20250124","name":"bash"}],
    "response_format":{"type":"json_schema","json_schema":{"schema":{"$schema":"http://a"}}}})") == "passes");
  CHECK(body(R"({"model":"m","format":{"$schema":"http://a"},"prompt":"http://a","options":{"num_ctx":4096}})") ==
        "passes");
  CHECK(body(R"({"model":"m","input":["http://a","b"]})") == "passes");
  CHECK(body(R"({"model":"m","input":"x","file_id":null,"user":"http://me"})") == "passes");
  CHECK(body("{}") == "passes");
}

TEST_CASE("media that come along pass") {
  const std::string png = "data:image/png;base64,iVBORw0KGgo=";
  CHECK(content(R"({"type":"image_url","image_url":{"url":")" + png + R"(","detail":"auto"}})") == "passes");
  CHECK(content(R"({"type":"input_image","image_url":")" + png + "\"}") == "passes");
  CHECK(content(R"({"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}})") ==
        "passes");
  CHECK(content(R"({"type":"input_audio","input_audio":{"data":"UklGRg==","format":"wav"}})") == "passes");
  CHECK(content(R"({"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERi0="}})") ==
        "passes");
  // JPEG in base64 begins like a path.
  CHECK(body(R"({"model":"m","messages":[{"role":"user","content":"?","images":["/9j/4AAQSkZJRg=="]}]})") == "passes");
}

TEST_CASE("media that the server would fetch are refused, wherever they stand") {
  for (const std::string address :
       {"http://evil.example/?q=secret", "https://evil.example", "HTTP://evil.example", "file:///etc/passwd",
        "ftp://a/b", "//evil.example/a", "a.png", "/etc/passwd", "", " http://evil.example", "\\nhttp://evil.example",
        "httpx", "data:image/png,abc", "data:text/html;base64,http://a",
        "DATA:image/png;base64,AA==", "data:;base64,a b"}) {
    INFO(address);
    CHECK(content(R"({"type":"image_url","image_url":{"url":")" + address + "\"}}") == not_inline);
    CHECK(content(R"({"type":"input_image","image_url":")" + address + "\"}") == not_inline);
    CHECK(content(R"({"type":"image","source":{"type":"url","url":")" + address + "\"}}") == not_inline);
    CHECK(content(R"({"type":"video_url","video_url":{"URL":")" + address + "\"}}") == not_inline);
    CHECK(content(R"({"type":"input_file","file_url":")" + address + "\"}") == not_inline);
    CHECK(body(R"({"model":"m","x":{"y":[{"z":[{"image_uri":")" + address + "\"}]}]}}") == not_inline);
    CHECK(content(R"({"type":"image_url","image_url":[")" + address + "\"]}") == not_inline);
  }
  for (const std::string address :
       {"http://evil.example", " HTTPS://evil.example", "file:/etc/passwd", "s3://a", "//a"}) {
    INFO(address);
    CHECK(body(R"({"model":"m","images":[")" + address + "\"]}") == not_inline);
    CHECK(content(R"({"type":"input_audio","input_audio":{"data":")" + address + "\"}}") == not_inline);
    CHECK(body(R"({"model":"m","multimodal_data":[[")" + address + "\"]]}") == not_inline);
    CHECK(body(R"({"model":"m","anything":")" + address + "\"}") == not_inline);
  }
  // An escaped spelling is the same word.
  CHECK(content(R"({"type":"image_url","\u0069mage_url":{"u\u0072l":"\u0068ttp:\/\/evil.example"}})") == not_inline);
  // "input" of a request is no tool's.
  CHECK(body(R"({"model":"m","input":{"image":"http://evil.example"}})") == not_inline);
  CHECK(body(R"({"model":"m","input":[{"content":[{"type":"input_image","image_url":"http://a"}]}]})") == not_inline);
}

TEST_CASE("what the server would do by itself is refused") {
  CHECK(body(R"({"model":"m","tools":[{"type":"web_search"}]})") == servers_tool);
  CHECK(body(R"({"model":"m","tools":[{"type":"function","name":"f"},{"type":"web_fetch_20250910"}]})") ==
        servers_tool);
  CHECK(body(R"({"model":"m","tools":[{"type":" web_search"}]})") == servers_tool);
  CHECK(body(R"({"model":"m","TOOLS":[{"TYPE":"code_interpreter"}]})") == servers_tool);
  CHECK(body(R"({"model":"m","tools":[{"type":"mcp","server_label":"x","server_url":"http://a"}]})") == servers_tool);
  CHECK(body(R"({"model":"m","tools":[{"server_url":"http://a"}]})") == by_itself);
  // Tools in a group of tools.
  CHECK(body(R"({"model":"m","tools":[{"type":"namespace","name":"n","tools":[{"type":"function","name":"f",)"
             R"("parameters":{"type":"object"}}]}]})") == "passes");
  CHECK(body(R"({"model":"m","tools":[{"type":"namespace","name":"n","tools":[{"type":"web_search"}]}]})") ==
        servers_tool);
  CHECK(body(R"({"model":"m","tools":[{"type":"namespace","tools":[{"tools":[{"type":"mcp"}]}]}]})") == servers_tool);
  CHECK(body(R"({"model":"m","mcp_servers":[]})") == by_itself);
  CHECK(body(R"({"model":"m","web_search_options":{}})") == by_itself);
  CHECK(body(R"({"model":"m","kv_transfer_params":{"remote_host":"a"}})") == by_itself);
  CHECK(content(R"({"type":"image","source":{"type":"file","file_id":"f1"}})") == by_itself);
}

TEST_CASE("a model in a cloud is no local model") {
  for (const std::string model : {"gpt-oss:120b-cloud", "glm-4.7:cloud", "x:CLOUD", "x:cloud ", "x: cloud"}) {
    CHECK(body(R"({"model":")" + model + "\"}") == cloud);
    CHECK(body(R"({"name":")" + model + "\"}") == cloud);
  }
  CHECK(body(R"({"model":"x:cloud\u00a0"})") == "400 the name of the model is not plain");
  CHECK(body(R"({"model":"x:cloud\n"})") == "400 the name of the model is not plain");
  CHECK(body(R"({"model":"http://a/m.gguf"})") == "400 the name of the model is not plain");
  CHECK(body(R"({"model":"cloudy:7b"})") == "passes");
}

TEST_CASE("a body that servers read in different ways is refused") {
  CHECK(body(R"({"model":"a","model":"b"})") == "400 a name comes twice in its body");
  CHECK(body(R"({"url":"data:;base64,AA","URL":"http://a"})") == "400 a name comes twice in its body");
  CHECK(body("{\"me\xc5\xbf"
             "sages\":1}") == "400 a name in its body is not plain ASCII");
  for (const std::string& text : {""s, "x"s, "{"s, "{}x"s, "{} {}"s, "{'a':1}"s, "{\"a\":1,}"s, "{\"a\":\"\xff\"}"s,
                                  "{\"a\":NaN}"s, "{/**/}"s, "{\"a\":\"\n\"}"s, "{}\0"s}) {
    INFO(agentbox::base::escape(text));
    CHECK(body(text) == "400 its body is not JSON");
  }
  for (const std::string& text : {"[]"s, "\"a\""s, "1"s, "null"s, "[{\"model\":\"m\"}]"s}) {
    INFO(text);
    CHECK(body(text) != "passes");
  }
  std::string many = "{\"n0\":1";
  for (int i = 1; i < 4096; ++i) many += ",\"n" + std::to_string(i) + "\":1";
  CHECK(body(many + "}") == "passes");
  CHECK(body(many + ",\"n\":1}") == "400 an object in its body has too many names");
  const auto nested = [](std::size_t depth) {
    std::string text = "{\"a\":";
    for (std::size_t i = 0; i < depth; ++i) text += "[";
    text += "1";
    for (std::size_t i = 0; i < depth; ++i) text += "]";
    return text + "}";
  };
  CHECK(body(nested(99)) == "passes");
  CHECK(body(nested(100)) == "400 its body is nested too deep");
  CHECK(body(std::string(100'000, '[')) == "400 its body is not a JSON object");
  CHECK(body("{\"prompt\":\"" + std::string(most_model_body, 'a') + "\"}") == "413 its body is too long");
}
