// The broker's messages: each comes back as it was, and nothing else is taken. tests/wire/schema_test.py holds the same
// lines against the schema.

#include "agentbox/wire/broker_message.hpp"

#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

using namespace agentbox::wire;

namespace {

std::vector<std::string> lines_of(const char* name) {
  std::ifstream file(std::string(AGENTBOX_WIRE_TESTS "/") + name);
  REQUIRE(file.is_open());
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with('#')) lines.push_back(line);
  }
  REQUIRE(lines.size() > 20);
  return lines;
}

// What a line says when it is read and written again, or why it was refused; `seen` gets which kind of message it is.
template <class Message>
std::string again(const Decoded<Message>& message, std::set<std::pair<std::string, std::size_t>>& seen,
                  const std::string& direction) {
  if (!message) return "refused: " + message.error().message;
  seen.emplace(direction, message->body.index());
  return encode(*message);
}
std::string again(const std::string& direction, std::string_view line,
                  std::set<std::pair<std::string, std::size_t>>& seen) {
  if (direction == "from_room") return again(decode_from_room(line), seen, direction);
  if (direction == "to_room") return again(decode_to_room(line), seen, direction);
  if (direction == "from_control") return again(decode_from_control(line), seen, direction);
  REQUIRE(direction == "to_control");
  return again(decode_to_control(line), seen, direction);
}

std::string why(std::string_view line) {
  auto message = decode_from_room(line);
  return message ? "taken" : message.error().message;
}
Code code(std::string_view line) {
  auto message = decode_from_room(line);
  REQUIRE_FALSE(message);
  return message.error().code;
}

}  // namespace

TEST_CASE("every kind of message is read, and written as it was") {
  std::set<std::pair<std::string, std::size_t>> seen;
  for (const std::string& line : lines_of("broker_messages.txt")) {
    std::size_t space = line.find(' ');
    std::string message = line.substr(space + 1);
    INFO(message);
    CHECK(again(line.substr(0, space), message, seen) == message + "\n");
  }
  CHECK(seen.size() == std::variant_size_v<decltype(FromRoom::body)> + std::variant_size_v<decltype(ToRoom::body)> +
                           std::variant_size_v<decltype(FromControl::body)> +
                           std::variant_size_v<decltype(ToControl::body)>);
}

TEST_CASE("what is not such a message is refused with its reason") {
  std::set<std::pair<std::string, std::size_t>> seen;
  for (const std::string& line : lines_of("broker_refused.txt")) {
    std::istringstream parts(line);
    std::string direction, schema, reason, message;
    std::getline(parts, direction, '\t');
    std::getline(parts, schema, '\t');
    std::getline(parts, reason, '\t');
    std::getline(parts, message);
    INFO(message);
    CHECK(again(direction, message, seen) == "refused: " + reason);
  }
}

TEST_CASE("bytes that are not UTF-8 come back as they were") {
  std::string all;
  for (int byte = 1; byte < 256; ++byte) all += static_cast<char>(byte);
  for (const std::string& odd :
       {all, std::string("\xed\xa0\x80"), std::string("\xc0\xaf"), std::string("\xf4\x90\x80\x80"), std::string("\xff"),
        std::string("a\xff"), std::string("ab\xff"), std::string("\xe2\x82")}) {
    FromRoom message{.id = 1, .body = CommandRequest{.argv = {odd, "é"}, .directory = "/" + odd, .why = odd}};
    std::string line = encode(message);
    CHECK(line.find("base64") != std::string::npos);
    line.pop_back();
    CHECK(decode_from_room(line) == message);
  }
}

TEST_CASE("text of ours that is no UTF-8 after all is sent with replacement characters") {
  std::string line = encode(ToRoom{.id = 1,
                                   .body = Refusal{Code::failed,
                                                   "a\xff"
                                                   "b"}});
  line.pop_back();
  CHECK(std::get<Refusal>(decode_to_room(line)->body).message ==
        "a\xef\xbf\xbd"
        "b");
}

