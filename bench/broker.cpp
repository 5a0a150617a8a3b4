// What an action costs within the supervisor (DESIGN §10): a ruling from the tables, a remembered answer with its
// record, and 10,000 questions in a burst. Prints a table; the ratios count, not the numbers.
//
// usage: bench_broker DISK MEMORY     two folders: one on a disk, one on a tmpfs

#include "agentbox/broker/broker.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <fmt/core.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/base/unique_fd.hpp"
#include "agentbox/profile/parse.hpp"
#include "agentbox/store/store.hpp"

using namespace agentbox;

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void give_up(const char* what) {
  fmt::print(stderr, "broker: cannot {}\n", what);
  std::exit(1);
}

struct Times {
  double half = 0, nearly_all = 0;  // microseconds: p50, p99
};

Times measure(int times, const std::function<void()>& work) {
  std::vector<double> all;
  for (int i = 0; i < times + times / 10; ++i) {
    const auto begin = Clock::now();
    work();
    const std::chrono::duration<double, std::micro> took = Clock::now() - begin;
    if (i >= times / 10) all.push_back(took.count());  // the first warm up
  }
  std::ranges::sort(all);
  return {all[all.size() / 2], all[all.size() * 99 / 100]};
}

void row(const char* what, const Times& times, const std::string& note = {}) {
  fmt::print("  {:<56}{:>10.1f}{:>10.1f}  {}\n", what, times.half, times.nearly_all, note);
  std::fflush(stdout);
}

std::string against(const Times& ours, const Times& bare) {
  return fmt::format("{:.2f} times the bare write", ours.half / bare.half);
}

// ---- what is ruled on ----

profile::Located<profile::CommandPattern> pattern(const std::string& text) {
  auto parsed = profile::parse_command_pattern(text, {});
  if (!parsed) give_up("parse a pattern");
  return {*parsed, {.file = "bench.toml", .at = {.line = 1}, .source_line = text}};
}

// Sixty rules, as many as a long profile has; what is asked for is matched by the last of them.
policy::Rules rules() {
  policy::Rules rules;
  for (int i = 0; i < 19; ++i) {
    rules.commands.allow.push_back(pattern(fmt::format("tool{} status **", i)));
    rules.commands.ask.push_back(pattern(fmt::format("tool{} push **", i)));
    rules.commands.deny.push_back(pattern(fmt::format("tool{} remove **", i)));
  }
  rules.commands.allow.push_back(pattern("date"));
  rules.commands.ask.push_back(pattern("git push **"));
  rules.commands.deny.push_back(pattern("sudo **"));
  return rules;
}

policy::Command command(std::vector<std::string> argv) {
  const std::string program = "/usr/bin/" + argv.front();
  policy::Command command{.argv = std::move(argv), .directory = *base::AbsPath::parse("/home/me/work")};
  command.program = policy::Program{.path = *base::AbsPath::parse(program),
                                    .device = 1,
                                    .inode = 2,
                                    .sha256 = std::string(64, 'a'),
                                    .writable = policy::Program::Writable::no};
  return command;
}

broker::Asked asked(std::vector<std::string> argv) {
  broker::Asked asked{.action = command(argv),
                      .title = "run a command on your machine",
                      .subject = base::quote(argv),
                      .facts = {{.label = "program", .value = "/usr/bin/" + argv.front()}},
                      .said = "a reason of the agent's"};
  asked.session_scopes = policy::session_scopes(asked.action);
  asked.lasting_scopes = policy::lasting_scopes(asked.action);
  return asked;
}

