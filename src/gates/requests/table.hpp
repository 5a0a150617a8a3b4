#pragma once

// What is open, by connection and id.

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "agentbox/gates/requests/request_server.hpp"

namespace agentbox::gates::requests {

class Table {
 public:
  using Open = std::shared_ptr<Request>;

  void add(Connection* connection, std::uint64_t id, Open request) {
    requests_.emplace(std::pair{connection, id}, std::move(request));
  }
  // Nothing: it has ended.
  [[nodiscard]] Open find(Connection* connection, std::uint64_t id) const {
    auto found = requests_.find({connection, id});
    return found == requests_.end() ? nullptr : found->second;
  }
  [[nodiscard]] std::size_t open_on(Connection* connection) const {
    std::size_t count = 0;
    for (auto at = requests_.lower_bound({connection, 0}); at != requests_.end() && at->first.first == connection;
         ++at) {
      ++count;
    }
    return count;
  }
  void remove(Connection* connection, std::uint64_t id) { requests_.erase({connection, id}); }
  [[nodiscard]] std::vector<Open> take_all_of(Connection* connection) {
    std::vector<Open> taken;
    for (auto at = requests_.lower_bound({connection, 0}); at != requests_.end() && at->first.first == connection;) {
      taken.push_back(std::move(at->second));
      at = requests_.erase(at);
    }
    return taken;
  }
  [[nodiscard]] std::vector<Open> take_all() {
    std::vector<Open> taken;
    for (auto& [key, request] : std::exchange(requests_, {})) taken.push_back(std::move(request));
    return taken;
  }
  [[nodiscard]] std::size_t size() const noexcept { return requests_.size(); }

 private:
  std::map<std::pair<Connection*, std::uint64_t>, Open> requests_;
};

}  // namespace agentbox::gates::requests
