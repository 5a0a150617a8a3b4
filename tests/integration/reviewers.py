"""A scripted model that gives the second opinion, over http and https, and what its tests ask of agentbox. It has no
intelligence, so a test can make it agree, object, babble, sleep and die."""

import contextlib
import json
import os
import socket
import ssl
import subprocess
import threading

from harness import Skipped, need_program, wait_until
from model_server import ModelServer
from wallet import open_questions, start_queued

RULES = '''extends = ["default"]
[commands]
ask = ["cp **", "touch **"]
'''
AGREES = {"objects": False, "risk": 1, "reason": "an ordinary copy"}
OBJECTS = {"objects": True, "risk": 8, "reason": "it overwrites a file"}


class Reviewer(ModelServer):
    """Says `says`, once `free` is set: a dictionary as JSON, a string as it is."""

    def __init__(self, says=AGREES):
        self.says, self.free = says, threading.Event()
        self.free.set()
        super().__init__(self.speak)
        self.server.handle_error = lambda *_: None  # whoever asked has hung up, as he may

    def speak(self, _prompt):
        self.free.wait(20)
        return [self.says if isinstance(self.says, str) else json.dumps(self.says)]


def profile(world, port, require="human", more="", name="asks"):
    world.profile(name, RULES + f'[approval]\nreviewer = "http://127.0.0.1:{port}/v1"\nrequire = "{require}"\n{more}')
    return name


@contextlib.contextmanager
def asking(world, command="cp a b", name="asks", **env):
    """A room whose command waits for a yes, and its question."""
    (world.workspace / "a").write_text("content\n")
    process = start_queued(world, f"agentbox host -- {command}; echo code $?", name, **env)
    try:
        yield process, wait_until(lambda: open_questions(world), "a question")[0]["question"]
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def reviewed(world):
    """The question, once the reviewer has spoken or is silent."""
    def spoken():
        found = [one["question"] for one in open_questions(world)]
        return found and found[0]["opinion"]["says"] != "nothing_yet" and found[0]
    return wait_until(spoken, "an opinion", 40)


def approve(world, question, *words):
    return world.agentbox("approve", "--answer", question["id"], *words)


def verdicts(world):
    done = world.agentbox("log", "--json")
    return [one for one in map(json.loads, done.text.splitlines()) if one["what"] == "verdict"]


# ---- https

class Certificates:
    """An authority of the test's own, and what it signs."""

    def __init__(self, folder, name="authority"):
        self.folder = folder / name
        self.folder.mkdir()
        self.root = self.folder / "root.pem"
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                     "-keyout", "root.key", "-out", "root.pem", "-subj", f"/CN={name}", "-days", "2")

    def openssl(self, *words):
        subprocess.run([need_program("openssl"), *words], cwd=self.folder, check=True, capture_output=True)

    def sign(self, names, days="2", own=False):
        """The file of a key and a certificate for `names` ("DNS:models.test"). `own`: signed by itself."""
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key.pem",
                     "-out", "request.pem", "-subj", "/CN=models.test")
        (self.folder / "names").write_text(f"subjectAltName={names}\n")
        signer = ["-signkey", "key.pem"] if own else ["-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial"]
        self.openssl("x509", "-req", "-in", "request.pem", *signer, "-days", days, "-extfile", "names", "-out", "cert.pem")
        both = self.folder / f"server-{len(list(self.folder.iterdir()))}.pem"
        both.write_bytes((self.folder / "key.pem").read_bytes() + (self.folder / "cert.pem").read_bytes())
        return both


class RemoteReviewer:
    """One answer on each connection: `respond(connection, head)` sends it. What it was asked is in `requests`, who only
    knocked in `knocks`."""

    def __init__(self, certificate, respond=None, newest=None):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
        if certificate:
            self.context.load_cert_chain(certificate)
        if newest:
            self.context.minimum_version = ssl.TLSVersion.TLSv1
            self.context.maximum_version = newest
            self.context.set_ciphers("ALL:@SECLEVEL=0")
        self.respond = respond or self.agree
        self.requests, self.knocks = [], 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.knocks += 1
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError, ValueError), connection:
            if not self.context:  # it knows no TLS
                self.requests.append(connection.recv(65536).decode("latin-1"))
                return connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection = self.context.wrap_socket(connection, server_side=True)
            head = b""
            while b"\r\n\r\n" not in head:
                piece = connection.recv(65536)
                if not piece:
                    return
                head += piece
            self.requests.append(head.decode())
            self.respond(connection, self.requests[-1])
            with contextlib.suppress(OSError):
                connection.unwrap()

    @staticmethod
    def send(connection, body, status="200 OK", more=""):
        connection.sendall(f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{more}"
                           f"Content-Length: {len(body)}\r\n\r\n{body}".encode())

    @classmethod
    def agree(cls, connection, head):
        if head.startswith("GET "):
            return cls.send(connection, json.dumps({"object": "list", "data": [{"id": "scripted", "object": "model"}]}))
        message = {"role": "assistant", "content": json.dumps(AGREES)}
        return cls.send(connection, json.dumps({"choices": [{"index": 0, "finish_reason": "stop", "message": message}]}))


def remote_environment(world, certificates, *names):
    """For agentbox: the test's authority is the only root, and `names` are here."""
    resolver = os.environ.get("AGENTBOX_TEST_RESOLVER")
    if not resolver:
        raise Skipped("AGENTBOX_TEST_RESOLVER is not set")
    hosts = world.base / "hosts"
    hosts.write_text("".join(f"127.0.0.1 {name}\n" for name in names))
    return dict(SSL_CERT_FILE=certificates.root, SSL_CERT_DIR=world.base / "none", LD_PRELOAD=resolver,
                AGENTBOX_TEST_HOSTS=hosts, AGENTBOX_TEST_ASKED=world.base / "asked")
