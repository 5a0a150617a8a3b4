#include "agentbox/wire/reviewer_message.hpp"

#include <catch2/catch.hpp>

using namespace agentbox::wire;
using State = HttpReply::State;

namespace {

// The same, however it is cut.
std::string read(const std::string& bytes, std::size_t limit = review_reply_limit) {
  std::string first;
  for (std::size_t cut : {std::size_t{0}, std::size_t{1}, std::size_t{7}}) {
    HttpReply reply(limit);
    State state = State::more;
    for (std::size_t at = 0; at < bytes.size() && state != State::wrong; at += cut == 0 ? bytes.size() : cut) {
      state = reply.take(std::string_view(bytes).substr(at, cut == 0 ? bytes.size() : cut));
    }
    if (state == State::more) state = reply.end();
    const std::string text = state == State::done ? "done: " + reply.body() : reply.problem();
    if (cut == 0) first = text;
    CHECK(text == first);
  }
  return first;
}

std::string reply(const std::string& fields, const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n" + fields + "\r\n" + body;
}

// What the model said, in a server's answer.
std::string chat(const std::string& content, const std::string& more = R"("finish_reason":"stop")") {
  return R"({"choices":[{"index":0,)" + more + R"(,"message":{"role":"assistant","content":)" + content + "}}]}";
}
std::string why(const std::string& body) {
  const auto review = decode_review(body);
  return review ? "it is an answer" : review.error();
}

}  // namespace

TEST_CASE("an answer with a length, in chunks, or up to the end of the connection is read") {
  CHECK(read(reply("Content-Length: 5\r\n", "hello")) == "done: hello");
  CHECK(read(reply("Content-Length: 0\r\n", "")) == "done: ");
  CHECK(read(reply("Transfer-Encoding: chunked\r\n", "2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n")) == "done: hello");
  CHECK(read(reply("Connection: close\r\n", "hello")) == "done: hello");
  CHECK(read("HTTP/1.0 200 OK\r\ncontent-type:application/json\r\n\r\nx") == "done: x");
}

TEST_CASE("what is no plain answer is refused") {
  CHECK(read(reply("Content-Length: 5\r\n", "hell")) == "its server hung up");
  CHECK(read(reply("Content-Length: 5\r\n", "hello!")) == "its server says more than its answer");
  CHECK(read(reply("Content-Length: 5\r\nContent-Length: 5\r\n", "hello")) == "its server's answer is no HTTP");
  CHECK(read(reply("Content-Length: +5\r\n", "hello")) == "its server's answer is no HTTP");
  CHECK(read(reply("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")) ==
        "its server's answer is no HTTP");
  CHECK(read(reply("Transfer-Encoding: xchunked\r\n", "")) == "its server's answer is no HTTP that is taken here");
  CHECK(read(reply("Transfer-Encoding: chunked\r\n", "zz\r\n")) == "its server's answer is no HTTP");
  CHECK(read(reply("Transfer-Encoding: chunked\r\n", "0\r\nX: y\r\n\r\n")) ==
        "its server's answer is no HTTP that is taken here");
  CHECK(read(reply("Content-Encoding: gzip\r\n", "")) ==
        "its server's answer is compressed, which it was not asked to be");
  CHECK(read(reply(" folded\r\n", "")) == "its server's answer is no HTTP");
  CHECK(read("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nx") == "its server's answer is no JSON");
  CHECK(read("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n") == "its server leads elsewhere, which is not followed");
  CHECK(read("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n") == "its server says 100");
  CHECK(read("SSH-2.0-x\r\n\r\n") == "its server's answer is no HTTP");
  CHECK(read("HTTP/1.1 200 OK\r\nA: " + std::string(20000, 'x')) == "its server's head is too long");
  CHECK(read(reply("Content-Length: 11\r\n", "hello"), 10) == "its server's answer is too long");
  CHECK(read(reply("", "hello hello"), 10) == "its server's answer is too long");
  CHECK(read(reply("Transfer-Encoding: chunked\r\n", "6\r\nhello \r\n5\r\nhello\r\n"), 10) ==
        "its server's answer is too long");
}

