#pragma once

// What the connections on record come to, by host: for `agentbox log --net`.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "agentbox/store/store.hpp"

#include "record_table.hpp"

namespace agentbox::cli {

class NetSums {
 public:
  // Rows of the kind "connect", in order.
  void add(const store::Row& row);

  // The host that most was sent to comes first.
  [[nodiscard]] std::vector<std::string> heads() const;
  [[nodiscard]] std::vector<std::vector<Cell>> rows() const;
  // An object for each, one a line.
  [[nodiscard]] std::string json_lines() const;
  [[nodiscard]] bool empty() const noexcept { return hosts_.empty(); }

 private:
  struct Sum {
    std::uint64_t connections = 0, denied = 0;
    std::uint64_t sent = 0, received = 0;  // bytes, as the room saw it
    store::Time last;
  };
  [[nodiscard]] std::vector<std::pair<std::string, Sum>> sorted() const;
  std::map<std::string, Sum> hosts_;  // by the summary of the action: "host:port"
};

}  // namespace agentbox::cli
