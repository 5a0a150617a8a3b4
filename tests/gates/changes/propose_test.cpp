// From a proposal to the file: what is asked, what is written, what is refused.

#include <algorithm>

#include <catch2/catch.hpp>

#include "agentbox/base/error.hpp"

#include "world.hpp"

using namespace agentbox;
using namespace agentbox::test::changes;

namespace {

std::string fact(const broker::Asked& asked, const std::string& label) {
  auto found = std::ranges::find(asked.facts, label, &prompt::Fact::label);
  return found == asked.facts.end() ? "no such fact" : found->value;
}
mode_t mode_of(const std::string& path) {
  struct stat info{};
  return ::lstat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
}
std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::ranges::sort(names);
  return names;
}
const policy::Change& change(const broker::Asked& asked) {
  return std::get<policy::Change>(asked.action);
}

}  // namespace

TEST_CASE("an allowed proposal writes exactly its bytes, with the mode that was there, while the room stands still") {
  World world;
  write_file(world.at(".envrc"), "a\nb\nc\n", 0750);
  world.start();
  Client client = world.client();
  world.propose(client, ".envrc", "a\nB\nc\n");
  CHECK(client.expect<wire::Verdict>().verdict == wire::Verdict::Kind::allow);
  CHECK(content_of(world.at(".envrc")) == "a\nB\nc\n");
  CHECK(mode_of(world.at(".envrc")) == 0750);
  broker::Asked asked = world.decider.asked(1).at(0);
  CHECK(asked.title == "change a protected file");
  CHECK(asked.subject == world.at(".envrc"));
  CHECK(asked.said == "a reason");
  CHECK(asked.content == "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n");
  CHECK(fact(asked, "file") == "protected: read-only in the room (base.toml:7)");
  CHECK(fact(asked, "outside") == "direnv runs it when your shell enters the folder");
  CHECK(fact(asked, "mode") == "0750 as before, executable");
  CHECK(fact(asked, "size") == "6 bytes, before 6; lines: 1 added, 1 removed");
  CHECK(fact(asked, "was") == change(asked).before);
  CHECK(asked.session_scopes.empty());
  CHECK(asked.lasting_scopes.empty());
  world.end();
  CHECK(world.events == std::vector<std::string>{"before", "changed .envrc", "after"});
  CHECK(world.decider.outcomes(1) == std::vector<std::string>{"written"});
  // Nothing is left beside it.
  CHECK(names_in(world.workspace) == std::vector<std::string>{".envrc", ".git", "hidden", "read", "sub"});
}

TEST_CASE("a new file gets no executable bit, and the folders that it needs") {
  World world;
  world.start();
  Client client = world.client();
  world.propose(client, ".git/hooks/pre-commit", "#!/bin/sh\n");
  client.expect<wire::Verdict>();
  CHECK(mode_of(world.at(".git/hooks/pre-commit")) == 0644);
  broker::Asked asked = world.decider.asked(1).at(0);
  CHECK(asked.title == "make a protected file");
  CHECK(fact(asked, "outside") == "git runs it as the hook pre-commit, if it is executable");
  CHECK(fact(asked, "mode") == "0644, not executable");
  CHECK(change(asked).before.empty());
  world.propose(client, "sub/new/er/file", "x");
  client.expect<wire::Verdict>();
  CHECK(content_of(world.at("sub/new/er/file")) == "x");
  asked = world.decider.asked(2).at(1);
  CHECK(asked.title == "make a file");
  CHECK(fact(asked, "makes") == "the folder new/er/");
  CHECK(fact(asked, "file") == "ordinary: the agent could write it itself");
}

