// Exactly what the question named is what runs: the program, the directory.

#include <catch2/catch.hpp>

#include "agentbox/base/sha256.hpp"

#include "world.hpp"

using namespace agentbox;
using namespace agentbox::test::commands;
using gates::commands::HostPrograms;
using gates::commands::Measured;
using gates::commands::NotMeasured;
using wire::CommandExited;
using wire::CommandStarted;
namespace fs = std::filesystem;

namespace {

// The question is put; `meanwhile` something happens; the owner says yes.
CommandExited asked_and_allowed(World& world, std::vector<std::string> argv, const std::string& directory,
                                const std::function<void()>& meanwhile) {
  world.decider.answer = [](const broker::Asked&) { return std::nullopt; };
  world.start();
  Client client = world.client();
  client.run(1, std::move(argv), directory);
  world.decider.asked(1);
  meanwhile();
  world.decider.answer_all(verdict(Verdict::Kind::allow));
  CHECK(client.expect<wire::Verdict>().verdict == wire::Verdict::Kind::allow);
  auto heard = client.hear();
  REQUIRE(heard);
  if (std::holds_alternative<CommandStarted>(heard->message.body)) return client.expect<CommandExited>();
  return std::get<CommandExited>(heard->message.body);
}

void copy_program(const char* from, const std::string& to) {
  fs::copy_file(from, to, fs::copy_options::overwrite_existing);
}

wire::Refusal refusal(World& world, std::vector<std::string> argv, const std::string& directory) {
  Client client = world.client();
  client.run(1, std::move(argv), directory);
  return client.expect<wire::Refusal>();
}

}  // namespace

TEST_CASE("a program that is swapped between the question and the answer does not run") {
  World world;
  const std::string program = world.folder / "bin/tool";
  copy_program("/bin/true", program);
  std::string how = GENERATE("not", "by rename", "in place", "by a link", "not executable any more", "gone");
  INFO(how);
  CommandExited exited = asked_and_allowed(world, {"tool"}, world.workspace, [&] {
    if (how == "by rename") {
      copy_program("/bin/false", world.folder / "bin/other");
      fs::rename(world.folder / "bin/other", program);
    } else if (how == "in place") {
      copy_program("/bin/false", program);
    } else if (how == "by a link") {
      fs::remove(program);
      fs::create_symlink("/bin/false", program);
    } else if (how == "not executable any more") {
      fs::permissions(program, fs::perms::owner_read);
    } else if (how == "gone") {
      fs::remove(program);
    }
  });
  if (how == "not") {
    CHECK(exited == CommandExited{CommandExited::How::exited, 0, {}});
  } else {
    const std::string why = fs::canonical(world.folder / "bin").string() + "/tool has changed since the question";
    CHECK(exited == CommandExited{CommandExited::How::exited, 126, why});
    CHECK(world.decider.outcomes(1).at(0) == "not started: " + why);
  }
}

TEST_CASE("a script runs by its path, if it is still the one that was shown") {
  World world;
  write_file(world.folder / "bin/tool", "#!/bin/sh\nexit 5\n", 0755);
  bool swapped = GENERATE(false, true);
  CommandExited exited = asked_and_allowed(world, {"tool"}, world.workspace, [&] {
    if (swapped) write_file(world.folder / "bin/tool", "#!/bin/sh\nexit 6\n", 0755);
  });
  CHECK(exited.number == (swapped ? 126 : 5));
}

TEST_CASE("the directory that was shown is the one in which it runs") {
  World world;
  bool swapped = GENERATE(false, true);
  CommandExited exited = asked_and_allowed(world, {"true"}, world.workspace + "/sub", [&] {
    if (!swapped) return;
    fs::rename(world.workspace + "/sub", world.workspace + "/moved");
    fs::create_directory(world.workspace + "/sub");
  });
  CHECK(exited.number == (swapped ? 126 : 0));
  CHECK(exited.reason == (swapped ? world.workspace + "/sub has changed since the question" : ""));
}

TEST_CASE("a command runs in the workspace only, and no link leads out of it") {
  World world;
  std::vector<std::string> refused;
  world.setup.refused = [&](const policy::Action&, const std::string& why) { refused.push_back(why); };
  fs::create_directory_symlink(world.folder / "outside", world.workspace + "/link");
  fs::create_directory_symlink("sub", world.workspace + "/inner");
  write_file(world.workspace + "/file", "");
  world.start();
  const std::string& w = world.workspace;
  CHECK(refusal(world, {"true"}, w + "/link").message ==
        "a symbolic link lies on the way to " + w + "/link: use the real path (`pwd -P`)");
  CHECK(refusal(world, {"true"}, w + "/inner").message ==
        "a symbolic link lies on the way to " + w + "/inner: use the real path (`pwd -P`)");
  CHECK(refusal(world, {"true"}, w + "/none").message ==
        "the host has no directory " + w + "/none: No such file or directory");
  CHECK(refusal(world, {"true"}, w + "/file").message == "the host has no directory " + w + "/file: Not a directory");
  for (const std::string& elsewhere : {world.folder / "outside", std::string("/"), w + "x", w + "/hidden"}) {
    CHECK(refusal(world, {"true"}, elsewhere).message ==
          "host commands run in the workspace or a granted folder, and " + elsewhere +
              " is neither: change the directory and try again");
  }
  CHECK(refusal(world, {"true"}, w + "/../outside").message == "the directory is no absolute path without '..'");
  CHECK(world.decider.asked_so_far() == 0);
  world.end();
  CHECK(refused.size() == 8);
}

