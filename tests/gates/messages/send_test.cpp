// The messages gate: what reaches the program or the server that sends, what becomes of it, and what the room hears.

#include <netinet/in.h>
#include <sys/mman.h>

#include <catch2/catch.hpp>

#include "agentbox/gates/messages/message_gate.hpp"

#include "../served.hpp"

namespace agentbox::test::messages {

using base::AbsPath;
using base::UniqueFd;
using broker::Verdict;
using commands::abs_path;
using commands::Client;
using commands::FakeDecider;
using commands::Folder;
using commands::verdict;
using commands::write_file;
using profile::MessageFormat;
using Outcome = wire::MessageEnded::Outcome;
using Lines = std::vector<std::string>;

inline UniqueFd sealed(std::string_view content, int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK) {
  UniqueFd fd(::memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (::write(fd.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size()) ||
      ::fcntl(fd.get(), F_ADD_SEALS, seals) != 0) {
    throw std::runtime_error("memfd");
  }
  return fd;
}

class World : public WithProgram<gates::messages::MessageGate, gates::messages::Setup> {
 public:
  explicit World(const std::string& sender = "exit 0") : WithProgram("sender", sender) {
    auto& messages = setup.rules.messages;
    messages.lists.default_ = profile::Default::ask;
    messages.lists.deny = {{{"press@example.org"}, {}}};
    messages.ways = {
        {.name = "email", .send = {real("bin/sender"), "-t"}, .post = {}, .format = MessageFormat::mail},
        {.name = "signal", .send = {real("bin/sender"), "send", "{to}"}, .post = {}, .format = MessageFormat::text}};
  }

  void start() {
    gate.emplace(loop_, decider, setup);
    gates::requests::Setup requests{.session = "test-1", .profile = "test"};
    requests.gates.message = [this](auto from, auto request, auto content) {
      return gate->take(std::move(from), std::move(request), std::move(content));
    };
    requests.messages = [] { return Lines{"--via email: mail"}; };
    serve(std::move(requests));
  }

  static wire::MessageRequest mail(std::string to = "alice@example.org") {
    return {.via = "email", .to = {std::move(to)}, .subject = "lunch", .body = 5, .attachments = {}, .why = "w"};
  }
  static wire::MessageRequest text(std::string to = "+1555010") {
    return {.via = "signal", .to = {std::move(to)}, .subject = {}, .body = 5, .attachments = {}, .why = {}};
  }
  void put(Client& one, const wire::MessageRequest& request, std::string_view content = "hello") const {
    const UniqueFd memory = sealed(content);
    one.send_with({1, request}, {memory.get()});
  }
  wire::MessageEnded send(const wire::MessageRequest& request = mail(), std::string_view content = "hello") const {
    Client one = client();
    put(one, request, content);
    CHECK(one.expect<wire::Verdict>().verdict == wire::Verdict::Kind::allow);
    return one.expect<wire::MessageEnded>();
  }
  std::string refusal(const wire::MessageRequest& request, std::string_view content = "hello") const {
    Client one = client();
    put(one, request, content);
    return one.expect<wire::Refusal>().message;
  }
};

// A server that reads a request to its end, and answers with these bytes.
class Daemon {
 public:
  explicit Daemon(std::string answer) : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(listener_.get(), 1) == 0);
    REQUIRE(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port = ntohs(address.sin_port);
    thread_ = std::thread([this, answer = std::move(answer)] { serve(answer); });
  }
  ~Daemon() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  [[nodiscard]] policy::Rules::Way way() const {
    return {
        .name = "home",
        .send = {},
        .post = profile::PostAddress{.text = "http://127.0.0.1/", .host = "127.0.0.1", .port = port, .path = "/send"},
        .format = MessageFormat::mail};
  }
  std::uint16_t port = 0;
  std::string heard;  // after the end of the exchange

 private:
  void serve(const std::string& answer) {
    const UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    std::array<char, 4096> bytes{};
    while (client && !heard.ends_with("}")) {
      const ssize_t count = ::read(client.get(), bytes.data(), bytes.size());
      if (count <= 0) break;
      heard.append(bytes.data(), static_cast<std::size_t>(count));
    }
    if (client) (void)!::write(client.get(), answer.data(), answer.size());
  }
  UniqueFd listener_;
  std::thread thread_;
};

}  // namespace agentbox::test::messages

using namespace agentbox;
using namespace agentbox::test::messages;

