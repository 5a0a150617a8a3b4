// Environment, command, network, limits, devices, and what isn't built yet.

#include <catch2/catch.hpp>

#include "world.hpp"

using namespace agentbox;
using policy::FileKind;
using policy::Note;
using profile::HostKind;
using profile::HostRule;
using profile::PortSet;
using test::Lines;
using test::notes;
using test::path;
using test::World;

namespace {

std::string value(const policy::Policy& policy, std::string_view name) {
  for (const auto& [key, text] : policy.environment) {
    if (key == name) return text;
  }
  return "(unset)";
}
profile::Located<std::string> located(std::string text) {
  return {std::move(text), {.file = "test.toml"}};
}
HostRule localhost(std::uint16_t port) {
  return {.text = "localhost:" + std::to_string(port),
          .kind = HostKind::localhost,
          .host = "localhost",
          .ports = PortSet::one,
          .port = port};
}
Lines loopback(const policy::Policy& policy) {
  Lines lines;
  for (const auto& one : policy.loopback) lines.push_back(std::to_string(one.port));
  return lines;
}
Lines unbuilt(const World& world) {
  Lines lines;
  for (const auto& error : policy::unbuilt(world.profile, world.flags)) lines.push_back(error.message);
  return lines;
}

}  // namespace

TEST_CASE("the environment is an allow list") {
  World world;
  world.facts.environment = {
      {"AWS_SECRET_ACCESS_KEY", "x"}, {"LANG", "C.UTF-8"},         {"LC_TIME", "de"}, {"LCX", "no"},
      {"LD_PRELOAD", "/x.so"},        {"SSH_AUTH_SOCK", "/run/x"}, {"TERM", "xterm"}};
  world.profile.environment.pass = {located("LANG"), located("LC_*"), located("TERM"), located("UNSET")};
  policy::Policy policy = world.policy();
  Lines names;
  for (const auto& [name, text] : policy.environment) names.push_back(name);
  CHECK(names == Lines{"AGENTBOX", "HOME", "LANG", "LC_TIME", "LOGNAME", "PATH", "PWD", "SHELL", "TERM", "USER"});
  CHECK(value(policy, "HOME") == "/home/u");
  CHECK(value(policy, "PWD") == "/home/u/work");
}

TEST_CASE("a profile that offers the proxies tells programs of them, where there is a network to reach") {
  World world;
  world.facts.environment = {{"http_proxy", "http://proxy.home:8080"}};
  world.profile.environment.pass = {located("http_proxy")};
  CHECK(value(world.policy(), "http_proxy") == "http://proxy.home:8080");
  world.profile.network.proxy = {true, {}};
  CHECK(world.policy().proxy == policy::Proxy::none);
  world.profile.network.default_ = {profile::Default::ask, {}};
  policy::Policy policy = world.policy();
  CHECK(policy.proxy == policy::Proxy::offered);
  for (const char* name : {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}) {
    CHECK(value(policy, name) == "http://198.18.0.1:3128");
  }
  for (const char* name : {"no_proxy", "NO_PROXY"}) CHECK(value(policy, name) == "localhost,127.0.0.1,::1");
  world.profile.environment.set = {{"http_proxy", located("http://[::1]:9")}};
  CHECK(value(world.policy(), "http_proxy") == "http://[::1]:9");
}

TEST_CASE("this machine has no upstream") {
  World world;
  profile::HostRule rule = localhost(8080);
  rule.via = "http://127.0.0.1:1";
  world.profile.network.allow = {{rule, {}}};
  CHECK(world.errors() == Lines{"'localhost:8080' is this machine, which no upstream leads to"});
}

TEST_CASE("'*' passes nothing, and a secret that is passed is named") {
  World world;
  world.profile.environment.pass = {located("*")};
  CHECK(world.errors() == Lines{"'*' would pass the whole environment"});
  World named;
  named.facts.environment = {{"GH_TOKEN", "x"}};
  named.profile.environment.pass = {located("GH_TOKEN")};
  CHECK(notes(named.policy(), Note::Kind::exposes) == Lines{"the agent can read the value of GH_TOKEN"});
}

