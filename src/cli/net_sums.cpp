#include "net_sums.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "agentbox/base/escape.hpp"

#include "moment.hpp"

namespace agentbox::cli {

namespace {

using Json = nlohmann::ordered_json;

// Whoever wrote the record may be another program: what is no number counts as none.
std::uint64_t number_in(const Json& detail, const char* key) {
  auto found = detail.is_object() ? detail.find(key) : detail.end();
  return found != detail.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

std::string amount(std::uint64_t bytes) {
  if (bytes < 10'000) return fmt::format("{} B", bytes);
  if (bytes < 10'000'000) return fmt::format("{} kB", bytes / 1000);
  return fmt::format("{} MB", bytes / 1'000'000);
}

}  // namespace

void NetSums::add(const store::Row& row) {
  const store::Event& event = row.event;
  const bool denied = event.what == store::Event::What::verdict && event.verdict != "allow";
  const bool ended = event.what == store::Event::What::outcome;
  if (!denied && !ended) return;
  Sum& sum = hosts_[event.summary];
  sum.last = std::max(sum.last, event.at);
  if (denied) {
    ++sum.denied;
    return;
  }
  const Json detail = Json::parse(event.detail, nullptr, false);
  ++sum.connections;
  sum.sent += number_in(detail, "sent");
  sum.received += number_in(detail, "received");
}

std::vector<std::pair<std::string, NetSums::Sum>> NetSums::sorted() const {
  std::vector<std::pair<std::string, Sum>> list(hosts_.begin(), hosts_.end());
  std::ranges::stable_sort(list, std::greater(), [](const auto& host) { return host.second.sent; });
  return list;
}

std::vector<std::string> NetSums::heads() const {
  return {"SENT", "RECEIVED", "CONNECTIONS", "DENIED", "LAST", "HOST"};
}

std::vector<std::vector<Cell>> NetSums::rows() const {
  std::vector<std::vector<Cell>> rows;
  for (const auto& [host, sum] : sorted()) {
    rows.push_back({{amount(sum.sent), Tint::strong},
                    {amount(sum.received)},
                    {std::to_string(sum.connections)},
                    {std::to_string(sum.denied), sum.denied > 0 ? Tint::bad : Tint::faint},
                    {local_minute(sum.last), Tint::faint},
                    {harmless(host)}});
  }
  return rows;
}

std::string NetSums::json_lines() const {
  std::string lines;
  for (const auto& [host, sum] : sorted()) {
    const Json json = {{"host", base::escape(host)},     {"sent", sum.sent},     {"received", sum.received},
                       {"connections", sum.connections}, {"denied", sum.denied}, {"last", rfc3339(sum.last)}};
    lines += json.dump(-1, ' ', true) + '\n';
  }
  return lines;
}

}  // namespace agentbox::cli
