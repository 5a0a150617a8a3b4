#pragma once

// A commands gate behind a socket in a folder of its own, with a broker whose answers the test writes, and a client that
// plays the room.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/broker/decider.hpp"
#include "agentbox/gates/commands/command_gate.hpp"
#include "agentbox/gates/commands/programs.hpp"
#include "agentbox/gates/requests/request_server.hpp"
#include "agentbox/wire/broker_message.hpp"

// A namespace of its own: other tests of the same program have a Client and a Heard too.
namespace agentbox::test::commands {

using base::AbsPath;
using base::UniqueFd;
using broker::Verdict;

inline AbsPath abs_path(const std::string& text) {
  return AbsPath::parse(text).value();
}

class Folder {
 public:
  Folder() {
    std::string name = "/tmp/agentbox-commands-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  [[nodiscard]] const std::string& str() const { return path_; }

 private:
  std::string path_;
};

inline void write_file(const std::string& path, const std::string& content, mode_t mode = 0644) {
  std::ofstream(path, std::ios::trunc) << content;
  if (::chmod(path.c_str(), mode) != 0) throw std::runtime_error("chmod " + path);
}

// What somebody in the room may do with a file of his own: who opens it waits for him, up to 45 s (fcntl(2)).
class Lease {
 public:
  explicit Lease(const std::string& path) : file_(::open(path.c_str(), O_RDWR | O_CLOEXEC)) {
    std::signal(SIGIO, SIG_IGN);  // how its holder would learn of it
    if (::fcntl(file_.get(), F_SETLEASE, F_WRLCK) != 0) throw std::runtime_error("F_SETLEASE " + path);
  }
  void give_up() { file_.reset(); }

 private:
  UniqueFd file_;
};

inline Verdict verdict(Verdict::Kind kind, std::string reason = "because the test says so") {
  return {
      .kind = kind, .by = Verdict::By::human, .reason = std::move(reason), .rule = {}, .comment = {}, .question = "1"};
}

// Answers what it is told to, from the loop as the real one does.
class FakeDecider : public broker::Decider {
 public:
  using Answer = std::function<std::optional<Verdict>(const broker::Asked&)>;  // nothing: later, by `answer_all`

  explicit FakeDecider(boost::asio::io_context& loop) : loop_(loop) {}

  Ticket ask(broker::Asked asked, std::function<void(const Verdict&)> done) override {
    std::unique_lock lock(mutex_);
    asked_.push_back(asked);
    changed_.notify_all();
    const Ticket ticket = ++last_;
    std::optional<Verdict> now = answer ? answer(asked) : verdict(Verdict::Kind::allow);
    if (now) {
      boost::asio::post(loop_, [done = std::move(done), said = *now] { done(said); });
    } else {
      open_.emplace_back(ticket, std::move(done));
    }
    return ticket;
  }
  void cancel(Ticket ticket) override {
    std::unique_lock lock(mutex_);
    for (auto at = open_.begin(); at != open_.end(); ++at) {
      if (at->first != ticket) continue;
      boost::asio::post(loop_, [done = std::move(at->second)] { done(verdict(Verdict::Kind::cancelled)); });
      open_.erase(at);
      break;
    }
    ++cancelled_;
    changed_.notify_all();
  }
  void outcome(const Verdict& /*verdict*/, const policy::Action& /*action*/, const std::string& what) override {
    std::unique_lock lock(mutex_);
    outcomes_.push_back(what);
    changed_.notify_all();
  }
  void outcomes(std::vector<Done> done) override {
    for (const Done& one : done) outcome(one.verdict, one.action, one.what);
  }

  std::vector<policy::Balance> standing(std::span<const policy::Limit> limits) override {
    std::vector<policy::Balance> balances;
    for (const policy::Limit& limit : limits) balances.push_back({.limit = limit, .opens = {}});
    return balances;
  }
  bool counted(std::span<const policy::Use> /*uses*/, std::span<const policy::Limit> /*limits*/) override {
    return true;
  }
  void settle(const Verdict& verdict, const policy::Action& action, Paid /*paid*/, const std::string& what) override {
    outcome(verdict, action, what);
  }

