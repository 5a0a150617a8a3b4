"""Servers on this machine for the tests of the network, and who connects to them."""

import contextlib
import socket
import threading

PYTHON = "/usr/bin/python3"


class Server:
    """Answers each connection by `talk` in a thread of its own."""

    def __init__(self, talk=None, family=socket.AF_INET, port=0):
        self.talk = talk or (lambda link: link.sendall(b"echo " + link.makefile("rb").readline()))
        self.listener = socket.create_server(("127.0.0.1" if family == socket.AF_INET else "::1", port), family=family,
                                             backlog=4096)
        self.port = self.listener.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                link, _ = self.listener.accept()
                self.connections += 1
                threading.Thread(target=self.one, args=(link,), daemon=True).start()

    def one(self, link):
        with contextlib.suppress(OSError), link:
            self.talk(link)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # close() alone does not wake accept().
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
