#pragma once

// A changes gate behind a socket, over a project of its own; the helpers are those of the commands gate.

#include <sys/mman.h>

#include "agentbox/gates/changes/change_gate.hpp"

#include "../served.hpp"

namespace agentbox::test::changes {

using base::AbsPath;
using base::UniqueFd;
using broker::Verdict;
using commands::abs_path;
using commands::Client;
using commands::FakeDecider;
using commands::Folder;
using commands::verdict;
using commands::write_file;

inline constexpr int all_seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;

inline UniqueFd memory(std::string_view content, int seals = all_seals) {
  UniqueFd fd(::memfd_create("proposal", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd || ::write(fd.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size()) ||
      ::fcntl(fd.get(), F_ADD_SEALS, seals) != 0) {
    throw std::runtime_error("memfd");
  }
  return fd;
}

inline std::string content_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

class World : public Served<gates::changes::ChangeGate> {
 public:
  World() {
    for (const char* name : {"w", "w/sub", "w/hidden", "w/.git", "w/.git/hooks", "w/read", "outside"}) {
      std::filesystem::create_directory(folder / name);
    }
    workspace = std::filesystem::canonical(folder / "w");
    using Why = policy::Mount::Why;
    mount("", policy::Access::write, Why::workspace);
    mount("/read", policy::Access::read, Why::grant);
    mount("/hidden", policy::Access::hidden, Why::hide);
    mount("/.envrc", policy::Access::read, Why::protect, policy::FileKind::regular, 7);
    mount("/.git/hooks", policy::Access::read, Why::protect);
    policy.held.push_back({.path = abs_path(workspace + "/AGENTS.md"), .origin = line(9)});
    setup.policy = &policy;
    setup.before = [this] { events.push_back("before"); };
    setup.changed = [this](const AbsPath& path) { events.push_back("changed " + std::string(path.name())); };
    setup.after = [this] { events.push_back("after"); };
    setup.refused = note_refusals();
  }
  ~World() { end(); }  // before the policy goes
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  void start() {
    gate.emplace(decider, setup);
    gates::requests::Setup requests{.session = "test-1", .profile = "test"};
    requests.gates.change = [this](auto from, auto request, auto content) {
      return gate->take(std::move(from), std::move(request), std::move(content));
    };
    serve(std::move(requests));
  }
  [[nodiscard]] std::string at(const std::string& name) const { return workspace + "/" + name; }

  void propose(Client& client, const std::string& name, const std::string& content, std::uint64_t id = 1) const {
    UniqueFd sealed = memory(content);
    client.send_with({id, wire::ChangeRequest{.path = at(name), .why = "a reason"}}, {sealed.get()});
  }
  // The text of a refusal.
  [[nodiscard]] std::string refusal(const std::string& name, const std::string& content = "x") const {
    Client one = client();
    propose(one, name, content);
    return one.expect<wire::Refusal>().message;
  }

 private:
  static profile::Origin line(std::uint32_t number) { return {.file = "base.toml", .at = {number, 1, 1}}; }
  void mount(const std::string& name, policy::Access access, policy::Mount::Why why,
             policy::FileKind kind = policy::FileKind::directory, std::uint32_t number = 0) {
    AbsPath path = abs_path(workspace + name);
    policy.mounts.push_back({.target = path,
                             .source = path,
                             .kind = kind,
                             .access = access,
                             .why = why,
                             .origin = number == 0 ? profile::Origin{} : line(number)});
  }

 public:
  std::string workspace;
  std::vector<std::string> events;
  policy::Policy policy;
  gates::changes::Setup setup;
};

}  // namespace agentbox::test::changes