  void answer_all(const Verdict& said) {
    std::unique_lock lock(mutex_);
    for (auto& [ticket, done] : open_) {
      boost::asio::post(loop_, [call = std::move(done), said] { call(said); });
    }
    open_.clear();
  }
  // Each waits until there are so many.
  std::vector<broker::Asked> asked(std::size_t count) {
    std::unique_lock lock(mutex_);
    wait(lock, [&] { return asked_.size() >= count; });
    return asked_;
  }
  std::vector<std::string> outcomes(std::size_t count) {
    std::unique_lock lock(mutex_);
    wait(lock, [&] { return outcomes_.size() >= count; });
    return outcomes_;
  }
  void wait_for_cancel() {
    std::unique_lock lock(mutex_);
    wait(lock, [&] { return cancelled_ > 0; });
  }
  [[nodiscard]] std::size_t asked_so_far() {
    std::unique_lock lock(mutex_);
    return asked_.size();
  }

  Answer answer;

 private:
  template <class Condition>
  void wait(std::unique_lock<std::mutex>& lock, Condition condition) {
    if (!changed_.wait_for(lock, std::chrono::seconds(20), condition))
      throw std::runtime_error("the broker waits in vain");
  }

  boost::asio::io_context& loop_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<broker::Asked> asked_;
  std::vector<std::string> outcomes_;
  std::vector<std::pair<Ticket, std::function<void(const Verdict&)>>> open_;
  Ticket last_ = 0;
  int cancelled_ = 0;
};

struct Heard {
  wire::ToRoom message;
  std::vector<UniqueFd> with;
};

class Client {
 public:
  explicit Client(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error("connect " + path);
    }
  }
  void send(const wire::FromRoom& message) { send_bytes(wire::encode(message)); }
  // False when the other side has closed.
  bool send_bytes(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t count = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count < 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }
  // With descriptors beside its first byte.
  void send_with(const wire::FromRoom& message, const std::vector<int>& fds) {
    const std::string line = wire::encode(message);
    iovec part{const_cast<char*>(line.data()), line.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(253 * sizeof(int))] = {};
    msghdr whole{};
    whole.msg_iov = &part;
    whole.msg_iovlen = 1;
    whole.msg_control = control;
    whole.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&whole);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size() * sizeof(int));
    if (::sendmsg(fd_.get(), &whole, MSG_NOSIGNAL) != static_cast<ssize_t>(line.size())) {
      throw std::runtime_error("sendmsg");
    }
  }
  void run(std::uint64_t id, std::vector<std::string> argv, const std::string& directory,
           wire::CommandRequest::From from = wire::CommandRequest::From::request,
           std::optional<wire::WindowSize> terminal = {}) {
    send({id,
          wire::CommandRequest{
              .argv = std::move(argv), .directory = directory, .why = "a test", .terminal = terminal, .from = from}});
  }
  // Nothing at the end.
  std::optional<Heard> hear() {
    for (;;) {
      if (std::size_t end = held_.find('\n'); end != std::string::npos) {
        auto message = wire::decode_to_room(std::string_view(held_).substr(0, end));
        if (!message) throw std::runtime_error("not understood: " + held_);
        held_.erase(0, end + 1);
        Heard heard{*std::move(message), {}};
        if (std::holds_alternative<wire::CommandStarted>(heard.message.body)) {
          heard.with = std::move(fds_.front());
          fds_.pop_front();
        }
        return heard;
      }
      if (!receive()) return {};
    }
  }
  template <class T>
  T expect(std::vector<UniqueFd>* with = nullptr) {
    auto heard = hear();
    if (!heard) throw std::runtime_error("the connection is closed");
    auto* body = std::get_if<T>(&heard->message.body);
    if (body == nullptr) throw std::runtime_error("another message: " + wire::encode(heard->message));
    if (with != nullptr) *with = std::move(heard->with);
    return std::move(*body);
  }
  [[nodiscard]] int get() const { return fd_.get(); }
  void close() { fd_.reset(); }

 private:
  bool receive() {
    pollfd ready{fd_.get(), POLLIN, 0};
    if (::poll(&ready, 1, 20'000) != 1) throw std::runtime_error("no answer within 20 s");
    std::string bytes(65536, '\0');
    iovec part{bytes.data(), bytes.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(16 * sizeof(int))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t count = ::recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC);
    if (count <= 0) return false;
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
      std::vector<UniqueFd> group;
      for (std::size_t at = 0; at + sizeof(int) <= header->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(header) + at, sizeof fd);
        group.emplace_back(fd);
      }
      fds_.push_back(std::move(group));
    }
    held_.append(bytes, 0, static_cast<std::size_t>(count));
    return true;
  }

  UniqueFd fd_;
  std::string held_;
  std::deque<std::vector<UniqueFd>> fds_;
};

