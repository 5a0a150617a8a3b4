#pragma once

// Asks for one command on the host, and lives its life in the room: its streams, its signals, its end.

#include <string>
#include <vector>

#include "agentbox/wire/broker_message.hpp"

namespace agentbox::inside {

enum class Terminal { wanted, unwanted, as_it_is };  // as_it_is: when standard input and output are terminals

struct HostCommand {
  std::vector<std::string> argv;
  std::string socket;  // of the broker
  std::string why;
  Terminal terminal = Terminal::as_it_is;
  wire::CommandRequest::From from = wire::CommandRequest::From::request;
};

// The exit code; -1: the room's own program of that name is meant ("pass").
[[nodiscard]] int run_on_host(const HostCommand& command);

}  // namespace agentbox::inside
