"""Attacks on the network gate, by names, by bytes and by numbers. Each has its control: the same way works for what is
granted."""

import os
import pathlib
import re
import resource
import subprocess

from client_servers import hello, site
from gate_world import CONNECT, SEND, Net, Web, granted
from harness import Failed, agentbox_binary, expect, expect_equal, need_program, run_tests, test, wait_until
from servers import PYTHON, Server

REFUSED = ("ConnectionResetError quick", "said nothing quick")


def supervisor(process):
    """What /proc says of `agentbox run` itself: how many descriptors, and kilobytes of memory."""
    folder = pathlib.Path(f"/proc/{process.pid}")
    size = next(line for line in (folder / "status").read_text().splitlines() if line.startswith("VmRSS"))
    return len(list((folder / "fd").iterdir())), int(size.split()[1])


def start(net, script, *words, **how):
    return net.world.start([agentbox_binary(), "run", "net", "--", PYTHON, "-c", script, *map(str, words)], env=net.env,
                           stdin=subprocess.PIPE, **how)


def heard(process, wanted):
    line = process.stdout.readline().decode().strip()
    if line != wanted:
        process.stdin.close()
        raise Failed(f"wanted {wanted!r}, got {line!r}: {process.stderr.read().decode()}")


def go_on(process):
    process.stdin.write(b"go\n")
    process.stdin.flush()


# A question for the name that the words give in hexadecimal, label by label; prints the code, and the first address.
ASK = """
import socket, struct, sys
for name in sys.argv[1:]:
    labels = b"".join(bytes([len(part) // 2]) + bytes.fromhex(part) for part in name.split(".")) + b"\\0"
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5); s.connect(("198.18.0.1", 53))
    s.send(b"\\x12\\x34\\x01\\x00\\x00\\x01" + b"\\0" * 6 + labels + struct.pack(">HH", 1, 1))
    reply = s.recv(600)
    print(reply[3] & 15, ".".join(map(str, reply[-4:])) if reply[7] else "-")
"""


def in_hex(*labels):
    return ".".join(label.hex() for label in labels)


@test("a DNS question with a byte that no name has is answered with no address; upper case is the same name")
def dns_bytes(world):
    odd = [b"we\0b", b"we\r\nb", b"user@web", b"we b", b"we/b", b"we%62", b"w\xc3\xabb", b"web.", b"*", b"-web", b"we\x1bb"]
    with Server() as server:
        net = Net(world, {"web.example": "127.0.0.1"}, granted(server, "web.example"))
        words = [in_hex(b"web", b"example"), in_hex(b"WEB", b"eXample"), in_hex(b"xn--bcher-kva", b"example")]
        done = net.python(ASK, *words, *(in_hex(label, b"example") for label in odd))
        lines = [line.split() for line in done.text.splitlines()]
        expect_equal(len(lines), 3 + len(odd), f"answers\n{done}")
        expect(lines[0][0] == "0" and lines[0] == lines[1], "control: one name, one address, whatever the case", done)
        expect(lines[2][0] == "0" and lines[2][1] != lines[0][1], "control: punycode is a name of its own", done)
        for label, line in zip(odd, lines[3:]):
            expect(line[0] != "0" and line[1] == "-", f"{label!r} has an address", done)


@test("an empty list allows nothing: no name, no address, no port, and no question leaves")
def empty_list(world):
    with Server() as server:
        words = ("web.example", server.port, "127.0.0.1", server.port, "192.0.2.1", 443, "localhost", server.port)
        net = Net(world, {"web.example": "127.0.0.1"}, granted(server, "web.example"))
        done = net.python(CONNECT, *words)
        expect(done.text.startswith("said "), "control: what is granted answers", done)
        came, asked = server.connections, net.names_asked()
        net = Net(world, {"web.example": "127.0.0.1"}, "allow = []\n")
        done = net.python(CONNECT, *words)
        expect_equal(done.text.splitlines(), ["gaierror quick", "ConnectionRefusedError quick", "OSError quick",
                                              "ConnectionRefusedError quick"], f"unreachable, at once\n{done}")
        expect_equal((server.connections, net.names_asked()), (came, asked), "connections, and names that were looked up")


