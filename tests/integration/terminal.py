"""Real terminals for the tests: tmux for what a human would see, a bare pty for exact bytes."""

import contextlib
import fcntl
import os
import pty
import select
import shlex
import signal
import struct
import subprocess
import termios
import time

import harness


class Tmux:
    """One tmux session with a bash in it, on a server of its own. Nothing here sleeps blindly: wait_for polls."""

    PROMPT = "ready>"

    def __init__(self, world, width=100, height=30, env=None):
        self.tmux, self.world = harness.need_program("tmux"), world
        self.socket = world.base / "tmux"
        environment = world.env(PS1=f"{self.PROMPT} ", HISTFILE="/dev/null", **(env or {}))
        (world.base / "bashrc").write_text(f"PS1='{self.PROMPT} '\n")
        self("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), "-c", str(world.workspace),
             f"exec bash --noprofile --rcfile {world.base}/bashrc -i", env=environment)
        self("set-option", "-g", "remain-on-exit", "on")
        self.wait_for(self.PROMPT)

    def __call__(self, *words, env=None):
        done = subprocess.run([self.tmux, "-S", str(self.socket), *words], env=env or self.world.env(),
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=harness.DEADLINE)
        harness.expect(done.returncode == 0, f"tmux {words} failed", done.stderr)
        return done.stdout.decode(errors="replace")

    def screen(self):
        return self("capture-pane", "-p").rstrip("\n")

    def send(self, *keys):
        """Names of keys ("Enter", "C-c", "Escape")."""
        self("send-keys", *keys)

    def type(self, text):
        self("send-keys", "-l", text)

    def line(self, text):
        self.type(text)
        self.send("Enter")

    def wait_for(self, text, timeout=harness.DEADLINE, gone=False):
        """The screen, once `text` (or what `text` says of a screen) is on it, or no longer is."""
        holds = text if callable(text) else (lambda screen: text in screen)
        screen = ""

        def reached():
            nonlocal screen
            screen = self.screen()
            return bool(holds(screen)) != gone
        try:
            harness.wait_until(reached, "the screen", timeout)
        except harness.Failed:
            wish = "a condition" if callable(text) else repr(text)
            raise harness.Failed(f"waited for {wish}{' to go' if gone else ''} on the screen:\n{screen}") from None
        return screen

    def wait_for_keys(self, text, timeout=harness.DEADLINE):
        """The screen, once `text` (or what `text` says) is on it and the question there takes keys, by its own word."""
        holds = text if callable(text) else (lambda screen: text in screen)
        def takes_keys(screen):
            # A screen may be caught half drawn: the keys are named below its last rule, and are drawn last.
            _, rule, below = screen.rpartition("\n─")
            return bool(holds(screen) and rule and "\n" in below) and "keys work in a moment" not in below
        return self.wait_for(takes_keys, timeout)

    def command(self, text, timeout=harness.DEADLINE):
        """Runs one shell command to its end; what it printed, and its exit code."""
        self("clear-history")
        self.send("C-l")
        self.wait_for(lambda screen: screen.strip() == self.PROMPT)
        # The marker is put together by the shell, so that the echo of the typed line does not match.
        self.line(f"{text}; echo \"exit:\"\"$?:\"")
        screen = self.wait_for(lambda screen: "\nexit:" in "\n" + screen and screen.rstrip().endswith(self.PROMPT),
                               timeout)
        before, _, after = screen.rpartition("exit:")
        return before.partition("\n")[2], int(after.split(":")[0])

    def pane_tty(self):
        return self("display-message", "-p", "#{pane_tty}").strip()

    def pane_pid(self):
        return int(self("display-message", "-p", "#{pane_pid}").strip())

    def alternate(self):
        return self("display-message", "-p", "#{alternate_on}").strip() == "1"

    def cursor_visible(self):
        return self("display-message", "-p", "#{cursor_flag}").strip() == "1"

    def settings(self):
        """The terminal's settings, as stty -a of the pane's tty."""
        fd = os.open(self.pane_tty(), os.O_RDWR | os.O_NOCTTY)
        try:
            return termios.tcgetattr(fd)
        finally:
            os.close(fd)

    def close(self):
        with contextlib.suppress(harness.Failed):
            self("kill-server")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Pty:
    """A program on a pseudo-terminal of its own, as its session's leader; its output byte for byte."""

    def __init__(self, world, argv, rows=24, columns=80, env=None, cwd=None, redirect=()):
        """`redirect`: (fd, file descriptor) pairs that replace a standard stream of the program."""
        self.world, self.output, self.code = world, b"", None
        master, slave = pty.openpty()
        self.master = master
        self.resize(rows, columns)
        self.before = termios.tcgetattr(slave)
        environment = world.env() if env is None else env
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setsid()
                fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
                for fd in range(3):
                    os.dup2(dict(redirect).get(fd, slave), fd)
                os.closerange(3, 100)
                os.chdir(cwd or world.workspace)
                os.execvpe(os.fspath(argv[0]), [os.fspath(word) for word in argv], environment)
            finally:
                os._exit(99)
        self.slave = slave

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, data):
        os.write(self.master, data)

    def pump(self, timeout=0.05):
        if select.select([self.master], [], [], timeout)[0]:
            with contextlib.suppress(OSError):
                self.output += os.read(self.master, 65536)
                return True
        return False

    def wait_for(self, data, timeout=harness.DEADLINE):
        end = time.monotonic() + timeout
        while data not in self.output:
            harness.expect(time.monotonic() < end, f"waited for {data!r} in", self.output)
            self.pump()

    def wait(self, timeout=harness.DEADLINE):
        """Until the program ends; its exit code, negative for a signal."""
        end = time.monotonic() + timeout
        while True:
            self.pump()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            harness.expect(time.monotonic() < end, "does not end; its output:", self.output[-2000:])
        while self.pump(0):
            pass
        self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def settings(self):
        return termios.tcgetattr(self.slave)

    def close(self):
        if self.code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
        os.close(self.slave)
        os.close(self.master)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def shell_words(*argv):
    return shlex.join(os.fspath(word) for word in argv)
