// golden/CASE/profile.toml, with its parents beside it, → errors.txt; a file named workspace.toml is the
// workspace's own. AGENTBOX_ACCEPT=1 writes what comes out: read the difference before you commit it.

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>

#include "support.hpp"

using namespace agentbox;
using namespace agentbox::profile;
namespace fs = std::filesystem;

namespace {

std::string outcome(const fs::path& folder) {
  test::Files files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".toml") files[entry.path().stem().string()] = test::read_file(entry.path());
  }
  base::Result<Profile> profile = test::load(files);
  if (profile && files.contains("workspace")) {
    Source workspace = test::source("workspace", files["workspace"]);
    workspace.file = ".agentbox.toml";
    profile = tighten(*profile, workspace);
  }
  return profile ? "no errors\n" : base::render(profile.error(), base::Colour::off);
}

}  // namespace

TEST_CASE("each broken profile has exactly the errors that it had") {
  const char* root = std::getenv("AGENTBOX_GOLDEN");
  REQUIRE(root != nullptr);
  std::size_t cases = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(root)) {
    if (!entry.is_directory()) continue;
    ++cases;
    fs::path expected = entry.path() / "errors.txt";
    std::string found = outcome(entry.path());
    if (std::getenv("AGENTBOX_ACCEPT") != nullptr) {
      std::ofstream(expected) << found;
      continue;
    }
    INFO(entry.path().filename().string());
    CHECK(found == test::read_file(expected));
  }
  REQUIRE(cases >= 20);
}
