// The room's git configuration. The owner's own file may run programs (aliases with '!', pagers, filters,
// hooks paths), name files that the room lacks, and hold credentials; so only keys from a list pass, and
// their values are written anew in git's grammar (git-config(1), "Syntax").

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "draft.hpp"

namespace agentbox::policy {

namespace {

using std::string_view_literals::operator""sv;

// "section." at the end: every key of that section. In lower case, as `git config --list` prints them.
constexpr std::array inert_keys = {
    "user.name"sv,
    "user.email"sv,
    "author."sv,
    "committer."sv,
    "init.defaultbranch"sv,
    // what is shown
    "color."sv,
    "column."sv,
    "advice."sv,
    "status."sv,
    "log.date"sv,
    "log.decorate"sv,
    "log.abbrevcommit"sv,
    "log.follow"sv,
    "format.pretty"sv,
    "pretty."sv,
    "blame."sv,
    "branch.sort"sv,
    "tag.sort"sv,
    "versionsort.suffix"sv,
    "help.autocorrect"sv,
    "core.quotepath"sv,
    "core.abbrev"sv,
    // how diffs are made
    "diff.algorithm"sv,
    "diff.colormoved"sv,
    "diff.colormovedws"sv,
    "diff.context"sv,
    "diff.interhunkcontext"sv,
    "diff.indentheuristic"sv,
    "diff.mnemonicprefix"sv,
    "diff.noprefix"sv,
    "diff.renames"sv,
    "diff.renamelimit"sv,
    "diff.submodule"sv,
    "diff.wserrorhighlight"sv,
    // how branches move
    "pull.rebase"sv,
    "pull.ff"sv,
    "push.default"sv,
    "push.autosetupremote"sv,
    "push.followtags"sv,
    "fetch.prune"sv,
    "fetch.prunetags"sv,
    "rebase.autosquash"sv,
    "rebase.autostash"sv,
    "rebase.updaterefs"sv,
    "rebase.stat"sv,
    "merge.conflictstyle"sv,
    "merge.ff"sv,
    "merge.stat"sv,
    "branch.autosetuprebase"sv,
    "branch.autosetupmerge"sv,
    "rerere.enabled"sv,
    "rerere.autoupdate"sv,
    "stash."sv,
    "submodule.recurse"sv,
    "checkout.defaultremote"sv,
    // how files are written
    "commit.verbose"sv,
    "commit.cleanup"sv,
    "commit.status"sv,
    "core.autocrlf"sv,
    "core.eol"sv,
    "core.safecrlf"sv,
    "core.whitespace"sv,
    "core.commentchar"sv,
    "apply.whitespace"sv,
    "transfer.fsckobjects"sv,
    "fetch.fsckobjects"sv,
};

constexpr std::array signing_keys = {"commit.gpgsign"sv, "tag.gpgsign"sv, "tag.forcesignannotated"sv, "push.gpgsign"sv};

// An alias is a git command line. '!' makes it a shell's; a leading option is git's own (-c sets any key),
// and some options of commands name programs.
bool is_plain_alias(std::string_view value) {
  constexpr std::array executing = {"--exec"sv,     "--config-env"sv, "--upload-pack"sv,         "--receive-pack"sv,
                                    "--ext-diff"sv, "--extcmd"sv,     "--open-files-in-pager"sv, "--tool"sv,
                                    "--textconv"sv};
  std::size_t begin = value.find_first_not_of(" \t\n");
  if (begin == std::string_view::npos || value[begin] == '!' || value[begin] == '-') return false;
  return std::ranges::none_of(executing,
                              [&](std::string_view option) { return value.find(option) != std::string_view::npos; });
}

// "section.key" or "section.sub.section.key".
struct Key {
  std::string_view section, subsection, name;
};
std::optional<Key> take_apart(std::string_view key) {
  std::size_t first = key.find('.'), last = key.rfind('.');
  if (first == std::string_view::npos || first == 0) return std::nullopt;
  Key parts{key.substr(0, first), first == last ? std::string_view() : key.substr(first + 1, last - first - 1),
            key.substr(last + 1)};
  auto is_word = [](std::string_view word) {
    return !word.empty() && std::ranges::all_of(word, [](unsigned char c) { return std::isalnum(c) != 0 || c == '-'; });
  };
  if (!is_word(parts.section) || !is_word(parts.name) || std::isalpha(static_cast<unsigned char>(parts.name[0])) == 0) {
    return std::nullopt;
  }
  return parts;
}

// Nothing when it holds what git's grammar can't carry safely.
std::optional<std::string> quoted(std::string_view text, bool is_value) {
  std::string out = "\"";
  for (char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n':
        if (!is_value) return std::nullopt;
        out += "\\n";
        break;
      case '\t':
        if (!is_value) return std::nullopt;
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return std::nullopt;
        out += c;
    }
  }
  return out + '"';
}

bool is_true(std::string_view value) {
  return value != "false" && value != "no" && value != "off" && value != "0";
}

}  // namespace

bool is_inert_git_key(std::string_view key) {
  return std::ranges::any_of(inert_keys, [&](std::string_view inert) {
    return inert.ends_with('.') ? key.starts_with(inert) && key.size() > inert.size() : key == inert;
  });
}

InertConfig inert_git_config(const std::vector<std::pair<std::string, std::string>>& config) {
  InertConfig result;
  std::string open_section;
  auto append = [&](const Key& key, std::string_view value) {
    std::optional<std::string> subsection = quoted(key.subsection, false), text = quoted(value, true);
    if (!subsection || !text) return false;
    std::string header = "[" + std::string(key.section) + (key.subsection.empty() ? "" : " " + *subsection) + "]\n";
    if (header != open_section) result.text += header;
    open_section = std::move(header);
    result.text += "\t" + std::string(key.name) + " = " + *text + "\n";
    return true;
  };
  for (const auto& [name, value] : config) {
    std::optional<Key> key = take_apart(name);
    bool is_alias = key && key->section == "alias" && key->subsection.empty();
    bool passes = key && (is_alias ? is_plain_alias(value) : is_inert_git_key(name));
    if (!passes || !append(*key, value)) ++result.left_out;
    if (std::ranges::find(signing_keys, name) != signing_keys.end() && is_true(value)) result.signs = true;
  }
  if (result.signs) {
    append({"commit", "", "gpgsign"}, "false");
    append({"tag", "", "gpgsign"}, "false");
    append({"tag", "", "forcesignannotated"}, "false");
    append({"push", "", "gpgsign"}, "false");
  }
  return result;
}

}  // namespace agentbox::policy
