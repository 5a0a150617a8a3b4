"""What a message may end up at: a real SMTP server and a small HTTP daemon, each on a port of its own, that write down what
came."""

import http.server
import json
import pathlib
import re
import shutil
import socket
import socketserver
import subprocess
import tempfile
import threading

from harness import Failed, need_program, wait_until, world_folder


class Smtp:
    """aiosmtpd as the distribution has it, in a process of its own: what it took lies in a Maildir, what it heard in its
    log. One that takes nothing bigger than `most` bytes refuses the rest (RFC 1870)."""

    def __init__(self, most=33554432):
        self.most = most

    def start(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(
            [need_program("aiosmtpd"), "-n", "-d", "-d", "-s", str(self.most), "-l", f"127.0.0.1:{self.port}",
             "-c", "aiosmtpd.handlers.Mailbox", str(self.folder / "mails")],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd="/")

    def listens(self):
        """True; None: somebody else took the port meanwhile."""
        if self.process.poll() is not None:
            return None
        return b"is listening" in (self.folder / "log").read_bytes()

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mails.", dir=world_folder()))
        for _ in range(10):
            self.start()
            if wait_until(lambda: self.listens() is not False, "the SMTP server listens") and self.listens():
                return self
            self.log.close()
        raise Failed("the SMTP server does not start:\n" + (self.folder / "log").read_text(errors="replace"))

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder)

    @property
    def lines(self):
        """What anybody has said to it, from the first connection on."""
        log = (self.folder / "log").read_text(errors="replace").splitlines()
        return [line for line in log if "Peer: " in line or ">> b" in line]

    @property
    def mails(self):
        """What lies in the mailbox, in the order in which it came: sender, recipients, bytes."""
        files = sorted((self.folder / "mails" / "new").iterdir(), key=lambda file: int(re.search(r"Q(\d+)", file.name)[1]))
        return [self.envelope(file.read_bytes()) for file in files]

    @staticmethod
    def envelope(stored):
        """The server writes what MAIL and RCPT said behind the headers of the mail."""
        head, _, body = stored.partition(b"\n\n")
        head, said = re.subn(rb"\nX-Peer: [^\n]*\nX-MailFrom: ([^\n]*)\nX-RcptTo: ([^\n]*)\Z", b"", head)
        if said != 1:
            raise Failed(f"the server's own lines are not there: {stored[:2000]!r}")
        sender, recipients = re.search(rb"\nX-MailFrom: ([^\n]*)\nX-RcptTo: ([^\n]*)\n\n", stored).groups()
        return sender.decode(), recipients.decode().split(", "), head + b"\n\n" + body


class Posted(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append((self.path, dict(self.headers), json.loads(body)))
        if self.server.status is None:  # takes it, and says nothing
            self.close_connection = True
            return
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_):
        pass


class Daemon(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Posted)
        self.posts, self.status = [], 200

    @property
    def port(self):
        return self.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()
