"""What a message may end up at: an SMTP server and a small HTTP daemon, each on a port of its own, that write down what
came."""

import http.server
import json
import socketserver
import threading


class Smtp(socketserver.StreamRequestHandler):
    """RFC 5321, as far as a client needs that wants to get rid of one mail after another."""

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self):
        self.say("220 test ESMTP")
        sender, recipients = None, []
        while line := self.rfile.readline():
            words = line.decode(errors="replace").strip()
            self.server.lines.append(words)
            verb = words.upper()
            if verb.startswith(("EHLO", "HELO")):
                self.say("250 test")
            elif verb.startswith("MAIL FROM:"):
                sender, recipients = words[10:].split()[0], []
                self.say("250 ok")
            elif verb.startswith("RCPT TO:"):
                recipients.append(words[8:].split()[0].strip("<>"))
                self.say("250 ok")
            elif verb == "DATA":
                self.say("354 go on")
                data = []
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    data.append(line[1:] if line.startswith(b".") else line)
                if self.server.refuse:
                    self.say("554 not wanted")
                else:
                    self.server.mails.append((sender, recipients, b"".join(data)))
                    self.say("250 taken")
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")


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


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, handler):
        super().__init__(("127.0.0.1", 0), handler)
        self.lines, self.mails, self.posts = [], [], []
        self.refuse, self.status = False, 200

    @property
    def port(self):
        return self.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


def smtp():
    return Server(Smtp)


def daemon():
    return Server(Posted)