TEST_CASE("what is set wins, and may name the user's places") {
  World world;
  world.facts.environment = {{"A", "outside"}};
  world.profile.environment.pass = {located("A")};
  world.profile.environment.set = {{"A", located("in ${HOME} as ${USER}, $${HOME}")}};
  CHECK(value(world.policy(), "A") == "in /home/u as u, ${HOME}");
  world.profile.environment.set = {{"A", located("${PATH}")}};
  CHECK(world.errors() == Lines{"unknown variable 'PATH' in '${PATH}'"});
}

TEST_CASE("PATH names what is in the room") {
  World world;
  world.folder_at("/home/u/.local/bin").folder_at("/home/u/work/bin").folder_at("/nix/store/x/bin");
  world.link("/home/u/.nix-profile", "/nix/store/x").folder_at("/nix/store");
  world.facts.environment = {{"PATH",
                              "/home/u/.local/bin:/home/u/work/bin::relative:/usr/bin:/bin:/usr/bin:/home/u/"
                              ".nix-profile/bin:/sbin"}};
  CHECK(value(world.policy(), "PATH") == "/run/agentbox/bin:/home/u/work/bin:/usr/bin:/bin:/home/u/.nix-profile/bin");
  CHECK(value(world.read("~/.local/bin").policy(), "PATH").starts_with("/run/agentbox/bin:/home/u/.local/bin:"));
  world.facts.environment.clear();
  CHECK(value(world.policy(), "PATH") ==
        "/run/agentbox/bin:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin");
}

TEST_CASE("a shell that is not in the room is replaced, and explain says so") {
  World world;
  world.facts.user.shell = path("/home/u/.local/bin/fish");
  policy::Policy policy = world.policy();
  CHECK(value(policy, "SHELL") == "/bin/sh");
  CHECK(notes(policy, Note::Kind::changed) ==
        Lines{"your shell '/home/u/.local/bin/fish' is not in the room: /bin/sh stands in"});
  world.folder_at("/home/u/.local/bin").read("~/.local/bin");
  CHECK(value(world.policy(), "SHELL") == "/home/u/.local/bin/fish");
}

TEST_CASE("the command of the flags wins over the profile's") {
  World world;
  world.profile.command = {{"${SHELL}", "-l"}, {}};
  CHECK(world.policy().command == Lines{"/bin/sh", "-l"});
  world.flags.command = {"echo", "${SHELL}"};
  CHECK(world.policy().command == Lines{"echo", "${SHELL}"});
}

TEST_CASE("a rule, a question or a default beyond the loopback needs the gate, and nothing else does") {
  auto outside = [](auto change) {
    World world;
    change(world.profile.network);
    return world.policy();
  };
  auto name = [](std::string_view text) {
    return profile::Located<profile::HostRule>{
        {.text = std::string(text), .kind = HostKind::name, .host = std::string(text)}, {}};
  };
  auto resolver = [](const policy::Policy& policy) {
    auto file = std::ranges::find(policy.room_files, path("/etc/resolv.conf"), &policy::RoomFile::target);
    return file->content;
  };
  CHECK(outside([](auto&) {}).outside == policy::Outside::closed);
  CHECK(outside([](auto& network) { network.allow = {{localhost(8080), {}}}; }).outside == policy::Outside::closed);
  CHECK(outside([&](auto& network) { network.deny = {name("example.org")}; }).outside == policy::Outside::closed);
  CHECK(outside([&](auto& network) { network.allow = {name("example.org")}; }).outside == policy::Outside::ruled);
  CHECK(outside([&](auto& network) { network.ask = {name("example.org")}; }).outside == policy::Outside::ruled);
  CHECK(outside([](auto& network) { network.ask = {{localhost(8080), {}}}; }).outside == policy::Outside::ruled);
  CHECK(resolver(outside([](auto&) {})).empty());
  policy::Policy asks = outside([](auto& network) { network.default_ = {profile::Default::ask, {}}; });
  CHECK(asks.outside == policy::Outside::ruled);
  CHECK(resolver(asks) == "nameserver 198.18.0.1\n");
}

TEST_CASE("a port of the loopback that asks is listed as such, unless it is denied") {
  World world;
  world.profile.network.ask = {{localhost(3000), {}}, {localhost(4000), {}}};
  world.profile.network.deny = {{localhost(4000), {}}};
  policy::Policy policy = world.policy();
  CHECK(loopback(policy) == Lines{"3000"});
  CHECK(policy.loopback.at(0).asks == policy::Loopback::Asks::yes);
}

