#include "agentbox/base/diagnostic.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"

namespace agentbox::base {

namespace {

struct Style {
  std::string_view bold, red, yellow, cyan, dim, off;
};
constexpr Style styles[] = {{"", "", "", "", "", ""},
                            {"\033[1m", "\033[1;31m", "\033[1;33m", "\033[1;36m", "\033[2m", "\033[0m"}};

std::size_t edits(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      std::size_t above = row[j];
      row[j] = a[i - 1] == b[j - 1] ? diagonal : 1 + std::min({diagonal, above, row[j - 1]});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::unexpected<Diagnostics> fail(std::string message, std::string hint) {
  return std::unexpected(Diagnostics{{.message = std::move(message), .hint = std::move(hint)}});
}

std::string render(const Diagnostic& diagnostic, Colour colour) {
  const Style& style = styles[colour == Colour::on ? 1 : 0];
  std::string out;
  auto to = std::back_inserter(out);
  if (diagnostic.file.empty()) {
    out += "agentbox: ";
  } else {
    fmt::format_to(to, "{}{}", style.bold, escape(diagnostic.file));
    if (diagnostic.at.line > 0) fmt::format_to(to, ":{}:{}", diagnostic.at.line, diagnostic.at.column);
    fmt::format_to(to, ":{} ", style.off);
  }
  switch (diagnostic.severity) {
    case Severity::error: fmt::format_to(to, "{}error:{} ", style.red, style.off); break;
    case Severity::warning: fmt::format_to(to, "{}warning:{} ", style.yellow, style.off); break;
    case Severity::note: fmt::format_to(to, "{}note:{} ", style.cyan, style.off); break;
  }
  fmt::format_to(to, "{}\n", diagnostic.message);
  if (diagnostic.at.line > 0 && !diagnostic.source_line.empty()) {
    // The caret stands under the escaped text: what precedes it may have grown.
    std::string_view line = diagnostic.source_line;
    std::size_t begin = std::min<std::size_t>(diagnostic.at.column - 1, line.size());
    std::size_t length = std::min<std::size_t>(std::max(diagnostic.at.length, 1U), line.size() - begin);
    std::string before = escape(line.substr(0, begin));
    std::string marked = escape(line.substr(begin, length));
    fmt::format_to(to, "    {}{}{}\n", before, marked, escape(line.substr(begin + length)));
    fmt::format_to(to, "    {:{}}{}^{:~<{}}{}\n", "", before.size(), style.red, "",
                   marked.empty() ? 0 : marked.size() - 1, style.off);
  }
  if (!diagnostic.hint.empty()) fmt::format_to(to, "{}hint:{} {}\n", style.cyan, style.off, diagnostic.hint);
  return out;
}

std::string render(const Diagnostics& diagnostics, Colour colour) {
  std::string out;
  for (const Diagnostic& diagnostic : diagnostics) {
    if (!out.empty()) out += '\n';
    out += render(diagnostic, colour);
  }
  return out;
}

std::string_view nearest(std::string_view word, const std::vector<std::string_view>& candidates) {
  std::size_t bound = word.size() < 5 ? 1 : 2;
  std::string_view best;
  for (std::string_view candidate : candidates) {
    std::size_t distance = edits(word, candidate);
    if (distance <= bound) {
      best = candidate;
      if (distance == 0) break;
      bound = distance - 1;
    }
  }
  return best;
}

}  // namespace agentbox::base
