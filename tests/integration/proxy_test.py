"""The gate as a proxy, for programs that are told of one: the same rulings, checks and records as for captured connections,
whether the machine can capture them or not."""

import time

from harness import agentbox_binary, expect, expect_equal, need_program, run_tests, test
from gate_world import CONNECT, Net, Web, granted, tls_server
from servers import Server
from terminal import Tmux

# Says PROXY-PORT the lines of the arguments, each with \\r, \\n, \\xHH in it, one after the other's answer; prints what
# came back until the other side is quiet or closes, escaped, a line each.
TALK = """
import socket, sys
s = socket.create_connection(("198.18.0.1", int(sys.argv[1])), 10)
for text in sys.argv[2:]:
    s.sendall(text.encode().decode("unicode_escape").encode("latin-1"))
    s.settimeout(20)
    got = b""
    try:
        got = s.recv(65536)
        s.settimeout(0.3)
        while True:
            part = s.recv(65536)
            if not part:
                got += b" [end]"
                break
            got += part
    except TimeoutError:
        pass
    except OSError as error:
        got += type(error).__name__.encode()
    print(got.decode("latin-1").encode("unicode_escape").decode())
"""
HELLO = "\\x05\\x01\\x00"


def socks(name, port):
    """A request to connect to a name, or to 4 or 16 bytes of an address; with what Python's escapes say in it."""
    raw = name if isinstance(name, bytes) else name.encode().decode("unicode_escape").encode("latin-1")
    kind = 3 if isinstance(name, str) else {4: 1, 16: 4}[len(raw)]
    message = bytes([5, 1, 0, kind]) + (bytes([len(raw)]) if kind == 3 else b"") + raw + port.to_bytes(2, "big")
    return "".join(f"\\x{byte:02x}" for byte in message)


def talk(net, port, *texts):
    done = net.python(TALK, port, *texts)
    expect(done.code == 0, "the client ended", done)
    return done.text.splitlines()


def offered(server, *names, more=""):
    return granted(server, *names, more="proxy = true\n" + more)


@test("programs are told of the proxies, those that aren't need none, and only a profile that says so has them")
def told(world):
    with Web() as server, tls_server(world, "web.example") as secure:
        grants = f'allow = ["web.example:{server.port}", "web.example:{secure.port}", "127.0.0.1:*"]\n'
        net = Net(world, {"web.example": "127.0.0.1"}, grants + "proxy = true\n")
        need_program("curl")
        done = net.room("sh", "-c", "echo $http_proxy $https_proxy $all_proxy $no_proxy; env | grep -ci _proxy=")
        expect_equal(done.text, "http://198.18.0.1:3128 " * 3 + "localhost,127.0.0.1,::1\n8\n", f"variables\n{done}")
        script = (f"curl -sSv http://web.example:{server.port}/plain; "
                  f"curl -sSv --cacert ca.crt https://web.example:{secure.port}/; "
                  f"curl -sSv --socks5-hostname 198.18.0.1:1080 http://web.example:{server.port}/socks; "
                  f"curl -sSv --socks5 198.18.0.1:1080 http://web.example:{server.port}/first-resolved; "
                  f"curl -sSv --noproxy '*' http://web.example:{server.port}/captured")
        done = net.room("sh", "-c", script)
        expect_equal(done.text, "/plainhello\n/socks/first-resolved/captured", f"curl\n{done}")
        expect("CONNECT web.example" in done.errors and "200 Connection established" in done.errors, "CONNECT", done)
        # What went on is a request as any other, in the form that servers take.
        expect(server.heads[0].startswith("GET /plain HTTP/1.1\r\n") and "proxy" not in server.heads[0].lower(), "head",
               server.heads[0])
        rows = [row for row in net.record() if row["what"] == "outcome"]
        expect_equal(len(rows), 5, f"each is on record {rows}")
        net = Net(world, {"web.example": "127.0.0.1"}, grants)
        done = net.room("sh", "-c", "env | grep -i _proxy; curl -sS -m 5 -x 198.18.0.1:3128 http://web.example/; echo $?")
        expect(done.text.strip() in ("7", "56", "52"), "not offered", done)


