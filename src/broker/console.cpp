#include "agentbox/broker/console.hpp"

#include <csignal>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/prompt/approve_page.hpp"
#include "agentbox/prompt/page_screen.hpp"
#include "agentbox/prompt/question.hpp"

namespace agentbox::broker {

namespace asio = boost::asio;
using prompt::Clock;

namespace {

std::string words_for(prompt::Answer::Kind kind) {
  using Kind = prompt::Answer::Kind;
  switch (kind) {
    case Kind::once: return "allowed once";
    case Kind::session: return "allowed for this session";
    case Kind::always: return "allowed always";
    case Kind::deny: return "denied";
    case Kind::deny_session: return "denied for this session";
  }
  return "answered";
}

std::string words_for(prompt::Banner::Choice choice) {
  using Choice = prompt::Banner::Choice;
  switch (choice) {
    case Choice::pause: return "the agent stands still";
    case Choice::deny_rest: return "no more questions, all are denied";
    case Choice::go_on: return "goes on";
  }
  return "answered";
}

// In place of a question's id, which is a number.
constexpr const char* flood_id = "flood";

class Console final : public Watch::Listener {
 public:
  Console(prompt::HumanTerminal& terminal, prompt::Colours colours, std::function<Watch::Sockets()> look)
      : watch_(Watch::Mode::live, std::move(look), *this),
        screen_(watch_.loop(), terminal),
        signals_(watch_.loop()),
        colours_(colours) {
    list_.set_colours(colours);
  }

  ConsoleEnd run();

  void began(const wire::SessionStatus&) override { tell(); }
  void added(const std::string& session, const wire::WireQuestion& question) override;
  void changed(const std::string& session, const wire::WireQuestion& question) override;
  void gone(const std::string& session, const wire::QuestionGone& gone) override;
  void flooded(const std::string& session, const wire::WireFlood& flood) override;
  void calm(const std::string& session) override;
  void ended(const std::string& session) override;
  void failed(const base::AbsPath& socket, const std::string& why) override;
  void settled() override {}

 private:
  using Key = std::pair<std::string, std::string>;  // session, id

  void show_list();
  void open(const Key& key);
  void open_banner(const std::string& session);
  void answer(const prompt::Answer& answer);
  void choose(prompt::Banner::Choice choice);
  void refresh();
  // The last line of the list: what happened last, and who is watched.
  void tell(std::string news);
  void tell();
  void end(ConsoleEnd how);
  void wait_for_signals();

