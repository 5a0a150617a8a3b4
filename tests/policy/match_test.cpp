// One rule against one action: what it grants, and what it catches.

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "actions.hpp"

using namespace agentbox;
using namespace agentbox::policy;
using test::Argv;
using test::command;
using test::host;
using test::pattern;
using test::resolved;

namespace {

bool grants(std::string_view rule, const Argv& argv) {
  bool one = matches(pattern(rule), argv);
  CHECK(one == matches(pattern(rule), command(argv), Reach::narrow));
  return one;
}
bool catches(std::string_view rule, const Argv& argv) {
  return matches(pattern(rule), command(argv), Reach::wide);
}
bool reaches(std::string_view rule, const std::string& name, std::uint16_t port, Reach reach = Reach::narrow) {
  return matches(host(rule), Connect{name, port}, reach);
}

struct Case {
  std::string rule;
  Argv argv;
  bool granted;  // by an allow or ask rule
  bool caught;   // by a deny rule
};

}  // namespace

TEST_CASE("commands are matched by element") {
  const std::vector<Case> cases{
      {"git push", {"git", "push"}, true, true},
      {"git push", {"git push"}, false, false},
      {"git push", {"git", "push", "origin"}, false, false},
      {"git push", {"git"}, false, false},
      {"git push", {}, false, false},
      {"git push **", {"git", "push"}, true, true},
      {"git push **", {"git", "push", "origin", "main"}, true, true},
      {"git push **", {"git", "push", "", "a b"}, true, true},
      {"git push **", {"git", "pushy"}, false, false},
      {"git push *", {"git", "push"}, false, false},
      {"git push *", {"git", "push", ""}, true, true},
      {"git push *", {"git", "push", "a", "b"}, false, false},
      {"xdg-open https://*", {"xdg-open", "https://example.org/a\nb"}, true, true},
      {"xdg-open https://*", {"xdg-open", "http://example.org"}, false, false},
      {"a *b*c", {"a", "xbybzc"}, true, true},
      {"a *b*c", {"a", "xbybz"}, false, false},
      {"a '*'", {"a", "*"}, true, true},
      {"a '*'", {"a", "x"}, false, false},
      {"a '\\'*", {"a", "\\x"}, true, true},
      {"a 'b c'", {"a", "b c"}, true, true},
      {"a 'b c'", {"a", "b", "c"}, false, false},
      {"a ''", {"a", ""}, true, true},
      {"a ''", {"a"}, false, false},
      {"a \xff*", {"a", "\xff\xfe"}, true, true},
  };
  for (const Case& one : cases) {
    INFO(one.rule << " : " << base::quote(one.argv));
    CHECK(grants(one.rule, one.argv) == one.granted);
    CHECK(catches(one.rule, one.argv) == one.caught);
  }
}

TEST_CASE("no wildcard grants an option, and a denial is not evaded by one") {
  const std::vector<Case> cases{
      {"git push **", {"git", "push", "--receive-pack=touch /tmp/x"}, false, true},
      {"git push **", {"git", "push", "origin", "--receive-pack=x"}, false, true},
      {"git push **", {"git", "push", "origin", "-f", "main"}, false, true},
      {"git push **", {"git", "-c", "core.pager=x", "push"}, false, true},
      {"git push **", {"git", "-ccore.pager=x", "push", "origin"}, false, true},
      {"git push **", {"git", "--exec-path=/tmp", "-C", "/tmp", "--no-pager", "push"}, false, true},
      {"git push **", {"git", "-c", "push", "push"}, false, true},
      {"git push **", {"git", "commit", "-m", "push"}, false, false},
      {"git push **", {"git", "log", "push"}, false, false},
      {"git push *", {"git", "push", "-"}, false, true},
      {"git push *", {"git", "push", "--all"}, false, true},
      {"git push", {"git", "push", "--all"}, false, true},
      {"git push", {"git", "push", "-o", "x"}, false, true},
      {"git push", {"git", "push", "-o", "x", "origin"}, false, false},
      {"git push *", {"git", "push", "-o", "x", "origin"}, false, true},
      {"git fetch --depth=*", {"git", "fetch", "--depth=1"}, true, true},
      {"git fetch --depth=*", {"git", "fetch", "--upload-pack=x"}, false, false},
      {"git fetch -*", {"git", "fetch", "--upload-pack=x"}, true, true},
      {"a *-x", {"a", "--x"}, false, true},
      {"a *", {"a", "b-c"}, true, true},
      {"git log -- *", {"git", "log", "--", "a"}, true, true},
      {"git log -- *", {"git", "log", "--", "-a"}, false, true},
  };
  for (const Case& one : cases) {
    INFO(one.rule << " : " << base::quote(one.argv));
    CHECK(grants(one.rule, one.argv) == one.granted);
    CHECK(catches(one.rule, one.argv) == one.caught);
  }
}

TEST_CASE("a granted program is the one that is written; a denied one is caught under each of its names") {
  const std::vector<Case> cases{
      {"git push **", {"/usr/bin/git", "push"}, false, true},
      {"git push **", {"/home/u/git", "push"}, false, true},
      {"/usr/bin/git push **", {"git", "push"}, false, true},
      {"/usr/bin/git push **", {"/usr/bin/git", "push"}, true, true},
      {"/usr/bin/git push **", {"/opt/bin/git", "push"}, false, false},
      {"git push **", {"git2", "push"}, false, false},
      {"git push **", {"env", "A=1", "git", "push"}, false, true},
      {"git push **", {"sudo", "-u", "me", "/usr/bin/git", "-c", "x=y", "push", "origin"}, false, true},
      {"git push **", {"nice", "-n", "5", "timeout", "1m", "git", "push"}, false, true},
      {"git push **", {"busybox", "env", "git", "push"}, false, true},
      {"git push **", {"npm", "exec", "--", "git", "push"}, false, true},
      {"git push **", {"echo", "git", "push"}, false, false},
      {"git push **", {"env", "git", "git", "pull"}, false, false},
      {"sh **", {"/bin/sh", "-c", "x"}, false, true},
  };
  for (const Case& one : cases) {
    INFO(one.rule << " : " << base::quote(one.argv));
    CHECK(grants(one.rule, one.argv) == one.granted);
    CHECK(catches(one.rule, one.argv) == one.caught);
  }
}

