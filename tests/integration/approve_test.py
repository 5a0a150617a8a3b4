"""agentbox approve: the questions of every session in one place, on a terminal and from scripts. The sessions here have
no rooms: a small program is broker and gate, and asks what a test tells it to."""

import contextlib
import json
import os
import pathlib
import re
import select
import signal
import socket
import stat
import subprocess
import threading

from harness import DEADLINE, ROOT, Failed, agentbox_binary, expect, expect_equal, need_program, run_tests, test, wait_until
from terminal import Pty, Tmux

PUSH = ["git", "push", "origin", "main"]


class Session:
    """A broker that asks; its folder is where a room's would be."""

    def __init__(self, world, name="pi-3fa2", seconds=120):
        self.world, self.name, self.tickets = world, name, 0
        folder = world.runtime / "agentbox"
        folder.mkdir(mode=0o700, exist_ok=True)
        self.folder = folder / name
        program = os.environ.get("AGENTBOX_BROKER_PEER") or str(ROOT / "build" / "tests" / "broker" / "broker_peer")
        self.process = world.start([program, self.folder, name, world.base / f"{name}.db", str(seconds)],
                                   stdin=subprocess.PIPE, bufsize=0)
        expect_equal(self.process.stdout.readline(), b"ready\n", "the session begins")

    @property
    def socket(self):
        return self.folder / "control.sock"

    def say(self, **what):
        self.process.stdin.write(json.dumps(what).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, *argv, **more):
        """The ticket; a question's id is the same number here."""
        self.say(ask=list(argv) or PUSH, **more)
        self.tickets += 1
        return str(self.tickets)

    def verdict(self):
        ready, _, _ = select.select([self.process.stdout], [], [], DEADLINE)
        expect(ready, "no verdict came")
        return json.loads(self.process.stdout.readline())

    def end(self):
        out, err = self.process.communicate(timeout=DEADLINE)
        expect_equal((self.process.returncode, err), (0, b""), "the session's end")
        return [json.loads(line) for line in out.splitlines()]

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None and self.process.poll() is None:
            self.end()
        elif self.process.poll() is None:
            self.kill()

    def kill(self):
        """And clears away what a killed session leaves."""
        self.process.kill()
        self.process.communicate()
        self.socket.unlink()
        self.folder.rmdir()


