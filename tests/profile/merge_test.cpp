// What a profile says together with all that it extends.

#include <catch2/catch.hpp>

#include "support.hpp"

using namespace agentbox;
using namespace agentbox::profile;
using test::errors;
using test::sound;

namespace {

template <class T>
std::vector<std::string> texts(const List<T>& list) {
  std::vector<std::string> result;
  for (const auto& item : list) {
    if constexpr (std::is_same_v<T, std::string>)
      result.push_back(item.value);
    else
      result.push_back(item.value.text);
  }
  return result;
}
using Texts = std::vector<std::string>;

// As test::source has them.
Texts placed(Texts files) {
  for (std::string& file : files) file.insert(0, "/usr/share/agentbox/");
  return files;
}

}  // namespace

TEST_CASE("sets add up, parents from left to right and the file last") {
  Profile profile = sound({{"profile", "extends = ['a', 'b']\n[files]\nread = ['~/3', '~/1']"},
                           {"a", "[files]\nread = ['~/1']"},
                           {"b", "[files]\nread = ['~/2']"}});
  CHECK(texts(profile.files_section.read) == Texts{"~/1", "~/2", "~/3"});
  CHECK(profile.files == placed({"a.toml", "b.toml", "profile.toml"}));
  CHECK(profile.name == "profile");
}

TEST_CASE("what is said again keeps its place and takes the last file's form") {
  Profile profile = sound({{"profile", "extends = ['a']\n[network]\nallow = [{ to = 'localhost:8080', as = 'llm' }]"},
                           {"a", "[network]\nallow = ['localhost:8080']"}});
  REQUIRE(profile.network.allow.size() == 1);
  CHECK(profile.network.allow[0].value.speech == Speech::llm);
  CHECK(profile.network.allow[0].origin.file == "profile.toml");
}

TEST_CASE("scalars and commands are replaced, tables merge by key") {
  Profile profile =
      sound({{"profile",
              "extends = ['a', 'b']\ncommand = ['x', 'y']\n[messages.email]\nsend = ['mine']\n[environment]\nset = { A "
              "= '3', C = '3' }"},
             {"a",
              "command = ['a', 'b', 'c']\n[network]\ndefault = 'ask'\n[messages.email]\nsend = ['theirs', "
              "'-x']\n[messages.signal]\nsend = ['s']\n[environment]\nset = { A = '1', B = '1' }"},
             {"b", "[network]\ndefault = 'allow'"}});
  CHECK(profile.command->value == Texts{"x", "y"});
  CHECK(profile.network.default_->value == Default::allow);
  REQUIRE(profile.messages.backends.size() == 2);
  CHECK(profile.messages.backends[0].name == "email");
  CHECK(profile.messages.backends[0].send->value == Texts{"mine"});
  REQUIRE(profile.environment.set.size() == 3);
  CHECK(profile.environment.set[0].second.value == "3");
  CHECK(profile.environment.set[1].first == "B");
}

TEST_CASE("a diamond's common parent counts once, before both") {
  Profile profile = sound({{"profile", "extends = ['a', 'b']"},
                           {"a", "extends = ['base']\n[limits]\nprocesses = 2"},
                           {"b", "extends = ['base']\n[files]\nread = ['~/b']"},
                           {"base", "[limits]\nprocesses = 1\n[files]\nread = ['~/base']"}});
  CHECK(profile.files == placed({"base.toml", "a.toml", "b.toml", "profile.toml"}));
  CHECK(profile.limits.processes->value == 2);  // b inherits 1 from base, but did not say it
  CHECK(texts(profile.files_section.read) == Texts{"~/base", "~/b"});
}

TEST_CASE("!x takes out what a parent says, in whatever spelling") {
  Profile profile = sound({{"profile",
                            "extends = ['a']\n[network]\ndeny = ['!API.example.org.:443']\nallow = "
                            "['api.example.org:443']\n[workspace]\nhide = ['!**/.env', '!secrets/']"},
                           {"a",
                            "[network]\ndeny = ['api.example.org:443', 'x.example.org']\n[workspace]\nhide = ['.env', "
                            "'secrets/', 'other']"}});
  CHECK(texts(profile.network.deny) == Texts{"x.example.org"});
  CHECK(texts(profile.network.allow) == Texts{"api.example.org:443"});
  CHECK(texts(profile.workspace.hide) == Texts{"other"});
}

TEST_CASE("!x is never a glob's negation, and concerns its own list alone") {
  CHECK(errors({{"profile", "extends = ['a']\n[workspace]\nhide = ['!.env.example']"},
                {"a", "[workspace]\nhide = ['.env.*']"}})
            .find("no parent has '.env.example'") != std::string::npos);
  CHECK(errors({{"profile", "extends = ['a']\n[workspace]\nprotect = ['!x']"}, {"a", "[workspace]\nhide = ['x']"}})
            .find("no parent has 'x' in this list") != std::string::npos);
  CHECK(errors("[workspace]\nhide = ['x', '!x']").find("no parent has 'x'") != std::string::npos);
}

