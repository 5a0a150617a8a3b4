"""The three standard streams, each by itself: what isn't a terminal passes unchanged, closed ones become /dev/null,
what would be a way out is refused."""

import hashlib
import os
import subprocess

from harness import agentbox_binary, expect, expect_equal, run_tests, test
from terminal import Pty

EVERY_BYTE = bytes(range(256)) * 4096


def fill(world):
    (world.workspace / "data").mkdir()
    for number in range(20):
        (world.workspace / "data" / f"file-{number}").write_bytes(os.urandom(40000))
    (world.workspace / "bytes").write_bytes(EVERY_BYTE)


@test("output through a pipe is binary-clean: tar c . | wc -c")
def tar(world):
    fill(world)
    # Not the workspace itself: in the room it also has the empty folders of missing protected kinds.
    command = "tar c --sort=name -C data . "
    outside = world.expect_ok(["sh", "-c", command + "| sha256sum; " + command + "| wc -c"])
    room = f"{agentbox_binary()} run default -- {command}"
    inside = world.expect_ok(["sh", "-c", f"{room} | sha256sum; {room} | wc -c"])
    expect_equal(inside.text, outside.text, "checksum and size")


@test("input through a pipe is binary-clean, and its end arrives")
def pipe_in(world):
    done = world.room("sh", "-c", "cat > copy; sha256sum copy", input=EVERY_BYTE)
    expect_equal((done.code, done.text.split()[0]), (0, hashlib.sha256(EVERY_BYTE).hexdigest()), "what arrives")
    done = world.room("cat", input=EVERY_BYTE)
    expect(done.code == 0 and done.out == EVERY_BYTE, "there and back", done.code, len(done.out))


@test("a regular file as input and output keeps its offset")
def regular(world):
    fill(world)
    with open(world.workspace / "bytes", "rb") as source, open(world.base / "target", "wb") as target:
        os.lseek(source.fileno(), 100, os.SEEK_SET)
        target.write(b"before;")
        target.flush()
        done = world.room("head", "-c", "5", stdin=source, stdout=target)
    expect_equal(done.code, 0, "exit code")
    expect_equal((world.base / "target").read_bytes(), b"before;" + EVERY_BYTE[100:105], "the target")


@test("stdout and stderr stay apart")
def apart(world):
    done = world.room("sh", "-c", "echo to-out; echo to-err >&2")
    expect_equal((done.code, done.out, done.err), (0, b"to-out\n", b"to-err\n"), "the streams")


@test("output is not held back: each line arrives while the program runs")
def unbuffered(world):
    process = world.start([agentbox_binary(), "run", "default", "--", "sh", "-c",
                           "echo first; read answer; echo got:$answer"], stdin=subprocess.PIPE)
    expect_equal(process.stdout.readline(), b"first\n", "the first line, before the program ends")
    out, err = process.communicate(b"word\n", 60)
    expect_equal((process.returncode, out, err), (0, b"got:word\n", b""), "the rest")


@test("a reader that goes away ends the writer with SIGPIPE")
def sigpipe(world):
    script = f"{agentbox_binary()} run default -- yes | head -n 2; echo codes:${{PIPESTATUS[*]}}"
    done = world.expect_ok(["bash", "-c", script])
    expect_equal(done.text, "y\ny\ncodes:141 0\n", "output and exit codes")


@test("closed streams become /dev/null in the room")
def closed(world):
    look = "import os; print(*(os.readlink(f'/proc/self/fd/{fd}') for fd in range(3)), file=open('seen', 'w'))"
    for close in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        script = f'{agentbox_binary()} run default -- /usr/bin/python3 -c "$1" {close}'
        done = world.run(["sh", "-c", script, "sh", look], input=b"")
        seen = (world.workspace / "seen").read_text().split()
        expect_equal(done.code, 0, f"exit code with {close}\n{done}")
        for fd, sign in ((0, "<&-"), (1, ">&-"), (2, "2>&-")):
            expect_equal(seen[fd] == "/dev/null", sign in close.split(), f"fd {fd} with {close}: {seen}")


@test("a closed stream is not filled by one of agentbox's own descriptors")
def closed_leak(world):
    done = world.run(["sh", "-c", f"{agentbox_binary()} run default -- sh -c 'echo lost; echo kept >&2' <&- >&-"])
    expect_equal((done.code, done.out, done.err), (0, b"", b"kept\n"), "the streams")


