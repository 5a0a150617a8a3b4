// A file and all that it extends → one Profile.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <unordered_map>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/profile/host_rules.hpp"

#include "covers.hpp"
#include "rows.hpp"

namespace agentbox::profile {

namespace {

// A set of files is a 64-bit mask; nobody needs more building blocks.
constexpr std::size_t file_limit = 64;

class Loader {
 public:
  Loader(const Lookup& find, base::Diagnostics& errors) : find_(find), errors_(errors) {}

  // Reads `source` and, below it, its parents. The drafts come in the order of merging: parents before
  // children.
  std::optional<std::size_t> read(const Source& source) {
    if (auto known = done_.find(source.file); known != done_.end()) return known->second;
    if (drafts_.size() + chain_.size() >= file_limit) {
      too_many_ = true;
      return std::nullopt;
    }
    Draft draft = read_draft(source, errors_);
    chain_.push_back(source.file);
    std::uint64_t ancestors = 0;
    for (const Wanted& wanted : draft.parents) {
      if (std::optional<std::size_t> parent = follow(wanted))
        ancestors |= ancestors_[*parent] | std::uint64_t{1} << *parent;
    }
    chain_.pop_back();
    if (too_many_) return std::nullopt;
    drafts_.push_back(std::move(draft));
    ancestors_.push_back(ancestors);
    done_.emplace(source.file, drafts_.size() - 1);
    return drafts_.size() - 1;
  }

  [[nodiscard]] const std::vector<Draft>& drafts() const { return drafts_; }
  [[nodiscard]] std::uint64_t ancestors(std::size_t index) const { return ancestors_[index]; }
  [[nodiscard]] bool too_many() const { return too_many_; }

 private:
  std::optional<std::size_t> follow(const Wanted& wanted) {
    if (chain_.size() > depth_limit) {
      errors_.push_back(error_at(wanted.origin,
                                 fmt::format("profiles extend each other more than {} deep", depth_limit),
                                 shown_chain(0, wanted.name)));
      return std::nullopt;
    }
    base::Result<Source> source = find_(wanted);
    if (!source) {
      for (base::Diagnostic diagnostic : source.error()) {
        // What could not be found is the fault of the line that names it; what could not be read, of the
        // file.
        if (diagnostic.file.empty()) diagnostic = error_at(wanted.origin, diagnostic.message, diagnostic.hint);
        errors_.push_back(std::move(diagnostic));
      }
      return std::nullopt;
    }
    auto begin = std::ranges::find(chain_, source->file);
    if (begin != chain_.end()) {
      errors_.push_back(error_at(wanted.origin, "profiles extend each other in a circle",
                                 shown_chain(static_cast<std::size_t>(begin - chain_.begin()), source->file)));
      return std::nullopt;
    }
    return read(*source);
  }

  [[nodiscard]] std::string shown_chain(std::size_t from, const std::string& last) const {
    std::string text;
    for (std::size_t i = from; i < chain_.size(); ++i) text += base::escape(chain_[i]) + " → ";
    return text + base::escape(last);
  }

