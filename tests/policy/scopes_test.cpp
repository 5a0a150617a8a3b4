// What may be remembered, and what is remembered of it later.

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "actions.hpp"

using namespace agentbox;
using namespace agentbox::policy;
using test::Argv;
using test::command;
using test::resolved;

namespace {

std::vector<std::string> shown(const std::vector<Scope>& scopes) {
  std::vector<std::string> texts;
  for (const Scope& scope : scopes) texts.push_back(scope.shown);
  return texts;
}
using Texts = std::vector<std::string>;
// git as the gate knows it: with the addresses that it would talk to.
Command git(Argv argv, Argv addresses = {"https://example.org/x"}, std::string_view directory = "/home/u/work") {
  argv.insert(argv.begin(), "git");
  Command made = command(std::move(argv), directory);
  made.remotes = Remotes{Remotes::Certain::yes, std::move(addresses)};
  return made;
}
Scope pattern_scope(std::string rule) {
  return {Scope::Breadth::pattern, std::move(rule), ""};
}

}  // namespace

TEST_CASE("what may be remembered goes by what is known of the program") {
  struct Case {
    Argv argv;
    Texts session, always;
  };
  const std::vector<Case> cases{
      {{"sh", "-c", "x"}, {}, {}},
      {{"env", "git", "push"}, {}, {}},
      {{"git", "push", "--receive-pack=x"}, {}, {}},
      {{"git", "-c", "core.pager=x", "push"}, {}, {}},
      {{"tar", "--to-command", "x"}, {}, {}},
      {{"xdg-open", "x.desktop"}, {}, {}},
      {{"make"}, {"make in /home/u/work"}, {}},
      {{"ls", "a b"}, {"ls 'a b' in /home/u/work"}, {}},
      // Where nobody knows the address, nothing.
      {{"git", "push", "origin", "main"}, {}, {}},
      {{"git", "status"}, {"git status in /home/u/work"}, {}},
      {{"xdg-open", "https://example.org/a?b"},
       {"xdg-open 'https://example.org/a?b' in /home/u/work", "xdg-open https://example.org/* in any directory"},
       {"xdg-open 'https://example.org/a?b' in /home/u/work", "xdg-open https://example.org/* in any directory"}},
      {{"notify-send", "done"},
       {"notify-send done in /home/u/work", "notify-send ** in any directory"},
       {"notify-send done in /home/u/work", "notify-send ** in any directory"}},
      {{}, {}, {}},
  };
  for (const Case& one : cases) {
    INFO(base::quote(one.argv));
    CHECK(shown(session_scopes(command(one.argv))) == one.session);
    CHECK(shown(lasting_scopes(command(one.argv))) == one.always);
  }
}

TEST_CASE("what may be remembered of git that talks to others says to whom, and in which directory") {
  const std::string end = " in /home/u/work (https://example.org/x)";
  CHECK(shown(session_scopes(git({"push", "-f"}))) == Texts{"git push -f" + end});
  CHECK(lasting_scopes(git({"push", "-f"})).empty());
  CHECK(shown(lasting_scopes(git({"push", "origin", "main"}))) ==
        Texts{"git push origin main" + end, "git push origin *" + end});
  CHECK(shown(lasting_scopes(git({"push"}))) == Texts{"git push" + end});
  CHECK(shown(lasting_scopes(git({"pull", "-q", "origin", "x"}))) ==
        Texts{"git pull -q origin x" + end, "git pull -q origin *" + end});
  CHECK(shown(lasting_scopes(git({"push"}, {"https://a.example/x", "git@b.example:x"}))) ==
        Texts{"git push in /home/u/work (https://a.example/x, git@b.example:x)"});
  Command unknown = git({"push", "origin", "main"});
  unknown.remotes = Remotes{};
  CHECK(session_scopes(unknown).empty());
  CHECK(lasting_scopes(unknown).empty());
  CHECK(summary(unknown) == "git push origin main (address unknown)");
  CHECK(canonical(unknown) != canonical(command({"git", "push", "origin", "main"})));
}

TEST_CASE("a yes to git holds for the same addresses and in the same directory only") {
  const Command asked = git({"push", "origin", "main"});
  Command unknown = asked;
  unknown.remotes = Remotes{};
  for (const Scope& scope : lasting_scopes(asked)) {
    INFO(scope.shown);
    CHECK(covers(scope, asked));
    CHECK_FALSE(covers(scope, git({"push", "origin", "main"}, {"http://evil.example/x"})));
    CHECK_FALSE(covers(scope, git({"push", "origin", "main"}, {"https://example.org/x", "http://evil.example/x"})));
    CHECK_FALSE(covers(scope, git({"push", "origin", "main"}, {"https://example.org/x"}, "/home/u/work/r")));
    CHECK_FALSE(covers(scope, unknown));
    CHECK_FALSE(covers(scope, command({"git", "push", "origin", "main"})));
  }
  // As earlier versions remembered it.
  CHECK_FALSE(covers(pattern_scope("git push origin *"), asked));
  CHECK_FALSE(covers(exact_scope(command({"git", "push", "origin", "main"})), asked));
}

TEST_CASE("every scope that is offered covers what it was offered for") {
  const std::vector<Action> actions{git({"push", "origin", "main"}),
                                    command({"notify-send", "x", "it's"}),
                                    command({"xdg-open", "https://example.org/x"}),
                                    command({"ls", "-l", "\xff"}),
                                    Connect{"example.org", 443},
                                    Connect{"10.0.0.1", 22},
                                    Connect{"::1", 80},
                                    Open{}};
  for (const Action& action : actions) {
    INFO(summary(action));
    CHECK_FALSE(session_scopes(action).empty());
    for (const Scope& scope : session_scopes(action)) CHECK(covers(scope, action));
    for (const Scope& scope : lasting_scopes(action)) CHECK(covers(scope, action));
  }
}

