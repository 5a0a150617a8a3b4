// What agentbox knows of programs. A wrong "harmless" is a hole for years, so most of this tries to get one.

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

Trust trust(const Argv& argv) {
  return knowledge_of(command(argv)).trust;
}
void check_all(Trust expected, const std::vector<Argv>& all) {
  for (const Argv& argv : all) {
    INFO(base::quote(argv));
    CHECK(trust(argv) == expected);
    CHECK(knowledge_of(command(argv)).why.empty() == (expected == Trust::harmless || expected == Trust::plain));
  }
}

}  // namespace

TEST_CASE("shells, wrappers and interpreters are known under all their names") {
  check_all(Trust::interpreter, {{"sh"},
                                 {"/bin/sh", "-c", "x"},
                                 {"bash", "x.sh"},
                                 {"env", "A=1", "x"},
                                 {"xargs"},
                                 {"nice", "x"},
                                 {"sudo", "x"},
                                 {"ssh", "host"},
                                 {"find", "."},
                                 {"python3", "-c", "x"},
                                 {"/usr/bin/python3.11"},
                                 {"perl5.36.0", "-e", "1"},
                                 {"ruby3.1"},
                                 {"node"},
                                 {"nodejs"},
                                 {"php8.2"},
                                 {"lua5.4"},
                                 {"mawk", "1"},
                                 {"sed", "s/a/b/"},
                                 {"tar", "tf", "x"},
                                 {"tar", "--to-command=x"},
                                 {"rsync", "-e", "x"},
                                 {"docker", "ps"},
                                 {"podman", "run"},
                                 {"systemd-run", "x"},
                                 {"at", "now"},
                                 {"crontab", "-"},
                                 {"gdb"},
                                 {"vim.basic", "x"},
                                 {"emacs"},
                                 {"less", "x"},
                                 {"man", "ls"},
                                 {"busybox", "ls"},
                                 {"coreutils", "--coreutils-prog=env"},
                                 {"npx", "x"},
                                 {"nix", "run"},
                                 {"cmd.exe", "/c"},
                                 {"ld.so", "/bin/ls"},
                                 {"ld-linux-x86-64.so.2", "/bin/ls"},
                                 {"sqlite3", "x"},
                                 {"setsid", "x"},
                                 {"timeout", "1", "x"},
                                 {"nohup", "x"}});
}

TEST_CASE("programs that run files of the working directory say so") {
  check_all(Trust::runs_files, {{"make"},
                                {"/usr/bin/make", "all"},
                                {"ninja"},
                                {"npm", "test"},
                                {"pnpm", "i"},
                                {"yarn"},
                                {"cargo", "build"},
                                {"go", "test"},
                                {"tox"},
                                {"pytest"},
                                {"just"},
                                {"bundle", "install"},
                                {"gradle"},
                                {"mvn"},
                                {"meson"},
                                {"pip", "list"},
                                {"pip3", "list"},
                                {"git", "commit", "-m", "x"},
                                {"git", "status"}});
  check_all(Trust::interpreter, {{"make", "--eval=x"},
                                 {"make", "SHELL=/tmp/x"},
                                 {"npm", "exec", "x"},
                                 {"cmake", "-E", "env"},
                                 {"go", "run", "x"},
                                 {"cargo", "--config", "x"},
                                 {"pip", "install", "x"}});
  CHECK(knowledge_of(command({"make"})).why == "runs files that the agent can write");
}

TEST_CASE("of other programs nothing is known") {
  check_all(Trust::plain, {{"ls"}, {"cat", "-"}, {"unknown"}, {}, {""}, {"3"}, {"shred"}, {"makeinfo"}, {"pythonic"}});
}

TEST_CASE("the worst of the name and the resolved file counts") {
  CHECK(knowledge_of(resolved(command({"x"}), "/usr/bin/dash")).trust == Trust::interpreter);
  CHECK(knowledge_of(resolved(command({"sh"}), "/usr/bin/x")).trust == Trust::interpreter);
  CHECK(knowledge_of(resolved(command({"make"}), "/usr/bin/python3")).trust == Trust::interpreter);
  CHECK(knowledge_of(resolved(command({"git", "push"}), "/usr/bin/bash")).trust == Trust::interpreter);
  CHECK(knowledge_of(resolved(command({"git", "push"}), "/usr/bin/git")).trust == Trust::harmless);
  // One file for many programs: the name tells which.
  CHECK(knowledge_of(resolved(command({"ls"}), "/bin/busybox")).trust == Trust::plain);
  CHECK(knowledge_of(resolved(command({"env"}), "/usr/bin/coreutils")).trust == Trust::interpreter);
}

