"""The thresholds of [network]: what is beyond them waits for the owner, to the byte; what is within them goes on; and the
record says who made each connection."""

import json
import subprocess

from gate_world import Net, Web, granted
from harness import agentbox_binary, expect, expect_equal, run_tests, test, wait_until
from servers import PYTHON, Server

KB = 1024

# Sends so many bytes, as many times as there are words, one line for each: what came of it.
SEND = """
import socket, sys
port = int(sys.argv[1])
for words in sys.argv[2:]:
    host, size = words.split("=")
    try:
        s = socket.create_connection((host, port), 60)
        s.sendall(b"hello\\n" + b"x" * (int(size) - 6))
        # Of a connection that was reset already, recv says so.
        try: s.shutdown(1)
        except OSError: pass
        print("said", s.recv(100).decode(), flush=True)
    except OSError as e: print(type(e).__name__, flush=True)
"""


class Sink(Server):
    """Counts all that comes, and says so at the end."""

    def __init__(self):
        self.bytes = 0
        super().__init__(self.count)

    def count(self, link):
        mine = 0
        while part := link.recv(65536):
            mine += len(part)
            self.bytes += len(part)
        link.sendall(b"%d" % mine)


def start(net, script, *words, ask="queue"):
    return net.world.start([agentbox_binary(), "run", "--on-ask", ask, "net", "--", PYTHON, "-c", script,
                            *map(str, words)], env=net.env)


def questions(world):
    done = world.agentbox("approve", "--list", "--json")
    found = [json.loads(line) for line in done.text.splitlines()]
    return [one["question"] for one in found if "question" in one]


def one_question(world):
    found = []

    def there():
        found[:] = questions(world)
        return len(found) == 1

    wait_until(there, "one question is open")
    return found[0]


def answer(world, question, *words):
    done = world.agentbox("approve", "--answer", question["id"], *words)
    expect_equal(done.code, 0, f"answer\n{done}")
    wait_until(lambda: question["id"] not in [one["id"] for one in questions(world)], "the question is gone")


def ended(process):
    out, errors = process.communicate(timeout=60)
    return out.decode().splitlines(), errors.decode()


def facts(question):
    return {fact["label"]: fact["value"] for fact in question["facts"]}


def excesses(world):
    done = world.agentbox("log", "--json", "--kind", "excess")
    return [json.loads(line) for line in done.text.splitlines()]


@test("what is beyond the bytes of all waits, to the byte; a yes lets as much go again, a no ends it, and says why")
def bytes_out(world):
    with Sink() as sink:
        net = Net(world, {"web.example": "127.0.0.1"},
                  granted(sink, "web.example", more='bytes_out = "300 KB/session"\n'))
        process = start(net, SEND, sink.port, f"web.example={200 * KB}", f"web.example={900 * KB}")
        question = one_question(world)
        expect_equal(sink.bytes, 300 * KB, "bytes that left before the question")
        expect_equal(question["kind"], "excess", f"{question}")
        said = facts(question)
        expect("307200 of 307200 B used in this session, none left" in said["sent"] and
               "network.bytes_out" in said["sent"] and "net.toml" in said["sent"], "how it stands", question)
        expect("python3" in said["program"] and f"web.example:{sink.port}" in said["now"], "who, and where", question)
        answer(world, question, "--once")
        again = one_question(world)
        expect_equal(sink.bytes, 600 * KB, "bytes that left before the second question")
        answer(world, again, "--deny", "--comment", "enough")
        lines, errors = ended(process)
        expect_equal(lines, [f"said {200 * KB}", "ConnectionResetError"], errors)
        expect_equal(sink.bytes, 600 * KB, "bytes that left in all")
        rows = [row for row in net.record() if row["what"] == "outcome"]
        expect_equal([row["detail"]["sent"] for row in rows], [200 * KB, 400 * KB], "bytes on record")
        expect("used in this session" in rows[1]["detail"]["outcome"] and "no" in rows[1]["detail"]["outcome"],
               "the reason is on record", rows[1])
        verdicts = [row["verdict"] for row in excesses(world) if row["what"] == "verdict"]
        expect_equal(verdicts, ["allow", "deny"], "verdicts")


