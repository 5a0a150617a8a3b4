// A session without a room, for the tests of `agentbox approve`: a broker and its control.sock in a folder as
// launch::Session lays it out, and a gate that asks what it is told to.
//
// usage: broker_peer FOLDER SESSION RECORD SECONDS
//
// On stdin one JSON object a line, on stdout one for each verdict:
//   {"ask": ["git", "push"], "said": "...", "content": "..."}    a command; the tickets count from 1
//   {"connect": "example.org"}
//   {"cancel": 1}                                                 the requester of that ticket gives up
//   {"terminal": "once", "id": "1"}                               somebody answers at the session's terminal
//   {"motion": "pause"}, {"motion": "go_on"}                      the agent would stand still, and go on
//   {"ticket": 1, "verdict": "allow", "by": "human", "reason": "...", "comment": "...", "rule": "..."}
// At the end of stdin the session ends as it should.

#include <cstdio>
#include <iostream>
#include <string>

#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <nlohmann/json.hpp>

#include "agentbox/base/escape.hpp"
#include "agentbox/broker/broker.hpp"
#include "agentbox/broker/control_server.hpp"
#include "agentbox/policy/git_remotes.hpp"

namespace {

using namespace agentbox;
using Json = nlohmann::json;

const char* name_of(broker::Verdict::Kind kind) {
  using Kind = broker::Verdict::Kind;
  switch (kind) {
    case Kind::allow: return "allow";
    case Kind::deny: return "deny";
    case Kind::duplicate: return "duplicate";
    case Kind::expired: return "expired";
    case Kind::unavailable: return "unavailable";
    case Kind::cancelled: return "cancelled";
  }
  return "";
}

broker::Asked command(const Json& json) {
  auto argv = json.at("ask").get<std::vector<std::string>>();
  policy::Command action{.argv = argv, .directory = *base::AbsPath::parse("/home/me/w")};
  // As the gate finds them out.
  if (policy::talks_to_remotes(action))
    action.remotes = policy::Remotes{policy::Remotes::Certain::yes, {"https://example.org/x"}};
  action.program = policy::Program{.path = *base::AbsPath::parse("/usr/bin/" + argv[0]),
                                   .device = 1,
                                   .inode = 2,
                                   .sha256 = std::string(64, 'a'),
                                   .writable = policy::Program::Writable::no};
  broker::Asked asked{.action = action,
                      .title = "run a command on your machine",
                      .subject = base::quote(argv),
                      .facts = {{.label = "program", .value = action.program->path.str()},
                                {.label = "directory", .value = "/home/me/w"}},
                      .said = json.value("said", ""),
                      .content = json.value("content", "")};
  asked.session_scopes = policy::session_scopes(asked.action);
  asked.lasting_scopes = policy::lasting_scopes(asked.action);
  return asked;
}

broker::Asked connection(const Json& json) {
  std::string host = json.at("connect");
  broker::Asked asked{.action = policy::Connect{.host = host, .port = 443},
                      .title = "connect to another machine",
                      .subject = host + ":443"};
  asked.session_scopes = policy::session_scopes(asked.action);
  asked.lasting_scopes = policy::lasting_scopes(asked.action);
  return asked;
}

class Peer {
 public:
  Peer(boost::asio::io_context& loop, broker::Broker& broker) : loop_(loop), broker_(broker), input_(loop, ::dup(0)) {
    read();
  }

 private:
  void read() {
    boost::asio::async_read_until(input_, buffer_, '\n', [this](boost::system::error_code error, std::size_t) {
      if (error) {
        broker_.finish();
        boost::asio::post(loop_, [this] { loop_.stop(); });  // behind the last verdicts
        return;
      }
      std::istream in(&buffer_);
      std::string line;
      std::getline(in, line);
      obey(Json::parse(line));
      read();
    });
  }
  void obey(const Json& json) {
    if (json.contains("cancel")) return broker_.cancel(json["cancel"].get<std::uint64_t>());
    if (json.contains("terminal")) {
      for (const prompt::Question& question : broker_.open()) {
        if (question.id != json.at("id").get<std::string>()) continue;
        auto kind = json["terminal"] == "once" ? prompt::Answer::Kind::once : prompt::Answer::Kind::deny;
        (void)broker_.answer(question.id, {.kind = kind, .digest = question.digest}, "terminal");
        return;
      }
    }
    std::uint64_t ticket = ++tickets_;
    (void)broker_.ask(json.contains("ask") ? command(json) : connection(json),
                      [ticket](const broker::Verdict& verdict) {
                        Json said{{"ticket", ticket},
                                  {"verdict", name_of(verdict.kind)},
                                  {"reason", verdict.reason},
                                  {"comment", verdict.comment},
                                  {"rule", verdict.rule}};
                        std::puts(said.dump().c_str());
                        std::fflush(stdout);
                      });
  }

  boost::asio::io_context& loop_;
  broker::Broker& broker_;
  boost::asio::posix::stream_descriptor input_;
  boost::asio::streambuf buffer_;
  std::uint64_t tickets_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  base::AbsPath folder = base::AbsPath::parse(argv[1]).value();
  ::mkdir(folder.c_str(), 0700);
  boost::asio::io_context loop;
  broker::Settings settings{.session = argv[2], .profile = "pi", .record = base::AbsPath::parse(argv[3]).value()};
  settings.rules.commands.default_ = settings.rules.network.default_ = profile::Default::ask;
  settings.timeout = std::chrono::seconds(std::stoi(argv[4]));
  settings.absent = broker::Settings::Absent::wait;
  broker::Broker broker(loop, settings);
  broker.on_motion = [](broker::Broker::Motion motion) {
    std::puts(motion == broker::Broker::Motion::pause ? R"({"motion":"pause"})" : R"({"motion":"go_on"})");
    std::fflush(stdout);
  };
  {
    broker::ControlServer server(loop, broker, folder / "control.sock", {.workspace = "/home/me/w", .started = 1});
    Peer peer(loop, broker);
    std::puts("ready");
    std::fflush(stdout);
    loop.run();
  }
  ::rmdir(folder.c_str());
  return 0;
}
