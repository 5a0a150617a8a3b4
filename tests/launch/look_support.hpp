#pragma once

// A folder of its own for one test, and short words for filling it.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "agentbox/base/path.hpp"

namespace look_test {

using agentbox::base::AbsPath;

class Folder {
 public:
  Folder() {
    std::string name = std::filesystem::canonical(std::filesystem::temp_directory_path()) / "agentbox-look-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    for (const std::string& closed : closed_)
      std::filesystem::permissions(closed, std::filesystem::perms::owner_all, ignored);
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  [[nodiscard]] const std::string& str() const { return path_; }
  [[nodiscard]] AbsPath path(const std::string& relative = "") const { return *AbsPath::parse(path_ + "/" + relative); }
  void make_folder(const std::string& relative) const { std::filesystem::create_directories(path_ + "/" + relative); }
  void make_file(const std::string& relative, const std::string& content = "") const {
    std::filesystem::path file = path_ + "/" + relative;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
  }
  void make_link(const std::string& relative, const std::string& target) const {
    std::filesystem::path file = path_ + "/" + relative;
    std::filesystem::create_directories(file.parent_path());
    REQUIRE(::symlink(target.c_str(), file.c_str()) == 0);
  }
  void make_fifo(const std::string& relative) const { REQUIRE(::mkfifo((path_ + "/" + relative).c_str(), 0600) == 0); }
  // Takes a folder's permissions away until the test ends.
  void close(const std::string& relative, unsigned mode = 0) {
    closed_.push_back(path_ + "/" + relative);
    REQUIRE(::chmod(closed_.back().c_str(), mode) == 0);
  }
  // Runs git as if nobody had configured it. The command's words hold no quotes.
  void git(const std::string& words) const {
    std::string line = "cd '" + path_ +
                       "' && env -i PATH=\"$PATH\" HOME=/nonexistent GIT_CONFIG_GLOBAL=/dev/null "
                       "GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org "
                       "GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org git -c protocol.file.allow=always " +
                       words + " >/dev/null 2>&1";
    INFO(line);
    REQUIRE(std::system(line.c_str()) == 0);
  }

 private:
  std::string path_;
  std::vector<std::string> closed_;
};

}  // namespace look_test
