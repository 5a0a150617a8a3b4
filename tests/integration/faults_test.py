"""Bad input and faults at the broker, in a real room: whatever the agent sends and whoever goes away, it is denied with a
reason that it can read, nothing hangs, nothing leaks, nothing is left."""

import json
import os
import signal
import time

from harness import agentbox_binary, expect, expect_equal, run_tests, test, wait_until
from processes import descendants
from room_client import open_questions, refused_without_rows, Room, RULES, verdicts
from terminal import Tmux

MEBIBYTE = 1 << 20

# ---- who may answer ------------------------------------------------------------------------------------------------

@test("control.sock is in no place of the room, and a path to it leads nowhere")
def control(world):
    with Room(world, '''
asking = connect()
asking.sendall(line(1, "cp", "a", "b"))
path = wait().strip()
found = []
for folder, names, files in os.walk("/"):
    names[:] = [] if folder == "/proc" else names
    found += [os.path.join(folder, name) for name in files if name == "control.sock"]
def reach(path):
    try:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(path)
        return "connected"
    except OSError as error:
        return os.strerror(error.errno)
own = [reach(f"/proc/{pid}/root{path}") for pid in os.listdir("/proc") if pid.isdigit()]
say([found, reach(path), sorted(set(own)), reach("/run/agentbox/request.sock")])
wait()
''') as room:
        question, = open_questions(world, 1)
        sockets = list((world.runtime / "agentbox").glob("*/control.sock"))
        expect_equal(len(sockets), 1, "control: outside it is there, and shows the question")
        room.go_on(sockets[0])
        found, by_path, by_proc, request = room.hear()
        expect_equal((found, by_path), ([], "No such file or directory"), "from the room")
        expect(set(by_proc) <= {"No such file or directory", "Permission denied"}, "through processes", by_proc)
        expect_equal(request, "connected", "control: the other socket can be reached so")
        expect_equal([one["id"] for one in open_questions(world, 1)], [question["id"]], "the question is still open")
        room.go_on()
        room.end()


@test("an id is worth nothing on another connection, twice, or after its end; nothing on request.sock answers")
def forged(world):
    with Room(world, '''
asking, other = connect(), connect()
asking.sendall(line(1, "cp", "a", "b"))
wait()
for id in (1, 2, 7):
    other.sendall(about("request.cancel", id) + about("command.signal", id, signal=9))
    other.sendall(about("command.resize", id, terminal={"rows": 1, "columns": 1}))
for method in ("question.answer", "questions.list", "questions.subscribe", "session.show", "session.choose"):
    other.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method,
                              "params": {"id": "1", "digest": "0" * 64, "answer": "once"}}).encode() + b"\\n")
say([hear(other)["error"]["code"] for _ in range(5)])
# A verdict is what the broker says, not what it is told.
other.sendall(b'{"jsonrpc":"2.0","id":1,"result":{"verdict":"allow","reason":"r"}}\\n')
say(hear(other)["error"]["code"])
asking.sendall(line(1, "cp", "c", "d"))
say(hear(asking)["error"]["message"])
say(works())
wait()
asking.sendall(about("request.cancel", 1))
say(hear(asking)["result"]["verdict"])
asking.sendall(about("request.cancel", 1) + about("command.signal", 1, signal=9))
asking.sendall(line(1, "cp", "e", "f"))
wait()
''') as room:
        open_questions(world, 1)
        room.go_on()
        expect_equal(room.hear(), [-32601] * 5, "unknown methods")
        expect_equal(room.hear(), -32600, "a result is no request")
        expect_equal(room.hear(), "this id is that of an open request", "the same id again")
        expect_equal(room.hear(), True, "control: the other connection works")
        expect_equal([one["subject"] for one in open_questions(world, 1)], ["cp a b"], "still open")
        room.go_on()
        expect_equal(room.hear(), "cancelled", "control: on its own connection it can be given up")
        question, = open_questions(world, 1)
        expect_equal(question["subject"], "cp e f", "what came before the request does not touch it")
        room.go_on()
        room.end()
    expect_equal(verdicts(world), [("allow", "rule"), ("cancelled", "requester"), ("cancelled", "requester")], "on record")