@test("a proxy refuses what the gate refuses, with the reason, and puts it on record")
def refused(world):
    with Server() as server, Server() as other:
        net = Net(world, {"web.example": "127.0.0.1", "inward.example": "127.0.0.2", "gone.example": "127.0.0.1"},
                  offered(server, "web.example", more='deny = ["never.example"]\n').replace(
                      "allow = [", f'allow = ["inward.example:{server.port}", "gone.example:1", "127.0.0.1:1", '))
        line = "CONNECT {} HTTP/1.1\\r\\nHost: {}\\r\\n\\r\\n"
        for target, status, reply, reason in (
                ("other.example:443", 403, 2, "no rule of the profile allows it"),
                ("never.example:443", 403, 2, "denies it"),
                (f"web.example:{other.port}", 403, 2, "no rule"),
                ("192.0.2.1:443", 403, 2, "no rule"),
                (f"inward.example:{server.port}", 403, 2, "grant that address itself"),
                ("gone.example:1", 502, 5, "nobody answers at gone.example:1"),
        ):
            host, port = target.rsplit(":", 1)
            said = talk(net, 3128, line.format(target, target))
            expect(said[0].startswith(f"HTTP/1.1 {status} ") and reason in said[0] and "[end]" in said[0],
                   f"CONNECT {target}", said)
            said = talk(net, 3128, f"GET http://{target}/ HTTP/1.1\\r\\nHost: {target}\\r\\n\\r\\n")
            expect(said[0].startswith(f"HTTP/1.1 {status} ") and reason in said[0], f"GET {target}", said)
            address = bytes(map(int, host.split("."))) if host[0].isdigit() else host
            said = talk(net, 1080, HELLO, socks(address, int(port)))
            expect_equal((said[0], said[1][:16]), (r"\x05\x00", rf"\x05\x0{reply}\x00\x01"), f"SOCKS {target} {said}")
        expect_equal((server.connections, other.connections), (0, 0), "connections that arrived")
        denied = {row["summary"] for row in net.record("--verdict", "deny")}
        expect({"other.example:443", "never.example:443", f"web.example:{other.port}", "192.0.2.1:443"} <= denied,
               "on record", denied)
        expect("other.example" not in net.names_asked(), "no denied name was looked up", net.names_asked())
        said = talk(net, 3128, line.format(*[f"web.example:{server.port}"] * 2), "hello\\n")
        expect("200 Connection established" in said[0] and "echo hello" in said[1], "control", said)
        said = talk(net, 1080, HELLO, socks("web.example", server.port), "hello\\n")
        expect(said[1].startswith(r"\x05\x00\x00") and "echo hello" in said[2], "control", said)


@test("this machine's own ports are not reached through a proxy, under any of their names")
def localhost(world):
    with Server() as server:
        net = Net(world, {"web.example": "127.0.0.1"},
                  f'allow = ["localhost:{server.port}", "web.example:{server.port}"]\n'
                  "proxy = true\n")
        for name in ("localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "127.1", "0x7f.0.0.1", "2130706433",
                     "017700000001", "0.0.0.0", "[::]", "x.localhost", "localhost."):
            said = talk(net, 3128, f"CONNECT {name}:{server.port} HTTP/1.1\\r\\nHost: {name}:{server.port}\\r\\n\\r\\n")
            expect(said[0].startswith("HTTP/1.1 40"), name, said)
        for name in (b"\x7f\0\0\1", b"\0" * 15 + b"\1", b"\0" * 10 + b"\xff\xff\x7f\0\0\1", "localhost", "127.0.0.1", "127.1"):
            said = talk(net, 1080, HELLO, socks(name, server.port))
            expect(said[1].startswith(r"\x05\x02"), str(name), said)
        expect_equal(server.connections, 0, "connections that arrived")
        done = net.python(CONNECT, "localhost", server.port)
        expect_equal(done.text, "said echo hello quick\n", f"control: directly\n{done}")