TEST_CASE("a file is removed when that was asked for") {
  World world;
  write_file(world.at(".envrc"), "a\n");
  world.start();
  Client client = world.client();
  client.send({1, wire::ChangeRequest{.path = world.at(".envrc"), .what = wire::ChangeRequest::What::remove}});
  client.expect<wire::Verdict>();
  CHECK_FALSE(std::filesystem::exists(world.at(".envrc")));
  broker::Asked asked = world.decider.asked(1).at(0);
  CHECK(asked.title == "remove a protected file");
  CHECK(asked.content == "@@ -1 +0,0 @@\n-a\n");
  CHECK(change(asked).after.empty());
  client.send({2, wire::ChangeRequest{.path = world.at(".envrc"), .what = wire::ChangeRequest::What::remove}});
  CHECK(client.expect<wire::Refusal>().message == world.at(".envrc") + " is not there");
  CHECK(world.decider.outcomes(1) == std::vector<std::string>{"removed"});
}

TEST_CASE("a denied proposal changes nothing, and says why") {
  World world;
  write_file(world.at(".envrc"), "a\n");
  world.decider.answer = [](auto&) { return verdict(Verdict::Kind::deny, "the owner said no"); };
  world.start();
  Client client = world.client();
  world.propose(client, ".envrc", "evil\n");
  CHECK(client.expect<wire::Verdict>().reason == "the owner said no");
  world.end();
  CHECK(content_of(world.at(".envrc")) == "a\n");
  CHECK(world.events.empty());
}

TEST_CASE("what was changed between question and answer is not written over") {
  struct Case {
    std::string name;
    std::function<void(const World&)> meanwhile;
    std::string after;
  };
  const std::vector<Case> cases{
      {"another content", [](const World& world) { write_file(world.at(".envrc"), "owner's\n"); }, "owner's\n"},
      {"another file of the same content",
       [](const World& world) {
         write_file(world.at("other"), "a\n");
         std::filesystem::rename(world.at("other"), world.at(".envrc"));
       },
       "a\n"},
      {"another mode", [](const World& world) { ::chmod(world.at(".envrc").c_str(), 0755); }, "a\n"},
      {"no file", [](const World& world) { std::filesystem::remove(world.at(".envrc")); }, ""},
  };
  for (const Case& one : cases) {
    INFO(one.name);
    World world;
    write_file(world.at(".envrc"), "a\n");
    world.decider.answer = [](auto&) { return std::optional<Verdict>(); };
    world.start();
    Client client = world.client();
    world.propose(client, ".envrc", "new\n");
    world.decider.asked(1);
    one.meanwhile(world);
    world.decider.answer_all(verdict(Verdict::Kind::allow));
    CHECK(client.expect<wire::Refusal>().message ==
          "the owner allowed it, but nothing was changed: " + world.at(".envrc") +
              " was changed meanwhile: look at it, and propose again");
    CHECK(content_of(world.at(".envrc")) == one.after);
    world.end();
    CHECK(world.events == std::vector<std::string>{"before", "after"});
    CHECK(world.decider.outcomes(1).at(0).starts_with("not changed: "));
  }
}

TEST_CASE("no link leads anywhere: not on the way, not at the end, not swapped in after the question") {
  World world;
  write_file(world.folder / "outside/secret", "precious\n");
  std::filesystem::create_directory_symlink(world.folder / "outside", world.at("out"));
  std::filesystem::create_symlink(world.folder / "outside/secret", world.at("link"));
  std::filesystem::create_directory(world.at("sub/in"));
  std::filesystem::create_directory(world.at("outside2"));
  world.decider.answer = [](auto&) { return std::optional<Verdict>(); };
  world.start();
  CHECK(world.refusal("out/secret") ==
        "a symbolic link lies on the way to " + world.at("out/secret") + ": use the real path (`pwd -P`)");
  CHECK(world.refusal("link") == world.at("link") + " is a symbolic link: only files can be proposed");
  Client client = world.client();
  world.propose(client, "sub/in/file", "x");
  world.decider.asked(1);
  std::filesystem::rename(world.at("sub/in"), world.at("sub/was"));
  std::filesystem::create_directory_symlink(world.folder / "outside", world.at("sub/in"));
  world.decider.answer_all(verdict(Verdict::Kind::allow));
  CHECK(client.expect<wire::Refusal>().message.find("a symbolic link lies on the way") != std::string::npos);
  CHECK(names_in(world.folder / "outside") == std::vector<std::string>{"secret"});
  // Nor another folder, in place of the one that was there.
  world.propose(client, "sub/was/file", "x");
  world.decider.asked(2);
  std::filesystem::rename(world.at("sub/was"), world.at("sub/gone"));
  std::filesystem::rename(world.at("outside2"), world.at("sub/was"));
  world.decider.answer_all(verdict(Verdict::Kind::allow));
  CHECK(client.expect<wire::Refusal>().message.find("was changed meanwhile") != std::string::npos);
  CHECK(names_in(world.at("sub/was")).empty());
}

