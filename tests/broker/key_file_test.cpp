#include "key_file.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

using namespace agentbox;
using agentbox::broker::read_key;

namespace {

// One file, in a folder of its own.
struct File {
  File() {
    REQUIRE(::mkdtemp(folder.data()) != nullptr);
    path = *base::AbsPath::parse(folder + "/key");
  }
  ~File() {
    ::unlink(path.c_str());
    ::rmdir(folder.c_str());
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  void write(const std::string& text, mode_t mode = 0600) const {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0);
    REQUIRE(::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    REQUIRE(::fchmod(fd, mode) == 0);
    ::close(fd);
  }
  std::string folder = "/tmp/key.XXXXXX";
  base::AbsPath path;
};

}  // namespace

TEST_CASE("a key is the first line of a file that nobody else can read") {
  const File file;
  for (const char* text : {"sk-1", "sk-1\n", "sk-1\r\n", "sk-1\nmore and more\n"}) {
    file.write(text);
    CHECK(read_key(file.path) == "sk-1");
  }
  for (const mode_t mode : {0640U, 0604U, 0620U, 0601U}) {
    file.write("sk-1\n", mode);
    CHECK(read_key(file.path).error() == file.path.str() + " is open to others: chmod 600");
  }
}

TEST_CASE("nothing that could be more than a key in a header is one") {
  const File file;
  for (const std::string text :
       {"", "\n", "\nsk-1", "sk 1", "sk-1 \n", " sk-1", "sk-1\rX: y\n", "sk-1\t", "sk-\xc3\xa9"}) {
    file.write(text);
    CHECK(read_key(file.path).error().find("holds no key") != std::string::npos);
  }
  file.write(std::string("sk\0-1\n", 6));
  CHECK(read_key(file.path).error().find("holds no key") != std::string::npos);
  file.write(std::string(4097, 'x'));
  CHECK(read_key(file.path).error().find("is longer than 4 KiB") != std::string::npos);
  file.write(std::string(4096, 'x'));
  CHECK(read_key(file.path)->size() == 4096);
}

TEST_CASE("what is no file is not waited for") {
  const File file;
  CHECK(read_key(file.path).error() == file.path.str() + " can't be read: No such file or directory");
  REQUIRE(::mkfifo(file.path.c_str(), 0600) == 0);
  CHECK(read_key(file.path).error() == file.path.str() + " is no file");
  CHECK(read_key(*base::AbsPath::parse(file.folder)).error() == file.folder + " is no file");
}
