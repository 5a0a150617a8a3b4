#include "agentbox/broker/control_server.hpp"

#include <set>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/base/unique_fd.hpp"
#include "agentbox/wire/broker_message.hpp"

#include "support.hpp"

using namespace agentbox;
using namespace agentbox::broker;
using namespace agentbox::broker::test;

namespace {

class Client {
 public:
  explicit Client(const base::AbsPath& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.str().copy(address.sun_path, sizeof address.sun_path - 1);
    connected = ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  void say(const std::string& bytes) { (void)!::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  void say(const wire::FromControl& message) { say(wire::encode(message)); }
  // The next message; fails when none comes.
  wire::ToControl hear(World& world) {
    std::string line;
    REQUIRE(world.until([&] {
      take();
      std::size_t end = text_.find('\n');
      if (end == std::string::npos) return false;
      line = text_.substr(0, end);
      text_.erase(0, end + 1);
      return true;
    }));
    auto message = wire::decode_to_control(line);
    REQUIRE(message);
    return *message;
  }
  bool is_closed(World& world) {
    return world.until([&] {
      take();
      return closed_;
    });
  }

  bool connected = false;

 private:
  void take() {
    char buffer[4096];
    ssize_t count = 0;
    while ((count = ::recv(fd_.get(), buffer, sizeof buffer, 0)) > 0)
      text_.append(buffer, static_cast<std::size_t>(count));
    if (count == 0 || (errno != EAGAIN && errno != EINTR)) closed_ = true;
  }

  base::UniqueFd fd_;
  std::string text_;
  bool closed_ = false;
};

}  // namespace

TEST_CASE("a subscriber sees questions come, answers one by its digest, and sees it go") {
  World world;
  world.panel.there = false;
  base::AbsPath path = world.folder / "control.sock";
  ControlServer server(world.loop, *world.broker, path, {});
  struct stat info{};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  Client client(path), other(path);
  REQUIRE(client.connected);
  client.say(wire::FromControl{1, wire::QuestionsSubscribe{}});
  CHECK(std::get<wire::Questions>(client.hear(world).body).questions.empty());
  other.say(wire::FromControl{1, wire::QuestionsSubscribe{}});
  (void)other.hear(world);
  std::size_t at = world.ask(World::asked({"make", "install"}));
  auto added = std::get<wire::QuestionAdded>(client.hear(world).body).question;
  CHECK(added.title == "run a command on your machine");
  (void)other.hear(world);

  client.say(wire::FromControl{2, wire::QuestionAnswer{.question = added.id, .digest = std::string(64, '0')}});
  CHECK(std::get<wire::AnswerTaken>(client.hear(world).body).outcome == wire::AnswerTaken::Outcome::changed);
  client.say(wire::FromControl{3, wire::QuestionAnswer{.question = added.id,
                                                       .digest = added.digest,
                                                       .answer = wire::QuestionAnswer::Answer::once,
                                                       .comment = "ok"}});
  REQUIRE(world.until([&] { return world.verdicts[at].has_value(); }));
  CHECK(world.verdicts[at]->kind == Verdict::Kind::allow);
  CHECK(world.verdicts[at]->comment == "ok");
  auto gone = std::get<wire::QuestionGone>(other.hear(world).body);
  CHECK(gone.question == added.id);
  CHECK(gone.by == "control");
}

TEST_CASE("the last subscriber that leaves takes the questions along") {
  World world;
  world.panel.there = false;
  ControlServer server(world.loop, *world.broker, world.folder / "control.sock", {});
  auto client = std::make_optional<Client>(world.folder / "control.sock");
  client->say(wire::FromControl{1, wire::QuestionsSubscribe{}});
  (void)client->hear(world);
  std::size_t at = world.ask(World::asked({"make"}));
  CHECK_FALSE(world.verdicts[at]);
  client.reset();
  REQUIRE(world.until([&] { return world.verdicts[at].has_value(); }));
  CHECK(world.verdicts[at]->kind == Verdict::Kind::unavailable);
}

TEST_CASE("what is no message is refused, and a line without end closes the connection") {
  World world;
  ControlServer server(world.loop, *world.broker, world.folder / "control.sock", {});
  Client client(world.folder / "control.sock");
  client.say("hello\n");
  CHECK(std::get<wire::Refusal>(client.hear(world).body).code == wire::Code::not_json);
  client.say("{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"questions.delete\"}\n");
  CHECK(std::get<wire::Refusal>(client.hear(world).body).code == wire::Code::unknown_method);
  client.say(std::string(wire::line_limit + 2, 'x'));
  CHECK(client.is_closed(world));
}

TEST_CASE("half a line is waited for only so long, also after one that was completed") {
  World world;
  ControlServer server(world.loop, *world.broker, world.folder / "control.sock", {}, std::chrono::seconds(2));
  Client client(world.folder / "control.sock");
  const std::string line = wire::encode(wire::FromControl{1, wire::SessionShow{}});
  client.say(line + line.substr(0, 5));
  (void)client.hear(world);
  client.say(line.substr(5));
  (void)client.hear(world);
  client.say("{");
  CHECK(client.is_closed(world));
}

TEST_CASE("neither end of control.sock is inherited by what is executed") {
  World world;
  const auto inherited = [] {
    std::set<int> found;
    for (int fd = 3; fd < 256; ++fd) {
      const int flags = ::fcntl(fd, F_GETFD);
      if (flags >= 0 && (flags & FD_CLOEXEC) == 0) found.insert(fd);
    }
    return found;
  };
  const std::set<int> before = inherited();
  ControlServer server(world.loop, *world.broker, world.folder / "control.sock", {});
  Client client(world.folder / "control.sock");
  client.say(wire::FromControl{1, wire::SessionShow{}});
  (void)client.hear(world);
  CHECK(inherited() == before);
}

TEST_CASE("a socket that can't be made is said with its name") {
  World world;
  const base::AbsPath place = world.folder / "none" / "control.sock";
  CHECK_THROWS_AS(ControlServer(world.loop, *world.broker, place, {}), base::SystemError);
}

TEST_CASE("more connections than the limit are closed at once, and room is made when one leaves") {
  World world;
  ControlServer server(world.loop, *world.broker, world.folder / "control.sock", {});
  std::vector<std::unique_ptr<Client>> clients;
  for (std::size_t i = 0; i < ControlServer::most_connections; ++i) {
    clients.push_back(std::make_unique<Client>(world.folder / "control.sock"));
    clients.back()->say(wire::FromControl{1, wire::SessionShow{}});
    CHECK(std::get<wire::SessionStatus>(clients.back()->hear(world).body).session == "pi-1");
  }
  Client late(world.folder / "control.sock");
  CHECK(late.is_closed(world));
  clients.pop_back();
  world.turn();
  Client next(world.folder / "control.sock");
  next.say(wire::FromControl{1, wire::SessionShow{}});
  CHECK(std::get<wire::SessionStatus>(next.hear(world).body).profile == "pi");
}

TEST_CASE("a peer of another pid namespace is refused") {
  World world;
  ControlServer server(world.loop, *world.broker, world.folder / "control.sock", {});
  base::AbsPath path = world.folder / "control.sock";
  // Says hello from a namespace of its own; exit code 0: it was closed without an answer.
  std::string script =
      "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect('" + path.str() +
      "')\ns.settimeout(5)\ntry:\n s.sendall(b'{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"session.show\"}\\n')\n"
      " data=s.recv(10)\nexcept (ConnectionResetError, BrokenPipeError): data=b''\n"
      "sys.exit(1 if data else 0)\n";
  auto run = [&](std::vector<const char*> argv) {
    argv.insert(argv.end(), {"python3", "-c", script.c_str(), nullptr});
    pid_t pid = ::fork();
    if (pid == 0) {
      ::execvp(argv[0], const_cast<char**>(argv.data()));
      ::_exit(99);
    }
    int status = -1;
    (void)world.until([&] { return ::waitpid(pid, &status, WNOHANG) == pid; }, std::chrono::seconds(20));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  };
  CHECK(run({"env"}) == 1);  // the control: here it is answered
  CHECK(run({"bwrap", "--unshare-user", "--unshare-pid", "--dev-bind", "/", "/", "--proc", "/proc"}) == 0);
}

TEST_CASE("a session that asks too much says so on control.sock, to whoever comes later too, and takes one choice") {
  World world;
  ControlServer server(world.loop, *world.broker, world.folder / "control.sock", {});
  Client client(world.folder / "control.sock");
  client.say(wire::FromControl{1, wire::QuestionsSubscribe{}});
  CHECK_FALSE(std::get<wire::Questions>(client.hear(world).body).flood);
  // Nothing to choose yet.
  client.say(wire::FromControl{2, wire::SessionChoose{wire::SessionChoose::Choice::go_on}});
  CHECK(std::get<wire::AnswerTaken>(client.hear(world).body).outcome == wire::AnswerTaken::Outcome::gone);

  for (int i = 0; i < 11; ++i) world.ask(World::asked({"make", std::to_string(i)}));
  auto heard = [&](auto wanted) {
    for (;;) {
      auto message = client.hear(world);
      if (auto* found = std::get_if<decltype(wanted)>(&message.body)) return *found;
    }
  };
  auto flood = heard(wire::SessionFlooded{}).flood;
  CHECK(flood.questions == 10);
  CHECK(flood.waiting == 11);
  CHECK(flood.agent == wire::WireFlood::Agent::elsewhere);
  REQUIRE(flood.latest.size() == 11);
  CHECK(flood.latest.front() == "make 10");
  CHECK(flood.deadline - flood.sent > 100'000);
  Client late(world.folder / "control.sock");
  late.say(wire::FromControl{1, wire::QuestionsList{}});
  auto listed = std::get<wire::Questions>(late.hear(world).body);
  CHECK(listed.questions.size() == 10);
  REQUIRE(listed.flood);
  CHECK(listed.flood->waiting == 11);

  client.say(wire::FromControl{3, wire::SessionChoose{wire::SessionChoose::Choice::pause}});
  CHECK(heard(wire::AnswerTaken{}).outcome == wire::AnswerTaken::Outcome::not_offered);
  client.say(wire::FromControl{4, wire::SessionChoose{wire::SessionChoose::Choice::go_on}});
  (void)heard(wire::SessionCalm{});
  CHECK(heard(wire::QuestionAdded{}).question.subject == "make");
  CHECK(heard(wire::AnswerTaken{}).outcome == wire::AnswerTaken::Outcome::taken);
  CHECK_FALSE(world.broker->flood());
  CHECK(world.panel.warnings_gone == 1);
}

TEST_CASE("where the agent can be paused, control.sock can pause it, and let it go on") {
  World world;
  std::vector<Broker::Motion> motions;
  world.broker->on_motion = [&](Broker::Motion motion) { motions.push_back(motion); };
  ControlServer server(world.loop, *world.broker, world.folder / "control.sock", {});
  for (int i = 0; i < 11; ++i) world.ask(World::asked({"make", std::to_string(i)}));
  REQUIRE(world.broker->flood());
  CHECK(world.broker->flood()->agent == prompt::Flood::Agent::runs);
  Client client(world.folder / "control.sock");
  client.say(wire::FromControl{1, wire::SessionChoose{wire::SessionChoose::Choice::pause}});
  CHECK(std::get<wire::AnswerTaken>(client.hear(world).body).outcome == wire::AnswerTaken::Outcome::taken);
  CHECK(world.broker->flood()->agent == prompt::Flood::Agent::paused);
  CHECK(world.panel.floods.back().agent == prompt::Flood::Agent::paused);
  client.say(wire::FromControl{2, wire::SessionChoose{wire::SessionChoose::Choice::deny_rest}});
  CHECK(std::get<wire::AnswerTaken>(client.hear(world).body).outcome == wire::AnswerTaken::Outcome::taken);
  CHECK(motions == std::vector{Broker::Motion::pause, Broker::Motion::go_on});
  world.turn();
  for (const auto& verdict : world.verdicts) CHECK(verdict.value().by == Verdict::By::limit);
}

TEST_CASE("a long command is one short line in the warning") {
  World world([](Settings& settings) { settings.questions = 0; });
  world.ask(World::asked({"make", std::string(5000, 'x')}));
  REQUIRE(world.broker->flood());
  CHECK(world.broker->flood()->latest.at(0).size() <= 200);
  CHECK(world.broker->flood()->latest.at(0).starts_with("make xxx"));
}