TEST_CASE("a link to a denied program is caught, and one to a granted program grants nothing") {
  Command linked = resolved(command({"/home/u/bin/g", "push"}), "/usr/bin/git");
  CHECK(matches(pattern("git push **"), linked, Reach::wide));
  CHECK(matches(pattern("/usr/bin/git push **"), linked, Reach::wide));
  CHECK_FALSE(matches(pattern("git push **"), linked, Reach::narrow));
  CHECK_FALSE(matches(pattern("/usr/bin/git push **"), linked, Reach::narrow));
  CHECK_FALSE(
      matches(pattern("git push **"), resolved(command({"/home/u/bin/g", "push"}), "/usr/bin/hg"), Reach::wide));
}

TEST_CASE("matching long hostile texts takes no more than the product of their lengths") {
  std::string stars, many(30000, 'a');
  for (int i = 0; i < 200; ++i) stars += "a*";
  CHECK_FALSE(grants("x " + stars + "b", {"x", many}));
  CHECK(grants("x " + stars + "b", {"x", many + "b"}));
  Argv argv{"env"};
  for (int i = 0; i < 10000; ++i) {
    argv.emplace_back("git");
    argv.emplace_back("-a");
  }
  CHECK_FALSE(catches("git push **", argv));
  argv.emplace_back("push");
  CHECK(catches("git push **", argv));
}

TEST_CASE("hosts are matched by label and by bits") {
  struct HostCase {
    std::string rule, host;
    std::uint16_t port;
    bool granted, caught;
  };
  const std::vector<HostCase> cases{
      {"example.org", "example.org", 443, true, true},       {"example.org", "example.org", 80, true, true},
      {"example.org", "example.org", 22, false, false},      {"example.org:*", "example.org", 22, true, true},
      {"example.org:22", "example.org", 22, true, true},     {"example.org", "www.example.org", 443, false, false},
      {"*.example.org", "www.example.org", 443, true, true}, {"*.example.org", "a.b.example.org", 443, true, true},
      {"*.example.org", "example.org", 443, false, false},   {"*.example.org", "badexample.org", 443, false, false},
      {"*.example.org", ".example.org", 443, false, false},  {"10.0.0.0/8", "10.200.0.1", 443, true, true},
      {"10.0.0.0/8", "11.0.0.1", 443, false, false},         {"0.0.0.0/0", "::1", 443, false, false},
      {"10.0.0.1:22", "10.0.0.1", 22, true, true},           {"[fd00::/8]:443", "fdff::1", 443, true, true},
      {"[fd00::/8]:443", "fe80::1", 443, false, false},      {"[::/0]", "10.0.0.1", 443, false, false},
      {"10.0.0.0/8", "ten.example.org", 443, false, false},  {"localhost:8080", "localhost", 8080, true, true},
      {"localhost:8080", "127.0.0.1", 8080, true, true},     {"localhost:8080", "::1", 8080, true, true},
      {"localhost:8080", "127.0.0.2", 8080, false, true},    {"localhost:8080", "10.0.0.1", 8080, false, false},
      {"localhost:8080", "localhost", 8081, false, false},   {"127.0.0.1:8080", "127.0.0.1", 8080, true, true},
      {"127.0.0.1:8080", "localhost", 8080, false, true},    {"[::1]:8080", "localhost", 8080, false, true},
      {"0.0.0.0/0", "localhost", 443, false, true},          {"10.0.0.0/8", "localhost", 443, false, false},
  };
  for (const HostCase& one : cases) {
    INFO(one.rule << " : " << one.host << ":" << one.port);
    CHECK(reaches(one.rule, one.host, one.port) == one.granted);
    CHECK(reaches(one.rule, one.host, one.port, Reach::wide) == one.caught);
  }
}

TEST_CASE("a rule for a name never reaches an address") {
  profile::HostRule odd{.text = "10.0.0.1", .kind = profile::HostKind::name, .host = "10.0.0.1"};
  CHECK_FALSE(matches(odd, Connect{"10.0.0.1", 443}));
  odd = {.text = "*.0.0.1", .kind = profile::HostKind::below, .host = "0.0.1"};
  CHECK_FALSE(matches(odd, Connect{"10.0.0.1", 443}));
}

TEST_CASE("a program is a bare name or a plain absolute path") {
  for (const char* word : {"git", "/usr/bin/git", "a b", "..x", "[", "/x"}) CHECK(is_program_name(word));
  for (const char* word :
       {"", ".", "..", "./x", "x/y", "-x", "/", "/usr/bin/", "/usr//git", "/usr/./git", "/a/../b", "/.."}) {
    INFO(word);
    CHECK_FALSE(is_program_name(word));
  }
  CHECK_FALSE(is_program_name(std::string_view("a\0b", 3)));
  // No file has a longer name, and no path is longer.
  CHECK(is_program_name(std::string(255, 'a')));
  CHECK_FALSE(is_program_name(std::string(256, 'a')));
  CHECK_FALSE(is_program_name("/" + std::string(256, 'a')));
  std::string deep;
  while (deep.size() < 4096) deep += "/aaaaaaa";
  CHECK_FALSE(is_program_name(deep));
  CHECK(is_program_name(deep.substr(0, 4095)));
}
