#include <catch2/catch.hpp>

#include "draft.hpp"
#include "world.hpp"

using agentbox::policy::inert_git_config;
using agentbox::policy::InertConfig;
using agentbox::policy::Note;
using namespace agentbox;

TEST_CASE("identity, default branch and plain aliases pass") {
  CHECK(inert_git_config({{"user.name", "U Ser"},
                          {"user.email", "u@example.org"},
                          {"init.defaultbranch", "main"},
                          {"alias.st", "status --short"},
                          {"color.branch.current", "yellow bold"}})
            .text ==
        "[user]\n\tname = \"U Ser\"\n\temail = \"u@example.org\"\n[init]\n\tdefaultbranch = \"main\"\n"
        "[alias]\n\tst = \"status --short\"\n[color \"branch\"]\n\tcurrent = \"yellow bold\"\n");
}

TEST_CASE("what runs a program, names a file or a host does not pass") {
  for (auto [key, value] : std::initializer_list<std::pair<std::string, std::string>>{
           {"alias.x", "!sh -c id"},
           {"alias.x", " !id"},
           {"alias.x", "-c core.pager=id log"},
           {"alias.x", "rebase --exec id"},
           {"alias.x", "grep --open-files-in-pager=id"},
           {"core.pager", "id"},
           {"core.editor", "id"},
           {"core.hookspath", "/x"},
           {"core.fsmonitor", "id"},
           {"core.sshcommand", "id"},
           {"core.excludesfile", "~/.ignore"},
           {"include.path", "/x"},
           {"includeif.gitdir:/x.path", "/x"},
           {"credential.helper", "store"},
           {"url.https://token@h/.insteadof", "https://h/"},
           {"filter.x.clean", "id"},
           {"diff.x.command", "id"},
           {"diff.external", "id"},
           {"merge.x.driver", "id"},
           {"gpg.program", "id"},
           {"user.signingkey", "ABC"},
           {"pager.log", "id"},
           {"commit.template", "/x"},
           {"color.ui\nx", "auto"},
           {"user.name]\n[core", "x"},
           {"user", "x"},
       }) {
    CAPTURE(key, value);
    InertConfig config = inert_git_config({{key, value}});
    CHECK(config.text.empty());
    CHECK(config.left_out == 1);
  }
}

TEST_CASE("a value can't leave its line") {
  CHECK(inert_git_config({{"user.name", "a\"b\\c\nd\te # ;"}}).text ==
        "[user]\n\tname = \"a\\\"b\\\\c\\nd\\te # ;\"\n");
  CHECK(inert_git_config({{"user.name", "a\x01"}}).text.empty());
  CHECK(inert_git_config({{"color.a\"]\n[core.x", "y"}}).text.empty());
}

TEST_CASE("signing is off, with one line that says so") {
  test::World world;
  world.profile.git.config = {profile::GitConfig::inert, world.origin("config = \"inert\"")};
  world.facts.git_config = {{"user.name", "u"}, {"commit.gpgsign", "true"}, {"user.signingkey", "A"}};
  policy::Policy policy = world.policy();
  auto file = std::ranges::find(policy.room_files, test::path("/etc/gitconfig"), &policy::RoomFile::target);
  REQUIRE(file != policy.room_files.end());
  CHECK(file->content ==
        "[user]\n\tname = \"u\"\n[commit]\n\tgpgsign = \"false\"\n[tag]\n\tgpgsign = \"false\"\n"
        "\tforcesignannotated = \"false\"\n[push]\n\tgpgsign = \"false\"\n");
  CHECK(test::notes(policy, Note::Kind::changed) ==
        test::Lines{"git signs nothing in the room: your keys are not in it",
                    "2 entries of your git configuration are left out: they run programs or name files"});
}

TEST_CASE("an owner who does not sign is not told about signing") {
  test::World world;
  world.profile.git.config = {profile::GitConfig::inert, world.origin("config = \"inert\"")};
  world.facts.git_config = {{"commit.gpgsign", "false"}, {"user.name", "u"}};
  policy::Policy policy = world.policy();
  for (const auto& text : test::notes(policy, Note::Kind::changed)) CHECK(text.find("signs") == std::string::npos);
}
