// Any bytes as a host and as an authority: what is taken is in the one form, which reads back to itself, and is what a
// rule of a profile would be written as.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "agentbox/profile/parse.hpp"

#include "network/host_name.hpp"

namespace {

using namespace agentbox::gates::network;

void check(const Host& host) {
  if (host.text.empty() || host.text.size() > 253) std::abort();
  for (const char c : host.text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
    if (!plain && !(c == ':' && host.address)) std::abort();
  }
  if (canonical_host(host.text) != host) std::abort();
  if (host.address && Address::parse(host.text) != host.address) std::abort();
  const std::string rule_text = host.text.find(':') == std::string::npos ? host.text : "[" + host.text + "]";
  const auto rule = agentbox::profile::parse_host_rule(rule_text, {});
  if (!rule || rule->host != host.text) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto host = canonical_host(bytes)) check(*host);
  if (const auto authority = canonical_authority(bytes)) {
    check(authority->host);
    const std::uint16_t port = authority->port.value_or(80);
    if (port == 0) std::abort();
    const auto again = canonical_authority(http_authority(authority->host, port));
    if (!again || again->host != authority->host || again->port.value_or(80) != port) std::abort();
  }
  return 0;
}
