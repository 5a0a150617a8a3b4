// One host rule against one connection. Both sides are in their one normal spelling, so that comparing bytes is enough.

#include <string_view>

#include "agentbox/policy/ruling.hpp"
#include "agentbox/profile/host_rules.hpp"

namespace agentbox::policy {

namespace {

using profile::HostKind;
using profile::HostRule;

bool is_address(std::string_view host) {
  return profile::covers_network(host, host);
}

bool is_below(std::string_view name, std::string_view domain) {
  return name.size() > domain.size() + 1 && name.ends_with(domain) && name[name.size() - domain.size() - 1] == '.';
}

}  // namespace

bool matches(const HostRule& rule, const Connect& connect, Reach reach) {
  if (!profile::covers_port(rule, connect.port)) return false;
  std::string_view host = connect.host;
  bool localhost = host == "localhost";
  switch (rule.kind) {
    case HostKind::name:
      if (rule.host != host) return false;
      return !localhost && !is_address(host);
    case HostKind::below: return is_below(host, rule.host) && !is_address(host);
    case HostKind::localhost: {
      if (localhost || host == "127.0.0.1" || host == "::1") return true;
      if (reach == Reach::narrow) return false;
      return profile::is_loopback(host);
    }
    case HostKind::address: {
      if (localhost) return reach == Reach::wide && profile::names_this_machine(rule);
      return profile::covers_network(rule.host, host);
    }
  }
  return false;
}

}  // namespace agentbox::policy
