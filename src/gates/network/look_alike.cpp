#include "look_alike.hpp"

#include <algorithm>

namespace agentbox::gates::network {

namespace {

// What it looks like at a glance.
std::string skeleton(std::string_view name) {
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const std::string_view two = name.substr(i, 2);
    if (two == "rn" || two == "vv") {
      out += two == "rn" ? 'm' : 'w';
      ++i;
    } else if (name[i] == '0') {
      out += 'o';
    } else if (name[i] == '1' || name[i] == 'i') {
      out += 'l';
    } else {
      out += name[i];
    }
  }
  return out;
}

// At most one letter is another, missing, too much, or two have changed places.
bool is_one_edit_away(std::string_view one, std::string_view other) {
  if (one.size() > other.size()) std::swap(one, other);
  if (other.size() - one.size() > 1) return false;
  const auto start = static_cast<std::size_t>(std::ranges::mismatch(one, other).in1 - one.begin());
  one.remove_prefix(start);
  other.remove_prefix(start);
  if (one.size() < other.size()) return one == other.substr(1);
  if (one.empty()) return true;
  if (one.substr(1) == other.substr(1)) return true;
  return one.size() > 1 && one[0] == other[1] && one[1] == other[0] && one.substr(2) == other.substr(2);
}

bool lies_below(std::string_view name, std::string_view domain) {
  return name.size() > domain.size() + 1 && name.ends_with(domain) && name[name.size() - domain.size() - 1] == '.';
}

// "a.co" is one edit away from every other such name.
constexpr std::size_t least = 6;

}  // namespace

std::optional<std::string> looks_like(std::string_view name, std::span<const std::string> known) {
  auto is_known = [name](const std::string& other) { return name == other || lies_below(name, other); };
  if (name.size() < least || std::ranges::any_of(known, is_known)) return std::nullopt;
  const std::string own = skeleton(name);
  auto passes_for = [&](const std::string& other) {
    return other.size() >= least && (is_one_edit_away(name, other) || own == skeleton(other));
  };
  const auto found = std::ranges::find_if(known, passes_for);
  return found == known.end() ? std::nullopt : std::optional(*found);
}

}  // namespace agentbox::gates::network