class Events:
    """agentbox approve --json."""

    def __init__(self, world, *words, **how):
        # Unbuffered, or a second event would lie where select doesn't see it.
        self.process = world.start([agentbox_binary(), "approve", "--json", *words], bufsize=0, **how)

    def next(self):
        ready, _, _ = select.select([self.process.stdout], [], [], DEADLINE)
        expect(ready, "no event came")
        return json.loads(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate(timeout=DEADLINE)


def listed(world, *words):
    done = world.agentbox("approve", "--list", "--json", *words)
    expect_equal(done.code, 0, f"--list {words}\n{done}")
    return [json.loads(line) for line in done.text.splitlines()]


def until_listed(world, count):
    """Polls until so many questions are open: asking is a pipe, and what comes through it is asked soon."""
    return wait_until(lambda: (found := listed(world)) and len(found) == count and found, f"{count} open questions")


# ---- scripts -----------------------------------------------------------------------------------------------------

@test("without a session there is nothing to list, and nothing to answer")
def nothing(world):
    done = world.agentbox("approve", "--list")
    expect_equal((done.code, done.text, done.errors), (0, "", "no question is open\n"), "--list")
    expect_equal(listed(world), [], "--list --json")
    done = world.agentbox("approve", "--answer", "7", "--once")
    expect_equal((done.code, done.text, done.errors),
                 (1, "", "agentbox: error: no question 7 is open\nhint: `agentbox approve --list` shows what is; it may "
                         "have been answered or have expired\n"), "--answer")
    done = world.agentbox("approve")
    expect_equal((done.code, done.text, done.errors),
                 (1, "", "agentbox: error: there is no terminal to show questions on\nhint: --list prints them, --json "
                         "what comes and goes, --answer gives an answer\n"), "without a terminal")


@test("the list has the questions of all sessions, the newest first, and whole")
def lists(world):
    with Session(world) as first, Session(world, "dev-0001") as second:
        first.ask(*PUSH, said="the tests pass")
        until_listed(world, 1)
        second.say(connect="example.org")
        questions = until_listed(world, 2)
        expect_equal([(each["session"], each["question"]["id"]) for each in questions],
                     [("dev-0001", "1"), ("pi-3fa2", "1")], "the newest first")
        question = questions[1]["question"]
        expect_equal([question[key] for key in ("kind", "subject", "form", "said", "title")],
                     ["command", "git push origin main", "quoted", "the tests pass", "run a command on your machine"],
                     "the question")
        expect(115_000 < question["deadline"] - question["sent"] <= 120_000, "the time that is left", question)
        lines = world.agentbox("approve", "--list").text.splitlines()
        expect_equal([line.split() for line in lines][0], ["ID", "LEFT", "KIND", "WHAT"], "the heads")
        expect(lines[1].startswith("dev-0001/1  ") and lines[1].endswith("  connect  example.org:443"), "a row", lines)
        expect(lines[2].startswith("pi-3fa2/1   ") and lines[2].endswith("  command  git push origin main"), "a row", lines)
        expect_equal([each["session"] for each in listed(world, "--in", "dev-0001")], ["dev-0001"], "--in")


@test("an answer is taken once, reaches the gate with its comment, and then there is no such question")
def answers(world):
    with Session(world) as session:
        for words, said, verdict in ((["--once"], "allowed once", "allow"), (["--deny"], "denied", "deny")):
            number = session.ask("make", f"step-{words[0]}")
            until_listed(world, 1)
            done = world.agentbox("approve", "--answer", f"pi-3fa2/{number}", *words, "--comment", "not on a friday")
            expect_equal((done.code, done.text, done.errors),
                         (0, f"pi-3fa2/{number} {said}: make step-{words[0]}\n", ""), str(words))
            got = session.verdict()
            expect_equal((got["verdict"], got["comment"]), (verdict, "not on a friday"), str(words))
            again = world.agentbox("approve", "--answer", f"pi-3fa2/{number}", *words)
            expect(again.code == 1 and f"no question pi-3fa2/{number} is open" in again.errors, "again", again)


@test("a yes for the session and for always is for the scope that was named, and is said")
def scopes(world):
    with Session(world) as session:
        number = session.ask(*PUSH)
        question = until_listed(world, 1)[0]["question"]
        expect(len(question["lasting_scopes"]) > 1, "a choice of scopes", question)
        done = world.agentbox("approve", "--answer", number, "--always", "--scope", "7")
        expect_equal((done.code, done.errors),
                     (1, f"agentbox: error: pi-3fa2/1 was not answered: this answer was not offered\nhint: it has "
                         f"{len(question['lasting_scopes'])} scopes, counted from 0\n"), "no such scope")
        done = world.agentbox("approve", "--answer", number, "--always", "--scope", "1")
        expect_equal((done.code, done.text), (0, "pi-3fa2/1 allowed always: git push origin main\n"
                                                 f"remembered: {question['lasting_scopes'][1]}\n"), "always")
        expect_equal(session.verdict()["rule"], question["lasting_scopes"][1], "the rule")
        session.ask(*PUSH)
        expect_equal(session.verdict()["verdict"], "allow", "remembered")
        number = session.ask("sh", "-c", "true")
        until_listed(world, 1)
        done = world.agentbox("approve", "--answer", number, "--always")
        expect(done.code == 1 and "this answer was not offered\nhint: not for always: " in done.errors, "a shell", done)
        expect_equal(world.agentbox("approve", "--answer", number, "--deny-session").code, 0, "deny for the session")
        session.verdict()
        session.ask("sh", "-c", "true")
        expect_equal(session.verdict()["verdict"], "deny", "remembered")


@test("a number alone means the one question that has it; where several have it the script must say which")
def ambiguous(world):
    with Session(world) as first, Session(world, "dev-0001") as second:
        first.ask("make", "one")
        second.ask("make", "two")
        until_listed(world, 2)
        done = world.agentbox("approve", "--answer", "1", "--once")
        expect(done.code == 1 and "several sessions have a question 1\nhint: name one: " in done.errors and
               "dev-0001/1" in done.errors and "pi-3fa2/1" in done.errors, "ambiguous", done)
        done = world.agentbox("approve", "--answer", "1", "--in", "dev-0001", "--deny")
        expect_equal((done.code, done.text), (0, "dev-0001/1 denied: make two\n"), "--in")
        expect_equal(second.verdict()["verdict"], "deny", "its session")
        done = world.agentbox("approve", "--answer", "1", "--once", "--json")
        expect_equal((done.code, json.loads(done.text)),
                     (0, {"session": "pi-3fa2", "id": "1", "answer": "once", "outcome": "taken", "reason": ""}),
                     "the one that is left")
        expect_equal(first.verdict()["verdict"], "allow", "its session")


@test("with a digest only the question that was looked at is answered")
def pinned(world):
    with Session(world) as session:
        number = session.ask("make")
        digest = until_listed(world, 1)[0]["question"]["digest"]
        done = world.agentbox("approve", "--answer", number, "--once", "--digest", "0" * 64)
        expect(done.code == 1 and "the digest is another question's" in done.errors, "another digest", done)
        done = world.agentbox("approve", "--answer", number, "--once", "--digest", "x")
        expect(done.code == 1 and "digest" in done.errors, "no digest", done)
        expect_equal(world.agentbox("approve", "--answer", number, "--once", "--digest", digest).code, 0, "its digest")
        expect_equal(session.verdict()["verdict"], "allow", "the verdict")


@test("--json tells what comes and goes, also of sessions that begin later or are killed")
def follows(world):
    with Events(world) as events, Session(world) as session:
        session.ask(*PUSH)
        event = events.next()
        expect_equal((event["event"], event["session"], event["question"]["subject"]),
                     ("added", "pi-3fa2", "git push origin main"), "added")
        session.ask("make")
        seen = [events.next() for _ in range(3)]
        expect_equal(sorted(each["event"] for each in seen), ["added", "changed", "changed"], "each waits for the other")
        session.say(terminal="once", id="1")
        expect_equal(events.next(), {"event": "gone", "session": "pi-3fa2", "id": "1", "verdict": "allow",
                                     "by": "terminal"}, "answered elsewhere")
        expect_equal(events.next()["event"], "changed", "none waits behind it")
        session.say(cancel=2)
        expect_equal(events.next(), {"event": "gone", "session": "pi-3fa2", "id": "2", "verdict": "cancelled",
                                     "by": "requester"}, "given up")
        late = Session(world, "late-0001", seconds=1)
        late.say(connect="example.org")
        expect_equal(events.next()["session"], "late-0001", "a later session")
        expect_equal(events.next(), {"event": "gone", "session": "late-0001", "id": "1", "verdict": "expired",
                                     "by": "clock"}, "expired")
        late.end()
        session.ask("make", "again")
        expect_equal(events.next()["event"], "added", "before it is killed")
        session.kill()
        expect_equal(events.next(), {"event": "gone", "session": "pi-3fa2", "id": "3", "verdict": "unavailable",
                                     "by": "fault"}, "killed")


@test("--json ends with its reader")
def reader_gone(world):
    process = world.start([agentbox_binary(), "approve", "--json"])
    process.stdout.close()
    expect(process.wait(timeout=DEADLINE) in (0, -signal.SIGPIPE), "its end", process.returncode)
    process.stderr.close()


@test("a dead session's socket, a foreign file and a session that says nothing harm no other")
def odd_folders(world):
    with Session(world) as session:
        session.ask("make")
        until_listed(world, 1)
        runtime = world.runtime / "agentbox"
        for name in ("dead", "file", "mute", "liar"):
            (runtime / name).mkdir(mode=0o700)
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(runtime / "dead" / "control.sock"))
        (runtime / "file" / "control.sock").write_text("no socket")
        mute, liar = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        mute.bind(str(runtime / "mute" / "control.sock"))
        mute.listen(8)
        liar.bind(str(runtime / "liar" / "control.sock"))
        liar.listen(8)

        def lie():
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = liar.accept()
                    peer.sendall(b'{"jsonrpc":"2.0","id":1,"result":{"\x1b[2J":1}}\n')
                    peer.close()
        threading.Thread(target=lie, daemon=True).start()
        done = world.agentbox("approve", "--list")
        expect(done.code == 1 and "pi-3fa2/1" in done.text, "the others are listed", done)
        expect_equal(sorted(line.split(": ")[2:] for line in done.errors.splitlines() if "error" in line),
                     [[f"{runtime}/liar/control.sock", "it does not speak this protocol", "this is not JSON in UTF-8"],
                      [f"{runtime}/mute/control.sock", "it does not answer"]], "the problems")
        expect(b"\x1b" not in done.err, "nothing for the terminal to act upon", done)
        done = world.agentbox("approve", "--answer", "1", "--once")
        expect_equal((done.code, session.verdict()["verdict"]), (0, "allow"), "answered among them")
        liar.shutdown(socket.SHUT_RDWR)
        liar.close()
        mute.close()
        for name in ("dead", "file", "mute", "liar"):
            (runtime / name / "control.sock").unlink()
            (runtime / name).rmdir()


