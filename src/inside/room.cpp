// `agentbox` as the agent sees it, and, called by another name, the shim for that command of the host. Trust: it runs in
// the room with the agent's rights and is the agent's to misuse; nothing outside relies on it.

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

#include "agentbox/base/escape.hpp"

#include "room_client.hpp"
#include "room_command.hpp"
#include "room_pay.hpp"
#include "room_propose.hpp"
#include "room_send.hpp"
#include "room_words.hpp"

namespace {

using namespace agentbox;
using inside::Exit;

int code(Exit exit) {
  return static_cast<int>(exit);
}
void say(int stream, const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    ssize_t count = ::write(stream, text.data() + done, text.size() - done);
    if (count < 0 && errno != EINTR) return;
    if (count > 0) done += static_cast<std::size_t>(count);
  }
}
int misused(const std::string& problem) {
  say(2, "agentbox: " + problem + "\nhint: `agentbox help` shows how\n");
  return code(Exit::usage);
}

std::string own_reason() {
  const char* why = std::getenv("AGENTBOX_WHY");
  return why == nullptr ? std::string() : std::string(why).substr(0, 2000);
}

int host(const std::vector<std::string>& words) {
  inside::HostCommand command{.socket = inside::socket_path(), .why = own_reason()};
  std::size_t at = 0;
  for (; at < words.size() && words[at].starts_with('-'); ++at) {
    const std::string& word = words[at];
    if (word == "--") {
      ++at;
      break;
    }
    if (word == "--tty") {
      command.terminal = inside::Terminal::wanted;
    } else if (word == "--no-tty") {
      command.terminal = inside::Terminal::unwanted;
    } else if (word == "--why" && at + 1 < words.size()) {
      command.why = words[++at];
    } else if (word.starts_with("--why=")) {
      command.why = word.substr(6);
    } else if (word == "--socket" && at + 1 < words.size()) {
      command.socket = words[++at];
    } else {
      return misused("host: unknown option, or one without its value: " + base::quote(word));
    }
  }
  command.argv.assign(words.begin() + static_cast<std::ptrdiff_t>(at), words.end());
  if (command.argv.empty()) return misused("host: no command is given");
  if (command.why.size() > 2000) return misused("--why: at most 2000 bytes");
  return inside::run_on_host(command);
}

int propose(const std::vector<std::string>& words) {
  inside::Proposal proposal{.path = {}, .why = own_reason()};
  std::size_t at = 0;
  for (; at < words.size() && words[at].starts_with('-'); ++at) {
    const std::string& word = words[at];
    if (word == "--") {
      ++at;
      break;
    }
    if (word == "--remove") {
      proposal.what = inside::Proposal::What::remove;
    } else if (word == "--why" && at + 1 < words.size()) {
      proposal.why = words[++at];
    } else if (word.starts_with("--why=")) {
      proposal.why = word.substr(6);
    } else {
      return misused("propose: unknown option, or one without its value: " + base::quote(word));
    }
  }
  if (at + 1 != words.size()) return misused("propose: takes one path");
  if (proposal.why.size() > 2000) return misused("--why: at most 2000 bytes");
  if (proposal.what == inside::Proposal::What::write && ::isatty(0) == 1) {
    return misused("propose: the new content comes on standard input, which is a terminal");
  }
  std::array<char, 4097> directory{};
  const bool known = words[at].starts_with('/') || ::getcwd(directory.data(), directory.size()) != nullptr;
  if (!known) return misused(std::string("the working directory is unknown: ") + std::strerror(errno));
  auto path = inside::absolute(words[at], directory.data());
  if (!path || path->size() > 4095) return misused("propose: write the path without '..': " + base::quote(words[at]));
  proposal.path = *std::move(path);
  return inside::propose(proposal);
}

int pay(const std::vector<std::string>& words) {
  wire::PaymentRequest payment;
  payment.why = own_reason();
  const std::array<std::pair<std::string_view, std::string*>, 6> options{{{"--amount", &payment.amount},
                                                                          {"--currency", &payment.currency},
                                                                          {"--to", &payment.to},
                                                                          {"--memo", &payment.memo},
                                                                          {"--key", &payment.key},
                                                                          {"--why", &payment.why}}};
  for (std::size_t at = 0; at < words.size(); ++at) {
    const std::string& word = words[at];
    const std::size_t equals = word.starts_with("--") ? word.find('=') : std::string::npos;
    const auto* option =
        std::ranges::find(options, std::string_view(word).substr(0, equals), [](const auto& one) { return one.first; });
    if (option == options.end()) return misused("pay: unknown option " + base::quote(word));
    if (equals == std::string::npos && ++at == words.size()) return misused("pay: " + word + " needs a value");
    *option->second = equals == std::string::npos ? words[at] : word.substr(equals + 1);
  }
  for (const auto& [name, value] : options) {
    const bool needed = name != "--memo" && name != "--why";
    if (needed && value->empty()) return misused("pay: " + std::string(name) + " is missing");
  }
  // The broker's limits, said before it refuses: what is far too long would cost the connection.
  const std::array<std::pair<std::string_view, std::size_t>, 6> most{
      {{"--amount", 40}, {"--currency", 40}, {"--to", 512}, {"--memo", 140}, {"--key", 64}, {"--why", 2000}}};
  for (std::size_t i = 0; i < options.size(); ++i) {
    if (options[i].second->size() <= most[i].second) continue;
    return misused("pay: " + std::string(most[i].first) + ": at most " + std::to_string(most[i].second) + " bytes");
  }
  return inside::pay(payment);
}