@test("the agent can't press the owner's keys: not by its terminal, a second one, or an ioctl")
def own_keys(world):
    world.profile("asks", RULES)
    (world.workspace / "keys.py").write_text('''
import fcntl, os, pty, subprocess, termios, time
asking = subprocess.Popen(["agentbox", "host", "--", "cp", "/dev/null", "copied"])
said = []
for turn in range(30):
    for key in (b"o", b"y", b"\\n"):
        for target in ("/dev/tty", "/dev/pts/0", "/proc/self/fd/0"):
            try:
                fd = os.open(target, os.O_RDWR | os.O_NOCTTY)
                os.write(fd, key)
                fcntl.ioctl(fd, termios.TIOCSTI, key)
                said.append("typed")
            except OSError as error:
                said.append(os.strerror(error.errno))
    time.sleep(0.1)
master, slave = pty.openpty()
second = subprocess.Popen(["sh", "-c", "agentbox host -- cp /dev/null copied"], stdin=slave, stdout=slave, stderr=slave,
                          start_new_session=True)
os.write(master, b"oy\\n" * 10)
open("said", "w").write(repr(sorted(set(said))))
print("code", asking.wait(), second.wait())
''')
    with Tmux(world) as terminal:
        terminal.line(f"{agentbox_binary()} run asks -- python3 keys.py")
        terminal.wait_for("run a command on your machine")
        wait_until(lambda: (world.workspace / "said").exists(), "all keys were pressed")
        expect("typed" not in (world.workspace / "said").read_text(), "TIOCSTI", (world.workspace / "said").read_text())
        expect("run a command on your machine" in terminal.screen(), "it is still asked", terminal.screen())
        expect(not (world.workspace / "copied").exists(), "nothing was done")
        terminal.wait_for_keys("run a command on your machine")
        terminal.type("o")  # control: the owner's key is one
        wait_until(lambda: (world.workspace / "copied").exists(), "the owner's yes")
        terminal.wait_for("code 0")


# ---- what is no message ----------------------------------------------------------------------------------------------

@test("100 MB without a newline, 10,000 lines of rubbish, invalid UTF-8: refused, and nobody else is held up")
def rubbish(world):
    with Room(world, '''
say(works())
wait()
long = connect()
try:
    for _ in range(100):
        long.sendall(b"x" * 1000000)
except OSError:
    pass
say([hear(long), hear(long)])
other = connect()
other.sendall(b'{"jsonrpc":"2.0","id":1,"method":"status","x":"\\xff\\xfe"}\\n')
say(hear(other)["error"]["code"])
say(works())
rubbish, refusals = connect(), 0
try:
    for _ in range(10000):
        rubbish.sendall(b"\\x00\\xc3\\x28{[\\n")
except OSError:
    pass
while hear(rubbish):
    refusals += 1
say(refusals)
say(works())
wait()
''') as room:
        expect_equal(room.hear(), True, "control: it works")
        before = room.memory
        room.go_on()
        first, second = room.hear()
        expect_equal((first["error"]["code"], first["error"]["message"], second),
                     (-32700, "a line is at most 65536 bytes long", None), "too long: refused, then closed")
        expect_equal(room.hear(), -32700, "invalid UTF-8")
        expect_equal(room.hear(), True, "and the connection goes on")
        expect_equal(room.hear(), 16, "sixteen lines of rubbish are refused, then it is closed")
        expect_equal(room.hear(), True, "others are served")
        expect(room.memory - before < 4 * MEBIBYTE, "memory", room.memory - before)
        room.go_on()
        room.end()


