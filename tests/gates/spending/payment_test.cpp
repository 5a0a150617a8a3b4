// The spending gate: what reaches the payment's command, what becomes of it, and what the room hears.

#include <catch2/catch.hpp>

#include "agentbox/gates/spending/payment_gate.hpp"

#include "../served.hpp"

namespace agentbox::test::spending {

using base::AbsPath;
using base::UniqueFd;
using broker::Decider;
using broker::Verdict;
using commands::abs_path;
using commands::Client;
using commands::Folder;
using commands::verdict;
using commands::write_file;
using Outcome = wire::PaymentEnded::Outcome;
using Lines = std::vector<std::string>;

// Notes what was settled, too.
class FakeDecider final : public commands::FakeDecider {
 public:
  using commands::FakeDecider::FakeDecider;
  void settle(const Verdict& verdict, const policy::Action& action, Paid paid, const std::string& what) override {
    static constexpr std::array<std::string_view, 4> names{"paid", "not_paid", "not_started", "unknown"};
    outcome(verdict, action, std::string(names.at(static_cast<std::size_t>(paid))) + ": " + what);
  }
};

class World : public WithProgram<gates::spending::PaymentGate, gates::spending::Setup, FakeDecider> {
 public:
  explicit World(const std::string& wallet = "exit 0") : WithProgram("wallet", wallet) {
    setup.rules.spending.limit = {
        {.text = "100 USD/day", .amount = 10000, .unit = "USD", .period = profile::Period::day}, {}};
    setup.rules.spending.pay = {real("bin/wallet"), "send", "{amount}", "{minor}",
                                "{currency}",       "{to}", "{memo}",   "{key}"};
  }

  void start() {
    gate.emplace(loop_, decider, setup);
    gates::requests::Setup requests{.session = "test-1", .profile = "test"};
    requests.gates.payment = [this](auto from, auto request) {
      return gate->take(std::move(from), std::move(request));
    };
    requests.spending = [] { return std::vector<std::string>{"40.00 left"}; };
    serve(std::move(requests));
  }

  // The verdict is on its way when the gate goes.
  void say_yes_and_close() {
    boost::asio::post(loop_, [this] {
      decider.answer_all(verdict(Verdict::Kind::allow));
      gate.reset();
    });
  }

  static wire::PaymentRequest payment(std::string amount = "12.50", std::string to = "alice") {
    return {.amount = std::move(amount),
            .currency = "USD",
            .to = std::move(to),
            .memo = "for lunch",
            .key = "k-1",
            .why = "w"};
  }
  wire::PaymentEnded pay(wire::PaymentRequest request = payment()) {
    Client one = client();
    one.send({1, std::move(request)});
    CHECK(one.expect<wire::Verdict>().verdict == wire::Verdict::Kind::allow);
    return one.expect<wire::PaymentEnded>();
  }
  std::string refusal(wire::PaymentRequest request) {
    Client one = client();
    one.send({1, std::move(request)});
    return one.expect<wire::Refusal>().message;
  }
};

}  // namespace agentbox::test::spending

using namespace agentbox;
using namespace agentbox::test::spending;

TEST_CASE("what was allowed is paid by the profile's command: whole arguments, and nothing of the room") {
  World world;
  world.start();
  CHECK(world.pay() == wire::PaymentEnded{Outcome::paid, ""});
  CHECK(world.content("called") == "<send><12.50><1250><USD><alice><for lunch><k-1>");
  CHECK(world.content("directory") == "/\n");
  CHECK(world.content("input").empty());
  const std::string environment = world.content("environment");
  CHECK(environment.find("HOME=/home/me\n") != std::string::npos);
  CHECK(environment.find("LANG=C\n") != std::string::npos);
  CHECK(environment.find("SECRET") == std::string::npos);
  CHECK(world.decider.outcomes(1) == Lines{"paid: paid: exit code 0"});

  const auto asked = world.decider.asked(1)[0];
  CHECK(asked.title == "pay 12.50 USD");
  CHECK(asked.subject == "12.50 USD to alice");
  CHECK(asked.phrase == "12.50");
  CHECK(asked.said == "w");
  CHECK(asked.session_scopes.empty());
  CHECK(asked.lasting_scopes.empty());
}

TEST_CASE("text of the room is never more than one argument, and never a shell's") {
  World world;
  world.start();
  auto request = World::payment("0.01", "a b;$(touch x) '\"*");
  request.memo = "{to} `id` \u00e9";
  CHECK(world.pay(request).outcome == Outcome::paid);
  CHECK(world.content("called") == "<send><0.01><1><USD><a b;$(touch x) '\"*><{to} `id` \u00e9><k-1>");
}

