#!/usr/bin/env python3
"""The program as its caller sees it: streams, signals, colours, exit codes, what it generates.

usage: cli_test.py AGENTBOX
"""

import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import tap  # noqa: E402

AGENTBOX = sys.argv[1]


def agentbox(*arguments, **options):
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([AGENTBOX, *arguments], capture_output=True, timeout=60, check=False, **options)


def need(program):
    path = shutil.which(program)
    if path is None:
        raise tap.Skip(f"{program} is not installed")
    return path


def test_version():
    """--version says one line on stdout"""
    tap.equal(agentbox("-V").stdout, agentbox("--version").stdout)
    done = agentbox("--version")
    tap.equal((done.returncode, done.stderr), (0, b""))
    assert done.stdout.startswith(b"agentbox ") and done.stdout.count(b"\n") == 1, done.stdout


def test_usage_error():
    """A usage error goes to stderr alone, with code 2, and 125 for run and try"""
    done = agentbox("expalin")
    tap.equal((done.returncode, done.stdout, done.stderr),
              (2, b"", b"agentbox: error: unknown command 'expalin'\nhint: did you mean 'explain'?\n"))
    tap.equal(agentbox("run").returncode, 125)
    tap.equal(agentbox("try").returncode, 125)


def test_profile_for_command():
    """Who types a profile for a command, or a command for a profile, reads what to type"""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("mine", "default"):
            with open(os.path.join(folder, name + ".toml"), "w", encoding="utf-8"):
                pass
        environment = {"AGENTBOX_PROFILES": folder, "HOME": folder, "PATH": "/usr/bin:/bin"}
        for words, said in (
                (["mine"], "'mine' is a profile, not a command\nhint: agentbox run mine\n"),
                (["default", "--", "ls", "a b"],
                 "'default' is a profile, not a command\nhint: agentbox run default -- ls 'a b'\n"),
                (["run", "make", "test"], "unexpected argument 'test'\nhint: agentbox run default -- make test\n"),
                (["run", "mine", "test"],
                 "unexpected argument 'test'\nhint: put the command after '--': agentbox run mine -- test ...\n"),
                (["yours"], "unknown command 'yours'\nhint: see `agentbox --help`\n")):
            done = agentbox(*words, env=environment)
            tap.equal((done.stdout, done.stderr.decode()), (b"", "agentbox: error: " + said))


