#pragma once

#include <optional>
#include <string_view>

#include "agentbox/store/store.hpp"

namespace agentbox::store {

// As the file has them: they are part of its format.
[[nodiscard]] std::string_view name_of(Remembered::Verdict verdict) noexcept;
[[nodiscard]] std::string_view name_of(Remembered::Breadth breadth) noexcept;
// Nothing for a word that is none.
[[nodiscard]] std::optional<Event::What> what_of(std::string_view name) noexcept;

}  // namespace agentbox::store
