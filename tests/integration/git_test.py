"""Ordinary git and npm work in a room is as outside, or fails loudly: the same commands from the same repository run
outside and inside, then exit codes, files, refs, configuration and `git status` are compared."""

import contextlib
import json
import os
import shutil
import signal
import time

from git_site import GitSite, judge
from harness import (agentbox_binary, difference, expect, expect_equal, need_program, run_tests, snapshot, test,
                     wait_until)
from processes import descendants

SUBMODULE = "git -c protocol.file.allow=always submodule update --init"

# name, commands, what must come out: "equal" as outside; "loud": some command fails with a message; "announced": the
# same in the room, and each path that agentbox put back afterwards is named in its summary.
CASES = [
    ("commit", ["echo 'int z;' > src/z.c", "git add -A", "git commit -qm z"], "equal"),
    ("commit -a and amend", ["echo x >> src/a.c", "git commit -qam one", "git commit -q --amend -m two"], "equal"),
    ("branch, tag, delete", ["git branch new", "git tag v1", "git branch -qD plain"], "equal"),
    ("switch to a branch with other plain files", ["git switch -q plain"], "equal"),
    ("switch there and back", ["git switch -q plain", "git switch -q -"], "equal"),
    ("switch -c", ["git switch -q -c fresh"], "equal"),
    ("switch to a branch with other held files", ["git switch -q held"], "announced"),
    ("switch to held files and back", ["git switch -q held", "git switch -q main"], "equal"),
    ("switch to a branch with other protected files", ["git switch -q protected"], "loud"),
    ("checkout a branch with other protected files", ["git checkout -q protected"], "loud"),
    ("switch to a branch that brings protected and held files", ["git switch -q brings"], "loud"),
    ("switch to a branch that drops protected and held files", ["git switch -q drops"], "loud"),
    ("reset --hard to other protected files", ["git reset -q --hard protected"], "loud"),
    ("reset --hard to plain files", ["git reset -q --hard plain"], "equal"),
    ("rebase over changed held files", ["git switch -q topic", "git rebase -q main"], "equal"),
    ("rebase onto protected files", ["git switch -q topic", "git rebase -q protected"], "loud"),
    ("merge plain", ["git merge -q --no-edit plain"], "equal"),
    ("merge protected files", ["git merge -q --no-edit protected"], "loud"),
    ("cherry-pick plain", ["git cherry-pick plain"], "equal"),
    ("cherry-pick of protected files", ["git cherry-pick protected"], "loud"),
    ("stash and pop plain files", ["echo x >> src/a.c", "git stash -q", "git stash pop -q"], "equal"),
    ("stash held files", ["echo x >> AGENTS.md", "git stash -q"], "equal"),
    ("stash and pop held files", ["echo x >> AGENTS.md", "git stash -q", "git stash pop -q"], "announced"),
    ("stash -u", ["echo x > untracked", "git stash -q -u"], "equal"),
    ("checkout of a plain file", ["echo x >> src/a.c", "git checkout -q -- src/a.c"], "equal"),
    ("checkout of a held file", ["echo x >> AGENTS.md", "git checkout -q -- AGENTS.md"], "equal"),
    ("restore of a protected file from a branch", ["git checkout -q protected -- .envrc"], "loud"),
    ("clean -fd", ["echo x > untracked", "mkdir empty", "git clean -q -fd"], "equal"),
    ("clean -fdx", ["echo x > untracked", "mkdir empty", "git clean -q -fdx"], "loud"),
    ("mv and rm", ["git mv src/a.c src/moved.c", "git rm -q src/b.c", "git commit -qm moved"], "equal"),
    ("push", ["git switch -q plain", "git push -q origin plain topic"], "equal"),
    ("push -u", ["git switch -q topic", "git push -q -u origin topic"], "loud"),
    ("fetch", ["git fetch -q origin"], "equal"),
    ("pull", ["git pull -q --ff-only"], "equal"),
    ("config of the repository", ["git config core.pager evil"], "loud"),
    ("remote add", ["git remote add second ~/remotes/lib.git"], "loud"),
    ("submodule update --init", [SUBMODULE], "loud"),
    ("worktree add outside the workspace", ["git worktree add -q ../tree plain"], "loud"),
    ("worktree add in a granted folder", ["git worktree add -q ~/other/tree plain"], "equal"),
    ("worktree add in the workspace", ["git worktree add -q tree plain"], "equal"),
    ("gc and fsck", ["git gc -q --prune=now", "git fsck --no-progress --strict"], "equal"),
    ("bisect", ["git bisect start -q HEAD HEAD~1", "git bisect reset -q"], "equal"),
    ("init of a nested repository", ["git init -q nested", "git -C nested commit -q --allow-empty -m x"], "equal"),
    ("clone into the workspace", ["git clone -q ~/remotes/project.git cloned"], "equal"),
]


