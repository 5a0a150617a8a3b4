#include "dns.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <string>

#include <arpa/nameser.h>

#include "host_name.hpp"

namespace agentbox::gates::network {

namespace {

using Bytes = std::vector<std::uint8_t>;
using Span = std::span<const std::uint8_t>;

constexpr std::size_t header_size = 12;
constexpr std::uint32_t life = 60;             // seconds; NameTable keeps a name for as long
constexpr std::uint16_t our_udp_size = 1232;   // what passes any path (DNS flag day 2020)
constexpr std::uint16_t to_question = 0xc00c;  // a compressed name: "as at offset 12"

enum class Code : std::uint16_t {
  ok = 0,
  form = 1,
  fail = 2,
  no_name = 3,
  not_implemented = 4,
  refused = 5,
  version = 16
};

struct Question {
  Span bytes;        // as they came, to be echoed: the case of the letters too (0x20)
  std::string name;  // in text, without the dot at the end; empty: the root, or not a name that text can hold
  std::uint16_t type = 0, klass = 0;
};

struct Edns {
  std::uint8_t version = 0;
  bool dnssec_ok = false;
};

std::uint16_t number_at(Span bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8U | bytes[at + 1]);
}

// The first question. Nothing: it is cut off, too long, or its name is compressed, which the first name of a message
// can't honestly be.
std::optional<Question> read_question(Span query) {
  Question question;
  std::size_t at = header_size;
  bool textual = true;
  while (true) {
    if (at >= query.size()) return std::nullopt;
    const std::size_t length = query[at];
    if (length > NS_MAXLABEL) return std::nullopt;
    if (at + 1 + length >= query.size() || at + 1 + length - header_size > NS_MAXCDNAME) return std::nullopt;
    ++at;
    if (length == 0) break;
    const Span label = query.subspan(at, length);
    // A dot within a label would make two of it.
    textual = textual && std::ranges::find(label, '.') == label.end();
    if (!question.name.empty()) question.name += '.';
    question.name.append(label.begin(), label.end());
    at += length;
  }
  if (query.size() - at < 4) return std::nullopt;
  if (!textual) question.name.clear();
  question.type = number_at(query, at);
  question.klass = number_at(query, at + 2);
  question.bytes = query.subspan(header_size, at + 4 - header_size);
  return question;
}

// Over a name that is not looked at: labels, or a pointer as its end.
std::optional<std::size_t> after_name(Span query, std::size_t at) {
  const std::size_t begin = at;
  while (at < query.size() && at - begin < NS_MAXCDNAME) {
    const std::size_t length = query[at];
    if (length == 0) return at + 1;
    if (length >= NS_CMPRSFLGS) return at + 2;
    if (length > NS_MAXLABEL) return std::nullopt;
    at += 1 + length;
  }
  return std::nullopt;
}

// EDNS of a message with one question and nothing else before the additional section, which must end with the message;
// at most one OPT (RFC 6891 §6.1.1), which belongs to the root.
enum class Shape { good, bad };
Shape read_edns(Span query, std::size_t at, std::optional<Edns>& edns) {
  if (number_at(query, 6) != 0 || number_at(query, 8) != 0) return Shape::bad;
  for (std::size_t left = number_at(query, 10); left > 0; --left) {
    const bool root = at < query.size() && query[at] == 0;
    const std::optional<std::size_t> fields = after_name(query, at);
    // type, class, four bytes of life or flags, length
    if (!fields || *fields > query.size() || query.size() - *fields < 10) return Shape::bad;
    at = *fields + 10;
    const std::size_t length = number_at(query, at - 2);
    if (query.size() - at < length) return Shape::bad;
    if (number_at(query, *fields) == ns_t_opt) {
      if (edns || !root) return Shape::bad;
      edns = Edns{.version = query[*fields + 5], .dnssec_ok = (query[*fields + 6] & 0x80U) != 0};
    }
    at += length;
  }
  return at == query.size() ? Shape::good : Shape::bad;
}

class Reply {
 public:
  Reply(Span query, Code code, const Question* question) {
    const auto rcode = static_cast<std::uint16_t>(code);
    put(number_at(query, 0));
    // An answer, recursion is to be had; opcode and "recursion desired" as they came.
    bytes_.push_back(static_cast<std::uint8_t>(0x80U | (query[2] & 0x79U)));
    bytes_.push_back(static_cast<std::uint8_t>(0x80U | (query[3] & 0x10U) | (rcode & 0xfU)));  // CD as it came
    for (int i = 0; i < 4; ++i) put(0);
    extended_ = static_cast<std::uint8_t>(rcode >> 4U);
    if (question == nullptr) return;
    bytes_.insert(bytes_.end(), question->bytes.begin(), question->bytes.end());
    count(4);
  }

