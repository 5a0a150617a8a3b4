// Whatever a question says, however large the window is and whatever is typed: only our own sequences are drawn, nothing
// leaves the screen, changes lead to the same screen as a whole drawing, and nothing but the key itself allows.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "agentbox/prompt/question.hpp"

#include "../prompt/grid.hpp"

namespace {

using namespace std::chrono_literals;
using namespace agentbox::prompt;

void require(bool holds, const std::string& what = {}, int line = __builtin_LINE()) {
  if (holds) return;
  std::fprintf(stderr, "line %d does not hold: %s\n", line, what.c_str());
  std::abort();
}

class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}
  [[nodiscard]] bool empty() const { return rest_.empty(); }
  std::uint8_t one() {
    if (rest_.empty()) return 0;
    const auto byte = static_cast<std::uint8_t>(rest_[0]);
    rest_.remove_prefix(1);
    return byte;
  }
  std::string_view some(std::size_t size) {
    const auto taken = rest_.substr(0, size);
    rest_.remove_prefix(taken.size());
    return taken;
  }

 private:
  std::string_view rest_;
};

Question question_of(Bytes& bytes, Clock::time_point now) {
  Question question;
  const std::uint8_t flags = bytes.one();
  const std::string text(bytes.some(bytes.one() * std::size_t{16}));
  question.session = question.profile = question.title = question.subject = text;
  question.digest = "digest";
  question.facts = {{"label", text}, {text, text, Fact::Weight::warning, Fact::Shown::details}};
  question.said = text;
  if ((flags & 1) != 0) question.content = text;
  if ((flags & 2) != 0) question.content_form = Question::Content::diff;
  if ((flags & 4) != 0) question.session_scopes = {text, "second", "third"};
  if ((flags & 8) != 0) question.lasting_scopes = {text};
  if ((flags & 16) != 0) question.form = Question::Form::quoted;
  if ((flags & 32) != 0) question.deadline = now + 10s;
  question.waiting = flags >> 6;
  return question;
}

struct Play {
  Bytes bytes;
  Clock::time_point now{1000s};
  QuestionPage page;
  agentbox::test::Grid grid{24, 80};
  std::size_t rows = 24, columns = 80;

  Play(const std::uint8_t* data, std::size_t size) : bytes(data, size), page(question_of(bytes, now)) { resize(); }

  void resize() {
    const auto high = bytes.one(), wide = bytes.one();
    rows = high % 70 == 0 ? 24 : high % 70;
    columns = wide == 0 ? 80 : wide;
    page.resize(static_cast<std::uint16_t>(rows), static_cast<std::uint16_t>(columns));
    grid = agentbox::test::Grid(rows, columns);
  }

  void draw() {
    grid.apply(page.draw(Draw::changes, now));
    require(grid.mistake().empty(), grid.mistake());
    require(page.next_change(now) > now);
  }

  void check_whole() {
    agentbox::test::Grid whole(rows, columns);
    whole.apply(page.draw(Draw::whole, now));
    require(whole.mistake().empty(), whole.mistake());
    require(whole.text() == grid.text(), "changes");
  }

  void check(const Answer& answer, std::string_view piece, Clock::time_point last) {
    const bool allows = answer.kind <= Answer::Kind::always;
    require(piece.size() == 1 && now - last >= 100ms && now >= Clock::time_point(1000s) + 700ms);
    require(allows ? piece == "o" : piece == "d" || piece == "D" || piece == "\003");
    require(answer.digest == "digest" && answer.comment.size() <= 500);
    if (answer.kind == Answer::Kind::session) require(answer.scope < page.question().session_scopes.size());
    if (answer.kind == Answer::Kind::always) require(answer.scope < page.question().lasting_scopes.size());
    const auto deadline = page.question().deadline;
    require(deadline == Clock::time_point{} || now < deadline);
  }

  void run() {
    draw();
    Clock::time_point last{};
    while (!bytes.empty()) {
      const std::uint8_t step = bytes.one();
      now += (step >> 4) * 30ms;
      const std::string_view piece = bytes.some(step % 16);
      if (step % 16 == 0) {
        resize();
      } else if (const auto answer = page.type(piece, now)) {
        return check(*answer, piece, last);
      } else if (!piece.empty()) {
        last = now;
      }
      draw();
    }
    check_whole();
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Play(data, size).run();
  return 0;
}
