#include "gate_question.hpp"

#include <utility>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/policy/ruling.hpp"
#include "agentbox/policy/traffic.hpp"

#include "address.hpp"
#include "address_class.hpp"
#include "punycode.hpp"

namespace agentbox::gates::network {

namespace {

std::string bytes_text(std::uint64_t bytes) {
  if (bytes < 10'000) return fmt::format("{} bytes", bytes);
  if (bytes < 10'000'000) return fmt::format("{} kB", bytes / 1000);
  return fmt::format("{} MB", bytes / 1'000'000);
}

std::string minutes_text(std::chrono::seconds time) {
  return fmt::format("{} minutes", std::chrono::duration_cast<std::chrono::minutes>(time).count());
}

// "curl (4711), started by bash, pi"
std::string requester_text(const Requester& requester) {
  std::string text = fmt::format("{} ({})", requester.program, requester.pid);
  for (std::size_t i = 0; i < requester.parents.size(); ++i) {
    text += (i == 0 ? ", started by " : ", ") + requester.parents[i];
  }
  return text;
}

std::string program_text(const std::optional<Requester>& requester) {
  return requester ? requester_text(*requester) + ", as far as can be told" : "not found";
}

// "network.bytes_out = 50 MB/session, pi.toml:12"
std::string line_of(const policy::Limit& limit) {
  std::string text = fmt::format("{} = {}", limit.name, limit.budget.text);
  if (limit.origin.file.empty()) return text + ", agentbox's own default";
  text += ", " + limit.origin.file;
  return limit.origin.at.line == 0 ? text : fmt::format("{}:{}", text, limit.origin.at.line);
}

}  // namespace

broker::Asked question_about(const policy::Connect& action, const QuestionFacts& facts) {
  using Weight = prompt::Fact::Weight;
  broker::Asked asked;
  asked.title = "connect to a host";
  asked.action = action;
  asked.subject = policy::summary(asked.action);
  auto fact = [&asked](std::string label, std::string value, Weight weight = Weight::normal) {
    asked.facts.push_back({.label = std::move(label), .value = std::move(value), .weight = weight});
  };
  if (std::optional<Address> address = Address::parse(action.host)) {
    const AddressClass kind = class_of(*address);
    fact("host", "an address without a name", Weight::warning);
    if (kind != AddressClass::public_) fact("caution", std::string(text_of(kind)), Weight::warning);
  }
  if (action.host.find("xn--") != std::string::npos) {
    fact("caution", "the name is written in letters that can look like others", Weight::warning);
  }
  if (facts.looks_like) {
    fact("caution", fmt::format("looks like {}, and is not", *facts.looks_like), Weight::warning);
  }
  if (std::optional<std::string> letters = decoded_host(action.host)) fact("reads as", *std::move(letters));
  fact("speaks", std::string(name_of(facts.protocol)),
       facts.protocol == Protocol::http ? Weight::warning : Weight::normal);
  fact("program", program_text(facts.requester));
  if (facts.requester) asked.program = facts.requester->program;
  fact("sent so far", bytes_text(facts.sent) + " left the room in this session");
  fact("once", fmt::format("holds for this name and port for {}", minutes_text(facts.once_holds)));
  asked.session_scopes = policy::session_scopes(asked.action);
  asked.lasting_scopes = policy::lasting_scopes(asked.action);
  if (facts.domain && *facts.domain != action.host) {
    const std::string rule = fmt::format("*.{}:{}", *facts.domain, action.port);
    const policy::Scope scope{policy::Scope::Breadth::pattern, rule, fmt::format("{}, every name below it", rule)};
    if (policy::covers(scope, asked.action)) {
      asked.session_scopes.push_back(scope);
      asked.lasting_scopes.push_back(scope);
    }
  }
  return asked;
}

broker::Asked question_about(const policy::Balance& balance, const policy::Connect& connection,
                             const std::optional<Requester>& requester) {
  using Weight = prompt::Fact::Weight;
  const bool pace = balance.limit.counts == policy::Limit::Counts::times;
  const policy::Excess excess = policy::excess_of(balance);
  broker::Asked asked;
  asked.title = pace ? "make more connections to a host" : "send more than the limit";
  asked.action = excess;
  asked.subject = policy::summary(asked.action);
  if (requester) asked.program = requester->program;
  auto fact = [&asked](std::string label, std::string value, Weight weight = Weight::normal) {
    asked.facts.push_back({.label = std::move(label), .value = std::move(value), .weight = weight});
  };
  fact(pace ? "connections" : "sent", fmt::format("{} ({})", policy::in_words(balance), line_of(balance.limit)),
       Weight::warning);
  fact("now", fmt::format("{} wants {}", policy::summary(connection), pace ? "one more" : "to send more, and waits"));
  fact("program", program_text(requester));
  const std::string portion = policy::amount_in_words(excess.portion, balance.limit.budget.unit);
  fact("once", pace ? fmt::format("lets {} more be made", portion) : fmt::format("lets {} more go out", portion));
  asked.session_scopes = policy::session_scopes(asked.action);
  asked.lasting_scopes = policy::lasting_scopes(asked.action);
  return asked;
}

broker::Decider::Done record_of(const Ended& ended) {
  broker::Decider::Done done{.verdict = ended.verdict, .action = ended.action, .what = {}, .traffic = {}};
  if (ended.address.empty()) {
    done.what = ended.why.empty() ? "not connected" : "not connected: " + ended.why;
    return done;
  }
  done.traffic = broker::Traffic{.address = ended.address,
                                 .sent = ended.bytes.to_upstream,
                                 .received = ended.bytes.to_client,
                                 .lasted = ended.lasted,
                                 .program = ended.program};
  done.what = fmt::format("{}: {} sent, {} received, {:.1f} s", ended.address, bytes_text(ended.bytes.to_upstream),
                          bytes_text(ended.bytes.to_client), static_cast<double>(ended.lasted.count()) / 1000);
  if (!ended.program.empty()) done.what += ", by " + base::escape(ended.program);
  if (!ended.why.empty()) done.what += ", " + ended.why;
  return done;
}

}  // namespace agentbox::gates::network
