#include "agentbox/policy/near.hpp"

#include <algorithm>
#include <cstddef>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"

namespace agentbox::policy {

namespace {

using Words = std::vector<std::string>;

bool is_option(const std::string& word) {
  return word.starts_with('-');
}

bool is_plain(const std::string& option) {
  return option.size() > 1 && option.size() <= 30 &&
         option.find_first_not_of("-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") ==
             std::string::npos;
}

// The rule with the options that stand where its last "**" begins; nothing where that would not match either.
std::string with_options(const profile::CommandPattern& rule, const Words& argv) {
  if (rule.words.empty() || rule.words.back() != "**") return {};
  const std::size_t fixed = rule.words.size() - 1;
  profile::CommandPattern wider{.text = {}, .words = {rule.words.begin(), rule.words.end() - 1}};
  for (std::size_t i = fixed; i < argv.size() && is_option(argv[i]); ++i) {
    if (!is_plain(argv[i])) return {};
    wider.words.push_back(argv[i]);
  }
  wider.words.emplace_back("**");
  if (!matches(wider, argv)) return {};
  std::string text = rule.text.substr(0, rule.text.size() - 2);
  for (std::size_t i = fixed; i + 1 < wider.words.size(); ++i) text += wider.words[i] + ' ';
  return text + "**";
}

}  // namespace

std::string near_rule(const Rules& rules, const Words& argv) {
  for (const auto* list : {&rules.commands.ask, &rules.commands.allow}) {
    for (const auto& rule : *list) {
      Words bare = argv;
      std::erase_if(bare, [&](const std::string& word) {
        return is_option(word) && std::ranges::find(rule.value.words, word) == rule.value.words.end();
      });
      if (bare.size() == argv.size() || matches(rule.value, argv) || !matches(rule.value, bare)) continue;
      const std::string wider = with_options(rule.value, argv);
      return fmt::format("'{}' comes near, but '*' and '**' match no option{}", base::escape(rule.value.text),
                         wider.empty() ? "" : fmt::format("; '{}' would", base::escape(wider)));
    }
  }
  return {};
}

}  // namespace agentbox::policy