class Forward:
    """As `ssh -L there:here`: what connects there is passed on, by another process of the same user."""
    PROGRAM = """
import os, select, socket, sys
listener = socket.socket(socket.AF_UNIX)
os.umask(0o177)
listener.bind(sys.argv[1])
listener.listen(8)
print("ready", flush=True)
pairs = {}
while True:
    for ready in select.select([listener, *pairs], [], [])[0]:
        if ready is listener:
            near, far = listener.accept()[0], socket.socket(socket.AF_UNIX)
            far.connect(sys.argv[2])
            pairs[near], pairs[far] = far, near
            continue
        data = ready.recv(65536) if ready in pairs else b""
        if data:
            pairs[ready].sendall(data)
        elif ready in pairs:
            other = pairs.pop(ready)
            del pairs[other]
            ready.close()
            other.close()
"""

    def __init__(self, world, there, here):
        self.process = world.start(["python3", "-c", self.PROGRAM, there, here])
        expect_equal(self.process.stdout.readline(), b"ready\n", "the forwarder")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


@test("through a forwarded socket the same questions are seen and answered")
def forwarded(world):
    there = world.base / "forwarded.sock"
    with Session(world) as session, Forward(world, there, session.socket):
        elsewhere = world.env(XDG_RUNTIME_DIR=str(world.home))  # another machine: no session of its own
        session.ask("make")
        until_listed(world, 1)
        expect_equal(world.agentbox("approve", "--list", env=elsewhere).errors, "no question is open\n", "without it")
        done = world.agentbox("approve", "--list", "--socket", there, env=elsewhere)
        expect(done.code == 0 and "pi-3fa2/1" in done.text, "--list", done)
        with Events(world, "--socket", str(there), env=elsewhere) as events:
            expect_equal(events.next()["event"], "added", "--json")
            done = world.agentbox("approve", "--socket", "../../forwarded.sock", "--answer", "1", "--deny",
                                  env=elsewhere, cwd=world.workspace)
            expect_equal((done.code, done.text), (0, "pi-3fa2/1 denied: make\n"), "--answer, by a relative path")
            expect_equal(events.next()["by"], "control", "gone")
        expect_equal(session.verdict()["verdict"], "deny", "the verdict")
        done = world.agentbox("approve", "--list", "--socket", world.base / "none.sock")
        expect_equal((done.code, done.errors), (1, f"agentbox: error: {world.base}/none.sock: cannot connect: No such "
                                                   "file or directory\n"), "a socket that is not there")
    (world.home / "agentbox").rmdir()


