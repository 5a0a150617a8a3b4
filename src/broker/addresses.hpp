#pragma once

// The addresses of a host, asked of the system in a thread of its own: getaddrinfo can't be interrupted.

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace boost::asio {
class io_context;
}

namespace agentbox::broker {

class Addresses {
 public:
  struct Found {
    std::vector<std::string> addresses;  // "192.0.2.1", "2001:db8::1"
    std::string problem;                 // where there are none: one clause
  };
  // `done` is called from the loop, at most once, and never after this has gone; not from within. A name of the internet
  // is complete as it is: no search domain of the host is tried with it.
  Addresses(boost::asio::io_context& loop, const std::string& name, std::function<void(const Found&)> done);
  ~Addresses();
  Addresses(const Addresses&) = delete;
  Addresses& operator=(const Addresses&) = delete;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace agentbox::broker
