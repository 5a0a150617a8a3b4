#pragma once

// What a client begins to speak, from its first bytes. A guess would be a way out: what any server could take for an
// HTTP request is called http, and then judged by the strict reader, however oddly it begins.

#include <string_view>

namespace agentbox::gates::network {

enum class Speech {
  need_more,
  tls,    // ClientHelloReader goes on
  http,   // HttpRequests goes on
  other,  // passes as bytes where a rule lets it
};

// `so_far`: all that came, the same bytes and more at each call; decided within 4 KiB. A client that waits for the
// server to speak first says nothing at all: for how long to wait is the caller's.
[[nodiscard]] Speech speech_of(std::string_view so_far);

}  // namespace agentbox::gates::network
