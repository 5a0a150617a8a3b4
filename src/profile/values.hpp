#pragma once

// Parsers of single values: text → value, or what is wrong with the text. No positions here: a Fault counts
// bytes within the text that it was given, and whoever called knows where that text stands.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "agentbox/profile/profile.hpp"

namespace agentbox::profile {

struct Fault {
  static constexpr std::size_t whole = static_cast<std::size_t>(-1);
  std::string message;  // one sentence; every byte of the text that it quotes is escaped
  std::string hint;
  std::size_t offset = 0;
  std::size_t length = whole;
};

template <class T>
using Parsed = std::expected<T, Fault>;

[[nodiscard]] std::unexpected<Fault> fault(std::string message, std::string hint = {});
// The part of `text` that is to be marked.
[[nodiscard]] std::unexpected<Fault> fault_at(std::string_view text, std::string_view part, std::string message,
                                              std::string hint = {});

// paths.cpp
// In a profile a '*' is refused, since it looks like a pattern; on the command line the shell has had its turn, and a
// name may hold anything.
enum class Star { refused, literal };
[[nodiscard]] Parsed<PathText> path_with(std::string_view text, Star star);
[[nodiscard]] Parsed<PathText> path(std::string_view text);
[[nodiscard]] Parsed<PatternText> pattern(std::string_view text);            // any kind
[[nodiscard]] Parsed<PatternText> workspace_pattern(std::string_view text);  // of [workspace]
[[nodiscard]] Parsed<PatternText> outside_pattern(std::string_view text);    // of [files]

// hosts.cpp
[[nodiscard]] Parsed<HostRule> host_rule(std::string_view text);
[[nodiscard]] Parsed<Publication> publication(std::string_view text);
[[nodiscard]] Parsed<std::string> upstream(std::string_view text);      // socks5h://host:port, http://host:port
[[nodiscard]] Parsed<std::string> reviewer(std::string_view text);      // http://127.0.0.1:8080/v1
[[nodiscard]] Parsed<PostAddress> post_address(std::string_view text);  // http://127.0.0.1:6000/send

// commands.cpp
[[nodiscard]] Parsed<CommandPattern> command_pattern(std::string_view text);

// amounts.cpp
[[nodiscard]] Parsed<std::uint64_t> size(std::string_view text);             // "20G", "50 MB": by 1024; at least 1
[[nodiscard]] Parsed<std::chrono::seconds> duration(std::string_view text);  // "90s", "1h30m"; at least 1 s
[[nodiscard]] Parsed<Budget> count_budget(std::string_view text);            // "20/day"
[[nodiscard]] Parsed<Budget> bytes_budget(std::string_view text);            // "50 MB/session"
[[nodiscard]] Parsed<Budget> money_budget(std::string_view text);            // "100 USD/day"
[[nodiscard]] Parsed<Budget> money(std::string_view text);                   // "25 USD"

// names.cpp
[[nodiscard]] Parsed<std::string> description(std::string_view text);
[[nodiscard]] Parsed<std::string> environment_name(std::string_view text);     // "LANG"
[[nodiscard]] Parsed<std::string> environment_pattern(std::string_view text);  // "LANG", "LC_*"
// A value in which "${HOME}" and its like are replaced ("$${" is a literal "${"): no NUL, no unknown name.
[[nodiscard]] Parsed<std::string> value(std::string_view text);
[[nodiscard]] Parsed<RecipientRule> recipient(std::string_view text);
[[nodiscard]] Parsed<std::string> system_call(std::string_view text);

}  // namespace agentbox::profile
