// Programs so large that hashing them takes a while: nobody else is held up, and who goes away meanwhile asks nothing.

#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>

#include "agentbox/base/sha256.hpp"

#include "world.hpp"

using namespace agentbox;
using namespace agentbox::test::commands;
using gates::commands::FileHash;
using wire::CommandExited;
using wire::CommandStarted;
namespace fs = std::filesystem;

namespace {

constexpr std::uintmax_t large = 400U << 20U;

// A script with a hole behind it, which takes no space.
std::string make_program(World& world, const std::string& name, std::uintmax_t size) {
  const std::string path = world.folder / "bin/" + name;
  write_file(path, "#!/bin/sh\necho ran; exit 0\n", 0755);
  fs::resize_file(path, size);
  return path;
}

}  // namespace

TEST_CASE("a large program is hashed to its end, and runs") {
  World world;
  const std::string path = make_program(world, "huge", 20U << 20U);
  world.start();
  Client client = world.client();
  client.run(1, {"huge"}, world.workspace);
  CHECK(client.expect<wire::Verdict>().verdict == wire::Verdict::Kind::allow);
  std::vector<UniqueFd> streams;
  (void)client.expect<CommandStarted>(&streams);
  CHECK(read_all(streams.at(1)) == "ran\n");
  CHECK(client.expect<CommandExited>() == CommandExited{CommandExited::How::exited, 0, ""});
  std::ifstream file(path, std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(file)), {});
  const broker::Asked asked = world.decider.asked(1).front();
  CHECK(std::get<policy::Command>(asked.action).program->sha256 == base::sha256(content));
}

TEST_CASE("while a large program is hashed the other requests have their turn") {
  World world;
  (void)make_program(world, "huge", large);
  world.start();
  Client client = world.client(), other = world.client();
  client.run(1, {"huge"}, world.workspace);
  client.run(2, {"true"}, world.workspace);
  auto first = client.hear();
  REQUIRE(first);
  CHECK(first->message.id == 2);
  other.run(1, {"true"}, world.workspace);
  CHECK(other.expect<wire::Verdict>().verdict == wire::Verdict::Kind::allow);
  for (auto heard = client.hear(); heard; heard = client.hear()) {
    if (heard->message.id == 1) break;
  }
}

TEST_CASE("who gives up, or goes away, while his program is hashed has asked nothing") {
  World world;
  (void)make_program(world, "huge", large);
  (void)make_program(world, "huger", large);
  world.start();
  Client client = world.client();
  client.run(1, {"huge"}, world.workspace);
  client.send({1, wire::Cancel{}});
  CHECK(client.expect<wire::Verdict>().verdict == wire::Verdict::Kind::cancelled);
  CHECK(world.counters().requests == 0);
  client.run(1, {"huge"}, world.workspace);  // its id is free again
  client.run(2, {"huger"}, world.workspace);
  client.close();
  for (int i = 0; i < 1000 && world.counters().requests > 0; ++i) std::this_thread::yield();
  CHECK(world.counters().requests == 0);
  Client other = world.client();
  other.run(1, {"true"}, world.workspace);
  CHECK(other.expect<wire::Verdict>().verdict == wire::Verdict::Kind::allow);
  CHECK(world.decider.asked_so_far() == 1);
}

TEST_CASE("a session that ends while a program is hashed, before the question and after the yes") {
  for (const bool allowed : {false, true}) {
    World world;
    (void)make_program(world, "huge", allowed ? 40U << 20U : large);
    if (allowed) world.decider.answer = [](const broker::Asked&) { return std::nullopt; };
    world.start();
    Client client = world.client();
    client.run(1, {"huge"}, world.workspace);
    if (allowed) {
      (void)world.decider.asked(1);
      world.decider.answer_all(verdict(Verdict::Kind::allow));
      CHECK(client.expect<wire::Verdict>().verdict == wire::Verdict::Kind::allow);
    }
    world.end();
    if (!allowed) CHECK(world.decider.asked_so_far() == 0);
    if (allowed) {
      const std::string outcome = world.decider.outcomes(1).front();
      INFO(outcome);
      CHECK((outcome.starts_with("not started") || outcome.starts_with("killed")));
    }
  }
}

TEST_CASE("a large program that changes after its first piece was read does not run") {
  World world;
  const std::string path = make_program(world, "huge", 40U << 20U);
  world.decider.answer = [](const broker::Asked&) { return std::nullopt; };
  world.start();
  Client client = world.client();
  client.run(1, {"huge"}, world.workspace);
  (void)world.decider.asked(1);
  std::fstream(path, std::ios::in | std::ios::out | std::ios::binary).seekp(39 << 20).put('x');
  world.decider.answer_all(verdict(Verdict::Kind::allow));
  CHECK(client.expect<wire::Verdict>().verdict == wire::Verdict::Kind::allow);
  auto exited = client.expect<CommandExited>();
  CHECK(exited.number == 126);
  CHECK(exited.reason == path + " has changed since the question");
}

TEST_CASE("a file that grows or shrinks while it is hashed has no hash") {
  Folder folder;
  const std::string path = folder / "file";
  auto hashed = [&](std::uintmax_t before, std::uintmax_t after) {
    write_file(path, "x");
    fs::resize_file(path, before);
    FileHash hash(UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), static_cast<std::int64_t>(before));
    CHECK(hash.go_on() == FileHash::State::unfinished);
    fs::resize_file(path, after);
    while (hash.go_on() == FileHash::State::unfinished) {
    }
    return hash.digest().has_value();
  };
  constexpr std::uintmax_t size = 20U << 20U;
  CHECK(hashed(size, size));
  CHECK_FALSE(hashed(size, size + 1));
  CHECK_FALSE(hashed(size, size - 1));
}