  const Lookup& find_;
  base::Diagnostics& errors_;
  std::vector<Draft> drafts_;
  std::vector<std::uint64_t> ancestors_;
  std::unordered_map<std::string, std::size_t> done_;  // file → index of its draft
  std::vector<std::string> chain_;                     // the files that are being read now
  bool too_many_ = false;
};

Profile fold(const Loader& loader, base::Diagnostics& errors) {
  Profile profile;
  std::vector<std::vector<std::uint64_t>> said_by(rows().size());
  for (std::size_t i = 0; i < loader.drafts().size(); ++i) {
    profile.files.push_back(loader.drafts()[i].place);
    for (std::size_t row = 0; row < rows().size(); ++row) {
      if (rows()[row].fold == nullptr) continue;
      Folding folding{.result = profile,
                      .drafts = loader.drafts(),
                      .index = i,
                      .row = row,
                      .ancestors = loader.ancestors(i),
                      .said_by = said_by[row],
                      .errors = errors};
      rows()[row].fold(folding);
    }
  }
  profile.name = loader.drafts().back().name;
  return profile;
}

// A reviewer that the room could change, or be, would agree with the room: it may share a server with it only through
// the gate that knows what a model server is.
void check_reviewer(const Profile& profile, base::Diagnostics& errors) {
  const auto& approval = profile.approval;
  if (!approval.reviewer) {
    if (approval.require && approval.require->value == Require::human_and_reviewer) {
      errors.push_back(error_at(approval.require->origin, "there is no reviewer",
                                "[approval] reviewer = \"http://127.0.0.1:8080/v1\" names one"));
    }
    return;
  }
  const Origin& named = approval.reviewer->origin;
  std::string_view url = approval.reviewer->value;
  const std::uint16_t usual_port = url.starts_with("https:") ? 443 : 80;
  url.remove_prefix(url.find("://") + 3);
  Parsed<HostRule> server = host_rule(url.substr(0, url.find('/')));
  if (!server) return;
  const bool is_local = names_this_machine(*server);
  if (!is_local && !(approval.reviewer_remote && approval.reviewer_remote->value)) {
    errors.push_back(error_at(named, "the reviewer is on another machine: each question's content would go there",
                              "reviewer_remote = true says that this is meant"));
  }
  const std::uint16_t port = server->ports == PortSet::one ? server->port : usual_port;
  server->ports = PortSet::one;
  server->port = port;
  for (const auto& published : profile.network.publish) {
    if (published.value.outside != port || !is_local) continue;
    errors.push_back(
        error_at(published.origin,
                 fmt::format("the room would be its own reviewer ({})", place_of(named, published.origin.file)),
                 "publish another port"));
  }
  const auto reaches = [&](const HostRule& rule) {
    return is_local ? names_this_machine(rule) && covers_port(rule, port) : covers(rule, *server);
  };
  const auto may_change = [&](const Origin& grant, std::string hint) {
    errors.push_back(error_at(
        grant, fmt::format("the room could change the model that reviews it ({})", place_of(named, grant.file)),
        std::move(hint)));
  };
  for (const auto* list : {&profile.network.allow, &profile.network.ask}) {
    for (const auto& grant : *list) {
      if (!reaches(grant.value) || grant.value.speech == Speech::llm) continue;
      may_change(grant.origin, fmt::format("{{ to = \"{}\", as = \"llm\" }} lets through only what is harmless",
                                           base::escape(grant.value.text)));
    }
  }
  // The defaults hold for other machines only. What asks by default is no grant: each yes is the owner's.
  const auto& otherwise = profile.network.default_;
  if (is_local || !otherwise || otherwise->value != Default::allow) return;
  const auto name_it = [&](const List<HostRule>& list) {
    return std::ranges::any_of(list, [&](const auto& item) { return reaches(item.value); });
  };
  if (name_it(profile.network.deny) || name_it(profile.network.allow)) return;
  may_change(otherwise->origin,
             fmt::format("name it in [network] allow: {{ to = \"{}\", as = \"llm\" }}", base::escape(server->text)));
}

}  // namespace

base::Result<Profile> load(const Source& first, const Lookup& find) {
  base::Diagnostics errors;
  Loader loader(find, errors);
  loader.read(first);
  if (loader.too_many())
    errors.push_back({.file = first.file, .message = fmt::format("this profile needs more than {} files", file_limit)});
  if (loader.drafts().empty() || loader.too_many()) return std::unexpected(std::move(errors));
  // Merged even after errors, so that a wrong "!x" is told with the others; but not what only follows from a
  // parent that could not be read.
  base::Diagnostics merging;
  Profile profile = fold(loader, merging);
  check_reviewer(profile, merging);
  if (errors.empty()) errors = std::move(merging);
  if (!errors.empty()) return std::unexpected(std::move(errors));
  return profile;
}

base::Result<std::vector<Wanted>> parents(const Source& source) {
  base::Diagnostics errors;
  Draft draft = read_draft(source, errors);
  if (!errors.empty()) return std::unexpected(std::move(errors));
  return std::move(draft.parents);
}

base::Result<Profile> merge(const std::vector<Source>& sources, const std::vector<std::vector<std::size_t>>& resolved) {
  // Which parent a line names is told by who asks (the file) and where (the line's place in it).
  std::unordered_map<std::string, std::size_t> place;
  for (std::size_t i = 0; i < sources.size(); ++i) place.emplace(sources[i].file, i);
  std::vector<std::size_t> next(sources.size(), 0);
  return load(sources.at(0), [&](const Wanted& wanted) -> base::Result<Source> {
    std::size_t asking = place.at(wanted.origin.file);
    std::size_t turn = next[asking]++;
    if (asking >= resolved.size() || turn >= resolved[asking].size())
      return base::fail(fmt::format("no profile is called '{}'", base::escape(wanted.name)));
    return sources.at(resolved[asking][turn]);
  });
}

}  // namespace agentbox::profile