int send(const std::vector<std::string>& words) {
  wire::MessageRequest message;
  message.why = own_reason();
  std::vector<std::string> paths;
  for (std::size_t at = 0; at < words.size(); ++at) {
    const std::string& word = words[at];
    const std::size_t equals = word.starts_with("--") ? word.find('=') : std::string::npos;
    const std::string_view name = std::string_view(word).substr(0, equals);
    const bool known =
        name == "--via" || name == "--to" || name == "--subject" || name == "--attach" || name == "--why";
    if (!known) return misused("send: unknown option " + base::quote(word));
    if (equals == std::string::npos && ++at == words.size()) return misused("send: " + word + " needs a value");
    std::string value = equals == std::string::npos ? words[at] : word.substr(equals + 1);
    if (name == "--to") {
      message.to.push_back(std::move(value));
    } else if (name == "--attach") {
      paths.push_back(std::move(value));
    } else {
      (name == "--via" ? message.via : name == "--subject" ? message.subject : message.why) = std::move(value);
    }
  }
  if (message.via.empty()) return misused("send: --via is missing; `agentbox status` lists the ways to send");
  if (message.to.empty()) return misused("send: --to is missing");
  // The broker's limits, said before it refuses: what is far too long would cost the connection.
  auto too_long = [](const std::string& one) { return one.size() > 1016; };
  if (message.to.size() > 20) return misused("send: at most 20 recipients");
  if (std::ranges::any_of(message.to, too_long)) return misused("send: --to: at most 1016 bytes");
  if (message.via.size() > 64) return misused("send: --via: at most 64 bytes");
  if (message.subject.size() > 200) return misused("send: --subject: at most 200 bytes");
  if (message.why.size() > 2000) return misused("send: --why: at most 2000 bytes");
  if (paths.size() > 10) return misused("send: at most 10 attachments");
  if (::isatty(0) == 1) return misused("send: the text comes on standard input, which is a terminal");
  return inside::send(std::move(message), paths);
}

int status(const std::vector<std::string>& words) {
  const bool json = words.size() == 1 && words[0] == "--json";
  if (!words.empty() && !json) return misused("status: takes nothing but --json");
  const std::string socket = inside::socket_path();
  auto client = inside::RoomClient::connect(socket);
  if (!client || !client->send({1, wire::StatusRequest{}})) {
    const int error = errno;
    say(2, "agentbox: there is no broker at " + base::escape(socket) + ": " + std::strerror(error) + "\n");
    return code(Exit::failed);
  }
  std::deque<inside::RoomClient::Heard> heard;
  while (heard.empty()) {
    if (client->receive(heard) == inside::RoomClient::State::closed) break;
  }
  const auto* answer = heard.empty() ? nullptr : std::get_if<wire::RoomStatus>(&heard.front().message.body);
  if (answer == nullptr) {
    say(2, "agentbox: the broker gives no answer\n");
    return code(Exit::failed);
  }
  say(1, json ? inside::in_json(*answer) : inside::in_words(*answer));
  return 0;
}

bool is_this_program(const std::string& path) {
  struct stat one{}, own{};
  return ::stat(path.c_str(), &one) == 0 && ::stat("/proc/self/exe", &own) == 0 && one.st_dev == own.st_dev &&
         one.st_ino == own.st_ino;
}

// The room's own program of that name: the next one in PATH that isn't a shim.
int become_rooms_own(const std::string& name, char** argv) {
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path;
  int error = ENOENT;
  while (!rest.empty()) {
    std::string folder(rest.substr(0, rest.find(':')));
    rest.remove_prefix(std::min(folder.size() + 1, rest.size()));
    std::string file = (folder.empty() ? "." : folder) + "/" + name;
    if (is_this_program(file) || ::access(file.c_str(), X_OK) != 0) continue;
    ::execv(file.c_str(), argv);
    error = errno;
  }
  say(2, "agentbox: no rule lets this run on the host, and the room has no program " + base::quote(name) +
             " of its own\nhint: `agentbox status` lists what may run on the host\n");
  return code(error == ENOENT ? Exit::not_found : Exit::not_started);
}

int shim(const std::string& name, int count, char** argv) {
  inside::HostCommand command{
      .argv = {name}, .socket = inside::socket_path(), .why = own_reason(), .from = wire::CommandRequest::From::shim};
  command.argv.insert(command.argv.end(), argv + 1, argv + count);
  const int result = inside::run_on_host(command);
  return result >= 0 ? result : become_rooms_own(name, argv);
}

}  // namespace

int main(int count, char** argv) {
  if (count < 1) return code(Exit::usage);
  std::string name(argv[0]);
  if (std::size_t slash = name.rfind('/'); slash != std::string::npos) name.erase(0, slash + 1);
  if (name != "agentbox" && name != "agentbox-room") return shim(name, count, argv);
  std::vector<std::string> words(argv + 1, argv + count);
  const std::string verb = words.empty() ? "help" : words.front();
  if (!words.empty()) words.erase(words.begin());
  if (verb == "host") return host(words);
  if (verb == "pay") return pay(words);
  if (verb == "propose") return propose(words);
  if (verb == "status") return status(words);
  if (verb == "help" || verb == "--help" || verb == "-h") {
    say(1, inside::help());
    return 0;
  }
  if (verb == "send") return send(words);
  if (verb == "ask") {
    say(2, "agentbox: " + verb + " is not built yet: tell the owner what you need, and why\n");
    return code(Exit::denied);
  }
  return misused("there is no command " + base::quote(verb) + " in the room");
}
