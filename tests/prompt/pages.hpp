#pragma once

// A question page with a clock and a grid beside it.

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "grid.hpp"
#include "samples.hpp"

namespace agentbox::test {

using namespace std::chrono_literals;
using prompt::Answer;
using prompt::Clock;
using prompt::Draw;
using prompt::QuestionPage;

inline const Clock::time_point start = Clock::time_point(1000s);

struct Asked {
  explicit Asked(Question question, std::uint16_t rows = 24, std::uint16_t columns = 80)
      : page(std::move(question)), grid(rows, columns) {
    page.resize(rows, columns);
  }

  // As of now, and what has changed afterwards.
  Asked& draw(Draw what = Draw::whole) {
    bytes = page.draw(what, now);
    grid.apply(bytes);
    return *this;
  }
  Asked& wait(Clock::duration time) {
    now += time;
    return draw(Draw::changes);
  }
  // Drawn, and the quiet period is over.
  Asked& ready() { return draw().wait(700ms); }
  void resize(std::uint16_t rows, std::uint16_t columns) {
    page.resize(rows, columns);
    grid = Grid(rows, columns);
    draw();
  }
  // One read, long after the last.
  std::optional<Answer> type(std::string_view keys) {
    now += 200ms;
    auto answer = page.type(keys, now);
    if (!answer) draw(Draw::changes);
    return answer;
  }

  QuestionPage page;
  Grid grid;
  Clock::time_point now = start;
  std::string bytes;
};

inline Question with_deadline(Question question, Clock::duration time = 102s) {
  question.deadline = start + time;
  return question;
}

}  // namespace agentbox::test