void rulings() {
  const policy::Rules table = rules();
  const policy::Action last = command({"git", "push", "origin", "main"}), none = command({"make", "-j4", "all"});
  volatile int sink = 0;
  const auto rule = [&](const policy::Action& action) {
    sink = sink + static_cast<int>(policy::rule(table, action).decision);
  };
  fmt::print("a ruling, of 60 rules for commands (bar: p50 under 5 us)\n");
  row("the last rule asks", measure(20'000, [&] { rule(last); }));
  row("no rule matches", measure(20'000, [&] { rule(none); }));
}

// ---- a remembered answer ----

struct Session {
  explicit Session(const std::string& folder, broker::Settings settings = {}) {
    settings.session = "bench-0001";
    settings.profile = "bench";
    settings.rules = rules();
    settings.record = *base::AbsPath::parse(folder + "/record/agentbox.db");
    settings.absent = broker::Settings::Absent::wait;
    record = settings.record;
    broker.emplace(loop, std::move(settings));
  }
  // From the request to the verdict.
  broker::Verdict ask(const broker::Asked& what) {
    broker::Verdict given;
    bool done = false;
    broker->ask(what, [&](const broker::Verdict& verdict) {
      given = verdict;
      done = true;
    });
    loop.restart();
    while (!done && loop.run_one() > 0) {
    }
    return given;
  }
  void remember(const broker::Asked& what) {
    broker->ask(what, [](const broker::Verdict&) {});
    const prompt::Question question = broker->open().front();
    prompt::Answer answer{.kind = prompt::Answer::Kind::session, .digest = question.digest};
    if (broker->answer(question.id, answer, "control") != broker::Broker::Taken::taken) give_up("answer a question");
    loop.restart();
    loop.poll();
  }
  boost::asio::io_context loop;
  base::AbsPath record;
  std::optional<broker::Broker> broker;
};

// The least that "on record before anybody hears it" can cost: so many bytes, and the disk's word that it has them.
Times bare_write(const std::string& folder, std::size_t bytes) {
  const std::string path = folder + "/bare";
  const base::UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file) give_up("make a file");
  const std::vector<char> buffer(bytes, 'x');
  off_t at = 0;
  const auto write = [&] {
    if (::pwrite(file.get(), buffer.data(), buffer.size(), at) != static_cast<ssize_t>(bytes) ||
        ::fdatasync(file.get()) != 0) {
      give_up("write a file");
    }
    at = (at + static_cast<off_t>(bytes)) % (4 << 20);
  };
  for (int i = 0; i < 1024 && at + static_cast<off_t>(bytes) < 4 << 20; ++i) write();  // it has its size from now on
  return measure(400, write);
}

// How much one commit writes into the log.
std::size_t bytes_of_commit(Session& session, const broker::Asked& what) {
  const std::string log = session.record.str() + "-wal";
  const auto size = [&] { return std::filesystem::exists(log) ? std::filesystem::file_size(log) : 0; };
  std::size_t most = 0;
  for (int i = 0; i < 5; ++i) {
    const auto before = size();
    (void)session.ask(what);
    if (size() > before) most = std::max<std::size_t>(most, size() - before);
  }
  return std::max<std::size_t>(most, 4096);
}

void remembered_answers(const std::string& folder, const char* where) {
  broker::Settings settings;
  settings.questions = 1000;
  Session session(folder, settings);
  constexpr int others = 20;
  for (int i = 0; i < others; ++i) session.remember(asked({"git", "push", "origin", fmt::format("branch{}", i)}));
  const broker::Asked push = asked({"git", "push", "origin", "branch0"});
  const std::size_t bytes = bytes_of_commit(session, push);
  fmt::print("\na remembered answer, one of {}, the record on {} (bar: p50 under 100 us)\n", others, where);
  const Times small = bare_write(folder, 4096), same = bare_write(folder, bytes);
  row("for comparison: 4 KiB written and synced", small);
  row(fmt::format("for comparison: {} KiB, as one verdict's rows, synced", bytes / 1024).c_str(), same);
  const Times whole = measure(400, [&] {
    const broker::Verdict verdict = session.ask(push);
    if (verdict.kind != broker::Verdict::Kind::allow || verdict.by != broker::Verdict::By::remembered) {
      give_up("get the remembered answer");
    }
  });
  // As the broker does it: for a no first, then for a yes.
  const store::Store store(session.record, store::Store::Access::read);
  const auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const Times lookup = measure(2000, [&] {
    for (int i = 0; i < 2; ++i) {
      for (const store::Remembered& each : store.remembered("bench", "bench-0001", "command", now)) {
        const policy::Scope scope{.breadth = policy::Scope::Breadth::exact, .rule = each.rule, .shown = each.shown};
        if (i == 1 && policy::covers(scope, push.action)) break;
      }
    }
  });
  row("looking it up (what is asked first: a no, then a yes)", lookup);
  row("all: ruling, lookup, record, verdict", whole, against(whole, same));
  fmt::print("  {:<56}{:>10.1f}\n", "of that the record, synced before the verdict is heard", whole.half - lookup.half);
}

// ---- a burst ----

std::size_t resident_kib() {
  std::ifstream file("/proc/self/statm");
  std::size_t pages = 0;
  file >> pages >> pages;
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) / 1024;
}

void burst(const std::string& folder, const char* where) {
  constexpr std::size_t count = 10'000;
  std::filesystem::create_directory(folder + "/burst");
  Session session(folder + "/burst");
  const std::size_t before = resident_kib();
  std::size_t heard = 0, allowed = 0;
  const auto begin = Clock::now();
  for (std::size_t i = 0; i < count; ++i) {
    session.broker->ask(asked({"git", "push", "origin", fmt::format("branch{}", i)}),
                        [&](const broker::Verdict& verdict) {
                          ++heard;
                          if (verdict.kind == broker::Verdict::Kind::allow) ++allowed;
                        });
  }
  const std::size_t after = resident_kib();
  session.broker->finish();
  session.loop.restart();
  session.loop.poll();
  const std::chrono::duration<double> took = Clock::now() - begin;
  std::size_t verdicts = 0, refused = 0;
  const store::Store store(session.record, store::Store::Access::read);
  store.read({.kind = "command"}, [&](const store::Row& row) {
    if (row.event.what == store::Event::What::verdict) ++verdicts;
    // {"outcome":"8900 more commands were refused within a minute"}
    if (row.event.what == store::Event::What::outcome) {
      refused += std::strtoull(row.event.detail.c_str() + row.event.detail.find(":\"") + 2, nullptr, 10);
    }
    return true;
  });
  fmt::print("\n{} questions at once, the record on {}\n", count, where);
  fmt::print(
      "  {} verdicts, {} of them allow; {} on record one by one, {} as a number; {:.1f} s, {:.0f} us each\n",
      heard, allowed, verdicts, refused, took.count(), took.count() / count * 1e6);
  fmt::print("  memory {:.1f} MiB before, {:.1f} MiB with all of them asked\n", static_cast<double>(before) / 1024,
             static_cast<double>(after) / 1024);
  if (heard != count || allowed != 0 || verdicts + refused != count || store.verify()) give_up("account for every question");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: bench_broker DISK MEMORY\n");
    return 2;
  }
  fmt::print("microseconds{:>56}{:>10}\n", "p50", "p99");
  rulings();
  remembered_answers(argv[1], "a disk");
  remembered_answers(argv[2], "a tmpfs");
  burst(argv[1], "a disk");
  burst(argv[2], "a tmpfs");
  return 0;
}
