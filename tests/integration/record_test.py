"""agentbox log and agentbox rules, on a record that a small program fills through the Store."""

import contextlib
import json
import os
import re
import sqlite3
import stat
import subprocess

from harness import ROOT, agentbox_binary, expect, expect_equal, run_tests, snapshot, test, wait_until
from terminal import Pty

DAY = 86_400_000
BASE = 1_700_611_200_000  # 2023-11-22 00:00 UTC
SESSION = {"session": "pi-k3f9", "profile": "pi"}
PUSH = dict(SESSION, question="q1", kind="command", summary="git push origin main")
HOST = dict(SESSION, session="pi-0002", question="q2", kind="connect", summary="example.org:443")
ANSWER = {"profile": "pi", "kind": "command", "verdict": "allow", "shown": "git push origin *", "created": BASE}


def record_file(world):
    return world.home / ".local" / "state" / "agentbox" / "agentbox.db"


class Writer:
    """Stays open, as a session does."""

    def __init__(self, world):
        program = os.environ.get("AGENTBOX_RECORD_ROWS") or str(ROOT / "build" / "tests" / "store" / "record_rows")
        self.process = world.start([program, record_file(world)], stdin=subprocess.PIPE)

    def write(self, *lines):
        for line in lines:
            self.process.stdin.write(json.dumps(line).encode() + b"\n")
            self.process.stdin.flush()
            expect_equal(self.process.stdout.readline(), b"ok\n", f"a row\n{line}")

    def close(self):
        out, err = self.process.communicate(timeout=60)
        expect_equal((self.process.returncode, out, err), (0, b"", b""), "the writer")


@contextlib.contextmanager
def writing(world, *lines):
    writer = Writer(world)
    writer.write(*lines)
    yield writer
    writer.close()


def fill(world, *more):
    with writing(world, dict(SESSION, what="session_began", at=BASE), dict(PUSH, what="request", at=BASE + 1000),
                 dict(PUSH, what="verdict", at=BASE + 2000, verdict="allow", by="human"),
                 dict(PUSH, what="outcome", at=BASE + 3000, detail='{"exit_code":0}'),
                 dict(HOST, what="request", at=BASE + DAY),
                 dict(HOST, what="verdict", at=BASE + DAY + 1, verdict="deny", by="rule"), *more):
        pass


def numbers(world, *words):
    done = world.agentbox("log", "--json", *words)
    expect_equal(done.code, 0, f"log {words}\n{done}")
    return [json.loads(line)["number"] for line in done.text.splitlines()]


@test("without a record, log and rules say so kindly, and begin none")
def none_yet(world):
    before = snapshot(world.base)
    for words, said in ((["log"], "nothing is on record yet: it begins with the first room that asks for something\n"),
                        (["log", "--verify"],
                         "nothing is on record yet: it begins with the first room that asks for something\n"),
                        (["rules"], "no answer is remembered\n")):
        done = world.agentbox(*words)
        expect_equal((done.code, done.text, done.errors), (0, "", said), f"{words}")
    expect_equal(world.agentbox("rules", "--json").text, "[]\n", "rules --json")
    done = world.agentbox("rules", "revoke", "1")
    expect_equal((done.code, done.errors),
                 (1, "agentbox: error: no answer 1 is remembered\n"
                     "hint: `agentbox rules` lists them, with --all also those that ended\n"), "revoke")
    expect_equal(snapshot(world.base), before, "nothing was made")


@test("the log is a table of what was asked, who decided and what was done")
def table(world):
    fill(world)
    done = world.agentbox("log", env=world.env(TZ="UTC"))
    expect_equal(done.text, """\
WHEN                 SESSION  VERDICT  BY     KIND     SUMMARY
2023-11-22 00:00:00  pi-k3f9  began                    profile pi
2023-11-22 00:00:01  pi-k3f9  asked           command  git push origin main
2023-11-22 00:00:02  pi-k3f9  allow    human  command  git push origin main
2023-11-22 00:00:03  pi-k3f9  done            command  git push origin main
2023-11-23 00:00:00  pi-0002  asked           connect  example.org:443
2023-11-23 00:00:00  pi-0002  deny     rule   connect  example.org:443
""", "the table")
    expect_equal(stat.S_IMODE(os.stat(record_file(world)).st_mode), 0o600, "the record's mode")


@test("the log's filters leave what they name")
def filters(world):
    fill(world)
    expect_equal(numbers(world), [1, 2, 3, 4, 5, 6], "all")
    expect_equal(numbers(world, "--session", "pi-0002"), [5, 6], "session")
    expect_equal(numbers(world, "--kind", "command"), [2, 3, 4], "kind")
    expect_equal(numbers(world, "--verdict", "deny"), [6], "verdict")
    expect_equal(numbers(world, "-n", "2"), [5, 6], "-n")
    expect_equal(numbers(world, "--session", "pi-k3f9", "-n", "2"), [3, 4], "session and -n")
    expect_equal(numbers(world, "--since", "2023-11-22T00:00:02Z", "--until", "2023-11-23T00:00:00Z"), [3, 4], "times")
    expect_equal(numbers(world, "--until", "2000-01-01"), [], "long ago")
    empty = world.agentbox("log", "--until", "2000-01-01")
    expect_equal((empty.code, empty.text, empty.errors), (0, "", "nothing on record fits that\n"), "nothing fits")
    wrong = world.agentbox("log", "--since", "soon\x1b[2J", "--until", "later")
    expect_equal((wrong.code, wrong.text), (2, ""), f"no times\n{wrong}")
    expect("--since takes a time, not 'soon\\x1b[2J'" in wrong.errors and "--until takes a time" in wrong.errors,
           "both are named, escaped", wrong)


