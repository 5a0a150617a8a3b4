// Any bytes as the beginning of a TLS connection: the result doesn't depend on how they are cut, and a name that is read
// stands in the bytes.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "network/client_hello.hpp"

using namespace agentbox::gates::network;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> bytes(data, size);
  ClientHelloReader whole, pieces;
  whole.feed(bytes);
  for (std::size_t at = 0; at < size; at += 3) pieces.feed(bytes.subspan(at, std::min<std::size_t>(3, size - at)));
  if (whole.result().index() != pieces.result().index()) std::abort();
  const auto* one = std::get_if<ClientHello>(&whole.result());
  if (one == nullptr) return 0;
  const auto& other = std::get<ClientHello>(pieces.result());
  if (one->server_name != other.server_name || one->protocols != other.protocols) std::abort();
  if (!one->server_name) return 0;
  if (one->server_name->empty() || one->server_name->find('\0') != std::string::npos) std::abort();
  // It may be cut by the heads of records, so only its letters are looked for, in order.
  auto at = bytes.begin();
  for (const char c : *one->server_name) {
    at = std::find(at, bytes.end(), static_cast<std::uint8_t>(c));
    if (at == bytes.end()) std::abort();
    ++at;
  }
  return 0;
}
