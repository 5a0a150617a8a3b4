#include "agentbox/broker/watch.hpp"

#include <thread>

#include <sys/socket.h>
#include <sys/un.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/broker/control_server.hpp"

#include "support.hpp"

using namespace agentbox;
using namespace agentbox::broker;
using namespace agentbox::broker::test;

namespace {

// A session whose loop turns in a thread of its own, as it would in another process.
class Session {
 public:
  Session() : work_(world_.loop.get_executor()) {
    server_.emplace(world_.loop, *world_.broker, socket(), ControlServer::About{});
    thread_ = std::thread([this] { world_.loop.run(); });
  }
  ~Session() {
    end();
    work_.reset();
    world_.loop.stop();
    thread_.join();
  }
  [[nodiscard]] base::AbsPath socket() const { return world_.folder / "control.sock"; }
  void ask(std::vector<std::string> argv) {
    boost::asio::post(world_.loop,
                      [this, argv] { (void)world_.broker->ask(World::asked(argv), [](const Verdict&) {}); });
  }
  // As a process that is killed: without a word.
  void end() {
    std::atomic<bool> done = false;
    boost::asio::post(world_.loop, [this, &done] {
      server_.reset();
      done = true;
      done.notify_one();
    });
    done.wait(false);
  }

 private:
  World world_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::optional<ControlServer> server_;
  std::thread thread_;
};

// Notes what it is told, and does what the test says when it hears something.
struct Notes final : Watch::Listener {
  Notes(Watch::Mode mode, std::vector<base::AbsPath> sockets)
      : watch(
            mode, [sockets] { return Watch::Sockets{.all = sockets, .named = Watch::Sockets::Named::by_owner}; },
            *this) {}
  void hear(const std::string& what) {
    said.push_back(what);
    if (on) on(what);
  }
  void began(const wire::SessionStatus& session) override { hear("began " + session.session); }
  void added(const std::string& session, const wire::WireQuestion& question) override {
    last = question;
    hear("added " + session + "/" + question.id);
  }
  void changed(const std::string& session, const wire::WireQuestion& question) override {
    hear("changed " + session + "/" + question.id);
  }
  void gone(const std::string& session, const wire::QuestionGone& gone) override {
    hear("gone " + session + "/" + gone.question + " by " + gone.by);
  }
  void flooded(const std::string& session, const wire::WireFlood& flood) override {
    hear("flooded " + session + " " + summary_of(flood_of(flood, prompt::Clock::now())));
  }
  void calm(const std::string& session) override { hear("calm " + session); }
  void ended(const std::string& session) override { hear("ended " + session); }
  void failed(const base::AbsPath&, const std::string& why) override { hear("failed: " + why); }
  void settled() override { hear("settled"); }

  std::function<void(const std::string&)> on;
  std::vector<std::string> said;
  std::optional<wire::WireQuestion> last;
  Watch watch;
};

using Said = std::vector<std::string>;

}  // namespace

TEST_CASE("what is open is told once") {
  Session session;
  session.ask({"make", "1"});
  session.ask({"make", "2"});
  Said added;
  // Asking goes through another thread: looked at until both are there.
  while (added.size() != 2) {
    Notes notes(Watch::Mode::once, {session.socket()});
    notes.on = [&](const std::string& what) {
      if (what == "settled") notes.watch.stop();
    };
    notes.watch.run();
    CHECK(notes.said.front() == "began pi-1");
    added = notes.said;
    std::erase_if(added, [](const std::string& what) { return !what.starts_with("added"); });
  }
  CHECK(added == Said{"added pi-1/1", "added pi-1/2"});
}

TEST_CASE("a question that comes is told, answered with its digest, and goes") {
  Session session;
  Notes notes(Watch::Mode::live, {session.socket()});
  std::vector<wire::AnswerTaken::Outcome> outcomes;
  auto answer = [&](const std::string& digest) {
    notes.watch.answer("pi-1", "1", {.kind = prompt::Answer::Kind::once, .digest = digest},
                       [&](const wire::AnswerTaken& taken) { outcomes.push_back(taken.outcome); });
  };
  notes.on = [&](const std::string& what) {
    if (what == "settled") session.ask({"make"});
    if (what == "added pi-1/1") {
      answer(std::string(64, '0'));
      answer(notes.last->digest);
      answer(notes.last->digest);
    }
    if (what == "gone pi-1/1 by control") boost::asio::post(notes.watch.loop(), [&] { session.end(); });
    if (what == "ended pi-1") notes.watch.stop();
  };
  notes.watch.run();
  using Outcome = wire::AnswerTaken::Outcome;
  REQUIRE(outcomes.size() == 3);
  CHECK(outcomes[0] == Outcome::changed);
  CHECK(outcomes[1] == Outcome::taken);
  CHECK(outcomes[2] == Outcome::gone);  // counts once
  CHECK(notes.said == Said{"began pi-1", "settled", "added pi-1/1", "gone pi-1/1 by control", "ended pi-1"});
}