TEST_CASE("the contract of the command: 0 is paid, 1 is not, all else nobody knows") {
  auto run = [](const std::string& wallet) {
    World world(wallet);
    world.start();
    auto ended = world.pay();
    return std::pair{ended.outcome, world.decider.outcomes(1)[0]};
  };
  CHECK(run("exit 0") == std::pair{Outcome::paid, std::string("paid: paid: exit code 0")});
  CHECK(run("echo no funds >&2; exit 1") ==
        std::pair{Outcome::not_paid, std::string("not_paid: not paid: exit code 1: no funds")});
  CHECK(run("exit 2") == std::pair{Outcome::unknown, std::string("unknown: unknown: exit code 2")});
  CHECK(run("exit 127") == std::pair{Outcome::unknown, std::string("unknown: unknown: exit code 127")});
  CHECK(run("kill -9 $$") == std::pair{Outcome::unknown, std::string("unknown: unknown: killed by signal 9")});
}

TEST_CASE("nothing of what the command says reaches the room") {
  World world("echo 'balance: 17.03'; printf 'a\\033[2Jb' >&2; exit 1");
  world.start();
  CHECK(world.pay() == wire::PaymentEnded{Outcome::not_paid, "the payment's program says that nothing was paid"});
  CHECK(world.decider.outcomes(1)[0] == "not_paid: not paid: exit code 1: a\\x1b[2Jb");
}

TEST_CASE("a command that can't be started has paid nothing") {
  World world;
  SECTION("changed between question and answer") {
    world.decider.answer = [&](const broker::Asked&) {
      write_file(world.folder / "bin/wallet", "#!/bin/sh\nexit 0\n# another\n", 0755);
      return std::optional(verdict(Verdict::Kind::allow));
    };
    world.start();
    CHECK(world.pay() == wire::PaymentEnded{Outcome::not_paid, "the payment's program was not started"});
    CHECK(world.decider.outcomes(1)[0].starts_with("not_started: not started: "));
  }
  SECTION("no interpreter") {
    write_file(world.folder / "bin/wallet", "#!/no/such/interpreter\n", 0755);
    world.start();
    CHECK(world.pay().outcome == Outcome::not_paid);
    CHECK(world.decider.outcomes(1)[0].starts_with("not_started: not started: cannot be executed"));
  }
  CHECK(world.content("called").empty());
}

TEST_CASE("a program that is missing, or that the room could change, is never asked about") {
  World world;
  SECTION("missing") {
    std::filesystem::remove(world.folder / "bin/wallet");
  }
  SECTION("where the agent can write") {
    std::filesystem::rename(world.folder / "bin/wallet", world.folder / "w/wallet");
    world.setup.rules.spending.pay[0] = world.real("w/wallet");
  }
  SECTION("a link from elsewhere to where the agent can write") {
    std::filesystem::rename(world.folder / "bin/wallet", world.folder / "w/wallet");
    std::filesystem::create_symlink(world.real("w/wallet"), world.folder / "bin/wallet");
  }
  world.start();
  CHECK(world.refusal(World::payment()) == "the owner's way to pay can't be used now: tell him");
  CHECK(world.decider.asked_so_far() == 0);
  world.end();
  CHECK(world.refused.size() == 1);
}

TEST_CASE("what is no payment is refused before anybody is asked") {
  World world;
  world.start();
  for (const char* amount : {"1e3", "-5", "+5", "NaN", "1e309", "0", "0.00", "0.005", "12.345", "99999999999999999999",
                             " 5", "5 ", "5,00", "0x5", "12.50 USD"}) {
    INFO(amount);
    CHECK_FALSE(world.refusal(World::payment(amount)).empty());
  }
  auto currency = World::payment();
  currency.currency = "usd";
  CHECK(world.refusal(currency) == "unknown currency 'usd': an ISO 4217 code, such as USD or EUR");
  CHECK(world.refusal(World::payment("1", "--all")) == "the recipient begins with '-', like an option");
  CHECK(world.refusal(World::payment("1", "a\nb")).starts_with("the recipient is not plain text"));
  auto key = World::payment();
  key.key = "-k";
  CHECK(world.refusal(key).starts_with("a key is 1 to 64"));
  CHECK(world.decider.asked_so_far() == 0);
  CHECK(world.content("called").empty());
}