@test("trailing dots, upper case, punycode, odd spellings of an address: each is the canonical host, or refused")
def spellings(world):
    with Server() as server:
        hosts = {"web.example": "127.0.0.1", "xn--bcher-kva.example": "127.0.0.1"}
        net = Net(world, hosts, granted(server, "web.example", "xn--bcher-kva.example"))
        same = ["web.example.", "WEB.Example", "xn--bcher-kva.example", "XN--BCHER-KVA.EXAMPLE"]
        odd = ["weB.example.evil", "xn--web-.example", "b\u00fccher.other", "0xC0000201", "3221225985", "192.0.513",
               "::ffff:192.0.2.1", "::ffff:c000:201", "0x7f.0.0.2.example"]
        words = [word for name in same + odd for word in (name, server.port)]
        done = net.python(CONNECT, *words)
        lines = done.text.splitlines()
        expect_equal(lines[:len(same)], ["said echo hello quick"] * len(same), f"control\n{done}")
        expect_equal(len(lines), len(same) + len(odd), f"lines\n{done}")
        for name, line in zip(odd, lines[len(same):]):
            expect(line in REFUSED or line == "gaierror quick" or line == "OSError quick", f"{name}: {line}", done)
        expect_equal(server.connections, len(same), "connections that arrived")
        # An address is ruled on in one form, however it was written.
        denied = {row["summary"] for row in net.record("--verdict", "deny")}
        others = [row for row in denied if "ffff" in row or "0x" in row]
        expect(f"192.0.2.1:{server.port}" in denied and others == [f"0x7f.0.0.2.example:{server.port}"],
               "one form on record; what is no spelling of an address is a name", denied)


@test("a granted address is reached by each of its spellings, and nothing near it")
def mapped(world):
    script = """
import socket, sys
for address in sys.argv[2:]:
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET); s.settimeout(10)
    try: s.connect((address, int(sys.argv[1]))); s.sendall(b"hello\\n"); print(s.recv(100).decode().strip())
    except OSError as e: print(type(e).__name__)
"""
    # 203.0.113.9 is nobody's: an alias of the loopback would take rights. That the gate tries to connect is what counts.
    with Server() as server:
        net = Net(world, {}, f'allow = ["203.0.113.9:{server.port}"]\n')
        net.python(script, server.port, "::ffff:203.0.113.9", "203.0.113.10", "::203.0.113.9", "::ffff:203.0.113.10",
                   timeout=90)
        rows = {row["summary"]: row.get("verdict") for row in net.record() if row["what"] == "verdict"}
        expect_equal(rows.get(f"203.0.113.9:{server.port}"), "allow", f"the mapped form is the address itself {rows}")
        expect(all(verdict == "deny" for name, verdict in rows.items() if name != f"203.0.113.9:{server.port}"), "others", rows)


