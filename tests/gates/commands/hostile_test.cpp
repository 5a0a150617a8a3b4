// What a hostile room can do to its end of request.sock.

#include <sys/resource.h>

#include <catch2/catch.hpp>

#include "world.hpp"

using namespace agentbox;
using namespace agentbox::test::commands;
using wire::CommandExited;
using wire::CommandStarted;

namespace {

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

// The server still answers somebody else.
void check_that_it_serves(World& world) {
  Client client = world.client();
  client.send({9, wire::StatusRequest{}});
  CHECK(client.expect<wire::RoomStatus>().session == "test-1");
}

}  // namespace

TEST_CASE("a line without an end is refused, and the connection closed") {
  World world;
  world.start();
  Client client = world.client();
  const std::string much(1 << 20, 'a');
  std::size_t sent = 0;
  while (sent < (std::size_t{1} << 30) && client.send_bytes(much)) sent += much.size();
  CHECK(sent < (std::size_t{16} << 20));
  check_that_it_serves(world);
}

TEST_CASE("half a line is waited for only so long") {
  World world;
  world.requests.limits.half_line = std::chrono::milliseconds(50);
  world.start();
  Client client = world.client();
  client.send({1, wire::StatusRequest{}});
  client.expect<wire::RoomStatus>();
  client.send_bytes(R"({"jsonrpc")");
  CHECK(client.expect<wire::Refusal>().message == "the rest of a line did not come");
  CHECK_FALSE(client.hear());
  check_that_it_serves(world);
}

TEST_CASE("a connection that says nothing may stay") {
  World world;
  world.requests.limits.half_line = std::chrono::milliseconds(1);
  world.start();
  Client quiet = world.client();
  check_that_it_serves(world);
  quiet.send({1, wire::StatusRequest{}});
  quiet.expect<wire::RoomStatus>();
}

TEST_CASE("what can't be understood is refused, and after some of that the connection closed") {
  World world;
  world.start();
  Client client = world.client();
  client.send_bytes("{\"a\":\"\xff\xfe\"}\n");
  CHECK(client.expect<wire::Refusal>().message == "this is not JSON in UTF-8");
  client.send_bytes(R"({"jsonrpc":"2.0","id":1,"method":"questions.list"})"
                    "\n");
  CHECK(client.expect<wire::Refusal>().code == wire::Code::unknown_method);
  for (int i = 0; i < 14; ++i) client.send_bytes("x\n");
  for (int i = 0; i < 14; ++i) client.expect<wire::Refusal>();
  CHECK_FALSE(client.hear());
  check_that_it_serves(world);
}

TEST_CASE("a thousand connections are answered, only so many of them served") {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 4096);
  ::setrlimit(RLIMIT_NOFILE, &limit);
  World world;
  world.start();
  std::vector<Client> clients;
  for (int i = 0; i < 1000; ++i) clients.push_back(world.client());
  CHECK(clients.back().expect<wire::Refusal>().code == wire::Code::too_many);
  CHECK(world.counters().connections == 64);
  clients.clear();
  for (int i = 0; i < 1000 && world.counters().connections > 0; ++i) std::this_thread::yield();
  check_that_it_serves(world);
}

