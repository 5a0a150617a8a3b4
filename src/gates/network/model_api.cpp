#include "model_api.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace agentbox::gates::network {

namespace {

// ---- methods and paths ----

constexpr std::array<std::string_view, 11> looks{
    "/",         "/health",      "/v1/health", "/version",
    "/props",    "/models",      "/v1/models",  // llama.cpp, vLLM, OpenAI
    "/api/tags", "/api/version", "/api/ps",     // Ollama
    "/ping",                                    // vLLM
};
constexpr std::array<std::string_view, 29> calls{
    // OpenAI, and llama.cpp's own names for the same
    "/v1/chat/completions", "/chat/completions", "/v1/completions", "/completions", "/completion", "/v1/responses",
    "/responses", "/v1/embeddings", "/embeddings", "/embedding", "/infill", "/v1/rerank", "/v1/reranking", "/rerank",
    "/reranking", "/tokenize", "/detokenize", "/apply-template", "/v1/chat/completions/input_tokens",
    "/chat/completions/input_tokens", "/v1/responses/input_tokens", "/responses/input_tokens",
    // Anthropic
    "/v1/messages", "/v1/messages/count_tokens",
    // Ollama
    "/api/chat", "/api/generate", "/api/embed", "/api/embeddings", "/api/show"};

template <class List>
bool has(const List& list, std::string_view word) {
  return std::ranges::find(list, word) != list.end();
}

bool holds(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// Only letters, digits and these marks.
bool plain(std::string_view text, std::string_view marks) {
  std::array<bool, 256> allowed{};
  for (int c = 0; c < 128; ++c) allowed[static_cast<std::size_t>(c)] = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  for (int c = '0'; c <= '9'; ++c) allowed[static_cast<std::size_t>(c)] = true;
  for (const char c : marks) allowed[static_cast<unsigned char>(c)] = true;
  return std::ranges::all_of(text, [&](char c) { return allowed[static_cast<unsigned char>(c)]; });
}

// "/v1/models/NAME"; a name may have a '/'.
bool is_model_path(std::string_view path) {
  static constexpr std::string_view parent = "/v1/models/";
  if (!path.starts_with(parent)) return false;
  const std::string_view name = path.substr(parent.size());
  return !name.empty() && name.front() != '/' && plain(name, "._:-/") && !holds(name, "..") && !holds(name, "//");
}

bool is_cloud(std::string_view model) {
  while (!model.empty() && model.back() == ' ') model.remove_suffix(1);
  static constexpr std::string_view word = "cloud";
  if (model.size() <= word.size() || !same_word(model.substr(model.size() - word.size()), word)) return false;
  const char before = model[model.size() - word.size() - 1];
  return before == ':' || before == '-' || before == ' ';
}

// ---- the body ----

// Strings that are words for the model: they may hold anything.
constexpr std::array<std::string_view, 37> words{"content",
                                                 "text",
                                                 "prompt",
                                                 "input",
                                                 "system",
                                                 "instructions",
                                                 "query",
                                                 "documents",
                                                 "texts",
                                                 "thinking",
                                                 "reasoning",
                                                 "reasoning_content",
                                                 "reasoning_text",
                                                 "summary",
                                                 "arguments",
                                                 "output",
                                                 "description",
                                                 "name",
                                                 "title",
                                                 "refusal",
                                                 "prefix",
                                                 "suffix",
                                                 "input_prefix",
                                                 "input_suffix",
                                                 "stop",
                                                 "stop_sequences",
                                                 "grammar",
                                                 "signature",
                                                 "encrypted_content",
                                                 "template",
                                                 "response",
                                                 "user",
                                                 "context",
                                                 "cited_text",
                                                 "partial_json",
                                                 "safety_identifier"};

// Below these, names are those of a tool's parameters, or of a form for the answer; no server looks for media there.
constexpr std::array<std::string_view, 6> forms{"arguments",   "parameters", "input_schema",
                                                "json_schema", "schema",     "format"};

// What makes a server fetch, run or reach something by itself, whatever its value.
constexpr std::array<std::string_view, 13> deeds{
    "mcp_servers",        "server_url", "connector_id", "web_search_options",
    "search_parameters",  "plugins",    "file_id",      "file_ids",
    "vector_store_ids",
    "kv_transfer_params",  // vLLM: the address of another server
    "prompt_embeds",       // vLLM: unpickled tensors
    "logits_processors",   // vLLM: names of Python functions
    "lora_path"};

// Tools that the client runs. All others would run at the server: searches, fetches, MCP, code. A namespace is a list of
// tools, each of which is judged like one outside of it.
bool is_clients_tool(std::string_view type) {
  static constexpr std::array<std::string_view, 6> whole{"function", "custom",      "local_shell",
                                                         "shell",    "apply_patch", "namespace"};
  static constexpr std::array<std::string_view, 4> dated{"bash_", "text_editor_", "computer_", "memory_"};
  return has(whole, type) || std::ranges::any_of(dated, [&](auto prefix) { return type.starts_with(prefix); });
}

// "data:image/png;base64,...", and nothing in it that is not base64.
bool is_inline(std::string_view text) {
  const std::size_t comma = text.find(',');
  if (!text.starts_with("data:") || comma == std::string_view::npos || comma > 128) return false;
  const std::string_view kind = text.substr(0, comma);
  return kind.ends_with(";base64") && plain(kind, ":;/+.-=_") && plain(text.substr(comma + 1), "+/=_-");
}

// llama.cpp fetches whatever begins with "http".
bool is_reference(std::string_view text) {
  while (!text.empty() && static_cast<unsigned char>(text.front()) <= 0x20) text.remove_prefix(1);
  const auto begins = [&](std::string_view with) { return same_word(text.substr(0, with.size()), with); };
  return begins("http") || begins("file:") || begins("ftp") || begins("//") || begins("\\\\") || holds(text, "://");
}

// Watches the text of a JSON value go by; keeps nothing but where it is. The interface is nlohmann's.
class BodyWatcher : public nlohmann::json_sax<nlohmann::json> {
 public:
  [[nodiscard]] const std::optional<HttpRefusal>& problem() const { return problem_; }

  bool null() override { return value(); }
  bool boolean(bool) override { return value() && flagged(); }
  bool number_integer(number_integer_t) override { return value() && flagged(); }
  bool number_unsigned(number_unsigned_t) override { return value() && flagged(); }
  bool number_float(number_float_t, const string_t&) override { return value() && flagged(); }
  bool binary(binary_t&) override { return value() && flagged(); }
  bool string(string_t& text) override { return value() && flagged() && judge(text); }
  bool start_object(std::size_t) override { return flagged() && enter(Frame::Kind::object); }
  bool start_array(std::size_t) override { return flagged() && enter(Frame::Kind::array); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool key(string_t& name) override;
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return problem_ ? false : refuse("its body is not JSON", 400);
  }

 private:
  struct Frame {
    enum class Kind { object, array } kind;
    enum class Form { no, yes } form;  // of a tool's parameters: not looked into
    enum class Tool { no, yes } tool;  // an element of "tools"
    std::string key;                   // under which it stands, or its array does; lower case
    // Lower case. Ordered: names that are made to collide must cost no more than others.
    std::set<std::string, std::less<>> names;
  };
  static constexpr std::size_t deepest = 100;
  static constexpr std::size_t most_names = 4096;  // of one object

  bool refuse(std::string_view text, int status = 403) {
    problem_ = HttpRefusal{status, std::string(text)};
    return false;
  }
  bool value() { return !frames_.empty() || refuse("its body is not a JSON object", 400); }
  // A value other than null, which stands for nothing.
  bool flagged() {
    if (frames_.empty()) return true;
    if (frames_.back().form == Frame::Form::yes || !has(deeds, key_of_value())) return true;
    return refuse("its body names what the model server would fetch or run by itself");
  }
  [[nodiscard]] const std::string& key_of_value() const {
    return frames_.back().kind == Frame::Kind::array ? frames_.back().key : name_;
  }
  bool enter(Frame::Kind kind);
  bool leave() {
    frames_.pop_back();
    return true;
  }
  bool judge(std::string_view text);

  std::vector<Frame> frames_;
  std::string name_;  // the last one in the innermost object
  std::optional<HttpRefusal> problem_;
};

bool BodyWatcher::enter(Frame::Kind kind) {
  Frame frame{.kind = kind, .form = Frame::Form::no, .tool = Frame::Tool::no, .key = {}, .names = {}};
  if (frames_.empty()) {
    if (kind == Frame::Kind::array) return refuse("its body is not a JSON object", 400);
  } else {
    const Frame& outer = frames_.back();
    frame.key = key_of_value();
    // "input" of a message's tool call is an object; that of a request is a text or a list.
    const bool form = kind == Frame::Kind::object && outer.kind == Frame::Kind::object &&
                      (has(forms, frame.key) || (frame.key == "input" && frames_.size() > 1));
    if (form || outer.form == Frame::Form::yes) frame.form = Frame::Form::yes;
    const bool tool = kind == Frame::Kind::object && outer.kind == Frame::Kind::array && outer.key == "tools";
    if (tool) frame.tool = Frame::Tool::yes;
  }
  if (frames_.size() >= deepest) return refuse("its body is nested too deep", 400);
  frames_.push_back(std::move(frame));
  return true;
}

// Servers differ in which of two equal names counts, and Go's take a name in any case of its letters.
bool BodyWatcher::key(string_t& name) {
  Frame& frame = frames_.back();
  if (frame.form == Frame::Form::yes) return true;
  name_ = name;
  for (char& c : name_) {
    if (static_cast<unsigned char>(c) >= 0x80) return refuse("a name in its body is not plain ASCII", 400);
    c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  }
  if (frame.names.size() == most_names) return refuse("an object in its body has too many names", 400);
  return frame.names.insert(name_).second || refuse("a name comes twice in its body", 400);
}

bool BodyWatcher::judge(std::string_view text) {
  const Frame& frame = frames_.back();
  if (frame.form == Frame::Form::yes) return true;
  const std::string& key = key_of_value();
  const bool direct = frame.kind == Frame::Kind::object;
  if (direct && frames_.size() == 1 && (key == "model" || key == "name")) {
    const bool printable = std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f; });
    if (!printable || is_reference(text)) return refuse("the name of the model is not plain", 400);
    return !is_cloud(text) || refuse("this model runs in a cloud, not on the model server");
  }
  if (direct && frame.tool == Frame::Tool::yes && key == "type" && !is_clients_tool(text)) {
    return refuse("the model server itself would run this tool");
  }
  if (has(words, key)) return true;
  if (holds(key, "url") || holds(key, "uri")) {
    return is_inline(text) || refuse("media must be inline (data:...;base64,...), not an address");
  }
  if (!is_reference(text) || is_inline(text)) return true;
  return refuse("media must be inline (data:...;base64,...), not an address");
}

}  // namespace