TEST_CASE("loopback grants are ports, sorted, each once") {
  World world;
  world.allow(localhost(8080)).allow(localhost(3000)).allow(localhost(8080));
  world.allow({.text = "localhost", .kind = HostKind::localhost, .host = "localhost", .ports = PortSet::web});
  CHECK(loopback(world.policy()) == Lines{"80", "443", "3000", "8080"});
}

TEST_CASE("deny beats allow, in every way to write it") {
  for (HostRule rule :
       {localhost(8080),
        HostRule{.text = "localhost:*", .kind = HostKind::localhost, .host = "localhost", .ports = PortSet::all},
        HostRule{.text = "127.0.0.1:8080",
                 .kind = HostKind::address,
                 .host = "127.0.0.1",
                 .ports = PortSet::one,
                 .port = 8080},
        HostRule{.text = "[::1]:*", .kind = HostKind::address, .host = "::1", .ports = PortSet::all},
        HostRule{.text = "126.0.0.0/7:*", .kind = HostKind::address, .host = "126.0.0.0/7", .ports = PortSet::all},
        HostRule{.text = "[::/0]:*", .kind = HostKind::address, .host = "::/0", .ports = PortSet::all}}) {
    CAPTURE(rule.text);
    World world;
    world.allow(localhost(8080)).profile.network.deny.push_back({rule, {}});
    policy::Policy policy = world.policy();
    CHECK(policy.loopback.empty());
    CHECK(notes(policy, Note::Kind::shadowed) == Lines{"localhost:8080 stays closed: '" + rule.text + "' is denied"});
  }
  World other;
  other.allow(localhost(8080)).profile.network.deny = {
      {localhost(8081), {}},
      {{.text = "10.0.0.0/8:*", .kind = HostKind::address, .host = "10.0.0.0/8", .ports = PortSet::all}, {}}};
  CHECK(loopback(other.policy()) == Lines{"8080"});
}

TEST_CASE("a port can't be granted and published at once") {
  World world;
  world.allow(localhost(3000)).profile.network.publish = {{{"3000", 3000, 3000}, {}}};
  CHECK(world.errors() ==
        Lines{"port 3000 of the room can't be published: the host's own localhost:3000 is granted there"});
  World twice;
  twice.profile.network.publish = {{{"80:1", 80, 1}, {}}, {{"80:2", 80, 2}, {}}, {{"81:2", 81, 2}, {}}};
  CHECK(twice.errors() == Lines{"the host's port 80 is published for two ports of the room"});
}

TEST_CASE("limits have defaults, and one that can't be kept is an error") {
  World world;
  CHECK(world.policy().limits.processes == 512);
  world.profile.limits.processes = {64, {}};
  world.profile.limits.home = {1 << 20, {}};
  policy::Policy policy = world.policy();
  CHECK(policy.limits.processes == 64);
  auto home = std::ranges::find(policy.tmpfs, path("/home/u"), &policy::Tmpfs::target);
  REQUIRE(home != policy.tmpfs.end());
  CHECK(home->size == 1 << 20);
  CHECK(home->mode == 0700);
  world.profile.limits.memory = {1 << 30, {}};
  CHECK(world.errors() ==
        Lines{"[limits] memory needs a cgroup with the 'memory' controller, and none is delegated to you"});
  world.facts.cgroup = policy::CgroupFact{path("/sys/fs/cgroup/x"), {"memory"}, false};
  CHECK(world.decide());
}

TEST_CASE("a device that is asked for and not there is an error") {
  World world;
  world.profile.devices = {.gpu = {{true, {}}}, .audio = {{true, {}}}, .display = {{true, {}}}};
  CHECK(world.errors().size() == 3);
  world.profile.devices = {.gpu = {{false, {}}}, .audio = {{false, {}}}, .display = {{false, {}}}};
  CHECK(world.decide());
}