@test("half a line is waited for ten seconds, by one connection alone")
def half(world):
    with Room(world, '''
half = connect()
half.sendall(b'{"jsonrpc":"2.0","id":1,"method":"sta')
begin = time.monotonic()
say(works())
said = hear(half)
say([said["error"]["message"], hear(half)])
say(9 < time.monotonic() - begin < 25)
whole = connect()
whole.sendall(b'{"jsonrpc":"2.0","id":1,"method":"sta')
time.sleep(1)
whole.sendall(b'tus"}\\n')
say(hear(whole)["result"]["session"] != "")
''') as room:
        expect_equal(room.hear(), True, "meanwhile others are served")
        expect_equal(room.hear(), ["the rest of a line did not come", None], "refused and closed")
        expect_equal(room.hear(), True, "after ten seconds")
        expect_equal(room.hear(), True, "control: in two pieces, but whole")
        room.end()


# ---- too much ----------------------------------------------------------------------------------------------------------

@test("10,000 questions: few are open, fewer shown, the rest is denied at once, and the supervisor stays small")
def questions(world):
    with Room(world, '''
say(works())
wait()
connections, said = [connect() for _ in range(40)], collections.Counter()
def listen():
    for client in connections:
        while client.has_something():
            told = hear(client)
            said[told["result"]["verdict"] if "result" in told else told["error"]["code"]] += 1
for round in range(250):
    for number, client in enumerate(connections):
        client.sendall(line(round, "cp", f"from{number}-{round}", "to"))
    listen()
say(works())
while sum(said.values()) < 10000 - 64:
    listen()
say(said)
wait()
''') as room:
        expect_equal(room.hear(), True, "control: it works")
        before = room.memory
        room.go_on()
        expect_equal(room.hear(), True, "a rule decides at once, in the middle of it")
        said = room.hear()
        # 64 are open, and no connection may have more of them.
        expect_equal((sum(said.values()), set(said) <= {"deny", "-32000"}), (10000 - 64, True), said)
        denied = said["deny"]
        open_questions(world, 10)
        expect(room.memory - before < 24 * MEBIBYTE, "memory", room.memory - before)
        room.go_on()
        room.end()
    said = verdicts(world)
    alone = said.count(("deny", "limit"))
    expect(300 <= alone < denied, "not each of them has rows of its own", alone, denied)
    expect_equal(alone + refused_without_rows(world), denied, "the rest is on record as denied")
    expect_equal(said.count(("cancelled", "requester")), 64, "those that were open ended with their requester")
    expect_equal(world.agentbox("log", "--verify").code, 0, "the chain")


@test("1,000 connections: 64 are served, the others are told so, and all is well when they are gone")
def connections(world):
    with Room(world, '''
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (4000, 4000))
say(works())
wait()
all = [connect() for _ in range(1000)]
told = 0
for client in all[64:]:
    answer = hear(client)
    told += answer is not None and answer.get("error", {}).get("code") == -32000
say(told)
for client in all[:64]:
    client.sendall(b'{"jsonrpc":"2.0","id":1,"method":"status"}\\n')
say(sum("result" in hear(client) for client in all[:64]))
wait()
for client in all:
    client.close()
say(works())
wait()
''', more='[limits]\nopen_files = 4096\n') as room:
        expect_equal(room.hear(), True, "control: it works")
        before = room.descriptors
        room.go_on()
        expect_equal(room.hear(), 1000 - 64, "told that there are too many")
        expect_equal(room.hear(), 64, "served")
        expect(room.descriptors <= before + 66, "descriptors", before, room.descriptors)
        room.go_on()
        expect_equal(room.hear(), True, "and again when they are gone")
        wait_until(lambda: room.descriptors <= before + 4, "the descriptors are closed")
        room.go_on()
        room.end()


