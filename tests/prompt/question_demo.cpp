// The sample questions on this terminal, for a look at them: question_demo [NAME...]

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "samples.hpp"

using namespace std::chrono_literals;
namespace prompt = agentbox::prompt;
using prompt::Clock;

namespace {

void write_out(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto written = ::write(1, bytes.data(), bytes.size());
    if (written <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

// Until `typed` says that it is over.
template <class Typed>
void run(prompt::Page& page, Typed typed) {
  winsize size{};
  prompt::Draw what = prompt::Draw::whole;
  for (;;) {
    winsize now_size{};
    ::ioctl(1, TIOCGWINSZ, &now_size);
    if (now_size.ws_row != size.ws_row || now_size.ws_col != size.ws_col) {
      size = now_size;
      page.resize(size.ws_row, size.ws_col);
    }
    write_out(page.draw(what, Clock::now()));
    what = prompt::Draw::changes;
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(page.next_change(Clock::now()) - Clock::now());
    pollfd ready{0, POLLIN, 0};
    if (::poll(&ready, 1, static_cast<int>(std::clamp<long>(wait.count(), 0, 1000))) != 1) continue;
    char buffer[4096];
    const auto count = ::read(0, buffer, sizeof buffer);
    if (count <= 0 || typed(std::string_view(buffer, static_cast<std::size_t>(count)))) return;
  }
}

std::string ask(prompt::Question question) {
  question.deadline = Clock::now() + 2min;
  prompt::QuestionPage page(std::move(question));
  prompt::Answer given;
  run(page, [&](std::string_view bytes) {
    auto answer = page.type(bytes, Clock::now());
    if (answer) given = *answer;
    return answer.has_value();
  });
  static constexpr std::string_view kinds[] = {"once", "session", "always", "deny", "deny_session"};
  return std::string(kinds[static_cast<std::size_t>(given.kind)]) + " scope " + std::to_string(given.scope) +
         " comment '" + given.comment + "'";
}

void show(prompt::Banner banner) {
  run(banner, [&](std::string_view bytes) { return banner.type(bytes, Clock::now()).has_value(); });
}
void show(prompt::ApprovePage page) {
  run(page, [&](std::string_view bytes) { return page.type(bytes, Clock::now()).has_value(); });
}

}  // namespace

int main(int argc, char** argv) {
  termios before{};
  ::tcgetattr(0, &before);
  termios raw = before;
  ::cfmakeraw(&raw);
  ::tcsetattr(0, TCSAFLUSH, &raw);
  write_out(prompt::enter_pages());
  std::string answers;
  const auto wanted = [&](std::string_view name) {
    return argc < 2 || std::any_of(argv + 1, argv + argc, [&](const char* word) { return word == name; });
  };
  for (const auto& sample : agentbox::test::samples) {
    if (wanted(sample.name)) answers += std::string(sample.name) + ": " + ask(sample.make()) + "\n";
  }
  if (wanted("banner")) show(prompt::Banner(agentbox::test::flood(Clock::now())));
  if (wanted("list")) show(agentbox::test::list(Clock::now()));
  if (wanted("empty")) show(prompt::ApprovePage());
  write_out(prompt::leave_pages());
  ::tcsetattr(0, TCSAFLUSH, &before);
  std::fputs(answers.c_str(), stdout);
  return 0;
}