TEST_CASE("only a sealed memfd carries content") {
  World world;
  world.start();
  Client client = world.client();
  auto refused = [&](const std::vector<int>& fds) {
    client.send_with({1, wire::ChangeRequest{.path = world.at(".envrc")}}, fds);
    return client.expect<wire::Refusal>().message;
  };
  const std::string unsealed = "the content must be sealed against writing, growing and shrinking";
  for (int seals : {0, F_SEAL_WRITE | F_SEAL_GROW, F_SEAL_GROW | F_SEAL_SHRINK, F_SEAL_WRITE | F_SEAL_SHRINK,
                    F_SEAL_FUTURE_WRITE | F_SEAL_GROW | F_SEAL_SHRINK}) {
    CHECK(refused({memory("x", seals).get()}) == unsealed);
  }
  write_file(world.at("file"), "x");
  UniqueFd file(::open(world.at("file").c_str(), O_RDONLY | O_CLOEXEC));
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  UniqueFd reading(ends[0]), writing(ends[1]);
  for (const UniqueFd* other : {&file, &reading}) {
    CHECK((refused({other->get()}) == "the content must come in a memfd" || refused({other->get()}) == unsealed));
  }
  const std::string one = "the content must come beside the line, as exactly one descriptor";
  UniqueFd good = memory("good"), second = memory("second");
  CHECK(refused({good.get(), second.get()}) == one);
  client.send({1, wire::ChangeRequest{.path = world.at(".envrc")}});
  CHECK(client.expect<wire::Refusal>().message == one);
  CHECK(world.decider.asked_so_far() == 0);
  CHECK_FALSE(std::filesystem::exists(world.at(".envrc")));
  // The control: the very same with what is asked for.
  client.send_with({1, wire::ChangeRequest{.path = world.at(".envrc")}}, {good.get()});
  client.expect<wire::Verdict>();
  CHECK(content_of(world.at(".envrc")) == "good");
}

TEST_CASE(
    "descriptors that nothing is asked for are closed, and those of lines that follow each other are not mixed up") {
  World world;
  world.start();
  Client client = world.client();
  UniqueFd first = memory("first"), second = memory("second");
  client.send_with({1, wire::ChangeRequest{.path = world.at("one")}}, {first.get()});
  client.send_with({2, wire::ChangeRequest{.path = world.at("two")}}, {second.get()});
  client.expect<wire::Verdict>();
  client.expect<wire::Verdict>();
  CHECK(content_of(world.at("one")) == "first");
  CHECK(content_of(world.at("two")) == "second");
  auto open_here = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
  };
  std::vector<int> many(200, first.get());
  const auto before = open_here();
  for (int i = 0; i < 20; ++i) {  // one at a time: the kernel bounds the descriptors that a user has in flight
    client.send_with({3, wire::StatusRequest{}}, many);
    client.expect<wire::RoomStatus>();
  }
  // The last answer may be heard before its request's descriptors are closed.
  for (int i = 0; i < 500 && open_here() > before + 2; ++i) ::usleep(10'000);
  CHECK(open_here() <= before + 2);
}

