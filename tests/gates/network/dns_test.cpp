#include "network/dns.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/nameser.h>
#include <resolv.h>

#include <catch2/catch.hpp>

using namespace agentbox::gates::network;
using namespace std::string_literals;
using std::chrono::seconds;

namespace {

using Bytes = std::vector<std::uint8_t>;
constexpr NameTable::Prefix prefix{0xfd, 0, 0, 0, 0, 1};
constexpr NameTable::Time start{};

void put(Bytes& bytes, unsigned number) {
  bytes.push_back(static_cast<std::uint8_t>(number >> 8U));
  bytes.push_back(static_cast<std::uint8_t>(number));
}

Bytes wire(std::string_view name) {
  Bytes bytes;
  while (!name.empty()) {
    const std::string_view label = name.substr(0, name.find('.'));
    bytes.push_back(static_cast<std::uint8_t>(label.size()));
    bytes.insert(bytes.end(), label.begin(), label.end());
    name.remove_prefix(std::min(name.size(), label.size() + 1));
  }
  bytes.push_back(0);
  return bytes;
}

struct Query {
  Bytes name;
  unsigned type = ns_t_a, klass = ns_c_in, flags = 0x0100, questions = 1, answers = 0, authorities = 0, additional = 0;
  Bytes rest;
  Query(std::string_view text, unsigned of_type) : name(wire(text)), type(of_type) {}
  explicit Query(Bytes raw) : name(std::move(raw)) {}
  Query& edns(unsigned version = 0, unsigned more_flags = 0) {
    ++additional;
    rest.push_back(0);
    for (const unsigned number : {unsigned{ns_t_opt}, 4096U, version, more_flags, 0U}) put(rest, number);
    return *this;
  }
  [[nodiscard]] Bytes bytes() const {
    Bytes result;
    for (const unsigned number : {0xbeefU, flags, questions, answers, authorities, additional}) put(result, number);
    result.insert(result.end(), name.begin(), name.end());
    put(result, type);
    put(result, klass);
    result.insert(result.end(), rest.begin(), rest.end());
    return result;
  }
};

// The answer as glibc's own reader sees it.
struct Answer {
  unsigned id = 0, rcode = 0, extended = 0;
  bool is_answer = false, truncated = false, recursion_available = false;
  std::string question;
  std::vector<std::string> records;  // "A 198.18.0.16 60"
  unsigned authorities = 0, opts = 0, udp_size = 0, opt_flags = 0;
};

std::string text_of(const ns_rr& record, const ns_msg& message) {
  std::string text;
  if (record.type == ns_t_ptr) {
    std::array<char, NS_MAXDNAME> name{};
    REQUIRE(dn_expand(message._msg, message._eom, record.rdata, name.data(), name.size()) >= 0);
    text = "PTR "s + name.data();
  } else if (record.type == ns_t_a) {
    REQUIRE(record.rdlength == 4);
    text = "A " + Address::of(Address::V4{record.rdata[0], record.rdata[1], record.rdata[2], record.rdata[3]}).text();
  } else if (record.type == ns_t_aaaa) {
    REQUIRE(record.rdlength == 16);
    Address::V6 bytes{};
    std::copy_n(record.rdata, 16, bytes.begin());
    text = "AAAA " + Address::of(bytes).text();
  } else {
    text = "type " + std::to_string(record.type);
  }
  return text + " " + std::to_string(record.ttl);
}

Answer parsed(const Bytes& bytes) {
  ns_msg message{};
  REQUIRE(bytes.size() <= 512);
  REQUIRE(ns_initparse(bytes.data(), static_cast<int>(bytes.size()), &message) == 0);
  Answer answer{.id = message._id,
                .rcode = static_cast<unsigned>(ns_msg_getflag(message, ns_f_rcode)),
                .is_answer = ns_msg_getflag(message, ns_f_qr) != 0,
                .truncated = ns_msg_getflag(message, ns_f_tc) != 0,
                .recursion_available = ns_msg_getflag(message, ns_f_ra) != 0};
  ns_rr record{};
  for (int i = 0; i < ns_msg_count(message, ns_s_qd); ++i) {
    REQUIRE(ns_parserr(&message, ns_s_qd, i, &record) == 0);
    answer.question = record.name;
  }
  for (int i = 0; i < ns_msg_count(message, ns_s_an); ++i) {
    REQUIRE(ns_parserr(&message, ns_s_an, i, &record) == 0);
    CHECK(record.name == answer.question);
    answer.records.push_back(text_of(record, message));
  }
  for (int i = 0; i < ns_msg_count(message, ns_s_ns); ++i) {
    REQUIRE(ns_parserr(&message, ns_s_ns, i, &record) == 0);
    CHECK(record.type == ns_t_soa);
    ++answer.authorities;
  }
  for (int i = 0; i < ns_msg_count(message, ns_s_ar); ++i) {
    REQUIRE(ns_parserr(&message, ns_s_ar, i, &record) == 0);
    REQUIRE(record.type == ns_t_opt);
    ++answer.opts;
    answer.udp_size = record.rr_class;
    answer.opt_flags = record.ttl & 0xffffU;
    answer.extended = record.ttl >> 24U;
  }
  return answer;
}

struct World {
  NameTable names{prefix};
  Resolver resolver{names, [](std::string_view name) { return name == "printer" || name == "nas.local"; }};
  Answer ask(const Query& query) {
    const auto bytes = answer(query.bytes(), resolver, start);
    REQUIRE(bytes);
    return parsed(*bytes);
  }
  std::optional<Bytes> raw(const Query& query) { return answer(query.bytes(), resolver, start); }
};

std::string label(std::size_t size) {
  return std::string(size, 'a');
}

}  // namespace

