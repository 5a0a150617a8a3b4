#!/usr/bin/env python3
"""[limits] memory and cpu, by a real cgroup. They need one that this user may divide: his systemd's, or one that root
sets up for the time of the test. Where the kernel's controllers are not in a cgroup v2 hierarchy (or are taken by v1,
as in many containers), nobody can; then each test is skipped and says so, also under AGENTBOX_MUST_WORK=1."""

import json
import os
import pathlib
import re
import signal
import sys

import harness
from harness import Unavailable, expect, expect_equal, run_tests, test, wait_until
from processes import command_line, descendants, process_table

MEGABYTE = 1 << 20
PROFILE = 'extends = ["default"]\n[limits]\nmemory = "64M"\ncpu = 50\nprocesses = 100\n'
ALLOCATE = ["python3", "-c", f"space = bytearray({200 * MEGABYTE}); print('allocated')"]
WANTED = {"memory", "cpu", "pids"}


# ---- a delegated group, where root runs the tests --------------------------------------------------------------

def hierarchy():
    """Where cgroup v2 is mounted, and the test's own group in it."""
    mounts = [line.split(" ") for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
    points = [fields[4] for fields in mounts if fields[fields.index("-") + 1] == "cgroup2" and fields[3] == "/"]
    own = re.search(r"^0::(/.*)$", pathlib.Path("/proc/self/cgroup").read_text(), re.MULTILINE)
    return (pathlib.Path(points[0]), own[1]) if points and own else (None, None)


def delegate(user):
    """A group that `user` may divide, with a leaf for the tests; None where the controllers can't be had."""
    top, _ = hierarchy()
    if top is None or not WANTED <= set((top / "cgroup.controllers").read_text().split()):
        return None
    on = " ".join(f"+{name}" for name in sorted(WANTED))
    group = top / f"agentbox-tests-{os.getpid()}"
    (top / "cgroup.subtree_control").write_text(on)
    group.mkdir()
    (group / "cgroup.subtree_control").write_text(on)
    (group / "leaf").mkdir()
    for folder in (group, group / "leaf"):
        for path in (folder, folder / "cgroup.procs", folder / "cgroup.subtree_control"):
            os.chown(path, user.pw_uid, user.pw_gid)
    return group


def in_delegated_group():
    """The tests as the ordinary user, in a child; root stays to remove the group."""
    group = delegate(harness.ordinary_user())
    child = os.fork()
    if child == 0:
        if group:
            (group / "leaf" / "cgroup.procs").write_text("0")
        harness.become_ordinary()
    _, status = os.waitpid(child, 0)
    if group:
        for folder in (*sorted(group.glob("agentbox-*")), group / "leaf", group):
            folder.rmdir()
    sys.exit(os.waitstatus_to_exitcode(status))


# ---- the tests -------------------------------------------------------------------------------------------------

def need_cgroup(world):
    world.profile("limited", PROFILE)
    findings = json.loads(world.agentbox("doctor", "--json").text)["findings"]
    found = next(finding for finding in findings if finding["id"] == "cgroup")
    if found["state"] != "ok":
        raise Unavailable(f"no cgroup on this machine: {found['text']}")


def group_of(pid):
    top, _ = hierarchy()
    return top / re.search(r"^0::/(.*)$", pathlib.Path(f"/proc/{pid}/cgroup").read_text(), re.MULTILINE)[1]


def start_sleeper(world):
    """A limited room, and the group that it is in."""
    process = world.start([harness.agentbox_binary(), "run", "limited", "--", "sh", "-c", "echo up; exec sleep 1000"])
    expect_equal(process.stdout.readline(), b"up\n", "the first line")
    table = process_table()
    sleeper = next(pid for pid in descendants(process.pid, table) if command_line(pid).startswith("sleep"))
    return process, group_of(sleeper)


@test("without a delegated cgroup a profile that sets memory or cpu is refused")
def refused(world):
    world.profile("limited", PROFILE)
    try:
        need_cgroup(world)
    except Unavailable:
        done = world.room("true", profile="limited")
        expect_equal(done.code, 125, "exit code")
        for key in ("memory", "cpu"):
            expect(f"[limits] {key} needs a cgroup with the '{key}' controller, and none is delegated to you"
                   in done.errors, f"it says why for {key}", done)


@test("a program that takes more memory than the limit is killed")
def memory(world):
    need_cgroup(world)
    done = world.room(*ALLOCATE)
    expect_equal((done.code, done.text), (0, "allocated\n"), f"control: without a limit\n{done}")
    done = world.room(*ALLOCATE, profile="limited")
    expect_equal((done.code, done.text), (128 + signal.SIGKILL, ""), f"with one\n{done}")


@test("the room's group has the limits of the profile, and goes with the room")
def values(world):
    need_cgroup(world)
    process, group = start_sleeper(world)
    own = group_of(os.getpid())
    expect(group != own and group.name.startswith("agentbox-limited-"), f"a group of its own: {group}")
    expect_equal((group / "memory.max").read_text(), f"{64 * MEGABYTE}\n", "memory.max")
    expect_equal((group / "cpu.weight").read_text(), "50\n", "cpu.weight")
    inside = {command_line(int(pid)).split(" ")[0] for pid in (group / "cgroup.procs").read_text().split()}
    expect_equal(inside, {"/run/agentbox/init", "sleep"}, "what is in it: the room, and nothing of the host's")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=harness.DEADLINE)
    wait_until(lambda: not group.exists(), "the group to go")


@test("the group of a run that was killed is removed by a later one, and a room's that lives is not")
def killed(world):
    need_cgroup(world)
    living, kept = start_sleeper(world)
    victim, left = start_sleeper(world)
    victim.kill()
    victim.communicate()
    wait_until(lambda: not left.exists() or "populated 0" in (left / "cgroup.events").read_text(), "the room to end")
    # The user's systemd removes its scopes itself.
    for group in (group for group in (left, kept) if group.exists() and group.suffix != ".scope"):
        os.utime(group, (0, 0))  # as if made long ago
    done = world.room("echo", "works", profile="limited")
    expect_equal((done.code, done.text), (0, "works\n"), f"the next run\n{done}")
    wait_until(lambda: not left.exists(), "the dead run's group to go")
    expect("populated 1" in (kept / "cgroup.events").read_text(), "the living room's group was harmed")
    living.send_signal(signal.SIGTERM)
    living.communicate(timeout=harness.DEADLINE)


if os.getuid() == 0 and "-l" not in sys.argv:
    in_delegated_group()
run_tests()