TEST_CASE("a program is a bare name in the host's own folders, or an absolute path") {
  World world;
  write_file(world.workspace + "/evil", "#!/bin/sh\n", 0755);
  write_file(world.folder / "bin/plain", "no program", 0644);
  REQUIRE(::mkfifo((world.folder / "bin/fifo").c_str(), 0755) == 0);
  world.start();
  CHECK(refusal(world, {"evil"}, world.workspace).code == wire::Code::no_such_program);
  CHECK(refusal(world, {"no-such-program"}, world.workspace)
            .message.starts_with("the host has no program 'no-such-program' in "));
  for (const char* word : {"./evil", "sub/evil", "", "..", "/usr/../bin/true", "~/x"}) {
    INFO(word);
    CHECK(refusal(world, {word}, world.workspace).code == wire::Code::wrong_parameters);
  }
  std::string deep;
  while (deep.size() < 5000) deep += "/a";
  for (const std::string& word : {std::string(5000, 'a'), "/" + std::string(5000, 'a'), std::move(deep)}) {
    CHECK(refusal(world, {word}, world.workspace).code == wire::Code::wrong_parameters);
  }
  CHECK(refusal(world, {world.folder / "bin/plain"}, world.workspace).message ==
        (world.folder / "bin/plain") + " is not executable");
  // Never opened: that would wait for its writer.
  CHECK(refusal(world, {world.folder / "bin/fifo"}, world.workspace).message ==
        (world.folder / "bin/fifo") + " can't be read, so nobody could say what would run");
}

TEST_CASE("what is shown is what was measured, and says what to be careful of") {
  World world;
  write_file(world.workspace + "/tool", "#!/bin/sh\n", 0755);
  world.start();
  Client client = world.client();
  client.run(1, {world.workspace + "/tool", "a b", "\x1b[2J"}, world.workspace);
  client.expect<wire::Verdict>();
  broker::Asked asked = world.decider.asked(1).at(0);
  CHECK(asked.title == "run a command on your machine");
  CHECK(asked.subject == world.workspace + "/tool 'a b' $'\\x1b[2J'");
  CHECK(asked.said == "a test");
  const auto& command = std::get<policy::Command>(asked.action);
  REQUIRE(command.program);
  CHECK(command.program->sha256 == base::sha256("#!/bin/sh\n"));
  std::vector<std::string> facts;
  for (const auto& fact : asked.facts) {
    facts.push_back((fact.weight == prompt::Fact::Weight::warning ? "! " : "") + fact.label + ": " + fact.value);
  }
  CHECK(facts ==
        std::vector<std::string>{"program: " + world.workspace + "/tool", "sha-256: " + command.program->sha256,
                                 "directory: " + world.workspace,
                                 "rights: runs with your rights, outside the room; sudo and the like work in it",
                                 "! caution: the program lies where the agent can write"});
}

TEST_CASE("a program that somebody in the room holds a lease on is not waited for") {
  World world;
  const std::string tool = world.workspace + "/tool";
  copy_program("/bin/true", tool);
  Lease lease(tool);
  const bool denied = GENERATE(false, true);
  if (denied) world.setup.rules.commands.default_ = profile::Default::deny;
  world.start();
  Client client = world.client();
  const auto before = std::chrono::steady_clock::now();
  client.run(1, {tool}, world.workspace);
  if (denied) {
    // What no rule lets run isn't opened at all.
    CHECK_FALSE(std::get<policy::Command>(world.decider.asked(1).at(0).action).program);
  } else {
    CHECK(client.expect<wire::Refusal>().message == tool + " can't be read, so nobody could say what would run");
    lease.give_up();
    client.run(2, {tool}, world.workspace);
    CHECK(client.expect<wire::Verdict>().verdict == wire::Verdict::Kind::allow);
  }
  // The kernel would have broken it after 45 s.
  CHECK(std::chrono::steady_clock::now() - before < std::chrono::seconds(20));
}