@test("a yes for the session asks no more for that host, and another host has its own limit")
def session(world):
    with Sink() as sink:
        net = Net(world, {"web.example": "127.0.0.1", "www.web.example": "127.0.0.1", "other.example": "127.0.0.1"},
                  granted(sink, "web.example", "www.web.example", "other.example",
                          more='bytes_out_per_host = "100 KB/session"\n'))
        process = start(net, SEND, sink.port, f"other.example={100 * KB}", f"web.example={60 * KB}",
                        f"www.web.example={900 * KB}")
        question = one_question(world)
        # Hosts below one registered domain count as one.
        expect_equal(sink.bytes, 200 * KB, "bytes that left before the question")
        expect("to web.example" in question["subject"], "whose limit it is", question)
        answer(world, question, "--session")
        lines, errors = ended(process)
        expect_equal(lines, [f"said {100 * KB}", f"said {60 * KB}", f"said {900 * KB}"], errors)
        asked = [row for row in excesses(world) if row["what"] == "verdict" and row["by"] == "human"]
        expect_equal(len(asked), 1, "questions")


@test("a budget of a day holds in the next session too; with nobody to ask, what is beyond it ends at once")
def day(world):
    with Sink() as sink:
        net = Net(world, {"web.example": "127.0.0.1"},
                  granted(sink, "web.example", more='bytes_out = "100 KB/day"\n'))
        lines, errors = ended(start(net, SEND, sink.port, f"web.example={80 * KB}", ask="deny"))
        expect_equal(lines, [f"said {80 * KB}"], f"control\n{errors}")
        lines, errors = ended(start(net, SEND, sink.port, f"web.example={80 * KB}", "web.example=10", ask="deny"))
        expect_equal(lines, ["ConnectionResetError"] * 2, errors)
        expect_equal(sink.bytes, 100 * KB, "bytes that left in both")
        shown = world.agentbox("rules")
        expect("network.bytes_out" in shown.text and "102400 of 102400 B used today, none left" in shown.text,
               "`agentbox rules` shows it", shown)


@test("a plain request that is beyond the limit hears why in words")
def http(world):
    script = """
import http.client, sys
link = http.client.HTTPConnection("web.example", int(sys.argv[1]), timeout=30)
for body in (b"x" * 3000, b"y" * 100000):
    try:
        link.request("POST", "/p", body); reply = link.getresponse()
        print(reply.status, len(reply.read()), flush=True)
    except OSError as e: print(type(e).__name__, flush=True)
link = http.client.HTTPConnection("web.example", int(sys.argv[1]), timeout=30)
link.request("GET", "/g"); reply = link.getresponse()
print(reply.status, reply.read().decode().strip())
"""
    with Web() as server:
        net = Net(world, {"web.example": "127.0.0.1"},
                  granted(server, "web.example", more='bytes_out_per_host = "20 KB/session"\n'))
        lines, errors = ended(start(net, script, server.port, ask="deny"))
        expect(lines[0] == "200 3002" and lines[2].startswith("403 "), "within, and beyond", lines, errors)
        expect("used in this session" in lines[-1], "the reason", lines)
        expect(lines[1] != "200 100002", "the one that crossed it", lines)


# Says the proxy the texts, each in one piece, and waits for so many answers of two bytes; what came of each.
PROXY = """
import socket, sys
for host, size in (("second", 39), ("first", 30)):
    s = socket.create_connection(("198.18.0.1", 3128), 10)
    url = "http://%s.example:%s"
    body = b"x" * (size * 1024)
    post = "POST " + url % ("second", sys.argv[2]) + "/ HTTP/1.1\\r\\nHost: second.example:%s\\r\\nContent-Length: %d\\r\\n\\r\\n"
    get = "GET " + url % ("first", sys.argv[1]) + "/ HTTP/1.1\\r\\nHost: first.example:%s\\r\\n\\r\\n" % sys.argv[1]
    s.sendall((get if host == "first" else "").encode() + (post % (sys.argv[2], len(body))).encode() + body)
    got = b""
    try:
        while got.count(b"ok") < (2 if host == "first" else 1):
            part = s.recv(4096)
            if not part: break
            got += part
    except OSError: pass
    print(got.count(b"ok"), flush=True)
"""


