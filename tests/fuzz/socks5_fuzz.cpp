// Any bytes as a SOCKS client, and as an upstream: what comes of them doesn't depend on how they are cut, and a host that
// is asked for is in its one form.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "network/socks5.hpp"

using namespace agentbox::gates::network;

namespace {

using Bytes = std::vector<std::uint8_t>;

void append(Bytes& to, const Bytes& from) {
  to.insert(to.end(), from.begin(), from.end());
}

template <class End>
Bytes run(End& end, std::span<const std::uint8_t> in, std::size_t piece) {
  Bytes out = end.output();
  for (std::size_t at = 0; at < in.size(); at += piece) {
    end.feed(in.subspan(at, std::min(piece, in.size() - at)));
    append(out, end.output());
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> in(data, size);
  SocksServer whole, pieces;
  if (run(whole, in, size + 1) != run(pieces, in, 1)) std::abort();
  if (whole.feed({}) != pieces.feed({}) || whole.host() != pieces.host()) std::abort();
  if (whole.feed({}) == SocksServer::State::request) {
    if (whole.port() == 0 || canonical_host(whole.host().text) != whole.host()) std::abort();
    whole.grant();
    pieces.grant();
    if (whole.rest() != pieces.rest()) std::abort();
  }
  const Host host = *canonical_host("a.example");
  for (const auto needed : {SocksLogin::Needed::no, SocksLogin::Needed::yes}) {
    const SocksLogin login{.user = "u", .password = "p", .needed = needed};
    SocksClient one(host, 443, login), other(host, 443, login);
    const Bytes said = run(one, in, size + 1), also = run(other, in, 1);
    if (one.feed({}) != other.feed({}) || one.why() != other.why() || one.rest() != other.rest()) std::abort();
    // What it had said before it failed may have been on its way.
    if (one.feed({}) == SocksClient::State::open && said != also) std::abort();
  }
  return 0;
}