  // The screen refers to the pages: it goes first.
  Watch watch_;
  prompt::ApprovePage list_;
  std::optional<prompt::QuestionPage> page_;
  std::optional<prompt::Banner> banner_;
  Key shown_;  // what `page_` or `banner_` shows
  prompt::PageScreen screen_;
  asio::signal_set signals_;
  prompt::Colours colours_;
  std::map<Key, prompt::Question> questions_;
  struct Flooded {
    prompt::Flood flood;
    Clock::time_point since;
  };
  std::map<std::string, Flooded> floods_;  // by session
  std::set<Key> answered_;                 // here: their going is no news
  std::string news_;
  ConsoleEnd end_;
};

ConsoleEnd Console::run() {
  for (int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) signals_.add(number);
  wait_for_signals();
  tell();
  screen_.open([this] { show_list(); }, [this] { end({.how = ConsoleEnd::How::terminal_lost}); });
  watch_.run();
  screen_.shut();
  return end_;
}

void Console::wait_for_signals() {
  signals_.async_wait([this](boost::system::error_code error, int number) {
    if (!error) end({.how = ConsoleEnd::How::signalled, .signal = number});
  });
}

void Console::end(ConsoleEnd how) {
  end_ = how;
  watch_.stop();
}

void Console::show_list() {
  refresh();
  screen_.show(list_, [this](std::string_view bytes, Clock::time_point now) {
    auto choice = list_.type(bytes, now);
    if (!choice) return;
    if (std::holds_alternative<prompt::ApprovePage::Leave>(*choice)) return end({});
    const auto& chosen = std::get<prompt::ApprovePage::Open>(*choice);
    open({chosen.session, chosen.id});
  });
  page_.reset();
  banner_.reset();
}

void Console::open_banner(const std::string& session) {
  auto found = floods_.find(session);
  if (found == floods_.end()) return;
  shown_ = {session, flood_id};
  banner_.emplace(found->second.flood);
  banner_->set_colours(colours_);
  banner_->set_way_back(prompt::Banner::WayBack::offered);
  screen_.show(*banner_, [this](std::string_view bytes, Clock::time_point now) {
    auto chosen = banner_->type(bytes, now);
    if (chosen) return choose(*chosen);
    if (banner_->left()) show_list();
  });
}

void Console::choose(prompt::Banner::Choice choice) {
  const std::string session = shown_.first;
  watch_.choose(session, choice, [this, session, choice](const wire::AnswerTaken& taken) {
    const bool ok = taken.outcome == wire::AnswerTaken::Outcome::taken;
    tell(ok ? fmt::format("{}: {}", session, words_for(choice)) : fmt::format("{}: {}", session, taken.reason));
  });
  show_list();
}

void Console::flooded(const std::string& session, const wire::WireFlood& flood) {
  const auto now = Clock::now();
  auto [at, is_new] = floods_.try_emplace(session, Flooded{flood_of(flood, now), now});
  if (!is_new) at->second.flood = flood_of(flood, now);
  if (banner_ && shown_.first == session) {
    banner_->update(at->second.flood);
    return screen_.changed();
  }
  refresh();
}

void Console::calm(const std::string& session) {
  floods_.erase(session);
  if (banner_ && shown_.first == session) return show_list();
  refresh();
}

void Console::open(const Key& key) {
  if (key.second == flood_id) return open_banner(key.first);
  auto found = questions_.find(key);
  if (found == questions_.end()) return;
  shown_ = key;
  page_.emplace(found->second);
  page_->set_colours(colours_);
  page_->set_way_back(prompt::QuestionPage::WayBack::offered);
  screen_.show(*page_, [this](std::string_view bytes, Clock::time_point now) {
    auto given = page_->type(bytes, now);
    if (given) return answer(*given);
    if (page_->left()) show_list();
  });
}

void Console::answer(const prompt::Answer& answer) {
  const Key key = shown_;
  answered_.insert(key);
  const std::string name = fmt::format("{}/{}", key.first, key.second);
  prompt::Question question = page_->question();
  const bool delayed = question.stage == prompt::Question::Stage::delayed;
  watch_.answer(
      key.first, key.second, answer,
      [this, key, name, delayed, kind = answer.kind, question = std::move(question)](const wire::AnswerTaken& taken) {
        answered_.erase(key);
        using Outcome = wire::AnswerTaken::Outcome;
        const bool ok = taken.outcome == Outcome::taken;
        // What a yes takes changed while it was on its way: it is open still.
        if (taken.outcome == Outcome::not_offered) questions_.insert_or_assign(key, question);
        if (ok && delayed) return tell(name + ": cancelled");
        tell(ok ? fmt::format("{}: {}", name, words_for(kind))
                : fmt::format("{} was not answered: {}", name, taken.reason));
      });
  // Whatever comes of it, it isn't asked again here.
  questions_.erase(key);
  tell(name + ": your answer is on its way");
  show_list();
}

void Console::added(const std::string& session, const wire::WireQuestion& question) {
  questions_.insert_or_assign({session, question.id}, question_of(question, Clock::now()));
  refresh();
}

// What is asked never changes; what is known of it, and what a yes takes, does. One that was answered here may come back
// as one that waits before it is done.
void Console::changed(const std::string& session, const wire::WireQuestion& question) {
  const Key key(session, question.id);
  const auto now = Clock::now();
  prompt::Question known = question_of(question, now);
  // Its place in the list stays: what it is reckoned from is coarser than the order.
  if (const auto found = questions_.find(key); found != questions_.end()) known.asked = found->second.asked;
  questions_.insert_or_assign(key, std::move(known));
  if (!page_ || shown_ != key) return refresh();
  page_->update(questions_.at(key), now);
  screen_.changed();
}

void Console::gone(const std::string& session, const wire::QuestionGone& gone) {
  const Key key(session, gone.question);
  const bool on_screen = page_ && shown_ == key;
  questions_.erase(key);
  if (!answered_.contains(key)) tell(fmt::format("{}/{} {}", session, gone.question, broker::words_for(gone)));
  if (on_screen) return show_list();
  refresh();
}

void Console::ended(const std::string& session) {
  tell(session + " has ended");
}

void Console::failed(const base::AbsPath& socket, const std::string& why) {
  tell(fmt::format("{}: {}", socket.str(), why));
}

void Console::tell(std::string news) {
  news_ = std::move(news);
  tell();
}

void Console::tell() {
  const std::size_t count = watch_.sessions();
  const std::string sessions =
      count == 0 ? "no session runs" : fmt::format("{} session{}", count, count == 1 ? "" : "s");
  list_.set_notice(news_.empty() ? sessions : fmt::format("{} · {}", news_, sessions));
  if (!page_ && !banner_) screen_.changed();
}

void Console::refresh() {
  std::vector<prompt::OpenQuestion> open;
  for (const auto& [key, question] : questions_) {
    const bool quoted = question.form == prompt::Question::Form::quoted;
    const bool delayed = question.stage == prompt::Question::Stage::delayed;
    open.push_back(
        {.session = key.first,
         .id = key.second,
         .profile = question.profile,
         .kind = question.kind,
         .summary = (delayed ? "allowed, waits: " : "") + (quoted ? question.subject : base::escape(question.subject)),
         .asked = question.asked,
         .deadline = question.deadline});
  }
  for (const auto& [session, flooded] : floods_) {
    open.push_back({.session = session,
                    .id = flood_id,
                    .profile = flooded.flood.profile,
                    .kind = "limit",
                    .summary = summary_of(flooded.flood),
                    .asked = flooded.since,
                    .deadline = flooded.flood.deadline});
  }
  list_.set_questions(std::move(open));
  if (!page_ && !banner_) screen_.changed();
}

}  // namespace

ConsoleEnd run_console(prompt::HumanTerminal& terminal, prompt::Colours colours, std::function<Watch::Sockets()> look) {
  return Console(terminal, colours, std::move(look)).run();
}

}  // namespace agentbox::broker
