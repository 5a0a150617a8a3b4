#include "gate_common.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <arpa/inet.h>

#include "agentbox/policy/room_addresses.hpp"

#include "arrival.hpp"

namespace agentbox::gates::network {

namespace {

constexpr int most_looks = 20;

NameTable::Prefix names_prefix() {
  std::array<std::uint8_t, 16> bytes{};
  std::string text(policy::names_v6.substr(0, policy::names_v6.find('/')));
  ::inet_pton(AF_INET6, text.c_str(), bytes.data());
  NameTable::Prefix prefix{};
  std::copy_n(bytes.begin(), prefix.size(), prefix.begin());
  return prefix;
}

std::vector<std::string> names_in(const policy::Rules& rules) {
  std::vector<std::string> names;
  for (const auto* list : {&rules.network.allow, &rules.network.ask}) {
    for (const auto& rule : *list) {
      if (rule.value.kind == profile::HostKind::name || rule.value.kind == profile::HostKind::below) {
        names.push_back(rule.value.host);
      }
    }
  }
  return names;
}

}  // namespace

GateCommon::GateCommon(GateSetup setup_of_it, broker::Decider& decider)
    : setup(std::move(setup_of_it)),
      lanes(std::max<std::size_t>(setup.lanes, 1)),
      named(names_in(setup.rules)),
      names(names_prefix(), {.names = setup.names, .life = std::chrono::seconds(60)}),
      yes(setup.once_holds),
      meter(setup.rules, decider) {}

std::optional<Requester> GateCommon::who(int client) {
  const std::scoped_lock lock(looking_);
  const auto now = std::chrono::steady_clock::now();
  if (now >= looks_until_) {
    looks_until_ = now + std::chrono::seconds(1);
    looks_ = 0;
  }
  if (looks_ >= most_looks) return std::nullopt;
  ++looks_;
  const std::optional<Ends> ends = ends_of(client);
  return ends ? setup.who(*ends) : std::nullopt;
}

}  // namespace agentbox::gates::network
