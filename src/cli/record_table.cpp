#include "record_table.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"

#include "moment.hpp"
#include "record_json.hpp"

namespace agentbox::cli {

namespace {

// Of a text that went through `harmless`: every code point takes one column, or two where East Asian scripts and
// pictures begin.
struct Glyph {
  std::size_t bytes, columns;
};

Glyph first_glyph(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  if (lead < 0xe0) return {lead < 0x80 ? 1U : 2U, 1};
  if (lead >= 0xf0) return {4, 2};
  const bool wide = lead > 0xe2 || (lead == 0xe1 && static_cast<unsigned char>(text[1]) < 0x86);
  return {3, wide ? 2U : 1U};
}

std::size_t columns_of(std::string_view text) {
  std::size_t columns = 0;
  while (!text.empty()) {
    Glyph glyph = first_glyph(text);
    columns += glyph.columns;
    text.remove_prefix(std::min(glyph.bytes, text.size()));
  }
  return columns;
}

// At most so many columns, broken at a space where there is one near the end.
std::string_view take_line(std::string_view& text, std::size_t width) {
  std::size_t bytes = 0, columns = 0, space = 0;
  while (bytes < text.size()) {
    Glyph glyph = first_glyph(text.substr(bytes));
    if (columns + glyph.columns > width) break;
    if (text[bytes] == ' ') space = bytes + 1;
    columns += glyph.columns;
    bytes += glyph.bytes;
  }
  bytes = std::min(bytes, text.size());
  if (bytes < text.size() && space > bytes / 2) bytes = space;
  std::string_view line = text.substr(0, bytes);
  text.remove_prefix(bytes);
  return line.substr(0, line.find_last_not_of(' ') + 1);
}

std::string_view code_of(Tint tint) {
  switch (tint) {
    case Tint::good: return "\033[32m";
    case Tint::bad: return "\033[31m";
    case Tint::warn: return "\033[33m";
    case Tint::faint: return "\033[2m";
    case Tint::strong: return "\033[1m";
    case Tint::none: break;
  }
  return {};
}

std::string tinted(std::string_view text, Tint tint, base::Colour colour) {
  std::string_view code = code_of(tint);
  if (colour == base::Colour::off || code.empty() || text.empty()) return std::string(text);
  return fmt::format("{}{}\033[0m", code, text);
}

// A name that somebody chose at length must not push the rest off the screen.
std::string brief(std::string_view text) {
  constexpr std::size_t most = 24;
  std::string shown = harmless(text);
  std::string_view rest = shown;
  if (columns_of(rest) <= most) return shown;
  return std::string(take_line(rest, most - 1)) + "…";
}

Cell verdict_cell(std::string_view verdict) {
  Tint tint = verdict == "allow" ? Tint::good : verdict == "deny" ? Tint::bad : Tint::warn;
  return {brief(verdict), tint};
}

// Of an outcome that is none: how it begins. The gates say so in these words; empty: it was done.
std::string_view undone_in(const store::Event& event) {
  if (event.what != store::Event::What::outcome || event.kind == "connect") return {};
  const std::string outcome = outcome_of(event);
  for (std::string_view word : {"not started", "not sent", "not paid", "not changed", "unknown"}) {
    if (outcome == word || outcome.starts_with(std::string(word) + ":")) return word;
  }
  return {};
}

Cell what_cell(const store::Event& event) {
  using What = store::Event::What;
  switch (event.what) {
    case What::session_began: return {"began", Tint::strong};
    case What::session_ended: return was_killed(event) ? Cell{"killed", Tint::warn} : Cell{"ended", Tint::strong};
    case What::request: return {"asked", Tint::faint};
    case What::verdict: return verdict_cell(event.verdict);
    case What::outcome: {
      // What became of a change at the end of a run is a word of its own.
      const std::string outcome = event.kind == "change" ? outcome_of(event) : std::string();
      if (outcome == "quarantined" || outcome == "restored" || outcome == "kept") return {outcome, Tint::faint};
      const std::string_view undone = undone_in(event);
      return undone.empty() ? Cell{"done", Tint::faint} : Cell{std::string(undone), Tint::warn};
    }
    case What::rule_added: return {"remembered", Tint::strong};
    case What::rule_revoked: return {"revoked", Tint::strong};
  }
  return {};
}

// Where nobody could be asked, nobody has decided. --json keeps the word of the record.
std::string by_of(const store::Event& event) {
  return event.by == "fault" && event.verdict == "unavailable" ? "nobody" : brief(event.by);
}

std::string summary_of(const store::Event& event) {
  const bool session =
      event.what == store::Event::What::session_began || event.what == store::Event::What::session_ended;
  if (event.summary.empty() && session) return "profile " + harmless(event.profile);
  // A person knows why; of what was refused without one, the first clause: the rest is advice to the agent.
  if (event.what == store::Event::What::verdict && event.verdict != "allow" && event.by != "human") {
    const std::string reason = reason_of(event);
    return harmless(event.summary) + (reason.empty() ? "" : " (" + harmless(reason.substr(0, reason.find(';'))) + ")");
  }
  const std::string_view undone = undone_in(event);
  if (undone.empty()) return harmless(event.summary);
  std::string why = harmless(outcome_of(event)).substr(undone.size());
  why.erase(0, why.find_first_not_of(": "));
  return harmless(event.summary) + (why.empty() ? "" : " (" + why + ")");
}

}  // namespace

std::string harmless(std::string_view text) {
  std::string out;
  while (true) {
    std::size_t end = text.find('\\');
    out += base::escape(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    out += '\\';
    text.remove_prefix(end + 1);
  }
}

// ---- the table ----

Table::Table(std::vector<std::string> heads, base::Colour colour, std::size_t width)
    : heads_(std::move(heads)), colour_(colour), width_(width) {
  for (const std::string& head : heads_) widths_.push_back(head.size());
}

std::string Table::line(const std::vector<Cell>& cells) const {
  std::string out;
  std::size_t column = 0;
  for (std::size_t i = 0; i + 1 < cells.size(); ++i) {
    const std::size_t padding = widths_[i] + 2 - std::min(columns_of(cells[i].text), widths_[i]);
    out += tinted(cells[i].text, cells[i].tint, colour_) + std::string(padding, ' ');
    column += widths_[i] + 2;
  }
  std::string_view rest = cells.back().text;
  // On a narrow terminal the terminal's own wrapping is the lesser evil.
  const std::size_t room = width_ >= column + 20 ? width_ - column : std::string_view::npos;
  out += tinted(take_line(rest, room), cells.back().tint, colour_);
  while (!rest.empty()) {
    out += '\n' + std::string(column, ' ');
    out += tinted(take_line(rest, room), cells.back().tint, colour_);
  }
  out.erase(out.find_last_not_of(' ') + 1);
  return out + '\n';
}

std::string Table::lines(std::span<const std::vector<Cell>> rows) {
  for (const std::vector<Cell>& row : rows) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i) widths_[i] = std::max(widths_[i], columns_of(row[i].text));
  }
  std::string out;
  if (state_ == Heads::due && !rows.empty()) {
    std::vector<Cell> heads;
    for (const std::string& head : heads_) heads.push_back({head, Tint::faint});
    out += line(heads);
    state_ = Heads::shown;
  }
  for (const std::vector<Cell>& row : rows) out += line(row);
  return out;
}