class Uploads(Sink):
    """Says ok whenever the body that a head speaks of is there."""

    def count(self, link):
        mine, wanted = b"", None
        while part := link.recv(65536):
            self.bytes += len(part)
            mine += part
            if wanted is None and b"\r\n\r\n" in mine:
                head, body = mine.split(b"\r\n\r\n", 1)
                length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                wanted = len(head) + 4 + (int(length[0].split(b":")[1]) if length else 0)
            if wanted is not None and len(mine) >= wanted:
                link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                mine, wanted = mine[wanted:], None


@test("what a client has sent ahead for the next host of its proxy connection is within that host's limit too")
def sent_ahead(world):
    for limit, answers in (("1 MB", ["1", "2"]), ("40 KB", ["1", "1"])):
        with Uploads() as first, Uploads() as second:
            net = Net(world, {"first.example": "127.0.0.1", "second.example": "127.0.0.1"},
                      f'allow = ["first.example:{first.port}", "second.example:{second.port}", "127.0.0.1:*"]\n'
                      f'proxy = true\nbytes_out_per_host = "{limit}/session"\n')
            process = start(net, PROXY, first.port, second.port, ask="deny")
            lines, errors = ended(process)
            expect_equal(lines, answers, errors)
            if limit == "40 KB":
                # The heads that go on are shorter than the client's, which are counted.
                expect(39 * KB < second.bytes <= 40 * KB, "bytes that came to the second host", second.bytes)
            else:
                expect(second.bytes > 69 * KB, "control: without that limit all of it came", second.bytes)


@test("more connections a minute than the limit wait for the owner, all of them for one question")
def pace(world):
    script = """
import socket, sys, threading
def one(i):
    try:
        s = socket.create_connection(("web.example", int(sys.argv[1])), 60); s.sendall(b"hello\\n")
        results.append(s.recv(100).decode().strip())
    except OSError as e: results.append(type(e).__name__)
results = []
threads = [threading.Thread(target=one, args=(i,)) for i in range(9)]
[t.start() for t in threads]; [t.join() for t in threads]
print(sorted(results))
"""
    with Server() as server:
        net = Net(world, {"web.example": "127.0.0.1"},
                  granted(server, "web.example", more='connections_per_host = "5/min"\n'))
        process = start(net, script, server.port)
        question = one_question(world)
        wait_until(lambda: server.connections == 5, "those within the limit are made")
        expect("5 of 5 used in the last minute" in facts(question)["connections"], "how it stands", question)
        answer(world, question, "--once")
        lines, errors = ended(process)
        expect_equal(lines, [str(["echo hello"] * 9)], errors)
        expect_equal(server.connections, 9, "connections")


@test("each connection is on record with who made it; status and explain tell the limits")
def record(world):
    with Server() as server:
        net = Net(world, {"web.example": "127.0.0.1"},
                  granted(server, "web.example", more='bytes_out = "50 MB/session"\n'))
        script = ("import socket, sys\nfor i in range(3):\n s = socket.create_connection(('web.example', int(sys.argv[1])))\n"
                  " s.sendall(b'hello\\n'); s.recv(100); s.close()\n")
        done = net.room("sh", "-c", f'{PYTHON} -c "$1" {server.port}; agentbox status', "sh", script)
        expect("What leaves needs no question" in done.text and "of 50 MB used in this session" in done.text and
               "100M/session to one host" in done.text, "status", done)
        rows = [row for row in net.record() if row["what"] == "outcome"]
        expect_equal(len(rows), 3, f"rows\n{rows}")
        for row in rows:
            detail = row["detail"]
            expect("python3" in detail.get("program", "") and detail["address"] == "127.0.0.1" and
                   (detail["sent"], detail["received"]) == (6, 11) and "milliseconds" in detail, "the row", row)
        told = world.agentbox("explain", "net")
        expect("may go out in all without a question" in told.text and
               "connections to one host without a question" in told.text, "explain", told)


run_tests()