@test("JSON has the row's hash and its detail as an object")
def as_json(world):
    fill(world)
    rows = [json.loads(line) for line in world.agentbox("log", "--json").text.splitlines()]
    expect_equal(rows[3]["detail"], {"exit_code": 0}, "detail")
    expect_equal(rows[3]["at"], "2023-11-22T00:00:03.000Z", "at")
    for before, after in zip(rows, rows[1:]):
        expect_equal(after["previous"], before["hash"], "the chain")


@test("whatever bytes are on record, the terminal gets none that it would act upon")
def hostile(world):
    odd = "\x00\x1b[2J\x1b]52;c;eA==\x07\r\n\u009b31m\u00ff\u00fe\\"  # each below 256 is one byte
    fill(world, dict(PUSH, what="verdict", at=BASE, summary=odd, session=odd, kind=odd, verdict=odd, by=odd,
                     profile=odd, detail=odd, question=odd, digest=odd),
         {"remember": dict(ANSWER, shown=odd, profile=odd, kind=odd, session=odd)})
    for words in (["log"], ["log", "--json"], ["rules"], ["rules", "--all"], ["rules", "--json"]):
        done = world.agentbox(*words, env=world.env(TERM="xterm-256color"))
        expect_equal(done.code, 0, f"{words}\n{done}")
        bad = [byte for byte in done.out if byte < 32 and byte != 10 or byte == 127]
        expect(not bad and b"\xff" not in done.out and b"\xc2\x9b" not in done.out, f"control bytes: {bad}", done)
        if "--json" not in words:
            expect("\\x1b[2J" in done.text, f"{words}: shown as text", done)
    expect_equal(world.agentbox("log", "--verify").code, 0, "verify")
    done = world.agentbox("rules", "revoke", "1")
    expect(done.code == 0 and "\x1b" not in done.text, "revoke", done)


@test("--follow goes on with what comes, and ends with its reader")
def follow(world):
    process = world.start([agentbox_binary(), "log", "--follow", "--json", "--kind", "connect"])
    expect_equal(process.stderr.readline(), b"nothing is on record yet; waiting\n", "before there is a record")
    with writing(world, dict(PUSH, what="request", at=BASE), dict(HOST, what="request", at=BASE)) as writer:
        expect_equal(json.loads(process.stdout.readline())["number"], 2, "the first that fits")
        writer.write(dict(PUSH, what="verdict", at=BASE, verdict="deny"))
        for first in (4, 34):
            writer.write(*[dict(HOST, what="verdict", at=BASE, verdict="deny")] * 30)
            seen = [json.loads(process.stdout.readline())["number"] for _ in range(30)]
            expect_equal(seen, list(range(first, first + 30)), "nothing is lost or told twice")
    process.stdout.close()
    expect_equal(process.wait(timeout=60), 0, "its reader went away")


@test("--follow begins with the last rows, or as many as asked for")
def follow_last(world):
    fill(world, *[dict(HOST, what="request", at=BASE)] * 20)
    for words, count in (([], 10), (["-n", "3"], 3), (["--since", "2000-01-01"], 26)):
        process = world.start([agentbox_binary(), "log", "--follow", "--json", *words])
        seen = [json.loads(process.stdout.readline())["number"] for _ in range(count)]
        expect_equal(seen, list(range(27 - count, 27)), f"{words}")
        process.stdout.close()
        expect_equal(process.wait(timeout=60), 0, "its end")


def tamper(world, sql):
    with contextlib.closing(sqlite3.connect(record_file(world), isolation_level=None)) as database:
        for trigger in ("audit_no_update", "audit_no_delete"):
            database.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        database.executescript(sql)


