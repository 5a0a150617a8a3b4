#pragma once

// A throw-away home with a key in it, a project with git, servers and a process to attack.

#include <map>
#include <string>
#include <vector>

#include <sys/types.h>

#include "agentbox/base/unique_fd.hpp"

#include "demo.hpp"

namespace agentbox::cli::stage {

class World {
 public:
  // Throws base::SystemError. The destructor removes all of it.
  World();
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  [[nodiscard]] const Target& target() const noexcept { return target_; }
  [[nodiscard]] std::string project() const { return target_.base + "/home/project"; }
  // What the commands in this world see of the environment: "NAME=value".
  [[nodiscard]] std::vector<std::string> environment() const;
  // Every path below home/ with its content; two equal snapshots are two equal trees.
  [[nodiscard]] std::map<std::string, std::string> snapshot() const;

 private:
  void plant_files();
  void open_servers();
  void start_victim();

  Target target_;
  base::UniqueFd server_, ssh_agent_, bus_, abstract_;
};

}  // namespace agentbox::cli::stage