def test_closed_streams():
    """Closed standard streams are no file that is opened later"""
    for closed in ([0], [1], [2], [0, 1], [0, 1, 2]):
        def close(fds=closed):
            for fd in fds:
                os.close(fd)
        done = subprocess.run([AGENTBOX, "--version"], preexec_fn=close, timeout=60, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        tap.equal(done.returncode, 0)
        tap.equal(done.stdout, b"" if 1 in closed else agentbox("--version").stdout)


def test_full_disk():
    """Output that cannot be written is an error"""
    with open("/dev/full", "wb") as full:
        done = subprocess.run([AGENTBOX, "--help"], stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
    tap.equal((done.returncode, done.stderr),
              (1, b"agentbox: error: cannot write to standard output: No space left on device\n"))


def test_reader_gone():
    """A reader that goes away ends it by SIGPIPE, without a word"""
    read, write = os.pipe()
    os.close(read)
    ignored = lambda: signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # as many programs start their children
    done = subprocess.run([AGENTBOX, "generate", "man"], stdout=write, stderr=subprocess.PIPE, timeout=60, check=False,
                          preexec_fn=ignored)
    os.close(write)
    tap.equal((done.returncode, done.stderr), (-signal.SIGPIPE, b""))


def on_a_terminal(environment):
    main, side = pty.openpty()
    subprocess.run([AGENTBOX, "check"], stderr=side, stdout=side, stdin=side, timeout=60, check=False,
                   env=environment)
    os.close(side)
    output = b""
    try:
        while chunk := os.read(main, 4096):
            output += chunk
    except OSError:  # EIO: the last writer has closed it
        pass
    os.close(main)
    return output


def test_colours():
    """Colours only on a terminal, and not with NO_COLOR or a dumb or unknown TERM"""
    tap.contains(on_a_terminal({"TERM": "xterm"}), b"\033[")
    for environment in ({"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}, {}):
        output = on_a_terminal(environment)
        tap.contains(output, b"missing PROFILE")
        assert b"\033" not in output, output
    assert b"\033" not in agentbox("check", env={"TERM": "xterm"}).stderr


def test_empty_argv():
    """An empty argument vector is a usage error, not a crash"""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(write, 2)
        try:
            import ctypes
            libc = ctypes.CDLL(None, use_errno=True)
            empty = (ctypes.c_char_p * 1)(None)
            libc.execve(AGENTBOX.encode(), empty, empty)
        finally:
            os._exit(99)
    os.close(write)
    with os.fdopen(read, "rb") as errors:
        text = errors.read()
    tap.equal(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 2)
    tap.contains(text, b"no command given")


def test_man_page():
    """agentbox(1) has no warning from mandoc"""
    mandoc = need("mandoc")
    page = agentbox("generate", "man").stdout
    done = subprocess.run([mandoc, "-Tlint", "-Wwarning"], input=page, capture_output=True, check=False, timeout=60)
    tap.equal((done.returncode, done.stdout), (0, b""))


def test_completions_parse():
    """bash reads its completions without a complaint"""
    done = subprocess.run([need("bash"), "-n"], input=agentbox("generate", "bash").stdout, capture_output=True,
                          check=False, timeout=60)
    tap.equal((done.returncode, done.stderr), (0, b""))


def complete(line, folder=None):
    """What bash offers for the last word of `line`."""
    words = line.split(" ")
    script = (agentbox("generate", "bash").stdout.decode() +
              'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _agentbox 2>/dev/null; printf "%s\\n" "${COMPREPLY[@]}"')
    environment = dict(os.environ, PATH=os.path.dirname(AGENTBOX) + ":" + os.environ["PATH"])
    done = subprocess.run([need("bash"), "--norc", "-c", script, "bash", *words], capture_output=True, check=True,
                          timeout=60, cwd=folder, env=environment)
    return done.stdout.decode().split()


def test_bash_completion():
    """bash completes commands, options, choices, folders and the command after --"""
    tap.equal(complete("agentbox qu"), ["quarantine"])
    tap.equal(complete("agentbox run --wor"), ["--workspace"])
    tap.equal(complete("agentbox run pi --on-ask "), ["terminal", "queue", "deny"])
    tap.equal(complete("agentbox quarantine re"), ["restore"])
    tap.equal(complete("agentbox quarantine --json show "), [])
    tap.equal(complete("agentbox rules "), ["list", "revoke"])
    tap.equal(complete("agentbox help qu"), ["quarantine"])
    tap.equal(complete("agentbox hel"), ["help"])
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "a folder"))
        os.mkdir(os.path.join(folder, "b-folder"))
        open(os.path.join(folder, "b-file"), "w", encoding="ascii").close()
        tap.equal(complete("agentbox run -w b", folder), ["b-folder"])
        tap.equal(sorted(complete("agentbox run --read b", folder)), ["b-file", "b-folder"])
    tap.contains(complete("agentbox run pi -- tru"), "true")


def test_completion_of_names():
    """bash completes the names of profiles, and no name that a shell would expand"""
    with tempfile.TemporaryDirectory() as home:
        profiles = os.path.join(home, ".config", "agentbox", "profiles")
        os.makedirs(profiles)
        for name in ("mine", "$(touch pwned)", "pi;x"):
            open(os.path.join(profiles, name + ".toml"), "w", encoding="ascii").close()
        environment = {"HOME": home, "PATH": os.environ["PATH"], "AGENTBOX_PROFILES": profiles}
        tap.equal(agentbox("generate", "profile-names", env=environment).stdout, b"mine\n")
        os.environ.update(environment)
        tap.equal(complete("agentbox run m", home), ["mine"])
        tap.equal(complete("agentbox check ", home), ["mine"])
        tap.equal(complete("agentbox check mine ", home), [])
        tap.equal(complete("agentbox try --read /a ", home), ["mine"])
        tap.equal(complete("agentbox try --read = /a mine c", home), ["connect", "command"])
        tap.equal(complete("agentbox try mine --allow a : 1 c", home), ["connect", "command"])
        tap.equal(complete("agentbox try mine read .con", home), [".config"])
        tap.equal(os.path.exists(os.path.join(home, "pwned")), False)


if __name__ == "__main__":
    tap.run(globals())
