#include "network/sniff.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "agentbox/base/escape.hpp"

using namespace agentbox::gates::network;
using namespace std::string_literals;

namespace {

// What is decided about a beginning never changes with what follows.
Speech speech(std::string_view bytes) {
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    if (const Speech early = speech_of(bytes.substr(0, size)); early != Speech::need_more) return early;
  }
  return speech_of(bytes);
}

}  // namespace

TEST_CASE("TLS, HTTP and all else are told apart by how they begin") {
  CHECK(speech("\x16\x03\x01\x02") == Speech::tls);
  for (const std::string& text :
       {"GET / HTTP/1.1\r\n"s, "get / http/1.1\r\n"s, "GET /\r\n"s, "POST\t/ HTTP/1.1\r\n"s, "\r\nGET / HTTP/1.1\r\n"s,
        "\n\n GET / HTTP/1.1\r\n"s, "\x1fGET / HTTP/1.1\r\n"s, "PRI * HTTP/2.0\r\n"s, "BREW /pot HTTP/1.1\r\n"s,
        "BREW\x0b/pot HTTP/1.1\n"s, "BREW /\xff HTTP/1.1\r\n"s, "BREW /\x7f HtTp/1.1\r\n"s, "GET\0/ HTTP/1.1\r\n"s,
        "BREW /" + std::string(5000, 'a') + " HTTP/1.1\r\n", "CONNECT a:1 HTTP/1.1\r\n"s}) {
    INFO(agentbox::base::escape(text.substr(0, 100)));
    CHECK(speech(text) == Speech::http);
  }
  for (const std::string& text : {"SSH-2.0-OpenSSH_9.2\r\n"s, "EHLO client.example\r\n"s, "*1\r\n$4\r\nPING\r\n"s,
                                  "0033git-upload-pack /a\0host=b\0"s, "\0\0\0\x08\x04\xd2\x16\x2f"s,
                                  "\x10\x2b\0\x04MQTT"s, "AMQP\0\0\x09\x01"s, "<?xml version='1.0'?>"s,
                                  "\x13"
                                  "BitTorrent protocol\0\0"s,
                                  "USER me\r\n"s, "\x16\x02\xff"s, "\x80\x2e\x01"s, "GETTING\n"s, "a\0"s}) {
    INFO(agentbox::base::escape(text));
    CHECK(speech(text) == Speech::other);
  }
  for (const std::string& text : {""s, "\x16"s, "GET"s, "BREW /pot"s, "SSH-2.0"s, "\r\n"s, "  "s}) {
    CHECK(speech_of(text) == Speech::need_more);
  }
}
