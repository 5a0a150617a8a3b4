// Any bytes on record, as `agentbox log` and `agentbox rules` show them. Beyond "no crash": a terminal gets nothing that
// it would act upon, a row stays one row, and JSON is JSON.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "moment.hpp"
#include "record_json.hpp"
#include "record_table.hpp"

namespace {

using namespace agentbox;
using namespace agentbox::cli;

void need(bool holds) {
  if (!holds) std::abort();
}

void check_table(std::vector<std::string> heads, const std::vector<Cell>& cells, std::size_t width) {
  const std::vector<std::vector<Cell>> rows = {cells};
  const std::string text = Table(std::move(heads), base::Colour::off, width).lines(rows);
  std::size_t lines = 0;
  for (char c : text) {
    need(c == '\n' || (c & 0x80) != 0 || (c >= 0x20 && c < 0x7f));
    lines += c == '\n';
  }
  need(width != 0 || lines == 2);
  // C1 controls would come as UTF-8.
  for (std::size_t at = 0; (at = text.find('\xc2', at)) != std::string::npos; ++at) {
    need(static_cast<unsigned char>(text[at + 1]) >= 0xa0);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const store::Time now(std::chrono::milliseconds(1'700'000'000'000));
  (void)parse_moment(bytes, now);

  for (auto what : {store::Event::What::session_began, store::Event::What::verdict}) {
    store::Row row{.number = 1,
                   .event = {.what = what,
                             .at = now,
                             .session = bytes,
                             .profile = bytes,
                             .question = bytes,
                             .kind = bytes,
                             .summary = bytes,
                             .digest = bytes,
                             .verdict = bytes,
                             .by = bytes,
                             .detail = bytes},
                   .answer = bytes,
                   .previous = bytes,
                   .hash = bytes};
    for (std::size_t width : {0U, 70U, 200U}) check_table(log_heads(), log_cells(row), width);
    const std::string line = json_line(row);
    need(nlohmann::json::accept(line));
    for (char c : line) need(c >= 0x20 && c < 0x7f);
  }

  store::Remembered answer{.id = 1, .profile = bytes, .session = bytes, .kind = bytes, .rule = bytes, .shown = bytes};
  for (Shown shown : {Shown::holding, Shown::all}) check_table(rule_heads(shown), rule_cells(answer, now, shown), 0);
  need(nlohmann::json::accept(json_of({answer}, now)));
  return 0;
}
