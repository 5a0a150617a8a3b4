"""Loopback grants and publications: what is granted works as if there were no room, and nothing else is reachable."""

import contextlib
import hashlib
import os
import socket
import subprocess
import threading

from harness import agentbox_binary, expect, expect_equal, run_tests, test, wait_until
from servers import PYTHON, Server

# Says what a connection gave, in one word.
CONNECT = """
import socket, sys
for host, port in zip(sys.argv[1::2], sys.argv[2::2]):
    try:
        with socket.create_connection((host, int(port)), 5) as link:
            link.sendall(b"hello\\n")
            print(link.makefile().readline().strip() or "EOF")
    except OSError as error:
        print(type(error).__name__, error.errno)
"""


def connect(world, *where, allow=(), **how):
    """In a room that reaches nothing but what `allow` grants."""
    world.profile("closed", 'extends = ["default"]\n[network]\ndefault = "deny"\n')
    how.setdefault("profile", "closed")
    options = [word for grant in allow for word in ("--allow", grant)]
    done = world.room(PYTHON, "-c", CONNECT, *map(str, where), options=options, **how)
    expect_equal(done.code, 0, f"the client runs\n{done}")
    return done.text.splitlines()


@test("without a grant nothing answers: refused on the loopback, unreachable elsewhere")
def nothing(world):
    with Server() as server:
        control = world.run([PYTHON, "-c", CONNECT, "127.0.0.1", str(server.port)])
        expect_equal(control.text, "echo hello\n", "control: outside it answers")
        got = connect(world, "127.0.0.1", server.port, "1.1.1.1", 53, "192.168.0.1", 80)
        expect_equal(got[0], "ConnectionRefusedError 111", "the host's loopback")
        expect(all("OSError 101" in line or "OSError 113" in line for line in got[1:]), "elsewhere", got)
        expect_equal(server.connections, 1, "connections that arrived: the control's")


@test("a grant makes the host's server appear at the same address, and no other port")
def granted(world):
    with Server() as server, Server() as other:
        got = connect(world, "127.0.0.1", server.port, "localhost", server.port, "127.0.0.1", other.port,
                      allow=[f"localhost:{server.port}"])
        expect_equal(got, ["echo hello", "echo hello", "ConnectionRefusedError 111"], "answers")
        expect_equal(other.connections, 0, "connections to the other")


@test("a server on ::1 alone is reached at ::1")
def ipv6(world):
    with Server(family=socket.AF_INET6) as server:
        expect_equal(connect(world, "::1", server.port, allow=[f"localhost:{server.port}"]), ["echo hello"], "answer")


@test("a granted port with no server behind is refused or closed, and works once there is one")
def late(world):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = world.start([agentbox_binary(), "run", "--allow", f"localhost:{port}", "default", "--", "sh", "-c",
                           'for i in 1 2; do read line; "$0" -c "$1" 127.0.0.1 "$2"; done', PYTHON, CONNECT, str(port)],
                          stdin=subprocess.PIPE)
    process.stdin.write(b"go\n")
    process.stdin.flush()
    first = process.stdout.readline().decode().strip()
    expect(first in ("EOF", "ConnectionRefusedError 111", "ConnectionResetError 104"), "without a server", first)
    with Server(port=port):
        out, err = process.communicate(b"go\n", timeout=30)
    expect_equal((process.returncode, out), (0, b"echo hello\n"), f"with one: {err}")


@test("50 MB through a grant arrive unchanged, both ways, with a half-closed connection")
def big(world):
    data = os.urandom(1 << 20) * 50
    received = []

    def talk(link):
        stream = link.makefile("rwb")
        received.append(hashlib.sha256(stream.read()).hexdigest())
        stream.write(data)
        stream.flush()

    client = """
import socket, sys, hashlib
link = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
link.sendall(sys.stdin.buffer.read())
link.shutdown(socket.SHUT_WR)
print(hashlib.sha256(link.makefile("rb").read()).hexdigest())
"""
    with Server(talk) as server:
        done = world.room(PYTHON, "-c", client, str(server.port), options=["--allow", f"localhost:{server.port}"],
                          input=data)
    wanted = hashlib.sha256(data).hexdigest()
    expect_equal((done.code, done.text.strip(), received), (0, wanted, [wanted]), f"checksums {done.errors}")


