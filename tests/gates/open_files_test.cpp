#include "agentbox/gates/open_files.hpp"

#include <catch2/catch.hpp>

#include "commands/world.hpp"

using namespace agentbox;
using namespace agentbox::test::commands;

TEST_CASE("a command of the host gets the owner's own limit of descriptors, not ours") {
  rlimit own{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &own) == 0);
  rlimit low = own;
  low.rlim_cur = 256;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
  CHECK(gates::raise_open_files(512) == 512);
  rlimit now{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &now) == 0);
  CHECK(now.rlim_cur == 512);
  CHECK(gates::raise_open_files(300) == 512);
  {
    World world;
    world.start();
    Client client = world.client();
    client.run(1, {"sh", "-c", "ulimit -Sn; ulimit -Hn"}, world.workspace);
    CHECK(client.expect<wire::Verdict>().verdict == wire::Verdict::Kind::allow);
    std::vector<UniqueFd> streams;
    client.expect<wire::CommandStarted>(&streams);
    REQUIRE(streams.size() == 3);
    streams[0].reset();
    const std::string said = read_all(streams[1]);
    CHECK(said.substr(0, 4) == "256\n");
    CHECK(said.find("512") == std::string::npos);
    client.expect<wire::CommandExited>();
  }
  ::setrlimit(RLIMIT_NOFILE, &own);
}
