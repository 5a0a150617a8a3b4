"""While git runs on the host, and while agentbox itself is stopped, nothing in the room runs: also not an agent that
has the kernel send it SIGCONT, or that is another process at each moment."""

import os
import re
import signal

from harness import agentbox_binary, expect, expect_equal, run_tests, test, wait_until
from terminal import Tmux

# Each appends to `count` for as long as it runs.
AGENT = r"""
import ctypes, os, signal, sys, time
libc = ctypes.CDLL(None)
count = os.open("count", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
signal.signal(signal.SIGCONT, lambda *_: None)

class Event(ctypes.Structure):
    _fields_ = [("value", ctypes.c_void_p), ("signo", ctypes.c_int), ("notify", ctypes.c_int), ("rest", ctypes.c_byte * 64)]

def timer(number):
    event, made = Event(None, number, 0), ctypes.c_void_p()
    assert libc.timer_create(1, ctypes.byref(event), ctypes.byref(made)) == 0
    return made

def start(made, seconds):
    whole = int(seconds)
    libc.timer_settime(made, 0, ctypes.byref((ctypes.c_long * 4)(0, 0, whole, int((seconds - whole) * 1e9))), None)

def work():
    os.write(count, b"x")
    time.sleep(0.0002)

mode = sys.argv[1]
if mode == "timer":
    made = timer(signal.SIGCONT)
    while True:
        start(made, 0.01)
        work()
if mode == "chain":
    while True:
        if os.fork():
            os._exit(0)
        os.write(count, b"x")
if mode == "parent":
    if os.fork():
        while not os.path.exists("soon"):
            time.sleep(0.001)
        while not os.path.exists("inside") or os.path.getsize("inside") < 120:
            time.sleep(0.001)
        start(timer(signal.SIGKILL), 0.6)
        while True:
            time.sleep(1)
    libc.prctl(1, signal.SIGCONT)
    while True:
        work()
"""

# The host's git reads the file at its beginning and at its end, and in between one that takes it a second or more.
LOOK = "git hash-object count big count"


def prepare(world):
    world.profile("looks", f'extends = ["default"]\n[commands]\nallow = ["{LOOK}"]\n')
    (world.workspace / "agent.py").write_text(AGENT)
    (world.workspace / "big").touch()
    os.truncate(world.workspace / "big", 600_000_000)
    world.expect_ok(["git", "init", "-q"])
    return world.workspace / "count"


def stands_still(world, mode):
    count = prepare(world)
    result = world.room("sh", "-c", f"python3 agent.py {mode} & until [ -s count ]; do sleep 0.01; done; touch soon; "
                        f"sha1sum count big count >inside; agentbox host -- {LOOK}; wc -c <count; sleep 0.5", profile="looks")
    hashes = re.findall(r"^[0-9a-f]{40}$", result.text, re.MULTILINE)
    inside = re.findall("^[0-9a-f]{40}", (world.workspace / "inside").read_text(), re.MULTILINE)
    expect(len(inside) == 3 and inside[0] != inside[2], f"the agent works while a program reads it in the room: {mode}", result)
    expect_equal(len(hashes), 3, f"what the host's git read\n{result}")
    expect_equal(hashes[2], hashes[0], f"what the agent has written while git ran on the host: {mode}\n{result}")
    thawed = int(re.findall(r"^\d+$", result.text, re.MULTILINE)[-1])
    expect(count.stat().st_size > thawed, f"the agent goes on: {mode}", result)


@test("an agent that a timer wakes stands still while git runs on the host")
def _(world):
    stands_still(world, "timer")


@test("an agent that is another process at each moment stands still while git runs on the host")
def _(world):
    stands_still(world, "chain")


@test("an agent that its parent's death wakes stands still while git runs on the host")
def _(world):
    stands_still(world, "parent")


QUIET = "(while :; do echo x >> count; sleep 0.1; done) & until [ -s count ]; do sleep 0.01; done; "
WORKER = QUIET.replace("echo x", "echo evil > .npmrc; echo x")


@test("an agent that stops itself leaves its guard at work, and SIGTERM ends the run")
def _(world):
    count = prepare(world)
    process = world.start([agentbox_binary(), "run", "default", "--", "sh", "-c", WORKER + "touch stops; kill -STOP $$"])
    wait_until(lambda: (world.workspace / "stops").exists(), "the agent to stop itself")
    for _ in range(3):  # the rest of the room goes on, and so does the guard
        before = count.stat().st_size
        wait_until(lambda: count.stat().st_size > before + 4, "the room to go on")
        wait_until(lambda: not (world.workspace / ".npmrc").exists(), "the file to be taken")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    expect(b"quarantined" in errors, "the guard has worked", errors)


@test("when its terminal's agent stops itself, the whole room stands still until fg")
def _(world):
    count = prepare(world)
    with Tmux(world) as terminal:
        terminal.line(f"{agentbox_binary()} run default -- sh -c '{QUIET}kill -STOP $$; echo gone on'")
        terminal.wait_for(lambda screen: "Stopped" in screen)
        before = count.stat().st_size
        terminal.line("sleep 1; echo waited-$((1+1))")
        terminal.wait_for(lambda screen: "waited-2" in screen)
        expect_equal(count.stat().st_size, before, "what the room wrote while agentbox was stopped")
        terminal.line("fg")
        terminal.wait_for(lambda screen: re.search(r"^gone on", screen, re.MULTILINE))
        wait_until(lambda: not terminal.alternate(), "the end")


if __name__ == "__main__":
    run_tests()