TEST_CASE("devices are the nodes and sockets that they need, and nothing around them") {
  World world;
  world.profile.devices = {.gpu = {{true, {}}}, .audio = {{true, {}}}, .display = {{true, {}}}};
  world.facts.runtime_dir = path("/run/user/1000");
  world.facts.devices = {.gpu_nodes = {path("/dev/dri/renderD128")},
                         .pipewire_socket = path("/run/user/1000/pipewire-0"),
                         .wayland_socket = path("/run/user/1000/wayland-1")};
  world.socket("/run/user/1000/pipewire-0").socket("/run/user/1000/wayland-1").folder_at("/sys/devices");
  policy::Policy policy = world.policy();
  CHECK(test::mounts(policy, "/run") ==
        Lines{"write /run/user/1000/pipewire-0 device", "write /run/user/1000/wayland-1 device"});
  CHECK(test::mounts(policy, "/dev") == Lines{"write /dev/dri/renderD128 device"});
  CHECK(test::mounts(policy, "/sys") == Lines{"read /sys/devices device"});
  CHECK(value(policy, "XDG_RUNTIME_DIR") == "/run/user/1000");
  CHECK(value(policy, "WAYLAND_DISPLAY") == "wayland-1");
  CHECK(value(policy, "PIPEWIRE_REMOTE") == "(unset)");
  CHECK(std::ranges::count(policy.tmpfs, path("/run/user/1000"), &policy::Tmpfs::target) == 1);
  CHECK(notes(policy, Note::Kind::exposes).size() == 3);
}

TEST_CASE("what isn't built yet is refused, each use with its line") {
  World world;
  auto& profile = world.profile;
  profile.workspace.mode = {profile::WorkspaceMode::review, {}};
  profile.files_section.ask = {{{"~/notes", false}, {}}};
  profile.files_section.deletes = {profile::Budget{}, {}};
  profile.network.allow = {{{.text = "example.org", .kind = HostKind::name, .host = "example.org"}, {}},
                           {{.text = "127.0.0.1:80", .kind = HostKind::address, .host = "127.0.0.1"}, {}},
                           {{.text = "localhost:*", .kind = HostKind::localhost, .ports = PortSet::all}, {}}};
  HostRule llm = localhost(8080);
  llm.speech = profile::Speech::llm;
  profile.network.allow.push_back({llm, {}});
  profile.network.ask = {{localhost(1), {}}};
  profile.network.default_ = {profile::Default::ask, {}};
  profile.network.proxy = {true, {}};
  profile.commands.allow = {{{"notify-send **", {}}, {}}};
  profile.commands.ask = {{{"git push **", {}}, {}}};
  profile.commands.default_ = {profile::Default::ask, {}};
  profile.messages.delay = {std::chrono::seconds(30), {}};
  profile.spending.delay = {std::chrono::seconds(30), {}};
  profile.approval.reviewer = located("https://127.0.0.1:1/v1");
  profile.approval.require = {profile::Require::human_and_reviewer, {}};
  profile.approval.notify = {{"notify-send"}, {}};
  CHECK(unbuilt(world) == Lines{"[workspace] mode = \"review\" is not built yet", "[files] ask is not built yet",
                                "[files] deletes is not built yet",
                                "a grant of every port of this machine ('localhost:*') is not built yet"});
}

TEST_CASE("who must agree, and what a yes costs that the reviewer did not agree to") {
  World world;
  auto& asked = world.profile.approval;
  CHECK_FALSE(world.policy().approval.reviewer);
  asked.reviewer = located("http://127.0.0.1:8080/v1");
  asked.reviewer_model = located("qwen");
  asked.reviewer_instructions = located("Pushing is usual.");
  asked.reviewer_timeout = {std::chrono::seconds(5), {}};
  CHECK(world.policy().approval.reviewer == policy::Reviewer{.host = "127.0.0.1",
                                                             .port = 8080,
                                                             .path = "/v1",
                                                             .model = "qwen",
                                                             .instructions = "Pushing is usual.",
                                                             .timeout = std::chrono::seconds(5)});
  CHECK(world.policy().approval.consent == policy::Consent::human);
  asked.require = {profile::Require::human_and_reviewer, {}};
  CHECK(world.policy().approval.consent == policy::Consent::human_and_reviewer);
  CHECK(world.policy().approval.friction ==
        policy::Friction{.wait = std::chrono::seconds(20), .phrase = policy::Friction::Phrase::typed});
  asked.friction = {profile::Friction{.wait = std::chrono::seconds(7), .phrase = profile::Friction::Phrase::none}, {}};
  CHECK(world.policy().approval.friction ==
        policy::Friction{.wait = std::chrono::seconds(7), .phrase = policy::Friction::Phrase::none});
  asked.friction->value.wait = std::chrono::minutes(2);
  CHECK(world.errors() == Lines{"nobody could say yes: a question is denied before this wait is over"});
}

