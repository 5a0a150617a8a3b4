#pragma once

// What a host's name in the letters of other scripts looks like (RFC 3492), for people. Pure; the room chooses the name.

#include <optional>
#include <string>
#include <string_view>

namespace agentbox::gates::network {

// "xn--bcher-kva.example" → "bücher.example", raw UTF-8. Nothing: no label is encoded, or one is not what an encoder writes.
[[nodiscard]] std::optional<std::string> decoded_host(std::string_view host);

}  // namespace agentbox::gates::network
