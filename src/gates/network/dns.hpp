#pragma once

// The resolver of the room: a question in, an answer out, and nothing else happens. No question leaves the machine, so
// DNS carries nothing out: a name of any shape gets an address of ours, and whether anybody may connect there is ruled
// on when somebody does. How many names a session may ask for is the caller's to bound; the table bounds itself.
//
// The room is hostile: any bytes may come. A question is small and its form is strict, so it is read by code of our own,
// and no library is loaded for it; the tests and the fuzzer read the answers with glibc's ns_parserr(3).

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "name_table.hpp"

namespace agentbox::gates::network {

struct Resolver {
  NameTable& names;
  // May this single label, or this name below .local, have an address? Both mean a machine nearby, so a rule must speak
  // of it; without one the answer is NXDOMAIN, and the client goes on to its search domains. Empty: none may.
  std::function<bool(std::string_view)> is_known_nearby;
};

// The answer to one message, over UDP as well as over TCP (there without its two bytes of length). Nothing: no answer
// is due, since the message is no question.
//
//   A, AAAA         the name's own addresses, for 60 s
//   PTR             of the addresses that the table gave out
//   other types     no data: HTTPS and SVCB above all, which would carry the keys of an encrypted ClientHello
//   NXDOMAIN        names outside the grammar (host_name.hpp), localhost and what is below it, .invalid, other PTR
//   SERVFAIL        the table is full of names that can't make room
//   REFUSED         classes other than IN, transfers of zones
//   NOTIMP, FORMERR, BADVERS as usual
//
// Never longer than 512 bytes, so it is never cut.
[[nodiscard]] std::optional<std::vector<std::uint8_t>> answer(std::span<const std::uint8_t> query, Resolver& resolver,
                                                              NameTable::Time now);

}  // namespace agentbox::gates::network