@test("a name that leads to a model server is no way round what a model's user may say")
def model(world):
    with Server() as server:
        net = Net(world, {"web.example": "127.0.0.1"},
                  f'allow = [{{ to = "localhost:{server.port}", as = "llm" }}, "web.example:{server.port}"]\nproxy = true\n')
        target = f"web.example:{server.port}"
        said = talk(net, 3128, f"CONNECT {target} HTTP/1.1\\r\\nHost: {target}\\r\\n\\r\\n")
        expect("403" in said[0] and "grant that address itself" in said[0], "by the proxy", said)
        expect_equal(net.python(CONNECT, "web.example", server.port).text, "ConnectionResetError quick\n", "captured")
        expect_equal(server.connections, 0, "connections that arrived")


@test("a host in another spelling is the same host, or none")
def spelling(world):
    with Server() as server:
        net = Net(world, {"web.example": "127.0.0.1"}, offered(server, "web.example"))
        for name in ("web.example", "WEB.Example", "web.example."):
            said = talk(net, 1080, HELLO, socks(name, server.port))
            expect(said[1].startswith(r"\x05\x00"), name, said)
        reached = server.connections
        for name in (r"web.example\x00", r"web.example\x00.evil", r"web.example\r\nX: y", "web.example%00", "user@web.example",
                     "web example", "*.example", "", "wéb.example", "-web.example", "a" * 64 + ".example"):
            said = talk(net, 1080, HELLO, socks(name, server.port))
            expect(said[1].startswith(r"\x05\x02"), name, said)
        for target in ("user@web.example:PORT", "web.example%00:PORT", r"web.example\x00:PORT", "web.example", "web.example:0",
                       "web.example:PORT:1", "web.example:99999", r"web.example:PORT HTTP/1.1\nX: y"):
            target = target.replace("PORT", str(server.port))
            said = talk(net, 3128, f"CONNECT {target} HTTP/1.1\\r\\nHost: {target}\\r\\n\\r\\n")
            expect(said[0].startswith("HTTP/1.1 4"), target, said)
        for text in ("GET / HTTP/1.1\\r\\nHost: web.example\\r\\n\\r\\n", "nonsense\\r\\n\\r\\n", "\\x16\\x03\\x01\\x00\\x05hello",
                     f"GET http://web.example:{server.port}/ HTTP/1.1\\r\\nHost: other.example\\r\\n\\r\\n",
                     f"GET https://web.example:{server.port}/ HTTP/1.1\\r\\nHost: web.example:{server.port}\\r\\n\\r\\n"):
            said = talk(net, 3128, text)
            expect(said[0].startswith("HTTP/1.1 4"), text, said)
        for text in ("\\x04\\x01\\x00\\x50\\x7f\\x00\\x00\\x01\\x00", "\\x05\\x01\\x02", HELLO + "\\x05\\x02\\x00\\x01\\x7f\\x00\\x00\\x01\\x00\\x50",
                     HELLO + "\\x05\\x03\\x00\\x01\\x7f\\x00\\x00\\x01\\x00\\x50"):
            said = talk(net, 1080, text)
            expect(r"\x05\x00\x00\x01" not in said[0], text, said)
        expect_equal(server.connections, reached, "connections that arrived")