TEST_CASE("a program is writable if this user could change it, a link, or a directory on the way") {
  if (::geteuid() != 0) return;  // needs another user to be
  Folder folder;
  ::chmod(folder.str().c_str(), 0755);
  for (const char* name : {"safe", "open"}) fs::create_directory(folder / name);
  copy_program("/bin/true", folder / "safe/tool");
  copy_program("/bin/true", folder / "open/tool");
  fs::create_symlink(folder / "safe/tool", folder / "open/link");
  copy_program("/bin/true", folder / "safe/own");
  ::chmod((folder / "open").c_str(), 0777);
  ::chmod((folder / "safe/own").c_str(), 0555);
  REQUIRE(::chown((folder / "safe/own").c_str(), 65534, 65534) == 0);
  auto writable = [](const std::string& path) {
    HostPrograms programs({});
    auto measured = programs.measure(path);
    REQUIRE(measured);
    return measured->program.writable;
  };
  // The folder itself lies in /tmp, where everybody may write.
  using W = policy::Program::Writable;
  CHECK(writable("/bin/true") == W::yes);  // by root
  REQUIRE(::seteuid(65534) == 0);
  W system = writable("/bin/true"), tool = writable(folder / "safe/tool");
  REQUIRE(::seteuid(0) == 0);
  CHECK(system == W::no);
  CHECK(tool == W::yes);
  // Below a folder that is root's alone.
  fs::create_directory("/usr/local/agentbox-test");
  fs::rename(folder / "safe", "/usr/local/agentbox-test/safe");
  fs::rename(folder / "open", "/usr/local/agentbox-test/open");
  fs::remove("/usr/local/agentbox-test/open/link");
  fs::create_symlink("../safe/tool", "/usr/local/agentbox-test/open/link");
  REQUIRE(::seteuid(65534) == 0);
  W safe = writable("/usr/local/agentbox-test/safe/tool"), open = writable("/usr/local/agentbox-test/open/tool"),
    link = writable("/usr/local/agentbox-test/open/link"), own = writable("/usr/local/agentbox-test/safe/own");
  REQUIRE(::seteuid(0) == 0);
  fs::remove_all("/usr/local/agentbox-test");
  CHECK(safe == W::no);
  CHECK(open == W::yes);
  CHECK(link == W::yes);
  CHECK(own == W::yes);
}

TEST_CASE("set-user-ID and scripts are found out") {
  if (::geteuid() != 0) return;
  Folder folder;
  copy_program("/bin/true", folder / "suid");
  ::chmod((folder / "suid").c_str(), 04755);
  write_file(folder / "script", "#!/bin/sh\n", 0755);
  HostPrograms programs({});
  CHECK(programs.measure(folder / "suid")->rights == Measured::Rights::others);
  CHECK(programs.measure("/bin/true")->rights == Measured::Rights::owners);
  CHECK(programs.measure(folder / "script")->form == Measured::Form::script);
  CHECK(programs.measure("/bin/true")->form == Measured::Form::binary);
}

TEST_CASE("a command of the profile's may name nothing that lies where the room writes, by no name") {
  Folder folder;
  const std::string real = std::filesystem::canonical(folder.str()).string();
  std::filesystem::create_directories(real + "/w/sub");
  std::filesystem::create_directories(real + "/elsewhere");
  std::filesystem::create_directory_symlink(real + "/w", real + "/elsewhere/link");
  std::filesystem::create_directory_symlink(real + "/elsewhere", real + "/w/out");
  std::filesystem::create_symlink(real + "/elsewhere/loop", real + "/elsewhere/loop");
  const std::vector<base::AbsPath> writable{abs_path(real + "/w")};
  const auto reach = [&](const std::string& word) { return gates::commands::within_reach({"cat", word}, writable); };
  for (const std::string word : {"/w/x", "/w", "/w/sub/../x", "/elsewhere/../w/x", "/elsewhere/link/x",
                                 "/elsewhere/link/not/there", "/w/out/x", "//w/x"}) {
    INFO(word);
    CHECK(reach(real + word).ends_with(" lies where the agent can change it"));
    // However the program takes it.
    for (const std::string prefix : {"--config=", "-C", "--rc:", "CONF=a:", ". ", "cd / && . '"}) {
      CHECK(reach(prefix + real + word).ends_with(" lies where the agent can change it"));
    }
    CHECK(reach(". " + real + word + "; true").ends_with(" lies where the agent can change it"));
    CHECK(reach((real + word).substr(1)).ends_with(" lies where the agent can change it"));  // it runs in "/"
  }
  CHECK(reach(real + "/elsewhere/loop").find(" can't be followed: ") != std::string::npos);
  for (const std::string& word :
       {real + "/elsewhere/x", "--config=" + real + "/elsewhere/x", "-C" + real + "/elsewhere/x",
        ". " + real + "/elsewhere/x; true", std::string("https://example.org/w/x"), real + "/wide", real,
        std::string("w/x"), std::string("{to}"), std::string("-t"), std::string(), std::string("--to={to}")}) {
    INFO(word);
    CHECK(reach(word).empty());
  }
}
