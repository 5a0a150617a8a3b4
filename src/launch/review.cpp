#include "review.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>

#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/policy/standing.hpp"
#include "agentbox/prompt/leftover_page.hpp"
#include "agentbox/prompt/page_screen.hpp"

#include "report.hpp"

namespace agentbox::launch {

namespace {

using By = broker::Verdict::By;
using prompt::Clock;
using prompt::LeftoverPage;
using Weight = prompt::Fact::Weight;

prompt::Leftover page_of(const policy::Policy& policy, const std::string& session, const Leftover& leftover) {
  const bool held = leftover.kind == Leftover::Kind::held;
  prompt::Leftover page;
  page.kind = held ? prompt::Leftover::Kind::held : prompt::Leftover::Kind::quarantined;
  if (leftover.before.empty()) page.was = prompt::Leftover::Was::missing;
  page.session = session;
  page.profile = policy.profile;
  page.path = leftover.path.str();
  page.content = leftover.difference;
  if (!held) page.content_title = "what was taken";
  // Escaped already: the page doubles the backslashes of an odd name, which harms nobody.
  page.facts.push_back({.label = held ? "file" : "taken", .value = leftover.what});
  auto standing = policy::standing_of(policy, leftover.path);
  if (standing && !standing->becomes.empty()) {
    page.facts.push_back({.label = "outside", .value = standing->becomes, .weight = Weight::warning});
  }
  if (!leftover.after.empty()) {
    page.facts.push_back(
        {.label = "size", .value = fmt::format("{} {}", leftover.size, leftover.size == 1 ? "byte" : "bytes")});
  }
  return page;
}

}  // namespace

// The pages of one review, from the first to the last.
class Review::Pages {
 public:
  struct Answer {
    Fate fate = Fate::as_usual;
    By by = By::clock;
  };

  Pages(boost::asio::io_context& loop, prompt::HumanTerminal& terminal, int signals)
      : loop_(loop), screen_(loop, terminal), timer_(loop), signals_(loop) {
    if (signals >= 0) signals_.assign(::dup(signals));
  }

  // One answer for each that somebody decided on; the rest is the clock's.
  std::vector<Answer> run(std::vector<prompt::Leftover> pages, std::chrono::seconds timeout, prompt::Colours colours) {
    pages_ = std::move(pages);
    timeout_ = timeout;
    colours_ = colours;
    if (signals_.is_open()) {
      signals_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](boost::system::error_code error) {
        if (!error) end();
      });
    }
    wait_until(Clock::now() + timeout_);  // also for a terminal that can't be had
    screen_.open([this] { next(); }, [this] { end(); });
    while (!over_) {
      if (loop_.stopped()) loop_.restart();
      loop_.run_one();
    }
    screen_.shut();
    return std::move(answers_);
  }

 private:
  void next() {
    if (answers_.size() == pages_.size()) return end();
    prompt::Leftover leftover = pages_[answers_.size()];
    leftover.number = answers_.size() + 1;
    leftover.of = pages_.size();
    leftover.deadline = Clock::now() + timeout_;
    wait_until(leftover.deadline);
    page_.emplace(std::move(leftover));
    page_->set_colours(colours_);
    screen_.show(*page_, [this](std::string_view bytes, Clock::time_point now) { typed(bytes, now); });
  }

  void typed(std::string_view bytes, Clock::time_point now) {
    if (answered_) return;
    const auto choice = page_->type(bytes, now);
    if (!choice) return;
    answered_ = true;
    switch (*choice) {
      case LeftoverPage::Choice::keep: answers_.push_back({Fate::kept, By::human}); break;
      case LeftoverPage::Choice::restore: answers_.push_back({Fate::as_usual, By::human}); break;
      case LeftoverPage::Choice::restore_rest: answers_.resize(pages_.size(), {Fate::as_usual, By::human}); break;
    }
    // After the handler, which draws the page once more.
    boost::asio::post(loop_, [this, alive = std::weak_ptr(alive_)] {
      if (alive.expired() || over_) return;
      answered_ = false;
      next();
    });
  }

  void wait_until(Clock::time_point deadline) {
    timer_.expires_at(deadline);
    timer_.async_wait([this](boost::system::error_code error) {
      if (!error) end();
    });
  }

  void end() {
    over_ = true;
    timer_.cancel();
  }

  boost::asio::io_context& loop_;
  prompt::PageScreen screen_;
  boost::asio::steady_timer timer_;
  boost::asio::posix::stream_descriptor signals_;
  std::vector<prompt::Leftover> pages_;
  std::vector<Answer> answers_;
  std::optional<LeftoverPage> page_;
  std::chrono::seconds timeout_{};
  prompt::Colours colours_ = prompt::Colours::none;
  bool answered_ = false, over_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for what is left in the loop
};

std::vector<Fate> Review::ask(boost::asio::io_context& loop, prompt::HumanTerminal& terminal,
                              const std::vector<Leftover>& leftovers, int signals) {
  std::vector<prompt::Leftover> pages;
  for (const Leftover& leftover : leftovers) pages.push_back(page_of(request_.policy, session_, leftover));
  const auto colours = request_.colour == base::Colour::on ? prompt::Colours::sixteen : prompt::Colours::none;
  std::vector<Pages::Answer> answers =
      Pages(loop, terminal, signals).run(std::move(pages), request_.policy.approval.timeout, colours);
  answers.resize(leftovers.size());
  std::vector<Fate> fates;
  for (std::size_t i = 0; i < leftovers.size(); ++i) {
    fates.push_back(record(leftovers[i], answers[i].fate, answers[i].by));
  }
  return fates;
}

// A yes that can't be recorded does not count.
Fate Review::record(const Leftover& leftover, Fate fate, By by) {
  using Kind = broker::Verdict::Kind;
  Decided one{
      .change = {.path = leftover.path, .before = leftover.before, .after = leftover.after, .size = leftover.size},
      .verdict = {.kind = fate == Fate::kept ? Kind::allow
                          : by == By::clock  ? Kind::expired
                                             : Kind::deny,
                  .by = by,
                  .reason = leftover.kind == Leftover::Kind::held ? "at the end of the run: a held file"
                                                                  : "at the end of the run: the quarantine"}};
  const bool recorded = broker_.decided(one.change, one.verdict);
  decided_.push_back(std::move(one));
  return recorded ? fate : Fate::as_usual;
}

void Review::settled(const std::vector<GuardEvent>& events) {
  for (const Decided& one : decided_) {
    // The last word about it: it may have been taken several times.
    auto event = std::find_if(events.rbegin(), events.rend(),
                              [&](const GuardEvent& each) { return each.path == one.change.path; });
    if (event != events.rend()) broker_.outcome(one.verdict, one.change, std::string(name_of(event->kind)));
  }
}

}  // namespace agentbox::launch
