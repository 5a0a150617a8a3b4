// `agentbox try PROFILE ACTION ARGUMENT...`: what would be ruled, and which line says so. Nothing of it is done.

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/base/recipient.hpp"
#include "agentbox/launch/look.hpp"
#include "agentbox/policy/budget.hpp"
#include "agentbox/policy/messages.hpp"
#include "agentbox/policy/ruling.hpp"
#include "agentbox/profile/parse.hpp"
#include "agentbox/store/store.hpp"

#include "moment.hpp"
#include "options.hpp"
#include "prepare.hpp"
#include "record.hpp"
#include "report.hpp"

namespace agentbox::cli {

namespace {

using policy::Decision;
using policy::Ruling;

struct Tried {
  policy::Action action;
  Ruling ruling;
  std::string note;  // one more sentence for people
};

std::string_view word_of(Decision decision) {
  switch (decision) {
    case Decision::allow: return "allow";
    case Decision::ask: return "ask";
    case Decision::deny: break;
  }
  return "deny";
}

base::Result<policy::Action> parse_connect(const std::string& text) {
  base::Result<profile::HostRule> host = profile::parse_host_rule(text, {});
  if (!host) return std::unexpected(std::move(host.error()));
  if (host->kind == profile::HostKind::below || host->host.find('/') != std::string::npos) {
    return base::fail(base::quote(text) + " is a pattern, not one host", "name the host that the agent would reach");
  }
  // As in a profile: the web's ports.
  if (host->ports == profile::PortSet::web) return policy::Connect{host->host, 443};
  if (host->ports != profile::PortSet::one) {
    return base::fail(base::quote(text) + " names no port",
                      fmt::format("for example '{}:443'", base::escape(host->host)));
  }
  return policy::Connect{host->host, host->port};
}

// As the kernel will find it: links on the way are followed, what is missing at the end is taken as it stands.
base::Result<base::AbsPath> resolve(const std::string& text, const base::AbsPath& home) {
  std::string full = text;
  if (text == "~" || text.starts_with("~/")) {
    full = home.str() + text.substr(1);
  } else if (!text.starts_with('/')) {
    full = launch::current_directory().str() + "/" + text;
  }
  std::error_code error;
  std::filesystem::path path = std::filesystem::weakly_canonical(full, error);
  auto resolved = base::AbsPath::parse(error ? std::string() : path.string());
  if (resolved) return *std::move(resolved);
  return base::fail(base::quote(text) + " can't be resolved" + (error ? ": " + base::errno_text(error.value()) : ""),
                    "write the path without links and '..'");
}

base::Result<Tried> try_path(const Prepared& prepared, const std::string& text, policy::Open::For purpose) {
  base::Result<base::AbsPath> path = resolve(text, prepared.facts.user.home);
  if (!path) return std::unexpected(std::move(path.error()));
  Tried tried{policy::Open{*path, purpose}, policy::rule_on_path(prepared.policy, *path, purpose), {}};
  return tried;
}

std::string note_on(const policy::Command& command, const Ruling& ruling) {
  if (ruling.decision != Decision::ask) return {};
  policy::Knowledge known = policy::knowledge_of(command);
  switch (known.trust) {
    case policy::Trust::harmless: return "a yes can be remembered for always";
    case policy::Trust::plain: return "a yes can be remembered for the session";
    case policy::Trust::runs_files: return "a yes can be remembered for the session: it " + known.why;
    case policy::Trust::interpreter: return "a yes holds for once only: " + known.why;
  }
  return {};
}

void weigh_in(const std::vector<policy::Balance>& balances, Tried& tried) {
  for (const policy::Balance& balance : balances) {
    if (!balance.limit.subject.empty()) continue;  // whom it would go to is not known here
    if (!tried.note.empty()) tried.note += "; ";
    tried.note += policy::in_words(balance);
    if (balance.fits == policy::Balance::Fits::yes || tried.ruling.decision == Decision::ask) continue;
    tried.ruling = {.decision = Decision::ask,
                    .rule = balance.limit.budget.text,
                    .origin = balance.limit.origin.file.empty() ? std::nullopt : std::optional(balance.limit.origin),
                    .why = fmt::format("what is left of '{}' is not enough", balance.limit.budget.text)};
  }
}

// `12.50`, in the profile's own currency, or `12.50 USD`. What was spent so far counts, as it would for the agent.
base::Result<Tried> try_payment(const TryOptions& options, const Prepared& prepared) {
  const policy::Rules& rules = prepared.policy.rules;
  std::string currency = rules.spending.limit ? rules.spending.limit->value.unit : "USD";
  std::string amount = options.arguments.front();
  if (options.arguments.size() == 2) {
    currency = options.arguments[1];
  } else if (std::size_t blank = amount.find(' '); blank != std::string::npos) {
    currency = amount.substr(blank + 1);
    amount.resize(blank);
  }
  if (options.arguments.size() > 2) {
    return base::fail(fmt::format("unexpected argument '{}'", base::escape(options.arguments[2])),
                      "an amount and its currency, such as 12.50 USD");
  }
  base::Result<std::int64_t> minor = profile::parse_amount(amount, currency);
  if (!minor) return std::unexpected(std::move(minor.error()));
  const policy::Payment payment{.amount = *minor, .currency = currency, .to = "somebody", .memo = {}, .key = "try"};
  Tried tried{payment, policy::rule(rules, payment), {}};
  if (tried.ruling.decision == Decision::deny) return tried;
  std::optional<store::Store> record = open_record(store::Store::Access::read);
  if (!record) return tried;
  const store::Taking taking{.profile = prepared.policy.profile,
                             .session = {},
                             .use = *policy::use_of(payment),
                             .limits = policy::limits_on(rules, payment),
                             .now = now()};
  weigh_in(record->balances(taking), tried);
  return tried;
}

// `TO`, or `TO WAY`; without it by the first way that takes such a recipient. What was sent so far counts, and who is
// still a stranger.
base::Result<Tried> try_message(const TryOptions& options, const Prepared& prepared) {
  const policy::Rules& rules = prepared.policy.rules;
  if (options.arguments.size() > 2) {
    return base::fail(fmt::format("unexpected argument '{}'", base::escape(options.arguments[2])),
                      "a recipient, and the way to send");
  }
  auto recipient = base::parse_recipient(options.arguments.front());
  if (!recipient) return base::fail(recipient.error());
  policy::Message message{.to = {recipient->text}, .body = "a message"};
  auto takes = [&](const policy::Rules::Way& way) { return policy::problem_of(message, way).empty(); };
  if (options.arguments.size() == 2) {
    message.backend = options.arguments[1];
  } else if (!rules.messages.ways.empty()) {
    const auto way = std::ranges::find_if(rules.messages.ways, takes);
    message.backend = way == rules.messages.ways.end() ? rules.messages.ways.front().name : way->name;
  }
  Tried tried{message, policy::rule(rules, message), {}};
  if (tried.ruling.decision == Decision::deny) return tried;
  const store::Taking taking{.profile = prepared.policy.profile,
                             .session = {},
                             .use = *policy::use_of(message),
                             .limits = policy::limits_on(rules, message),
                             .reaches = policy::strangers_of(rules, message),
                             .now = now()};
  std::optional<store::Store> record = open_record(store::Store::Access::read);
  const bool stranger = !(record ? record->strangers(taking) : taking.reaches).empty();
  tried.note = "by " + message.backend;
  if (stranger) tried.note += "; first time: nothing was ever sent to this recipient";
  if (stranger && tried.ruling.decision == Decision::allow) {
    tried.ruling.decision = Decision::ask;
    tried.ruling.why += ", but the first message to anybody asks";
  }
  if (record) weigh_in(record->balances(taking), tried);
  return tried;
}

base::Result<Tried> try_it(const TryOptions& options, const Prepared& prepared) {
  const std::string& first = options.arguments.front();
  const policy::Rules& rules = prepared.policy.rules;
  if (options.what == "read") return try_path(prepared, first, policy::Open::For::reading);
  if (options.what == "write") return try_path(prepared, first, policy::Open::For::writing);
  policy::Action action;
  std::string note;
  if (options.what == "connect") {
    base::Result<policy::Action> connect = parse_connect(first);
    if (!connect) return std::unexpected(std::move(connect.error()));
    action = *std::move(connect);
    const base::Result<profile::HostRule> host = profile::parse_host_rule(first, {});
    if (host && host->ports == profile::PortSet::web) {
      const Ruling plain = policy::rule(rules, policy::Connect{host->host, 80});
      note = fmt::format("port 80: {}", plain.decision == policy::rule(rules, action).decision
                                            ? std::string("the same")
                                            : fmt::format("{}, {}", word_of(plain.decision), plain.why));
    }
  } else if (options.what == "command") {
    policy::Command command{.argv = options.arguments, .directory = prepared.policy.directory};
    note = note_on(command, policy::rule(rules, command));
    if (first.find(' ') != std::string::npos && options.arguments.size() == 1) {
      note = fmt::format("this is one word, the name of a program: without the quotes, try {} command {}",
                         base::quote(options.profile), base::escape(first));
    }
    action = std::move(command);
  } else if (options.what == "send") {
    return try_message(options, prepared);
  } else {
    return try_payment(options, prepared);
  }
  Ruling ruling = policy::rule(rules, action);
  return Tried{std::move(action), std::move(ruling), std::move(note)};
}

// What a person would type, without the empty fields of a summary.
std::string shown(const TryOptions& options, const Tried& tried) {
  if (options.what == "send") return "send to " + base::escape(options.arguments.front());
  if (options.what == "pay")
    return fmt::format("pay {}", base::escape(fmt::format("{}", fmt::join(options.arguments, " "))));
  if (options.what == "connect") return "connect " + policy::summary(tried.action);
  return policy::summary(tried.action);
}

std::string place_of(const profile::Origin& origin) {
  if (origin.at.line == 0) return base::escape(origin.file);
  return fmt::format("{}:{}:{}", base::escape(origin.file), origin.at.line, origin.at.column);
}

void print_text(const TryOptions& options, const Tried& tried, const Terminal& terminal) {
  bool coloured = terminal.out == base::Colour::on;
  std::string_view colour = tried.ruling.decision == Decision::allow ? "\033[32m"
                            : tried.ruling.decision == Decision::ask ? "\033[33m"
                                                                     : "\033[31m";
  std::string out = fmt::format("{}{}{}: {}\n", coloured ? colour : "", word_of(tried.ruling.decision),
                                coloured ? "\033[0m" : "", shown(options, tried));
  auto to = std::back_inserter(out);
  fmt::format_to(to, "  {}\n", tried.ruling.why);
  if (tried.ruling.origin) {
    const profile::Origin& origin = *tried.ruling.origin;
    std::string_view line = origin.source_line;
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    fmt::format_to(to, "  {}{}{}\n", place_of(origin), line.empty() ? "" : ": ", base::escape(line));
  }
  if (!tried.note.empty()) fmt::format_to(to, "  {}\n", tried.note);
  fmt::print("{}", out);
}

void print_json(const TryOptions& options, const Tried& tried) {
  nlohmann::ordered_json json{{"profile", options.profile},      {"kind", policy::kind_of(tried.action)},
                              {"action", shown(options, tried)}, {"decision", word_of(tried.ruling.decision)},
                              {"rule", tried.ruling.rule},       {"why", tried.ruling.why}};
  if (tried.ruling.origin) {
    json["file"] = tried.ruling.origin->file;
    json["line"] = tried.ruling.origin->at.line;
    json["column"] = tried.ruling.origin->at.column;
  }
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace

int try_action(const TryOptions& options, const Terminal& terminal) {
  base::Result<Prepared> prepared = prepare(options);
  if (!prepared) return refuse(prepared.error(), terminal, base::ExitCode::agentbox_failed);
  base::Result<Tried> tried = try_it(options, *prepared);
  if (!tried) return refuse(tried.error(), terminal, base::ExitCode::agentbox_failed);
  if (options.json) {
    print_json(options, *tried);
  } else {
    print_text(options, *tried, terminal);
  }
  switch (tried->ruling.decision) {
    case Decision::allow: return 0;
    case Decision::ask: return 2;
    case Decision::deny: break;
  }
  return 1;
}

}  // namespace agentbox::cli