// ---- what stands in it ----

std::vector<std::string> log_heads() {
  return {"WHEN", "SESSION", "VERDICT", "BY", "KIND", "SUMMARY"};
}

std::vector<Cell> log_cells(const store::Row& row) {
  const store::Event& event = row.event;
  return {{local_second(event.at), Tint::faint}, {brief(event.session)}, what_cell(event), {by_of(event)},
          {brief(event.kind), Tint::faint},      {summary_of(event)}};
}

std::vector<std::string> rule_heads(Shown shown) {
  if (shown == Shown::all) return {"ID", "PROFILE", "FOR", "ANSWER", "KIND", "SINCE", "USED", "ENDED", "WHAT"};
  return {"ID", "PROFILE", "FOR", "ANSWER", "KIND", "SINCE", "USED", "WHAT"};
}

std::vector<Cell> rule_cells(const store::Remembered& answer, store::Time now, Shown shown) {
  std::string scope = answer.session.empty() ? "always" : brief(answer.session);
  if (answer.expires) scope += ", until " + local_minute(*answer.expires);
  std::vector<Cell> cells = {
      {fmt::format("{}", answer.id), Tint::strong},
      {brief(answer.profile)},
      {std::move(scope)},
      verdict_cell(answer.verdict == store::Remembered::Verdict::allow ? "allow" : "deny"),
      {brief(answer.kind), Tint::faint},
      {local_minute(answer.created), Tint::faint},
      {fmt::format("{}", answer.used)},
  };
  if (shown == Shown::all) {
    const bool over = !store::holds_at(answer, now);
    cells.push_back({answer.revoked ? "revoked " + local_minute(*answer.revoked) : over ? "expired" : "", Tint::warn});
  }
  cells.push_back({harmless(answer.shown)});
  return cells;
}

}  // namespace agentbox::cli