TEST_CASE("A and AAAA give the name's own addresses") {
  World world;
  const Answer four = world.ask({"api.example.org", ns_t_a});
  CHECK(four.id == 0xbeef);
  CHECK(four.is_answer);
  CHECK(four.recursion_available);
  CHECK_FALSE(four.truncated);
  CHECK(four.rcode == ns_r_noerror);
  CHECK(four.records == std::vector<std::string>{"A 198.18.0.16 60"});
  CHECK(four.authorities == 0);
  CHECK(four.opts == 0);
  CHECK(world.ask({"api.example.org", ns_t_aaaa}).records == std::vector<std::string>{"AAAA fd00:0:1::c612:10 60"});
  CHECK(world.ask({"api.example.org", ns_t_any}).records.size() == 2);
  CHECK(world.ask({"other.example", ns_t_a}).records == std::vector<std::string>{"A 198.18.0.17 60"});
  CHECK(world.names.size() == 2);
}

TEST_CASE("the case of a question is echoed, and means nothing") {
  World world;
  const Answer answer = world.ask({"aPi.ExAmPlE.oRG", ns_t_a});
  CHECK(answer.question == "aPi.ExAmPlE.oRG");
  CHECK(answer.records == world.ask({"api.example.org", ns_t_a}).records);
  CHECK(world.names.name_of(*Address::parse("198.18.0.16")) == "api.example.org");
}

TEST_CASE("a tunnel's labels get an address of ours, and nothing else happens") {
  World world;
  const std::string name = label(63) + "." + label(63) + "." + label(63) + ".tunnel.example";
  CHECK(world.ask({name, ns_t_a}).records.size() == 1);
  for (const unsigned type : {ns_t_txt, ns_t_null, ns_t_cname, ns_t_mx, ns_t_srv}) {
    const Answer answer = world.ask({name, type});
    CHECK(answer.rcode == ns_r_noerror);
    CHECK(answer.records.empty());
    CHECK(answer.authorities == 1);
  }
  CHECK(world.names.size() == 1);
}

TEST_CASE("types that we know nothing of have no data") {
  World world;
  for (const unsigned type : {65U, 64U, unsigned{ns_t_mx}, unsigned{ns_t_txt}, unsigned{ns_t_soa}, unsigned{ns_t_ns},
                              unsigned{ns_t_cname}, 257U, 65280U}) {
    for (const std::string_view name : {"example.org", "_443._tcp.example.org", ""}) {
      INFO(type << " " << name);
      const Answer answer = world.ask({name, type});
      CHECK(answer.rcode == ns_r_noerror);
      CHECK(answer.records.empty());
      CHECK(answer.authorities == 1);
    }
  }
  CHECK(world.names.size() == 0);
}