TEST_CASE("what was allowed is written as a mail to the profile's program: whole arguments, and nothing of the room") {
  World world;
  world.start();
  auto request = World::mail("Alice <alice@EXAMPLE.org>");
  request.attachments = {{.name = "a.txt", .size = 3}};
  CHECK(world.send(request, "helloabc") == wire::MessageEnded{Outcome::sent, 0, ""});
  CHECK(world.content("called") == "<-t>");
  CHECK(world.content("directory") == "/\n");
  const std::string mail = world.content("input");
  CHECK(mail.starts_with("Date: "));
  CHECK(mail.find("\nTo: alice@example.org\nSubject: lunch\n") != std::string::npos);
  CHECK(mail.find("\n\nhello=\n\n--=_agentbox\n") != std::string::npos);
  CHECK(mail.find("filename=\"a.txt\"\nContent-Transfer-Encoding: base64\n\nYWJj\n") != std::string::npos);
  const std::string environment = world.content("environment");
  CHECK(environment.find("HOME=/home/me\n") != std::string::npos);
  CHECK(environment.find("SECRET") == std::string::npos);
  CHECK(world.decider.outcomes(1) == Lines{"sent: exit code 0"});

  const auto asked = world.decider.asked(1)[0];
  CHECK(asked.title == "send a message by email");
  CHECK(asked.subject == "alice@example.org");
  CHECK(asked.content == "hello");
  CHECK(asked.said == "w");
  CHECK(asked.facts[0].value == "alice@example.org");
  CHECK(asked.facts[1].value == "Alice <alice@EXAMPLE.org>");
  CHECK(asked.facts[3].value == "a.txt (3 bytes)");
  CHECK(asked.facts[4].value == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(asked.session_scopes.empty());
}

TEST_CASE("a program that takes text reads the body alone, byte for byte") {
  World world;
  world.start();
  auto request = World::text("+1 (555) 010");
  const std::string body = "a\n.\n\tb \u00e9 {to} $(id)";
  request.body = body.size();
  CHECK(world.send(request, body).outcome == Outcome::sent);
  CHECK(world.content("called") == "<send><+1555010>");
  CHECK(world.content("input") == body);
}

TEST_CASE("lines end with a newline alone, in what is shown as in what is sent") {
  World world;
  world.start();
  auto request = World::text();
  request.body = 6;
  CHECK(world.send(request, "a\r\nb\r\n").outcome == Outcome::sent);
  CHECK(world.content("input") == "a\nb\n");
  CHECK(world.decider.asked(1)[0].content == "a\nb\n");
}

TEST_CASE("the contract of the program: 0 is sent, another code is not, a signal nobody knows") {
  auto run = [](const std::string& sender) {
    World world(sender);
    world.start();
    auto ended = world.send();
    return std::tuple{ended.outcome, ended.code, world.decider.outcomes(1)[0]};
  };
  CHECK(run("exit 0") == std::tuple{Outcome::sent, 0, std::string("sent: exit code 0")});
  CHECK(run("echo 'relay denied' >&2; exit 75") ==
        std::tuple{Outcome::failed, 75, std::string("not sent: exit code 75: relay denied")});
  CHECK(run("kill -9 $$") == std::tuple{Outcome::unknown, 0, std::string("unknown: killed by signal 9")});
}

TEST_CASE("nothing of what the program says reaches the room") {
  World world("echo 'password: x'; printf 'a\\033[2Jb' >&2; exit 1");
  world.start();
  CHECK(world.send() == wire::MessageEnded{Outcome::failed, 1, "the program that sends says that it did not"});
  CHECK(world.decider.outcomes(1)[0] == "not sent: exit code 1: a\\x1b[2Jb");
}

TEST_CASE("a sender that is missing, or that the room could change, is never asked about") {
  World world;
  SECTION("missing") {
    std::filesystem::remove(world.folder / "bin/sender");
  }
  SECTION("where the agent can write") {
    std::filesystem::rename(world.folder / "bin/sender", world.folder / "w/sender");
    std::filesystem::create_symlink(world.real("w/sender"), world.folder / "bin/sender");
  }
  SECTION("a script of the agent's, for an interpreter") {
    world.setup.rules.messages.ways[0].send = {"python3", world.real("w/send.py")};
  }
  SECTION("settings of the agent's") {
    world.setup.rules.messages.ways[0].send.push_back("--file=" + world.real("w/msmtprc"));
  }
  world.start();
  CHECK(world.refusal(World::mail()) == "the owner's way to send can't be used now: tell him");
  CHECK(world.decider.asked_so_far() == 0);
  world.end();
  CHECK(world.refused.size() == 1);
}

TEST_CASE("a program that changed between question and answer sends nothing") {
  World world;
  world.decider.answer = [&](const broker::Asked&) {
    write_file(world.folder / "bin/sender", "#!/bin/sh\nexit 0\n# another\n", 0755);
    return std::optional(verdict(Verdict::Kind::allow));
  };
  world.start();
  CHECK(world.send() == wire::MessageEnded{Outcome::failed, 0, "it was not handed to what sends it"});
  CHECK(world.decider.outcomes(1)[0].starts_with("not sent: "));
  CHECK(world.content("called").empty());
}

TEST_CASE("content that could change, or is not what its sizes say, is refused before anybody is asked") {
  World world;
  world.start();
  auto with = [&](const UniqueFd& memory, const wire::MessageRequest& request) {
    Client one = world.client();
    one.send_with({1, request}, {memory.get()});
    return one.expect<wire::Refusal>().message;
  };
  CHECK(with(sealed("hello", F_SEAL_GROW | F_SEAL_SHRINK), World::mail()) ==
        "the content must be sealed against writing, growing and shrinking");
  write_file(world.folder / "plain", "hello");
  CHECK(with(UniqueFd(::open((world.folder / "plain").c_str(), O_RDONLY | O_CLOEXEC)), World::mail()) ==
        "the content must come in a memfd");
  CHECK(world.refusal(World::mail(), "hell") == "the content is not as long as the sizes say");
  CHECK(world.refusal(World::mail(), "hello!") == "the content is not as long as the sizes say");
  auto attached = World::mail();
  attached.attachments = {{.name = "x", .size = 1}};
  CHECK(world.refusal(attached) == "the content is not as long as the sizes say");
  Client one = world.client();
  one.send({1, World::mail()});
  CHECK(one.expect<wire::Refusal>().message == "the content must come beside the line, as exactly one descriptor");
  CHECK(world.decider.asked_so_far() == 0);
}

TEST_CASE("what is no message is refused before anybody is asked") {
  World world;
  world.start();
  for (const char* to : {"-oQ/tmp", "a@b.c\nBcc: d@e.f", "a@b.c, d@e.f", "\u202ea@b.c", "+1555010", "|x@b.c"}) {
    INFO(to);
    CHECK_FALSE(world.refusal(World::mail(to)).empty());
  }
  auto subject = World::mail();
  subject.subject = "a\nBcc: d@e.f";
  CHECK(world.refusal(subject).find("one line of plain text") != std::string::npos);
  CHECK(world.refusal(World::mail(), "h\x1b[2J").find("the body is not text") != std::string::npos);
  auto name = World::mail();
  name.body = 4;
  name.attachments = {{.name = "a\"; x=\"b", .size = 1}};
  CHECK(world.refusal(name).find("an attachment can't be called") != std::string::npos);
  CHECK(world.decider.asked_so_far() == 0);
  CHECK(world.content("called").empty());
}

TEST_CASE("denied, nothing is run, and the id is free again") {
  World world;
  world.decider.answer = [](const broker::Asked&) { return std::optional(verdict(Verdict::Kind::deny)); };
  world.start();
  Client one = world.client();
  for (int i = 0; i < 2; ++i) {
    world.put(one, World::mail());
    CHECK(one.expect<wire::Verdict>().verdict == wire::Verdict::Kind::deny);
  }
  CHECK(world.content("called").empty());
}

TEST_CASE("who asked and has gone before the yes: nothing is sent") {
  World world;
  world.decider.answer = [](const broker::Asked&) { return std::optional<Verdict>(); };
  world.start();
  {
    Client one = world.client();
    world.put(one, World::mail());
    world.decider.asked(1);
  }
  world.decider.wait_for_cancel();
  CHECK(world.content("called").empty());
}

TEST_CASE("large attachments are hashed beside the loop, and each request gets its own answer") {
  World world;
  world.decider.answer = [](const broker::Asked& asked) {
    const auto& message = std::get<policy::Message>(asked.action);
    return verdict(Verdict::Kind::deny, message.subject + " " + message.attachments.at(1).sha256.substr(0, 8));
  };
  world.start();
  const std::string large(4 << 20, 'x');
  Client one = world.client();
  for (std::uint64_t id = 1; id <= 4; ++id) {
    auto request = World::mail();
    request.subject = std::to_string(id);
    request.attachments = {{.name = "a.bin", .size = large.size()}, {.name = "b.txt", .size = 3}};
    const UniqueFd memory = sealed("hello" + large + "abc");
    one.send_with({id, request}, {memory.get()});
  }
  for (int i = 0; i < 4; ++i) {
    const auto heard = one.hear();
    REQUIRE(heard);
    CHECK(std::get<wire::Verdict>(heard->message.body).reason ==
          std::to_string(heard->message.id.value_or(0)) + " ba7816bf");
  }
}

TEST_CASE("a message that is given up while it is hashed asks nobody, and neither does one of a session that ends") {
  World world;
  world.decider.answer = [](const broker::Asked&) { return std::optional<Verdict>(); };
  world.start();
  const std::string large(8 << 20, 'x');
  auto request = World::mail();
  request.attachments = {{.name = "a.bin", .size = large.size()}};
  {
    Client gone = world.client();
    world.put(gone, request, "hello" + large);
  }
  Client one = world.client();
  world.put(one, request, "hello" + large);
  world.end();
  CHECK(world.content("called").empty());
}

TEST_CASE("the session's end waits for what is being sent, and calls unknown what still runs") {
  SECTION("it ends in time") {
    World world("sleep 0.3; exit 0");
    world.start();
    Client one = world.client();
    world.put(one, World::mail());
    (void)one.expect<wire::Verdict>();
    world.end();
    CHECK(world.decider.outcomes(1) == Lines{"sent: exit code 0"});
  }
  SECTION("it doesn't") {
    World world("exec sleep 1000");
    world.setup.limits.at_end = std::chrono::milliseconds(200);
    world.start();
    Client one = world.client();
    world.put(one, World::mail());
    (void)one.expect<wire::Verdict>();
    world.end();
    CHECK(world.decider.outcomes(1) == Lines{"unknown: the session has ended"});
  }
}

TEST_CASE("a program that takes too long or writes without end is ended, and its outcome unknown") {
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
  CHECK(world.send().outcome == Outcome::unknown);
  CHECK(world.decider.outcomes(1)[0].starts_with("unknown: killed by signal "));
}

TEST_CASE("so many are open at once, and status says how to send") {
  World world;
  world.setup.limits.open = 1;
  world.decider.answer = [](const broker::Asked&) { return std::optional<Verdict>(); };
  world.start();
  Client one = world.client();
  world.put(one, World::mail());
  world.decider.asked(1);
  const UniqueFd memory = sealed("hello");
  one.send_with({2, World::mail()}, {memory.get()});
  CHECK(one.expect<wire::Refusal>().code == wire::Code::too_many);
  one.send({3, wire::StatusRequest{}});
  CHECK(one.expect<wire::RoomStatus>().messages == Lines{"--via email: mail"});
}

TEST_CASE("what is posted is written here, and the status is the outcome") {
  auto run = [](std::string answer) {
    Daemon daemon(std::move(answer));
    World world;
    world.setup.rules.messages.ways = {daemon.way()};
    world.start();
    auto request = World::mail("+1555010");
    request.via = "home";
    auto ended = world.send(request);
    return std::tuple{ended.outcome, ended.code, world.decider.outcomes(1)[0], daemon.heard};
  };
  auto [outcome, code, record, heard] = run("HTTP/1.1 200 OK\r\n\r\n");
  CHECK(outcome == Outcome::sent);
  CHECK(record == "sent: status 200");
  CHECK(heard.starts_with("POST /send HTTP/1.1\r\nHost: 127.0.0.1:"));
  CHECK(heard.ends_with("\r\n\r\n{\"to\":[\"+1555010\"],\"subject\":\"lunch\",\"body\":\"hello\",\"attachments\":[]}"));
  auto short_of = [](auto all) { return std::tuple{std::get<0>(all), std::get<1>(all), std::get<2>(all)}; };
  CHECK(short_of(run("HTTP/1.1 503 Busy\r\n\r\n")) ==
        std::tuple{Outcome::failed, 503, std::string("not sent: status 503")});
  CHECK(
      short_of(run("")) ==
      std::tuple{Outcome::unknown, 0, std::string("unknown: the server has closed the connection without an answer")});
  CHECK(short_of(run("220 mail ESMTP\r\n")) ==
        std::tuple{Outcome::unknown, 0, std::string("unknown: what the server answered is no HTTP")});
}

TEST_CASE("a server that isn't there has sent nothing, and one that is silent is given up") {
  World world;
  auto request = World::mail();
  request.via = "home";
  SECTION("nobody listens") {
    {
      Daemon gone("");
      world.setup.rules.messages.ways = {gone.way()};
    }
    world.start();
    CHECK(world.send(request).outcome == Outcome::failed);
    CHECK(world.decider.outcomes(1)[0].starts_with("not sent: the server can't be reached"));
  }
  SECTION("silent") {
    const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(listener.get(), 1) == 0);
    REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    world.setup.rules.messages.ways = {
        {.name = "home",
         .send = {},
         .post = profile::PostAddress{.text = {}, .host = "127.0.0.1", .port = ntohs(address.sin_port), .path = "/"},
         .format = MessageFormat::mail}};
    world.setup.limits.time = std::chrono::milliseconds(300);
    world.start();
    CHECK(world.send(request).outcome == Outcome::unknown);
    CHECK(world.decider.outcomes(1)[0] == "unknown: it took too long");
  }
}
