#include "demo_world.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agentbox/base/error.hpp"
#include "agentbox/launch/reap.hpp"

namespace agentbox::cli::stage {

namespace fs = std::filesystem;

namespace {

void plant(const std::string& path, std::string_view content, mode_t mode = 0644) {
  std::ofstream file(path, std::ios::binary);
  file << content;
  file.close();
  if (!file || ::chmod(path.c_str(), mode) != 0) throw base::SystemError(errno, "cannot write " + path);
}

base::UniqueFd listen_on(int family, const void* address, socklen_t size) {
  base::UniqueFd socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket || ::bind(socket.get(), static_cast<const sockaddr*>(address), size) != 0 ||
      ::listen(socket.get(), 8) != 0) {
    throw base::SystemError(errno, "cannot open a socket for the demo");
  }
  return socket;
}

base::UniqueFd listen_on_unix(const std::string& name, std::size_t skip) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (name.size() + skip >= sizeof address.sun_path) throw base::SystemError(ENAMETOOLONG, "cannot open " + name);
  std::memcpy(address.sun_path + skip, name.data(), name.size());
  auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + skip + name.size() + (skip == 0 ? 1 : 0));
  return listen_on(AF_UNIX, &address, size);
}

const char* from_environment(const char* name) {
  return std::getenv(name);  // NOLINT(concurrency-mt-unsafe): one thread, and nothing sets a variable
}

}  // namespace

World::World() {
  const char* temporary = from_environment("TMPDIR");
  std::string base =
      std::string(temporary != nullptr && *temporary == '/' ? temporary : "/tmp") + "/agentbox-demo.XXXXXX";
  if (::mkdtemp(base.data()) == nullptr) throw base::SystemError(errno, "cannot make a folder for the demo in " + base);
  target_.base = base;
  try {
    plant_files();
    open_servers();
    start_victim();
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(base, ignored);
    throw;
  }
}

World::~World() {
  if (target_.victim > 0) {
    ::kill(target_.victim, SIGKILL);
    launch::reap(target_.victim);
  }
  std::error_code ignored;
  fs::remove_all(target_.base, ignored);
}

void World::plant_files() {
  const std::string home = target_.base + "/home";
  for (const char* folder : {"/home/.ssh", "/home/notes", "/home/project/.git/hooks", "/home/project/.git/objects",
                             "/home/project/.git/refs", "/run", "/config", "/state", "/cache"}) {
    fs::create_directories(target_.base + folder);
  }
  ::chmod((target_.base + "/run").c_str(), 0700);
  ::chmod((target_.base + "/state").c_str(), 0700);
  plant(home + "/.ssh/id_ed25519",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nnot a real one: it was made for agentbox demo\n"
        "-----END OPENSSH PRIVATE KEY-----\n",
        0600);
  plant(home + "/.bashrc", "# the owner's\n");
  plant(home + "/.bash_history", "export TOKEN=hunter2\n", 0600);
  plant(home + "/notes/diary.txt", "dear diary\n");
  plant(home + "/project/README.md", "# A project\n");
  plant(home + "/project/.envrc", "# direnv runs this\n");
  plant(home + "/project/.git/HEAD", "ref: refs/heads/main\n");
  plant(home + "/project/.git/config", "[core]\n\trepositoryformatversion = 0\n\tbare = false\n");
}

void World::open_servers() {
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  server_ = listen_on(AF_INET, &address, sizeof address);
  socklen_t size = sizeof address;
  if (::getsockname(server_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw base::SystemError(errno, "cannot open a socket for the demo");
  }
  target_.port = ntohs(address.sin_port);
  ssh_agent_ = listen_on_unix(target_.base + "/run/ssh-agent", 0);
  bus_ = listen_on_unix(target_.base + "/run/bus", 0);
  abstract_ = listen_on_unix(target_.base, 1);
}

void World::start_victim() {
  std::string name(token), secret = "SECRET=" + name, seconds = "600";
  char* argv[] = {name.data(), seconds.data(), nullptr};
  char* environment[] = {secret.data(), nullptr};
  pid_t parent = ::getpid();
  // Closed by its exec: before that it has our environment, not its own.
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw base::SystemError(errno, "cannot make a pipe");
  const base::UniqueFd from(ends[0]);
  base::UniqueFd to(ends[1]);
  target_.victim = ::fork();
  if (target_.victim < 0) throw base::SystemError(errno, "cannot start a process for the demo");
  if (target_.victim == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() == parent) ::execve("/bin/sleep", argv, environment);
    ::_exit(127);
  }
  to.reset();
  char byte = 0;
  while (::read(from.get(), &byte, 1) < 0 && errno == EINTR) {
  }
}

std::vector<std::string> World::environment() const {
  const std::string& base = target_.base;
  std::vector<std::string> out = {"HOME=" + base + "/home",
                                  "XDG_RUNTIME_DIR=" + base + "/run",
                                  "XDG_CONFIG_HOME=" + base + "/config",
                                  "XDG_STATE_HOME=" + base + "/state",
                                  "XDG_CACHE_HOME=" + base + "/cache",
                                  "SSH_AUTH_SOCK=" + base + "/run/ssh-agent",
                                  "DBUS_SESSION_BUS_ADDRESS=unix:path=" + base + "/run/bus",
                                  "PATH=/usr/local/bin:/usr/bin:/bin"};
  for (const char* name : {"AGENTBOX_PROFILES", "LANG", "USER", "LOGNAME", "SHELL", "ASAN_OPTIONS", "UBSAN_OPTIONS"}) {
    if (const char* value = from_environment(name)) out.push_back(std::string(name) + "=" + value);
  }
  return out;
}

std::map<std::string, std::string> World::snapshot() const {
  std::map<std::string, std::string> tree;
  const fs::path home = target_.base + "/home";
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(home)) {
    std::string& content = tree[entry.path().lexically_relative(home).string()];
    if (entry.is_symlink()) {
      content = "link to " + fs::read_symlink(entry.path()).string();
    } else if (entry.is_regular_file()) {
      std::ifstream file(entry.path(), std::ios::binary);
      content.assign(std::istreambuf_iterator<char>(file), {});
    } else {
      content = "folder";
    }
  }
  return tree;
}

}  // namespace agentbox::cli::stage
