// `.agentbox.toml`: whatever it holds, the room is never wider with it than without.

#include <catch2/catch.hpp>

#include "support.hpp"

using namespace agentbox;
using namespace agentbox::profile;
using test::sound;

namespace {

base::Result<Profile> with(std::string_view profile, std::string_view workspace) {
  return tighten(sound(profile), test::source(".agentbox", workspace));
}
std::string refusal(std::string_view profile, std::string_view workspace) {
  auto result = with(profile, workspace);
  return result ? "" : result.error().front().message;
}

}  // namespace

TEST_CASE("an empty workspace file changes nothing but the list of files") {
  Profile before = sound("[network]\nallow = ['example.org']");
  Profile after = tighten(before, test::source(".agentbox", "")).value();
  CHECK(after.files == std::vector<std::string>{"/usr/share/agentbox/profile.toml", ".agentbox.toml"});
  CHECK(after.network.allow == before.network.allow);
}

TEST_CASE("what tightens is added") {
  Profile after = with("[network]\nallow = ['*.example.org']\ndefault = 'ask'",
                       "[network]\nask = ['api.example.org']\ndeny = ['x.example.org']\ndefault = "
                       "'deny'\n[limits]\ntime = '1h'\n[workspace]\nmode = 'read-only'\nhide = ['s/']")
                      .value();
  CHECK(after.network.ask.size() == 1);
  CHECK(after.network.deny.size() == 1);
  CHECK(after.network.default_->value == Default::deny);
  CHECK(after.limits.time->value == std::chrono::hours(1));
  CHECK(after.workspace.mode->value == WorkspaceMode::read_only);
  CHECK(after.workspace.hide[0].origin.file == ".agentbox.toml");
}

TEST_CASE("a question keeps the narrowness of the grant that it covers") {
  Profile after =
      with("[network]\nallow = [{ to = 'localhost:8080', as = 'llm' }]", "[network]\nask = ['localhost:8080']").value();
  CHECK(after.network.ask[0].value.speech == Speech::llm);
  CHECK(refusal("[network]\nallow = ['example.org']",
                "[network]\nask = [{ to = 'example.org', via = 'http://evil.example.net:1' }]") ==
        "the way that a connection takes is for a profile to choose");
}

TEST_CASE("a question for what is not allowed would widen the profile") {
  CHECK(refusal("[network]\nallow = ['api.example.org']", "[network]\nask = ['*.example.org']")
            .find("so asking for it would widen") != std::string::npos);
  CHECK(refusal("[network]\nallow = ['example.org:443']", "[network]\nask = ['example.org']")
            .find("so asking for it would widen") != std::string::npos);
  CHECK(refusal("[commands]\nallow = ['git push origin']", "[commands]\nask = ['git push **']")
            .find("so asking for it would widen") != std::string::npos);
  CHECK(refusal("[network]\ndefault = 'ask'", "[network]\nask = ['example.org']").empty());
  CHECK(refusal("", "[messages]\nask = ['a@example.org']").empty());  // messages ask by default
  CHECK(refusal("[messages]\ndefault = 'deny'", "[messages]\nask = ['a@example.org']")
            .find("so asking for it would widen") != std::string::npos);
}

TEST_CASE("a file may be asked for only where it can be written already") {
  constexpr const char* profile = "[files]\nread = ['~/r', '~/w/ro']\nwrite = ['~/w']";
  CHECK(refusal(profile, "[files]\nask = ['~/w/x']").empty());
  CHECK(refusal(profile, "[files]\nask = ['${workspace}/x']").empty());
  for (const char* path : {"~/r", "~/w/ro", "~/w/ro/x", "~/other", "/home", "~/wx"}) {
    INFO(path);
    CHECK(refusal(profile, std::string("[files]\nask = ['") + path + "']").find("so asking for it would widen") !=
          std::string::npos);
  }
  CHECK(refusal("[workspace]\nmode = 'read-only'", "[files]\nask = ['${workspace}/x']")
            .find("so asking for it would widen") != std::string::npos);
}

TEST_CASE("limits go down only, also against what holds by default") {
  CHECK(refusal("", "[limits]\nprocesses = 512").empty());
  CHECK(refusal("", "[limits]\nprocesses = 513") == "this limit is larger than the profile's");
  CHECK(refusal("[limits]\nprocesses = 1000", "[limits]\nprocesses = 1000").empty());
  CHECK(refusal("", "[limits]\nhome = '2G'") == "this limit is larger than the profile's");
  CHECK(refusal("", "[limits]\nmemory = '2G'").empty());
  CHECK(refusal("[spending]\nlimit = '10 USD/day'", "[spending]\nlimit = '9 USD/day'").empty());
  CHECK_FALSE(refusal("[spending]\nlimit = '10 USD/day'", "[spending]\nlimit = '9 EUR/day'").empty());
  CHECK_FALSE(refusal("[spending]\nlimit = '10 USD/day'", "[spending]\nlimit = '9 USD/hour'").empty());
  CHECK_FALSE(refusal("", "[spending]\nlimit = '1 USD/day'").empty());
}

TEST_CASE("each key that may only be set by a profile is refused, with its line") {
  for (const KeyDoc& key : schema()) {
    if (!key.tightening.empty()) continue;
    INFO(key.section << " " << key.key);
    std::string message = refusal("", key.example);
    CHECK(message.find("a workspace's own file may not set '" + std::string(key.key) + "'") == 0);
  }
}

TEST_CASE("nothing of the profile can be taken out") {
  CHECK(refusal("[workspace]\nhide = ['x']", "[workspace]\nhide = ['!x']") ==
        "a workspace's own file may not take 'x' out of the profile");
}