@test("an SNI and a Host with a NUL, CR LF, a user, a dot or an escape name no host that is granted")
def names_in_bytes(world):
    hello_with = """
import socket, struct, sys
def hello(name):
    sni = struct.pack(">BH", 0, len(name)) + name
    sni = struct.pack(">H", len(sni)) + sni
    extensions = struct.pack(">HH", 0, len(sni)) + sni
    body = b"\\x03\\x03" + b"r" * 32 + b"\\0" + struct.pack(">H", 2) + b"\\x13\\x01" + b"\\x01\\0"
    body += struct.pack(">H", len(extensions)) + extensions
    body = b"\\x01" + struct.pack(">I", len(body))[1:] + body
    return b"\\x16\\x03\\x01" + struct.pack(">H", len(body)) + body
for name in sys.argv[2:]:
    s = socket.create_connection(("web.example", int(sys.argv[1])), 10)
    s.sendall(hello(bytes.fromhex(name)))
    try: print(s.recv(100).hex())
    except OSError as e: print(type(e).__name__)
"""
    seen = []

    def talk(link):
        if said := link.recv(100):  # the gate connects before it reads, and says nothing of what it refuses
            seen.append(said)
            link.sendall(b"SEEN")

    good = [b"web.example", b"WEB.example", b"web.example."]
    bad = [b"web.example\0", b"web\0.example", b"web.example\r\n", b"user@web.example", b"web.example:443", b"web%2eexample",
           b"web.example..", b" web.example", b"*.example", b"", b"127.0.0.1", b"xn--web.example"]
    with Server(talk) as server:
        net = Net(world, {"web.example": "127.0.0.1"}, granted(server, "web.example"))
        done = net.python(hello_with, server.port, *(name.hex() for name in good + bad))
        lines = done.text.splitlines()
        expect_equal(len(lines), len(good) + len(bad), f"lines\n{done}")
        expect_equal(lines[:len(good)], [b"SEEN".hex()] * len(good), f"control\n{done}")
        for name, line in zip(bad, lines[len(good):]):
            expect_equal(line, "15030100020231", f"{name!r}: an alert")
        expect_equal(len(seen), len(good), "greetings that the server saw")
    bad = ["web.example\\0", "web.example\\x0b", "user@web.example:PORT", "web.example:PORT@other.example", "web%2eexample:PORT",
           "web.example:0PORT", "web.example:PORT:80", "[web.example]:PORT", "web.example:PORT, other.example", "127.0.0.1:PORT",
           "0x7f.1:PORT", "[::ffff:127.0.0.1]:PORT", "web.example:PORT/", "web.example:PORT other.example"]
    with Web() as server:
        net = Net(world, {"web.example": "127.0.0.1"}, granted(server, "web.example"))
        for name in ("web.example:PORT", "WEB.EXAMPLE:PORT", "web.example.:PORT"):
            done = net.python(SEND, server.port, f"GET / HTTP/1.1\\r\\nHost: {name}\\r\\n\\r\\n")
            expect("200 OK" in done.text, f"control: {name}", done)
        expect(all(f"Host: web.example:{server.port}\r\n" in head for head in server.heads), "Host as we write it", server.heads)
        before = len(server.heads)
        for name in bad:
            done = net.python(SEND, server.port, f"GET / HTTP/1.1\\r\\nHost: {name}\\r\\n\\r\\n", "open")
            expect(done.text.startswith("HTTP/1.1 4") and "agentbox: " in done.text, f"{name}: refused", done)
        expect_equal(len(server.heads), before, "requests that the server saw")


@test("a redirect to an internal address, another name or another port is one more connection, and ruled on")
def redirects(world):
    need_program("curl")
    with site(hello) as inner:
        where = {}

        def answer(request):
            if request.path not in where:
                return request.reply(b"arrived\n")
            request.send_response(302)
            request.send_header("Location", where[request.path])
            request.send_header("Content-Length", "0")
            request.end_headers()
        with site(answer) as server:
            where.update({"/self": f"http://web.example:{server.port}/end", "/loop": f"http://127.0.0.1:{inner.port}/",
                          "/meta": "http://169.254.169.254/latest/", "/lan": "http://lan.example/",
                          "/port": f"http://web.example:{inner.port}/", "/six": "http://[fd00:ec2::254]/",
                          "/name": f"http://inner.example:{inner.port}/"})
            hosts = {"web.example": "127.0.0.1", "inner.example": "127.0.0.1", "lan.example": "192.168.0.1"}
            net = Net(world, hosts, granted(server, "web.example"))
            url = f"http://web.example:{server.port}"
            done = net.room("curl", "-sSL", "--fail-with-body", "--max-time", "10", url + "/self")
            expect_equal((done.code, done.text), (0, "arrived\n"), f"control\n{done}")
            for path in where:
                if path == "/self":
                    continue
                done = net.room("curl", "-sSL", "--fail-with-body", "--max-time", "10", url + path)
                expect(done.code != 0 and "hello" not in done.text + done.errors, path, done)
            expect_equal(inner.requests, [], "requests that arrived inside")


