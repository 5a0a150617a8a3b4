#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"

#include "draft.hpp"
#include "floor.hpp"

namespace agentbox::policy {

namespace {

using base::AbsPath;

void refuse_impossible_homes(Draft& draft) {
  if (!draft.facts.user.home.is_root()) return;
  draft.error({}, "your home directory is /, so there is nothing to keep apart from the system",
              "set HOME to a folder of your own");
}

bool wants_git_config(const Draft& draft) {
  return draft.profile.git.config && draft.profile.git.config->value == profile::GitConfig::inert;
}

}  // namespace

void place_mounts(Draft& draft) {
  Policy& policy = draft.policy;
  policy.mounts = draft.tree.mounts();
  for (std::string_view file : masked_files) {
    AbsPath path = *AbsPath::parse(file);
    if (draft.resolve(path).kind != FileKind::regular) continue;  // a kernel without keyrings
    policy.mounts.push_back({.target = path,
                             .source = path,
                             .kind = FileKind::regular,
                             .access = Access::hidden,
                             .why = Mount::Why::floor});
  }
  std::map<AbsPath, std::string> links;
  for (const Resolution::Link& link : draft.links) {
    // Elsewhere the link is there already, as a part of what is granted.
    if (draft.tree.at(link.at).access == Access::hidden) links.emplace(link.at, link.target);
  }
  links.emplace(*AbsPath::parse("/etc/mtab"), "../proc/self/mounts");
  for (auto& [at, to] : links) policy.room_links.push_back({.target = at, .to = std::move(to)});
  std::ranges::sort(policy.tmpfs, {}, &Tmpfs::target);
  std::erase_if(policy.to_make, [&](const ToMake& make) { return !draft.tree.is_writable(make.path); });
}

// Each command of the host that a rule may grant is found in the room by its name, before the room's own of that name:
// what no rule speaks of, the shim hands on to that one.
void place_shims(Draft& draft) {
  auto add = [&](const profile::List<profile::CommandPattern>& list) {
    for (const auto& rule : list) {
      if (rule.value.words.empty()) continue;
      std::string_view word = rule.value.words.front();
      std::string name(word.substr(word.rfind('/') + 1));
      if (name == room_program) continue;
      std::optional<AbsPath> target = AbsPath::parse(std::string(shim_folder) + "/" + name);
      auto& links = draft.policy.room_links;
      if (!target || std::ranges::find(links, *target, &RoomLink::target) != links.end()) continue;
      links.push_back({.target = *target, .to = std::string(room_program)});
    }
  };
  add(draft.profile.commands.allow);
  add(draft.profile.commands.ask);
}

// What it holds opens the owner's account at the server: no room reads it, and none leads agentbox to another file.
void decide_key_file(Draft& draft, const profile::Located<profile::PathText>& named) {
  base::Result<AbsPath> path = expand(named, draft.places);
  if (!path) return draft.fail(path.error());
  const Resolution found = draft.resolve(*path);
  std::vector<AbsPath> all{*path, found.path};
  for (const Resolution::Link& link : found.links) all.push_back(link.at);
  for (const AbsPath& one : all) {
    if (draft.tree.at(one).access == Access::hidden || draft.tree.hidden_by(one) != nullptr) continue;
    return draft.error(named.origin, fmt::format("the room could read the reviewer's key in {}", shown(one)),
                       "keep it where nothing is granted, such as ~/.config/agentbox");
  }
  if (found.kind != FileKind::regular) {
    return draft.error(named.origin,
                       fmt::format("{} {}", shown(*path),
                                   found.kind == FileKind::missing ? "does not exist" : "is no file that you can read"),
                       "its first line is what the reviewer's server wants to hear");
  }
  draft.policy.approval.reviewer->key_file = *path;
}

void decide_reviewer(Draft& draft) {
  const auto& asked = draft.profile.approval;
  Approval& approval = draft.policy.approval;
  if (!asked.reviewer) return;
  approval.reviewer = reviewer_at(asked.reviewer->value);
  if (!approval.reviewer) return;
  if (asked.reviewer_key_file) decide_key_file(draft, *asked.reviewer_key_file);
  if (asked.reviewer_model) approval.reviewer->model = asked.reviewer_model->value;
  if (asked.reviewer_instructions) approval.reviewer->instructions = asked.reviewer_instructions->value;
  if (asked.reviewer_timeout) approval.reviewer->timeout = asked.reviewer_timeout->value;
  if (asked.reviewer_remote && asked.reviewer_remote->value && approval.reviewer->scheme == Reviewer::Scheme::https) {
    draft.note(Note::Kind::exposes,
               fmt::format("what each question shows is sent to {}", base::escape(url_of(*approval.reviewer))),
               asked.reviewer->origin);
  }
  if (!asked.require || asked.require->value != profile::Require::human_and_reviewer) return;
  approval.consent = Consent::human_and_reviewer;
  if (!asked.friction) return;
  const profile::Friction& friction = asked.friction->value;
  approval.friction.wait = friction.wait;
  const bool typed = friction.phrase == profile::Friction::Phrase::typed;
  approval.friction.phrase = typed ? Friction::Phrase::typed : Friction::Phrase::none;
  if (friction.wait < approval.timeout) return;
  draft.error(asked.friction->origin, "nobody could say yes: a question is denied before this wait is over",
              "[approval] timeout says when");
}

void decide_approval(Draft& draft) {
  const auto& asked = draft.profile.approval;
  Approval& approval = draft.policy.approval;
  if (asked.timeout) approval.timeout = asked.timeout->value;
  if (asked.notify) approval.notify = asked.notify->value;
  decide_reviewer(draft);
  if (!asked.questions) return;
  const profile::Budget& budget = asked.questions->value;
  approval.questions = static_cast<std::size_t>(budget.amount);
  approval.questions_in = budget.every;
  if (budget.every.count() > 0) return;
  switch (budget.period) {
    case profile::Period::session: approval.questions_in = std::chrono::seconds(0); break;
    case profile::Period::minute: approval.questions_in = std::chrono::minutes(1); break;
    case profile::Period::hour: approval.questions_in = std::chrono::hours(1); break;
    case profile::Period::day: approval.questions_in = std::chrono::hours(24); break;
  }
}

// Sums of two currencies can't be compared, so one profile has one.
void decide_spending(Draft& draft) {
  const auto& spending = draft.profile.spending;
  if (!spending.limit) {
    if (spending.pay_command) {
      draft.note(Note::Kind::warning, "every payment is denied: [spending] limit is missing",
                 spending.pay_command->origin);
    }
    return;
  }
  const std::string& currency = spending.limit->value.unit;
  for (const auto* other : {&spending.single, &spending.per_recipient}) {
    if (!*other || (*other)->value.unit == currency) continue;
    draft.error((*other)->origin, fmt::format("the limit is in {}, this is in {}", currency, (*other)->value.unit),
                "one profile has one currency");
  }
  if (!spending.pay_command) {
    draft.note(Note::Kind::warning, "nothing can be paid: [spending.pay] command is missing", spending.limit->origin);
  }
}

void place_files(Draft& draft) {
  base::Result<std::vector<RoomFile>> files = etc_files(draft.policy.user, draft.policy.outside);
  if (!files) {
    draft.fail(files.error());
    return;
  }
  draft.policy.room_files = *std::move(files);
  draft.policy.room_files.push_back(
      {.target = *AbsPath::parse("/run/agentbox/SKILL.md"), .content = room_skill(rules_of(draft.profile))});
  std::string git_config;
  if (!draft.facts.repositories.empty()) {
    place_git_hooks(draft);
    git_config = git_hooks_config();
  }
  if (wants_git_config(draft)) {
    const profile::Origin& origin = draft.profile.git.config->origin;
    InertConfig config = inert_git_config(draft.facts.git_config);
    git_config += config.text;
    if (config.signs) draft.note(Note::Kind::changed, "git signs nothing in the room: your keys are not in it", origin);
    if (config.left_out > 0) {
      draft.note(Note::Kind::changed,
                 config.left_out == 1
                     ? std::string("one entry of your git configuration is left out: it runs a program or names a file")
                     : fmt::format("{} entries of your git configuration are left out: they run programs or name files",
                                   config.left_out),
                 origin);
    }
  }
  if (!git_config.empty()) {
    draft.policy.room_files.push_back({.target = *AbsPath::parse("/etc/gitconfig"), .content = std::move(git_config)});
  }
  // A file that the profile grants by name stands in the place of the generated one.
  std::erase_if(draft.policy.room_files,
                [&](const RoomFile& file) { return draft.tree.at(file.target).access != Access::hidden; });
  std::ranges::sort(draft.policy.room_files, {}, &RoomFile::target);
}

std::shared_ptr<const profile::Profile> with_flags(const profile::Profile& profile, const Flags& flags) {
  if (flags.read.empty() && flags.write.empty() && flags.hide.empty() && flags.allow.empty()) {
    return {std::shared_ptr<const void>(), &profile};
  }
  auto merged = std::make_shared<profile::Profile>(profile);
  auto append = [](auto& list, const auto& more) { list.insert(list.end(), more.begin(), more.end()); };
  append(merged->files_section.read, flags.read);
  append(merged->files_section.write, flags.write);
  append(merged->files_section.hide, flags.hide);
  append(merged->network.allow, flags.allow);
  return merged;
}

base::Result<Policy> decide(const profile::Profile& profile, const HostFacts& facts, const Flags& flags) {
  const std::shared_ptr<const profile::Profile> merged = with_flags(profile, flags);
  Draft draft(*merged, facts, flags);
  draft.policy.profile = profile.name;
  draft.policy.files = profile.files;
  draft.policy.user = facts.user;
  draft.policy.repositories = facts.repositories;

  refuse_impossible_homes(draft);
  decide_limits(draft);
  // Every grant, then what is taken from them: hide before protect, protect before hold, as DESIGN §3 ranks
  // them.
  grant_system(draft);
  grant_devices(draft);
  grant_workspace(draft);
  grant_git(draft);
  grant_files(draft);
  mark_hidden(draft);
  mark_protected(draft);
  report_lost_grants(draft);
  mark_held(draft);
  place_mounts(draft);
  place_shims(draft);
  choose_shell(draft);
  decide_network(draft);
  place_files(draft);

  decide_environment(draft);
  draft.policy.rules = rules_of(*merged);
  decide_approval(draft);
  decide_spending(draft);
  for (const auto& item : merged->seccomp.allow) draft.policy.seccomp_allow.push_back(item.value);
  for (const auto& item : merged->seccomp.deny) draft.policy.seccomp_deny.push_back(item.value);
  draft.policy.nested_userns =
      std::ranges::find(draft.policy.seccomp_allow, "userns") != draft.policy.seccomp_allow.end();
  say_what_it_exposes(draft);
  if (!draft.errors.empty()) return std::unexpected(std::move(draft.errors));
  return std::move(draft.policy);
}

}  // namespace agentbox::policy
