// Single values from elsewhere than a file: the command line.

#include "agentbox/profile/parse.hpp"

#include "text.hpp"
#include "values.hpp"

namespace agentbox::profile {

namespace {

template <class T>
base::Result<T> placed(Parsed<T> value, const Origin& origin) {
  if (value) return std::move(*value);
  return std::unexpected(base::Diagnostics{error_at(origin, value.error().message, value.error().hint)});
}

}  // namespace

base::Result<HostRule> parse_host_rule(std::string_view text, const Origin& origin) {
  return placed(host_rule(text), origin);
}
base::Result<CommandPattern> parse_command_pattern(std::string_view text, const Origin& origin) {
  return placed(command_pattern(text), origin);
}
base::Result<PathText> parse_path(std::string_view text, const Origin& origin) {
  return placed(path_with(text, Star::literal), origin);
}
base::Result<PatternText> parse_pattern(std::string_view text, const Origin& origin) {
  return placed(pattern(text), origin);
}
base::Result<Budget> parse_money(std::string_view text, const Origin& origin) {
  return placed(money(text), origin);
}

}  // namespace agentbox::profile
