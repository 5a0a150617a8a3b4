"""What the end-to-end tests share: an ordinary user, a throw-away world for each test, TAP, and the check that
nothing is left behind.

A test script registers functions with @test("a behaviour") and ends with run_tests(). Each function gets a fresh
World: its own HOME, XDG folders, runtime folder and workspace.

    AGENTBOX_BIN        the agentbox to test (default: build/src/cli/agentbox beside the sources)
    AGENTBOX_INIT       its init, where the build tree has it
    AGENTBOX_PROFILES   the shipped profiles, where they are not installed
    AGENTBOX_TEST_USER  whom to become when root runs the tests (agentbox is for ordinary users)
    AGENTBOX_MUST_WORK  1: what would be skipped fails
    AGENTBOX_TEST_CACHE where downloads are kept between runs (default: ~/.cache/agentbox-test of that user)
    AGENTBOX_KEEP       1: the worlds are not removed

Options: [-l] [-k WORD]... lists the tests, runs only those whose name has a WORD.
"""

import contextlib
import hashlib
import os
import pathlib
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import traceback

from processes import adopt_orphans, command_line, descendants, kill_descendants, reap

ROOT = pathlib.Path(__file__).resolve().parents[2]
MUST_WORK = os.environ.get("AGENTBOX_MUST_WORK") == "1"
PASSED_ON = ("AGENTBOX_INIT", "AGENTBOX_PROFILES")
# Generous: it only ends what hangs. Another build on the same machine must not fail a test.
DEADLINE = float(os.environ.get("AGENTBOX_TEST_DEADLINE", "60"))


class Failed(Exception):
    """An expectation that did not hold."""


class Skipped(Exception):
    """The machine lacks something; a failure under AGENTBOX_MUST_WORK=1."""


class Unavailable(Skipped):
    """The machine lacks what no set-up can give it: skipped in any case."""


def agentbox_binary():
    return os.environ.get("AGENTBOX_BIN") or str(ROOT / "build" / "src" / "cli" / "agentbox")


def expect(condition, message, *evidence):
    if not condition:
        raise Failed("\n".join([message, *(str(item) for item in evidence)]))


def expect_equal(got, wanted, what):
    if got != wanted:
        raise Failed(f"{what}\n  wanted: {wanted!r}\n  got:    {got!r}")


def need_program(name):
    path = shutil.which(name, path="/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin")
    if path is None:
        raise Skipped(f"{name} is not installed")
    return path


def wait_until(condition, what, timeout=DEADLINE):
    """Polls `condition` until it is true and returns its value; fails at the deadline."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"waited {timeout:g} s in vain: {what}")
        time.sleep(0.01)


# ---- the ordinary user -----------------------------------------------------------------------------------------

def ordinary_user():
    """Who runs agentbox: we, or AGENTBOX_TEST_USER when we are root."""
    if os.getuid() != 0:
        return pwd.getpwuid(os.getuid())
    name = os.environ.get("AGENTBOX_TEST_USER")
    if not name:
        no_tests("agentbox is for ordinary users; set AGENTBOX_TEST_USER to test as root")
    return pwd.getpwnam(name)


def become_ordinary():
    """Root starts the script again as AGENTBOX_TEST_USER; an ordinary user goes on as he is."""
    if os.getuid() != 0:
        return
    user = ordinary_user()
    # The interpreter that root runs may lie in root's own home.
    interpreter = next(path for path in (sys.executable, "/usr/bin/python3") if path and not path.startswith("/root/"))
    kept = {name: value for name, value in os.environ.items() if name.startswith("AGENTBOX_")}
    kept.update(download_environment())
    kept.update(HOME=user.pw_dir, USER=user.pw_name, LOGNAME=user.pw_name, SHELL="/bin/bash", LANG="C.UTF-8",
                PATH="/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", PYTHONDONTWRITEBYTECODE="1",
                PYTHONUNBUFFERED="1")
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    script = os.path.abspath(sys.argv[0])  # before the folder that it is relative to is left
    os.chdir("/")
    os.execve(interpreter, [interpreter, script, *sys.argv[1:]], kept)


def download_environment():
    """What a package manager needs to reach its registry from this network."""
    return {name: value for name, value in os.environ.items()
            if name in ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR")
            or name.lower().endswith("_proxy") or name.lower().startswith("npm_config_")}


def no_tests(reason):
    if MUST_WORK:
        print(f"1..1\nnot ok 1 - can be tested at all\n# {reason}")
        sys.exit(1)
    print(f"1..0 # SKIP {reason}")
    sys.exit(0)


class Result:
    def __init__(self, argv, code, out, err):
        self.argv, self.code, self.out, self.err = argv, code, out, err

    @property
    def text(self):
        return self.out.decode(errors="replace")

    @property
    def errors(self):
        return self.err.decode(errors="replace")

    def __str__(self):
        return (f"command: {self.argv}\nexit code: {self.code}\nstdout: {self.text[-3000:]!r}\n"
                f"stderr: {self.errors[-3000:]!r}")


# ---- the world of one test -------------------------------------------------------------------------------------

SECRET = "BEGIN-OWNERS-SECRET-c0ffee-END"


def snapshot(folder):
    """relative path → what it is; two equal snapshots are two equal trees (times aside)."""
    result = {}
    top = os.fsencode(folder)
    for parent, names, files in os.walk(top):
        for name in names + files:
            path = os.path.join(parent, name)
            info = os.lstat(path)
            kind, mode = stat.S_IFMT(info.st_mode), stat.S_IMODE(info.st_mode)
            if stat.S_ISLNK(info.st_mode):
                detail = os.readlink(path)
            elif stat.S_ISREG(info.st_mode):
                with open(path, "rb") as file:
                    detail = hashlib.sha256(file.read()).hexdigest()
            else:
                detail = ""
            result[os.path.relpath(path, top)] = (kind, mode, detail)
    return result


def difference(before, after):
    lines = [f"gone: {name!r}" for name in sorted(before.keys() - after.keys())]
    lines += [f"new: {name!r}" for name in sorted(after.keys() - before.keys())]
    lines += [f"changed: {name!r}" for name in sorted(before.keys() & after.keys()) if before[name] != after[name]]
    return lines


def mount_table():
    return sorted(line.split(" - ")[0].split()[4] for line in open("/proc/self/mountinfo", errors="surrogateescape"))


def foreign_temporaries():
    """What agentbox might leave in the world's shared folders."""
    me, found = ordinary_user().pw_uid, []
    for folder in ("/tmp", "/var/tmp", "/dev/shm"):
        for entry in os.scandir(folder):
            with contextlib.suppress(OSError):
                if entry.stat(follow_symlinks=False).st_uid == me and "agentbox" in entry.name:
                    found.append(entry.path)
    return sorted(found)


