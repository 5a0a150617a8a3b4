#include "agentbox/policy/traffic.hpp"

#include <algorithm>
#include <optional>

#include "agentbox/profile/parse.hpp"

#include "traffic.hpp"

namespace agentbox::policy {

namespace {

using Located = profile::Located<profile::Budget>;

bool stays_here(const Connect& connect) {
  const profile::HostRule here{.kind = profile::HostKind::localhost, .ports = profile::PortSet::all};
  return matches(here, connect, Reach::wide);
}

Limit limit_of(std::string name, const Located& from, std::string subject) {
  return {.name = std::move(name),
          .kind = std::string(traffic_kind),
          .subject = std::move(subject),
          .budget = from.value,
          .origin = from.origin};
}

}  // namespace

std::vector<Limit> byte_limits(const Rules& rules, const Connect& connect, const std::string& site) {
  const Rules::Traffic& traffic = rules.traffic;
  std::vector<Limit> limits;
  if (stays_here(connect)) return limits;
  if (traffic.bytes_out_per_host) {
    limits.push_back(limit_of("network.bytes_out_per_host", *traffic.bytes_out_per_host, site));
  }
  if (traffic.bytes_out) limits.push_back(limit_of("network.bytes_out", *traffic.bytes_out, {}));
  return limits;
}

std::vector<Limit> pace_limits(const Rules& rules, const Connect& connect) {
  const Rules::Traffic& traffic = rules.traffic;
  if (!traffic.connections_per_host || stays_here(connect)) return {};
  std::vector<Limit> limits{limit_of("network.connections_per_host", *traffic.connections_per_host, connect.host)};
  limits.back().counts = Limit::Counts::times;
  return limits;
}

Use bytes_out(const std::string& site, std::int64_t amount) {
  return {.kind = std::string(traffic_kind), .subject = site, .unit = "B", .amount = amount};
}

Excess excess_of(const Balance& balance) {
  const Limit& limit = balance.limit;
  constexpr std::int64_t least_bytes = 64 * 1024;
  const std::int64_t least = limit.counts == Limit::Counts::times ? 1 : least_bytes;  // of a limit of nothing
  return {.limit = limit.name,
          .budget = limit.budget.text,
          .subject = limit.subject,
          .used = balance.used,
          .portion = std::max(limit.budget.amount, least)};
}

Rules::Traffic traffic_of(const profile::Profile& profile) {
  const auto& said = profile.network;
  Rules::Traffic traffic{.bytes_out = said.bytes_out,
                         .bytes_out_per_host = said.bytes_out_per_host,
                         .connections_per_host = said.connections_per_host};
  auto otherwise = [](std::optional<Located>& limit, const std::optional<Located>& fallback) {
    if (limit) return;
    limit = fallback;
    limit->origin = {};
  };
  otherwise(traffic.bytes_out_per_host, profile::defaults().network.bytes_out_per_host);
  otherwise(traffic.connections_per_host, profile::defaults().network.connections_per_host);
  return traffic;
}

}  // namespace agentbox::policy