TEST_CASE("a program in the working directory is one that the agent can write") {
  Knowledge local = knowledge_of(command({"/home/u/work/git", "push", "origin", "main"}));
  CHECK(local.trust == Trust::runs_files);
  CHECK(local.why == "the program lies where the agent can write");
  CHECK(knowledge_of(resolved(command({"x"}), "/home/u/work/bin/x")).trust == Trust::runs_files);
  CHECK(knowledge_of(command({"/home/u/workshop/x"})).trust == Trust::plain);
  CHECK(knowledge_of(command({"/usr/bin/x"}, "/")).trust == Trust::plain);
}

TEST_CASE("everyday pushes, fetches and pulls are harmless") {
  check_all(Trust::harmless, {{"git", "push"},
                              {"git", "push", "origin"},
                              {"git", "push", "origin", "main"},
                              {"git", "push", "-u", "origin", "feature/x-1.2"},
                              {"git", "push", "--tags"},
                              {"git", "--no-pager", "push"},
                              {"git", "push", "-q", "--atomic", "origin", "a", "b"},
                              {"git", "fetch"},
                              {"git", "fetch", "--all", "--prune"},
                              {"git", "fetch", "--depth=1", "origin", "main"},
                              {"git", "pull"},
                              {"git", "pull", "--ff-only"},
                              {"git", "pull", "--rebase", "origin", "main"},
                              {"/usr/bin/git", "push", "origin", "main"}});
}

TEST_CASE("a push that rewrites, deletes or goes elsewhere is not harmless, but runs nothing") {
  check_all(Trust::plain, {{"git", "push", "--force"},
                           {"git", "push", "-f", "origin", "main"},
                           {"git", "push", "origin", "+main"},
                           {"git", "push", "origin", ":main"},
                           {"git", "push", "origin", "main:prod"},
                           {"git", "push", "--mirror"},
                           {"git", "push", "origin", "--delete", "x"},
                           {"git", "push", "--no-verify"},
                           {"git", "push", "https://evil.example/x"},
                           {"git", "push", "origin", "refs/*"},
                           {"git", "fetch", "--force"},
                           {"git", "pull", "origin", "a..b"},
                           {"git"}});
}

TEST_CASE("whatever can make git run a program is an interpreter") {
  check_all(Trust::interpreter, {{"git", "push", "--receive-pack=x", "origin"},
                                 {"git", "push", "--receive-pack", "x"},
                                 {"git", "push", "--rec=x"},
                                 {"git", "push", "--exec=x"},
                                 {"git", "push", "origin", "main", "--exec=x"},
                                 {"git", "push", "-o", "x"},
                                 {"git", "push", "-fu"},
                                 {"git", "push", "--repo=x"},
                                 {"git", "push", "--"},
                                 {"git", "push", "--recurse-submodules=on-demand"},
                                 {"git", "-c", "core.pager=x", "push"},
                                 {"git", "-ccore.sshCommand=x", "push"},
                                 {"git", "--config-env=a=b", "push"},
                                 {"git", "--exec-path=/tmp", "push"},
                                 {"git", "-C", "/tmp", "push"},
                                 {"git", "--git-dir=/tmp/x", "push"},
                                 {"git", "-p", "push"},
                                 {"git", "--no-pager", "-c", "x=y", "push"},
                                 {"git", "push", "ext::sh -c x"},
                                 {"git", "push", "foo::bar"},
                                 {"git", "push", "https://x::y"},
                                 {"git", "push", "/tmp/x"},
                                 {"git", "push", "./x"},
                                 {"git", "push", ".."},
                                 {"git", "push", "."},
                                 {"git", "push", "../x"},
                                 {"git", "push", "x/y"},
                                 {"git", "push", "~/x"},
                                 {"git", "push", "file:///tmp/x"},
                                 {"git", "push", "ssh://h/x"},
                                 {"git", "push", "me@h:x"},
                                 {"git", "push", "h:x"},
                                 {"git", "push", ""},
                                 {"git", "push", "a\nb"},
                                 {"git", "push", "http://h/x"},
                                 {"git", "fetch", "--upload-pack=x"},
                                 {"git", "fetch", "--upload-pack", "x"},
                                 {"git", "fetch", "--upl=x"},
                                 {"git", "fetch", "--depth=x"},
                                 {"git", "fetch", "--depth=", "1"},
                                 {"git", "fetch", "--depth", "1"},
                                 {"git", "fetch", "ext::x"},
                                 {"git", "fetch", "--recurse-submodules"},
                                 {"git", "fetch", "--server-option=x"},
                                 {"git", "pull", "--rebase=interactive"},
                                 {"git", "pull", "--upload-pack=x"},
                                 {"git", "pull", "-s", "x"},
                                 {"git", "pull", "--strategy=x"},
                                 {"git", "pull", "-X", "x"},
                                 {"git", "pull", "--gpg-sign"},
                                 {"git", "pull", "--edit"},
                                 {"git", "submodule", "foreach", "x"},
                                 {"git", "bisect", "run", "x"},
                                 {"git", "rebase", "-x", "y"},
                                 {"git", "difftool"},
                                 {"git", "config", "alias.x", "!y"},
                                 {"git", "clone", "x"},
                                 {"git", "an-alias"},
                                 {"git", "ls-remote", "ext::x"},
                                 {"git", "remote-ext", "a", "b"},
                                 {"git", "archive", "--exec=x"},
                                 {"git", "filter-branch"},
                                 {"git", "worktree", "add"},
                                 {"git", "diff", "--ext-diff"},
                                 {"git", "log", "--ext"},
                                 {"git", "merge", "--strategy=x"},
                                 {"git", "help", "x"},
                                 {"git", ""}});
}