@test("a process in the room that forwards for another is ruled on like any other")
def inner_relay(world):
    script = """
import socket, sys, threading
def forward(listener, to):
    while True:
        link, _ = listener.accept()
        try:
            far = socket.create_connection(to, 10)
            far.sendall(link.recv(100)); link.sendall(far.recv(100)); far.close()
        except OSError as e: link.sendall(type(e).__name__.encode())
        link.close()
port = int(sys.argv[1])
for name in ("web.example", "other.example"):
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=forward, args=(listener, (name, port)), daemon=True).start()
    s = socket.create_connection(listener.getsockname(), 10)
    s.sendall(b"hello\\n"); print(s.recv(100).decode().strip() or "nothing")
"""
    with Server() as server:
        net = Net(world, {"web.example": "127.0.0.1", "other.example": "127.0.0.1"}, granted(server, "web.example"))
        done = net.python(script, server.port)
        lines = done.text.splitlines()
        expect(len(lines) == 2 and lines[0] == "echo hello" and lines[1] in ("ConnectionResetError", "nothing"), "ruled on", done)
        expect_equal(server.connections, 1, "connections that arrived")


@test("2,000 connections at once: 1,024 are open, the others wait their turn; nothing is lost, and nothing stays open")
def crowd(world):
    script = """
import select, socket, sys
def line(): sys.stdin.readline()
def links(count):
    made = [socket.create_connection(("web.example", int(sys.argv[1])), 60) for _ in range(count)]
    return made
def talk(link):
    link.sendall(b"hello\\n")
    return link.recv(100) == b"echo hello\\n"
assert talk(links(1)[0]); print("warm", flush=True); line()
all = links(2000); print("connected", flush=True); line()
for link in all: link.sendall(b"hello\\n")
good = 0
for link in all:
    good += link.recv(100) == b"echo hello\\n"; link.close()
print(good, flush=True); line()
"""
    # Of the server, which is this process.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(16384, most), most))
    with Server() as server:
        net = Net(world, {"web.example": "127.0.0.1"},
                  granted(server, "web.example", more='connections_per_host = "9999/min"\n'))
        # As most systems have it: few unless one asks for more.
        process = start(net, script, server.port,
                        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 16384)))
        heard(process, "warm")
        before = supervisor(process)
        go_on(process)
        heard(process, "connected")
        wait_until(lambda: server.connections >= 1025, "as many as may be open are")
        peak = supervisor(process)
        expect_equal(server.connections, 1025, "no more than may be open")
        expect(peak[0] >= 2048, "two descriptors each", peak)
        expect(peak[1] < 64 * 1024, f"memory: {peak[1]} kB", peak)
        go_on(process)
        heard(process, "2000")
        wait_until(lambda: supervisor(process)[0] <= before[0] + 64, f"descriptors go back to {before}")
        go_on(process)
        process.communicate(timeout=60)
        expect_equal((process.returncode, server.connections), (0, 2001), "exit code, connections")


