"""A repository with everything that a room treats specially, and a way to run the same work outside and inside.

    ~/project        the workspace: branches with other versions of protected and held files, a submodule
    ~/remotes/*.git  bare repositories, granted for writing
"""

import os
import re
import shutil

import harness

DATES = "export GIT_AUTHOR_DATE='2024-01-02T03:04:05Z' GIT_COMMITTER_DATE='2024-01-02T03:04:05Z'\n"

BUILD = DATES + r"""
set -e
write() { mkdir -p "$(dirname "$1")"; printf '%s\n' "$2" > "$1"; }
commit() { git add -A; git commit -qm "$1"; }
mkdir -p ~/remotes
git init -q --bare ~/remotes/project.git
git init -q --bare ~/remotes/lib.git
git init -q ~/lib; cd ~/lib; write lib.txt library; commit lib; git push -q ~/remotes/lib.git main; rm -rf ~/lib
cd ~/project
git init -q
write src/a.c 'int a;'; write src/b.c 'int b;'; write .gitignore 'ignored/'
write AGENTS.md 'be kind'; write .github/workflows/ci.yml 'on: push'
write .envrc 'export A=1'; write .vscode/settings.json '{"a": 1}'
commit first
git -c protocol.file.allow=always submodule add -q ~/remotes/lib.git lib; commit 'add a submodule'
git submodule deinit -q -f lib; rm -rf .git/modules/lib
git branch topic
write src/c.c 'int c;'; write AGENTS.md 'be brief'; commit second
git switch -q -c plain; write src/a.c 'int plain;'; write src/new.c 'int n;'; commit plain
git switch -q main
git switch -q -c held; write AGENTS.md 'be bold'; write .github/workflows/ci.yml 'on: [push, pull_request]'
write src/a.c 'int held;'; commit held
git switch -q main
git switch -q -c protected; write .envrc 'export A=2'; write .vscode/settings.json '{"a": 2}'; write src/a.c 'int p;'
commit protected
git switch -q main
git switch -q -c brings; write .mcp.json '{}'; write .claude/settings.json '{}'; write CLAUDE.md 'hello'
write src/a.c 'int brings;'; commit brings
git switch -q main
git switch -q -c drops; git rm -qr .vscode .envrc AGENTS.md; write src/a.c 'int drops;'; commit drops
git switch -q topic; write src/b.c 'int topic;'; commit topic
git switch -q main
git remote add origin ~/remotes/project.git
git push -q origin main plain
git switch -q -c ahead; write src/d.c 'int d;'; commit ahead; git push -q origin ahead:main
git switch -q main; git branch -qD ahead; git fetch -q origin 'refs/heads/main:refs/remotes/origin/main'
git update-ref refs/remotes/origin/main main
git config branch.main.remote origin; git config branch.main.merge refs/heads/main
write ignored/build.o object
"""

STATE = r"""
echo "@@status"; git status --porcelain=v1 -b --untracked-files=all
echo "@@refs"; git for-each-ref --format='%(refname) %(objectname)'; git symbolic-ref HEAD
echo "@@stash"; git stash list --format=%gs
echo "@@remote"; git --git-dir="$HOME/remotes/project.git" for-each-ref --format='%(refname) %(objectname)'
echo "@@config"; git config --local --list | sort
echo "@@files"; find . -name .git -prune -o \( -type f -o -type l \) -print | LC_ALL=C sort |
    while IFS= read -r file; do printf '%s %s %s\n' "$(stat -c %a "$file")" "$(git hash-object "$file")" "$file"; done
echo "@@modules"; git submodule status 2>&1
echo "@@worktrees"; git worktree list --porcelain; 
git worktree list --porcelain | sed -n 's/^worktree //p' | tail -n +2 |
    while IFS= read -r tree; do ls -A "$tree" 2>&1 | sed "s|^|$tree: |"; done
"""

GITCONFIG = """[user]
\tname = Owner
\temail = owner@example.org
[init]
\tdefaultBranch = main
"""

PROFILE = """extends = ["default", "git"]
[files]
write = ["~/remotes", "~/other"]
"""


class Observed:
    """What one way of running the commands gave."""

    def __init__(self, result, text, after):
        self.result = result
        self.codes = [int(code) for code in re.findall(r"^@@exit (\d+)$", text, re.M)]
        self.state = text.partition("@@state\n")[2]
        self.after = after


class GitSite:
    def __init__(self, world):
        self.world = world
        harness.need_program("git")
        (world.home / ".gitconfig").write_text(GITCONFIG)
        (world.home / "other").mkdir()
        world.profile("gitwork", PROFILE)
        world.expect_ok(["bash", "-c", BUILD])
        self.saved = world.base / "saved"
        for folder in ("project", "remotes", "other"):
            shutil.copytree(world.home / folder, self.saved / folder, symlinks=True)

    def restore(self):
        shutil.rmtree(self.world.home / "tree", ignore_errors=True)
        for folder in ("project", "remotes", "other"):
            shutil.rmtree(self.world.home / folder)
            shutil.copytree(self.saved / folder, self.world.home / folder, symlinks=True)
        # Copies have new inodes: without this the first git command's work would depend on the order of runs.
        self.world.expect_ok(["git", "status"])

    @staticmethod
    def script(commands):
        lines = [DATES]
        for command in commands:
            lines.append(f"{command}\necho @@exit $?\n")
        return "".join(lines) + "echo @@state\n" + STATE

    def observe(self, commands, room):
        self.restore()
        argv = ["bash", "-c", self.script(commands)]
        result = self.world.room(*argv, profile="gitwork") if room else self.world.run(argv)
        return Observed(result, result.text, self.world.expect_ok(["bash", "-c", STATE]).text)


def changed_lines(left, right):
    left, right = left.splitlines(), right.splitlines()
    return [f"- {line}" for line in left if line not in right] + [f"+ {line}" for line in right if line not in left]


def is_named(path, lines):
    """Is a file named, or its folder and on the same line its name?"""
    folder, name = os.path.split(path)
    return any(path in line or (folder and f"{folder}:" in line and name in line) for line in lines)


def judge(outside, inside, commands):
    """("equal" | "loud" | "announced" | "silent", explanation)"""
    if len(inside.codes) != len(commands):
        return "silent", [f"the room ended early\n{inside.result}"]
    for command, want, got in zip(commands, outside.codes, inside.codes):
        if want != got:
            if want == 0 and inside.result.err.strip():
                return "loud", [f"{command}: exit {got}", inside.result.errors]
            return "silent", [f"{command}: exit {got} instead of {want}", inside.result.errors]
    if outside.state != inside.state:
        return "silent", ["in the room:", *changed_lines(outside.state, inside.state), inside.result.errors]
    if outside.after == inside.after:
        return "equal", []
    lines = changed_lines(outside.after, inside.after)
    names = {line.split()[-1].removeprefix("./") for line in lines}
    unnamed = sorted(name for name in names if not is_named(name, inside.result.errors.splitlines()))
    return ("silent" if unnamed else "announced"), ["after the run:", *lines, inside.result.errors]
