#!/usr/bin/env python3
"""What does it cost that every wish of the agent's comes before the broker?

First bench_broker, within one process: a ruling, a remembered answer with its record on a disk and on a tmpfs, 10,000
questions in a burst. Then what a user gets: a real room, a client in it on request.sock, and a script on control.sock
that answers. Prints tables with ratios from one run; fails only if a question is lost or something is allowed that must
not be.

usage: broker.py BENCH_BROKER [--quick]     AGENTBOX_BIN, AGENTBOX_PROFILES and AGENTBOX_TEST_USER as in the tests
"""

import argparse
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "integration"))
import harness  # noqa: E402
import processes  # noqa: E402

PROFILE = """extends = ["default"]
[commands]
allow = ["test *"]
ask = ["true **"]
[approval]
questions = "%s"
timeout = "%s"
"""

# In the room. One request at a time: from its first byte to the verdict, and to the end of the command.
CLIENT = r"""
import json, os, socket, sys, time
kind, times = sys.argv[1], int(sys.argv[2])
sock = socket.socket(socket.AF_UNIX)
sock.connect("/run/agentbox/request.sock")
lines = sock.makefile("rb")
verdicts, ends = [], []
for number in range(times + times // 10 + 1):
    argv = {"asked": ["true", str(number)], "remembered": ["true", "remembered"], "allowed": ["test", "x"]}[kind]
    begin = time.perf_counter()
    sock.sendall(json.dumps({"jsonrpc": "2.0", "id": number, "method": "request.command",
                             "params": {"argv": argv, "directory": os.getcwd()}}).encode() + b"\n")
    for line in lines:
        now, message = time.perf_counter(), json.loads(line)
        if "error" in message or message.get("result", {}).get("verdict", "allow") != "allow":
            sys.exit(f"not allowed: {message}")
        if "result" in message:
            verdicts.append(now - begin)
        elif message["method"] == "command.exited":
            ends.append(now - begin)
            break
first = len(verdicts) - times
print(json.dumps([verdicts[first:], ends[first:]]))
"""

# In the room. All at once, over several connections; each question is another one.
FLOOD = r"""
import collections, json, os, select, socket, sys
count, connections = int(sys.argv[1]), 8
socks = []
for number in range(connections):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect("/run/agentbox/request.sock")
    sock.setblocking(False)
    socks.append(sock)
out = [bytearray() for _ in socks]
for number in range(count):
    out[number % connections] += json.dumps({"jsonrpc": "2.0", "id": number, "method": "request.command", "params": {
        "argv": ["true", str(number)], "directory": os.getcwd()}}).encode() + b"\n"
into, heard = [b""] * connections, collections.Counter()
while sum(heard.values()) < count:
    readable, writable, _ = select.select(socks, [each for at, each in enumerate(socks) if out[at]], [], 60)
    if not readable and not writable:
        break
    for at, sock in enumerate(socks):
        if sock in writable:
            del out[at][:sock.send(out[at][:65536])]
        if sock in readable:
            data = sock.recv(65536)
            if not data:
                sys.exit("the connection was closed")
            *lines, into[at] = (into[at] + data).split(b"\n")
            for line in lines:
                message = json.loads(line)
                heard[message["result"]["verdict"] if "result" in message else message["error"]["message"]] += 1
print(json.dumps(heard))
"""


class Script:
    """On control.sock: answers each question as it comes."""

    def __init__(self, path, answer):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.answer, self.number = answer, 1
        self.say("questions.subscribe")
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def say(self, method, **params):
        message = {"jsonrpc": "2.0", "id": self.number, "method": method}
        self.number += 1
        if params:
            message["params"] = params
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def run(self):
        for line in self.socket.makefile("rb"):
            message = json.loads(line)
            result = message.get("result", {})
            found = result.get("questions", []) if isinstance(result, dict) else []
            if message.get("method") == "question.added":
                found = [message["params"]["question"]]
            for question in found:
                self.say("question.answer", id=question["id"], digest=question["digest"], answer=self.answer)


def half_and_nearly_all(seconds):
    ordered = sorted(each * 1e6 for each in seconds)
    return ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]


def row(what, seconds, bare=None):
    half, nearly_all = half_and_nearly_all(seconds)
    note = f"{half / half_and_nearly_all(bare)[0]:.1f} times the bare round trip" if bare else ""
    print(f"  {what:56}{half:10.1f}{nearly_all:10.1f}  {note}", flush=True)


