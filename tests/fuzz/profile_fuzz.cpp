// Any bytes as a profile, and as the file of a hostile workspace over a fixed profile. What it checks beyond "no crash":
// every error names a place that exists, what merges is stable, and tightening never lets a grant grow.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "agentbox/base/diagnostic.hpp"
#include "agentbox/profile/parse.hpp"

using namespace agentbox;
using namespace agentbox::profile;

namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

constexpr const char* parent = R"(
[workspace]
hide = [".env", "secrets/"]
[files]
read = ["~/r"]
write = ["~/w"]
[network]
allow = [{ to = "localhost:8080", as = "llm" }, "*.example.org"]
deny = ["x.example.org"]
[commands]
ask = ["git push **"]
[limits]
processes = 100
[spending]
limit = "10 USD/day"
)";

base::Result<Source> find(const Wanted& wanted) {
  if (wanted.name != "parent") return base::fail("not here");
  return Source{.name = "parent", .file = "parent.toml", .bytes = parent};
}

void check_errors(const base::Diagnostics& errors, const std::string& bytes) {
  require(!errors.empty(), "a refusal has a reason");
  require(errors.size() < 400, "errors have an end");
  for (const base::Diagnostic& error : errors) {
    require(!error.message.empty(), "an error has a message");
    require(error.at.line == 0 || error.at.column >= 1, "a position has a column");
    require(error.at.line <= bytes.size() + 20, "a position lies in the file");
    for (char c : error.message + error.hint) require(c != '\033' && c != '\n' && c != '\0', "a message is escaped");
  }
  require(!base::render(errors, base::Colour::off).empty(), "errors can be shown");
}

void check_tightening(const Source& source) {
  static const Profile profile = *load({.name = "parent", .file = "parent.toml", .bytes = parent}, find);
  base::Result<Profile> result = tighten(profile, source);
  if (!result) return check_errors(result.error(), source.bytes);
  require(result->files_section.read == profile.files_section.read, "read is as it was");
  require(result->files_section.write == profile.files_section.write, "write is as it was");
  require(result->network.allow == profile.network.allow, "allow is as it was");
  require(result->commands.allow.empty() && result->environment.pass.empty() && result->environment.set.empty(),
          "no new grants");
  require(result->workspace.hide.size() >= profile.workspace.hide.size(), "hide only grows");
  require(result->limits.processes->value <= 100, "limits only shrink");
  require(result->spending.limit->value.amount <= 1000, "money only shrinks");
  require(!result->command && !result->git.config && result->seccomp.allow.empty() && result->network.publish.empty(),
          "nothing new");
  for (const auto& rule : result->network.ask) {
    require(!rule.value.via, "no way of its own");
    require(rule.value.kind != HostKind::localhost || rule.value.speech == Speech::llm, "as narrow as the grant");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Source source{.name = "fuzz", .file = "fuzz.toml", .bytes = std::string(reinterpret_cast<const char*>(data), size)};
  base::Result<Profile> profile = load(source, find);
  if (profile) {
    require(load(source, find)->network.allow == profile->network.allow, "the same again");
  } else {
    check_errors(profile.error(), source.bytes);
  }
  check_tightening(source);
  return 0;
}