@test("descriptors that are sent along, a thousand of them, are closed; a command has none of them")
def sent_descriptors(world):
    with Room(world, '''
say(works())
wait()
client, secret = connect(), os.open("/etc/passwd", os.O_RDONLY)
for turn in range(8):
    text = line(turn, "cat", "/proc/self/status") if turn == 7 else b'{"jsonrpc":"2.0","id":%d,"method":"status"}\\n' % turn
    client.sendmsg([text], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [secret] * 250))])
heard = [hear(client) for _ in range(8)]
say(["result" in one for one in heard])
# Without a line: they stay in the socket until it is read.
idle = connect()
for turn in range(4):
    idle.sendmsg([b" "], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [secret] * 250))])
say(works())
wait()
''') as room:
        expect_equal(room.hear(), True, "control: it works")
        before = room.descriptors
        room.go_on()
        expect_equal(room.hear(), [True] * 8, "what came with them is answered")
        expect_equal(room.hear(), True, "others are served")
        wait_until(lambda: room.descriptors <= before + 6, "they are closed", 10)
        room.go_on()
        room.end()


@test("an answer that nobody reads ends the connection, not the broker")
def unread(world):
    with Room(world, '''
say(works())
wait()
client = connect()
sent = 0
try:
    while sent < 200000:
        client.sendall(b'{"jsonrpc":"2.0","id":%d,"method":"status"}\\n' % sent)
        sent += 1
except OSError:
    pass
say(sent)
say(works())
wait()
''') as room:
        expect_equal(room.hear(), True, "control: it works")
        before = room.memory
        room.go_on()
        expect(room.hear() < 200000, "it is closed at some time")
        expect_equal(room.hear(), True, "others are served")
        expect(room.memory - before < 8 * MEBIBYTE, "memory", room.memory - before)
        room.go_on()
        room.end()


# ---- who goes away -----------------------------------------------------------------------------------------------------

@test("the shim is killed, or its whole agent, in the middle of a question: the question goes, and is recorded as cancelled")
def requester_dies(world):
    with Room(world, '''
import signal, subprocess
shim = subprocess.Popen(["agentbox", "host", "--", "cp", "a", "b"])
wait()
shim.kill()
say(shim.wait())
wait()
shim = subprocess.Popen(["agentbox", "host", "--", "cp", "c", "d"])
wait()
os.kill(os.getpid(), signal.SIGKILL)
''') as room:
        first, = open_questions(world, 1)
        room.go_on()
        expect_equal(room.hear(), -9, "the shim is dead")
        open_questions(world, 0)
        room.go_on()
        second, = open_questions(world, 1)
        expect_equal((first["subject"], second["subject"]), ("cp a b", "cp c d"), "the questions")
        room.go_on()
        room.end(code=137)
    expect_equal(verdicts(world), [("cancelled", "requester")] * 2, "on record")
    expect(not (world.workspace / "b").exists() and not (world.workspace / "d").exists(), "nothing was done")


@test("the terminal goes away in the middle of a question: denied, the room ends, nothing is left")
def terminal_goes(world):
    world.profile("asks", RULES)
    for how in ("kill-session", "SIGHUP"):
        (world.workspace / "a").write_text("x")
        with Tmux(world) as terminal:
            terminal.line(f"{agentbox_binary()} run asks -- agentbox host -- cp a b")
            terminal.wait_for("run a command on your machine")
            room, = json.loads(world.agentbox("ps", "--json").text)
            if how == "kill-session":
                terminal("kill-session")
            else:
                os.kill(room["pid"], signal.SIGHUP)
            wait_until(lambda: room["pid"] not in descendants(os.getpid()), f"{how}: the room ends", 20)
        wait_until(lambda: not descendants(os.getpid()), "all are dead")
        expect_equal(list((world.runtime / "agentbox").iterdir()), [], f"{how}: sessions")
        expect(not (world.workspace / "b").exists(), f"{how}: nothing was done")
    said = verdicts(world)
    expect(len(said) == 2 and all(verdict in ("unavailable", "cancelled") for verdict, _ in said), "on record", said)


run_tests()