TEST_CASE("hidden files, git's own files, folders and odd paths are refused with the reason, and on record") {
  World world;
  write_file(world.at("hidden/key"), "precious\n");
  REQUIRE(::mkfifo(world.at("fifo").c_str(), 0600) == 0);
  world.start();
  CHECK(world.refusal("hidden/key") == world.at("hidden/key") + " is hidden from this room, and not changed from here");
  CHECK(world.refusal(".git/HEAD") ==
        world.at(".git/HEAD") + " is git's own: use git in the room, or tell the owner what to change");
  CHECK(world.refusal("read/x").find("granted for reading only") != std::string::npos);
  CHECK(world.refusal("sub") == world.at("sub") + " is a directory: only files can be proposed");
  CHECK(world.refusal("fifo") == world.at("fifo") + " is no regular file: only files can be proposed");
  const std::string odd = "the path is no absolute path without '.', '..' and empty parts";
  for (const char* name : {"sub/../.envrc", "./x", "sub//x", "sub/", "."}) CHECK(world.refusal(name) == odd);
  Client client = world.client();
  client.send_bytes(
      R"({"jsonrpc":"2.0","id":1,"method":"request.change","params":{"path":"/w/a\u0000b","what":"write"}})"
      "\n");
  CHECK(client.expect<wire::Refusal>().code == wire::Code::wrong_parameters);
  world.end();
  CHECK(world.decider.asked_so_far() == 0);
  CHECK(world.refused.at(0) == "create " + world.at("hidden/key") + ": " + world.at("hidden/key") +
                                   " is hidden from this room, and not changed from here");
  CHECK(world.refused.size() == 5);
}