def make(commands, wanted):
    def case(world):
        site = GitSite(world)
        outside = site.observe(commands, room=False)
        expect_equal(len(outside.codes), len(commands), f"control: it runs outside\n{outside.result}")
        inside = site.observe(commands, room=True)
        outcome, why = judge(outside, inside, commands)
        expect(outcome == wanted or outcome == "equal", f"wanted {wanted}, got {outcome}", *why)
        left = [name for name in snapshot(world.workspace) if name.endswith(b".lock")]
        expect_equal(left, [], "lock files left in the repository")
    return case


for title, git_commands, outcome_wanted in CASES:
    test(f"git: {title}")(make(git_commands, outcome_wanted))


def tree_of(world):
    return snapshot(world.workspace)


@test("git status is clean after a run, and no empty directory stays")
def clean_after(world):
    site = GitSite(world)
    site.restore()
    before = tree_of(world)
    done = world.room("sh", "-c", "ls -A; git status --porcelain --ignored", profile="gitwork")
    expect(done.code == 0, "runs", done)
    expect("!! ignored/" in done.text and "??" not in done.text, "git status in the room", done)
    after = world.expect_ok(["git", "status", "--porcelain", "--ignored"])
    expect_equal(after.text, "!! ignored/\n", "git status on the host")
    expect_equal(ours(difference(before, tree_of(world))), [], "the workspace")


def ours(lines):
    """git itself refreshes its index."""
    return [line for line in lines if ".git/index" not in line]


@test("git status is clean after kill -9 of everything, and the sweep takes the rest")
def clean_after_kill(world):
    site = GitSite(world)
    site.restore()
    before = tree_of(world)
    process = world.start([agentbox_binary(), "run", "gitwork", "--", "sh", "-c", "echo started; exec sleep 1000"])
    expect_equal(process.stdout.readline(), b"started\n", "the room is up")
    victims = descendants(process.pid)
    expect(len(victims) >= 2, "the room has processes", victims)
    for pid in [process.pid, *victims]:
        with contextlib.suppress(ProcessLookupError):  # one may take the next with it
            os.kill(pid, signal.SIGKILL)
    process.communicate()
    wait_until(lambda: not descendants(os.getpid()), "all are dead", 5)
    status = world.expect_ok(["git", "status", "--porcelain", "--ignored"])
    expect_equal(status.text, "!! ignored/\n", "git status before the sweep")
    expect(all("new: " in line for line in ours(difference(before, tree_of(world)))), "only empty directories stay")
    swept = world.agentbox("doctor", "--sweep")
    expect(swept.code in (0, 1), "doctor --sweep runs", swept)
    expect_equal(ours(difference(before, tree_of(world))), [], f"the workspace after the sweep\n{swept}")


@test("a rebase goes on in the room, and commands that the agent leaves in its list are named")
def rebase_list(world):
    world.expect_ok(["sh", "-ec", "git init -q; git config user.name o; git config user.email o@example.org; "
                     "for i in 1 2 3; do echo $i > f; git add f; git commit -qm $i; done"])
    time.sleep(0.2)  # what is older than the clock is coarse is not the run's
    done = world.room("sh", "-ec", "git -c sequence.editor='sed -i 1s/pick/edit/' rebase -i HEAD~2; "
                      "test -d .git/rebase-merge; git rebase --continue")
    expect(done.code == 0 and "git-rebase-todo" not in done.errors, "a whole rebase is not a word", done)
    done = world.room("sh", "-ec", "git -c sequence.editor='sed -i 1s/pick/edit/' rebase -i HEAD~2; "
                      "echo exec touch ran >> .git/rebase-merge/git-rebase-todo")
    expect_equal(done.code, 0, f"begun\n{done}")
    expect(f"agentbox: note: {world.workspace}/.git/rebase-merge/git-rebase-todo was made or changed during the run; `git "
           "rebase --continue` would execute its `exec` lines\n" in done.errors, "named", done)
    world.expect_ok(["git", "rebase", "--continue"])
    expect((world.workspace / "ran").exists(), "control: it would")


