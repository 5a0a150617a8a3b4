#pragma once

// A gate behind a request.sock of its own, on a thread; the helpers are those of the commands gate.

#include "commands/world.hpp"

namespace agentbox::test {

template <class Gate, class Decider = commands::FakeDecider>
class Served {
 public:
  Served() : decider(loop_) {}
  ~Served() { end(); }
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;

  // Afterwards what the loop wrote may be read.
  void end() {
    if (!thread_.joinable()) return;
    boost::asio::post(loop_, [this] {
      server.reset();
      gate.reset();
      guard_.reset();
      loop_.stop();
    });
    thread_.join();
  }
  [[nodiscard]] std::string socket() const { return folder / "request.sock"; }
  [[nodiscard]] commands::Client client() const { return commands::Client(socket()); }
  // For `setup.refused`.
  [[nodiscard]] auto note_refusals() {
    return [this](const policy::Action& action, const std::string& why) {
      refused.push_back(policy::summary(action) + ": " + why);
    };
  }

 protected:
  // When `gate` is there.
  void serve(gates::requests::Setup setup) {
    server.emplace(loop_, std::move(setup));
    base::UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket().copy(address.sun_path, sizeof address.sun_path - 1);
    if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener.get(), 64) != 0) {
      throw std::runtime_error("listen");
    }
    server->serve(std::move(listener));
    thread_ = std::thread([this] { loop_.run(); });
  }

  boost::asio::io_context loop_{1};

 private:
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_{loop_.get_executor()};
  std::thread thread_;

 public:
  commands::Folder folder;
  std::vector<std::string> refused;
  Decider decider;
  std::optional<Gate> gate;
  std::optional<gates::requests::RequestServer> server;
};

// A gate that runs a program of the owner's: "bin/NAME" notes what it was given, and ends as told. The room writes to "w".
template <class Gate, class Setup, class Decider = commands::FakeDecider>
class WithProgram : public Served<Gate, Decider> {
 public:
  WithProgram(std::string name, const std::string& end) : name_(std::move(name)) {
    std::filesystem::create_directory(this->folder / "bin");
    std::filesystem::create_directory(this->folder / "w");
    script(end);
    setup.writable = {commands::abs_path(real("w"))};
    setup.owner = {.name = "me", .home = "/home/me", .shell = "/bin/sh", .environment = {"LANG=C", "SECRET=x"}};
    setup.folders = {commands::abs_path("/usr/bin")};
    setup.refused = this->note_refusals();
  }
  ~WithProgram() { this->end(); }
  WithProgram(const WithProgram&) = delete;
  WithProgram& operator=(const WithProgram&) = delete;

  [[nodiscard]] std::string real(const std::string& name) const {
    return std::filesystem::canonical(this->folder.str()).string() + "/" + name;
  }
  // What it was called with goes to "called", its environment to "environment", what it read to "input".
  void script(const std::string& end) {
    commands::write_file(this->folder / ("bin/" + name_),
                         "#!/bin/sh\nfor word in \"$@\"; do printf '<%s>' \"$word\"; done >>" +
                             (this->folder / "called") + "\nenv >" + (this->folder / "environment") + "; pwd >" +
                             (this->folder / "directory") + "; cat >" + (this->folder / "input") + "\n" + end + "\n",
                         0755);
  }
  [[nodiscard]] std::string content(const std::string& name) const {
    std::ifstream file(this->folder / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  Setup setup;

 private:
  std::string name_;
};

}  // namespace agentbox::test