TEST_CASE("a session that ends without a word takes its questions and the answers to them along") {
  Session session;
  Notes notes(Watch::Mode::live, {session.socket()});
  std::optional<wire::AnswerTaken> taken;
  notes.on = [&](const std::string& what) {
    if (what == "settled") session.ask({"make"});
    if (what.starts_with("added")) {
      session.end();
      notes.watch.answer("pi-1", "1", {.digest = notes.last->digest}, [&](const wire::AnswerTaken& is) { taken = is; });
    }
    if (what == "ended pi-1") notes.watch.stop();
  };
  notes.watch.run();
  CHECK(notes.said == Said{"began pi-1", "settled", "added pi-1/1", "gone pi-1/1 by fault", "ended pi-1"});
  REQUIRE(taken);
  CHECK(taken->outcome == wire::AnswerTaken::Outcome::gone);
}

TEST_CASE("an answer to a session that is not there is gone") {
  Folder folder;
  Notes notes(Watch::Mode::live, {});
  std::optional<wire::AnswerTaken> taken;
  notes.on = [&](const std::string&) {
    notes.watch.answer("pi-1", "1", {}, [&](const wire::AnswerTaken& is) {
      taken = is;
      notes.watch.stop();
    });
    CHECK_FALSE(taken);  // never from within
  };
  notes.watch.run();
  CHECK(taken->outcome == wire::AnswerTaken::Outcome::gone);
}

TEST_CASE("what is no session is a failure with its reason, and the others go on") {
  Session session;
  Folder folder;
  base::AbsPath liar = folder / "liar";
  base::UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  liar.str().copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(listener.get(), 8) == 0);
  for (const auto& [words, why] : {std::pair<std::string, std::string>{
                                       "\x1b[2J\n", "it does not speak this protocol: a message is one JSON object"},
                                   {R"({"jsonrpc":"2.0","id":2,"result":{"questions":[]}})"
                                    "\n",
                                    "it does not say which session it is"},
                                   {R"({"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"no"}})"
                                    "\n",
                                    "it refused: no"},
                                   {"", "the session has ended"}}) {
    std::thread lies([&listener, said = words] {
      base::UniqueFd peer(::accept(listener.get(), nullptr, nullptr));
      (void)!::send(peer.get(), said.data(), said.size(), MSG_NOSIGNAL);
    });
    Notes notes(Watch::Mode::once, {liar, session.socket()});
    notes.on = [&](const std::string& what) {
      if (what == "settled") notes.watch.stop();
    };
    notes.watch.run();
    lies.join();
    std::ranges::sort(notes.said);
    CHECK(notes.said == Said{"began pi-1", "failed: " + why, "settled"});
  }
  Notes none(Watch::Mode::once, {folder / "none"});
  none.on = [&](const std::string& what) {
    if (what == "settled") none.watch.stop();
  };
  none.watch.run();
  CHECK(none.said == Said{"failed: cannot connect: No such file or directory", "settled"});
}

TEST_CASE("a session that asks too much is watched and answered, and calm when it ends") {
  Session session;
  for (int i = 0; i < 11; ++i) session.ask({"make", std::to_string(i)});
  Notes notes(Watch::Mode::live, {session.socket()});
  bool ended = false;
  std::optional<wire::AnswerTaken> taken;
  notes.on = [&](const std::string& what) {
    if (what == "flooded pi-1 asks too often: 10 questions in 10 minutes; 11 wait" && !taken) {
      notes.watch.choose("pi-1", prompt::Banner::Choice::go_on, [&](const wire::AnswerTaken& outcome) {
        taken = outcome;
        for (int i = 0; i < 10; ++i) session.ask({"make", "more", std::to_string(i)});
      });
    }
    if (what.ends_with("; 21 wait") && !std::exchange(ended, true)) session.end();
    if (what == "ended pi-1") notes.watch.stop();
  };
  notes.watch.run();
  REQUIRE(taken);
  CHECK(taken->outcome == wire::AnswerTaken::Outcome::taken);
  CHECK(std::ranges::count(notes.said, "calm pi-1") == 2);
  CHECK(std::ranges::find(notes.said, "calm pi-1") < std::ranges::find(notes.said, "ended pi-1"));
}