@test("a real room's question is answered by a script, and only what was allowed is done")
def room(world):
    world.profile("asks", 'extends = ["default"]\n[commands]\nask = ["cp **"]\n')
    (world.workspace / "here").write_text("x")
    for words, code in ((["--deny", "--comment", "not that one"], 77), (["--once"], 0)):
        process = world.start([agentbox_binary(), "run", "--on-ask", "queue", "asks", "--", "agentbox", "host", "--",
                               "cp", "here", "there"])
        question = until_listed(world, 1)[0]
        expect_equal(question["question"]["subject"], "cp here there", "the question")
        done = world.agentbox("approve", "--answer", f"{question['session']}/{question['question']['id']}", *words)
        expect_equal(done.code, 0, f"{words}\n{done}")
        out, err = process.communicate(timeout=DEADLINE)
        expect_equal(process.returncode, code, f"{words}\n{out}{err}")
        expect_equal((world.workspace / "there").exists(), code == 0, f"{words}: what was done")
        expect(code == 0 or b"not that one" in err, "the comment reaches the agent", err)


@test("a session that asks too often is listed, and what becomes of it is chosen by a script")
def flood(world):
    with Session(world) as session, Events(world) as events:
        for number in range(12):
            session.ask("make", str(number))
        added = 0
        while (event := events.next())["event"] != "flood" or event["flood"]["waiting"] != 12:
            added += event["event"] == "added"
        expect_equal(added, 10, "so many are shown")
        expect_equal((event["session"], event["flood"]["questions"], event["flood"]["latest"][0]),
                     ("pi-3fa2", 10, "make 11"), "the flood")
        done = world.agentbox("approve", "--list")
        expect("pi-3fa2/flood" in done.text and "asks too often: 10 questions in 10 minutes; 12 wait" in done.text,
               "--list", done)
        found = listed(world)
        expect_equal((found[0]["event"], [one["event"] for one in found[1:]]), ("flood", ["open"] * 10), "--list --json")
        for words, part in ((["--once"], "one of --pause, --deny-rest and --go-on"),
                            (["--go-on", "--pause"], "one of --pause"), (["--go-on", "--comment", "x"], "--comment")):
            done = world.agentbox("approve", "--answer", "pi-3fa2/flood", *words)
            expect(done.code == 2 and part in done.errors, f"{words}", done)
        done = world.agentbox("approve", "--answer", "1", "--go-on")
        expect(done.code == 2 and "--once" in done.errors, "a question has no such answer", done)
        done = world.agentbox("approve", "--answer", "flood", "--pause")
        expect_equal((done.code, done.text), (0, "pi-3fa2: the agent stands still\n"), "--pause")
        expect_equal(session.verdict(), {"motion": "pause"}, "it does")
        done = world.agentbox("approve", "--answer", "pi-3fa2/flood", "--go-on", "--json")
        expect_equal((done.code, json.loads(done.text)["outcome"]), (0, "taken"), "--go-on")
        expect_equal(session.verdict(), {"motion": "go_on"}, "it goes on")
        while (event := events.next())["event"] != "calm":
            expect(event["event"] in ("flood", "changed"), "what comes then", event)
        until_listed(world, 12)
        done = world.agentbox("approve", "--answer", "flood", "--go-on")
        expect_equal((done.code, done.errors), (1, "agentbox: error: no such session asks too often\nhint: `agentbox "
                                                   "approve --list` shows those that do\n"), "none any more")
        for number in range(10):
            session.ask("make", "more", str(number))
        while events.next()["event"] != "flood":
            pass
        done = world.agentbox("approve", "--answer", "flood", "--deny-rest")
        expect_equal(done.text, "pi-3fa2: no more questions, all are denied\n", "--deny-rest")
        expect_equal([said["verdict"] for said in session.end()], ["deny"] * 22, "all that waited, and what came after")