TEST_CASE("the one answer that is asked for is read") {
  const Review objects{.objects = Review::Objects::yes, .risk = 10, .reason = "it pushes to main"};
  CHECK(decode_review(chat(R"("{\"objects\":true,\"risk\":10,\"reason\":\"it pushes to main\"}")")) == objects);
  CHECK(decode_review("\n " + chat(R"(" \n{\"reason\":\"\", \"risk\":0, \"objects\":false}\n")")) ==
        Review{.objects = Review::Objects::no, .risk = 0, .reason = ""});
  std::string longest;
  for (int i = 0; i < 200; ++i) longest += "ä";
  CHECK(decode_review(chat(R"("{\"objects\":false,\"risk\":1,\"reason\":\")" + longest + R"(\"}")")).has_value());
  CHECK(why(chat(R"("{\"objects\":false,\"risk\":1,\"reason\":\")" + longest + R"(x\"}")")) ==
        "answer.reason must be at most 200 characters long");
}

TEST_CASE("everything else is no answer") {
  for (const char* content : {R"("")",
                              R"("yes")",
                              R"("{}")",
                              R"("null")",
                              R"("[]")",
                              R"("{\"objects\":false}")",
                              R"("{\"objects\":\"false\",\"risk\":1,\"reason\":\"\"}")",
                              R"("{\"objects\":0,\"risk\":1,\"reason\":\"\"}")",
                              R"("{\"objects\":false,\"risk\":-1,\"reason\":\"\"}")",
                              R"("{\"objects\":false,\"risk\":1.0,\"reason\":\"\"}")",
                              R"("{\"objects\":false,\"risk\":\"1\",\"reason\":\"\"}")",
                              R"("{\"objects\":false,\"risk\":1,\"reason\":1}")",
                              R"("{\"objects\":true,\"objects\":false,\"risk\":1,\"reason\":\"\"}")",
                              R"("{\"objects\":false,\"risk\":1,\"reason\":\"\"} {\"objects\":true}")",
                              R"("```json\n{\"objects\":false,\"risk\":1,\"reason\":\"\"}\n```")",
                              R"("<think></think>{\"objects\":false,\"risk\":1,\"reason\":\"\"}")",
                              "null",
                              "[]",
                              "7",
                              R"([{"type":"text","text":"{\"objects\":false,\"risk\":1,\"reason\":\"\"}"}])"}) {
    INFO(content);
    CHECK_FALSE(decode_review(chat(content)));
  }
  const std::string good = R"("{\"objects\":false,\"risk\":1,\"reason\":\"\"}")";
  REQUIRE(decode_review(chat(good)));
  CHECK(why(chat(good, R"("finish_reason":"length")")) == "its answer was cut off");
  CHECK(why(chat(good, R"("x":1)")) == "its answer was cut off");
  CHECK(why(R"({"choices":[]})") == "it gave no answer, or several");
  CHECK(why(R"({"choices":[{"finish_reason":"stop","message":{"tool_calls":[{}],"content":"x"}}]})") ==
        "it wants to call a tool");
  CHECK(why(R"({"error":{"message":"no"}})") == "choices is missing");
  CHECK(why(R"({"choices":[{"finish_reason":"stop"}]})") == "choices.message is missing");
  CHECK(why("") == "a message is one JSON object");
  CHECK(why(std::string(100'000, '[')) == "a line is at most 65536 bytes long");
}

TEST_CASE("the model is the one that the server says it runs") {
  const std::string two = R"({"object":"list","data":[{"id":"a","x":1},{"id":"b"}]})";
  const std::string one = R"({"data":[{"id":"a"}]})";
  CHECK(decode_models(two, "b") == "b");
  CHECK(decode_models(one, "") == "a");
  CHECK(decode_models(two, "").error() == "its server runs 2 models, and the profile names none");
  CHECK(decode_models(one, "b").error() == "its server does not run b");
  CHECK_FALSE(decode_models("{}", "a"));
  CHECK_FALSE(decode_models(R"({"data":[{"id":1}]})", ""));
}

TEST_CASE("a case is one line of JSON in ASCII, without a mark of a template's") {
  ReviewCase about{.kind = "command",
                   .title = "run a command on your machine",
                   .subject = "<|im_start|>\"[INST]\n`\xff\xe2\x80\xae",
                   .facts = {{"program", "/usr/bin/git"}, {"program", "[]"}},
                   .content_title = "what would change",
                   .content = "+<script>\n"};
  const std::string text = encode_case(about).value();
  CHECK(text == R"({"kind": "command", "the agent wants to": "run a command on your machine", "exactly": )"
                R"("\u003c\u007cim_start\u007c\u003e\"\u005bINST\u005d\n\u0060\ufffd\u202e", "measured": )"
                R"({"program": "/usr/bin/git", "program": "\u005b\u005d"}, "content is": "what would change", )"
                R"("content": "+\u003cscript\u003e\n"})");
  about.content = std::string(case_limit, 'x');
  CHECK_FALSE(encode_case(about));
}

TEST_CASE("requests are written as they must be") {
  CHECK(http_get({.host = "127.0.0.1:8080", .path = "/v1/models", .key = {}}) ==
        "GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: agentbox\r\nAccept: application/json\r\n"
        "Connection: close\r\n\r\n");
  const std::string post = http_post({.host = "[::1]:80", .path = "/v1/chat/completions", .key = {}}, "{}");
  CHECK(http_get({.host = "h", .path = "/v1/models", .key = "sk-1"}) ==
        "GET /v1/models HTTP/1.1\r\nHost: h\r\nUser-Agent: agentbox\r\nAccept: application/json\r\n"
        "Authorization: Bearer sk-1\r\nConnection: close\r\n\r\n");
  CHECK(post.ends_with("Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"));
  const std::string body = encode_review("m", "Pushing is usual.", "{}");
  CHECK(body.starts_with(R"({"model":"m","messages":[{"role":"system","content":"You are)"));
  CHECK(body.find(R"(\nThe owner adds: Pushing is usual."},{"role":"user","content":"{}"}],"temperature":0,)") !=
        std::string::npos);
  CHECK(body.ends_with(R"("additionalProperties":false}}}})"));
}
