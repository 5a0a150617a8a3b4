"""agentbox broker: the broker without a room, for a caller that has its confinement elsewhere. Here the caller is
`agentbox host`, or a few lines of Python that speak to the socket."""

import json
import os
import signal
import socket
import stat

from harness import DEADLINE, agentbox_binary, expect, expect_equal, run_tests, snapshot, test, wait_until
from processes import descendants
from terminal import Tmux

RULES = '''extends = ["default"]
[commands]
allow = ["pwd", "cat **", "sleep **", "tty"]
ask = ["cp **", "sh **"]
deny = ["date **"]
'''


class Broker:
    """One that is told to wait for its answers; `session` once it answers."""

    def __init__(self, world, *options, profile="asks", on_ask="queue", **how):
        world.profile("asks", RULES)
        self.world = world
        read, write = os.pipe()
        self.process = world.start([agentbox_binary(), "broker", "--on-ask", on_ask, "--status-fd", str(write),
                                    *options, profile], pass_fds=[write], **how)
        os.close(write)
        self.events = os.fdopen(read)
        line = self.events.readline()
        expect(line, "it begins", self.process.communicate(timeout=DEADLINE) if not line else "")
        began = json.loads(line)
        expect_equal((began["event"], began["pid"]), ("started", self.process.pid), "the first event")
        self.session, self.socket = began["session"], began["socket"]
        self.folder = os.path.dirname(self.socket)

    def host(self, *argv, **how):
        return self.world.agentbox("host", "--in", self.session, "--", *argv, **how)

    def ask(self, *argv, **how):
        """Asks and does not wait."""
        return self.world.start([agentbox_binary(), "host", "--in", self.session, "--", *argv], **how)

    def connect(self):
        client = socket.socket(socket.AF_UNIX)
        client.connect(self.socket)
        client.settimeout(DEADLINE)
        return client

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=DEADLINE)
        expect_equal(self.process.returncode, 0, f"the broker's end\n{out}\n{err}")
        expect_equal([json.loads(line) for line in self.events], [{"event": "ended", "exit_code": 0}], "the last event")
        self.events.close()
        expect(not os.path.exists(self.folder), "its folder is gone")
        return err.decode()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            if kind is None:
                self.end()
            else:
                self.process.kill()
                self.process.communicate()
        self.events.close()


def open_questions(world, count):
    def listed():
        done = world.agentbox("approve", "--list", "--json")
        found = [json.loads(line) for line in done.text.splitlines()]
        return len(found) == count and found
    return wait_until(listed, f"{count} open questions")


def verdicts(world, *words):
    done = world.agentbox("log", "--json", *words)
    rows = [json.loads(line) for line in done.text.splitlines()]
    return [(row["verdict"], row["by"]) for row in rows if row["what"] == "verdict"]


@test("a rule allows, a rule denies, and both are on record under the session's name")
def rules(world):
    with Broker(world, "--name", "side") as broker:
        expect_equal(broker.session, "side", "the name")
        done = broker.host("pwd")
        expect_equal((done.code, done.text, done.errors), (0, f"{world.workspace}\n", ""), "in the workspace")
        done = broker.host("cat", input=b"what the caller has\n")
        expect_equal((done.code, done.text), (0, "what the caller has\n"), "its input")
        done = broker.host("date")
        expect(done.code == 77 and "date **" in done.errors, "denied", done)
        done = broker.host("no-such-program-anywhere")
        expect(done.code == 77 and "no rule" in done.errors, "what no rule names", done)
    expect_equal(verdicts(world, "--session", "side"), [("allow", "rule"), ("allow", "rule"), ("deny", "rule"),
                                                        ("deny", "rule")], "on record")
    expect_equal(world.agentbox("log", "--verify").code, 0, "the chain")