# ---- the terminal ------------------------------------------------------------------------------------------------

APPROVE = [agentbox_binary(), "approve"]


@contextlib.contextmanager
def console(world, *words, **how):
    with Tmux(world, **how) as tmux:
        tmux.line(f"{agentbox_binary()} approve {' '.join(words)}; echo \"code:\"$?")
        tmux.wait_for(lambda screen: "q leave" in screen or "q  leave" in screen)
        yield tmux
        tmux.send("q")
        screen = tmux.wait_for("code:0")
        expect("questions" not in screen and not tmux.alternate() and tmux.cursor_visible(), "the screen is back", screen)


def open_question(tmux, what):
    """Enter counts 300 ms after the list has changed: it is pressed until it does."""
    tmux.wait_for(what)
    end = lambda screen: "allow once" in screen
    for _ in range(100):
        tmux.send("Enter")
        with contextlib.suppress(Failed):
            return tmux.wait_for(end, timeout=0.5)
    raise Failed("the question does not open\n" + tmux.screen())


def press(tmux, key, until, **how):
    """A key counts after the quiet period: it is pressed until it does, well apart."""
    for _ in range(100):
        tmux.send(key)
        with contextlib.suppress(Failed):
            return tmux.wait_for(until, timeout=0.8, **how)
    raise Failed(f"{key} does nothing\n" + tmux.screen())


@test("on a terminal: nothing waits, a question comes, is opened, and allowed once")
def once(world):
    with Session(world) as session, console(world) as tmux:
        tmux.wait_for("nothing is waiting")
        tmux.wait_for("1 session")
        session.ask(*PUSH, said="the tests pass")
        screen = tmux.wait_for("git push origin main")
        expect("pi-3fa2" in screen and "command" in screen and "1 waiting" in screen, "the list", screen)
        screen = open_question(tmux, "git push origin main")
        expect("run a command on your machine" in screen and "the tests pass" in screen and "/usr/bin/git" in screen,
               "the question", screen)
        press(tmux, "o", "pi-3fa2/1: allowed once")
        expect_equal(session.verdict()["verdict"], "allow", "the verdict")
        tmux.wait_for("nothing is waiting")


