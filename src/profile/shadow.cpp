// Rules that can never decide anything, because another rule of the same file covers them. Such a rule is a
// misunderstanding of its author's, and most often one about security; so it is an error. Only what is
// provable from the texts of one section of one file: across files it is how profiles are built.

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"

#include "covers.hpp"
#include "rows.hpp"

namespace agentbox::profile {

namespace {

// ---- lists of one kind: allow, ask, deny
// -----------------------------------------------------------------------

template <class T>
struct Ranked {
  std::string_view name;  // of the list
  int rank;               // the greater one wins
  const List<T>& list;
};

void report(base::Diagnostics& errors, const std::string& item, const Origin& at, const std::string& other,
            const Origin& where, std::string_view list, std::string_view other_list) {
  std::string place =
      list == other_list ? place_of(where, at.file) : fmt::format("{}, {}", other_list, place_of(where, at.file));
  errors.push_back(error_at(
      at, fmt::format("'{}' decides nothing: '{}' ({}) covers it", base::escape(item), base::escape(other), place),
      list == other_list ? "take one of the two out"
                         : fmt::format("{} beats {}; take one of the two out", other_list, list)));
}

// A grant with an `as` or `via` of its own says more than a wider one without: neither is idle.
bool same_quality(const HostRule& a, const HostRule& b) {
  return a.speech == b.speech && a.via == b.via;
}
template <class T>
bool same_quality(const T&, const T&) {
  return true;
}

template <class T, std::size_t N>
void check_ranked(const std::array<Ranked<T>, N>& lists, base::Diagnostics& errors) {
  for (const Ranked<T>& mine : lists) {
    for (std::size_t i = 0; i < mine.list.size(); ++i) {
      const auto& item = mine.list[i];
      auto covers_item = [&](const Ranked<T>& theirs, std::size_t k) {
        const auto& other = theirs.list[k];
        if (&other == &item || theirs.rank < mine.rank || !covers(other.value, item.value)) return false;
        if (theirs.rank > mine.rank) return true;
        bool mutual = covers(item.value, other.value);
        return same_quality(item.value, other.value) && (!mutual || k < i || &theirs != &mine);
      };
      const Located<T>* other = nullptr;
      std::string_view other_list;
      for (const Ranked<T>& theirs : lists) {
        for (std::size_t k = 0; k < theirs.list.size() && other == nullptr; ++k) {
          if (covers_item(theirs, k)) {
            other = &theirs.list[k];
            other_list = theirs.name;
          }
        }
      }
      if (other != nullptr)
        report(errors, canonical(item.value), item.origin, canonical(other->value), other->origin, mine.name,
               other_list);
    }
  }
}

// ---- patterns and paths: by their text, so that a long list stays cheap
// -----------------------------------------

struct Rule {
  int rank;
  bool directory;
  std::string_view list;
  const Origin* origin;
  bool path = false;  // of [files]: hidden by a directory's pattern too, and shown as it stands
};

bool is_any_depth(std::string_view text) {
  return text.find('/') == std::string_view::npos && !text.starts_with('$') && !text.starts_with('~');
}

class Tree {
 public:
  void add(const std::string& text, const Rule& rule) { rules_[text].push_back(rule); }

  // Is `text` beneath another rule that wins, or the same place named by a stronger one?
  void check(const std::string& text, const Rule& rule, base::Diagnostics& errors) const {
    bool reported = false;
    for (std::size_t end = text.find('/', 1); !reported; end = text.find('/', end + 1)) {
      std::string_view prefix = std::string_view(text).substr(0, end);
      reported = look(text, rule, prefix, prefix.size() == text.size(), errors);
      if (end == std::string::npos) break;
    }
    // "secrets" without a '/' matches each folder and file of that name, but for what may lie outside the
    // workspace.
    if (is_any_depth(text) || text.starts_with("${gitdirs}") || text.starts_with('/') || text.starts_with('~')) return;
    for (std::size_t begin = text.starts_with('$') ? text.find('/') + 1 : 0; !reported && begin < text.size();) {
      std::size_t end = std::min(text.find('/', begin), text.size());
      reported = look(text, rule, std::string_view(text).substr(begin, end - begin), end == text.size(), errors);
      begin = end + 1;
    }
  }

