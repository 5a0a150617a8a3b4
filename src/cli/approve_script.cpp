#include <algorithm>
#include <cstdio>
#include <optional>

#include <poll.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"

#include "approve.hpp"
#include "record_table.hpp"
#include "report.hpp"
#include "streams.hpp"

namespace agentbox::cli {

namespace {

using broker::Watch;
using How = ApproveOptions::How;
using Outcome = wire::AnswerTaken::Outcome;

struct Open {
  std::string session;
  wire::WireQuestion question;
  [[nodiscard]] std::string name() const { return session + "/" + question.id; }
};

bool is_delayed(const wire::WireQuestion& question) {
  return question.stage == wire::WireQuestion::Stage::delayed;
}

// Exact, on one line.
std::string subject_of(const wire::WireQuestion& question) {
  return question.form == wire::WireQuestion::Form::quoted ? harmless(question.subject)
                                                           : base::escape(question.subject);
}

base::Diagnostic problem_with(const base::AbsPath& socket, const std::string& why) {
  return {.message = fmt::format("{}: {}", base::escape(socket.str()), harmless(why)), .hint = {}};
}

// What is open now, of all sessions.
class Collector : public Watch::Listener {
 public:
  explicit Collector(const Look& look) : watch(Watch::Mode::once, look, *this) {}
  void run() { watch.run(); }

  void began(const wire::SessionStatus&) override {}
  void added(const std::string& session, const wire::WireQuestion& question) override {
    open.push_back({session, question});
  }
  void changed(const std::string&, const wire::WireQuestion&) override {}
  void gone(const std::string&, const wire::QuestionGone&) override {}
  void flooded(const std::string& session, const wire::WireFlood& flood) override {
    floods.emplace_back(session, flood);
  }
  void calm(const std::string&) override {}
  void ended(const std::string&) override {}
  void failed(const base::AbsPath& socket, const std::string& why) override {
    problems.push_back(problem_with(socket, why));
  }
  void settled() override { watch.stop(); }

  std::vector<Open> open;
  std::vector<std::pair<std::string, wire::WireFlood>> floods;  // by session
  base::Diagnostics problems;
  Watch watch;
};

// ---- one answer ----

prompt::Answer::Kind kind_of(How how) {
  switch (how) {
    case How::once: return prompt::Answer::Kind::once;
    case How::session: return prompt::Answer::Kind::session;
    case How::always: return prompt::Answer::Kind::always;
    case How::deny: return prompt::Answer::Kind::deny;
    case How::deny_session: return prompt::Answer::Kind::deny_session;
    case How::pause:
    case How::deny_rest:
    case How::go_on: break;  // no answers to a question
  }
  return prompt::Answer::Kind::deny;
}

struct Words {
  const char *wire, *done;
};
Words words_of(How how) {
  switch (how) {
    case How::once: return {"once", "allowed once"};
    case How::session: return {"session", "allowed for this session"};
    case How::always: return {"always", "allowed always"};
    case How::deny: return {"deny", "denied"};
    case How::deny_session: return {"deny_session", "denied for this session"};
    case How::pause: return {"pause", "the agent stands still"};
    case How::deny_rest: return {"deny_rest", "no more questions, all are denied"};
    case How::go_on: return {"go_on", "goes on"};
  }
  return {"deny", "denied"};
}

// "pi-3fa2/7" and "7".
bool means(const std::string& asked, const std::string& session, const Open& open) {
  if (!session.empty() && session != open.session) return false;
  return asked == open.name() || asked == open.question.id;
}

class Answerer final : public Collector {
 public:
  Answerer(const ApproveOptions& options, const Look& look) : Collector(look), options_(options) {}

  void settled() override {
    for (const Open& each : open) {
      if (means(options_.answer, options_.session, each)) meant.push_back(each);
    }
    if (meant.size() != 1) return watch.stop();
    const Open& chosen = meant.front();
    const std::string& digest = options_.digest.empty() ? chosen.question.digest : options_.digest;
    watch.answer(chosen.session, chosen.question.id,
                 {.kind = kind_of(options_.how),
                  .scope = options_.scope,
                  .comment = options_.comment,
                  .digest = digest,
                  .phrase = options_.phrase},
                 [this](const wire::AnswerTaken& result) {
                   taken = result;
                   watch.stop();
                 });
  }

  std::vector<Open> meant;
  std::optional<wire::AnswerTaken> taken;

 private:
  const ApproveOptions& options_;
};

prompt::Banner::Choice choice_of(How how) {
  if (how == How::deny_rest) return prompt::Banner::Choice::deny_rest;
  return how == How::go_on ? prompt::Banner::Choice::go_on : prompt::Banner::Choice::pause;
}

// For a session that asks too often.
class Chooser final : public Collector {
 public:
  Chooser(const ApproveOptions& options, const Look& look) : Collector(look), options_(options) {}