@test("a command runs in the workspace and in what the profile grants, and nowhere else")
def places(world):
    (world.home / "notes").mkdir()
    (world.workspace / "sub").mkdir()
    (world.workspace / "out").symlink_to(world.home)
    world.profile("noted", RULES + '[files]\nread = ["~/notes"]\n')
    with Broker(world, profile="noted") as broker:
        for folder in (world.workspace, world.workspace / "sub", world.home / "notes"):
            done = broker.host("pwd", cwd=folder)
            expect_equal((done.code, done.text), (0, f"{folder}\n"), f"in {folder}")
        for folder in (world.home, world.home / ".ssh", "/", "/tmp"):
            done = broker.host("pwd", cwd=folder)
            expect(done.code == 126 and "is neither: change the directory" in done.errors, f"in {folder}", done)


@test("a question waits for `agentbox approve`, and what was allowed is done as it was asked")
def asked(world):
    (world.workspace / "a").write_text("content\n")
    with Broker(world) as broker:
        client = broker.ask("cp", "a", "b")
        found = open_questions(world, 1)[0]
        expect_equal((found["session"], found["question"]["subject"]), (broker.session, "cp a b"), "the question")
        expect(not (world.workspace / "b").exists(), "nothing is done before the yes")
        answered = world.agentbox("approve", "--answer", f"{broker.session}/{found['question']['id']}", "--once")
        expect_equal(answered.code, 0, f"{answered}")
        expect_equal(client.wait(timeout=DEADLINE), 0, "the client's exit code")
        client.communicate()
        expect_equal((world.workspace / "b").read_text(), "content\n", "the copy")
        client = broker.ask("cp", "a", "c")
        found = open_questions(world, 1)[0]
        world.agentbox("approve", "--answer", found["question"]["id"], "--deny", "--comment", "not this one")
        _, err = client.communicate(timeout=DEADLINE)
        expect(client.returncode == 77 and b"not this one" in err, "the no", err)
        expect(not (world.workspace / "c").exists(), "not copied")
        said = broker.end()
    expect("1 allowed, 1 denied; 2 questions" in said, "its last words", said)
    expect_equal(verdicts(world), [("allow", "human"), ("deny", "human")], "on record")


@test("the question is asked on the broker's own terminal, with nothing beneath it")
def on_terminal(world):
    world.profile("asks", RULES)
    (world.workspace / "a").write_text("content\n")
    with Tmux(world) as terminal:
        terminal.line(f"{agentbox_binary()} broker --name side asks")
        screen = terminal.wait_for("agentbox host --in side -- COMMAND")
        expect("request.sock" in screen.replace("\n", ""), "where it answers, on as many lines as it takes", screen)
        client = world.start([agentbox_binary(), "host", "--in", "side", "--why", "a test", "--", "cp", "a", "b"])
        screen = terminal.wait_for_keys("run a command on your machine")
        expect("cp a b" in screen and "a test" in screen, "the question", screen)
        terminal.type("o")
        expect_equal(client.wait(timeout=DEADLINE), 0, "the client's exit code")
        client.communicate()
        screen = terminal.wait_for(lambda shown: "run a command" not in shown)
        expect("agentbox host --in side" in screen, "the screen from before", screen)
        # Where no question is shown Ctrl-C ends it, and the shell has its terminal again.
        before = terminal.settings()
        terminal.send("C-c")
        terminal.wait_for("1 allowed, 0 denied; 1 question;")
        _, code = terminal.command("true")
        expect_equal(code, 0, "the shell")
        expect(before[3] and not list((world.runtime / "agentbox").glob("side")), "its folder is gone")


@test("Ctrl-Z stops it as any program, and fg goes on")
def suspended(world):
    world.profile("asks", RULES)
    with Tmux(world) as terminal:
        terminal.line(f"{agentbox_binary()} broker --name side asks")
        terminal.wait_for("agentbox host --in side")
        terminal.send("C-z")
        terminal.wait_for("Stopped")
        terminal.line("fg")
        wait_until(lambda: world.agentbox("host", "--in", "side", "--", "pwd").code == 0, "it answers again")
        terminal.send("C-c")
        terminal.wait_for("1 allowed")


