"""Upstreams: what a profile sends through a SOCKS5 or HTTP proxy goes there and nowhere else, by its name, and two hosts can't
be tied together."""

import contextlib
import shutil
import socket
import subprocess
import threading

from harness import expect, expect_equal, need_program, run_tests, test, wait_until
from gate_world import CONNECT, Net, Web, tls_server
from servers import Server


def pump(one, other):
    with contextlib.suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)


def join(link, target):
    """Passes on both ways until both have said all."""
    def one_way(one, other):
        pump(one, other)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_WR)

    back = threading.Thread(target=one_way, args=(target, link), daemon=True)
    back.start()
    one_way(link, target)
    back.join()
    target.close()


class Socks(Server):
    """A SOCKS5 server that leads every name to this machine and remembers what it was asked. `reply`: its only answer, if it
    isn't 0; `logins`: False, it wants none."""

    def __init__(self, reply=0, logins=True, first=b""):
        self.asked, self.reply, self.logins, self.first = [], reply, logins, first
        super().__init__(self.answer)

    def answer(self, link):
        stream = link.makefile("rb")
        version, count = stream.read(2)
        methods = stream.read(count)
        user = password = None
        if self.logins and 2 in methods:
            link.sendall(b"\5\2")
            stream.read(1)
            user = stream.read(stream.read(1)[0])
            password = stream.read(stream.read(1)[0])
            link.sendall(b"\1\0")
        else:
            link.sendall(b"\5\0")
        version, command, _, kind = stream.read(4)
        name = stream.read(stream.read(1)[0]).decode() if kind == 3 else stream.read({1: 4, 4: 16}[kind])
        port = int.from_bytes(stream.read(2), "big")
        self.asked.append({"name": name, "port": port, "user": user, "password": password})
        if self.reply:
            link.sendall(bytes([5, self.reply, 0, 1, 0, 0, 0, 0, 0, 0]))
            return
        target = socket.create_connection(("127.0.0.1", port))
        # The reply and the first words of the server in one piece.
        link.sendall(b"\5\0\0\1\0\0\0\0\0\0" + self.first)
        join(link, target)


class HttpProxy(Server):
    """An HTTP proxy that leads every name to this machine and remembers the heads that it was sent."""

    def __init__(self, status=200):
        self.heads, self.status = [], status
        super().__init__(self.answer)

    def answer(self, link):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = link.recv(1)
            if not byte:
                return
            head += byte
        self.heads.append(head.decode())
        word, target = head.decode().split(" ")[:2]
        if self.status != 200:
            link.sendall(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % self.status)
            return
        if word == "CONNECT":
            upstream = socket.create_connection(("127.0.0.1", int(target.rsplit(":", 1)[1])))
            link.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            with socket.create_connection(("127.0.0.1", int(target.split("/")[2].rsplit(":", 1)[1]))) as upstream:
                upstream.sendall(head.replace(target.encode(), b"/" + target.split("/", 3)[3].encode(), 1))
                upstream.shutdown(socket.SHUT_WR)
                pump(upstream, link)
            return self.answer(link)
        join(link, upstream)


def net_via(world, upstream, grants, more=""):
    return Net(world, {}, f'allow = [{grants}]\nvia = "{upstream}"\n{more}')


@test("every connection goes through the upstream, by its name, which is never looked up here")
def by_name(world):
    with Server() as server, Socks() as socks:
        net = net_via(world, f"socks5h://127.0.0.1:{socks.port}", f'"web.example:{server.port}", "192.0.2.7:{server.port}"')
        done = net.python(CONNECT, "web.example", server.port, "192.0.2.7", server.port, "other.example", server.port)
        expect_equal(done.text, "said echo hello quick\n" * 2 + "ConnectionResetError quick\n", f"clients\n{done}")
        expect_equal([one["name"] for one in socks.asked], ["web.example", bytes([192, 0, 2, 7])], "asked of the upstream")
        expect_equal(net.names_asked(), [], "names that were looked up here")
        rows = [row for row in net.record() if row["what"] == "outcome"]
        expect(len(rows) == 2 and all(f"through socks5h://127.0.0.1:{socks.port}" in str(row) for row in rows),
               "the record says so", rows)


@test("two hosts never share a login at the upstream, nor two sessions one; the same host keeps its own")
def isolation(world):
    with Server() as server, Socks() as socks:
        names = ("one.example", "two.example", "one.example")
        net = net_via(world, f"socks5h://localhost:{socks.port}", f'"*.example:{server.port}"')
        for _ in range(2):
            net.python(CONNECT, *[word for name in names for word in (name, server.port)])
        expect_equal([one["name"] for one in socks.asked], [*names, *names], "control: what was asked")
        logins = [(one["user"], one["password"]) for one in socks.asked]
        expect(all(user and password and len(user) >= 16 for user, password in logins), "logins", logins)
        expect_equal((logins[0], logins[3]), (logins[2], logins[5]), "the same host, in the same session")
        expect_equal(len({logins[0], logins[1], logins[3], logins[4]}), 4, "different hosts, different sessions")
        expect(not any(name.encode() in part for login in logins for part in login for name in names),
               "a login tells nothing of its host", logins)
    with Server() as server, Socks(logins=False) as socks:
        net = net_via(world, f"socks5h://127.0.0.1:{socks.port}", f'"web.example:{server.port}"')
        expect_equal(net.python(CONNECT, "web.example", server.port).text, "said echo hello quick\n",
                     "an upstream that wants no login")