// To its end; a terminal's end is EIO.
inline std::string read_all(const UniqueFd& fd) {
  std::string all;
  char part[16384];
  for (;;) {
    pollfd ready{fd.get(), POLLIN, 0};
    if (::poll(&ready, 1, 20'000) != 1) throw std::runtime_error("no end within 20 s: " + all);
    ssize_t count = ::read(fd.get(), part, sizeof part);
    if (count <= 0) return all;
    all.append(part, static_cast<std::size_t>(count));
  }
}
inline std::string read_until(const UniqueFd& fd, std::string_view mark) {
  std::string all;
  char part[4096];
  while (all.find(mark) == std::string::npos) {
    pollfd ready{fd.get(), POLLIN, 0};
    if (::poll(&ready, 1, 20'000) != 1) throw std::runtime_error("not said within 20 s: " + all);
    ssize_t count = ::read(fd.get(), part, sizeof part);
    if (count <= 0) throw std::runtime_error("ended before it was said: " + all);
    all.append(part, static_cast<std::size_t>(count));
  }
  return all;
}

// Waits until nothing has that number.
inline void wait_for_end(pid_t pid) {
  UniqueFd process(static_cast<int>(::syscall(434 /* pidfd_open */, pid, 0)));
  if (!process) return;
  pollfd ended{process.get(), POLLIN, 0};
  if (::poll(&ended, 1, 20'000) != 1) throw std::runtime_error("still runs");
}

class World {
 public:
  explicit World(const std::function<void(gates::commands::Setup&)>& change = {}) : decider(loop_) {
    for (const char* name : {"w", "w/sub", "w/hidden", "bin", "outside"}) {
      std::filesystem::create_directory(folder / name);
    }
    workspace = std::filesystem::canonical(folder / "w");
    requests.session = "test-1";
    requests.profile = "test";
    setup.roots = {{abs_path(workspace), gates::commands::Root::Access::write}};
    setup.hidden = {abs_path(workspace + "/hidden")};
    setup.owner = {.name = "me", .home = folder / "home", .shell = "/bin/sh", .environment = {}};
    setup.folders = gates::commands::HostPrograms::usual_folders("me");
    setup.folders.insert(setup.folders.begin(), abs_path(folder / "bin"));
    setup.rules.commands.default_ = profile::Default::ask;
    if (change) change(setup);
  }
  ~World() { end(); }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // After the test has said how `decider` answers.
  void start() {
    gate.emplace(loop_, decider, setup);
    requests.rules = setup.rules;
    requests.gates.command = [this](auto from, auto request) {
      return gate->take(std::move(from), std::move(request));
    };
    server.emplace(loop_, requests);
    UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket().copy(address.sun_path, sizeof address.sun_path - 1);
    if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener.get(), 4096) != 0) {
      throw std::runtime_error("listen");
    }
    server->serve(std::move(listener));
    thread_ = std::thread([this] { loop_.run(); });
  }
  void end() {
    if (!thread_.joinable()) return;
    in_loop([this] {
      server.reset();
      gate.reset();
    });
    guard_.reset();
    loop_.stop();
    thread_.join();
  }
  // Runs it in the loop, and waits.
  void in_loop(const std::function<void()>& what) {
    std::mutex mutex;
    std::condition_variable over;
    bool done = false;
    boost::asio::post(loop_, [&] {
      what();
      std::unique_lock lock(mutex);
      done = true;
      over.notify_all();
    });
    std::unique_lock lock(mutex);
    if (!over.wait_for(lock, std::chrono::seconds(20), [&] { return done; }))
      throw std::runtime_error("the loop hangs");
  }
  struct Counters {
    std::size_t connections = 0, requests = 0, running = 0;
  };
  Counters counters() {
    Counters result;
    in_loop([&] { result = {server->counters().connections, gate->counters().requests, gate->counters().running}; });
    return result;
  }
  [[nodiscard]] std::string socket() const { return folder / "request.sock"; }
  [[nodiscard]] Client client() const { return Client(socket()); }

 private:
  boost::asio::io_context loop_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_{loop_.get_executor()};
  std::thread thread_;

 public:
  Folder folder;
  std::string workspace;
  FakeDecider decider;
  gates::commands::Setup setup;
  gates::requests::Setup requests;
  std::optional<gates::commands::CommandGate> gate;
  std::optional<gates::requests::RequestServer> server;
};

}  // namespace agentbox::test::commands
