#include "agentbox/prompt/asker.hpp"

#include <algorithm>
#include <deque>
#include <string>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "agentbox/prompt/page_screen.hpp"

namespace agentbox::prompt {

namespace {

// To read one line; the agent's output waits meanwhile.
constexpr std::chrono::milliseconds farewell_time{2500};

}  // namespace

class Asker::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(boost::asio::io_context& loop, HumanTerminal& terminal, Relay* relay)
      : loop_(&loop), screen_(std::in_place, loop, terminal, relay), farewell_(loop) {}

  void set_colours(Colours colours) noexcept { colours_ = colours; }
  void ask(Question question, Answered done);
  void warn(Flood flood, Chosen done);
  void change(const Question& question);
  void withdraw(std::string_view id, std::string why);
  void withdraw_warning();
  [[nodiscard]] bool idle() const noexcept { return state_ == State::idle && questions_.empty() && !warning_; }
  void resized() { screen_->resized(); }
  void stop();
  void destroy();

 private:
  enum class State : std::uint8_t { idle, opening, showing, closing, stopped };
  struct Waiting {
    Question question;
    Answered done;
  };
  struct Warning {
    Flood flood;
    Chosen done;
  };

  void begin();
  void next();
  void next_soon();
  void show_question();
  void show_warning();
  void say_farewell(std::string why);
  void tell_how_many_wait();
  void leave();
  void give_up();

  template <class Handler>
  void later(Handler handler) {
    boost::asio::post(*loop_, [self = shared_from_this(), handler = std::move(handler)] {
      if (!self->destroyed_) handler();
    });
  }

  boost::asio::io_context* loop_;
  std::optional<PageScreen> screen_;
  Colours colours_ = Colours::sixteen;
  State state_ = State::idle;
  std::deque<Waiting> questions_;
  std::optional<Warning> warning_;
  // What is on the screen: at most one of them.
  std::optional<QuestionPage> question_page_;
  std::optional<Banner> banner_;
  // The question or the warning on the screen is still the first of its kind: else its answer would be another's.
  enum class Current : std::uint8_t { no, yes } current_ = Current::no;
  // While a question that is over says why.
  boost::asio::steady_timer farewell_;
  bool parting_ = false;
  bool destroyed_ = false;
};

void Asker::Impl::ask(Question question, Answered done) {
  if (state_ == State::stopped) {
    if (done) later([done = std::move(done)] { done(std::nullopt); });
    return;
  }
  questions_.push_back({std::move(question), std::move(done)});
  tell_how_many_wait();
  begin();
}

void Asker::Impl::warn(Flood flood, Chosen done) {
  if (state_ == State::stopped) {
    if (done) later([done = std::move(done)] { done(std::nullopt); });
    return;
  }
  if (warning_ && warning_->done) later([old = std::move(warning_->done)] { old(std::nullopt); });
  warning_ = Warning{std::move(flood), std::move(done)};
  if (state_ == State::showing && banner_ && current_ == Current::yes) {
    banner_->update(warning_->flood);
    screen_->changed();
    return;
  }
  current_ = Current::no;
  if (state_ == State::showing) return next_soon();
  begin();
}

void Asker::Impl::begin() {
  if (state_ != State::idle) return;
  state_ = State::opening;
  later([this] {
    if (state_ != State::opening) return;
    screen_->open(
        [this] {
          state_ = State::showing;
          next();
        },
        [this] { give_up(); });
  });
}

// What comes next on the screen.
void Asker::Impl::next() {
  if (parting_) return;
  const bool nothing = questions_.empty() && !warning_;
  if (state_ == State::opening && nothing) return leave();
  if (state_ != State::showing) return;
  if (warning_) return show_warning();
  if (!questions_.empty()) return show_question();
  leave();
}

// After the handler that answers: what it asks at once still finds the screen open.
void Asker::Impl::next_soon() {
  later([this] { next(); });
}

void Asker::Impl::show_question() {
  banner_.reset();
  QuestionPage page(questions_.front().question);
  page.set_colours(colours_);
  page.set_waiting(std::max(questions_.front().question.waiting, questions_.size() - 1));
  question_page_ = std::move(page);
  current_ = Current::yes;
  screen_->show(*question_page_, [this](std::string_view bytes, Clock::time_point now) {
    if (current_ == Current::no) return;
    auto answer = question_page_->type(bytes, now);
    if (!answer) return;
    current_ = Current::no;
    Answered done = std::move(questions_.front().done);
    questions_.pop_front();
    next_soon();
    if (done) done(std::move(answer));
  });
}

