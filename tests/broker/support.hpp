#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <stdlib.h>

#include <boost/asio/io_context.hpp>

#include "agentbox/broker/broker.hpp"
#include "agentbox/policy/git_remotes.hpp"
#include "agentbox/profile/parse.hpp"
#include "agentbox/store/store.hpp"

namespace agentbox::broker::test {

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "agentbox-broker-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no folder");
    path_ = std::filesystem::canonical(name);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] base::AbsPath operator/(const std::string& name) const {
    return base::AbsPath::parse((path_ / name).string()).value();
  }

 private:
  std::filesystem::path path_;
};

// Notes what it is told, and is as present as the test says.
class FakePanel final : public Panel {
 public:
  [[nodiscard]] Presence presence() const override { return there ? Presence::maybe : Presence::nobody; }
  void show(const prompt::Question& question) override { shown.push_back(question); }
  void change(const prompt::Question& question) override { changed.push_back(question); }
  void withdraw(const std::string& id, Verdict::Kind verdict, const std::string& by) override {
    gone.push_back({id, verdict, by});
  }
  void warn(const prompt::Flood& flood) override { floods.push_back(flood); }
  void withdraw_warning() override { ++warnings_gone; }

  struct Gone {
    std::string id;
    Verdict::Kind verdict;
    std::string by;
  };
  bool there = true;
  std::vector<prompt::Question> shown, changed;
  std::vector<Gone> gone;
  std::vector<prompt::Flood> floods;
  int warnings_gone = 0;
};

inline profile::Located<profile::CommandPattern> command_rule(const std::string& text) {
  return {profile::parse_command_pattern(text, {}).value(),
          {.file = "pi.toml", .at = {.line = 3}, .source_line = text}};
}

struct World {
  explicit World(std::function<void(Settings&)> change = {}) {
    Settings settings;
    settings.session = "pi-1";
    settings.profile = "pi";
    settings.rules.commands.allow = {command_rule("date")};
    settings.rules.commands.ask = {command_rule("git push **"), command_rule("notify-send **"), command_rule("make **"),
                                   command_rule("sh **")};
    settings.rules.commands.deny = {command_rule("sudo **")};
    settings.record = folder / "record/agentbox.db";
    if (change) change(settings);
    broker = std::make_unique<Broker>(loop, settings);
    broker->add(panel);
  }
  ~World() { broker->remove(panel); }

  static Asked asked(std::vector<std::string> argv) {
    policy::Command command{.argv = std::move(argv), .directory = *base::AbsPath::parse("/home/me/w")};
    // As the gate finds them out.
    if (policy::talks_to_remotes(command))
      command.remotes = policy::Remotes{policy::Remotes::Certain::yes, {"https://example.org/x"}};
    command.program = policy::Program{.path = *base::AbsPath::parse("/usr/bin/" + command.argv[0]),
                                      .device = 1,
                                      .inode = 2,
                                      .sha256 = std::string(64, 'a'),
                                      .writable = policy::Program::Writable::no};
    Asked out{.action = command, .title = "run a command on your machine", .subject = command.argv[0]};
    out.session_scopes = policy::session_scopes(out.action);
    out.lasting_scopes = policy::lasting_scopes(out.action);
    return out;
  }
  static Asked connect(const std::string& host) {
    return {.action = policy::Connect{.host = host, .port = 443}, .title = "connect", .subject = host};
  }
  // The verdict lands in `verdicts` at the place that is returned.
  std::size_t ask(Asked asked) {
    std::size_t at = verdicts.size();
    verdicts.emplace_back();
    tickets.push_back(broker->ask(std::move(asked), [this, at](const Verdict& verdict) { verdicts[at] = verdict; }));
    turn();
    return at;
  }
  void turn() {
    loop.restart();
    loop.poll();
  }
  bool until(const std::function<bool()>& done, std::chrono::seconds limit = std::chrono::seconds(10)) {
    auto end = std::chrono::steady_clock::now() + limit;
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) return false;
      loop.restart();
      loop.run_one_for(std::chrono::milliseconds(20));
    }
    return true;
  }
  Broker::Taken answer(prompt::Answer::Kind kind, std::size_t scope = 0, std::string comment = {}) {
    const prompt::Question question = panel.shown.back();
    Broker::Taken taken = broker->answer(
        question.id, {.kind = kind, .scope = scope, .comment = std::move(comment), .digest = question.digest},
        "terminal");
    turn();
    return taken;
  }
  std::vector<store::Event> record() {
    std::vector<store::Event> rows;
    store::Store store(broker->settings().record, store::Store::Access::read);
    store.read({}, [&](const store::Row& row) {
      rows.push_back(row.event);
      return true;
    });
    return rows;
  }

  Folder folder;
  boost::asio::io_context loop;
  FakePanel panel;
  std::unique_ptr<Broker> broker;
  std::vector<std::optional<Verdict>> verdicts;
  std::vector<Decider::Ticket> tickets;
};

}  // namespace agentbox::broker::test