@test("a directory as a standard stream is refused: it is a way out")
def directory(world):
    for redirect in ("< /", "< .", "2< /tmp"):
        done = world.run(["sh", "-c", f"{agentbox_binary()} run default -- true {redirect}"])
        expect(done.code == 125, f"refused: {redirect}", done)
        if not redirect.startswith("2"):
            expect("directory" in done.errors, "says why", done)


@test("a device other than /dev/null and terminals is refused as a standard stream")
def device(world):
    done = world.run(["sh", "-c", f"{agentbox_binary()} run default -- head -c 4 < /dev/zero"])
    expect(done.code == 125 and "device" in done.errors, "refused, and says why", done)
    done = world.run(["sh", "-c", f"{agentbox_binary()} run default -- cat < /dev/null"])
    expect_equal((done.code, done.out, done.err), (0, b"", b""), "control: /dev/null passes")


@test("other descriptors of the caller do not enter the room")
def inherited(world):
    script = (f"exec 7</ 8<{world.home}/.ssh/id_ed25519 9>&1; "
              f"{agentbox_binary()} run default -- "
              "sh -c 'ls /proc/self/fd | tr \"\\n\" \" \"; cat <&8; ls /proc/self/fd/7'")
    done = world.run(["bash", "-c", script])
    fds = done.text.split()
    # ls itself has the folder open as one more.
    expect(set(fds) <= {"0", "1", "2", "3"}, "descriptors in the room", done)
    expect("Bad file descriptor" in done.errors, "fd 8 is not there", done)
    expect("/proc/self/fd/7" in done.errors and "No such file" in done.errors, "fd 7 is not there", done)


@test("without any terminal the room has none, and the program knows")
def no_terminal(world):
    done = world.room("sh", "-c", "tty; echo to-tty > /dev/tty")
    expect_equal(done.out, b"not a tty\n", "tty")
    expect("/dev/tty" in done.errors and "No such device or address" in done.errors, "/dev/tty has none behind", done)


@test("a terminal on stdin with a pipe on stdout: input works, output is binary-clean")
def mixed(world):
    read_end, write_end = os.pipe()
    argv = [agentbox_binary(), "run", "default", "--", "sh", "-c", "tty >&2; read line; printf 'a\\nb%s' \"$line\""]
    with Pty(world, argv, redirect=[(1, write_end)]) as terminal:
        os.close(write_end)
        terminal.wait_for(b"/dev/pts/")
        terminal.send(b"words\n")
        expect_equal(terminal.wait(), 0, "exit code")
    expect_equal(os.read(read_end, 100), b"a\nbwords", "no \\r\\n on the pipe")
    os.close(read_end)


@test("TERM unset is no obstacle, and stays unset")
def no_term(world):
    done = world.room("sh", "-c", "echo ${TERM-unset}", env=world.env(TERM=None))
    expect_equal((done.code, done.out), (0, b"unset\n"), "without a terminal")
    with Pty(world, [agentbox_binary(), "run", "default", "--", "sh", "-c", "echo ${TERM-unset}"],
             env=world.env(TERM=None)) as terminal:
        expect_equal((terminal.wait(), terminal.output), (0, b"unset\r\n"), "with one")


@test("exit codes: the command's own, 128+n, 126, 127")
def codes(world):
    (world.workspace / "not-executable").write_text("#!/bin/sh\n")
    (world.workspace / "folder").mkdir()
    for argv, code in ((["true"], 0), (["sh", "-c", "exit 7"], 7), (["sh", "-c", "exit 255"], 255),
                       (["sh", "-c", "kill -TERM $$"], 143), (["sh", "-c", "kill -SEGV $$"], 139),
                       (["no-such-program"], 127), (["./no-such-file"], 127), (["./not-executable"], 126),
                       (["./folder"], 126), (["sh", "-c", "exit 127"], 127)):
        done = world.room(*argv)
        expect_equal(done.code, code, f"{argv}: {done}")


@test("background children of the command do not outlive it, nor hold the run open")
def orphans(world):
    done = world.room("sh", "-c", "sleep 1000 & setsid sleep 1000 & echo started", timeout=20)
    expect_equal((done.code, done.out), (0, b"started\n"), "ends at once")


run_tests()