@test("an upstream that is down, or refuses, is an error and never a direct connection")
def down(world):
    need_program("curl")
    with Web() as server:
        for reply, text in ((None, "Connection refused"), (4, "the upstream says: host unreachable"), (0xF1, "error 0xf1")):
            with contextlib.ExitStack() as stack:
                socks = Socks(reply=reply or 0) if reply is None else stack.enter_context(Socks(reply=reply))
                if reply is None:
                    with socks:
                        pass  # and closed again
                # Were it to connect by itself, the name and the grants would lead to the server.
                net = Net(world, {"web.example": "127.0.0.1"},
                          f'allow = ["web.example:{server.port}", "127.0.0.1:{server.port}"]\n'
                          f'via = "socks5h://127.0.0.1:{socks.port}"\n')
                done = net.room("curl", "-sS", "--max-time", "20", f"http://web.example:{server.port}/")
                expect("can't be reached through socks5h://127.0.0.1" in done.text and text in done.text, text, done)
                expect_equal(net.names_asked(), [], "names that were looked up here")
        expect_equal(server.connections, 0, "connections that arrived")
        for status in (403, 502):
            with HttpProxy(status) as proxy:
                net = net_via(world, f"http://127.0.0.1:{proxy.port}", f'"web.example:{server.port}"')
                done = net.python(CONNECT, "web.example", server.port)
                expect_equal(done.text, "ConnectionResetError quick\n", f"{status}\n{done}")
                expect(f"it says {status}" in str(net.record()), "the reason is on record", net.record())
        expect_equal(server.connections, 0, "connections that arrived")


@test("a rule may have its own upstream, the narrowest one counts, and this machine is reached directly")
def by_rule(world):
    with Server() as server, Socks() as wide, Socks() as narrow, HttpProxy() as proxy:
        port = server.port
        net = Net(world, {"direct.example": "127.0.0.1"},
                  f'allow = ["localhost:{port}", "plain.example:{port}",\n'
                  f'  {{ to = "*.example:{port}", via = "socks5h://127.0.0.1:{wide.port}" }},\n'
                  f'  {{ to = "a.one.example:{port}", via = "socks5h://127.0.0.1:{narrow.port}" }},\n'
                  f'  {{ to = "other.test:{port}", via = "http://127.0.0.1:{proxy.port}" }}]\n')
        hosts = ("b.one.example", "a.one.example", "other.test", "localhost", "plain.example")
        done = net.python(CONNECT, *[word for host in hosts for word in (host, port)])
        expect_equal(done.text, "said echo hello quick\n" * 5, f"clients\n{done}")
        expect_equal([one["name"] for one in wide.asked], ["b.one.example", "plain.example"], "the wide rule's")
        expect_equal([one["name"] for one in narrow.asked], ["a.one.example"], "the narrow rule's")
        expect_equal([head.split(" ")[1] for head in proxy.heads], [f"other.test:{port}"], "the other rule's")
        expect_equal(net.names_asked(), [], "names that were looked up here")
        done = Net(world, {}, f'allow = [{{ to = "localhost:{port}", via = "http://127.0.0.1:1" }}]\n').python(CONNECT)
        expect("is this machine, which no upstream leads to" in done.errors, "an upstream for this machine", done)


@test("what is said through an upstream is held against its host, as without one")
def checked(world):
    need_program("curl")
    with tls_server(world, "web.example", "other.example") as secure, Web() as server, Socks() as socks, HttpProxy() as proxy:
        for upstream in (f"socks5h://127.0.0.1:{socks.port}", f"http://127.0.0.1:{proxy.port}"):
            net = net_via(world, upstream, f'"web.example:{secure.port}", "web.example:{server.port}"', "proxy = true\n")
            for options in (("--noproxy", "*"), ()):
                done = net.room("curl", "-sS", *options, "--cacert", "ca.crt", f"https://web.example:{secure.port}/")
                expect_equal(done.text, "hello\n", f"TLS {upstream} {options}\n{done}")
                done = net.room("curl", "-sS", *options, "--cacert", "ca.crt", "--connect-to",
                                f"other.example:{secure.port}:web.example:{secure.port}",
                                f"https://other.example:{secure.port}/")
                expect(done.code == 35 and "access denied" in done.errors, f"another name {upstream} {options}", done)
                done = net.room("curl", "-sS", *options, f"http://web.example:{server.port}/a",
                                f"http://web.example:{server.port}/b")
                expect_equal(done.text, "/a/b", f"HTTP {upstream} {options}\n{done}")
                done = net.room("curl", "-sS", *options, "-H", "Host: other.example", f"http://web.example:{server.port}/c")
                expect("agentbox: " in done.text and "/c" not in done.text, f"another Host {upstream} {options}", done)
        plain = [head.split("\r\n")[0] for head in proxy.heads if head.startswith("GET")]
        expect(f"GET http://web.example:{server.port}/a HTTP/1.1" in plain, "an HTTP proxy takes plain requests as they are",
               proxy.heads)


