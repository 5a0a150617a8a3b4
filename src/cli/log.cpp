#include <cstdio>
#include <optional>

#include <poll.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/store/store.hpp"

#include "moment.hpp"
#include "net_sums.hpp"
#include "options.hpp"
#include "record.hpp"
#include "record_json.hpp"
#include "record_table.hpp"
#include "report.hpp"
#include "streams.hpp"

namespace agentbox::cli {

namespace {

using store::Filter;
using store::Row;
using store::Store;

// Rows that are laid out together; what comes later keeps their widths or grows.
constexpr std::size_t batch = 5000;
// As many as `--follow` begins with.
constexpr std::int64_t first_followed = 10;
// Following looks that often, and costs one indexed read each time.
constexpr int follow_ms = 200;

base::Result<Filter> filter_of(const LogOptions& options) {
  Filter filter;
  base::Diagnostics problems;
  auto moment = [&](const std::string& text, const char* option) -> std::optional<store::Time> {
    if (text.empty()) return std::nullopt;
    std::optional<store::Time> time = parse_moment(text, now());
    if (!time) {
      problems.push_back({.message = fmt::format("{} takes a time, not '{}'", option, base::escape(text)),
                          .hint = "for example 2h, today, 2026-11-22, '2026-11-22 14:30' or 2026-11-22T14:30:05Z"});
    }
    return time;
  };
  filter.since = moment(options.since, "--since");
  filter.until = moment(options.until, "--until");
  if (!options.session.empty()) filter.session = options.session;
  if (!options.kind.empty()) filter.kind = options.kind;
  if (!options.verdict.empty()) filter.verdict = options.verdict;
  filter.latest = options.lines;
  if (!problems.empty()) return std::unexpected(std::move(problems));
  return filter;
}

class Printer {
 public:
  Printer(const LogOptions& options, const Terminal& terminal)
      : json_(options.json), table_(log_heads(), terminal.out, terminal_width()) {}

  void add(const Row& row) {
    last_ = row.number;
    if (json_) {
      fmt::print("{}\n", json_line(row));
      return;
    }
    rows_.push_back(log_cells(row));
    if (rows_.size() == batch) flush();
  }
  void flush() {
    fmt::print("{}", table_.lines(rows_));
    rows_.clear();
  }
  [[nodiscard]] std::int64_t last() const { return last_; }

 private:
  bool json_;
  Table table_;
  std::vector<std::vector<Cell>> rows_;
  std::int64_t last_ = 0;
};

void print_rows(const Store& record, const Filter& filter, Printer& printer) {
  record.read(filter, [&](const Row& row) {
    printer.add(row);
    return true;
  });
  printer.flush();
}

// False when nobody reads any more.
bool wait_a_little() {
  pollfd out{.fd = STDOUT_FILENO, .events = 0, .revents = 0};
  return ::poll(&out, 1, follow_ms) == 0;
}

int follow(Filter filter, Printer& printer) {
  std::optional<Store> record = open_settled_record();
  if (!record) std::fputs("nothing is on record yet; waiting\n", stderr);
  if (record && filter.latest == 0 && !filter.since) filter.latest = first_followed;
  while (true) {
    if (!record) record = open_record(Store::Access::read);
    if (record) {
      // Whether one of them was shown or not: what comes next is what is behind them all.
      const std::int64_t end = record->head().rows;
      print_rows(*record, filter, printer);
      filter.after = std::max(end, printer.last());
      filter.latest = 0;
    }
    finish_output();
    if (!wait_a_little()) return 0;
  }
}

int verify(const Store& record, const LogOptions& options, const Terminal& terminal) {
  store::Head head = record.head();
  std::optional<store::Damage> damage = record.verify();
  if (options.json) {
    fmt::print(R"({{"whole":{},"rows":{},"hash":"{}","number":{},"what":"{}"}})"
               "\n",
               !damage, head.rows, base::escape(head.hash), damage ? damage->number : 0, damage ? damage->what : "");
    return damage ? 1 : 0;
  }
  if (damage) {
    return refuse({{.message = "the record is not as it was written: " + damage->what,
                    .hint = "what stands before that is whole; keep a copy of the file, and ask who could write it"}},
                  terminal, base::ExitCode::failed);
  }
  fmt::print("the record is whole: {} row{}, the last hash is {}\n", head.rows, head.rows == 1 ? "" : "s", head.hash);
  return 0;
}

int sum_up(const Store& record, Filter filter, const LogOptions& options, const Terminal& terminal) {
  filter.kind = "connect";
  NetSums sums;
  record.read(filter, [&](const Row& row) {
    sums.add(row);
    return true;
  });
  if (options.json) {
    fmt::print("{}", sums.json_lines());
  } else if (!sums.empty()) {
    fmt::print("{}", Table(sums.heads(), terminal.out, terminal_width()).lines(sums.rows()));
  } else {
    std::fputs("no connection on record fits that\n", stderr);
  }
  return 0;
}

}  // namespace

int log(const LogOptions& options, const Terminal& terminal) {
  base::Result<Filter> filter = filter_of(options);
  if (!filter) return refuse(filter.error(), terminal, base::ExitCode::usage);
  Printer printer(options, terminal);
  if (options.follow) return follow(*filter, printer);
  std::optional<Store> record = options.verify ? open_record(Store::Access::read) : open_settled_record();
  if (!record) {
    std::fputs("nothing is on record yet: it begins with the first room that asks for something\n", stderr);
    return 0;
  }
  if (options.verify) return verify(*record, options, terminal);
  if (options.net) return sum_up(*record, *filter, options, terminal);
  print_rows(*record, *filter, printer);
  if (printer.last() == 0) std::fputs("nothing on record fits that\n", stderr);
  return 0;
}

}  // namespace agentbox::cli