  void settled() override {
    for (const auto& [session, flood] : floods) {
      const bool here = options_.session.empty() || options_.session == session;
      if (here && (options_.answer == "flood" || options_.answer == session + "/flood")) meant.push_back(session);
    }
    if (meant.size() != 1) return watch.stop();
    watch.choose(meant.front(), choice_of(options_.how), [this](const wire::AnswerTaken& result) {
      taken = result;
      watch.stop();
    });
  }

  std::vector<std::string> meant;
  std::optional<wire::AnswerTaken> taken;

 private:
  const ApproveOptions& options_;
};

int choose(const ApproveOptions& options, const Look& look, const Terminal& terminal) {
  Chooser chooser(options, look);
  chooser.run();
  if (!chooser.taken) {
    base::Diagnostics problems = chooser.problems;
    const bool none = chooser.meant.empty();
    problems.push_back({.message = none ? "no such session asks too often" : "several sessions ask too often",
                        .hint = none ? "`agentbox approve --list` shows those that do"
                                     : "name one, as `agentbox approve --list` does"});
    return refuse(problems, terminal, base::ExitCode::failed);
  }
  const std::string& session = chooser.meant.front();
  const Words words = words_of(options.how);
  const bool ok = chooser.taken->outcome == Outcome::taken;
  if (options.json) {
    fmt::print("{}\n", json_line(session, "flood", words.wire, "", *chooser.taken));
    return ok ? 0 : 1;
  }
  if (ok) {
    fmt::print("{}: {}\n", harmless(session), words.done);
    return 0;
  }
  return refuse({{.message = fmt::format("{}: {}", harmless(session), harmless(chooser.taken->reason)), .hint = {}}},
                terminal, base::ExitCode::failed);
}

// A question and an answer that was offered with it.
std::string remembered(const wire::WireQuestion& question, const ApproveOptions& options) {
  if (options.how != How::session && options.how != How::always) return {};
  const auto& scopes = options.how == How::session ? question.session_scopes : question.lasting_scopes;
  return options.scope < scopes.size() ? scopes[options.scope] : "";
}

base::Diagnostics not_one(const Answerer& answerer, const ApproveOptions& options) {
  base::Diagnostics problems = answerer.problems;
  if (answerer.meant.empty()) {
    problems.push_back({.message = fmt::format("no question {} is open", base::quote(options.answer)),
                        .hint = "`agentbox approve --list` shows what is; it may have been answered or have expired"});
    return problems;
  }
  std::string names;
  for (const Open& each : answerer.meant) names += (names.empty() ? "" : ", ") + each.name();
  problems.push_back({.message = fmt::format("several sessions have a question {}", base::quote(options.answer)),
                      .hint = "name one: " + harmless(names)});
  return problems;
}

base::Diagnostic not_taken(const Open& open, const wire::AnswerTaken& taken, const ApproveOptions& options) {
  base::Diagnostic problem{
      .message = fmt::format("{} was not answered: {}", harmless(open.name()), harmless(taken.reason)), .hint = {}};
  if (taken.outcome != Outcome::not_offered) return problem;
  if (options.how == How::once && !open.question.phrase.empty() && open.question.phrase != options.phrase) {
    problem.hint =
        fmt::format("it wants a phrase typed: --phrase {}", base::quote(std::string_view(open.question.phrase)));
    return problem;
  }
  if (is_delayed(open.question)) {
    problem.hint = "it was allowed, and waits to be done: --deny cancels it";
    return problem;
  }
  if (open.question.earliest > open.question.sent) {
    problem.hint =
        fmt::format("a yes is possible in {} seconds", (open.question.earliest - open.question.sent + 999) / 1000);
    return problem;
  }
  const bool session = options.how == How::session;
  const auto& scopes = session ? open.question.session_scopes : open.question.lasting_scopes;
  const std::string& why = session ? open.question.why_not_session : open.question.why_not_lasting;
  if (!scopes.empty()) {
    problem.hint = fmt::format("it has {} scope{}, counted from 0", scopes.size(), scopes.size() == 1 ? "" : "s");
  } else if (!why.empty()) {
    problem.hint = "not for " + std::string(session ? "a session" : "always") + ": " + base::escape(why);
  }
  return problem;
}

// ---- what comes and goes ----

// A pipe whose reader has gone says so only when asked.
bool nobody_reads() {
  pollfd out{.fd = STDOUT_FILENO, .events = 0, .revents = 0};
  return ::poll(&out, 1, 0) > 0 && (out.revents & (POLLERR | POLLHUP)) != 0;
}

class Follower final : public Watch::Listener {
 public:
  Follower(const Look& look, const Terminal& terminal)
      : terminal_(terminal), watch_(Watch::Mode::live, [this, look] { return look_again(look); }, *this) {}
  void run() { watch_.run(); }