@test("ps lists it, stop ends it, and each of the signals does; a command that runs is ended too")
def ends(world):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        with Broker(world) as broker:
            listed = json.loads(world.agentbox("ps", "--json").text)
            expect_equal([(one["session"], one["kind"], one["pid"]) for one in listed],
                         [(broker.session, "broker", broker.process.pid)], "ps")
            client = broker.ask("sleep", "1000")
            wait_until(lambda: [pid for pid in descendants(broker.process.pid)], "the command runs")
            broker.end(number)
            _, err = client.communicate(timeout=DEADLINE)
            expect(client.returncode == 125 and b"has closed the connection" in err, f"signal {number}", err)
            wait_until(lambda: not descendants(os.getpid()), "nothing runs")
            rows = [json.loads(line) for line in
                    world.agentbox("log", "--json", "--session", broker.session).text.splitlines()]
            expect_equal([row["what"] for row in rows],
                         ["session_began", "request", "verdict", "outcome", "session_ended"], "on record, in this order")
            expect("the session has ended" in rows[3]["detail"]["outcome"], "what came of the command", rows[3])
    with Broker(world) as broker:
        expect("(broker)" in world.agentbox("ps").text, "ps")
        expect_equal(world.agentbox("stop", broker.session).text, f"{broker.session} stopped\n", "stop")
        broker.process.communicate(timeout=DEADLINE)
        expect_equal(broker.process.returncode, 0, "its exit code")


@test("a session's name is taken once, and free again after kill -9; what that left goes with the next or with --sweep")
def names(world):
    with Broker(world, "--name", "side") as broker:
        again = world.agentbox("broker", "--name", "side", "asks")
        expect_equal((again.code, again.errors),
                     (1, "agentbox: error: a session called side is running\nhint: `agentbox ps` lists them\n"), "twice")
        expect_equal(broker.host("pwd").code, 0, "the first is not disturbed")
        broker.process.kill()
        broker.process.communicate()
    expect(os.path.exists(broker.folder), "control: kill -9 leaves its folder")
    with Broker(world, "--name", "side") as second:
        expect_equal(second.host("pwd").code, 0, "the second")
        second.process.kill()
        second.process.communicate()
    with Broker(world, "--name", "other"):
        expect(not os.path.exists(second.folder), "a later start clears it")
    for how in (["doctor", "--sweep"], ["ps"]):
        with Broker(world, "--name", "side") as third:
            third.process.kill()
            third.process.communicate()
        expect(os.path.exists(third.folder), "it is there")
        expect_equal(world.agentbox(*how).code, 0, f"{how}")
        expect(not os.path.exists(third.folder), f"{how} clears it")
    for wrong in ("", "Side", "a/b", "..", "x" * 33, "a b"):
        done = world.agentbox("broker", f"--name={wrong}" if wrong else "--name=", "asks")
        expect(done.code == 2 and done.errors.count("error:") == 1, f"the name {wrong!r}", done)


@test("kill -9 in the middle of a question, and while a command runs: the client hears it, nothing runs on")
def killed(world):
    with Broker(world) as broker:
        asking, running = broker.ask("cp", "a", "b"), broker.ask("sleep", "1000")
        open_questions(world, 1)
        wait_until(lambda: descendants(broker.process.pid), "the command runs")
        broker.process.kill()
        broker.process.communicate()
        for client in (asking, running):
            _, err = client.communicate(timeout=DEADLINE)
            expect(client.returncode == 125 and b"has closed the connection" in err, "the client hears it", err)
        wait_until(lambda: not descendants(os.getpid()), "nothing runs")
    world.agentbox("doctor", "--sweep")


