"""A signal at every stage of the launch: kill -9 leaves nothing that runs and nothing unprotected, other signals end
the run cleanly.

Stages are made deterministic by strace, which sends the signal when the supervisor enters its N-th call of a kind; a
second test picks random moments, and so needs no strace. AGENTBOX_TEST_THOROUGH=1 tries every call.
"""

import collections
import contextlib
import os
import random
import re
import select
import signal
import subprocess

from harness import (Failed, Skipped, agentbox_binary, difference, expect, expect_equal, need_program, run_tests,
                     snapshot, test)
from processes import command_line, descendants, process_table

THOROUGH = os.environ.get("AGENTBOX_TEST_THOROUGH") == "1"
# An agent that tries, as the first thing, what the furnishing is there to prevent.
ATTACK = ("cat ~/.ssh/id_ed25519 > leaked; echo evil > .git/hooks/evil; echo evil >> .git/config; "
          "mkdir -p .vscode && echo evil > .vscode/tasks.json; cat /run/agentbox/host/etc/hostname > leaked-host; "
          "ls / > root; : > ran")
TRACES = ("ran", "leaked", "leaked-host", "root")


def attacked_room(world):
    world.expect_ok(["git", "init", "-q"])
    (world.workspace / "file").write_text("precious\n")
    expect_equal(world.room("true").code, 0, "a first run, which makes the state folder")
    return snapshot(world.workspace), state_files(world)


def state_files(world):
    top = world.home / ".local" / "state" / "agentbox"
    found = sorted(str(path.relative_to(top)) for path in top.rglob("*")) if top.is_dir() else []
    # Empty directories that the next room uses again.
    return [path for path in found if path.split("/")[0] != "spares"]


def nothing_bad(world, before, when, killed):
    left = world.leftovers(after_kill=killed)
    expect(not left, f"left behind after {when}", *left)
    leaked = world.workspace / "leaked"
    expect(not leaked.exists() or leaked.read_bytes() == b"", f"the secret was readable after {when}")
    host = world.workspace / "leaked-host"
    expect(not host.exists() or host.read_bytes() == b"", f"the host's tree was there after {when}")
    root = world.workspace / "root"
    for name in TRACES:
        (world.workspace / name).unlink(missing_ok=True)
    lines = difference(before, snapshot(world.workspace))
    # An empty directory may stay after kill -9, until the sweep.
    expect(all(killed and line.startswith("new: ") for line in lines) and not root.exists(),
           f"the workspace after {when}", *lines)
    return lines


def swept_clean(world, before, states):
    done = world.agentbox("doctor", "--sweep")
    expect(done.code in (0, 1), "doctor --sweep runs", done)
    expect_equal(difference(before, snapshot(world.workspace)), [], f"the workspace after the sweep\n{done}")
    expect_equal(state_files(world), states, f"the state folder after the sweep\n{done}")
    expect_equal(world.leftovers(), [], "all else after the sweep")


def has_started(process, when):
    """Did the agent say so, or did its end of the pipe close?"""
    if not select.select([process.stdout], [], [], 20)[0]:
        raise Failed(f"neither starts nor ends after {when}: {what_runs()}")
    return bool(process.stdout.readline())


def what_runs():
    return "; ".join(f"{pid}: {command_line(pid)}" for pid in descendants(os.getpid()))


def end_of(process, when):
    """What is left of the room may hold the other ends of its streams."""
    try:
        return process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        raise Failed(f"something still runs after {when}: {what_runs()}") from None


def command():
    return [agentbox_binary(), "run", "default", "--", "sh", "-c", ATTACK + "; echo started; exec sleep 1000"]


@test("control: the attack runs, and is refused everything")
def control(world):
    before, states = attacked_room(world)
    done = world.room("sh", "-c", ATTACK)
    expect(done.code == 0 and (world.workspace / "ran").exists(), "it ran", done)
    for reason in ("id_ed25519: No such file or directory", ".git/hooks/evil: Read-only file system",
                   "/run/agentbox/host/etc/hostname: No such file or directory"):
        expect(reason in done.errors, f"refused with {reason!r}", done)
    expect(re.search(r"\.git/config: (Read-only file system|Permission denied)", done.errors), ".git/config", done)
    nothing_bad(world, before, "an ordinary run", killed=False)
    expect_equal(state_files(world), states, "the state folder")