@test("200 connections at once, each gets its own answer")
def many(world):
    client = """
import socket, sys, threading
links = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(200)]
for number, link in enumerate(links): link.sendall(b"%d\\n" % number)
print(sum(link.makefile().readline() == "echo %d\\n" % number for number, link in enumerate(links)))
"""
    with Server() as server:
        done = world.room(PYTHON, "-c", client, str(server.port), options=["--allow", f"localhost:{server.port}"])
        expect_equal((done.code, done.text), (0, "200\n"), done)
        expect_equal(server.connections, 200, "connections that arrived")


@test("a client that is killed does not leave the host's connection open")
def killed(world):
    ended = threading.Event()

    def talk(link):
        link.sendall(b"first\n")
        if link.recv(100) == b"":
            ended.set()

    client = """
import os, socket, sys
link = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
link.recv(100)
os.kill(os.getpid(), 9)
"""
    with Server(talk) as server:
        done = world.room(PYTHON, "-c", client, str(server.port), options=["--allow", f"localhost:{server.port}"])
        expect_equal(done.code, 137, "exit code")
        expect(ended.wait(10), "the server saw the end")


@test("abstract sockets of the host are not reachable")
def abstract(world):
    client = 'import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect("\\0" + sys.argv[1]); print("in")'
    name = f"agentbox-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0" + name)
        listener.listen()
        expect_equal(world.run([PYTHON, "-c", client, name]).text, "in\n", "control: outside it answers")
        done = world.room(PYTHON, "-c", client, name)
        expect(done.code == 1 and "ConnectionRefusedError" in done.errors, "inside", done)


@test("publish, raw: a server in the room is reachable on the host's loopback, and only there")
def publish(world):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    world.profile("p", 'extends = ["default"]\n[network]\n'
                       f'publish = [{{ port = "{port}:3000", raw = true }}]\n')
    serve = """
import socket
with socket.create_server(("127.0.0.1", 3000)) as listener:
    print("ready", flush=True)
    for _ in range(3):
        link, _ = listener.accept()
        link.sendall(b"from the room: " + link.makefile("rb").readline())
        link.close()
"""
    process = world.start([agentbox_binary(), "run", "p", "--", PYTHON, "-c", serve])
    expect_equal(process.stdout.readline(), b"ready\n", "the room's server")
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port), 10) as link:
            link.sendall(b"hello\n")
            expect_equal(link.makefile().readline(), "from the room: hello\n", "the answer")
    table = open("/proc/net/tcp").read() + open("/proc/net/tcp6").read()
    listening = [line.split()[1] for line in table.splitlines() if f":{port:04X} " in line and " 0A " in line]
    expect(listening and all(address.startswith(("0100007F", "0" * 24 + "01000000")) for address in listening),
           "listens on the loopback only", listening)
    process.communicate(timeout=30)
    expect_equal(process.returncode, 0, "exit code")


@test("publish of a port that is taken is one error")
def taken(world):
    with Server() as server:
        world.profile("p", f'extends = ["default"]\n[network]\npublish = ["{server.port}:3000"]\n')
        done = world.room("true", profile="p")
        expect(done.code == 125 and done.errors.count("error:") == 1, "refused", done)
        expect(str(server.port) in done.errors, "names the port", done)


@test("a room that is gone answers nothing: the publication ends with it")
def publication_ends(world):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    world.profile("p", f'extends = ["default"]\n[network]\npublish = ["{port}:3000"]\n')
    expect_equal(world.room("true", profile="p").code, 0, "exit code")

    def refused():
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            return True
        return False
    wait_until(refused, "nobody listens any more", 5)


run_tests()