@test("on a terminal: denied with a comment; q goes back and leaves a question open")
def deny(world):
    with Session(world) as session, console(world) as tmux:
        session.ask(*PUSH)
        open_question(tmux, "git push origin main")
        press(tmux, "q", "1 waiting")
        open_question(tmux, "git push origin main")
        press(tmux, "c", "comment:")
        tmux.type("quite not")
        tmux.wait_for("quite not")
        tmux.send("Enter")
        tmux.wait_for("the comment goes with your answer")
        press(tmux, "d", "pi-3fa2/1: denied")
        got = session.verdict()
        expect_equal((got["verdict"], got["comment"]), ("deny", "quite not"), "the verdict")


@test("on a terminal: what is answered elsewhere or expires goes from the screen, and it is said")
def elsewhere(world):
    with Session(world) as session, console(world) as tmux:
        session.ask(*PUSH)
        open_question(tmux, "git push origin main")
        session.say(terminal="deny", id="1")
        tmux.wait_for("pi-3fa2/1 was denied at the session's own terminal")
        tmux.wait_for("nothing is waiting")
        session.ask("make")
        open_question(tmux, "make")
        expect_equal(world.agentbox("approve", "--answer", "2", "--once").code, 0, "from a script")
        tmux.wait_for("pi-3fa2/2 was allowed elsewhere")
        with Session(world, "late-0001", seconds=3) as late:
            late.say(connect="example.org")
            open_question(tmux, "example.org")
            tmux.wait_for("late-0001/1 expired")
            expect_equal(late.verdict()["verdict"], "expired", "the verdict")


@test("on a terminal: a session that is killed takes its question from the screen")
def killed(world):
    with console(world) as tmux:
        session = Session(world)
        session.ask(*PUSH)
        open_question(tmux, "git push origin main")
        session.kill()
        tmux.wait_for("pi-3fa2 has ended")
        tmux.wait_for("no session runs")
        with Session(world) as again:
            again.ask("make")
            tmux.wait_for("make")


@test("on a terminal: the list and the question follow the window's size, and a tiny window only denies")
def resized(world):
    with Session(world) as session, console(world, width=100, height=30) as tmux:
        session.ask(*PUSH)
        open_question(tmux, "git push origin main")
        tmux("resize-window", "-x", "60", "-y", "14")
        tmux.wait_for(lambda screen: "git push origin main" in screen and "o  once" in screen)
        tmux("resize-window", "-x", "25", "-y", "6")
        tmux.wait_for("make this window")
        tmux.send("o")
        tmux("resize-window", "-x", "100", "-y", "30")
        tmux.wait_for("allow once")
        press(tmux, "q", "1 waiting")
        expect_equal(len(listed(world)), 1, "it is still open")
        tmux("resize-window", "-x", "45", "-y", "8")
        tmux.wait_for("1 waiting")


@test("on a terminal: many questions of many sessions, and the one that was chosen stays chosen")
def many(world):
    with Session(world) as first, Session(world, "dev-0001") as second, console(world) as tmux:
        for number in range(4):
            first.ask("make", f"target-{number}")
            tmux.wait_for(f"target-{number}")
        second.ask("make", "other")
        tmux.wait_for("5 waiting")
        # New ones come above; the first stays chosen until another is.
        tmux.wait_for(lambda screen: any(line.startswith(">") and "target-0" in line for line in screen.splitlines()))
        tmux.send("Up")
        tmux.send("Up")
        tmux.wait_for(lambda screen: any(line.startswith(">") and "target-2" in line for line in screen.splitlines()))
        second.ask("make", "another")
        tmux.wait_for("6 waiting")
        screen = open_question(tmux, "target-2")
        expect("make target-2" in screen and "target-3" not in screen, "the chosen one", screen)
        press(tmux, "d", "pi-3fa2/3: denied")
        expect_equal(first.verdict()["ticket"], 3, "the verdict")


@test("in a tmux popup")
def popup(world):
    tmux = need_program("tmux")
    with Session(world) as session, Pty(world, [tmux, "-S", world.base / "tmux", "-f", "/dev/null", "new-session"]) as pty:
        session.ask(*PUSH)
        until_listed(world, 1)
        pty.wait_for(b"[0] 0:")  # its status line: a popup needs somebody who is attached
        command = world.start([tmux, "-S", world.base / "tmux", "display-popup", "-w", "90%", "-h", "80%", "-E",
                               *APPROVE])
        pty.wait_for(b"git push origin main")
        pty.send(b"q")
        while command.poll() is None:
            pty.pump()
        out, err = command.communicate()
        expect_equal((command.returncode, out, err), (0, b"", b""), "the popup is gone")
        world.expect_ok([tmux, "-S", world.base / "tmux", "kill-server"])
        pty.wait()


