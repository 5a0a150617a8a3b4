#include "agentbox/base/diagnostic.hpp"

#include <catch2/catch.hpp>

using namespace agentbox::base;

TEST_CASE("a message shows the file, the line and a caret") {
  Diagnostic diagnostic{.file = "pi.toml",
                        .at = {.line = 3, .column = 1, .length = 4},
                        .source_line = "reed = [\"~/x\"]",
                        .message = "unknown key 'reed'",
                        .hint = "did you mean 'read'?"};
  CHECK(render(diagnostic, Colour::off) ==
        "pi.toml:3:1: error: unknown key 'reed'\n"
        "    reed = [\"~/x\"]\n"
        "    ^~~~\n"
        "hint: did you mean 'read'?\n");
}

TEST_CASE("the caret stands under the escaped text") {
  Diagnostic diagnostic{
      .file = "a", .at = {.line = 1, .column = 3, .length = 1}, .source_line = "\033 x", .message = "m"};
  CHECK(render(diagnostic, Colour::off) == "a:1:3: error: m\n    \\x1b x\n         ^\n");
}

TEST_CASE("a message without a file is agentbox's own") {
  CHECK(render(Diagnostic{.message = "no such profile", .hint = "see `agentbox profiles`"}, Colour::off) ==
        "agentbox: error: no such profile\nhint: see `agentbox profiles`\n");
}

TEST_CASE("only what is near is suggested") {
  std::vector<std::string_view> keys = {"read", "write", "environment"};
  CHECK(nearest("reed", keys) == "read");
  CHECK(nearest("enviroment", keys) == "environment");
  CHECK(nearest("xyz", keys).empty());
  CHECK(nearest("write", keys) == "write");
}
