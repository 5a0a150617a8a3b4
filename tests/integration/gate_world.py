"""What the tests of the network gate share: a world whose agentbox asks a name server of ours, and servers."""

import contextlib
import json
import os
import shutil
import ssl

from harness import Skipped, expect_equal, need_program
from servers import PYTHON, Server



class Net:
    """A world whose agentbox asks our name server, and a profile that grants what the test says."""

    def __init__(self, world, hosts, rules):
        self.world = world
        self.hosts = world.base / "hosts"
        self.asked = world.base / "asked"
        self.name(hosts)
        otherwise = "" if "default" in rules else 'default = "deny"\n'
        world.profile("net", 'extends = ["default"]\n[network]\n' + otherwise + rules)
        resolver = os.environ.get("AGENTBOX_TEST_RESOLVER")
        if not resolver:
            raise Skipped("AGENTBOX_TEST_RESOLVER is not set")
        self.env = world.env(LD_PRELOAD=resolver, AGENTBOX_TEST_HOSTS=self.hosts, AGENTBOX_TEST_ASKED=self.asked)

    def name(self, hosts):
        self.hosts.write_text("".join(f"{address} {name}\n" for name, address in hosts.items()))

    def room(self, *command, **how):
        how.setdefault("env", self.env)
        return self.world.room(*command, profile="net", **how)

    def python(self, script, *words, **how):
        return self.room(PYTHON, "-c", script, *map(str, words), **how)

    def names_asked(self):
        return self.asked.read_text().split() if self.asked.exists() else []

    def record(self, *words):
        done = self.world.agentbox("log", "--json", "--kind", "connect", *words)
        expect_equal(done.code, 0, f"log\n{done}")
        return [json.loads(line) for line in done.text.splitlines()]


# One line for each HOST PORT: what came back, or the error; "quick" unless it took more than two seconds.
CONNECT = """
import socket, sys, time
for host, port in zip(sys.argv[1::2], sys.argv[2::2]):
    began = time.monotonic()
    try:
        with socket.create_connection((host, int(port)), 20) as link:
            link.sendall(b"hello\\n")
            said = link.recv(200)
            print("said", said.decode(errors="replace").strip() or "nothing", end=" ")
    except OSError as error:
        print(type(error).__name__, end=" ")
    print("quick" if time.monotonic() - began < 2 else "slow")
"""


def certificate(world, *names):
    need_program("openssl")
    key, cert = world.base / "key.pem", world.base / "cert.pem"
    alternatives = ",".join(f"DNS:{name}" for name in names)
    world.expect_ok(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                     "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=test", "-addext",
                     f"subjectAltName={alternatives}"])
    return key, cert


@contextlib.contextmanager
def tls_server(world, *names, answer=b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n"):
    key, cert = certificate(world, *names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    def talk(link):
        with context.wrap_socket(link, server_side=True) as secured:
            secured.recv(4096)
            secured.sendall(answer)

    with Server(talk) as server:
        server.certificate = world.workspace / "ca.crt"
        shutil.copy(cert, server.certificate)
        yield server


def granted(server, *names, more=""):
    """Rules for these names at this port, and for the address behind them."""
    rules = ", ".join(f'"{name}:{server.port}"' for name in (*names, "127.0.0.1"))
    return f"allow = [{rules}]\n{more}"


class Web(Server):
    """An HTTP server that keeps connections and remembers the heads of its requests."""

    def __init__(self):
        self.heads = []
        super().__init__(self.answer)

    def answer(self, link):
        stream = link.makefile("rb")
        while True:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                line = stream.readline()
                if not line:
                    return
                head += line
            self.heads.append(head.decode())
            fields = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:] if ": " in line)
            body = stream.read(int(fields.get("content-length", 0)))
            if fields.get("upgrade"):
                link.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
                link.sendall(b"raw " + stream.readline())
                return
            path = head.split(b" ")[1]
            link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path) + len(body), path + body))


# Sends the argument to web.example, with \\r, \\n and PORT in it replaced, and prints all that comes back.
SEND = """
import socket, sys
s = socket.create_connection(("web.example", int(sys.argv[1])), 10)
s.sendall(sys.argv[2].replace("PORT", sys.argv[1]).encode().decode("unicode_escape").encode("latin-1"))
if len(sys.argv) < 4: s.shutdown(1)
got = b""
while True:
    try: part = s.recv(4096)
    except OSError as e: got += type(e).__name__.encode(); break
    if not part: break
    got += part
print(got.decode("latin-1"))
"""
GET = "GET /{} HTTP/1.1\\r\\nHost: web.example:PORT\\r\\n{}\\r\\n"