TEST_CASE("a file that is too big, or a difference that nobody can read, is refused") {
  World world;
  world.setup.limits.content = 1 << 20;
  world.start();
  Client client = world.client();
  UniqueFd big = memory(std::string((1 << 20) + 1, 'x'));
  client.send_with({1, wire::ChangeRequest{.path = world.at(".envrc")}}, {big.get()});
  CHECK(client.expect<wire::Refusal>().message ==
        "the new content is bigger than 1024 KiB: nobody could read the difference");
  CHECK(world.refusal(".envrc", std::string(600'000, 'x')).starts_with("the difference is too long for a person"));
  write_file(world.at("old"), std::string((1 << 20) + 1, 'x'));
  CHECK(world.refusal("old") == world.at("old") + " is bigger than 1024 KiB: nobody could read the difference");
}

TEST_CASE("what is not text is asked for by its hashes") {
  World world;
  world.start();
  Client client = world.client();
  world.propose(client, ".envrc",
                std::string("\x7f"
                            "ELF\0",
                            5));
  client.expect<wire::Verdict>();
  broker::Asked asked = world.decider.asked(1).at(0);
  CHECK(asked.content.empty());
  CHECK(fact(asked, "caution") == "it is not text: what changes can't be shown");
  auto becomes = std::ranges::find(asked.facts, "becomes", &prompt::Fact::label);
  REQUIRE(becomes != asked.facts.end());
  CHECK(becomes->shown == prompt::Fact::Shown::always);
  CHECK(becomes->value == change(asked).after);
}

TEST_CASE("a held file is compared with what it was before the run, whatever the agent has made of it") {
  World world;
  write_file(world.at("AGENTS.md"), "rule\nEVIL\n");
  world.setup.original = [&](const AbsPath& path) -> std::optional<gates::changes::Original> {
    if (path != abs_path(world.at("AGENTS.md"))) return {};
    return gates::changes::Original{gates::changes::Original::Was::file, "rule\n"};
  };
  world.start();
  Client client = world.client();
  world.propose(client, "AGENTS.md", "rule\nEVIL\nharmless\n");
  client.expect<wire::Verdict>();
  broker::Asked asked = world.decider.asked(1).at(0);
  CHECK(asked.title == "change a held file");
  CHECK(asked.content == "@@ -1 +1,3 @@\n rule\n+EVIL\n+harmless\n");
  CHECK(fact(asked, "caution") ==
        "the agent has changed it already; the difference is to what was there before the run");
  CHECK(fact(asked, "file") == "held: what the agent writes there is kept only with your yes (base.toml:9)");
  // What stands there already still needs the yes; what was there before the run doesn't.
  world.propose(client, "AGENTS.md", "rule\nEVIL\nharmless\n");
  client.expect<wire::Verdict>();
  CHECK(world.decider.asked(2).at(1).content == asked.content);
  write_file(world.at("AGENTS.md"), "rule\n");
  CHECK(world.refusal("AGENTS.md", "rule\n") == world.at("AGENTS.md") + " says exactly this already");
}

TEST_CASE("who goes away, or cancels, changes nothing; and so many proposals are open at once") {
  World world;
  write_file(world.at(".envrc"), "a\n");
  world.decider.answer = [](auto&) { return std::optional<Verdict>(); };
  world.setup.limits.open = 2;
  world.start();
  Client client = world.client();
  world.propose(client, ".envrc", "b\n", 1);
  client.send({1, wire::Cancel{}});
  CHECK(client.expect<wire::Verdict>().verdict == wire::Verdict::Kind::cancelled);
  {
    Client leaves = world.client();
    world.propose(leaves, ".envrc", "c\n");
    world.decider.asked(2);
  }
  world.decider.wait_for_cancel();
  world.propose(client, ".envrc", "d\n", 2);
  world.decider.asked(3);
  // The place of the one that left is free as soon as its verdict is there.
  for (std::uint64_t id = 3;; ++id) {
    world.propose(client, ".envrc", "e\n", id);
    client.send({id, wire::StatusRequest{}});
    auto heard = client.hear();
    REQUIRE(heard);
    if (std::holds_alternative<wire::RoomStatus>(heard->message.body)) break;
    REQUIRE(std::get<wire::Refusal>(heard->message.body).code == wire::Code::too_many);
    client.expect<wire::RoomStatus>();
  }
  world.propose(client, ".envrc", "f\n", 1000);
  CHECK(client.expect<wire::Refusal>().message == "2 proposals are open already: wait for them");
  world.end();
  CHECK(content_of(world.at(".envrc")) == "a\n");
}

TEST_CASE("a file that somebody in the room holds a lease on is refused, and not tried without end") {
  World world;
  write_file(world.at(".envrc"), "a\n");
  test::commands::Lease lease(world.at(".envrc"));
  world.start();
  CHECK(world.refusal(".envrc", "b\n") == world.at(".envrc") + " can't be read: Resource temporarily unavailable");
  lease.give_up();
  Client client = world.client();
  world.propose(client, ".envrc", "b\n");
  CHECK(client.expect<wire::Verdict>().verdict == wire::Verdict::Kind::allow);
  CHECK(content_of(world.at(".envrc")) == "b\n");
}

TEST_CASE("a room that can't be stopped, and a folder that can't be written, leave the file as it is") {
  World world;
  write_file(world.at(".envrc"), "a\n");
  world.setup.before = [] { throw base::SystemError(ETIMEDOUT, "cannot stop the processes of the room"); };
  world.start();
  CHECK(world.refusal(".envrc").find("cannot stop the processes of the room") != std::string::npos);
  world.end();
  CHECK(content_of(world.at(".envrc")) == "a\n");
  CHECK(world.events.empty());
  CHECK(world.decider.outcomes(1).at(0).starts_with("not changed: cannot stop the processes"));
}

TEST_CASE("several names of a file are said, and only the one that was named changes") {
  World world;
  write_file(world.at(".envrc"), "a\n");
  std::filesystem::create_hard_link(world.at(".envrc"), world.at("sub/other"));
  world.start();
  Client client = world.client();
  world.propose(client, ".envrc", "b\n");
  client.expect<wire::Verdict>();
  CHECK(fact(world.decider.asked(1).at(0), "caution") == "the file has 2 names; under the others it stays as it is");
  CHECK(content_of(world.at("sub/other")) == "a\n");
}