@test("clients that never end their greeting, or their request, or send neither, are let go; others don't wait for them")
def slow(world):
    script = """
import socket, sys, threading, time
port = int(sys.argv[1])
def drip(first, rest):
    s = socket.create_connection(("web.example", port), 30); began = time.monotonic()
    s.sendall(first); s.settimeout(0.25)
    for _ in range(200):
        try:
            got = s.recv(300)
            return got, time.monotonic() - began
        except TimeoutError: pass
        except OSError as e: return type(e).__name__.encode(), time.monotonic() - began
        try: s.send(rest)
        except OSError as e: return type(e).__name__.encode(), time.monotonic() - began
    return b"never", time.monotonic() - began
results = {}
def run(name, *what): results[name] = drip(*what)
threads = [threading.Thread(target=run, args=a) for a in (
    ("tls", b"\\x16\\x03\\x01\\x20\\x00\\x01\\x00\\x1f\\xfc\\x03\\x03", b"r"),
    ("http", b"GET / HTTP/1.1\\r\\nHost: web.example:%d\\r\\nX: " % port, b"y"),
    ("line", b"GE", b"T"))]
for t in threads: t.start()
began = time.monotonic()
s = socket.create_connection(("web.example", port), 30); s.sendall(b"GET /x HTTP/1.1\\r\\nHost: web.example:%d\\r\\n\\r\\n" % port)
print("other", b"200 OK" in s.recv(100), time.monotonic() - began < 2)
for t in threads: t.join()
for name, (got, took) in sorted(results.items()): print(name, 8 < took < 14, got[:60])
"""
    with Web() as server:
        net = Net(world, {"web.example": "127.0.0.1"}, granted(server, "web.example"))
        done = net.python(script, server.port)
        lines = done.text.splitlines()
        expect_equal(len(lines), 4, f"lines\n{done}")
        expect_equal(lines[0], "other True True", f"control: another is served meanwhile\n{done}")
        for line in lines[1:]:
            expect(line.split()[1] == "True", "let go after ten seconds", done)
        expect("408" in lines[1], "HTTP says why", done)
        expect_equal(len(server.heads), 1, "requests that the server saw")


@test("DNS over TCP: clients that never ask are let go after ten seconds, and UDP answers meanwhile")
def dns_flood(world):
    script = """
import socket, struct, sys, time
query = b"\\x12\\x34\\x01\\x00\\x00\\x01" + b"\\0" * 6 + b"\\x03web\\x07example\\0" + struct.pack(">HH", 1, 1)
def ask():
    began = time.monotonic()
    s = socket.create_connection(("198.18.0.1", 53), 60); s.sendall(struct.pack(">H", len(query)) + query)
    return len(s.recv(600)) > 30, time.monotonic() - began
print("alone", ask()[0] and ask()[1] < 2)
idle = [socket.create_connection(("198.18.0.1", 53), 60) for _ in range(200)]
for link in idle[::2]: link.sendall(b"\\x00\\x30\\x12")
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5); s.connect(("198.18.0.1", 53)); s.send(query)
print("datagram", len(s.recv(600)) > 30)
for link in idle[:64]: link.close()
good, took = ask()
print("stream", good, took < 45)
"""
    with Server() as server:
        net = Net(world, {"web.example": "127.0.0.1"}, granted(server, "web.example"))
        done = net.python(script, timeout=90)
        expect_equal(done.text, "alone True\ndatagram True\nstream True True\n", f"{done}")


@test("70,000 names: the table is full for a minute, what it has given stays, and memory is bounded")
def many_names(world):
    script = """
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10); s.connect(("198.18.0.1", 53))
def ask(number):
    name = b"%040d" % number
    s.send(b"\\x12\\x34\\x01\\x00\\x00\\x01" + b"\\0" * 6 + bytes([len(name)]) + name + b"\\x3f" + b"a" * 63 + b"\\x3f" + b"b" * 63
           + b"\\x07example\\0" + struct.pack(">HH", 1, 1))
    reply = s.recv(600)
    return reply[3] & 15
web = socket.gethostbyname("web.example")
codes = [0] * 16
for number in range(70000): codes[ask(number)] += 1
print(codes[0], codes[2], web == socket.gethostbyname("web.example"), flush=True)
sys.stdin.readline()
link = socket.create_connection(("web.example", int(sys.argv[1])), 20); link.sendall(b"hello\\n"); print(link.recv(100).decode().strip())
"""
    with Server() as server:
        net = Net(world, {"web.example": "127.0.0.1"}, granted(server, "web.example"))
        process = start(net, script, server.port)
        heard(process, "65535 4465 True")
        size = supervisor(process)[1]
        expect(size < 96 * 1024, f"memory: {size} kB")
        go_on(process)
        heard(process, "echo hello")
        process.communicate(timeout=60)