@test("what an agent says does nothing to the terminal")
def hostile(world):
    odd = "\x1b[2J\x1b]0;x\x07\r\u202e"
    with Session(world) as session, Pty(world, APPROVE) as pty:
        session.ask("echo", odd, said=odd)
        session.ask("printf", odd)
        pty.wait_for(b"2 waiting")
        pty.wait_for(rb"\x1b[2J")
        # One clearing of the screen is our own.
        expect(pty.output.count(b"\x1b[2J") == 1 and not any(
            each in pty.output for each in (b"\x1b]", b"\x07", b"\r", "\u202e".encode())), "only text", pty.output)
        pty.send(b"q")
        expect_equal(pty.wait(), 0, "its end")
        expect_equal(pty.settings(), pty.before, "the terminal's settings")
    with Session(world) as session:
        session.ask("echo", odd, said=odd)
        until_listed(world, 1)
        for words in (["--list"], ["--list", "--json"], ["--answer", "1", "--deny"]):
            done = world.agentbox("approve", *words)
            bad = [byte for byte in done.out + done.err if byte < 32 and byte != 10 or byte > 126]
            expect(done.code == 0 and not bad, f"{words}: {bad}", done)


@test("NO_COLOR is respected")
def no_colour(world):
    for env, coloured in ((world.env(), True), (world.env(NO_COLOR="1"), False)):
        with Pty(world, APPROVE, env=env) as pty:
            pty.wait_for(b"nothing is waiting")
            pty.send(b"q")
            expect_equal(pty.wait(), 0, "its end")
            looks = {int(number) for look in re.findall(rb"\x1b\[([0-9;]+)m", pty.output) for number in look.split(b";")}
            expect_equal(any(number >= 30 for number in looks), coloured, f"colours: {looks}")


@test("a terminal that goes away, and a signal, end it and leave nothing changed")
def ends(world):
    with Session(world) as session:
        session.ask("make")
        until_listed(world, 1)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            with Pty(world, APPROVE) as pty:
                pty.wait_for(b"1 waiting")
                os.kill(pty.pid, number)
                expect_equal(pty.wait(), 128 + number, f"signal {number}")
                expect_equal(pty.settings(), pty.before, "the terminal's settings")
                expect(pty.output.rstrip().endswith(b"\x1b[?1049l") or b"\x1b[?1049l" in pty.output[-200:],
                       "the screen is given back", pty.output[-200:])
        tmux = Tmux(world)
        tmux.line(f"exec {agentbox_binary()} approve")
        tmux.wait_for("1 waiting")
        pid = tmux.pane_pid()
        tmux("kill-server")
        wait_until(lambda: not pathlib.Path(f"/proc/{pid}").exists() or
                   "State:\tZ" in pathlib.Path(f"/proc/{pid}/status").read_text(), "its end without a terminal")
        expect_equal(len(listed(world)), 1, "the question is still open")


@test("on a terminal: a session that asks too often is in the list, and its banner takes a choice or is left alone")
def flooded_console(world):
    with Session(world) as session, console(world) as tmux:
        for number in range(12):
            session.ask("make", str(number))
        screen = tmux.wait_for("asks too often: 10 questions in 10 minutes; 12 wait")
        expect("limit" in screen, "its kind", screen)
        for _ in range(100):
            tmux.send("Home", "Enter")
            with contextlib.suppress(Failed):
                tmux.wait_for("deny the rest of this session", timeout=0.8)
                break
        screen = tmux.wait_for("pi asked 10 questions in 10 minutes")
        expect("make 11" in screen and "pause the agent" in screen, "the banner", screen)
        tmux.send("q")
        tmux.wait_for("11 waiting")
        for _ in range(100):
            tmux.send("Home", "Enter")
            with contextlib.suppress(Failed):
                tmux.wait_for("deny the rest of this session", timeout=0.8)
                break
        press(tmux, "g", "pi-3fa2: goes on")
        tmux.wait_for("12 waiting")
        tmux.wait_for("asks too often", gone=True)


run_tests()
