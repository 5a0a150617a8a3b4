#include "agentbox/broker/notifier.hpp"

#include <cerrno>
#include <csignal>
#include <list>
#include <utility>

#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/broker/broker.hpp"

namespace agentbox::broker {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr std::size_t longest = 200;  // bytes

// What a notification daemon, or a command that prints its argument, might take for more than a letter.
std::string plain(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    if (control || c == '<' || c == '>' || c == '&' || c == '\\') c = '?';
  }
  return out;
}

std::string cut(std::string text, std::size_t size) {
  if (text.size() <= size) return text;
  size -= 3;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  return text.substr(0, size) + "...";
}

// posix_spawn(3) without a way to go wrong halfway. -1: it could not be started.
pid_t start(const NotifyCommand& command, const std::string& notice) {
  std::vector<std::string> argv = command.argv;
  argv.push_back(notice);
  std::vector<std::string> environment = command.environment;
  auto pointers = [](std::vector<std::string>& words) {
    std::vector<char*> list;
    for (std::string& word : words) list.push_back(word.data());
    list.push_back(nullptr);
    return list;
  };
  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  for (int fd = 0; fd <= 2; ++fd) ::posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
  ::posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  ::posix_spawn_file_actions_addchdir_np(&actions, "/");
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  // A session of its own: the terminal is not its business.
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, command.program.c_str(), &actions, &attributes, pointers(argv).data(),
                                  pointers(environment).data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  return error == 0 ? pid : -1;
}

}  // namespace

std::vector<std::string> notify_environment(const std::function<const char*(const char*)>& variable) {
  std::vector<std::string> environment{"PATH=/usr/local/bin:/usr/bin:/bin:/run/current-system/sw/bin"};
  for (const char* name : {"HOME", "USER", "LANG", "LC_ALL", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY",
                           "XAUTHORITY", "WAYLAND_DISPLAY"}) {
    if (const char* value = variable(name)) environment.push_back(fmt::format("{}={}", name, value));
  }
  return environment;
}

std::string notice_for(const prompt::Question& question, std::size_t more) {
  const bool quoted = question.form == prompt::Question::Form::quoted;
  std::string others = more == 0 ? "" : fmt::format(" (and {} more)", more);
  const bool delayed = question.stage == prompt::Question::Stage::delayed;
  std::string text = fmt::format("agentbox: {}: {}{}: {}", base::escape(question.session), delayed ? "will soon " : "",
                                 question.title, quoted ? question.subject : base::escape(question.subject));
  return cut(plain(text), longest - others.size()) + others;
}

class Notifier::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& loop, NotifyCommand command, NotifyPace pace)
      : command_(std::move(command)), pace_(pace), next_(loop), limit_(loop), ended_(loop) {}

  void add(const std::string& id, prompt::Question question) {
    remove(id);
    waiting_.emplace_back(id, std::move(question));
    tell();
  }
  void remove(const std::string& id) {
    waiting_.remove_if([&](const auto& each) { return each.first == id; });
  }
  void close();

 private:
  void tell();
  void watch();
  void reap(int how);

  NotifyCommand command_;
  NotifyPace pace_;
  asio::steady_timer next_, limit_;
  asio::posix::stream_descriptor ended_;                         // a pidfd
  std::list<std::pair<std::string, prompt::Question>> waiting_;  // not told yet, by id
  pid_t pid_ = -1;
  bool resting_ = false;
};

void Notifier::Impl::tell() {
  if (pid_ > 0 || resting_ || waiting_.empty()) return;
  const std::string notice = notice_for(waiting_.back().second, waiting_.size() - 1);
  waiting_.clear();
  pid_ = start(command_, notice);
  // Also after one that failed: it would fail again.
  resting_ = true;
  next_.expires_after(pace_.between);
  next_.async_wait([weak = weak_from_this()](error_code error) {
    auto self = weak.lock();
    if (!self || error) return;
    self->resting_ = false;
    self->tell();
  });
  if (pid_ > 0) watch();
}

void Notifier::Impl::watch() {
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));  // close-on-exec always
  if (fd < 0) return reap(SIGKILL);
  ended_.assign(fd);
  ended_.async_wait(asio::posix::stream_descriptor::wait_read, [weak = weak_from_this()](error_code error) {
    if (auto self = weak.lock(); self && !error) self->reap(0);
  });
  limit_.expires_after(pace_.limit);
  limit_.async_wait([weak = weak_from_this()](error_code error) {
    auto self = weak.lock();
    // Its end is noticed like any other.
    if (self && !error && self->pid_ > 0) ::kill(-self->pid_, SIGKILL);
  });
}

// It has ended, or is made to: so this does not block.
void Notifier::Impl::reap(int how) {
  if (how != 0) ::kill(-pid_, how);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  limit_.cancel();
  error_code ignored;
  ended_.close(ignored);
  tell();
}

void Notifier::Impl::close() {
  waiting_.clear();
  next_.cancel();
  if (pid_ > 0) reap(SIGKILL);
}

// ---- the face ----

Notifier::Notifier(asio::io_context& loop, Broker& broker, NotifyCommand command, NotifyPace pace)
    : broker_(broker), impl_(std::make_shared<Impl>(loop, std::move(command), pace)) {
  broker_.add(*this);
}
Notifier::~Notifier() {
  broker_.remove(*this);
  impl_->close();
}
void Notifier::show(const prompt::Question& question) {
  impl_->add(question.id, question);
}
void Notifier::withdraw(const std::string& id, Verdict::Kind, const std::string&) {
  impl_->remove(id);
}
// Once: the banner is told of anew with each question that is held back.
void Notifier::warn(const prompt::Flood& flood) {
  if (std::exchange(warned_, true)) return;
  prompt::Question banner{.id = {}, .session = flood.session};
  banner.title = "it asks too often";
  banner.subject = fmt::format("{} questions are open", flood.waiting);
  impl_->add("", std::move(banner));
}
void Notifier::withdraw_warning() {
  warned_ = false;
  impl_->remove("");
}

}  // namespace agentbox::broker