@test("what is said within a tunnel is held against its host")
def tunnels(world):
    with tls_server(world, "web.example", "other.example") as secure, Web() as server:
        net = Net(world, {"web.example": "127.0.0.1"},
                  f'allow = ["web.example:{secure.port}", "web.example:{server.port}", "127.0.0.1:*"]\nproxy = true\n')
        need_program("curl")
        done = net.room("curl", "-sS", "--cacert", "ca.crt", f"https://web.example:{secure.port}/")
        expect_equal(done.text, "hello\n", f"control\n{done}")
        done = net.room("curl", "-sS", "--cacert", "ca.crt", "--connect-to",
                        f"other.example:{secure.port}:web.example:{secure.port}", f"https://other.example:{secure.port}/")
        expect(done.code == 35 and "access denied" in done.errors, "another name in the greeting", done)
        host = f"web.example:{server.port}"
        tunnel = f"CONNECT {host} HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n"
        said = talk(net, 3128, tunnel, f"GET /in HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n",
                    "GET /out HTTP/1.1\\r\\nHost: other.example\\r\\n\\r\\n")
        expect("200 Connection" in said[0] and "/in" in said[1] and " 421 " in said[2], "HTTP in a tunnel", said)
        said = talk(net, 1080, HELLO, socks("web.example", server.port), "GET / HTTP/1.1\\r\\nHost: other.example\\r\\n\\r\\n")
        expect(" 421 " in said[2], "HTTP behind SOCKS", said)
        # What comes with the request to connect is not lost, and not believed more.
        said = talk(net, 3128, tunnel + f"GET /early HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n")
        expect("200 Connection" in said[0] and "/early" in said[0], "early", said)
        said = talk(net, 3128, tunnel + "GET /early2 HTTP/1.1\\r\\nHost: other.example\\r\\n\\r\\n")
        expect("200 Connection" in said[0] and " 421 " in said[0], "early, another host", said)
        paths = [head.split(" ")[1] for head in server.heads]
        expect_equal(paths, ["/in", "/early"], "requests that the server saw")


@test("each request of a kept proxy connection is ruled on by the host that it names")
def kept(world):
    with Web() as one, Web() as two:
        net = Net(world, {"one.example": "127.0.0.1", "two.example": "127.0.0.1", "no.example": "127.0.0.1"},
                  f'allow = ["one.example:{one.port}", "two.example:{two.port}", "127.0.0.1:*"]\nproxy = true\n')
        def get(host, port, path):
            return f"GET http://{host}:{port}/{path} HTTP/1.1\\r\\nHost: {host}:{port}\\r\\n\\r\\n"
        requests = [get("one.example", one.port, "a"), get("one.example", one.port, "b"), get("two.example", two.port, "c"),
                    get("one.example", one.port, "d"), get("no.example", one.port, "e"), get("one.example", one.port, "f")]
        said = talk(net, 3128, *requests[:5])
        for path, answer in zip("abcd", said):
            expect("200 OK" in answer and f"/{path}" in answer, path, said)
        expect(" 403 " in said[4], "the host that nothing grants", said)
        expect_equal((one.connections, two.connections), (2, 1), "connections: /a and /b share one, /d has its own")
        # All at once: the answers come in their order.
        said = talk(net, 3128, "".join(requests))
        order = [said[0].find(f"/{path}") for path in "abcd"] + [said[0].find(" 403 ")]
        expect(order == sorted(order) and order[0] > 0, "pipelined", said)
        expect("/f" not in said[0] and not any("/f " in head for head in one.heads), "nothing after the refusal", said)
        tunnel = f"CONNECT two.example:{two.port} HTTP/1.1\\r\\nHost: two.example:{two.port}\\r\\n\\r\\n"
        said = talk(net, 3128, requests[0], tunnel, f"GET /t HTTP/1.1\\r\\nHost: two.example:{two.port}\\r\\n\\r\\n")
        expect("/a" in said[0] and "200 Connection" in said[1] and "/t" in said[2], "then a tunnel", said)


BODIES = """
import hashlib, http.client, sys
port, proxy = int(sys.argv[1]), sys.argv[2]
at = f"http://web.example:{port}" if proxy == "absolute" else ""
link = http.client.HTTPConnection("198.18.0.1", 3128) if proxy else http.client.HTTPConnection("web.example", port)
if proxy == "tunnel": link.set_tunnel("web.example", port)
body = bytes(range(256)) * 40_000
for part in (body, b"small", body[:300_000], b"", body[:70_000]):
    link.request("POST", at + "/x", part, {"Host": f"web.example:{port}"})
    back = link.getresponse().read()
    print(back == b"/x" + part, len(back))
"""


