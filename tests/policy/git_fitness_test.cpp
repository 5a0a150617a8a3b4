// Which settings of a repository's own configuration the host's git may meet.

#include <catch2/catch.hpp>

#include "agentbox/policy/git_config.hpp"

using agentbox::policy::GitSetting;
using agentbox::policy::read_git_config;
using agentbox::policy::unfit_for_host;
using Texts = std::vector<std::string>;

TEST_CASE("a configuration is read as git reads it") {
  CHECK(read_git_config("\xef\xbb\xbf[Core]\n\tFileMode = true # no\n[remote \"a.B\"] url=\"x y\" z ; "
                        "c\n\tpush\n[old.Sub]a=b\\\nc\n") == std::vector<GitSetting>{{"core", {}, "filemode", "true"},
                                                                                     {"remote", "a.B", "url", "x y z"},
                                                                                     {"remote", "a.B", "push", ""},
                                                                                     {"old", "sub", "a", "bc"}});
  CHECK(read_git_config("[core]\r\n\tbare = false\r\n").at(0).value == "false");
}

TEST_CASE("what git init, clone and checkout write is harmless") {
  CHECK(unfit_for_host(
            "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n"
            "\tlogallrefupdates = true\n\tignorecase = true\n\tprecomposeunicode = true\n"
            "[remote \"origin\"]\n\turl = git@example.org:me/x.git\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n"
            "\tgh-resolved = base\n"
            "[branch \"main\"]\n\tremote = origin\n\tmerge = refs/heads/main\n\tvscode-merge-base = origin/main\n"
            "[user]\n\tname = U\n\temail = u@example.org\n[pull]\n\trebase = true\n[extensions]\n\tobjectFormat = "
            "sha256\n")
            .empty());
  CHECK(unfit_for_host("").empty());
}

TEST_CASE("what would make git run, read or reach something is named") {
  for (const char* bad : {"core.fsmonitor",       "core.sshcommand",    "core.hookspath",  "core.pager",
                          "core.editor",          "core.worktree",      "core.bare",       "core.attributesfile",
                          "core.gitproxy",        "core.askpass",       "include.path",    "alias.push",
                          "diff.external",        "credential.helper",  "http.proxy",      "http.sslverify",
                          "gpg.program",          "user.signingkey",    "push.pushoption", "uploadpack.packobjectshook",
                          "gc.recentobjectshook", "extensions.unknown", "protocol.allow",  "pager.log"}) {
    std::string key = bad;
    std::size_t dot = key.find('.');
    std::string config = "[" + key.substr(0, dot) + "]\n\t" + key.substr(dot + 1) + " = /tmp/evil\n";
    INFO(config);
    CHECK(unfit_for_host(config) == Texts{key});
  }
  CHECK(unfit_for_host("[filter \"x\"]\nclean = a\n[FILTER \"x\"] CLEAN=b\n[remote \"o\"]\nuploadpack = x\n") ==
        Texts{"filter.x.clean", "remote.o.uploadpack"});
  CHECK(unfit_for_host("[core] bare\n") == Texts{"core.bare"});
  CHECK(unfit_for_host("[core]\nfsmonitor = false\nbare = false\n").empty());
  CHECK(unfit_for_host("[filter \"\x1b[31m\"]\nclean = a\n") == Texts{"filter.\\x1b[31m.clean"});
  CHECK(unfit_for_host("[a]\nb=1\nc=1\nd=1\n", 2).size() == 2);
}

TEST_CASE("an address is one of https, ssh or git, and never a path, a helper or an option") {
  auto is_fit = [](const std::string& url) { return unfit_for_host("[remote \"o\"]\n\turl = " + url + "\n").empty(); };
  for (const char* good :
       {"https://example.org/me/x.git", "https://me:pw@example.org:8443/x", "ssh://git@example.org:22/x",
        "git://example.org/x", "git@example.org:me/x.git", "example.org:x"}) {
    INFO(good);
    CHECK(is_fit(good));
  }
  for (const char* bad :
       {"/srv/x.git", "../x", "x", "file:///srv/x", "ext::sh -c evil", "fd::17", "ssh://-oProxyCommand=x/y",
        "-oProxyCommand=x:y", "git@-oProxy:x", "./a:b", "foo://x/y", "https:///x", "\"https://x y/\"", ""}) {
    INFO(bad);
    CHECK_FALSE(is_fit(bad));
  }
  CHECK(unfit_for_host("[branch \"m\"]\nremote = ../x\n") == Texts{"branch.m.remote, which names no remote"});
  CHECK(unfit_for_host("[branch \"m\"]\nremote = .\npushRemote = fork\n").empty());
}