  void answer(std::uint16_t type, Span data) {
    put(to_question);
    record(type, life, data);
    count(6);
  }

  // Says for how long "no" may be believed (RFC 2308). The root's, since every name is below it.
  void authority() {
    static constexpr std::array<std::uint8_t, 22> soa{0,    0,  // MNAME, RNAME: the root
                                                      0,    0,    0, 1, 0,    0,    0x0e, 0x10, 0, 0,
                                                      0x0e, 0x10, 0, 0, 0x0e, 0x10, 0,    0,    0, life};
    bytes_.push_back(0);
    record(ns_t_soa, life, soa);
    count(8);
  }

  void edns(bool dnssec_ok) {
    bytes_.push_back(0);
    put(ns_t_opt);
    put(our_udp_size);
    put(static_cast<std::uint16_t>(extended_ << 8U));  // the rest of the code; version 0
    put(dnssec_ok ? 0x8000 : 0);
    put(0);
    count(10);
  }

  [[nodiscard]] Bytes take() && { return std::move(bytes_); }

 private:
  void put(std::uint16_t number) {
    bytes_.push_back(static_cast<std::uint8_t>(number >> 8U));
    bytes_.push_back(static_cast<std::uint8_t>(number));
  }
  void record(std::uint16_t type, std::uint32_t seconds, Span data) {
    put(type);
    put(ns_c_in);
    put(static_cast<std::uint16_t>(seconds >> 16U));
    put(static_cast<std::uint16_t>(seconds));
    put(static_cast<std::uint16_t>(data.size()));
    bytes_.insert(bytes_.end(), data.begin(), data.end());
  }
  void count(std::size_t at) { ++bytes_[at + 1]; }  // of a section: never more than two records

  Bytes bytes_;
  std::uint8_t extended_ = 0;
};

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return result;
}

std::vector<std::string_view> labels_of(std::string_view name) {
  std::vector<std::string_view> labels;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('.', begin), name.size());
    labels.push_back(name.substr(begin, end - begin));
    begin = end + 1;
  }
  return labels;
}

std::optional<std::uint8_t> small_number(std::string_view text, int base) {
  std::uint8_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (base == 10 && text.size() > 1 && text.front() == '0') return std::nullopt;
  return value;
}

// "4.3.2.1.in-addr.arpa", and 32 nibbles below ip6.arpa; last part first.
std::optional<Address> reversed_address(std::string_view name) {
  const std::vector<std::string_view> labels = labels_of(name);
  if (labels.size() == 6 && name.ends_with(".in-addr.arpa")) {
    Address::V4 bytes{};
    for (std::size_t i = 0; i < 4; ++i) {
      const auto part = small_number(labels[i], 10);
      if (!part) return std::nullopt;
      bytes[3 - i] = *part;
    }
    return Address::of(bytes);
  }
  if (labels.size() != 34 || !name.ends_with(".ip6.arpa")) return std::nullopt;
  Address::V6 bytes{};
  for (std::size_t i = 0; i < 32; ++i) {
    const auto part = labels[i].size() == 1 ? small_number(labels[i], 16) : std::nullopt;
    if (!part) return std::nullopt;
    std::uint8_t& byte = bytes[15 - i / 2];
    byte = static_cast<std::uint8_t>(byte | (i % 2 == 0 ? *part : *part << 4U));
  }
  return Address::of(bytes);
}

Bytes wire_name(std::string_view name) {
  Bytes bytes;
  for (const std::string_view label : labels_of(name)) {
    bytes.push_back(static_cast<std::uint8_t>(label.size()));
    bytes.insert(bytes.end(), label.begin(), label.end());
  }
  bytes.push_back(0);
  return bytes;
}

bool is_below(std::string_view name, std::string_view domain) {
  return name == domain ||
         (name.size() > domain.size() && name.ends_with(domain) && name[name.size() - domain.size() - 1] == '.');
}

// Names that no address may be given to, whatever the rules say.
bool is_nobody(std::string_view name) {
  // RFC 6761 §6.3 and §6.4; the reverse trees; NAT64 and resolvers that are looked for (RFC 7050, RFC 9462); and the
  // name by which Firefox learns that it should not bring a resolver of its own.
  static constexpr std::array<std::string_view, 7> nobody{
      "localhost", "invalid", "in-addr.arpa", "ip6.arpa", "ipv4only.arpa", "resolver.arpa", "use-application-dns.net"};
  return std::ranges::any_of(nobody, [&](std::string_view domain) { return is_below(name, domain); });
}

