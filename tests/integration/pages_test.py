"""Published ports: a page that the room serves is reached by its owner's browser under a name of its own, loads nothing
from elsewhere, and is no other page's to read."""

import base64
import hashlib
import json
import os
import re
import socket

from harness import agentbox_binary, expect, expect_equal, need_program, run_tests, test
from servers import PYTHON

# In the room: answers as the path says, and keeps the heads for /heads.
SERVER = """
import base64, hashlib, http.server, json, sys
heads = []
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_GET(self):
        heads.append([self.command, self.path, self.headers.items()])
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Upgrade"): return self.socket()
        if self.path == "/chunks":
            self.send_response(200); self.send_header("Transfer-Encoding", "chunked"); self.send_header("Trailer", "X-T"); self.end_headers()
            return self.wfile.write(b"3;x=y\\r\\nabc\\r\\n2\\r\\nde\\r\\n0\\r\\nX-T: t\\r\\n\\r\\n")
        if self.path == "/close":
            self.close_connection = True
            return self.wfile.write(b"HTTP/1.0 200 OK\\r\\nX-One: 1\\r\\n\\r\\nto the end")
        if self.path == "/early": self.wfile.write(b"HTTP/1.1 103 Early Hints\\r\\nLink: <http://evil.example/>; rel=preconnect\\r\\n\\r\\n")
        if self.path == "/nonsense":
            self.close_connection = True
            return self.wfile.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 1\\r\\nContent-Length: 2\\r\\n\\r\\nxy")
        if self.path == "/split":
            self.close_connection = True
            return self.wfile.write(b"HTTP/1.1 200 OK\\nX: y\\r\\n\\r\\n<script>")
        text = json.dumps(heads).encode() if self.path == "/heads" else b"page " + self.path.encode() + body
        self.send_response(200)
        if self.path == "/loud":
            for line in sys.argv[2:]: self.send_header(*line.split(": ", 1))
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD": self.wfile.write(text)
    do_POST = do_HEAD = do_OPTIONS = do_GET
    def socket(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.wfile.write(f"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: {accept}\\r\\n\\r\\n".encode())
        self.wfile.write(b"frame " + self.rfile.readline()); self.close_connection = True
server = http.server.ThreadingHTTPServer(("127.0.0.1", 3000), Handler)
print("ready", flush=True)
import threading; threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.readline()
"""


class Page:
    """A room that serves, and what its owner does with it from outside."""

    def __init__(self, world, raw=False, said=()):
        self.world = world
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        item = f'{{ port = "{self.port}:3000", raw = true }}' if raw else f'"{self.port}:3000"'
        world.profile("p", f'extends = ["default"]\n[network]\npublish = [{item}]\n')
        self.note, self.inner = os.pipe()
        self.process = world.start([agentbox_binary(), "run", "p", "--", PYTHON, "-c", SERVER, "-", *said],
                                   stdin=self.pipe(), stderr=self.inner)
        os.close(self.inner)
        expect_equal(self.process.stdout.readline(), b"ready\n", "the room's server")
        self.notes = os.read(self.note, 4096).decode() if not raw else ""
        found = re.search(r"http://(\S+?):(\d+)/", self.notes)
        self.name = found.group(1) if found else "localhost"
        self.url = f"http://{self.name}:{self.port}"

    def pipe(self):
        reads, self.stdin = os.pipe()
        return reads

    def curl(self, *words, url=None):
        need_program("curl")
        # Not every resolver knows that names below localhost are this machine; browsers do.
        words = ("--resolve", f"{self.name}:{self.port}:127.0.0.1", *words)
        return self.world.run(["curl", "-sS", "--max-time", "10", *words, url or self.url + "/"])

    def heads(self):
        return json.loads(self.curl(url=self.url + "/heads").text)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.stdin)
        self.process.communicate(timeout=60)
        os.close(self.note)


def fields(text):
    return {line.split(": ")[0].lower(): line.split(": ", 1)[1] for line in text.split("\r\n\r\n")[0].split("\r\n")[1:]}