void Asker::Impl::show_warning() {
  question_page_.reset();
  banner_.emplace(warning_->flood);
  banner_->set_colours(colours_);
  current_ = Current::yes;
  screen_->show(*banner_, [this](std::string_view bytes, Clock::time_point now) {
    if (current_ == Current::no) return;
    const auto choice = banner_->type(bytes, now);
    if (!choice) return;
    current_ = Current::no;
    Chosen done = std::move(warning_->done);
    warning_.reset();
    next_soon();
    if (done) done(choice);
  });
}

void Asker::Impl::tell_how_many_wait() {
  if (!question_page_ || current_ == Current::no) return;
  question_page_->set_waiting(std::max(questions_.front().question.waiting, questions_.size() - 1));
  screen_->changed();
}

void Asker::Impl::change(const Question& question) {
  const auto found =
      std::ranges::find_if(questions_, [&](const Waiting& each) { return each.question.id == question.id; });
  if (found == questions_.end()) return;
  found->question = question;
  if (state_ != State::showing || !question_page_ || current_ == Current::no || found != questions_.begin()) return;
  question_page_->update(question, Clock::now());
  tell_how_many_wait();
}

void Asker::Impl::withdraw(std::string_view id, std::string why) {
  const auto found = std::ranges::find_if(questions_, [&](const Waiting& each) { return each.question.id == id; });
  if (found == questions_.end()) return;
  const bool on_screen = state_ == State::showing && question_page_ && found == questions_.begin();
  // The answer to the one on the screen may be under way: until next() no question is current.
  const bool current = on_screen && current_ == Current::yes;
  if (current) current_ = Current::no;
  questions_.erase(found);
  if (current && !why.empty()) return say_farewell(std::move(why));
  if (current || state_ == State::opening) return next_soon();
  tell_how_many_wait();
}

void Asker::Impl::say_farewell(std::string why) {
  parting_ = true;
  question_page_->end(std::move(why));
  auto part = [this] {
    if (!std::exchange(parting_, false)) return;
    farewell_.cancel();
    next_soon();
  };
  screen_->keep([part](std::string_view, Clock::time_point) { part(); });
  farewell_.expires_after(farewell_time);
  farewell_.async_wait([self = shared_from_this(), part](boost::system::error_code error) {
    if (!error && !self->destroyed_) part();
  });
}

void Asker::Impl::withdraw_warning() {
  if (!warning_) return;
  warning_.reset();
  if (banner_) current_ = Current::no;
  next_soon();
}

void Asker::Impl::leave() {
  state_ = State::closing;
  screen_->close([this] {
    if (state_ != State::closing) return;
    question_page_.reset();
    banner_.reset();
    state_ = State::idle;
    if (!questions_.empty() || warning_) begin();
  });
}

void Asker::Impl::give_up() {
  if (state_ == State::stopped) return;
  state_ = State::stopped;
  current_ = Current::no;
  parting_ = false;
  farewell_.cancel();
  for (Waiting& each : std::exchange(questions_, {})) {
    if (each.done) later([done = std::move(each.done)] { done(std::nullopt); });
  }
  if (warning_ && warning_->done) later([done = std::move(warning_->done)] { done(std::nullopt); });
  warning_.reset();
}

void Asker::Impl::stop() {
  screen_->shut();
  give_up();
}

void Asker::Impl::destroy() {
  destroyed_ = true;
  farewell_.cancel();
  screen_.reset();
}

// ---- The outside ----

Asker::Asker(boost::asio::io_context& loop, HumanTerminal& terminal, Relay* relay)
    : impl_(std::make_shared<Impl>(loop, terminal, relay)) {}
Asker::~Asker() {
  impl_->destroy();
}
void Asker::set_colours(Colours colours) noexcept {
  impl_->set_colours(colours);
}
void Asker::ask(Question question, Answered done) {
  impl_->ask(std::move(question), std::move(done));
}
void Asker::warn(Flood flood, Chosen done) {
  impl_->warn(std::move(flood), std::move(done));
}
void Asker::change(const Question& question) {
  impl_->change(question);
}
void Asker::withdraw(std::string_view id, std::string why) {
  impl_->withdraw(id, std::move(why));
}
void Asker::withdraw_warning() {
  impl_->withdraw_warning();
}
bool Asker::idle() const noexcept {
  return impl_->idle();
}
void Asker::resized() {
  impl_->resized();
}
void Asker::stop() {
  impl_->stop();
}

}  // namespace agentbox::prompt
