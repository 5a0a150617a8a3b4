// Finding and reading profiles on a real disk, some of it hostile.

#include "agentbox/launch/sources.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

using namespace agentbox;
namespace fs = std::filesystem;

namespace {

class Site {
 public:
  Site() {
    std::string name = (fs::temp_directory_path() / "agentbox-sources-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    root_ = name;
    fs::create_directories(user());
    fs::create_directories(shipped());
    fs::create_directories(root_ / "workspace");
    setenv("XDG_CONFIG_HOME", (root_ / "config").c_str(), 1);
    setenv("AGENTBOX_PROFILES", shipped().c_str(), 1);
  }
  ~Site() { fs::remove_all(root_); }
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  [[nodiscard]] const fs::path& root() const { return root_; }
  [[nodiscard]] fs::path user() const { return root_ / "config/agentbox/profiles"; }
  [[nodiscard]] fs::path shipped() const { return root_ / "shipped"; }
  [[nodiscard]] fs::path workspace() const { return root_ / "workspace"; }
  void write(const fs::path& path, std::string_view text) const { std::ofstream(path) << text; }
  [[nodiscard]] base::AbsPath workspace_path() const { return *base::AbsPath::parse(workspace().string()); }

 private:
  fs::path root_;
};

std::string message(const base::Result<profile::Profile>& result) {
  return result ? "" : result.error().front().message;
}

}  // namespace

TEST_CASE("the user's folder comes before the shipped one, and can extend what it hides") {
  Site site;
  site.write(site.shipped() / "pi.toml", "description = 'shipped'\n[files]\nread = ['~/shipped']");
  CHECK(launch::load("pi")->description->value == "shipped");
  site.write(site.user() / "pi.toml", "extends = ['pi']\ndescription = 'mine'");
  auto pi = launch::load("pi");
  REQUIRE(pi);
  CHECK(pi->description->value == "mine");
  CHECK(pi->files_section.read.size() == 1);
  auto by_path = launch::load((site.user() / "pi.toml").string());
  REQUIRE(by_path);
  CHECK(by_path->files == pi->files);
  auto entries = launch::list_profiles();
  auto count = std::ranges::count_if(entries, [](const auto& entry) { return entry.name == "pi"; });
  CHECK(count == 2);
  CHECK(entries.front().place == launch::ProfileEntry::Place::user);
  CHECK(entries.back().hidden_by_earlier);
}

TEST_CASE("a path in extends counts from its own file, and a circle by path is found") {
  Site site;
  site.write(site.user() / "a.toml", "extends = ['../b.toml']");
  site.write(site.user().parent_path() / "b.toml", "description = 'b'");
  CHECK(launch::load("a")->description->value == "b");
  site.write(site.user() / "p.toml", "extends = ['./p.toml']");
  CHECK(message(launch::load("p")) == "profiles extend each other in a circle");
  CHECK(message(launch::load((site.user() / "p.toml").string())) == "profiles extend each other in a circle");
}

TEST_CASE("a name is never looked up in the current directory") {
  Site site;
  site.write(site.workspace() / "evil.toml", "command = ['evil']");
  fs::path before = fs::current_path();
  fs::current_path(site.workspace());
  CHECK(message(launch::load("evil")) == "no profile is called 'evil'");
  CHECK(launch::load("./evil.toml").has_value());  // the owner's own words
  // One file, one name: limits, keys of payments and remembered answers are its name's.
  const std::string here = std::filesystem::canonical(".").string();
  CHECK(launch::load("./evil.toml")->name == here + "/evil.toml");
  CHECK(launch::load("./../" + std::filesystem::path(here).filename().string() + "/evil.toml")->name ==
        here + "/evil.toml");
  CHECK(launch::load(here + "/evil.toml")->name == here + "/evil.toml");
  fs::current_path(before);
}

TEST_CASE("the room's guard learns where a profile lies, however it was named") {
  Site site;
  const std::string top = fs::canonical(site.workspace()).string();
  fs::create_directory(site.workspace() / "cfg");
  fs::create_directory_symlink("cfg", site.workspace() / "way");
  site.write(site.workspace() / "cfg/base.toml", "");
  site.write(site.workspace() / "cfg/x.toml", "extends = ['./base.toml']");
  using Files = std::vector<std::string>;
  const Files both = {top + "/cfg/base.toml", top + "/cfg/x.toml"};
  const fs::path before = fs::current_path();
  fs::current_path(top + "/cfg");
  CHECK(launch::load("./x.toml")->files == both);
  CHECK(launch::load("../cfg/../cfg/x.toml")->files == both);
  CHECK(launch::load(top + "/cfg/../cfg/x.toml")->files == both);
  fs::current_path(top);
  CHECK(launch::load("cfg/x.toml")->files == both);
  CHECK(launch::load("./way/x.toml")->files == Files{top + "/way/base.toml", top + "/way/x.toml"});
  fs::current_path(before);
}

TEST_CASE("what is there but cannot be read is an error, and no other profile's turn") {
  Site site;
  site.write(site.shipped() / "x.toml", "");
  fs::create_directory(site.user() / "x.toml");
  CHECK(message(launch::load("x")).find("it is a directory") != std::string::npos);
  fs::remove(site.user() / "x.toml");
  REQUIRE(mkfifo((site.user() / "x.toml").c_str(), 0600) == 0);
  CHECK(message(launch::load("x")).find("it is not a regular file") !=
        std::string::npos);  // and does not wait for a writer
  fs::remove(site.user() / "x.toml");
  CHECK(launch::load("x").has_value());
}

TEST_CASE("a profile that somebody else can write is refused") {
  Site site;
  const fs::path file = site.user() / "open.toml";
  const std::string by_path = file.string();
  site.write(file, "description = 'mine'");
  auto everybody = [](const fs::path& path) { fs::permissions(path, fs::perms::others_write, fs::perm_options::add); };
  fs::permissions(file, fs::perms::group_write, fs::perm_options::add);
  fs::permissions(site.user(), fs::perms::group_write, fs::perm_options::add);
  REQUIRE(launch::load("open"));

  everybody(file);
  for (const std::string& name : {std::string("open"), by_path}) {
    CHECK(message(launch::load(name)) == "everybody can write the profile " + by_path + ", and so change your rooms");
    CHECK(launch::load(name).error().front().hint == "look at what it says, then: chmod o-w " + by_path);
  }
  site.write(site.user() / "over.toml", "extends = ['open']");
  CHECK(message(launch::load("over")).starts_with("everybody can write the profile"));
  fs::permissions(file, fs::perms::others_write, fs::perm_options::remove);

  everybody(site.user());
  CHECK(message(launch::load("open")) ==
        "everybody can write the profile's folder " + site.user().string() + ", and so change your rooms");
  fs::permissions(site.user(), fs::perms::sticky_bit, fs::perm_options::add);
  CHECK(launch::load("open"));

  if (geteuid() != 0) return;  // who can't give a file away has none of another user's
  REQUIRE(chown(file.c_str(), 4321, 4321) == 0);
  CHECK(message(launch::load("open")) ==
        "the profile " + by_path + " belongs to user 4321, who could change your rooms");
  REQUIRE(chown(file.c_str(), 0, 0) == 0);
  REQUIRE(chown(site.user().c_str(), 4321, 4321) == 0);
  CHECK(message(launch::load("open")).starts_with("the profile's folder"));
  site.write(site.shipped() / "theirs.toml", "");
  REQUIRE(chown((site.shipped() / "theirs.toml").c_str(), 4321, 4321) == 0);
  CHECK(launch::load("theirs"));
}

TEST_CASE("ten megabytes are one clear error") {
  Site site;
  site.write(site.user() / "big.toml", std::string(10 << 20, '#'));
  auto big = launch::load("big");
  REQUIRE_FALSE(big);
  CHECK(big.error().size() == 1);
  CHECK(message(big) == "the profile is larger than 32 KiB");
}

TEST_CASE("the workspace's own file is read, and only as a file of its own") {
  Site site;
  site.write(site.user() / "p.toml", "");
  profile::Profile profile = launch::load("p").value();
  CHECK(launch::tighten_by_workspace(profile, site.workspace_path())->files.size() == 1);  // none there
  fs::path own = site.workspace() / ".agentbox.toml";
  site.write(own, "[workspace]\nhide = ['x']");
  CHECK(launch::tighten_by_workspace(profile, site.workspace_path())->workspace.hide.size() == 1);
  fs::remove(own);
  site.write(site.root() / "elsewhere", "");
  fs::create_symlink(site.root() / "elsewhere", own);
  CHECK(message(launch::tighten_by_workspace(profile, site.workspace_path())).find("it is a symbolic link") !=
        std::string::npos);
  fs::remove(own);
  REQUIRE(mkfifo(own.c_str(), 0600) == 0);
  CHECK(message(launch::tighten_by_workspace(profile, site.workspace_path())).find("it is not a regular file") !=
        std::string::npos);
  fs::remove(own);
  site.write(own, "[network]\nallow = ['evil.example.org']");
  CHECK(message(launch::tighten_by_workspace(profile, site.workspace_path())) ==
        "a workspace's own file may not set 'allow' of [network]");
}