TEST_CASE("names that are none, or this machine's, don't exist") {
  World world;
  const std::vector<std::string> names{"localhost",
                                       "LOCALHOST",
                                       "a.localhost",
                                       "0x7f.1",
                                       "127.0.0.1",
                                       "2130706433",
                                       "017700000001",
                                       "127.1",
                                       "a_b.example",
                                       "_dmarc.example",
                                       "-a.example",
                                       "x.invalid",
                                       "use-application-dns.net",
                                       "ipv4only.arpa",
                                       "_dns.resolver.arpa",
                                       "4.3.2.1.in-addr.arpa",
                                       "1.0.0.0.ip6.arpa",
                                       "b\xc3\xbc.example",
                                       "a b.example",
                                       "a\r\n.example",
                                       "a@b.example",
                                       "%41.example",
                                       "",
                                       "a\0b.example"s,
                                       "*.example"};
  for (const std::string& name : names) {
    for (const unsigned type : {ns_t_a, ns_t_aaaa}) {
      INFO(name);
      const Answer answer = world.ask({name, type});
      CHECK(answer.rcode == ns_r_nxdomain);
      CHECK(answer.records.empty());
      CHECK(answer.authorities == 1);
    }
  }
  CHECK(world.ask({"localhost", 65}).rcode == ns_r_nxdomain);
  // A dot within a label is no boundary.
  Bytes dotted{11};
  for (const char c : "evil.exampl"s) dotted.push_back(static_cast<std::uint8_t>(c));
  dotted.push_back(0);
  CHECK(world.ask(Query(dotted)).rcode == ns_r_nxdomain);
  CHECK(world.names.size() == 0);
  CHECK(world.ask({"xlocalhost.example", ns_t_a}).rcode == ns_r_noerror);  // the control
}

TEST_CASE("a name nearby exists only if a rule speaks of it") {
  World world;
  CHECK(world.ask({"printer", ns_t_a}).records.size() == 1);
  CHECK(world.ask({"NAS.local", ns_t_aaaa}).records.size() == 1);
  for (const std::string_view name : {"intranet", "other.local", "local", "printer.local"}) {
    INFO(name);
    CHECK(world.ask({name, ns_t_a}).rcode == ns_r_nxdomain);
  }
  world.resolver.is_known_nearby = nullptr;
  CHECK(world.ask({"printer", ns_t_a}).rcode == ns_r_nxdomain);
}

TEST_CASE("an address of ours leads back to its name, and no other does") {
  World world;
  REQUIRE(world.ask({"api.example.org", ns_t_a}).records.size() == 1);
  CHECK(world.ask({"16.0.18.198.in-addr.arpa", ns_t_ptr}).records ==
        std::vector<std::string>{"PTR api.example.org 60"});
  const std::string six = "0.1.0.0.2.1.6.c.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.0.0.0.0.d.f.IP6.arpa";
  CHECK(world.ask({six, ns_t_ptr}).records == std::vector<std::string>{"PTR api.example.org 60"});
  for (const std::string_view name :
       {"17.0.18.198.in-addr.arpa", "8.8.8.8.in-addr.arpa", "1.0.0.127.in-addr.arpa", "016.0.18.198.in-addr.arpa",
        "x.16.0.18.198.in-addr.arpa", "0.18.198.in-addr.arpa", "256.0.18.198.in-addr.arpa", "in-addr.arpa"}) {
    INFO(name);
    CHECK(world.ask({name, ns_t_ptr}).rcode == ns_r_nxdomain);
  }
  const Answer other = world.ask({"example.org", ns_t_ptr});
  CHECK(other.rcode == ns_r_noerror);
  CHECK(other.records.empty());
}

TEST_CASE("EDNS is answered with what we take") {
  World world;
  const Answer plain = world.ask(Query("a.example", ns_t_a).edns());
  CHECK(plain.records.size() == 1);
  CHECK(plain.opts == 1);
  CHECK(plain.udp_size == 1232);
  CHECK(plain.opt_flags == 0);
  CHECK(world.ask(Query("a.example", ns_t_a).edns(0, 0x8000)).opt_flags == 0x8000);
  CHECK(world.ask(Query("a.example", ns_t_mx).edns()).opts == 1);
  const Answer newer = world.ask(Query("a.example", ns_t_a).edns(1));
  CHECK(newer.rcode == 0);
  CHECK(newer.extended == 1);  // BADVERS is 16
  CHECK(newer.records.empty());
  CHECK(world.ask(Query("a.example", ns_t_a).edns().edns()).rcode == ns_r_formerr);
  Query cookie("a.example", ns_t_a);
  cookie.edns();
  cookie.rest.back() = 4;
  for (const unsigned number : {10U, 0U}) put(cookie.rest, number);
  CHECK(world.ask(cookie).records.size() == 1);
}

