#include "recorder.hpp"

#include <nlohmann/json.hpp>

#include "agentbox/base/escape.hpp"
#include "agentbox/policy/messages.hpp"
#include "agentbox/store/process.hpp"

namespace agentbox::broker {

namespace {

using nlohmann::json;

json bytes(const std::string& raw) {
  return base::escape(raw);
}
json bytes(const std::vector<std::string>& raw) {
  json list = json::array();
  for (const std::string& one : raw) list.push_back(base::escape(one));
  return list;
}

// Every field, for people and scripts: text is escaped, so that the record holds no control characters.
struct Fields {
  json operator()(const policy::Connect& connect) const {
    return {{"host", bytes(connect.host)}, {"port", connect.port}};
  }
  json operator()(const policy::Open& open) const {
    return {{"path", bytes(open.path.str())},
            {"for", open.purpose == policy::Open::For::reading ? "reading" : "writing"}};
  }
  json operator()(const policy::Change& change) const {
    return {
        {"path", bytes(change.path.str())}, {"before", change.before}, {"after", change.after}, {"size", change.size}};
  }
  json operator()(const policy::Command& command) const {
    json fields{{"argv", bytes(command.argv)},
                {"directory", bytes(command.directory.str())},
                {"terminal", command.terminal == policy::Command::Terminal::pty}};
    if (command.program) {
      fields["program"] = {{"path", bytes(command.program->path.str())}};
      // What is denied by a rule is not hashed.
      if (!command.program->sha256.empty()) fields["program"]["sha256"] = command.program->sha256;
    }
    if (command.remotes) {
      const bool known = command.remotes->certain == policy::Remotes::Certain::yes;
      fields["addresses"] = known ? bytes(command.remotes->addresses) : json(nullptr);
    }
    return fields;
  }
  json operator()(const policy::Message& message) const {
    json attachments = json::array();
    for (const policy::Attachment& one : message.attachments) {
      attachments.push_back({{"name", bytes(one.name)}, {"sha256", one.sha256}, {"size", one.size}});
    }
    return {{"backend", bytes(message.backend)},
            {"to", bytes(message.to)},
            {"subject", bytes(message.subject)},
            {"body", bytes(message.body)},
            {"attachments", std::move(attachments)}};
  }
  json operator()(const policy::Payment& payment) const {
    return {{"amount", payment.amount},
            {"currency", bytes(payment.currency)},
            {"to", bytes(payment.to)},
            {"memo", bytes(payment.memo)},
            {"key", bytes(payment.key)}};
  }
  json operator()(const policy::ToolCall& call) const {
    return {{"server", bytes(call.server)}, {"tool", bytes(call.tool)}, {"arguments", bytes(call.arguments)}};
  }
  json operator()(const policy::Excess& excess) const {
    return {{"limit", bytes(excess.limit)},
            {"budget", bytes(excess.budget)},
            {"subject", bytes(excess.subject)},
            {"used", excess.used},
            {"portion", excess.portion}};
  }
};

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

store::Payment entry_of(const policy::Payment& payment) {
  return {.key = payment.key,
          .amount = payment.amount,
          .currency = payment.currency,
          .to = payment.to,
          .memo = payment.memo,
          .reserved = {},
          .ended = {}};
}

std::string_view name_of(Verdict::Kind kind) noexcept {
  switch (kind) {
    case Verdict::Kind::allow: return "allow";
    case Verdict::Kind::deny: return "deny";
    case Verdict::Kind::duplicate: return "duplicate";
    case Verdict::Kind::expired: return "expired";
    case Verdict::Kind::unavailable: return "unavailable";
    case Verdict::Kind::cancelled: return "cancelled";
  }
  return "deny";
}

std::string_view name_of(Verdict::By by) noexcept {
  switch (by) {
    case Verdict::By::rule: return "rule";
    case Verdict::By::remembered: return "remembered";
    case Verdict::By::human: return "human";
    case Verdict::By::limit: return "limit";
    case Verdict::By::clock: return "clock";
    case Verdict::By::requester: return "requester";
    case Verdict::By::fault: return "fault";
  }
  return "fault";
}

std::string_view name_of(prompt::Opinion::Says says) noexcept {
  using Says = prompt::Opinion::Says;
  switch (says) {
    case Says::nothing_yet: return "nothing_yet";
    case Says::agrees: return "agrees";
    case Says::objects: return "objects";
    case Says::silent: return "silent";
  }
  return "silent";
}

store::Time Recorder::now() {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

store::Event Recorder::event(store::Event::What what) const {
  return {.what = what, .at = now(), .session = settings_.session, .profile = settings_.profile};
}

store::Store& Recorder::store() {
  if (store_) return *store_;
  store::Store opened(settings_.record, store::Store::Access::write, patience_);
  opened.forget_session(settings_.session);  // of a killed session that had the same short name
  store::Event began = event(store::Event::What::session_began);
  began.at = began_;
  began.detail = dump(json{{"process", store::this_process()}});
  opened.append(began);
  return store_.emplace(std::move(opened));
}

void Recorder::be_patient(std::chrono::milliseconds patience) {
  patience_ = patience;
  if (store_) store_->set_patience(patience);
}

// Reading says nothing of the lock: it succeeds while another process writes.
template <class Use>
auto Recorder::with_store(Use use) {
  try {
    return use(store());
  } catch (const store::StoreError& error) {
    if (error.kind() == store::StoreError::Kind::locked) be_patient(std::chrono::milliseconds(0));
    throw;
  }
}

template <class Use>
auto Recorder::reading(Use use) {
  const std::scoped_lock lock(holding_);
  return with_store(use);
}

template <class Use>
auto Recorder::writing(Use use) {
  const std::scoped_lock lock(holding_);
  auto result = with_store(use);
  be_patient(ordinary_patience);
  return result;
}

void Recorder::append(std::vector<store::Event> events) {
  (void)writing([&](store::Store& store) {
    store.append(events);
    return true;
  });
}

bool Recorder::append_and_count(std::vector<store::Event> events, std::int64_t answer) {
  return writing([&](store::Store& store) { return store.append_and_count(events, answer, now()); });
}

std::vector<store::Remembered> Recorder::remembered(std::string_view kind) {
  return reading([&](store::Store& store) {
    return store.remembered(settings_.profile, settings_.session, std::string(kind), now());
  });
}

void Recorder::remember(const policy::Action& action, const policy::Scope& scope, store::Remembered::Verdict verdict,
                        For period) {
  bool exact = scope.breadth == policy::Scope::Breadth::exact;
  store::Remembered answer{.profile = settings_.profile,
                           .session = period == For::session ? settings_.session : std::string(),
                           .kind = std::string(policy::kind_of(action)),
                           .verdict = verdict,
                           .breadth = exact ? store::Remembered::Breadth::exact : store::Remembered::Breadth::pattern,
                           .rule = scope.rule,
                           .shown = scope.shown,
                           .created = now()};
  store::Event added = event(store::Event::What::rule_added);
  added.kind = answer.kind;
  added.summary = scope.shown;
  added.verdict = verdict == store::Remembered::Verdict::allow ? "allow" : "deny";
  added.by = "human";
  (void)writing([&](store::Store& store) { return store.remember(answer, added); });
}

store::Taking Recorder::taking(const policy::Action& action) const {
  return {.profile = settings_.profile,
          .session = settings_.session,
          .use = policy::use_of(action).value_or(policy::Use{}),
          .limits = policy::limits_on(settings_.rules, action),
          .reaches = policy::strangers_of(settings_.rules, action),
          .now = now()};
}

store::Took Recorder::take(const std::string& question, const policy::Action& action, store::Taking::Beyond beyond,
                           std::vector<store::Event> events) {
  store::Taking wanted = taking(action);
  wanted.beyond = beyond;
  const auto* payment = std::get_if<policy::Payment>(&action);
  if (payment == nullptr) return writing([&](store::Store& store) { return store.take(wanted, events); });
  store::Payment entry = entry_of(*payment);
  entry.question = question;
  return writing([&](store::Store& store) { return store.reserve(wanted, entry, events); });
}

store::Took Recorder::look(const policy::Action& action) {
  store::Took took{.how = store::Took::How::beyond, .balances = balances(action), .known = {}};
  if (const auto* payment = std::get_if<policy::Payment>(&action)) {
    took.known = reading([&](store::Store& store) { return store.payment_of(settings_.profile, payment->key); });
    if (took.known) took.how = store::Took::How::known;
  }
  return took;
}

std::vector<policy::Balance> Recorder::balances(const policy::Action& action) {
  return reading([&](store::Store& store) { return store.balances(taking(action)); });
}

std::vector<policy::Balance> Recorder::balances(std::span<const policy::Limit> limits) {
  const store::Taking taking{.profile = settings_.profile,
                             .session = settings_.session,
                             .use = {},
                             .limits = {limits.begin(), limits.end()},
                             .now = now()};
  return reading([&](store::Store& store) { return store.balances(taking); });
}

void Recorder::add_uses(std::span<const policy::Use> uses, std::span<const policy::Limit> limits) {
  (void)writing([&](store::Store& store) {
    store.add_uses(settings_.profile, settings_.session, uses, limits, now());
    return true;
  });
}

std::vector<std::string> Recorder::strangers(const policy::Action& action) {
  return reading([&](store::Store& store) { return store.strangers(taking(action)); });
}

void Recorder::settle(std::int64_t payment, store::Ending ending, const std::string& note,
                      std::vector<store::Event> events) {
  {
    // What became of money is worth a wait, also where the record was locked a moment ago.
    const std::scoped_lock lock(holding_);
    be_patient(ordinary_patience);
  }
  (void)writing([&](store::Store& store) { return store.end_payment(payment, ending, note, events, now()); });
}

void Recorder::give_back(std::int64_t use, const policy::Action& action, std::vector<store::Event> events) {
  const std::vector<std::string> reached = policy::strangers_of(settings_.rules, action);
  (void)writing([&](store::Store& store) { return store.give_back(use, reached, events); });
}

void Recorder::outcomes(std::vector<Decider::Done> done) {
  const std::scoped_lock lock(starting_);
  if (!outcomes_) {
    outcomes_.emplace([this](const std::vector<Decider::Done>& batch) {
      std::vector<store::Event> events;
      events.reserve(batch.size());
      for (const Decider::Done& one : batch) {
        events.push_back(outcome(one.verdict.question, one.action, one.what, one.traffic));
      }
      try {
        append(std::move(events));
      } catch (const store::StoreError&) {  // NOLINT(bugprone-empty-catch): done already
      }
    });
  }
  outcomes_->add(std::move(done));
}

void Recorder::end(const Summary& summary) {
  outcomes_.reset();
  if (!store_) return;
  store::Event ended = event(store::Event::What::session_ended);
  ended.detail = dump({{"asked", summary.asked}, {"allowed", summary.allowed}, {"denied", summary.denied}});
  (void)writing([&](store::Store& store) {
    store.append(ended);
    store.forget_session(settings_.session);
    return true;
  });
}

store::Event Recorder::request(const std::string& question, const Asked& asked, const std::string& digest) const {
  store::Event row = event(store::Event::What::request);
  row.question = question;
  row.kind = policy::kind_of(asked.action);
  row.summary = policy::summary(asked.action);
  row.digest = digest;
  json detail = std::visit(Fields{}, asked.action);
  if (!asked.program.empty()) detail["program"] = bytes(asked.program);
  if (!asked.said.empty()) detail["said"] = bytes(asked.said);
  // Allowed, it is not done before the clock says so: store::Unended.
  if (asked.delay.count() > 0) detail["delay"] = asked.delay.count();
  row.detail = dump(detail);
  return row;
}

store::Event Recorder::verdict(const std::string& question, const policy::Action& action, const std::string& digest,
                               const Verdict& verdict, std::size_t twins,
                               const std::optional<prompt::Opinion>& opinion) const {
  store::Event row = event(store::Event::What::verdict);
  row.question = question;
  row.kind = policy::kind_of(action);
  row.summary = policy::summary(action);
  row.digest = digest;
  row.verdict = name_of(verdict.kind);
  row.by = name_of(verdict.by);
  json detail = json::object();
  if (!verdict.rule.empty()) detail["rule"] = bytes(verdict.rule);
  if (!verdict.reason.empty()) detail["reason"] = bytes(verdict.reason);
  if (!verdict.comment.empty()) detail["comment"] = bytes(verdict.comment);
  if (twins > 0) detail["requests"] = twins;
  if (opinion) {
    detail["reviewer"] = {{"says", name_of(opinion->says)}, {"reason", bytes(opinion->reason)}};
    using Says = prompt::Opinion::Says;
    if (opinion->says == Says::agrees || opinion->says == Says::objects) detail["reviewer"]["risk"] = opinion->risk;
  }
  row.detail = dump(detail);
  return row;
}

store::Event Recorder::outcome(const std::string& question, const policy::Action& action, const std::string& what,
                               const std::optional<Traffic>& traffic) const {
  store::Event row = event(store::Event::What::outcome);
  row.question = question;
  row.kind = policy::kind_of(action);
  row.summary = policy::summary(action);
  nlohmann::json detail = {{"outcome", bytes(what)}};
  if (traffic) {
    detail["address"] = traffic->address;
    detail["sent"] = traffic->sent;
    detail["received"] = traffic->received;
    detail["milliseconds"] = traffic->lasted.count();
    if (!traffic->program.empty()) detail["program"] = bytes(traffic->program);
  }
  row.detail = dump(detail);
  return row;
}

}  // namespace agentbox::broker
