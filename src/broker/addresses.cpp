#include "addresses.hpp"

#include <array>
#include <mutex>
#include <utility>

#include <netdb.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "agentbox/broker/thread.hpp"

namespace agentbox::broker {

namespace asio = boost::asio;

// Touches the loop only while its owner lives, who goes before the loop does.
struct Addresses::Shared {
  asio::io_context& loop;
  std::function<void(const Found&)> done;
  std::mutex mutex;
  bool closed = false;

  Shared(asio::io_context& of, std::function<void(const Found&)> whom) : loop(of), done(std::move(whom)) {}
};

namespace {

constexpr std::size_t most = 4;

Addresses::Found find(const std::string& name) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  // A dot at the end: the name is complete.
  const int error = ::getaddrinfo((name + ".").c_str(), nullptr, &hints, &list);
  Addresses::Found found;
  if (error != 0) {
    found.problem = error == EAI_SYSTEM ? "the system refused" : ::gai_strerror(error);
    return found;
  }
  for (const addrinfo* at = list; at != nullptr && found.addresses.size() < most; at = at->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    const int wrong = ::getnameinfo(at->ai_addr, at->ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST);
    if (wrong == 0) found.addresses.emplace_back(text.data());
  }
  ::freeaddrinfo(list);
  if (found.addresses.empty()) found.problem = "it has none";
  return found;
}

}  // namespace

Addresses::Addresses(asio::io_context& loop, const std::string& name, std::function<void(const Found&)> done)
    : shared_(std::make_shared<Shared>(loop, std::move(done))) {
  auto answer = [](const std::shared_ptr<Shared>& shared, Found found) {
    const std::scoped_lock lock(shared->mutex);
    if (shared->closed) return;
    asio::post(shared->loop, [weak = std::weak_ptr(shared), found = std::move(found)] {
      auto open = weak.lock();
      if (!open || open->closed) return;
      const auto tell = open->done;  // its owner may go meanwhile
      tell(found);
    });
  };
  auto started = broker::start_without_signals([shared = shared_, answer, name] { answer(shared, find(name)); });
  if (started) {
    started->detach();
  } else {
    answer(shared_, {.addresses = {}, .problem = "there is no thread to look for them"});
  }
}

Addresses::~Addresses() {
  const std::scoped_lock lock(shared_->mutex);
  shared_->closed = true;
  shared_->done = nullptr;  // what it holds must not end with the thread
}

}  // namespace agentbox::broker
