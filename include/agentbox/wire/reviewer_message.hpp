#pragma once

// What a reviewer is asked, and what it says: OpenAI's chat API over HTTP/1.1, bytes ↔ values, pure. agentbox-broker(7)
// documents the prompt.
//
// Trust. The model may be fooled by every byte that the agent had a hand in, so it sees none of the agent's own words,
// and what the agent chose (a command's arguments, a recipient, a diff) only as strings of one JSON object, in which
// nothing but printable ASCII stands, and none of the marks that chat templates are made of. What comes back is believed
// in one form only; everything else is silence. Whatever it says can't allow anything.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace agentbox::wire {

// What was measured about one action. All text is raw.
struct ReviewCase {
  std::string kind;   // "command"
  std::string title;  // "run a command on your machine"
  std::string subject;
  struct Fact {
    std::string label, value;
  };
  std::vector<Fact> facts;
  std::string content_title, content;  // a diff, a body; may be empty
};

// What the reviewer gets to read of it, as JSON. Nothing where it is longer than `case_limit`: an opinion on a part would
// be one on something else.
inline constexpr std::size_t case_limit = 48 * 1024;
[[nodiscard]] std::optional<std::string> encode_case(const ReviewCase& about);

// The body of POST /chat/completions. `about`: of encode_case.
[[nodiscard]] std::string encode_review(std::string_view model, std::string_view instructions, std::string_view about);
// What agentbox says to the model before everything else.
[[nodiscard]] std::string_view review_system_text();

// Of the answer's body; longer ones are not read.
inline constexpr std::size_t review_reply_limit = 64 * 1024;

struct Review {
  enum class Objects : std::uint8_t { no, yes } objects = Objects::yes;
  int risk = 0;        // 0 to 10
  std::string reason;  // UTF-8, at most 200 characters
  friend bool operator==(const Review&, const Review&) = default;
};
// The error: why that is no answer; ours, with foreign bytes escaped.
[[nodiscard]] std::expected<Review, std::string> decode_review(std::string_view body);
// The body of GET /models: which one to ask. `wanted` empty: the only one.
[[nodiscard]] std::expected<std::string, std::string> decode_models(std::string_view body, std::string_view wanted);

// ---- HTTP ----

// One request on a connection of its own.
struct HttpTarget {
  std::string host;  // as the Host header has it
  std::string path;
  std::string key;  // as Authorization: Bearer; empty: none
};
[[nodiscard]] std::string http_get(const HttpTarget& target);
[[nodiscard]] std::string http_post(const HttpTarget& target, std::string_view body);

// Reads one answer as it comes: a status 200, with a length or in chunks, and nothing behind it.
class HttpReply {
 public:
  explicit HttpReply(std::size_t most_body = review_reply_limit) : most_body_(most_body) {}

  enum class State : std::uint8_t { more, done, wrong };
  [[nodiscard]] State take(std::string_view bytes);
  // The server has closed.
  [[nodiscard]] State end();
  [[nodiscard]] const std::string& body() const noexcept { return body_; }
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }  // ours, when it is wrong

 private:
  enum class Part : std::uint8_t { head, body, until_end, size, chunk, after_chunk, trailer, done, wrong };
  State wrong(std::string problem);
  State read_head(std::string_view head);
  State step();
  [[nodiscard]] std::optional<std::string> line();

  std::size_t most_body_;
  Part part_ = Part::head;
  std::size_t left_ = 0;  // bytes of the body or of the chunk
  std::string held_, body_, problem_;
};

}  // namespace agentbox::wire