TEST_CASE("\\!x is a name that begins with '!'") {
  CHECK(texts(sound("[workspace]\nhide = ['\\!x']").workspace.hide) == Texts{"!x"});
  CHECK(texts(sound({{"profile", "extends = ['a']\n[workspace]\nhide = ['!!x']"},
                     {"a", "[workspace]\nhide = ['\\!x', 'y']"}})
                  .workspace.hide) == Texts{"y"});
}

TEST_CASE("!x takes out what the file's own parents say, and nothing of a stranger's") {
  test::Files files{{"profile", "extends = ['a', 'b']"},
                    {"a", "[files]\nread = ['~/x']"},
                    {"b", "extends = ['c']\n[files]\nread = ['!~/x']"},
                    {"c", "[files]\nread = ['~/x', '~/y']"}};
  CHECK(texts(sound(files).files_section.read) == Texts{"~/x", "~/y"});
  files["profile"] = "extends = ['b']";
  CHECK(texts(sound(files).files_section.read) == Texts{"~/y"});
  files["b"] = "[files]\nread = ['!~/x']";
  files["profile"] = "extends = ['a', 'b']";
  CHECK(errors(files).find("b.toml:2:9: error: no parent has '~/x'") == 0);
}

TEST_CASE("two branches may take the same thing out") {
  Profile profile = sound({{"profile", "extends = ['a', 'b']"},
                           {"a", "extends = ['c']\n[files]\nread = ['!~/x']"},
                           {"b", "extends = ['c']\n[files]\nread = ['!~/x']"},
                           {"c", "[files]\nread = ['~/x']"}});
  CHECK(profile.files_section.read.empty());
}

TEST_CASE("a file that extends its own name means the next folder's") {
  Profile profile =
      sound({{"pi", "extends = ['pi']\n[files]\nread = ['~/mine']"}, {"pi@1", "[files]\nread = ['~/shipped']"}}, "pi");
  CHECK(texts(profile.files_section.read) == Texts{"~/shipped", "~/mine"});
}

TEST_CASE("a rule of another file is overridden, not shadowed") {
  CHECK(errors({{"profile", "extends = ['a']\n[network]\ndeny = ['*.example.org']"},
                {"a", "[network]\nallow = ['api.example.org']"}})
            .empty());
}

TEST_CASE("rules of one file are shadowed only where that is certain") {
  CHECK(errors("[network]\nallow = ['example.org']\ndeny = ['*.example.org']").empty());               // *.d is not d
  CHECK(errors("[network]\nallow = ['example.org']\ndeny = ['example.org:443']").empty());             // 80 is left
  CHECK(errors("[network]\nallow = ['localhost:*', { to = 'localhost:8080', as = 'llm' }]").empty());  // says more
  CHECK(errors("[network]\nallow = ['localhost:80']\ndeny = ['127.0.0.0/8:*']").empty());              // ::1 is left
  CHECK(errors("[commands]\nallow = ['git push -f']\ndeny = ['git push **']").empty());  // ** leaves out -f
  CHECK(errors("[commands]\nallow = ['git *']\ndeny = ['git push']").empty());
  CHECK(errors("[files]\nread = ['~/a/b']\nwrite = ['~/a']").empty());  // the longer path wins
  CHECK(errors("[files]\nread = ['~/a']\nhide = ['~/a/b']").empty());
  CHECK(errors("[workspace]\nprotect = ['a']\nhide = ['a/']").empty());                     // a may be a file
  CHECK(errors("[workspace]\nprotect = ['${gitdirs}/hooks/']\nhide = ['hooks']").empty());  // may lie outside
  CHECK(errors("[workspace]\nprotect = ['ab/c']\nhide = ['a']").empty());
  CHECK_FALSE(errors("[workspace]\nprotect = ['x/a/c']\nhide = ['a']").empty());
  CHECK_FALSE(errors("[commands]\nallow = ['git push -f']\ndeny = ['git push -f']").empty());
  CHECK_FALSE(errors("[commands]\nallow = ['git push x y']\ndeny = ['git push * **']").empty());
  CHECK_FALSE(errors("[network]\nallow = ['[fd00::1]:22']\ndeny = ['[fd00::/8]:*']").empty());
}

TEST_CASE("too many files, a list too long and endless errors have an end") {
  test::Files many;
  std::string names;
  for (int i = 0; i < 70; ++i) {
    many["p" + std::to_string(i)] = "";
    names += "'p" + std::to_string(i) + "', ";
  }
  many["profile"] = "extends = [" + names + "]";
  CHECK(errors(many) == "profile.toml: error: this profile needs more than 64 files\n");
  std::string items;
  for (int i = 0; i < 3000; ++i) items += "'~/" + std::to_string(i) + "',";
  CHECK(errors("[files]\nread = [" + items + "]").find("a list holds at most 2048 items") != std::string::npos);
  std::string wrong;
  for (int i = 0; i < 500; ++i) wrong += "'x" + std::to_string(i) + "',";
  std::string shown = errors("[files]\nread = [" + wrong + "]");
  CHECK(shown.find("and 400 more errors") != std::string::npos);
  CHECK(shown.size() < 100000);
}

