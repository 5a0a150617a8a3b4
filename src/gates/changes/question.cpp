#include "question.hpp"

#include <utility>

#include <fmt/format.h>

#include "agentbox/base/diff.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/base/sha256.hpp"

namespace agentbox::gates::changes {

namespace {

using Grade = policy::Standing::Grade;
using Weight = prompt::Fact::Weight;
using Shown = prompt::Fact::Shown;

// What stands behind the difference that is shown.
const std::string& shown_before(const Proposal& proposal) {
  return proposal.original ? proposal.original->content : proposal.target.content;
}
bool was_there(const Proposal& proposal) {
  if (proposal.original) return proposal.original->was != Original::Was::missing;
  return proposal.target.is == Target::Is::file;
}

std::string title(const Proposal& proposal) {
  const char* verb = !proposal.content ? "remove" : was_there(proposal) ? "change" : "make";
  const char* what = "a file";
  if (proposal.standing.grade == Grade::protected_) what = "a protected file";
  if (proposal.standing.grade == Grade::held) what = "a held file";
  return fmt::format("{} {}", verb, what);
}

std::string bytes(std::uint64_t count) {
  return fmt::format("{} {}", count, count == 1 ? "byte" : "bytes");
}

std::string guarded_as(const policy::Standing& standing) {
  std::string line;
  if (standing.origin) {
    line = standing.origin->at.line == 0 ? fmt::format(" ({})", standing.origin->file)
                                         : fmt::format(" ({}:{})", standing.origin->file, standing.origin->at.line);
  }
  switch (standing.grade) {
    case Grade::protected_: return "protected: read-only in the room" + line;
    case Grade::held: return "held: what the agent writes there is kept only with your yes" + line;
    case Grade::ordinary: break;
  }
  return "ordinary: the agent could write it itself";
}

std::string mode_of(const Target& target) {
  if (target.is == Target::Is::missing) return "0644, not executable";
  const bool runs = (target.mode & 0111U) != 0;
  return fmt::format("{:04o} as before, {}", target.mode, runs ? "executable" : "not executable");
}

void add_facts(const Proposal& proposal, const base::Diff& diff, broker::Asked& asked) {
  auto fact = [&asked](std::string label, std::string value, Weight weight = Weight::normal,
                       Shown shown = Shown::always) {
    asked.facts.push_back({.label = std::move(label), .value = std::move(value), .weight = weight, .shown = shown});
  };
  const Target& target = proposal.target;
  fact("file", guarded_as(proposal.standing));
  if (!proposal.standing.becomes.empty()) {
    const bool guarded = proposal.standing.grade != Grade::ordinary;
    fact("outside", proposal.standing.becomes, guarded ? Weight::warning : Weight::normal);
  }
  if (proposal.content) {
    fact("mode", mode_of(target));
    std::string size = bytes(proposal.content->size());
    if (was_there(proposal)) size += fmt::format(", before {}", shown_before(proposal).size());
    if (diff.kind == base::Diff::Kind::text)
      size += fmt::format("; lines: {} added, {} removed", diff.added, diff.removed);
    fact("size", std::move(size));
  } else {
    fact("size", "before " + bytes(shown_before(proposal).size()));
  }
  if (proposal.original && target.sha256 != base::sha256(proposal.original->content) && was_there(proposal)) {
    fact("caution", "the agent has changed it already; the difference is to what was there before the run",
         Weight::warning);
  }
  if (!target.missing.empty()) {
    std::string made;
    for (const std::string& name : target.missing) made += name + "/";
    fact("makes", "the folder " + made);
  }
  if (target.names > 1) {
    fact("caution", fmt::format("the file has {} names; under the others it stays as it is", target.names),
         Weight::warning);
  }
  if (diff.kind == base::Diff::Kind::binary) {
    fact("caution", "it is not text: what changes can't be shown", Weight::warning);
  }
  const Shown hashes = diff.kind == base::Diff::Kind::binary ? Shown::always : Shown::details;
  if (target.is == Target::Is::file) fact("was", target.sha256, Weight::normal, hashes);
  if (proposal.content) fact("becomes", base::sha256(*proposal.content), Weight::normal, hashes);
}

}  // namespace

policy::Change change_of(const Target& target, const std::optional<std::string>& content) {
  return {.path = target.path,
          .before = target.sha256,
          .after = content ? base::sha256(*content) : std::string(),
          .size = content ? content->size() : 0};
}

std::expected<broker::Asked, std::string> question_about(const Proposal& proposal) {
  const std::string name = base::escape(proposal.target.path.str());
  const std::string after = proposal.content.value_or("");
  base::Diff diff = base::unified_diff(shown_before(proposal), after);
  if (diff.kind == base::Diff::Kind::too_long) {
    return std::unexpected(
        fmt::format("the difference is too long for a person to read (lines: {} added, {} removed): "
                    "propose less at once, or tell the owner what to change",
                    diff.added, diff.removed));
  }
  broker::Asked asked;
  asked.title = title(proposal);
  asked.subject = proposal.target.path.str();
  asked.said = proposal.said;
  asked.content = diff.text;
  asked.action = change_of(proposal.target, proposal.content);
  add_facts(proposal, diff, asked);
  return asked;
}

}  // namespace agentbox::gates::changes