class World:
    """A user with a home, a secret and a workspace, who may lose all of it."""

    def __init__(self):
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="abt.", dir=world_folder()))
        self.home = self.base / "home"
        self.runtime = self.base / "run"
        self.workspace = self.home / "project"
        for folder in (self.home, self.runtime, self.workspace, self.home / ".ssh", self.profile_folder):
            folder.mkdir(parents=True, mode=0o700)
        (self.home / ".ssh" / "id_ed25519").write_text(SECRET + "\n")
        (self.home / ".bash_history").write_text("export TOKEN=" + SECRET + "\n")
        if os.getuid() == 0:
            user = ordinary_user()
            for parent, names, files in os.walk(self.base):
                for name in [".", *names, *files]:
                    os.chown(os.path.join(parent, name), user.pw_uid, user.pw_gid)
        self.mounts = mount_table()
        self.temporaries = foreign_temporaries()

    @property
    def profile_folder(self):
        return self.home / ".config" / "agentbox" / "profiles"

    def profile(self, name, text):
        path = self.profile_folder / f"{name}.toml"
        path.write_text(text)
        return path

    def scratch(self):
        """A $TMPDIR for what runs outside of a room."""
        folder = self.base / "tmp"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def env(self, **changes):
        """A small, fixed environment. A change to None takes a variable out."""
        user = ordinary_user()
        result = dict(HOME=str(self.home), USER=user.pw_name, LOGNAME=user.pw_name, SHELL="/bin/bash",
                      PATH="/usr/local/bin:/usr/bin:/bin", LANG="C.UTF-8", TERM="xterm-256color",
                      XDG_RUNTIME_DIR=str(self.runtime), GIT_CONFIG_NOSYSTEM="1")
        result.update({name: os.environ[name] for name in PASSED_ON if name in os.environ})
        result.update(changes)
        return {name: str(value) for name, value in result.items() if value is not None}

    def start(self, argv, cwd=None, env=None, **how):
        how.setdefault("stdin", subprocess.DEVNULL)
        how.setdefault("stdout", subprocess.PIPE)
        how.setdefault("stderr", subprocess.PIPE)
        how.setdefault("start_new_session", True)
        return subprocess.Popen([os.fspath(word) for word in argv], cwd=cwd or self.workspace,
                                env=self.env() if env is None else env, **how)

    def run(self, argv, input=None, timeout=DEADLINE, **how):
        if input is not None:
            how["stdin"] = subprocess.PIPE
        process = self.start(argv, **how)
        try:
            out, err = process.communicate(input, timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            raise Failed(f"did not end within {timeout:g} s\n{Result(argv, None, out, err)}") from None
        return Result(argv, process.returncode, out or b"", err or b"")

    def agentbox(self, *words, **how):
        return self.run([agentbox_binary(), *words], **how)

    def room(self, *command, profile="default", options=(), **how):
        """`agentbox run PROFILE -- COMMAND`."""
        return self.agentbox("run", *options, profile, "--", *command, **how)

    def expect_ok(self, argv, **how):
        result = self.run(argv, **how)
        expect(result.code == 0, "should have succeeded", result)
        return result

    def leftovers(self, after_kill=False, timeout=5):
        """What a finished run must not leave: processes, mounts, session folders, temporary files. After a kill -9 the
        files may wait for the next run's sweep."""
        end, found = time.monotonic() + timeout, []
        while True:
            reap()
            found = [f"process {pid}: {command_line(pid)}" for pid in descendants(os.getpid())]
            found += [f"mount: {mount}" for mount in mount_table() if mount not in self.mounts]
            if after_kill:
                if not found or time.monotonic() > end:
                    return found
                time.sleep(0.005)
                continue
            sessions = self.runtime / "agentbox"
            if sessions.is_dir():
                found += [f"session: {entry}" for entry in sessions.iterdir()]
            found += [f"temporary: {path}" for path in foreign_temporaries() if path not in self.temporaries]
            if not found or time.monotonic() > end:
                return found
            time.sleep(0.02)

    def remove(self):
        if os.environ.get("AGENTBOX_KEEP") == "1":
            print(f"# kept: {self.base}")
            return
        # A test may have left folders that their owner cannot enter.
        subprocess.run(["chmod", "-R", "u+rwX", "--", self.base], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(os.fsencode(self.base))


def world_folder():
    """Where worlds are made: not below /tmp, which is private in every room."""
    home = pathlib.Path(ordinary_user().pw_dir)
    return home if home != pathlib.Path("/") and os.access(home, os.W_OK) else pathlib.Path("/var/tmp")


def cache_folder():
    path = os.environ.get("AGENTBOX_TEST_CACHE") or str(world_folder() / ".cache" / "agentbox-test")
    os.makedirs(path, exist_ok=True)
    return pathlib.Path(path)


# ---- TAP -------------------------------------------------------------------------------------------------------

TESTS = []


def test(name):
    def register(function):
        TESTS.append((name, function))
        return function
    return register


def run_one(function):
    """Nothing, or why it failed; raises Skipped."""
    world, problem, skipped = World(), None, None
    try:
        function(world)
    except Skipped as reason:
        skipped = reason
    except Failed as failure:
        problem = str(failure)
    except Exception:
        problem = traceback.format_exc()
    left = world.leftovers()
    if left:
        problem = "\n".join(([problem] if problem else []) + ["left behind:"] + left)
        kill_descendants()
    world.remove()
    if skipped and not problem:
        raise skipped
    return problem


def hear_signals():
    """nohup(1) and a shell's `&` make what they start deaf to some signals, and that is inherited."""
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def run_tests(as_root=False):
    """`as_root`: the tests change the host around each command, and start agentbox itself as the ordinary user."""
    if "-l" in sys.argv:
        print("\n".join(name for name, _ in TESTS))
        return
    if not as_root:
        become_ordinary()
    elif os.getuid() != 0:
        no_tests("only root can change the host for a test")
    os.environ["AGENTBOX_BIN"] = agentbox_binary()
    hear_signals()
    if not os.access(agentbox_binary(), os.X_OK):
        no_tests(f"no agentbox to test at {agentbox_binary()}")
    adopt_orphans()
    words = [word for flag, word in zip(sys.argv, sys.argv[1:]) if flag == "-k"]
    chosen = [entry for entry in TESTS if not words or any(word in entry[0] for word in words)]
    print(f"1..{len(chosen)}", flush=True)
    failed = 0
    for number, (name, function) in enumerate(chosen, 1):
        try:
            problem = run_one(function)
        except Skipped as reason:
            if not MUST_WORK or isinstance(reason, Unavailable):
                print(f"ok {number} - {name} # SKIP {reason}", flush=True)
                continue
            problem = f"skipped, but AGENTBOX_MUST_WORK=1: {reason}"
        print(f"{'not ok' if problem else 'ok'} {number} - {name}", flush=True)
        if problem:
            failed += 1
            print("".join(f"# {line}\n" for line in problem.splitlines()), end="", flush=True)
    sys.exit(1 if failed else 0)