@test("a published page is served under the session's name, and every answer says that it loads nothing from elsewhere")
def served(world):
    with Page(world) as page:
        expect(re.fullmatch(r"p-[a-z0-9]+\.localhost", page.name), "the note names the page", page.notes)
        expect_equal(page.notes.count("note:"), 1, "said once")
        for path, text in (("/", "page /"), ("/chunks", "abcde"), ("/close", "to the end"), ("/early", "page /early")):
            done = page.curl("-i", url=page.url + path)
            head, _, body = done.text.partition("\r\n\r\n")
            expect_equal(body, text, f"the page\n{done}")
            found = fields(done.text)
            policy = found["content-security-policy"]
            expect("default-src 'self'" in policy and f"connect-src 'self' ws://{page.name}:{page.port} " in policy
                   and "form-action 'self'" in policy, "policy", policy)
            expect_equal((found["referrer-policy"], found["cross-origin-opener-policy"], found["cross-origin-resource-policy"]),
                         ("same-origin",) * 3, f"fields {found}")
            expect(head.count("Content-Security-Policy:") == 1 and "evil" not in done.text and "Trailer" not in head, "head", head)
        done = page.curl("-d", "some words", url=page.url + "/form")
        expect_equal(done.text, "page /formsome words", "a form")
        done = page.curl("-I")
        expect("200 OK" in done.text and fields(done.text)["content-length"] == "6", "HEAD", done)
        done = page.curl(page.url + "/a", "-w", "%{num_connects}", url=page.url + "/b")
        expect_equal(done.text, "page /a1page /b0", "kept alive")
        host = dict(page.heads()[0][2])["Host"]
        expect_equal(host, f"{page.name}:{page.port}", "Host as the room sees it")


@test("what the room's server may not say is taken out of its answers; a stricter policy of its own stays")
def filtered(world):
    said = ["Access-Control-Allow-Origin: *", "access-control-allow-credentials: true", "Report-To: {}", "NEL: {}",
            "Link: <http://evil.example>; rel=preconnect", "Referrer-Policy: unsafe-url", "Cross-Origin-Opener-Policy: unsafe-none",
            "Content-Security-Policy: default-src 'none'; report-uri http://evil.example/", "Connection: X-Hop", "X-Hop: 1",
            "Content-Security-Policy: script-src 'none'", "X-Mine: kept", "Set-Cookie: a=b"]
    with Page(world, said=said) as page:
        done = page.curl("-i", url=page.url + "/loud")
        text = done.text.lower()
        for words in ("access-control", "report-", "nel:", "link:", "unsafe-url", "unsafe-none", "evil", "x-hop"):
            expect(words not in text, words, done)
        expect("x-mine: kept" in text and "set-cookie: a=b" in text and "script-src 'none'" in text, "what stays", done)
        expect_equal(text.count("content-security-policy:"), 2, "both policies hold")
    # Control: raw takes nothing out, and puts nothing in.
    with Page(world, raw=True, said=said) as page:
        done = page.curl("-i", url=f"http://localhost:{page.port}/loud")
        expect("evil.example" in done.text and "unsafe-url" in done.text and "connect-src" not in done.text, "raw", done)


@test("localhost leads to the page's own name; any other name, origin or page gets nothing")
def asked_for(world):
    with Page(world) as page:
        for host in (f"localhost:{page.port}", f"127.0.0.1:{page.port}", f"[::1]:{page.port}"):
            done = page.curl("-i", url=f"http://{host}/some/path?a=b")
            expect(done.text.startswith("HTTP/1.1 307"), f"{host} leads elsewhere", done)
            expect_equal(fields(done.text)["location"], f"{page.url}/some/path?a=b", "where to")
        done = page.curl("-L", url=f"http://localhost:{page.port}/x")
        expect_equal(done.text, "page /x", "a tool that follows")
        before = len(page.heads())
        for words, code in ((["-H", "Host: evil.example"], 421), (["-H", f"Host: evil.example:{page.port}"], 421),
                            (["-H", f"Host: {page.name}"], 421), (["-H", f"Host: other-x.localhost:{page.port}"], 400),
                            (["-H", f"Host: {page.name}.evil.example:{page.port}"], 421), (["-H", "Host:", "-0"], 400),
                            (["-H", f"Host: {page.name}:{page.port}\r\nHost: evil.example"], 400),
                            (["-H", "Origin: http://evil.example"], 403), (["-H", "Origin: null"], 403),
                            (["-H", f"Origin: http://localhost:{page.port}"], 403), (["-H", f"Origin: https://{page.name}:{page.port}"], 403),
                            (["-X", "OPTIONS", "-H", "Origin: http://evil.example", "-H", "Access-Control-Request-Method: GET"], 403),
                            (["-H", "Sec-Fetch-Site: cross-site", "-H", "Sec-Fetch-Mode: no-cors"], 403),
                            (["-H", "Sec-Fetch-Site: same-site", "-H", "Sec-Fetch-Mode: navigate", "-H", "Sec-Fetch-Dest: iframe"], 403),
                            (["-H", "Sec-Fetch-Site: cross-site", "-H", "Sec-Fetch-Mode: navigate", "-H", "Sec-Fetch-Dest: document",
                              "-d", "x"], 403),
                            (["-d", "x", "--url", f"http://localhost:{page.port}/"], 421)):
            done = page.curl("-o", "/dev/null", "-w", "%{http_code} ", *words)
            expect(done.text.split()[0] == str(code), f"{words}: {code}", done)
            before += 1 if "--url" in words else 0  # curl asks for both addresses
        expect_equal(len(page.heads()), before + 1, "requests that the room saw")
        for words in (["-H", f"Origin: http://{page.name}:{page.port}", "-d", "x"], ["-H", "Sec-Fetch-Site: same-origin"],
                      ["-H", "Sec-Fetch-Site: none"], ["-H", f"Host: {page.name.upper()}:{page.port}"],
                      ["-H", "Sec-Fetch-Site: cross-site", "-H", "Sec-Fetch-Mode: navigate", "-H", "Sec-Fetch-Dest: document"]):
            done = page.curl("-o", "/dev/null", "-w", "%{http_code}", *words)
            expect_equal(done.text, "200", f"control {words}\n{done}")


