#pragma once

// The host's end of request.sock: who is connected, what each has asked, and which gate that is for. Knows nothing of
// what is asked; the gates know nothing of sockets.
//
// The room is hostile. It can fill its own connections and nobody else's: how many there are, what is open on each, and
// how many descriptors it leaves with us is bounded.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/broker/decider.hpp"
#include "agentbox/policy/ruling.hpp"
#include "agentbox/wire/broker_message.hpp"

namespace boost::asio {
class io_context;
}

namespace agentbox::gates::requests {

class Connection;
class Table;  // of the open requests

// Where the answers to one request go. Tells nobody once he has gone.
class Requester {
 public:
  using Body = decltype(wire::ToRoom::body);

  Requester() = default;
  Requester(std::weak_ptr<Connection> connection, std::weak_ptr<Table> table, std::uint64_t id);
  void tell(Body body, std::vector<base::UniqueFd> with = {}) const;
  void refuse(wire::Code code, std::string why) const;
  [[nodiscard]] bool is_gone() const noexcept { return connection_.expired(); }
  // From now on nobody is told; what he asked may still be under way.
  void forget() noexcept { connection_.reset(); }
  // It is answered to its end: the id may be used again.
  void done() const;

 private:
  std::weak_ptr<Connection> connection_;
  std::weak_ptr<Table> table_;
  std::uint64_t id_ = 0;
};

// An open one, as its gate has it.
class Request {
 public:
  virtual ~Request() = default;
  virtual void cancel() = 0;
  // Its requester has gone, or the session ends. Nobody calls it afterwards.
  virtual void abandon(const std::string& why) = 0;
  virtual void signal(int /*number*/) {}
  virtual void resize(wire::WindowSize /*size*/) {}
};

// What a request is handed to. The gate answers at once and returns nothing, or it returns what stays open until it calls
// Requester::done. A kind without a gate is refused.
struct Gates {
  using Open = std::shared_ptr<Request>;
  std::function<Open(Requester, wire::CommandRequest)> command;
  // The descriptor that came beside the line; empty when none came, or more than one.
  std::function<Open(Requester, wire::ChangeRequest, base::UniqueFd)> change;
  std::function<Open(Requester, wire::PaymentRequest)> payment;
  std::function<Open(Requester, wire::MessageRequest, base::UniqueFd)> message;  // as with a change
};

struct Setup {
  std::string session, profile;
  policy::Rules rules;  // for "status"
  // Open questions of this session, for "status". May be empty.
  std::function<std::size_t()> waiting;
  // What may leave without a question, a line each, for "status". May be empty.
  std::function<std::vector<std::string>()> traffic;
  // What may be spent, a line each, for "status". May be empty.
  std::function<std::vector<std::string>()> spending;
  // How and to whom messages may be sent, likewise. May be empty.
  std::function<std::vector<std::string>()> messages;
  Gates gates;

  struct Limits {
    std::size_t connections = 64;
    std::size_t requests = 64;  // open at once on one connection
    std::chrono::milliseconds half_line{10'000};
  } limits;
};

class RequestServer {
 public:
  // The gates must outlive it.
  RequestServer(boost::asio::io_context& loop, Setup setup);
  ~RequestServer();
  RequestServer(const RequestServer&) = delete;
  RequestServer& operator=(const RequestServer&) = delete;

  // A listening Unix stream socket: request.sock. More than one may come. Throws base::SystemError.
  void serve(base::UniqueFd listener);
  // The session ends: no more connections, and every open request is abandoned.
  void stop();

  struct Counters {
    std::size_t connections = 0, requests = 0;  // open now
  };
  [[nodiscard]] Counters counters() const noexcept;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

// As the room is told.
[[nodiscard]] wire::Verdict in_wire(const broker::Verdict& verdict);
[[nodiscard]] wire::RequestDelayed in_wire(std::chrono::seconds left);

}  // namespace agentbox::gates::requests