TEST_CASE("xdg-open is harmless for addresses of the web") {
  check_all(Trust::harmless, {{"xdg-open", "https://example.org"},
                              {"xdg-open", "http://localhost:3000/a?b=c&d#e"},
                              {"xdg-open", "https://example.org:8443/%20"}});
  check_all(Trust::plain, {{"xdg-open", "https://example.org/$(x)"},
                           {"xdg-open", "https://example.org/a b"},
                           {"xdg-open", "https://me@example.org/"},
                           {"xdg-open", "https://"},
                           {"xdg-open", "https:///x"},
                           {"xdg-open", "https://EXAMPLE.org"},
                           {"xdg-open", "https://example.org/\xc3\xa9"},
                           {"xdg-open", "https://example.org/'x"},
                           {"xdg-open", "https://-x/"},
                           {"xdg-open", "https://x/" + std::string(3000, 'a')}});
  check_all(Trust::interpreter, {{"xdg-open"},
                                 {"xdg-open", "file:///x"},
                                 {"xdg-open", "evil.desktop"},
                                 {"xdg-open", "javascript:x"},
                                 {"xdg-open", "--version"},
                                 {"xdg-open", "HTTPS://x"},
                                 {"xdg-open", "ssh://x"},
                                 {"xdg-open", "https://a", "https://b"},
                                 {"xdg-open", " https://a"},
                                 {"xdg-open", "vscode://x"}});
}

TEST_CASE("notify-send is harmless as long as it only says something") {
  check_all(Trust::harmless, {{"notify-send", "done"},
                              {"notify-send", "done", "the tests pass\n& more: é"},
                              {"notify-send", "-u", "low", "x"},
                              {"notify-send", "--urgency=critical", "x"},
                              {"notify-send", "x", "-t", "500"},
                              {"notify-send", "-e", "x", "y"}});
  check_all(Trust::plain, {{"notify-send"},
                           {"notify-send", "-A", "x=y", "z"},
                           {"notify-send", "--action=x", "z"},
                           {"notify-send", "x", "-h", "a"},
                           {"notify-send", "--hint=string:image-path:/x", "y"},
                           {"notify-send", "-i", "/x", "y"},
                           {"notify-send", "-u"},
                           {"notify-send", "-u", "high", "x"},
                           {"notify-send", "-t", "-1", "x"},
                           {"notify-send", "--", "x"},
                           {"notify-send", "a", "b", "c"},
                           {"notify-send", "<img src=\"/x\">"},
                           {"notify-send", "\x1b[2J"},
                           {"notify-send", "-ulow", "x"},
                           {"notify-send", "--urgency=", "x"},
                           {"notify-send", "--transient=x", "y"}});
}
