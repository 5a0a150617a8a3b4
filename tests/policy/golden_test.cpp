// golden/CASE/profile.toml + facts.json → explain.txt, policy.json and bwrap.txt, or errors.txt. AGENTBOX_ACCEPT=1
// writes what comes out: read the difference before you commit it.

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>

#include "agentbox/plan/plan.hpp"

#include "../profile/support.hpp"
#include "../support/facts_json.hpp"
#include "explain.hpp"

using namespace agentbox;
namespace fs = std::filesystem;

namespace {

using Outcome = std::map<std::string, std::string>;  // by file name

Outcome outcome(const fs::path& folder) {
  auto read = [&](const char* name) { return profile::test::read_file(folder / name); };
  base::Result<profile::Profile> loaded = profile::test::load({{"profile", read("profile.toml")}});
  if (!loaded) return {{"errors.txt", base::render(loaded.error(), base::Colour::off)}};
  const profile::Profile& profile = *loaded;
  policy::HostFacts facts = test::facts_from_json(read("facts.json"));
  // The picture of the machine survives being written and read again.
  CHECK(test::facts_to_json(test::facts_from_json(test::facts_to_json(facts))) == test::facts_to_json(facts));
  base::Result<policy::Policy> policy = policy::decide(profile, facts, {});
  if (!policy) return {{"errors.txt", base::render(policy.error(), base::Colour::off)}};
  base::Diagnostics unbuilt = policy::unbuilt(profile, {});
  cli::Explained explained{*policy, unbuilt};
  return {{"explain.txt", cli::explain_text(explained, {})},
          {"policy.json", cli::explain_json(explained)},
          {"bwrap.txt", plan::describe(plan::make(*policy))}};
}

}  // namespace

TEST_CASE("each profile on each machine gives exactly the room that it gave") {
  const char* root = std::getenv("AGENTBOX_GOLDEN");
  REQUIRE(root != nullptr);
  std::size_t cases = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(root)) {
    if (!entry.is_directory()) continue;
    ++cases;
    INFO(entry.path().filename().string());
    Outcome found = outcome(entry.path());
    for (const char* name : {"explain.txt", "policy.json", "bwrap.txt", "errors.txt"}) {
      fs::path expected = entry.path() / name;
      if (std::getenv("AGENTBOX_ACCEPT") != nullptr) {
        fs::remove(expected);
        if (found.contains(name)) std::ofstream(expected) << found[name];
        continue;
      }
      INFO(name);
      CHECK(fs::exists(expected) == found.contains(name));
      if (found.contains(name)) CHECK(found[name] == profile::test::read_file(expected));
    }
  }
  REQUIRE(cases >= 9);
}