 private:
  bool look(const std::string& text, const Rule& rule, std::string_view prefix, bool last,
            base::Diagnostics& errors) const {
    auto found = rules_.find(std::string(prefix));
    if (found == rules_.end()) return false;
    for (const Rule& other : found->second) {
      if (other.origin == rule.origin || other.rank < rule.rank) continue;
      if (last && other.directory && !rule.directory && !rule.path) continue;  // it may be a file
      bool twin = prefix.size() == text.size() && other.rank == rule.rank && other.directory == rule.directory;
      if (twin) continue;  // each list refuses twins by itself
      report(errors, shown(text, rule), *rule.origin, shown(std::string(prefix), other), *other.origin, rule.list,
             other.list);
      return true;
    }
    return false;
  }

  static std::string shown(const std::string& text, const Rule& rule) { return rule.directory ? text + "/" : text; }

  std::unordered_map<std::string, std::vector<Rule>> rules_;
};

struct RankedPatterns {
  std::string_view name;
  int rank;
  const List<PatternText>& list;
};

void check_patterns(std::span<const RankedPatterns> lists, base::Diagnostics& errors) {
  Tree tree;
  auto each = [&](auto&& use) {
    for (const RankedPatterns& list : lists) {
      for (const auto& item : list.list)
        use(item.value.text, Rule{list.rank, item.value.directory, list.name, &item.origin});
    }
  };
  each([&](const std::string& text, const Rule& rule) { tree.add(text, rule); });
  each([&](const std::string& text, const Rule& rule) { tree.check(text, rule, errors); });
}

// At equal path ask beats read, read beats write; a longer path is a rule of its own. `hide` wins over all
// beneath it.
void check_files(const Draft& draft, base::Diagnostics& errors) {
  const auto& files = draft.own.files_section;
  std::unordered_map<std::string, Rule> strongest;
  struct Paths {
    std::string_view name;
    int rank;
    const List<PathText>& list;
  };
  std::array<Paths, 3> lists{Paths{"ask", 2, files.ask}, Paths{"read", 1, files.read}, Paths{"write", 0, files.write}};
  for (const Paths& paths : lists) {
    for (const auto& item : paths.list) {
      auto [other, added] = strongest.try_emplace(item.value.text, Rule{paths.rank, false, paths.name, &item.origin});
      if (!added)
        report(errors, item.value.text, item.origin, item.value.text, *other->second.origin, paths.name,
               other->second.list);
    }
  }
  Tree hidden;
  for (const auto& item : files.hide) hidden.add(item.value.text, Rule{3, false, "hide", &item.origin});
  for (const Paths& paths : lists) {
    for (const auto& item : paths.list)
      hidden.check(item.value.text, Rule{paths.rank, false, paths.name, &item.origin, true}, errors);
  }
  std::array<RankedPatterns, 1> hide{RankedPatterns{"hide", 3, files.hide}};
  check_patterns(hide, errors);
}

void check_environment(const Draft& draft, base::Diagnostics& errors) {
  const auto& environment = draft.own.environment;
  for (const auto& item : environment.pass) {
    for (const auto& [name, value] : environment.set) {
      if (name == item.value) report(errors, name, item.origin, name, value.origin, "pass", "set");
    }
  }
  check_ranked(std::array<Ranked<std::string>, 1>{{{"pass", 0, environment.pass}}}, errors);
}

}  // namespace

void check_shadows(const Draft& draft, base::Diagnostics& errors) {
  const Profile& own = draft.own;
  check_ranked(
      std::array<Ranked<HostRule>, 3>{
          {{"deny", 2, own.network.deny}, {"ask", 1, own.network.ask}, {"allow", 0, own.network.allow}}},
      errors);
  check_ranked(
      std::array<Ranked<CommandPattern>, 3>{
          {{"deny", 2, own.commands.deny}, {"ask", 1, own.commands.ask}, {"allow", 0, own.commands.allow}}},
      errors);
  check_ranked(std::array<Ranked<RecipientRule>, 4>{{{"deny", 2, own.messages.deny},
                                                     {"ask", 1, own.messages.ask},
                                                     {"allow", 0, own.messages.allow},
                                                     {"self", 0, own.messages.self}}},
               errors);
  check_ranked(std::array<Ranked<std::string>, 2>{{{"deny", 1, own.seccomp.deny}, {"allow", 0, own.seccomp.allow}}},
               errors);
  std::array<RankedPatterns, 3> workspace{RankedPatterns{"hide", 2, own.workspace.hide},
                                          RankedPatterns{"protect", 1, own.workspace.protect},
                                          RankedPatterns{"hold", 0, own.workspace.hold}};
  check_patterns(workspace, errors);
  check_files(draft, errors);
  check_environment(draft, errors);
}

}  // namespace agentbox::profile