@test("bodies of every size pass unharmed both ways, on one connection")
def bodies(world):
    with Web() as server:
        net = Net(world, {"web.example": "127.0.0.1"}, offered(server, "web.example"))
        wanted = "".join(f"True {size + 2}\n" for size in (10_240_000, 5, 300_000, 0, 70_000))
        for way in ("", "absolute", "tunnel"):
            before = server.connections
            done = net.python(BODIES, server.port, way)
            expect_equal(done.text, wanted, f"{way or 'captured'}\n{done}")
            expect_equal(server.connections - before, 1, "connections")


@test("a client of the proxy waits for the answer, and a yes covers its retry")
def asked(world):
    with Web() as server:
        net = Net(world, {"new.example": "127.0.0.1"},
                  offered(server, more=f'ask = ["new.example:{server.port}"]\n'))
        need_program("curl")
        (world.workspace / "client.sh").write_text(
            f"curl -sS -m 3 http://new.example:{server.port}/one\n"
            f"curl -sS -m 60 -p http://new.example:{server.port}/two; echo\n"
            f"curl -sS -m 60 http://new.example:{server.port}/three; echo\n")
        with Tmux(world, env=net.env) as terminal:
            terminal.line(f"{agentbox_binary()} run net -- sh client.sh")
            screen = terminal.wait_for("connect to a host")
            expect(f"new.example:{server.port}" in screen and "curl" in screen, "host and program", screen)
            time.sleep(5)  # the first has given up by now
            terminal.type("o")
            screen = terminal.wait_for("1 question")
            expect("timed out" in screen and "/two" in screen and "/three" in screen, "answers", screen)
        expect_equal([head.split(" ")[1] for head in server.heads], ["/two", "/three"], "requests that the server saw")


@test("where connections can't be captured there are the proxies alone, and run says so")
def alone(world):
    with Web() as server:
        net = Net(world, {"web.example": "127.0.0.1"}, granted(server, "web.example"))
        net.env["AGENTBOX_TEST_NO_NFTABLES"] = "1"
        need_program("curl")
        url = f"http://web.example:{server.port}"
        done = net.room("sh", "-c", f"curl -sS {url}/one; curl -sS -p {url}/two; env | grep -ci _proxy=")
        expect_equal(done.text, "/one/two8\n", f"by the proxy\n{done}")
        expect(done.errors.startswith("agentbox: note: only programs that use the proxy variables reach the network: ") and
               "hint: install libnftables" in done.errors, "run says so", done)
        done = net.room("curl", "-sS", "http://other.example/")
        expect("agentbox: no rule of the profile allows it" in done.text, "the same rules", done)
        script = ("import socket, sys\nfor family, to in ((socket.AF_INET, '192.0.2.1'), (socket.AF_INET6, '2001:db8::1'),\n"
                  "                   (socket.AF_INET, '198.18.77.77')):\n for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):\n"
                  "  s = socket.socket(family, kind); s.settimeout(5)\n"
                  "  try: s.connect((to, 443)); s.send(b'x'); print('out')\n  except OSError as e: print(e.errno)\n"
                  "try: socket.create_connection(('web.example', int(sys.argv[1])), 5); print('out')\n"
                  "except OSError as e: print(e.errno)\n")
        done = net.python(script, server.port)
        expect_equal(done.text, "101\n" * 7, f"nothing else leads anywhere: ENETUNREACH\n{done}")
        world.profile("set", 'extends = ["net"]\n[environment]\nset = { http_proxy = "mine" }\n')
        done = world.room("sh", "-c", "echo $http_proxy $https_proxy", profile="set", env=net.env)
        expect_equal(done.text, "mine http://198.18.0.1:3128\n", f"what the profile sets stays\n{done}")
        done = world.agentbox("doctor", env=net.env)
        expect("only programs that use the proxy variables reach" in done.text, "doctor says so", done)
        del net.env["AGENTBOX_TEST_NO_NFTABLES"]
        done = net.room("sh", "-c", f"curl -sS {url}/captured; echo $https_proxy")
        expect_equal((done.text, "proxy variables" in done.errors), ("/captured\n", False), f"control\n{done}")


run_tests()
