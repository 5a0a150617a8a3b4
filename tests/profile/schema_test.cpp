// The schema's own promises, and the profiles that are shipped.

#include <cstdlib>
#include <filesystem>
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
  CHECK(profile.files == std::vector<std::string>{"profile.toml"});
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
  CHECK(files.size() >= 7);
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

TEST_CASE("no shipped profile passes a variable that may hold a secret or a way out") {
  test::Files files = shipped();
  for (const auto& [name, toml] : files) {
    for (const auto& item : test::sound(files, name).environment.pass) {
      for (const char* word : {"TOKEN", "KEY", "SECRET", "PASS", "AUTH_SOCK", "DBUS", "RUNTIME", "DISPLAY", "PRELOAD",
                               "NODE_OPTIONS", "PYTHONPATH"}) {
        INFO(name << " " << item.value);
        CHECK(item.value.find(word) == std::string::npos);
      }
    }
  }
}