@test("both sockets are for this user alone, in a folder of his")
def private(world):
    with Broker(world) as broker:
        expect_equal(stat.S_IMODE(os.stat(broker.folder).st_mode), 0o700, "the folder")
        names = sorted(os.listdir(broker.folder))
        expect_equal(names, ["control.sock", "request.sock", "session.json"], "what is in it")
        for name in names:
            expect_equal(stat.S_IMODE(os.stat(f"{broker.folder}/{name}").st_mode), 0o600, name)
    with Broker(world, on_ask="deny") as broker:
        expect("control.sock" not in os.listdir(broker.folder), "nobody can answer: no control.sock")
        done = broker.host("cp", "a", "b")
        expect(done.code == 75 and "nobody watches this session" in done.errors, "the reason", done)


@test("git is not run for a caller that can't be made to stand still")
def git(world):
    world.expect_ok(["git", "init", "-q"])
    world.profile("fetches", 'extends = ["default"]\n[commands]\nallow = ["git fetch **"]\n')
    with Broker(world, profile="fetches") as broker:
        done = broker.host("git", "fetch", "origin")
        expect(done.code == 126 and "can't stop you meanwhile" in done.errors, "the reason", done)
    expect_equal(verdicts(world), [("deny", "fault")], "on record")


@test("a command may have a terminal, by the client's wish")
def terminals(world):
    with Broker(world) as broker:
        done = world.agentbox("host", "--in", broker.session, "--tty", "--", "tty")
        expect(done.code == 0 and done.text.startswith("/dev/pts/"), "with", done)
        done = world.agentbox("host", "--in", broker.session, "--no-tty", "--", "tty")
        expect_equal((done.code, done.text), (1, "not a tty\n"), "without")


@test("a client without agentbox: AGENTBOX_SOCKET, --socket, and a line of JSON")
def clients(world):
    with Broker(world) as broker:
        by_variable = world.agentbox("host", "--", "pwd", env=world.env(AGENTBOX_SOCKET=broker.socket))
        expect_equal((by_variable.code, by_variable.text), (0, f"{world.workspace}\n"), "AGENTBOX_SOCKET")
        by_option = world.agentbox("host", "--socket", broker.socket, "--", "pwd")
        expect_equal((by_option.code, by_option.text), (0, f"{world.workspace}\n"), "--socket")
        with broker.connect() as client, client.makefile() as lines:
            client.sendall(b'{"jsonrpc":"2.0","id":7,"method":"status"}\n')
            answer = json.loads(lines.readline())
            expect_equal((answer["id"], answer["result"]["session"]), (7, broker.session), "status")
    done = world.agentbox("host", "--", "pwd")
    expect(done.code == 125 and "there is no broker at /run/agentbox/request.sock" in done.errors, "none", done)
    done = world.agentbox("host", "--in", "no-such", "--", "pwd")
    expect_equal((done.code, done.errors), (125, "agentbox: error: no session no-such is running\n"
                                                 "hint: `agentbox ps` lists them\n"), "none of that name")


@test("what it can't serve is refused before anything is made")
def refused(world):
    world.profile("asks", RULES)
    world.profile("unbuilt", 'extends = ["default"]\n[workspace]\nmode = "review"\n')
    before = snapshot(world.base)
    for words, code, part in ((["unbuilt"], 1, "not built yet"), (["no-such"], 1, "no profile is called"),
                              ([], 2, "missing PROFILE"), (["-w", "/", "asks"], 1, "workspace"),
                              (["--on-ask", "x", "asks"], 2, "--on-ask is one of"),
                              (["--status-fd", "99", "asks"], 1, "--status-fd 99 is not an open descriptor"),
                              (["--wrokspace", "x", "asks"], 2, "did you mean '--workspace'?")):
        done = world.agentbox("broker", *words)
        expect(done.code == code and part in done.errors, f"broker {words}", done)
    expect_equal(snapshot(world.base), before, "nothing was made")


run_tests()
