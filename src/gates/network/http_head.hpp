#pragma once

// The head of an HTTP/1 request, and of an answer: bytes to values. Strict code of our own and not Boost.Beast's parser:
// that one takes two Host fields, any Transfer-Encoding, folded lines, bare line feeds, and whatever of this is let
// through to be judged afterwards would have to be found by a second parser anyway.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host_name.hpp"

namespace agentbox::gates::network {

// Why a request goes no further, as an answer to the client.
struct HttpRefusal {
  int status = 400;
  std::string text;  // one clause, lower case; holds no byte of the request
};

struct HttpField {
  std::string name;   // a token, in the case in which it came
  std::string value;  // printable, without white space around it
  friend bool operator==(const HttpField&, const HttpField&) = default;
};

enum class HttpVersion { v1_0, v1_1 };

enum class HttpBody { none, length, chunked };

struct HttpRequest {
  std::string method;
  HttpVersion version = HttpVersion::v1_1;
  enum class Target {
    origin,     // "/path": path is that
    absolute,   // "http://host/path": path is "/path", or "*" for OPTIONS of a host
    authority,  // CONNECT: path is empty
    asterisk,   // OPTIONS *: path is "*"
  } target = Target::origin;
  std::string path;
  // From the Host field, the absolute form (both agree) or CONNECT, whose port is always there. Nothing: HTTP/1.0
  // without a Host.
  std::optional<Authority> authority;
  std::vector<HttpField> fields;  // all of them
  HttpBody body = HttpBody::none;
  std::uint64_t length = 0;  // of HttpBody::length, bytes
  // What the client would rather speak from here on, "websocket"; empty: nothing. Never HTTP/2 or TLS, which would hide
  // the names of the requests that follow.
  std::string upgrade;
  enum class Continue { no, expected } continues = Continue::no;     // waits for "100 Continue" before its body
  enum class After { keep_alive, close } after = After::keep_alive;  // of the connection

  // The value of the only field of that name (lower case), or nothing.
  [[nodiscard]] std::optional<std::string_view> field(std::string_view name) const;
};

// `head`: up to and with the empty line. `own`: as in canonical_authority.
[[nodiscard]] std::expected<HttpRequest, HttpRefusal> parse_request_head(std::string_view head,
                                                                         std::string_view own = {});
// Its first line alone, without CR LF: nothing is wrong with it so far. For a client that sends no second line.
[[nodiscard]] std::optional<HttpRefusal> problem_of_request_line(std::string_view line);

struct HttpAnswer {
  int status = 0;
  enum class Body { none, length, chunked, until_close } body = Body::none;
  std::uint64_t length = 0;
  HttpRequest::After after = HttpRequest::After::keep_alive;  // of the connection
  std::string reason;                                         // printable, or empty
  std::vector<HttpField> fields;                              // all of them
};
// `head`: the request's method was HEAD. Nothing: not to be understood.
enum class AnswerTo { head, other };
[[nodiscard]] std::optional<HttpAnswer> parse_answer_head(std::string_view head, AnswerTo request);

// Finds the end of a head that comes in pieces, and line breaks that are none.
class HttpHeadEnd {
 public:
  static constexpr std::size_t most = 65'536;
  enum class Found { need_more, end, bare_line_break, too_long };
  // `text` begins with the head and holds all of it that came; only what is new is looked at.
  Found scan(std::string_view text);
  [[nodiscard]] std::size_t size() const noexcept { return at_; }                // after Found::end: of the head
  [[nodiscard]] std::size_t first_line() const noexcept { return first_line_; }  // 0: not yet there

 private:
  std::size_t at_ = 0, line_ = 0, first_line_ = 0;
};

// A whole answer of ours with `Connection: close`, in plain text: "agentbox: TEXT". For refusals of every kind, the
// gate's verdicts as well; `text` is escaped.
[[nodiscard]] std::string http_answer(int status, std::string_view text);

// As http_answer, and leads a browser to another place: `location` is an absolute address, printable.
[[nodiscard]] std::string http_redirect(std::string_view location);

// True if the list of words in `value` ("keep-alive, Upgrade") has this one.
[[nodiscard]] bool has_word(std::string_view value, std::string_view word);
// True if both are the same but for the case of ASCII letters.
[[nodiscard]] bool same_word(std::string_view one, std::string_view other) noexcept;
// Letters, digits and the marks of RFC 9110 §5.6.2.
[[nodiscard]] bool is_token(std::string_view text) noexcept;

}  // namespace agentbox::gates::network
