#pragma once

// Resolves names outside, on threads of its own, because getaddrinfo(3) waits. One answer serves all who ask for the same
// name at the same time, and for a few seconds after.

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agentbox/gates/network/gate.hpp"

namespace agentbox::gates::network {

class Lookup {
 public:
  struct Found {
    std::vector<Target> targets;
    std::string error;  // why there are none
    // `targets` are those that the rules let pass; see keep.
    enum class Checked : std::uint8_t { no, yes } checked = Checked::no;
  };
  using Done = std::function<void(const Found&)>;
  using Resolve = std::function<std::vector<Target>(const std::string& name, std::uint16_t port)>;

  Lookup(boost::asio::io_context& loop, Resolve resolve);
  // Nobody is called back any more. Waits for nothing: a thread that still asks ends by itself.
  ~Lookup();
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;

  // `done` is called from the loop, never from within; not at all after the destructor.
  void find(const std::string& name, std::uint16_t port, Done done);
  // Of what was found for that name a moment ago these addresses passed the check, which need not be made again.
  void keep(const std::string& name, std::uint16_t port, std::vector<Target> good);
  // What was found a moment ago, or nullptr.
  [[nodiscard]] const Found* known(const std::string& name, std::uint16_t port) const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace agentbox::gates::network