# Says HOST PORT the rest of the arguments, each after the answer to the one before.
SAY = """
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)
for text in sys.argv[3:]:
    s.sendall(text.encode().decode("unicode_escape").encode("latin-1"))
    try: print(s.recv(65536)[:40])
    except OSError as error: print(type(error).__name__)
"""


@test("nothing but requests for its host reaches an HTTP upstream that takes them as they are")
def only_requests(world):
    with Web() as server, HttpProxy() as proxy:
        port = server.port
        net = net_via(world, f"http://127.0.0.1:{proxy.port}", f'"192.0.2.7:{port}", "web.example:{port}"')
        for host in ("192.0.2.7", "web.example"):
            get = f"GET /a HTTP/1.1\\r\\nHost: {host}:{port}\\r\\n\\r\\n"
            for attack in (f"CONNECT other.example:{port} HTTP/1.1\\r\\nHost: other.example:{port}\\r\\n\\r\\n",
                           f"GET http://other.example:{port}/ HTTP/1.1\\r\\nHost: other.example:{port}\\r\\n\\r\\n",
                           f"GET http://other.example:{port}/ HTTP/1.1\\r\\nHost: {host}:{port}\\r\\n\\r\\n"):
                done = net.python(SAY, host, port, get, attack)
                lines = done.text.splitlines()
                expect("200 OK" in lines[0] and "HTTP/1.1 4" in lines[1], f"{host}: {attack}", done)
            upgrade = get.replace("\\r\\n\\r\\n", "\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n\\r\\n")
            done = net.python(SAY, host, port, upgrade)
            expect("200 OK" in done.text, "an upgrade is not asked for", done)
        asked = {head.split(" ")[1].split("/")[2] if "//" in head.split("\r\n")[0] else head for head in proxy.heads}
        expect_equal(asked, {f"192.0.2.7:{port}", f"web.example:{port}"}, "hosts that the proxy was asked for")
        expect(not any("pgrade" in head for head in proxy.heads), "no upgrade", proxy.heads)


@test("what the server says at once behind an upstream's answer is not lost")
def server_first(world):
    def quiet(link):
        link.sendall(b"got " + link.makefile("rb").readline())

    with Server(quiet) as server, Socks(first=b"220 mail.example\r\n") as socks:
        net = net_via(world, f"socks5h://127.0.0.1:{socks.port}", f'"mail.example:{server.port}"')
        script = ("import socket, sys\ns = socket.create_connection(('mail.example', int(sys.argv[1])), 10)\n"
                  "f = s.makefile('rwb')\nprint(f.readline()); f.write(b'EHLO x\\n'); f.flush(); print(f.readline())\n")
        expect_equal(net.python(script, server.port).text, "b'220 mail.example\\r\\n'\nb'got EHLO x\\n'\n", "talk")


@test("Tor takes the handshake with its isolation, and says for itself that it has no circuit")
def tor(world):
    need_program("curl")
    program = need_program("tor")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    data = world.base / "tor"
    data.mkdir(mode=0o700)
    log = world.base / "tor.log"
    torrc = world.base / "torrc"
    # A directory that isn't there, on this machine: nothing is said to the real ones.
    torrc.write_text(f"SocksPort 127.0.0.1:{port}\nDataDirectory {data}\nSafeLogging 0\nSocksTimeout 5\n"
                     f"Log info file {log}\nUseDefaultFallbackDirs 0\n"
                     f"DirAuthority none orport=9 v3ident={'A' * 40} 127.0.0.1:9 {'B' * 40}\n")
    process = world.start([program, "--defaults-torrc", torrc, "-f", torrc], stdout=subprocess.PIPE)
    try:
        def listens():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
            return process.poll() is not None
        wait_until(listens, "tor listens")
        expect(process.poll() is None, "tor runs", process.stdout.read() if process.poll() is not None else "")
        net = net_via(world, f"socks5h://127.0.0.1:{port}", '"web.example", "*.onion"')
        done = net.room("curl", "-sS", "--max-time", "60", "http://web.example/")
        expect(f"can't be reached through socks5h://127.0.0.1:{port}: the upstream says" in done.text, "its own answer", done)
        expect("web.example" in log.read_text(), "tor was asked for the name", log.read_text()[-3000:])
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(data, ignore_errors=True)


run_tests()