TEST_CASE("the reviewer's key lies where no room could read it or lead to another file") {
  World world;
  auto& asked = world.profile.approval;
  asked.reviewer = located("https://models.example.org/v1");
  asked.reviewer_remote = {true, {}};
  world.read("~/granted").write("~/out");
  for (const char* file :
       {"/home/u/.config/agentbox/key", "/home/u/granted/key", "/home/u/out/key", "/home/u/work/key"}) {
    world.file(file);
  }
  world.folder_at("/home/u/folder").link("/home/u/to-granted", "granted/key");
  world.link("/home/u/out/link", "/home/u/.config/agentbox/key").link("/home/u/there", "out/link");
  world.link("/home/u/own", ".config/agentbox/key");
  auto errors = [&](const char* text) {
    asked.reviewer_key_file = {World::path_text(text), {}};
    return world.errors();
  };
  CHECK(errors("~/.config/agentbox/key").empty());
  CHECK(world.policy().approval.reviewer->key_file == path("/home/u/.config/agentbox/key"));
  CHECK(notes(world.policy(), Note::Kind::exposes).back() ==
        "what each question shows is sent to https://models.example.org/v1");
  CHECK(errors("~/own").empty());
  for (const char* text : {"~/granted/key", "~/out/key", "${workspace}/key", "~/to-granted", "~/out/link", "~/there"}) {
    INFO(text);
    REQUIRE(errors(text).size() == 1);
    CHECK(errors(text)[0].starts_with("the room could read the reviewer's key in "));
  }
  CHECK(errors("~/none") == Lines{"'/home/u/none' does not exist"});
  CHECK(errors("~/folder") == Lines{"'/home/u/folder' is no file that you can read"});
}

TEST_CASE("what only tightens or is built is no use of what isn't") {
  World world;
  auto& profile = world.profile;
  profile.workspace.mode = {profile::WorkspaceMode::read_only, {}};
  profile.network.allow = {{localhost(8080), {}}};
  profile.network.deny = {{{.text = "example.org", .kind = HostKind::name, .host = "example.org"}, {}}};
  profile.network.default_ = {profile::Default::deny, {}};
  profile.network.proxy = {false, {}};
  profile.network.publish = {{{"3000", 3000, 3000}, {}}};
  profile.commands.deny = {{{"x", {}}, {}}};
  profile.messages.self = {{{"me@example.org"}, {}}};
  profile.messages.allow = {{{"a@example.org"}, {}}};
  profile.messages.ask = {{{"b@example.org"}, {}}};
  profile.messages.default_ = {profile::Default::allow, {}};
  profile.messages.backends.push_back({.name = "email", .send = {{{"sendmail", "-t"}, {}}}, .post = {}, .format = {}});
  profile.spending.limit = {profile::Budget{}, {}};
  profile.spending.pay_command = {{"pay"}, {}};
  profile.approval.timeout = {std::chrono::seconds(120), {}};
  profile.approval.require = {profile::Require::human, {}};
  CHECK(unbuilt(world).empty());
  world.flags.allow = {
      {{.text = "localhost:*", .kind = HostKind::localhost, .host = "localhost", .ports = profile::PortSet::all},
       {.file = "--allow"}}};
  CHECK(policy::unbuilt(profile, world.flags).at(0).file == "--allow");
}

TEST_CASE("a server that sends messages is not reached by the room itself") {
  World world;
  auto& profile = world.profile;
  profile::MessageBackend home{.name = "home", .send = {}, .post = {}, .format = {}};
  home.post = {{.text = "http://127.0.0.1:6000/", .host = "127.0.0.1", .port = 6000, .path = "/"}, {}};
  profile.messages.backends = {home};
  profile.network.allow = {{localhost(6001), {}}};
  CHECK(world.decide().has_value());
  profile.network.allow.push_back({localhost(6000), {}});
  auto refused = world.decide();
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error()[0].message ==
        "'localhost:6000' would let the agent reach the server of [messages.home] itself, past every rule about "
        "messages");
  profile.network.allow.pop_back();
  profile.network.ask = {{localhost(6000), {}}};
  CHECK_FALSE(world.decide().has_value());
}