TEST_CASE("descriptors that are sent along are closed at once") {
  World world;
  world.start();
  Client client = world.client();
  client.send({1, wire::StatusRequest{}});
  client.expect<wire::RoomStatus>();
  const std::size_t before = open_descriptors();
  std::string line = wire::encode(wire::FromRoom{2, wire::StatusRequest{}});
  for (int round = 0; round < 20; ++round) {
    iovec part{line.data(), line.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(250 * sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(250 * sizeof(int));
    for (std::size_t i = 0; i < 250; ++i) {
      const int fd = client.get();
      std::memcpy(CMSG_DATA(header) + i * sizeof fd, &fd, sizeof fd);
    }
    REQUIRE(::sendmsg(client.get(), &message, 0) == static_cast<ssize_t>(line.size()));
    client.expect<wire::RoomStatus>();
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("a requester that does not read loses its connection") {
  World world;
  world.start();
  Client client = world.client();
  const std::string line = wire::encode(wire::FromRoom{1, wire::StatusRequest{}});
  std::string many;
  for (int i = 0; i < 1000; ++i) many += line;
  bool closed = false;
  for (int i = 0; i < 1000 && !closed; ++i) closed = !client.send_bytes(many);
  CHECK(closed);
  check_that_it_serves(world);
}

TEST_CASE("an id stands for one request, and another's is nobody else's") {
  World world;
  world.decider.answer = [](const broker::Asked&) { return std::nullopt; };
  world.start();
  Client one = world.client(), other = world.client();
  one.run(1, {"true"}, world.workspace);
  one.run(1, {"true"}, world.workspace);
  CHECK(one.expect<wire::Refusal>().message == "this id is that of an open request");
  other.send({1, wire::Cancel{}});
  other.send({2, wire::StatusRequest{}});
  other.expect<wire::RoomStatus>();
  CHECK(world.counters().requests == 1);
  one.send({1, wire::Cancel{}});
  CHECK(one.expect<wire::Verdict>().verdict == wire::Verdict::Kind::cancelled);
  CHECK(world.counters().requests == 0);
}

TEST_CASE("a connection has only so many requests open") {
  World world;
  world.requests.limits.requests = 3;
  world.decider.answer = [](const broker::Asked&) { return std::nullopt; };
  world.start();
  Client client = world.client();
  for (std::uint64_t id = 1; id <= 4; ++id) client.run(id, {"true"}, world.workspace);
  CHECK(client.expect<wire::Refusal>().code == wire::Code::too_many);
  CHECK(world.counters().requests == 3);
}

TEST_CASE("a question is taken back when its requester is gone, and a yes that comes too late runs nothing") {
  World world;
  world.decider.answer = [](const broker::Asked&) { return std::nullopt; };
  world.start();
  {
    Client client = world.client();
    client.run(1, {"touch", "made"}, world.workspace);
    world.decider.asked(1);
  }
  world.decider.wait_for_cancel();
  world.decider.answer_all(verdict(Verdict::Kind::allow));
  for (int i = 0; i < 1000 && world.counters().requests > 0; ++i) std::this_thread::yield();
  CHECK(world.counters().requests == 0);
  CHECK_FALSE(std::filesystem::exists(world.workspace + "/made"));
}

TEST_CASE("of two hundred identical commands one runs when the broker says so once") {
  World world;
  world.requests.limits.requests = 300;
  std::atomic<int> count = 0;
  world.decider.answer = [&](const broker::Asked&) {
    return verdict(count++ == 0 ? Verdict::Kind::allow : Verdict::Kind::duplicate);
  };
  world.start();
  Client client = world.client();
  for (std::uint64_t id = 1; id <= 200; ++id) client.run(id, {"sh", "-c", "echo once >> log"}, world.workspace);
  int allowed = 0, duplicates = 0, exited = 0;
  while (duplicates < 199 || exited < 1) {
    auto heard = client.hear();
    REQUIRE(heard);
    if (const auto* said = std::get_if<wire::Verdict>(&heard->message.body)) {
      (said->verdict == wire::Verdict::Kind::allow ? allowed : duplicates)++;
    }
    if (std::holds_alternative<CommandExited>(heard->message.body)) ++exited;
  }
  CHECK(allowed == 1);
  std::ifstream log(world.workspace + "/log");
  CHECK(std::string(std::istreambuf_iterator<char>(log), {}) == "once\n");
}

TEST_CASE("a refusal carries the reason, the rule and the owner's words") {
  World world;
  world.decider.answer = [](const broker::Asked&) {
    Verdict said = verdict(Verdict::Kind::deny, "the owner said no");
    said.rule = "git push **";
    said.comment = "not on a friday";
    return said;
  };
  world.start();
  Client client = world.client();
  client.run(1, {"true"}, world.workspace);
  CHECK(client.expect<wire::Verdict>() ==
        wire::Verdict{wire::Verdict::Kind::deny, "the owner said no", "git push **", "not on a friday"});
}

TEST_CASE("a shim's command that no rule speaks of is the room's own") {
  profile::CommandPattern pattern{.text = "sh -c **", .words = {"sh", "-c", "**"}};
  World world([&](auto& setup) { setup.rules.commands.allow.push_back({.value = pattern, .origin = {}}); });
  world.setup.rules.commands.default_ = GENERATE(profile::Default::deny, profile::Default::ask);
  world.start();
  Client client = world.client();
  const auto shim = wire::CommandRequest::From::shim;
  client.run(1, {"sh", "script"}, world.workspace, shim);
  CHECK(client.expect<wire::Verdict>().verdict == wire::Verdict::Kind::pass);
  CHECK(world.decider.asked_so_far() == 0);
  client.run(2, {"sh", "-c", "exit 4"}, world.workspace, shim);
  CHECK(client.expect<wire::Verdict>().verdict == wire::Verdict::Kind::allow);
  client.expect<CommandStarted>();
  CHECK(client.expect<CommandExited>().number == 4);
  // What was asked for by name is no shim's.
  client.run(3, {"sh", "script"}, world.workspace);
  CHECK(client.expect<wire::Verdict>().verdict == wire::Verdict::Kind::allow);
  CHECK(world.decider.asked(2).size() == 2);
}

TEST_CASE("what is denied anyway learns nothing of the host") {
  World world([](auto& setup) { setup.rules.commands.default_ = profile::Default::deny; });
  world.decider.answer = [](const broker::Asked&) { return verdict(Verdict::Kind::deny, "no rule allows it"); };
  world.start();
  Client client = world.client();
  for (const char* word : {"true", "no-such-program", "/root/x"}) {
    client.run(1, {word}, "/nowhere");
    CHECK(client.expect<wire::Verdict>().reason == "no rule allows it");
  }
}