def upgrade(page, origin, host=None, protocol="websocket"):
    key = base64.b64encode(b"0123456789abcdef").decode()
    with socket.create_connection(("127.0.0.1", page.port), 10) as link:
        link.sendall((f"GET /ws HTTP/1.1\r\nHost: {host or page.name}:{page.port}\r\nUpgrade: {protocol}\r\nConnection: keep-alive, "
                      f"Upgrade\r\nSec-WebSocket-Key: {key}\r\nOrigin: {origin}\r\n\r\nhello\n").encode())
        got = b""
        while part := link.recv(4096):
            got += part
    accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
    return got.decode(), accept


@test("a WebSocket of the page's own works; one of another page, or to another name, does not")
def websocket(world):
    with Page(world) as page:
        got, accept = upgrade(page, page.url)
        head, _, rest = got.partition("\r\n\r\n")
        expect(head.startswith("HTTP/1.1 101 ") and f"Sec-WebSocket-Accept: {accept}" in head and "Upgrade: websocket" in head
               and "Connection: Upgrade" in head, "upgraded", got)
        expect_equal(rest, "frame hello\n", "what goes through")
        for origin, host, protocol, code in (("http://evil.example", None, "websocket", 403), (page.url, "localhost", "websocket", 421),
                                             (page.url, None, "other", 400)):
            got, _ = upgrade(page, origin, host, protocol)
            expect(got.startswith(f"HTTP/1.1 {code} "), f"{origin} {host} {protocol}", got)


@test("an answer that is not to be understood does not pass")
def nonsense(world):
    with Page(world) as page:
        for path in ("/nonsense", "/split"):
            done = page.curl("-i", url=page.url + path)
            expect(done.text.startswith("HTTP/1.1 502") and "agentbox: the server's answer" in done.text, path, done)
            expect("<script>" not in done.text, "nothing of it", done)
        expect_equal(page.curl().text, "page /", "control")


@test("a page is reached by IPv6 too, is gone with the room, and a port where nobody serves is reset")
def comes_and_goes(world):
    with Page(world) as page:
        done = world.run(["curl", "-sS", "--max-time", "10", "--resolve", f"{page.name}:{page.port}:[::1]", page.url + "/six"])
        expect_equal(done.text, "page /six", f"IPv6\n{done}")
    done = page.curl()
    expect(done.code == 7, "gone with the room", done)


@test("explain says what a published port is")
def explained(world):
    world.profile("p", 'extends = ["default"]\n[network]\npublish = ["3000", { port = 5432, raw = true }]\n')
    done = world.agentbox("explain", "p")
    text = " ".join(done.text.split())
    expect("a page at http://SESSION.localhost:3000/ that loads nothing from elsewhere" in text, "page", done)
    expect("reachable as localhost:5432 from this machine, every protocol, unchanged" in text, "raw", done)
    expect("raw = true puts no policy on it" in text and "can lead the browser to another address" in text, "exposes", done)


run_tests()
