// The schema's own promises, and the profiles that are shipped.

#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include <catch2/catch.hpp>

#include "support.hpp"

using namespace agentbox;
using namespace agentbox::profile;

TEST_CASE("every key has an example that parses, and is the key's own") {
  for (const KeyDoc& key : schema()) {
    INFO(key.section << " " << key.key);
    test::Files files{{"profile", std::string(key.example)}, {"base", ""}, {"node", ""}};
    CHECK(test::errors(files) == "");
    CHECK(key.example.find(std::string(key.key) + " = ") != std::string_view::npos);
    if (!key.section.empty() && !key.section.ends_with("NAME"))
      CHECK(key.example.starts_with("[" + std::string(key.section) + "]\n"));
  }
}

TEST_CASE("every key is documented, once, in a section that is documented") {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  std::set<std::string_view> known;
  for (const SectionDoc& section : sections()) {
    CHECK(known.insert(section.name).second);
    CHECK(section.text.ends_with('.'));
  }
  for (const KeyDoc& key : schema()) {
    INFO(key.section << " " << key.key);
    CHECK(seen.insert({key.section, key.key}).second);
    CHECK(known.contains(key.section));
    CHECK(key.text.ends_with('.'));
    CHECK_FALSE(key.type.empty());
    CHECK_FALSE(key.merging.empty());
  }
}

TEST_CASE("every default parses, and is a value") {
  const Profile& fallback = defaults();
  CHECK(fallback.network.default_->value == Default::deny);
  CHECK(fallback.commands.default_->value == Default::deny);
  CHECK(fallback.messages.default_->value == Default::ask);
  CHECK(fallback.workspace.mode->value == WorkspaceMode::direct);
  CHECK(fallback.limits.processes->value == 512);
  CHECK(fallback.limits.open_files->value == 4096);
  CHECK(fallback.limits.file_size->value == 20ULL << 30);
  CHECK(fallback.limits.home->value == 1ULL << 30);
  CHECK(fallback.limits.tmp->value == 2ULL << 30);
  CHECK(fallback.limits.shm->value == 256ULL << 20);
  CHECK(fallback.approval.timeout->value == std::chrono::minutes(2));
  CHECK_FALSE(fallback.limits.time);
  CHECK_FALSE(fallback.spending.limit);
}

TEST_CASE("an empty profile says nothing") {
  Profile profile = test::sound("");
  CHECK(profile.files == std::vector<std::string>{"/usr/share/agentbox/profile.toml"});
  CHECK_FALSE(profile.network.default_);
  CHECK(profile.network.allow.empty());
}

namespace {
test::Files shipped() {
  const char* folder = std::getenv("AGENTBOX_SHIPPED");
  REQUIRE(folder != nullptr);
  test::Files files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".toml") files[entry.path().stem().string()] = test::read_file(entry.path());
  }
  return files;
}
}  // namespace

TEST_CASE("every shipped profile is sound, described, and says what it exposes") {
  test::Files files = shipped();
  CHECK(files.size() >= 17);
  for (const auto& [name, toml] : files) {
    INFO(name);
    CHECK(test::errors(files, name) == "");
    CHECK(test::sound(files, name).description->origin.file == name + ".toml");
    CHECK(toml.starts_with("# " + name + ": "));
    CHECK(toml.find("What it still exposes") != std::string::npos);
    for (std::size_t begin = 0; begin < toml.size();) {
      std::size_t end = toml.find('\n', begin);
      CHECK(end - begin <= 120);
      begin = end + 1;
    }
  }
}

TEST_CASE("default and shell grant the workspace and nothing else") {
  test::Files files = shipped();
  for (const char* name : {"default", "shell"}) {
    Profile profile = test::sound(files, name);
    CHECK(profile.files_section.read.empty());
    CHECK(profile.files_section.write.empty());
    CHECK(profile.network.allow.empty());
    CHECK(profile.network.default_->value == Default::ask);
    CHECK(profile.commands.allow.empty());
    CHECK_FALSE(profile.workspace.protect.empty());
    CHECK_FALSE(profile.workspace.hold.empty());
    CHECK_FALSE(profile.workspace.hide.empty());
  }
  CHECK_FALSE(test::sound(files, "default").command);
  CHECK(test::sound(files, "shell").command->value == std::vector<std::string>{"${SHELL}"});
}

TEST_CASE("pi writes its sessions alone, and reaches one port of this machine") {
  Profile pi = test::sound(shipped(), "pi");
  REQUIRE(pi.files_section.write.size() == 1);
  CHECK(pi.files_section.write[0].value == PathText{.text = "~/.pi/agent/sessions", .directory = true});
  REQUIRE(pi.network.allow.size() == 1);
  CHECK(pi.network.allow[0].value.text == "localhost:8080");
  for (const auto& path : pi.files_section.read) {
    CHECK(path.value.text != "~/.pi");
    CHECK(path.value.text != "~/.pi/agent");
    CHECK(path.value.text.find("auth.json") == std::string::npos);
    CHECK(path.value.text.find(".npmrc") == std::string::npos);
  }
  CHECK(pi.git.config->value == GitConfig::inert);
}