TEST_CASE("what is no question of this kind is refused") {
  World world;
  for (const unsigned klass : {3U, 4U, 254U, 255U, 0U}) {
    Query query("a.example", ns_t_a);
    query.klass = klass;
    CHECK(world.ask(query).rcode == ns_r_refused);
  }
  for (const unsigned type : {251U, 252U, 253U, 254U, 249U, 250U}) {
    CHECK(world.ask({"a.example", type}).rcode == ns_r_refused);
  }
  for (const unsigned type : {0U, unsigned{ns_t_opt}}) CHECK(world.ask({"a.example", type}).rcode == ns_r_formerr);
  for (unsigned opcode = 1; opcode < 16; ++opcode) {
    Query query("a.example", ns_t_a);
    query.flags = opcode << 11U;
    CHECK(world.ask(query).rcode == ns_r_notimpl);
  }
  CHECK(world.names.size() == 0);
}

TEST_CASE("a malformed message gets FORMERR, and no address") {
  World world;
  Query two("a.example", ns_t_a);
  two.questions = 2;
  two.rest = two.name;
  put(two.rest, ns_t_a);
  put(two.rest, ns_c_in);
  CHECK(world.ask(two).rcode == ns_r_formerr);
  for (unsigned Query::* section : {&Query::questions, &Query::answers, &Query::authorities, &Query::additional}) {
    Query query("a.example", ns_t_a);
    query.*section += 1;
    CHECK(world.ask(query).rcode == ns_r_formerr);
  }
  Query trailing("a.example", ns_t_a);
  trailing.rest = {0};
  CHECK(world.ask(trailing).rcode == ns_r_formerr);
  // Compression: to itself, to the header, and forward.
  for (const std::uint8_t to : std::initializer_list<std::uint8_t>{12, 0, 2, 16})
    CHECK(world.ask(Query(Bytes{0xc0, to})).rcode == ns_r_formerr);
  CHECK(world.ask(Query(Bytes{1, 'a', 0xc0, 12})).rcode == ns_r_formerr);
  CHECK(world.ask(Query(Bytes{0x41, 'a', 0})).rcode == ns_r_formerr);
  const std::string longest = label(63) + "." + label(63) + "." + label(63) + "." + label(61);
  CHECK(world.ask({longest, ns_t_a}).rcode == ns_r_noerror);
  CHECK(world.ask({longest + "a", ns_t_a}).rcode == ns_r_formerr);
  CHECK(world.names.size() == 1);
  Bytes whole = Query("a.example", ns_t_a).edns().bytes();
  for (std::size_t size = 12; size < whole.size(); ++size) {
    const auto reply = answer(std::span(whole).first(size), world.resolver, start);
    REQUIRE(reply);
    CHECK(parsed(*reply).rcode == ns_r_formerr);
  }
}

TEST_CASE("what is no question at all is not answered") {
  World world;
  Query echoed("a.example", ns_t_a);
  echoed.flags = 0x8180;
  CHECK_FALSE(world.raw(echoed));
  const Bytes whole = Query("a.example", ns_t_a).bytes();
  for (std::size_t size = 0; size < 12; ++size) {
    CHECK_FALSE(answer(std::span(whole).first(size), world.resolver, start));
  }
}

TEST_CASE("a full table is a failure of the server, not of the name") {
  World world;
  NameTable small(prefix, {.names = 1, .life = seconds(60)});
  Resolver resolver{small, nullptr};
  const auto ask = [&](std::string_view name, int second) {
    const auto bytes = answer(Query(name, ns_t_a).bytes(), resolver, start + seconds(second));
    REQUIRE(bytes);
    return parsed(*bytes).rcode;
  };
  CHECK(ask("a.example", 0) == ns_r_noerror);
  CHECK(ask("b.example", 1) == ns_r_servfail);
  CHECK(ask("a.example", 1) == ns_r_noerror);
  CHECK(ask("b.example", 61) == ns_r_noerror);
}
