#pragma once

// Which domain a host belongs to, by the public suffix list (libpsl, loaded when it is first needed): "*.example.co.uk" is
// one owner's, "*.co.uk" is not.

#include <optional>
#include <string>

namespace agentbox::gates::network {

// "api.shop.example.co.uk" → "example.co.uk". Nothing: the name is a suffix itself, has no known one, or this machine has
// no libpsl. `name` is canonical.
[[nodiscard]] std::optional<std::string> registrable_domain(const std::string& name);

}  // namespace agentbox::gates::network