@test("a request that is refused while its body still comes is answered all the same")
def refused_body(world):
    need_program("curl")
    (world.workspace / "big").write_bytes(os.urandom(1 << 20) * 8)
    with site(hello) as server:
        net = Net(world, {"web.example": "127.0.0.1"}, f'allow = ["127.0.0.1:{server.port}"]\n')
        for _ in range(3):
            done = net.room("curl", "-sS", "-H", "Expect:", "--data-binary", "@big", f"http://web.example:{server.port}/")
            expect("agentbox: no rule of the profile allows it" in done.text, "refused with a reason", done)
        expect_equal(server.requests, [], "requests that arrived")
        net = Net(world, {"web.example": "127.0.0.1"}, granted(server, "web.example"))
        done = net.room("curl", "-sS", "-H", "Expect:", "--data-binary", "@big", f"http://web.example:{server.port}/")
        expect_equal(done.text, "hello\n", f"control\n{done}")


@test("where few descriptors may be open, fewer connections are; the others wait their turn")
def few_descriptors(world):
    script = """
import socket, sys
links = [socket.create_connection(("web.example", int(sys.argv[1])), 60) for _ in range(300)]
print("connected", flush=True); sys.stdin.readline()
for link in links: link.sendall(b"hello\\n")
good = 0
for link in links:
    good += link.recv(100) == b"echo hello\\n"; link.close()
print(good)
"""
    with Server() as server:
        net = Net(world, {"web.example": "127.0.0.1"}, granted(server, "web.example"))
        process = start(net, script, server.port,
                        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024)))
        heard(process, "connected")
        wait_until(lambda: server.connections >= 8, "some are open")
        expect(supervisor(process)[0] < 700, "descriptors are left for everything else", supervisor(process))
        expect(server.connections < 300, "not all are open", server.connections)
        go_on(process)
        heard(process, "300")
        process.communicate(timeout=60)
        expect_equal((process.returncode, server.connections), (0, 300), "exit code, connections")


@test("a room that does nothing but knock does not fill the record, and what it may reach still answers")
def knocking(world):
    script = """
import socket, sys
def reach(host, port):
    try:
        s = socket.create_connection((host, port), 20); s.sendall(b"hello\\n"); return s.recv(100)
    except OSError: return b""
# Some at a time: who was refused hears why, and that takes a moment.
links = []
for port in range(1, 1001):
    s = socket.socket(); s.setblocking(False); s.connect_ex(("198.51.100.7", port)); links.append(s)
    if len(links) == 200:
        for s in links:
            s.setblocking(True); s.settimeout(20)
            try: s.sendall(b"x\\n"); s.recv(10)
            except OSError: pass
            s.close()
        links = []
print(reach("web.example", int(sys.argv[1])).decode().strip(), reach("web.example", 1) == b"")
"""
    with Server() as server:
        net = Net(world, {"web.example": "127.0.0.1"}, granted(server, "web.example"))
        done = net.python(script, server.port)
        expect_equal(done.text, "echo hello True\n", f"control\n{done}")
        rows = net.record("--lines", "100000")
        denied = len([row for row in rows if row.get("verdict") == "deny"])
        told = [int(re.search(r"(\d+) more connections were", str(row["detail"]))[1])
                for row in rows if "more connections were refused" in str(row["detail"])]
        # So many a minute, and a slow machine may need more than one. Port 53 is the resolver's, of whatever address.
        expect(told and 300 <= denied <= 300 * (len(told) + 1), "denials that are recorded one by one", denied, told)
        expect_equal(denied + sum(told), 1000, "the others as a number")


run_tests()
