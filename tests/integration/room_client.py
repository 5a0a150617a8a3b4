"""A room in which a client speaks to the broker by itself, line by line: for tests of what a hostile one may send."""

import contextlib
import json
import os
import pathlib
import re
import subprocess

from harness import DEADLINE, agentbox_binary, expect, expect_equal, wait_until

RULES = '''extends = ["default"]
[commands]
allow = ["pwd", "cat **"]
ask = ["cp **", "sleep **"]
'''

# A client in the room: it speaks to the socket by itself, and to the test over its own stdin and stdout.
CLIENT = r'''
import array, collections, json, os, select, socket, sys, time
class Connection(socket.socket):
    def __init__(self):
        super().__init__(socket.AF_UNIX)
        self.connect("/run/agentbox/request.sock")  # waits while the queue is full
        self.settimeout(50)
        self.held = b""
    def hear(self):
        # The next message; None at the end.
        while b"\n" not in self.held:
            try:
                part = self.recv(65536)
            except ConnectionResetError:
                part = b""
            if not part:
                return None
            self.held += part
        line, _, self.held = self.held.partition(b"\n")
        return json.loads(line)
    def has_something(self):
        return b"\n" in self.held or bool(select.select([self], [], [], 0)[0])
connect = Connection
def hear(client):
    return client.hear()
def line(id, *argv, **params):
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": "request.command",
                       "params": {"argv": argv, "directory": os.getcwd(), **params}}).encode() + b"\n"
def about(method, id, **params):
    return json.dumps({"jsonrpc": "2.0", "method": method, "params": {"id": id, **params}}).encode() + b"\n"
def works():
    # The positive control: what a rule allows runs, now.
    client = connect()
    client.sendall(line(4711, "pwd"))
    first = hear(client)
    return first is not None and first.get("result", {}).get("verdict") == "allow"
def say(value):
    print(json.dumps(value), flush=True)
def wait():
    return sys.stdin.readline()
'''


class Room:
    """A room in which a client runs."""

    def __init__(self, world, script, on_ask="queue", more=""):
        world.profile("asks", RULES + more)
        (world.workspace / "client.py").write_text(CLIENT + script)
        self.world = world
        self.process = world.start([agentbox_binary(), "run", "--on-ask", on_ask, "asks", "--", "python3", "client.py"],
                                   stdin=subprocess.PIPE)

    def hear(self):
        line = self.process.stdout.readline()
        if not line:
            expect(False, "the client in the room says something", *self.rest())
        return json.loads(line)

    def rest(self):
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.communicate(timeout=1)
        return ("it still runs",)

    def go_on(self, text=""):
        self.process.stdin.write(f"{text}\n".encode())
        self.process.stdin.flush()

    def end(self, code=0):
        out, err = self.process.communicate(timeout=DEADLINE)
        expect_equal(self.process.returncode, code, f"the room's exit code\n{out}\n{err}")
        return err.decode()

    @property
    def memory(self):
        """Of the supervisor: resident bytes, at their highest."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.split("VmHWM:")[1].split()[0]) * 1024

    @property
    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.kill() if kind else self.process.terminate()
            self.process.communicate(timeout=DEADLINE)


def open_questions(world, count):
    def listed():
        done = world.agentbox("approve", "--list", "--json")
        found = [json.loads(line) for line in done.text.splitlines()]
        found = [one["question"] for one in found if "question" in one]
        return len(found) == count and (found or True)
    return wait_until(listed, f"{count} open questions")


def command_rows(world):
    return [json.loads(line) for line in world.agentbox("log", "--json", "--kind", "command").text.splitlines()]


def verdicts(world):
    return [(row["verdict"], row["by"]) for row in command_rows(world) if row["what"] == "verdict"]


def refused_without_rows(world):
    """How many requests are on record only as a number."""
    said = [re.search(r"(\d+) more commands were refused within a minute", str(row["detail"]))
            for row in command_rows(world)]
    return sum(int(one[1]) for one in said if one)
