// Any bytes as a question to the resolver of the room: what it answers is a whole message that fits, of the same
// number, and holds no address but the table's.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include <arpa/nameser.h>

#include "network/dns.hpp"

using namespace agentbox::gates::network;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  NameTable names({0xfd, 1, 2, 3, 4, 5}, {.names = 4, .life = std::chrono::seconds(60)});
  Resolver resolver{names, [](std::string_view name) { return name.starts_with('p'); }};
  const auto reply = answer({data, size}, resolver, {});
  if (!reply) return 0;
  // What isn't called malformed, glibc takes too.
  ns_msg message{};
  const bool whole = ns_initparse(data, static_cast<int>(size), &message) == 0;
  const auto code = (*reply)[3] & 0xfU;
  if (!whole && code != ns_r_formerr && code != ns_r_notimpl) std::abort();
  if (reply->size() > 512 || ns_initparse(reply->data(), static_cast<int>(reply->size()), &message) != 0) std::abort();
  if (!std::equal(data, data + 2, reply->begin()) || ns_msg_getflag(message, ns_f_qr) == 0) std::abort();
  for (int i = 0; i < ns_msg_count(message, ns_s_an); ++i) {
    ns_rr record{};
    if (ns_parserr(&message, ns_s_an, i, &record) != 0) std::abort();
    if (record.type == ns_t_ptr) std::abort();  // nothing was given before
    const bool four = record.type == ns_t_a && record.rdlength == 4;
    if (!four && (record.type != ns_t_aaaa || record.rdlength != 16)) std::abort();
    Address::V4 v4{};
    Address::V6 v6{};
    std::copy_n(record.rdata, record.rdlength, four ? v4.begin() : v6.begin());
    if (!names.name_of(four ? Address::of(v4) : Address::of(v6))) std::abort();
  }
  if (names.size() > 1 || (names.size() == 1 && ns_msg_count(message, ns_s_an) == 0)) std::abort();
  return 0;
}
