"""What the real clients talk to: git over HTTP and its own protocol, a registry of packages, and whoever greets as an
ssh server does. All on this machine, all scripted."""

import base64
import contextlib
import gzip
import hashlib
import http.server
import io
import json
import os
import ssl
import subprocess
import tarfile
import threading

from servers import Server


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.requests.append(f"{self.command} {self.path}")
        self.server.answer(self)

    do_POST = do_GET

    def reply(self, body, kind="text/plain", status=200):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        whole = b""
        while size := int(self.rfile.readline(), 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole


@contextlib.contextmanager
def site(answer, keys=None):
    """A web server whose pages `answer` writes; over TLS with `keys`, a key and a certificate."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.answer, server.requests = answer, []
    server.port = server.server_address[1]
    if keys:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(keys[1], keys[0])
        # The handshake belongs to the connection's own thread: a client that is held would hold all.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def hello(request):
    request.reply(b"hello\n")


# ---- git ---------------------------------------------------------------------------------------------------------

def repository(world):
    """A bare repository site.git with one file, in a folder of its own."""
    folder, tree = world.base / "repositories", world.base / "tree"
    tree.mkdir()
    (tree / "README").write_text("the file from afar\n")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", tree]
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "one"]):
        world.expect_ok([*git, *words])
    world.expect_ok(["git", "clone", "-q", "--bare", tree, folder / "site.git"])
    return folder


def git_pages(folder):
    """The smart protocol, by git's own CGI program."""
    def answer(request):
        path, _, query = request.path.partition("?")
        env = {"PATH": "/usr/bin:/bin", "GIT_PROJECT_ROOT": str(folder), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path,
               "QUERY_STRING": query, "REQUEST_METHOD": request.command, "REMOTE_ADDR": "127.0.0.1",
               "CONTENT_TYPE": request.headers.get("Content-Type", ""), "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(folder),
               "GIT_PROTOCOL": request.headers.get("Git-Protocol", "")}
        body = request.body()
        if request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        env["CONTENT_LENGTH"] = str(len(body))
        done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, timeout=30)
        head, _, page = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        request.reply(page, fields.get("Content-Type", "text/plain"), int(fields.get("Status", "200")[:3]))
    return answer


def git_daemon(folder):
    """git's own protocol, one `git daemon --inetd` for each connection."""
    def talk(link):
        subprocess.run(["git", "daemon", "--inetd", "--export-all", f"--base-path={folder}", str(folder)], stdin=link,
                       stdout=link, stderr=subprocess.DEVNULL, timeout=30,
                       env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"})
    return Server(talk)


# ---- npm ---------------------------------------------------------------------------------------------------------

def registry_pages(name):
    """A registry with the one package `tiny`, whose archive lies on the same server."""
    package = {"name": "tiny", "version": "1.0.0", "main": "index.js"}
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as archive:
        for path, text in (("package.json", json.dumps(package)), ("index.js", "module.exports = 'tiny works'\n")):
            entry = tarfile.TarInfo(f"package/{path}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    data = raw.getvalue()
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()

    def answer(request):
        if request.path.endswith(".tgz"):
            return request.reply(data, "application/octet-stream")
        if request.path != "/tiny":
            return request.reply(b"{}", "application/json", 404)
        where = f"http://{name}:{request.server.port}/tiny/-/tiny-1.0.0.tgz"
        version = {**package, "dist": {"tarball": where, "integrity": integrity}}
        whole = {"name": "tiny", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
        return request.reply(json.dumps(whole).encode(), "application/json")
    return answer


# ---- ssh ---------------------------------------------------------------------------------------------------------

def greet_like_ssh(link):
    """The version exchange of RFC 4253; what comes after it is the same bytes in both directions."""
    link.sendall(b"SSH-2.0-agentbox_test\r\n")
    link.makefile("rb").readline()
