#include "agentbox/plan/plan.hpp"

#include <algorithm>

#include <catch2/catch.hpp>

#include "../policy/world.hpp"

using namespace agentbox;
using plan::LaunchPlan;
using test::Lines;
using test::path;
using test::World;

namespace {

Lines options(const LaunchPlan& plan) {
  Lines lines;
  for (const plan::BwrapOption& option : plan.bwrap) {
    std::string line = option.option;
    for (const auto& operand : option.operands) {
      line += std::holds_alternative<std::string>(operand) ? " " + std::get<std::string>(operand) : " FD";
    }
    lines.push_back(std::move(line));
  }
  return lines;
}
bool has(const Lines& lines, std::string_view line) {
  return std::ranges::find(lines, line) != lines.end();
}

World busy() {
  World world;
  world.folder_at("/opt").folder_at("/home/u/work/.git/hooks").file("/home/u/work/a/.env").folder_at("/etc/ssl");
  world.folder_at("/home/u/x/y").link("/home/u/l", "x/y").read("~/l").write("~/x/y").read("~/x");
  world.hide(".env").match(".env", "/home/u/work/a/.env").protect("${roots}/.vscode/").protect(".git/hooks/");
  return world;
}

}  // namespace

TEST_CASE("bwrap unshares each namespace by name, and never goes on without one") {
  Lines lines = options(plan::make(World().policy()));
  for (const char* option :
       {"--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup",
        "--disable-userns", "--cap-drop ALL", "--as-pid-1", "--add-seccomp-fd FD", "--block-fd FD", "--info-fd FD"}) {
    CHECK(has(lines, option));
  }
  for (const std::string& line : lines) {
    CHECK(line.find("-try") == std::string::npos);
    CHECK(line != "--unshare-all");
  }
}

TEST_CASE("nesting is asked for by name, and only then not switched off") {
  World world;
  world.profile.seccomp.allow = {{"userns", {}}};
  CHECK_FALSE(has(options(plan::make(world.policy())), "--disable-userns"));
}

TEST_CASE("bwrap gets no environment, no command and no path of the owner") {
  for (const std::string& line : options(plan::make(busy().policy()))) {
    CHECK(line.find("setenv") == std::string::npos);
    CHECK(line.find("/home") == std::string::npos);
  }
}

TEST_CASE("bwrap lays /usr and the links to it, all else goes by descriptor") {
  World world;
  LaunchPlan plan = plan::make(world.folder_at("/opt").folder_at("/nix/store").folder_at("/lib64").policy());
  Lines lines = options(plan);
  CHECK(has(lines, "--ro-bind /usr /usr"));
  CHECK(has(lines, "--ro-bind /lib64 /lib64"));
  CHECK(has(lines, "--symlink usr/bin /bin"));
  Lines targets;
  for (const auto& furnishing : plan.furnishings) targets.push_back(plan::target_of(furnishing).str());
  CHECK(has(targets, "/opt"));
  CHECK(has(targets, "/nix/store"));
  CHECK_FALSE(has(targets, "/usr"));
  CHECK_FALSE(has(targets, "/bin"));
}

TEST_CASE("everything comes after what it lies in, nothing twice, and the seals last") {
  LaunchPlan plan = plan::make(busy().policy());
  REQUIRE(plan.furnishings.size() > 10);
  std::size_t count = plan.furnishings.size();
  REQUIRE(std::holds_alternative<plan::Seal>(plan.furnishings[count - 2]));
  CHECK(plan::target_of(plan.furnishings[count - 2]) == path("/dev"));
  REQUIRE(std::holds_alternative<plan::Seal>(plan.furnishings[count - 1]));
  CHECK(plan::target_of(plan.furnishings[count - 1]) == path("/"));
  for (std::size_t i = 0; i + 2 < count; ++i) {
    CHECK_FALSE(std::holds_alternative<plan::Seal>(plan.furnishings[i]));
    for (std::size_t k = i + 1; k + 2 < count; ++k) {
      CHECK_FALSE(plan::target_of(plan.furnishings[i]).is_within(plan::target_of(plan.furnishings[k])));
    }
  }
}

TEST_CASE("each kind of mount becomes the furnishing that it means") {
  LaunchPlan plan = plan::make(busy().policy());
  auto at = [&](std::string_view target) -> const plan::Furnishing& {
    auto found =
        std::ranges::find_if(plan.furnishings, [&](const auto& one) { return plan::target_of(one) == path(target); });
    REQUIRE(found != plan.furnishings.end());
    return *found;
  };
  CHECK(std::get<plan::Bind>(at("/home/u/work")).mode == plan::Bind::Mode::write);
  CHECK(std::get<plan::Bind>(at("/home/u/work/.git")).mode == plan::Bind::Mode::write);
  CHECK(std::get<plan::Bind>(at("/home/u/work/.git/hooks")).mode == plan::Bind::Mode::read);
  CHECK(std::get<plan::Mask>(at("/home/u/work/a/.env")).kind == policy::FileKind::regular);
  CHECK(std::holds_alternative<plan::Ghost>(at("/home/u/work/.vscode")));
  CHECK(std::get<plan::MakeLink>(at("/home/u/l")).to == "x/y");
  CHECK(std::get<plan::MakeTmpfs>(at("/home/u")).mode == 0700);
  CHECK(std::get<plan::MakeTmpfs>(at("/tmp")).mode == 01777);
  CHECK(std::get<plan::MakeFile>(at("/etc/passwd")).mode == 0444);
}

TEST_CASE("a device is writable and no other mount is a device") {
  World world;
  world.profile.devices.gpu = {{true, {}}};
  world.facts.devices.gpu_nodes = {path("/dev/dri/renderD128")};
  LaunchPlan plan = plan::make(world.policy());
  std::size_t devices = 0;
  for (const auto& furnishing : plan.furnishings) {
    const auto* bind = std::get_if<plan::Bind>(&furnishing);
    if (bind == nullptr || bind->mode != plan::Bind::Mode::device) continue;
    ++devices;
    CHECK(bind->target == path("/dev/dri/renderD128"));
  }
  CHECK(devices == 1);
}

TEST_CASE("init gets the command, the environment and the limits") {
  World world;
  world.flags.command = {"x", "y"};
  world.profile.limits.cpu_time = {std::chrono::seconds(90), {}};
  plan::InitPlan init = plan::make(world.policy()).init;
  CHECK(init.argv == Lines{"x", "y"});
  CHECK(init.directory == path("/home/u/work"));
  CHECK(init.processes == 512);
  CHECK(init.cpu_seconds == 90);
  CHECK_FALSE(init.environment.empty());
}

TEST_CASE("what is described can be read and pasted, whatever the names are") {
  World world;
  world.flags.command = {"sh", "-c", "echo 'a b'"};
  std::string text =
      plan::describe(plan::make(world.folder_at("/home/u/a\n\033[2J b").read("/home/u/a\n\033[2J b").policy()));
  CHECK(text.starts_with("bwrap \\\n  --unshare-user \\\n"));
  CHECK(text.find("\033") == std::string::npos);
  CHECK(text.find("read   $'/home/u/a\\n\\x1b[2J b'  # granted\n") != std::string::npos);
  CHECK(text.find("--block-fd $BLOCK_FD") != std::string::npos);
  CHECK(text.find("sh -c $'echo \\'a b\\''\n") != std::string::npos);
  CHECK(text.find("\ninit   /run/agentbox/init  # placed last") != std::string::npos);
}