@test("--verify says that the record is whole, and where it is not")
def verify(world):
    fill(world)
    whole = world.agentbox("log", "--verify")
    last = json.loads(world.agentbox("log", "--json", "-n", "1").text)["hash"]
    expect_equal((whole.code, whole.text), (0, f"the record is whole: 6 rows, the last hash is {last}\n"), "whole")
    expect_equal(json.loads(world.agentbox("log", "--verify", "--json").text),
                 {"whole": True, "rows": 6, "hash": last, "number": 0, "what": ""}, "whole, as JSON")
    copy = record_file(world).read_bytes()
    for sql, what in (
            ("UPDATE audit SET verdict = 'allow' WHERE number = 6", "row 6 was changed"),
            ("UPDATE audit SET at = at + 1 WHERE number = 1", "row 1 was changed"),
            ("DELETE FROM audit WHERE number = 2", "row 2 is missing"),
            ("DELETE FROM audit WHERE number = 6", "row 6 at the end is missing"),
            ("UPDATE audit SET number = 0 WHERE number = 2; UPDATE audit SET number = 2 WHERE number = 3;"
             "UPDATE audit SET number = 3 WHERE number = 0", "row 3 stands where row 2 was")):
        tamper(world, sql)
        done = world.agentbox("log", "--verify")
        expect_equal((done.code, done.text, done.errors),
                     (1, "", f"agentbox: error: the record is not as it was written: {what}\nhint: what stands before "
                             "that is whole; keep a copy of the file, and ask who could write it\n"), sql)
        found = world.agentbox("log", "--verify", "--json")
        expect_equal((found.code, json.loads(found.text)["what"]), (1, what), sql)
        for beside in ("-wal", "-shm"):
            (record_file(world).parent / ("agentbox.db" + beside)).unlink(missing_ok=True)
        record_file(world).write_bytes(copy)
    expect_equal(world.agentbox("log", "--verify").code, 0, "the copy is whole")


@test("a record that can't be used is an error with its reason")
def broken(world):
    record_file(world).parent.mkdir(parents=True, mode=0o700)
    record_file(world).write_text("this is no database, and it is long enough that nobody would take it for an empty one")
    record_file(world).chmod(0o600)
    for words in (["log"], ["log", "--verify"], ["rules"], ["rules", "revoke", "1"]):
        done = world.agentbox(*words)
        expect_equal((done.code, done.text, done.errors),
                     (1, "", f"agentbox: error: cannot read the record {record_file(world)}: file is not a database\n"
                             "hint: keep it for a look, and move it away: agentbox then begins a new one\n"), str(words))
    record_file(world).unlink()
    fill(world)
    record_file(world).chmod(0o666)
    done = world.agentbox("log")
    expect_equal((done.code, done.errors.splitlines()[0]),
                 (1, f"agentbox: error: cannot trust the record {record_file(world)}: others may write it"), "its mode")


@test("rules lists what is remembered, and takes it back")
def rules(world):
    fill(world, {"remember": ANSWER},
         {"remember": dict(ANSWER, kind="connect", verdict="deny", session="pi-k3f9", shown="example.org:443")},
         {"remember": dict(ANSWER, shown="git pull", expires=BASE + 1)}, {"use": 1, "at": BASE}, {"use": 1, "at": BASE})
    utc = world.env(TZ="UTC")
    expect_equal(world.agentbox("rules", env=utc).text, """\
ID  PROFILE  FOR      ANSWER  KIND     SINCE             USED  WHAT
1   pi       always   allow   command  2023-11-22 00:00  2     git push origin *
2   pi       pi-k3f9  deny    connect  2023-11-22 00:00  0     example.org:443
""", "those that hold")
    everything = json.loads(world.agentbox("rules", "--json", "--all").text)
    expect_equal([(rule["id"], rule["holds"]) for rule in everything], [(1, True), (2, True), (3, False)], "all")

    done = world.agentbox("rules", "revoke", "2", "77", "x", "1")
    expect_equal((done.code, done.text), (1, "revoked 2: example.org:443\nrevoked 1: git push origin *\n"),
                 f"the wrong ones keep none back\n{done}")
    expect_equal(done.errors.count("error:"), 2, f"both wrong ones are named\n{done}")
    again = world.agentbox("rules", "revoke", "1")
    expect_equal((again.code, again.errors), (1, "agentbox: error: the answer 1 was revoked already\n"), "again")
    left = world.agentbox("rules")
    expect_equal((left.code, left.text, left.errors), (0, "", "no answer is remembered\n"), "none holds")
    ended = world.agentbox("rules", "--all", env=utc).text
    expect_equal(re.findall(r"revoked(?= \d{4}-\d\d-\d\d \d\d:\d\d  )|expired(?=   )", ended),
                 ["revoked", "revoked", "expired"], f"how they ended\n{ended}")
    log = [json.loads(line) for line in world.agentbox("log", "--json").text.splitlines()]
    expect_equal([(row["what"], row["by"], row["detail"]) for row in log[-2:]],
                 [("rule_revoked", "human", {"id": 2}), ("rule_revoked", "human", {"id": 1})], "it is on record")
    expect_equal(world.agentbox("log", "--verify").code, 0, "verify")


@test("colours are for a terminal, and not with NO_COLOR")
def colours(world):
    fill(world)
    expect(b"\x1b" not in world.agentbox("log").out, "a pipe gets none")
    for variable, coloured in (("", True), ("1", False)):
        with Pty(world, [agentbox_binary(), "log"], env=world.env(NO_COLOR=variable)) as terminal:
            expect_equal(terminal.wait(), 0, "exit code")
            expect_equal(b"\x1b[32mallow" in terminal.output, coloured, f"NO_COLOR={variable!r}\n{terminal.output!r}")
            expect(b"allow" in terminal.output, "the table", terminal.output)


run_tests()