namespace {
// An agent's own key to its own model, where it works with nothing less.
const std::map<std::string, std::set<std::string>> own_keys{
    {"claude", {"ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"}},
    {"codex", {"CODEX_API_KEY"}},
    {"gemini", {"GEMINI_API_KEY"}},
};
}  // namespace

TEST_CASE("no shipped profile passes a variable that may hold a secret or a way out") {
  test::Files files = shipped();
  for (const auto& [name, toml] : files) {
    auto own = own_keys.find(name);
    for (const auto& item : test::sound(files, name).environment.pass) {
      if (own != own_keys.end() && own->second.contains(item.value)) continue;
      for (const char* word : {"TOKEN", "KEY", "SECRET", "PASS", "AUTH_SOCK", "DBUS", "RUNTIME", "DISPLAY", "PRELOAD",
                               "NODE_OPTIONS", "PYTHONPATH"}) {
        INFO(name << " " << item.value);
        CHECK(item.value.find(word) == std::string::npos);
      }
    }
  }
}

TEST_CASE("a shipped profile grants the hosts that its program can't work without, and no others") {
  const std::map<std::string, std::set<std::string>> expected{
      {"claude", {"api.anthropic.com:443"}},
      {"codex", {"api.openai.com:443", "chatgpt.com:443"}},
      {"gemini", {"generativelanguage.googleapis.com:443"}},
      {"openclaw", {"localhost:8080"}},
      {"pi", {"localhost:8080"}},
  };
  test::Files files = shipped();
  for (const auto& [name, toml] : files) {
    std::set<std::string> granted;
    for (const auto& host : test::sound(files, name).network.allow) granted.insert(host.value.text);
    INFO(name);
    auto wanted = expected.find(name);
    CHECK(granted == (wanted == expected.end() ? std::set<std::string>{} : wanted->second));
  }
}

TEST_CASE("an agent's profile lets it write at most its sessions, and shows no login but the one it needs") {
  test::Files files = shipped();
  const std::map<std::string, std::string> sessions{{"codex", "~/.codex/sessions"}, {"pi", "~/.pi/agent/sessions"}};
  for (const char* name : {"claude", "codex", "gemini", "openclaw", "pi"}) {
    INFO(name);
    Profile agent = test::sound(files, name);
    CHECK(agent.command);
    CHECK_FALSE(agent.workspace.protect.empty());
    std::set<std::string> written;
    for (const auto& path : agent.files_section.write) written.insert(path.value.text);
    auto wanted = sessions.find(name);
    CHECK(written == (wanted == sessions.end() ? std::set<std::string>{} : std::set<std::string>{wanted->second}));
    for (const auto& path : agent.files_section.read) {
      const std::string& text = path.value.text;
      INFO(text);
      for (const char* whole : {"~", "~/.claude", "~/.codex", "~/.gemini", "~/.openclaw", "~/.openclaw/state"}) {
        CHECK(text != whole);
      }
      for (const char* login : {"credentials", "oauth", ".env", "secrets", "accounts"}) {
        CHECK(text.find(login) == std::string::npos);
      }
      CHECK((text.find("auth.json") == std::string::npos || text == "~/.codex/auth.json"));
    }
    CHECK(agent.commands.allow.empty());
    CHECK(agent.commands.ask.empty());
  }
}

TEST_CASE("a model server has the GPU and one port, and reaches nothing") {
  test::Files files = shipped();
  for (const char* name : {"llama-server", "ollama"}) {
    INFO(name);
    Profile server = test::sound(files, name);
    CHECK(server.network.default_->value == Default::deny);
    CHECK(server.network.allow.empty());
    CHECK(server.network.publish.size() == 1);
    CHECK(server.devices.gpu->value);
    CHECK(server.files_section.write.empty());
    CHECK(server.workspace.mode->value == WorkspaceMode::read_only);
  }
}

TEST_CASE("nix grants the store, never the daemon, and asks for what it would build outside") {
  Profile nix = test::sound(shipped(), "nix");
  for (const auto& path : nix.files_section.read) {
    for (const char* reach : {"/", "/nix", "/nix/var", "/nix/var/nix", "/nix/var/nix/daemon-socket"}) {
      CHECK(path.value.text != reach);
    }
  }
  CHECK(nix.commands.allow.empty());
  CHECK(nix.commands.ask.size() == 2);
}