bool is_nearby(std::string_view name) {
  return name.find('.') == std::string_view::npos || is_below(name, "local");
}

struct Outcome {
  Code code = Code::ok;
  std::vector<std::pair<std::uint16_t, Bytes>> answers;
};

Outcome addresses(const Question& question, Resolver& resolver, NameTable::Time now) {
  const auto host = canonical_host(question.name);
  if (!host || !host->is_name() || is_nobody(host->text)) return {.code = Code::no_name, .answers = {}};
  if (is_nearby(host->text) && (!resolver.is_known_nearby || !resolver.is_known_nearby(host->text))) {
    return {.code = Code::no_name, .answers = {}};
  }
  Outcome outcome;
  const bool four = question.type == ns_t_a || question.type == ns_t_any;
  const bool six = question.type == ns_t_aaaa || question.type == ns_t_any;
  if (!four && !six) return outcome;
  const auto pair = resolver.names.give(host->text, now);
  if (!pair) return {.code = Code::fail, .answers = {}};
  const auto add = [&](std::uint16_t type, const Address& address) {
    outcome.answers.emplace_back(type, Bytes(address.bytes().begin(), address.bytes().end()));
  };
  if (four) add(ns_t_a, pair->four);
  if (six) add(ns_t_aaaa, pair->six);
  return outcome;
}

Outcome look_up(const Question& question, Resolver& resolver, NameTable::Time now) {
  const std::string name = lower(question.name);
  if (question.type == ns_t_ptr) {
    const auto address = reversed_address(name);
    const auto found = address ? resolver.names.name_of(*address) : std::nullopt;
    if (found) return {.code = Code::ok, .answers = {{ns_t_ptr, wire_name(*found)}}};
    if (is_nobody(name)) return {.code = Code::no_name, .answers = {}};
    return {};
  }
  if (question.type == ns_t_a || question.type == ns_t_aaaa || question.type == ns_t_any) {
    return addresses(question, resolver, now);
  }
  // "_dmarc.example.org" and "_443._tcp.example.org" are names too, though no hosts: nothing is known of them.
  if (is_nobody(name)) return {.code = Code::no_name, .answers = {}};
  return {};
}

// Questions about a zone as a whole, or that are none (RFC 6895 §3.1).
Code type_allowed(std::uint16_t type) {
  if (type == 0 || type == ns_t_opt) return Code::form;
  if (type > 128 && type < 255) return Code::refused;  // QTYPE and meta types: AXFR, IXFR, TKEY, TSIG, MAILA
  return Code::ok;
}

Bytes refusal(Span query, Code code, const Question* question, const std::optional<Edns>& edns) {
  Reply reply(query, code, question);
  if (edns) reply.edns(edns->dnssec_ok);
  return std::move(reply).take();
}

}  // namespace

std::optional<std::vector<std::uint8_t>> answer(std::span<const std::uint8_t> query, Resolver& resolver,
                                                NameTable::Time now) {
  // Whoever answers an answer can be made to talk to himself for ever.
  if (query.size() < header_size || query.size() > NS_MAXMSG || (query[2] & 0x80U) != 0) return std::nullopt;
  if ((query[2] >> 3U & 0xfU) != ns_o_query) return refusal(query, Code::not_implemented, nullptr, {});
  const bool one = number_at(query, 4) == 1;
  const auto question = one ? read_question(query) : std::nullopt;
  std::optional<Edns> edns;
  if (!question || read_edns(query, header_size + question->bytes.size(), edns) == Shape::bad) {
    return refusal(query, Code::form, nullptr, {});
  }
  if (edns && edns->version != 0) return refusal(query, Code::version, &*question, edns);
  if (question->klass != ns_c_in) return refusal(query, Code::refused, &*question, edns);
  if (const Code code = type_allowed(question->type); code != Code::ok) {
    return refusal(query, code, &*question, edns);
  }
  const Outcome outcome = look_up(*question, resolver, now);
  Reply reply(query, outcome.code, &*question);
  for (const auto& [type, data] : outcome.answers) reply.answer(type, data);
  const bool negative = outcome.answers.empty() && outcome.code != Code::fail;
  if (negative) reply.authority();
  if (edns) reply.edns(edns->dnssec_ok);
  return std::move(reply).take();
}

}  // namespace agentbox::gates::network
