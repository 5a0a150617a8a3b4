#pragma once

// Does a name pass for another one? For the owner's eye: "paypa1.example" beside "paypal.example". Pure.

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace agentbox::gates::network {

// The first of `known` that `name` could be taken for: it differs in one letter (another, missing, added, or two that
// changed places), or only in letters that look alike (0 o, 1 l i, rn m, vv w). Nothing if it is one of them, or lies
// below one of them. All are canonical names.
[[nodiscard]] std::optional<std::string> looks_like(std::string_view name, std::span<const std::string> known);

}  // namespace agentbox::gates::network