TEST_CASE("the room may not reach the model that reviews it, however the two are named") {
  const auto problem = [](const std::string& network, const std::string& reviewer) {
    const std::string shown = test::errors(
        test::Files{{"profile", "[network]\n" + network + "\n[approval]\nreviewer_remote = true\nreviewer = '" +
                                    reviewer + "'\n"}});
    if (shown.empty()) return std::string("none");
    return shown.find("the room could change the model that reviews it") != std::string::npos ? "changes" : shown;
  };
  const std::string far = "https://10.1.2.3/v1", name = "https://models.example.org/v1", own = "http://127.0.0.1:8080";
  CHECK(problem("allow = ['10.0.0.0/8']", far) == "changes");
  CHECK(problem("ask = ['10.1.2.0/24:443']", far) == "changes");
  CHECK(problem("allow = ['10.0.0.0/8:8443']", far) == "none");
  CHECK(problem("allow = ['10.2.0.0/16']", far) == "none");
  CHECK(problem("allow = [{ to = '10.0.0.0/8', as = 'llm' }]", far) == "none");
  CHECK(problem("allow = ['*.example.org']", name) == "changes");
  CHECK(problem("allow = ['*.models.example.org']", name) == "none");
  CHECK(problem("allow = ['*.example.org:8443']", "https://models.example.org:8443") == "changes");
  // By default every other machine: but for what is denied, or let through as a model's only.
  for (const std::string& remote : {far, name}) CHECK(problem("default = 'allow'", remote) == "changes");
  CHECK(problem("default = 'ask'", far) == "none");
  CHECK(problem("default = 'allow'\ndeny = ['10.0.0.0/8:*']", far) == "none");
  CHECK(problem("default = 'allow'\ndeny = ['10.0.0.0/8:80']", far) == "changes");
  CHECK(problem("default = 'allow'\nallow = [{ to = 'models.example.org', as = 'llm' }]", name) == "none");
  CHECK(problem("default = 'allow'", own) == "none");
  // On this machine: by every name that it has.
  for (const char* rule : {"localhost:8080", "127.0.0.1:8080", "[::1]:*", "127.0.0.0/8:8080", "0.0.0.0/0:8080"}) {
    INFO(rule);
    CHECK(problem("allow = ['" + std::string(rule) + "']", own) != "none");
  }
  CHECK(problem("allow = ['192.0.2.1:8080']", own) == "none");
  CHECK(problem("allow = ['localhost:8081']", own) == "none");
}

TEST_CASE("merge takes sources that are all at hand") {
  auto profile = merge({test::source("x", "extends = ['a']"), test::source("a", "description = 'd'")}, {{1}, {}});
  REQUIRE(profile);
  CHECK(profile->description->value == "d");
  CHECK(parents(test::source("x", "extends = ['a', './b.toml']")).value().size() == 2);
}

TEST_CASE("a way to send is a program or a server of this machine, and placeholders are whole arguments") {
  auto problem = [](const std::string& text) {
    return test::errors(test::Files{{"profile", "[messages.home]\n" + text}});
  };
  CHECK(problem("post = 'http://127.0.0.1:6000/send'").empty());
  CHECK(problem("post = 'http://[::1]:6000/'").empty());
  CHECK(problem("send = ['x', '{to}', '{subject}']\nformat = 'text'").empty());
  const Profile profile = test::sound("[messages.home]\npost = 'http://LOCALHOST:6000'");
  CHECK(profile.messages.backends.at(0).post->value ==
        PostAddress{.text = "http://localhost:6000/", .host = "127.0.0.1", .port = 6000, .path = "/"});
  for (const char* text :
       {"post = 'https://127.0.0.1:6000/'", "post = 'http://example.org:80/'", "post = 'http://10.0.0.1:80/'",
        "post = 'http://127.0.0.1/'", "post = 'http://127.0.0.2:1/'", "post = 'http://127.0.0.1:1/a b'",
        "post = 'http://127.0.0.1:1/#x'", "post = 1", "format = 'html'\nsend = ['x']", "send = ['x', '--to={to}']",
        "send = ['{to}']", "send = ['x']\npost = 'http://127.0.0.1:1/'"}) {
    INFO(text);
    CHECK_FALSE(problem(text).empty());
  }
  // A file's own way replaces its parents'.
  test::Files files{{"profile", "extends = ['base']\n[messages.home]\npost = 'http://127.0.0.1:1/'"},
                    {"base", "[messages.home]\nsend = ['x']"}};
  CHECK(test::errors(files).empty());
}