TEST_CASE("denied, nothing is run; a duplicate hears what became of the first") {
  World world;
  std::optional<Verdict> said;
  world.decider.answer = [&](const broker::Asked&) { return said; };
  auto hear = [&](Verdict::Earlier earlier) {
    said = verdict(Verdict::Kind::duplicate, "because");
    said->earlier = earlier;
    Client one = world.client();
    one.send({1, World::payment()});
    CHECK(one.expect<wire::Verdict>().verdict == wire::Verdict::Kind::duplicate);
    return one.expect<wire::PaymentEnded>();
  };
  world.start();
  CHECK(hear(Verdict::Earlier::paid) == wire::PaymentEnded{Outcome::paid, "because"});
  CHECK(hear(Verdict::Earlier::unknown).outcome == Outcome::unknown);
  CHECK(hear(Verdict::Earlier::pending).outcome == Outcome::pending);
  said = verdict(Verdict::Kind::deny);
  Client one = world.client();
  one.send({1, World::payment()});
  CHECK(one.expect<wire::Verdict>().verdict == wire::Verdict::Kind::deny);
  // The id is free again.
  one.send({1, World::payment()});
  CHECK(one.expect<wire::Verdict>().verdict == wire::Verdict::Kind::deny);
  CHECK(world.content("called").empty());
}

TEST_CASE("who asked and has gone before the yes: nothing is paid, and the reservation is given back") {
  World world;
  world.decider.answer = [](const broker::Asked&) { return std::optional<Verdict>(); };
  world.start();
  {
    Client one = world.client();
    one.send({1, World::payment()});
    world.decider.asked(1);
  }
  world.decider.wait_for_cancel();
  CHECK(world.content("called").empty());
}

TEST_CASE("a yes that comes when the gate has closed pays nothing, and gives the reservation back") {
  World world;
  world.decider.answer = [](const broker::Asked&) { return std::optional<Verdict>(); };
  world.start();
  Client one = world.client();
  one.send({1, World::payment()});
  world.decider.asked(1);
  world.say_yes_and_close();
  CHECK(world.decider.outcomes(1) == Lines{"not_started: not started: the session has ended"});
  CHECK(world.content("called").empty());
}

TEST_CASE("a payment that is being made does not end with its connection") {
  World world("sleep 0.3; exit 0");
  world.start();
  {
    Client one = world.client();
    one.send({1, World::payment()});
    CHECK(one.expect<wire::Verdict>().verdict == wire::Verdict::Kind::allow);
  }
  CHECK(world.decider.outcomes(1) == Lines{"paid: paid: exit code 0"});
}

TEST_CASE("the session's end waits for it, and calls unknown what still runs") {
  SECTION("it ends in time") {
    World world("sleep 0.3; exit 0");
    world.start();
    Client one = world.client();
    one.send({1, World::payment()});
    (void)one.expect<wire::Verdict>();
    world.end();
    CHECK(world.decider.outcomes(1) == Lines{"paid: paid: exit code 0"});
  }
  SECTION("it doesn't") {
    World world("exec sleep 1000");
    world.setup.limits.at_end = std::chrono::milliseconds(200);
    world.start();
    Client one = world.client();
    one.send({1, World::payment()});
    (void)one.expect<wire::Verdict>();
    world.end();
    CHECK(world.decider.outcomes(1) == Lines{"unknown: unknown: killed, since the session has ended"});
  }
}

TEST_CASE("a command that takes too long or writes without end is ended, and its outcome unknown") {
  World world;
  SECTION("time") {
    world.script("exec sleep 1000");
    world.setup.limits.time = std::chrono::milliseconds(300);
  }
  SECTION("output") {
    world.script("exec yes");
    world.setup.limits.output = 1 << 16;
  }
  world.start();
  CHECK(world.pay().outcome == Outcome::unknown);
  CHECK(world.decider.outcomes(1)[0].starts_with("unknown: unknown: killed by signal "));
}

TEST_CASE("so many are open at once") {
  World world;
  world.setup.limits.open = 2;
  world.decider.answer = [](const broker::Asked&) { return std::optional<Verdict>(); };
  world.start();
  Client one = world.client();
  one.send({1, World::payment()});
  one.send({2, World::payment()});
  world.decider.asked(2);
  one.send({3, World::payment()});
  CHECK(one.expect<wire::Refusal>().code == wire::Code::too_many);
}

TEST_CASE("status says what may be spent") {
  World world;
  world.start();
  Client one = world.client();
  one.send({1, wire::StatusRequest{}});
  CHECK(one.expect<wire::RoomStatus>().spending == Lines{"40.00 left"});
}