TEST_CASE("an exact scope covers the same thing and nothing else") {
  Command push = command({"git", "push", "origin", "main"});
  Scope scope = exact_scope(push);
  CHECK(covers(scope, push));
  CHECK_FALSE(covers(scope, command({"git", "push", "origin", "other"})));
  CHECK_FALSE(covers(scope, command({"git", "push", "origin main"})));
  CHECK_FALSE(covers(scope, command({"git", "push", "origin", "main"}, "/home/u/other")));
  CHECK_FALSE(covers(scope, Connect{"git", 1}));
  push.terminal = Command::Terminal::pty;
  CHECK(covers(scope, push));
}

TEST_CASE("a no can be remembered of anything") {
  for (const Action& action :
       {Action(command({"sh", "-c", "x"})), Action(Change{}), Action(Message{}), Action(Payment{})}) {
    CHECK(covers(exact_scope(action), action));
    CHECK(exact_scope(action).breadth == Scope::Breadth::exact);
  }
}

TEST_CASE("a pattern covers only what its grammar calls harmless") {
  Scope scope = lasting_scopes(git({"push", "origin", "main"})).at(1);
  CHECK(covers(scope, git({"push", "origin", "x"})));
  for (const Argv& argv : std::vector<Argv>{{"git", "push", "origin", "+x"},
                                            {"git", "push", "origin", ":x"},
                                            {"git", "push", "origin", "a:b"},
                                            {"git", "push", "origin", "-f"},
                                            {"git", "push", "origin", "a", "b"},
                                            {"/usr/bin/git", "push", "origin", "x"},
                                            {"git", "push", "evil", "x"}}) {
    INFO(base::quote(argv));
    Command other = command(argv);
    other.remotes = git({}).remotes;
    CHECK_FALSE(covers(scope, other));
  }
  CHECK_FALSE(covers(pattern_scope("sh **"), command({"sh", "x"})));
  CHECK_FALSE(covers(pattern_scope("git push **"), command({"git", "push", "ext::x"})));
  CHECK_FALSE(
      covers(pattern_scope("xdg-open https://example.org/*"), command({"xdg-open", "https://example.org/$(x)"})));
  CHECK_FALSE(
      covers(pattern_scope("xdg-open https://example.org/*"), command({"xdg-open", "https://example.org@evil/x"})));
  CHECK_FALSE(covers(pattern_scope("notify-send **"), command({"notify-send", "-A", "x"})));
}

TEST_CASE("a pattern that doesn't parse covers nothing") {
  for (const char* broken : {"", "git push 'x", "git ** x", "*", "$x", "git push **\n"}) {
    CHECK_FALSE(covers(pattern_scope(broken), command({"git", "push", "origin", "x"})));
  }
  CHECK_FALSE(covers(pattern_scope(""), Connect{"example.org", 443}));
  CHECK_FALSE(covers(pattern_scope("*"), Connect{"example.org", 443}));
  CHECK_FALSE(covers(pattern_scope("git push **"), Open{}));
}

TEST_CASE("a program that this user can change is remembered by its content, never for always or by pattern") {
  using Writable = Program::Writable;
  Command fixed = resolved(git({"push", "origin", "main"}), "/usr/bin/git", Writable::no);
  Command mine = resolved(git({"push", "origin", "main"}), "/home/u/bin/git", Writable::yes);
  CHECK(lasting_scopes(fixed).size() == 2);
  CHECK(lasting_scopes(mine).empty());
  CHECK(session_scopes(mine).size() == 1);
  CHECK_FALSE(covers(lasting_scopes(fixed).at(1), mine));
  CHECK_FALSE(covers(exact_scope(fixed), mine));
  // The system's update replaces the file: the answer stands.
  Command updated = fixed;
  updated.program->inode = 3;
  updated.program->sha256 = std::string(64, 'b');
  CHECK(covers(exact_scope(fixed), updated));
  // Somebody else replaces it: it doesn't.
  Command swapped = mine;
  swapped.program->sha256 = std::string(64, 'b');
  CHECK_FALSE(covers(exact_scope(mine), swapped));
  swapped = mine;
  swapped.program->inode = 3;
  CHECK(covers(exact_scope(mine), swapped));
}

TEST_CASE("a connection is remembered with its port, or for the web") {
  CHECK(shown(session_scopes(Connect{"example.org", 443})) ==
        Texts{"example.org:443", "example.org, ports 80 and 443"});
  CHECK(shown(lasting_scopes(Connect{"example.org", 443})) ==
        Texts{"example.org:443", "example.org, ports 80 and 443"});
  CHECK(shown(session_scopes(Connect{"example.org", 22})) == Texts{"example.org:22"});
  CHECK(shown(session_scopes(Connect{"10.0.0.1", 443})) == Texts{"10.0.0.1:443"});
  CHECK(shown(session_scopes(Connect{"localhost", 80})) == Texts{"localhost:80"});
  CHECK(covers(pattern_scope("*.example.org:443"), Connect{"a.example.org", 443}));
  CHECK_FALSE(covers(pattern_scope("*.example.org:443"), Connect{"example.org", 443}));
  CHECK_FALSE(covers(session_scopes(Connect{"example.org", 443})[1], Connect{"example.org", 22}));
}

TEST_CASE("deeds with a content of their own are not remembered") {
  for (const Action& action : {Action(Change{}), Action(Message{}), Action(Payment{}), Action(ToolCall{})}) {
    CHECK(session_scopes(action).empty());
    CHECK(lasting_scopes(action).empty());
  }
  CHECK(session_scopes(Open{}).size() == 1);
  CHECK(lasting_scopes(Open{}).empty());
}
