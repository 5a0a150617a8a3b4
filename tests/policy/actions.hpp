#pragma once

// Actions and rules in a few words, for tests of rulings.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "agentbox/base/escape.hpp"
#include "agentbox/policy/ruling.hpp"
#include "agentbox/profile/parse.hpp"

namespace agentbox::test {

using Argv = std::vector<std::string>;

inline policy::Command command(Argv argv, std::string_view directory = "/home/u/work") {
  return {.argv = std::move(argv), .directory = *base::AbsPath::parse(directory)};
}
inline policy::Command resolved(policy::Command command, std::string_view program,
                                policy::Program::Writable writable = policy::Program::Writable::no) {
  command.program = policy::Program{.path = *base::AbsPath::parse(program),
                                    .device = 1,
                                    .inode = 2,
                                    .sha256 = std::string(64, 'a'),
                                    .writable = writable};
  return command;
}
inline profile::CommandPattern pattern(std::string_view text) {
  auto parsed = profile::parse_command_pattern(text, {});
  INFO(text);
  REQUIRE(parsed);
  return *parsed;
}
inline profile::HostRule host(std::string_view text) {
  auto parsed = profile::parse_host_rule(text, {});
  INFO(text);
  REQUIRE(parsed);
  return *parsed;
}
template <class T>
profile::List<T> lines(std::vector<T> values) {
  profile::List<T> list;
  std::uint32_t line = 0;
  for (T& value : values) list.push_back({std::move(value), {.file = "test.toml", .at = {++line, 1, 1}}});
  return list;
}

}  // namespace agentbox::test
