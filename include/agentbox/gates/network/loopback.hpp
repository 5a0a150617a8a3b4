#pragma once

// The first piece of the network gate: single ports of the loopback, one way or the other. What the policy
// granted was decided before; nothing is asked here. The room is hostile: what it may do here is what any
// client of that port may.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "agentbox/base/unique_fd.hpp"
#include "agentbox/gates/network/splicer.hpp"

namespace agentbox::gates::network {

struct Counters {
  std::uint64_t connections = 0;  // accepted, since the beginning
  std::uint64_t refused = 0;      // of these: no server listened
  Bytes bytes;                    // of ended connections
};

struct Limits {
  std::size_t connections = 1024;  // open at once through one gate; the next ones wait in the listener's queue
};

// `[network] allow = ["localhost:8080"]`: connections that arrive at the room's 127.0.0.1:8080 and [::1]:8080
// go to the same port of the host's loopback. To the address of the same family first, then to the other:
// many servers listen on only one of the two, and a grant of localhost means both. Where neither listens the
// client is reset at once.
class LoopbackGate {
 public:
  // The splicer must outlive the gate.
  LoopbackGate(boost::asio::io_context& loop, Splicer& splicer, std::uint16_t port, Limits limits = {});
  ~LoopbackGate();
  LoopbackGate(const LoopbackGate&) = delete;
  LoopbackGate& operator=(const LoopbackGate&) = delete;

  // A listening TCP socket, IPv4 or IPv6, that belongs to the room's network namespace; more than one may
  // come. Throws base::SystemError.
  void serve(base::UniqueFd listener);
  [[nodiscard]] Counters counters() const noexcept;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

// `{ to = "localhost:8080", as = "llm" }`: as LoopbackGate, but only what a model's user needs goes through, request by
// request (src/gates/network/model_api.hpp): no call that fetches, pulls, pushes or changes, no media but inline ones.
// Answers stream through unchanged.
class ModelGate {
 public:
  ModelGate(boost::asio::io_context& loop, std::uint16_t port, Limits limits = {});
  ~ModelGate();
  ModelGate(const ModelGate&) = delete;
  ModelGate& operator=(const ModelGate&) = delete;

  // As LoopbackGate::serve.
  void serve(base::UniqueFd listener);
  [[nodiscard]] Counters counters() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// `publish = [{ port = "8080:3000", raw = true }]`: connections to the host's 127.0.0.1:8080 and [::1]:8080 go into the room, to its
// 127.0.0.1:3000, else its [::1]:3000 (or the other way round).
class PublishGate {
 public:
  // Listens from now on. `room_socket` makes a socket that belongs to the room's network namespace
  // (launch::Room::room_socket). Throws base::SystemError, with a hint, where the port can't be had on both
  // addresses; only a machine without IPv6 does without the second.
  PublishGate(boost::asio::io_context& loop, Splicer& splicer, std::uint16_t host_port, std::uint16_t room_port,
              Splicer::MakeSocket room_socket, Limits limits = {});
  ~PublishGate();
  PublishGate(const PublishGate&) = delete;
  PublishGate& operator=(const PublishGate&) = delete;

  [[nodiscard]] Counters counters() const noexcept;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

// `publish = ["8080:3000"]`: as PublishGate, but HTTP alone, under a name of its own, and every answer says that the page
// loads nothing from elsewhere (src/gates/network/page_rules.hpp). Who asks for http://localhost:8080/ is led to that name.
class PageGate {
 public:
  // `name`: page_name() of the session. Otherwise as PublishGate.
  PageGate(boost::asio::io_context& loop, std::uint16_t host_port, std::uint16_t room_port, std::string name,
           Splicer::MakeSocket room_socket, Limits limits = {});
  ~PageGate();
  PageGate(const PageGate&) = delete;
  PageGate& operator=(const PageGate&) = delete;

  [[nodiscard]] Counters counters() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// "pi-k3f9.localhost" of the session "pi-k3f9": browsers take every such name for this machine.
[[nodiscard]] std::string page_name(std::string_view session);

}  // namespace agentbox::gates::network