TEST_CASE("what is no JSON, or JSON of a dangerous kind, is refused") {
  CHECK(why(R"({"jsonrpc":"2.0","id":1,"method":"status"})") == "taken");
  CHECK(why("\xef\xbb\xbf"
            R"({"jsonrpc":"2.0","id":1,"method":"status"})") == "a message is one JSON object");
  CHECK(why("") == "a message is one JSON object");
  CHECK(why("[]") == "a message is one JSON object");
  CHECK(why(R"([{"jsonrpc":"2.0","id":1,"method":"status"}])") == "a message is one JSON object");
  for (const char* broken : {"{", "{}x", "{\"a\":01}", "{\"a\":NaN}", "{'a':1}", "{\"a\":1,}", "{/**/}",
                             "{\"a\":\"\xff\"}", "{\"a\":\"\\ud800\"}", "{\"a\":\"\n\"}", "{} {}", "{\"a\":1e999}"}) {
    INFO(broken);
    CHECK(why(broken) == "this is not JSON in UTF-8");
    CHECK(code(broken) == Code::not_json);
  }
  CHECK(why(R"({"jsonrpc":"2.0","id":1,"id":2,"method":"status"})") == "the key 'id' stands twice");
  CHECK(why(R"({"jsonrpc":"2.0","id":1,"method":"status","params":{"a":1,"\u0061":2}})") == "the key 'a' stands twice");
  CHECK(why(R"({"jsonrpc":"2.0","id":1.0,"method":"status"})") == "id must be an integer from 0 to 9007199254740991");
  CHECK(why(R"({"jsonrpc":"2.0","id":1e0,"method":"status"})") == "id must be an integer from 0 to 9007199254740991");
  CHECK(why(R"({"jsonrpc":"2.0","id":-0,"method":"status"})") == "id must be an integer from 0 to 9007199254740991");
  CHECK(why(R"({"jsonrpc":"2.0","id":18446744073709551616,"method":"status"})") ==
        "id must be an integer from 0 to 9007199254740991");
  CHECK(why("{\"a\":" + std::string(30000, '[') + std::string(30000, ']') + "}") == "nested deeper than 8");
  CHECK(why("{\"a\":\"" + std::string(20, '[') + "\\\"" + std::string(20, '{') + "\"}") == "jsonrpc is missing");
  std::string many = "{";
  for (int i = 0; i < 33; ++i) many += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":1";
  CHECK(why(many + "}") == "an object has too many keys");
}

TEST_CASE("a line beyond its limit is refused unread") {
  std::string head = R"({"jsonrpc":"2.0","id":1,"method":"status")";
  std::string fits = head + std::string(line_limit - head.size() - 1, ' ') + "}";
  CHECK(why(fits) == "taken");
  CHECK(why(fits + " ") == "a line is at most 65536 bytes long");
  CHECK(why(std::string(line_limit + 1, '[')) == "a line is at most 65536 bytes long");
}

TEST_CASE("a refusal is answered with the id of what was refused, where it can be read") {
  auto answer = [](std::string_view line) { return encode(decode_from_room(line).error()); };
  CHECK(answer(R"({"jsonrpc":"2.0","id":7,"method":"x"})") ==
        R"({"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"there is no method 'x' here"}})"
        "\n");
  CHECK(answer("x") == R"({"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"a message is one JSON object"}})"
                       "\n");
  CHECK(answer(R"({"jsonrpc":"2.0","id":"7","method":"x"})").find("\"id\":null") != std::string::npos);
  CHECK(answer(R"({"jsonrpc":"2.0","id":3,"method":"request.command"})").find("\"code\":-32602") != std::string::npos);
}

TEST_CASE("a question longer than a request may be is shown whole") {
  WireQuestion question{.id = "1", .digest = std::string(64, '0'), .content = std::string(1 << 20, 'x')};
  std::string line = encode(ToControl{.body = QuestionAdded{question}});
  line.pop_back();
  auto back = decode_to_control(line);
  REQUIRE(back);
  CHECK(std::get<QuestionAdded>(back->body).question == question);
}

TEST_CASE("a stream is cut into lines, however its bytes arrive") {
  const std::string stream = "one\n\ntwo\nthree";
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    LineSplitter splitter(5);
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      std::string_view bytes = std::string_view(stream).substr(at, piece);
      std::string line;
      while (splitter.take(bytes, line) == LineSplitter::Split::line) lines.push_back(line);
      CHECK(bytes.empty());
    }
    CHECK(lines == std::vector<std::string>{"one", "", "two"});
    CHECK(splitter.pending() == 5);
  }
}

TEST_CASE("a line that grows beyond the limit is given up at once, and nothing more is taken") {
  LineSplitter splitter(10);
  std::string line;
  std::string_view bytes = "1234567890\n";
  CHECK(splitter.take(bytes, line) == LineSplitter::Split::line);
  CHECK(line == "1234567890");
  bytes = "123456";
  CHECK(splitter.take(bytes, line) == LineSplitter::Split::more);
  bytes = "78901";
  CHECK(splitter.take(bytes, line) == LineSplitter::Split::too_long);
  CHECK(splitter.pending() == 0);
  bytes = "\nok\n";
  CHECK(splitter.take(bytes, line) == LineSplitter::Split::too_long);
  CHECK(bytes == "\nok\n");
  LineSplitter whole(10);
  const std::string flood(1 << 20, 'x');
  bytes = flood;
  CHECK(whole.take(bytes, line) == LineSplitter::Split::too_long);
  CHECK(whole.pending() == 0);
}
