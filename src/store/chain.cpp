#include "chain.hpp"

#include <array>
#include <initializer_list>

#include "names.hpp"

namespace agentbox::store {

namespace {

// With its length before it: no two lists of texts have the same bytes.
void add(base::Sha256& hash, std::string_view text) {
  std::array<std::byte, 8> length{};
  for (std::size_t i = 0; i < length.size(); ++i) {
    length[i] = static_cast<std::byte>(static_cast<std::uint64_t>(text.size()) >> (8 * (7 - i)));
  }
  hash.update(length).update(text);
}

void add_all(base::Sha256& hash, std::initializer_list<std::string_view> texts) {
  for (std::string_view text : texts) add(hash, text);
}

std::string decimal(Time time) {
  return std::to_string(time.time_since_epoch().count());
}

}  // namespace

base::Sha256 hash_but_number(const Row& row) {
  const Event& event = row.event;
  base::Sha256 hash;
  add_all(hash,
          {"agentbox audit 1", row.previous, name_of(event.what), decimal(event.at), event.session, event.profile,
           event.question, event.kind, event.summary, event.digest, event.verdict, event.by, event.detail, row.answer});
  return hash;
}

std::string finish(base::Sha256 hash, std::int64_t number) {
  add(hash, std::to_string(number));
  return hash.digest();
}

std::string hash_of(const Row& row) {
  return finish(hash_but_number(row), row.number);
}

std::string hash_of(const Remembered& answer) {
  base::Sha256 hash;
  add_all(hash, {"agentbox answer 1", std::to_string(answer.id), answer.profile, answer.session, answer.kind,
                 name_of(answer.verdict), name_of(answer.breadth), answer.rule, answer.shown, decimal(answer.created),
                 answer.expires ? decimal(*answer.expires) : ""});
  return hash.digest();
}

}  // namespace agentbox::store