def bare_round_trips(times):
    """A line of the same length to another process and back, by the same interpreter."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        while data := theirs.recv(65536):
            theirs.sendall(data)
        os._exit(0)
    theirs.close()
    line, found = b"x" * 119 + b"\n", []
    for _ in range(times + 100):
        begin = time.perf_counter()
        ours.sendall(line)
        ours.recv(65536)
        found.append(time.perf_counter() - begin)
    ours.close()
    os.waitpid(child, 0)
    return found[100:]


class Room:
    """A room with a Python script in it, and what belongs to it outside."""

    def __init__(self, world, state, script, *words, profile):
        world.profile("bench", profile)
        self.world = world
        environment = world.env(XDG_STATE_HOME=state)
        self.process = world.start([harness.agentbox_binary(), "run", "--on-ask", "queue", "bench", "--", "python3", "-c",
                                    script, *words], env=environment)
        sockets = harness.wait_until(lambda: list((world.runtime / "agentbox").glob("*/control.sock"))
                                     or self.process.poll() is not None, "the room stands")
        if sockets is True:
            sys.exit(self.process.communicate()[1].decode())
        self.control = sockets[0]

    def memory(self):
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith(("VmRSS", "VmHWM"))}

    def end(self):
        out, err = self.process.communicate(timeout=600)
        if self.process.returncode != 0:
            sys.exit(f"the room's client failed:\n{out.decode()}{err.decode()}")
        return json.loads(out)


def ask(state, kind, times, answer):
    world = harness.World()
    try:
        room = Room(world, state, CLIENT, kind, str(times), profile=PROFILE % ("100000/1min", "1min"))
        Script(room.control, answer)
        return room.end()
    finally:
        world.remove()


def real_room(state, where, times, bare):
    print(f"\na real room, the record on {where}: a client in it, a script that answers on control.sock")
    row("for comparison: a line to a process and back", bare)
    for kind, answer, words in (("allowed", "deny", "allowed by a rule: to the verdict"),
                                ("remembered", "session", "a remembered answer: to the verdict"),
                                ("asked", "once", "a question, answered by the script: to the verdict")):
        verdicts, ends = ask(state, kind, times, answer)
        row(words, verdicts, bare)
        if kind == "asked":
            row("the same, to the end of the command (true)", ends)


def flood(state, where, count):
    world = harness.World()
    try:
        room = Room(world, state, FLOOD, str(count), profile=PROFILE % ("10/10min", "5s"))
        before = room.memory()["VmRSS"]
        most, stop = [0], threading.Event()

        def watch():
            while not stop.wait(0.05):
                try:
                    most[0] = max(most[0], room.memory()["VmHWM"])
                except (OSError, KeyError):
                    return
        watcher = threading.Thread(target=watch)
        watcher.start()
        heard = room.end()
        stop.set()
        watcher.join()
        print(f"\n{count} questions at once from a real room, nobody answers, the record on {where}")
        for what, number in sorted(heard.items(), key=lambda each: -each[1]):
            print(f"  {number:6} {what}")
        print(f"  memory of the supervisor: {before / 1024:.1f} MiB at the start, {most[0] / 1024:.1f} MiB at most")
        if sum(heard.values()) != count or heard.get("allow", 0) != 0:
            sys.exit("broker.py: a question was lost, or allowed")
    finally:
        world.remove()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bench_broker")
    parser.add_argument("--quick", action="store_true", help="the real room only, and few rounds")
    options = parser.parse_args()
    sys.argv = [os.path.abspath(word) if os.path.exists(word) else word for word in sys.argv]
    harness.become_ordinary()
    processes.adopt_orphans()
    times = 50 if options.quick else 500
    disk = tempfile.mkdtemp(prefix="agentbox-bench.", dir=harness.world_folder())
    memory = tempfile.mkdtemp(prefix="agentbox-bench.", dir="/dev/shm")
    try:
        if options.quick:
            print(f"microseconds{'p50':>56}{'p99':>10}")
        else:
            subprocess.run([options.bench_broker, disk, memory], check=True)
        bare = bare_round_trips(2000)
        real_room(disk + "/state", "a disk", times, bare)
        real_room(memory + "/state", "a tmpfs", times, bare)
        flood(memory + "/state", "a tmpfs", 10_000)
    finally:
        shutil.rmtree(disk)
        shutil.rmtree(memory)


main()
