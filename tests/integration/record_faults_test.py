"""What may be wrong with the record while a room is open: what is asked then is denied, with that reason, soon, and the
record is left as it was."""

import contextlib
import os
import sqlite3

from harness import expect, expect_equal, run_tests, test
from room_client import Room, open_questions


def record_file(world):
    return world.home / ".local" / "state" / "agentbox" / "agentbox.db"


# What a rule would allow, and what would be asked; what the agent reads, and how long it took.
TWICE = '''
for argv in (["pwd"], ["cp", "a", "b"]):
    client, begin = connect(), time.monotonic()
    client.sendall(line(1, *argv))
    told = hear(client)
    say([told["result"]["verdict"], told["result"]["reason"], time.monotonic() - begin])
'''


def denied_for(world, *reasons, within=3):
    """Both are unavailable, for one of the reasons, soon."""
    with Room(world, TWICE) as room:
        for what in ("what a rule allows", "what is asked"):
            verdict, reason, seconds = room.hear()
            expect(verdict == "unavailable" and any(part in reason for part in reasons), what, verdict, reason)
            expect(seconds < within, "soon", seconds)
        room.end()


def a_record(world):
    """The control: with a record in order it works, and is there afterwards."""
    with Room(world, "say(works())") as room:
        expect_equal(room.hear(), True, "control: it works")
        room.end()
    return record_file(world)


@test("the record is locked by another process, for long: denied, with that reason, until it is free")
def locked(world):
    path = a_record(world)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    denied_for(world, "another program held it for longer than", "another program holds it", within=6)
    # It comes in the middle of a session, and goes.
    with Room(world, "say(works()); wait(); say(works())\nwait(); say(works())") as room:
        expect_equal(room.hear(), False, "while it is locked")
        holder.execute("ROLLBACK")
        room.go_on()
        expect_equal(room.hear(), True, "when it is free")
        holder.execute("BEGIN EXCLUSIVE")
        room.go_on()
        expect_equal(room.hear(), False, "when it is locked again")
        holder.execute("ROLLBACK")
        room.end()
    holder.close()


@test("the record is locked when the owner says yes: it is not done, and both hear why")
def locked_at_answer(world):
    path = a_record(world)
    (world.workspace / "a").write_text("x")
    with Room(world, '''
client = connect()
client.sendall(line(1, "cp", "a", "b"))
told = hear(client)["result"]
say([told["verdict"], told["reason"]])
import os, time  # only the first waits for a record that is locked: the next comes when it is free
while not os.path.exists("free"): time.sleep(0.01)
client.sendall(line(2, "cp", "a", "c"))
say(hear(client)["result"]["verdict"])
while hear(client)["method"] != "command.exited": pass
''') as room:
        question, = open_questions(world, 1)
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        world.agentbox("approve", "--answer", question["id"], "--once")
        verdict, reason = room.hear()
        expect(verdict == "unavailable" and "can't be recorded" in reason, "what the agent hears", verdict, reason)
        expect(not (world.workspace / "b").exists(), "nothing was done")
        holder.execute("ROLLBACK")
        holder.close()
        (world.workspace / "free").touch()
        question, = open_questions(world, 1)
        world.agentbox("approve", "--answer", question["id"], "--once")
        expect_equal(room.hear(), "allow", "control: when it is free")
        room.end()
        expect((world.workspace / "c").exists(), "done")


@test("the record can only be read: denied, with that reason")
def read_only(world):
    path = a_record(world)
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        denied_for(world, "it may only be read")
    finally:
        path.parent.chmod(0o700)
    denied_for(world, "it may only be read")
    path.chmod(0o600)
    a_record(world)


@test("the record is from a newer version: denied, and left as it was")
def newer(world):
    path = a_record(world)
    with sqlite3.connect(path) as connection:
        version, = connection.execute("PRAGMA user_version").fetchone()
        connection.execute(f"PRAGMA user_version = {version + 1}")
    connection.close()
    denied_for(world, f"it is version {version + 1}, this agentbox knows {version}")
    with sqlite3.connect(path) as connection:
        expect_equal(connection.execute("PRAGMA user_version").fetchone(), (version + 1,), "left as it was")
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    a_record(world)


@test("the record is corrupt, empty, a folder, somebody's FIFO: denied, and left as it was")
def corrupt(world):
    path = a_record(world)
    whole = path.read_bytes()
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{path}{suffix}")
    path.write_bytes(whole[:100] + b"\xff" * (len(whole) - 100))
    spoiled = path.read_bytes()
    denied_for(world, "malformed", "not a database", "damaged", "corrupt", "as it was written")
    expect_equal(path.read_bytes(), spoiled, "left as it was")
    path.write_bytes(b"this is no database at all\n" * 100)
    denied_for(world, "not a database", "corrupt", "damaged")
    path.unlink()
    path.mkdir()
    denied_for(world, "record", "directory", "file")
    path.rmdir()
    os.mkfifo(path, 0o600)
    denied_for(world, "record", "regular", "file")
    path.unlink()
    path.write_bytes(whole)
    path.chmod(0o600)
    a_record(world)


@test("a row cut from the end of the record while a session runs: nothing more is allowed, and --verify says so")
def cut(world):
    path = a_record(world)
    with Room(world, "say(works()); wait(); say(works())") as room:
        expect_equal(room.hear(), True, "control: it works")
        with sqlite3.connect(path) as connection:
            for name, in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
                connection.execute(f"DROP TRIGGER {name}")
            connection.execute("DELETE FROM audit WHERE number = (SELECT max(number) FROM audit)")
        connection.close()
        room.go_on()
        expect_equal(room.hear(), False, "afterwards")
        room.end()
    expect_equal(world.agentbox("log", "--verify").code, 1, "--verify")


run_tests()