@test("kill -9 of the supervisor at 200 random moments leaves nothing that runs and nothing unprotected")
def random_kills(world):
    before, states = attacked_room(world)
    dice = random.Random(4711)
    ran = 0
    for attempt in range(200):
        delay = dice.uniform(0, 0.04)
        process = world.start(command())
        try:
            out, err = process.communicate(timeout=delay)
            raise Failed(f"ended by itself in attempt {attempt}: {process.returncode} {out} {err}")
        except subprocess.TimeoutExpired:
            process.kill()
            out, _ = end_of(process, f"kill -9 after {delay * 1000:.1f} ms (attempt {attempt})")
        ran += b"started" in out
        nothing_bad(world, before, f"kill -9 after {delay * 1000:.1f} ms (attempt {attempt})", killed=True)
    print(f"# in {ran} of 200 attempts the agent had started")
    swept_clean(world, before, states)


def calls(world):
    """(name, n): the supervisor's n-th call of that name, in order."""
    need_program("strace")
    log = world.base / "trace"
    done = world.run(["strace", "-o", log, agentbox_binary(), "run", "default", "--", "true"])
    if done.code == 1 and "ptrace" in done.errors:
        raise Skipped("strace may not trace here")
    expect_equal(done.code, 0, f"control: runs under strace\n{done}")
    seen, result = collections.Counter(), []
    for name in re.findall(r"^(\w+)\(", log.read_text(errors="replace"), re.M):
        seen[name] += 1
        result.append((name, seen[name]))
    return result


def stages(world, bound):
    everything = calls(world)
    if THOROUGH or len(everything) <= bound:
        return everything
    # Each kind's first calls, then an even selection of the rest.
    first = [entry for entry in everything if entry[1] <= 2]
    rest = [entry for entry in everything if entry[1] > 2]
    step = max(1, len(rest) // max(1, bound - len(first)))
    chosen = set(first + rest[::step])
    return [entry for entry in everything if entry in chosen]


def traced(world, name, number, signal_name, **how):
    return world.start(["strace", "-qq", "-o", "/dev/null", "-e", f"trace={name}", "-e",
                        f"inject={name}:signal={signal_name}:when={number}", *command()], **how)


@test("kill -9 of the supervisor at each of its system calls")
def every_stage(world):
    before, states = attacked_room(world)
    tried = stages(world, 250)
    print(f"# {len(tried)} stages")
    for name, number in tried:
        process = traced(world, name, number, "KILL")
        # Where the call doesn't come in this run, the agent does: then it is an ordinary late kill.
        started = has_started(process, f"kill -9 at {name} number {number}")
        for pid in children_of(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        when = f"kill -9 at {name} number {number} (started: {started})"
        end_of(process, when)
        nothing_bad(world, before, when, killed=True)
    swept_clean(world, before, states)


def make(number):
    name = signal.Signals(number).name.removeprefix("SIG")

    @test(f"SIG{name} at each stage ends the run with {128 + number} and leaves nothing")
    def ends(world):
        before, states = attacked_room(world)
        for call, count in stages(world, 80):
            process = traced(world, call, count, name)
            if has_started(process, f"SIG{name} at {call} number {count}"):
                # The call did not come before the agent started (or comes only at the end): send it by hand.
                for pid in children_of(process.pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
            out, err = end_of(process, f"SIG{name} at {call} number {count}")
            expect(process.returncode in (128 + number, -number), f"exit code after SIG{name} at {call} number {count}",
                   process.returncode, err)
            nothing_bad(world, before, f"SIG{name} at {call} number {count}", killed=False)
            expect_equal(state_files(world), states, "the state folder")

    return ends


def children_of(pid):
    return [child for child, (parent, state, _) in process_table().items() if parent == pid and state not in "ZX"]


for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    make(one)


@test("a signal while the agent runs reaches nobody else, and the room ends")
def running(world):
    before, states = attacked_room(world)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        process = world.start(command())
        expect_equal(process.stdout.readline(), b"started\n", "the room is up")
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        expect_equal(process.returncode, 128 + number, f"exit code after {number.name}: {err}")
        nothing_bad(world, before, number.name, killed=False)
    expect_equal(state_files(world), states, "the state folder")


@test("an agent that ignores SIGTERM does not keep the room alive")
def stubborn(world):
    before, _ = attacked_room(world)
    process = world.start([agentbox_binary(), "run", "default", "--", "sh", "-c",
                           "trap '' TERM INT HUP; echo started; while :; do sleep 0.1; done"])
    expect_equal(process.stdout.readline(), b"started\n", "the room is up")
    process.terminate()
    process.communicate(timeout=30)
    expect_equal(process.returncode, 143, "exit code")
    nothing_bad(world, before, "SIGTERM", killed=False)


run_tests()