std::expected<ModelBody, HttpRefusal> rule_model_call(const HttpRequest& request) {
  const auto refuse = [](std::string_view text, int status = 403) {
    return std::unexpected(HttpRefusal{status, std::string(text)});
  };
  if (request.target == HttpRequest::Target::authority || request.target == HttpRequest::Target::asterisk) {
    return refuse("only the listed calls of a model server pass here");
  }
  const std::string_view whole = request.path;
  const std::string_view path = whole.substr(0, whole.find('?'));
  const std::string_view query = whole.substr(path.size());
  if (query.size() > 256 || (!query.empty() && !plain(query.substr(1), "=&._:-"))) {
    return refuse("the query of its address is not plain");
  }
  // Whatever unpacks a body sees another one than was looked at.
  if (std::ranges::any_of(request.fields,
                          [](const auto& field) { return same_word(field.name, "content-encoding"); })) {
    return refuse("its body must not be compressed", 415);
  }
  if (request.method == "GET" || request.method == "HEAD") {
    if (request.body != HttpBody::none && request.length > 0) return refuse("it has a body", 400);
    if (request.body == HttpBody::chunked) return refuse("it has a body", 400);
    if (is_model_path(path) && is_cloud(path)) return refuse("this model runs in a cloud, not on the model server");
    if (has(looks, path) || is_model_path(path)) return ModelBody::none;
  }
  if (request.method == "POST" && has(calls, path)) return ModelBody::json;
  return refuse("only the listed calls of a model server pass here");
}

std::optional<HttpRefusal> problem_of_model_body(std::string_view body) {
  if (body.size() > most_model_body) return HttpRefusal{413, "its body is too long"};
  // To the reader a NUL is the end, to others it may not be.
  if (holds(body, {"\0", 1})) return HttpRefusal{400, "its body is not JSON"};
  BodyWatcher watcher;
  const bool whole = nlohmann::json::sax_parse(body.begin(), body.end(), &watcher);
  if (watcher.problem()) return watcher.problem();
  if (!whole) return HttpRefusal{400, "its body is not JSON"};
  return std::nullopt;
}

}  // namespace agentbox::gates::network
