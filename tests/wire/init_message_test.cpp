#include "agentbox/wire/init_message.hpp"

#include <catch2/catch.hpp>

using namespace agentbox::wire;

namespace {
Start example() {
  return {.argv = {"sh", "-c", "echo \xff\n"},
          .environment = {"A=1", "EMPTY="},
          .directory = "/home/me/a b",
          .processes = 1,
          .open_files = 2,
          .file_size = 3,
          .cpu_seconds = 4,
          .terminal = 5};
}
}  // namespace

TEST_CASE("a start message comes back as it was") {
  CHECK(decode_start(encode(example())) == example());
}

TEST_CASE("every packet comes back as it was") {
  for (const ToInit& message : {ToInit(Continue{}), ToInit(Signal{15})}) {
    CHECK(decode_to_init(encode(message)) == message);
  }
  for (const FromInit& message : {FromInit(Started{}), FromInit(Failed{Step::change_directory, 2}),
                                  FromInit(Stopped{19}), FromInit(Exited{256})}) {
    CHECK(decode_from_init(encode(message)) == message);
  }
}

TEST_CASE("a message that is cut short or too long is refused at every length") {
  std::vector<std::byte> bytes = encode(example());
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    CHECK(decode_start(std::span(bytes).first(length)).error() == "malformed message");
  }
  bytes.push_back({});
  CHECK(decode_start(bytes).error() == "malformed message");
  std::vector<std::byte> packet = encode(FromInit(Exited{0}));
  for (std::size_t length = 0; length < packet.size(); ++length) {
    CHECK(decode_from_init(std::span(packet).first(length)).error() == "malformed message");
  }
}

TEST_CASE("lengths that lie do not make the reader read or reserve beyond the message") {
  std::vector<std::byte> huge(64, std::byte{0xff});
  CHECK(decode_start(huge).error() == "malformed message");
  CHECK(decode_to_init(huge).error() == "malformed message");
  CHECK(decode_from_init(huge).error() == "malformed message");
}

TEST_CASE("a start message without a command is refused") {
  Start nothing = example();
  nothing.argv.clear();
  CHECK(decode_start(encode(nothing)).error() == "malformed message");
}