@test("names that hold at roots are told anywhere else, links in the repository of a worktree are taken")
def elsewhere(world):
    main = world.home / "main"
    main.mkdir()
    world.expect_ok(["sh", "-ec", "git init -q; git config user.name o; git config user.email o@example.org; "
                     "git commit -q --allow-empty -m 1; ln -s ../../tool .git/hooks/pre-push; "
                     f"rmdir {world.workspace}; git worktree add -q {world.workspace}"], cwd=main)
    time.sleep(0.2)
    done = world.room("sh", "-ec", f"mkdir sub; echo x > sub/.envrc; echo x > sub/AGENTS.md; mkdir -p "
                      f"{main}/.git/logs/refs/heads/lfs/x; ln -s /tmp/x {main}/.git/logs/refs/heads/lfs/x/y; "
                      f"ln -s /tmp/x {main}/.git/objects/info/commit-graph")
    notes = [line.removeprefix("agentbox: note: ") for line in done.errors.splitlines()
             if "quarantined" in line or "during the run" in line]
    link = "quarantined, it is a symbolic link in a git directory, and git on the host would write through it"
    expect_equal(sorted(notes),
                 [f"{main}/.git/logs/refs/heads/lfs/x/y: {link}", f"{main}/.git/objects/info/commit-graph: {link}",
                  f"{world.workspace}/sub/.envrc was made during the run; direnv would execute it",
                  f"{world.workspace}/sub/AGENTS.md was made during the run; an agent that works there would obey it"],
                 f"notes\n{done}")
    expect(os.path.lexists(main / ".git/hooks/pre-push"), "the owner's link stays")
    expect(not os.path.lexists(main / ".git/objects/info/commit-graph"), "the agent's is gone")
    done = world.room("true")
    expect("during the run" not in done.errors, "told once", done)


@test("npm install of a package that ships protected and held kinds loses nothing and asks nothing")
def npm(world):
    npm_program = need_program("npm")
    package = world.home / "packages" / "shipper"
    for name in (".github/workflows/ci.yml", ".vscode/settings.json", ".claude/settings.json", "AGENTS.md", "CLAUDE.md",
                 ".envrc", ".mcp.json", "index.js", ".husky/pre-commit"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(f"// {name}\n")
    (package / "package.json").write_text(json.dumps({"name": "shipper", "version": "1.0.0"}))
    (world.workspace / "package.json").write_text(json.dumps({"name": "user", "version": "1.0.0"}))
    world.profile("npm", 'extends = ["default", "node"]\n[files]\nread = ["~/packages"]\n')
    world.expect_ok([npm_program, "pack", "--silent", "--pack-destination", package.parent], cwd=package)
    install = [npm_program, "install", "--offline", "--no-audit", "--no-fund", package.parent / "shipper-1.0.0.tgz"]
    start = snapshot(world.workspace)
    outside = world.expect_ok(install)
    wanted = snapshot(world.workspace)
    expect(b"node_modules/shipper/.github/workflows/ci.yml" in wanted, "control: the package ships it", wanted.keys())
    shutil.rmtree(world.workspace / "node_modules")
    (world.workspace / "package-lock.json").unlink()
    (world.workspace / "package.json").write_text(json.dumps({"name": "user", "version": "1.0.0"}))
    expect_equal(difference(start, snapshot(world.workspace)), [], "back at the start")
    inside = world.room(*install, profile="npm")
    expect_equal((inside.code, inside.errors), (0, outside.errors), f"as outside, and not a word more\n{inside}")
    expect_equal(difference(wanted, snapshot(world.workspace)), [], "the workspace")


run_tests()