  void began(const wire::SessionStatus&) override {}
  void added(const std::string& session, const wire::WireQuestion& question) override {
    print(json_line("added", session, question));
  }
  void changed(const std::string& session, const wire::WireQuestion& question) override {
    print(json_line("changed", session, question));
  }
  void gone(const std::string& session, const wire::QuestionGone& gone) override { print(json_line(session, gone)); }
  void flooded(const std::string& session, const wire::WireFlood& flood) override { print(json_line(session, flood)); }
  void calm(const std::string& session) override { print(json_line_calm(session)); }
  void ended(const std::string&) override {}
  void failed(const base::AbsPath& socket, const std::string& why) override {
    base::Diagnostic problem = problem_with(socket, why);
    problem.severity = base::Severity::warning;
    std::fputs(base::render(problem, terminal_.err).c_str(), stderr);
  }
  void settled() override {}

 private:
  Watch::Sockets look_again(const Look& look) {
    if (nobody_reads()) watch_.stop();
    return look();
  }
  static void print(const std::string& line) {
    fmt::print("{}\n", line);
    finish_output();
  }

  const Terminal& terminal_;
  Watch watch_;
};

template <class Open>
std::string time_left(const Open& question) {
  if (question.deadline == 0) return "";
  const std::int64_t seconds = std::max<std::int64_t>(0, (question.deadline - question.sent) / 1000);
  return fmt::format("{}:{:02}", seconds / 60, seconds % 60);
}

}  // namespace

int answer_question(const ApproveOptions& options, const Look& look, const Terminal& terminal) {
  if (options.how == How::pause || options.how == How::deny_rest || options.how == How::go_on) {
    return choose(options, look, terminal);
  }
  Answerer answerer(options, look);
  answerer.run();
  if (!answerer.taken) return refuse(not_one(answerer, options), terminal, base::ExitCode::failed);
  const Open& open = answerer.meant.front();
  const wire::AnswerTaken& taken = *answerer.taken;
  const Words words = words_of(options.how);
  const bool ok = taken.outcome == Outcome::taken;
  const std::string scope = ok ? remembered(open.question, options) : "";
  if (options.json) {
    fmt::print("{}\n", json_line(open.session, open.question.id, words.wire, scope, taken));
    return ok ? 0 : 1;
  }
  if (!ok) return refuse({not_taken(open, taken, options)}, terminal, base::ExitCode::failed);
  const char* done = is_delayed(open.question) ? "cancelled" : words.done;
  fmt::print("{} {}: {}\n", harmless(open.name()), done, subject_of(open.question));
  if (!scope.empty()) fmt::print("remembered: {}\n", harmless(scope));
  return 0;
}

int list_questions(const ApproveOptions& options, const Look& look, const Terminal& terminal) {
  Collector collector(look);
  collector.run();
  std::vector<Open>& open = collector.open;
  if (!options.session.empty()) {
    std::erase_if(open, [&](const Open& each) { return each.session != options.session; });
    std::erase_if(collector.floods, [&](const auto& each) { return each.first != options.session; });
  }
  std::ranges::stable_sort(open, std::greater{}, [](const Open& each) { return each.question.asked; });
  if (options.json) {
    for (const auto& [session, flood] : collector.floods) fmt::print("{}\n", json_line(session, flood));
    for (const Open& each : open) fmt::print("{}\n", json_line("open", each.session, each.question));
  } else if (!open.empty() || !collector.floods.empty()) {
    Table table({"ID", "LEFT", "KIND", "WHAT"}, terminal.out, terminal_width());
    std::vector<std::vector<Cell>> rows;
    for (const auto& [session, flood] : collector.floods) {
      rows.push_back({{.text = harmless(session) + "/flood", .tint = Tint::strong},
                      {.text = time_left(flood)},
                      {.text = "limit"},
                      {.text = broker::summary_of(broker::flood_of(flood, prompt::Clock::now()))}});
    }
    for (const Open& each : open) {
      rows.push_back({{.text = harmless(each.name()), .tint = Tint::strong},
                      {.text = time_left(each.question)},
                      {.text = harmless(each.question.kind)},
                      {.text = (is_delayed(each.question) ? "allowed, waits: " : "") + subject_of(each.question)}});
    }
    fmt::print("{}", table.lines(rows));
  } else if (collector.problems.empty()) {
    std::fputs("no question is open\n", stderr);
  }
  return collector.problems.empty() ? 0 : refuse(collector.problems, terminal, base::ExitCode::failed);
}

int follow_questions(const Look& look, const Terminal& terminal) {
  Follower(look, terminal).run();
  return 0;
}

}  // namespace agentbox::cli
