"""The room's terminal, as a human sees it: tmux around an ordinary shell around `agentbox run`."""

import os
import re
import signal

from harness import agentbox_binary, expect, expect_equal, need_program, run_tests, test, wait_until
from processes import command_line, descendants, process_table
from terminal import Pty, Tmux

RUN = f"{agentbox_binary()} run default --"


def idle(terminal):
    return lambda screen: screen.rstrip().endswith(terminal.PROMPT)


def unharmed(world, terminal, before, screen_before=None):
    terminal.wait_for(idle(terminal))
    expect(not terminal.alternate(), "the alternate screen is left")
    expect(terminal.cursor_visible(), "the cursor is visible")
    expect_equal(terminal.settings(), before, "the terminal's settings")
    if screen_before:
        expect(screen_before in terminal.screen(), "what was on the screen is there again", terminal.screen())


def wants_full_screen(world, program):
    need_program(program)
    terminal = Tmux(world)
    terminal.line("echo EARLIER-ON-SCREEN")
    terminal.wait_for("EARLIER-ON-SCREEN\n")
    return terminal, terminal.settings()


@test("vim edits a file in the workspace and restores the screen")
def vim(world):
    terminal, before = wants_full_screen(world, "vim")
    with terminal:
        terminal.line(f"{RUN} vim -u NONE -N note.txt")
        terminal.wait_for(lambda screen: "note.txt" in screen and "~" in screen and terminal.alternate())
        terminal.type("ihello from vim")
        terminal.wait_for("hello from vim")
        terminal.send("Escape")
        terminal.line(":wq")
        unharmed(world, terminal, before, "EARLIER-ON-SCREEN")
        expect_equal((world.workspace / "note.txt").read_text(), "hello from vim\n", "the file")


@test("less pages, searches and restores the screen")
def less(world):
    terminal, before = wants_full_screen(world, "less")
    (world.workspace / "numbers").write_text("".join(f"line {number}\n" for number in range(1, 1001)))
    with terminal:
        terminal.line(f"{RUN} less numbers")
        terminal.wait_for("line 29")
        terminal.send("G")
        terminal.wait_for("line 1000")
        terminal.line("?line 500")
        terminal.wait_for("line 500")
        terminal.send("q")
        unharmed(world, terminal, before, "EARLIER-ON-SCREEN")


@test("htop shows the room's processes only")
def htop(world):
    terminal, before = wants_full_screen(world, "htop")
    with terminal:
        terminal.line(f"{RUN} htop")
        screen = terminal.wait_for(lambda text: "F10" in text and "htop" in text and "PID" in text)
        expect("tmux" not in screen and "bash" not in screen, "htop sees the host's processes", screen)
        terminal.send("q")
        unharmed(world, terminal, before, "EARLIER-ON-SCREEN")


@test("the room's terminal has the size of the real one, and follows it")
def resize(world):
    with Tmux(world, width=91, height=33) as terminal:
        terminal.line(f"{RUN} bash -c 'trap \"stty size\" WINCH; stty size; while :; do read -t 0.1; done'")
        terminal.wait_for("33 91")
        terminal("resize-window", "-x", "70", "-y", "20")
        terminal.wait_for("20 70")
        terminal("resize-window", "-x", "120", "-y", "40")
        terminal.wait_for("40 120")
        terminal.send("C-c")
        terminal.wait_for(idle(terminal))


@test("Ctrl-C reaches the program in the room as SIGINT, and only it")
def interrupt(world):
    with Tmux(world) as terminal:
        before = terminal.settings()
        terminal.line(f"{RUN} sh -c 'trap \"echo got-INT; exit 7\" INT; echo started; while :; do sleep 0.05; done'")
        terminal.wait_for("\nstarted")
        terminal.send("C-c")
        terminal.wait_for("got-INT")
        unharmed(world, terminal, before)
        terminal.line(f"{RUN} sh -c 'echo again; exec sleep 1000'; echo code:$?")
        terminal.wait_for("\nagain")
        terminal.send("C-c")
        terminal.wait_for("code:130")
        unharmed(world, terminal, before)


@test("Ctrl-\\ ends with 131, without a trace of the supervisor's death")
def quit_key(world):
    with Tmux(world) as terminal:
        terminal.line(f"{RUN} sh -c 'echo started; ulimit -c 0; exec sleep 1000'; echo code:$?")
        terminal.wait_for("\nstarted")
        terminal.send("C-\\")
        terminal.wait_for("code:131")


@test("Ctrl-Z stops the room, gives the terminal back, and fg goes on")
def stop(world):
    with Tmux(world) as terminal:
        before = terminal.settings()
        terminal.line(f"{RUN} cat")
        terminal.line("first line")
        terminal.wait_for("first line\nfirst line")
        terminal.send("C-z")
        terminal.wait_for("Stopped")
        unharmed(world, terminal, before)
        expect_equal(terminal.command("echo in-shell")[0].strip(), "in-shell", "the shell works meanwhile")
        terminal.line("fg")
        terminal.wait_for("cat")
        terminal.line("second line")
        terminal.wait_for("second line\nsecond line")
        terminal.send("C-d")
        unharmed(world, terminal, before)
        expect_equal(terminal.command("true")[1], 0, "the shell goes on")


@test("a stopped room stands still, and goes on in the background with bg")
def stands_still(world):
    with Tmux(world) as terminal:
        # One process: a shell that is stopped while it waits in vfork(2) for its child, stopped too, is nobody's stopped job.
        ticks = "open(\"ticks\", \"a\").write(\"x\"), time.sleep(0.01)"
        terminal.line(f"{RUN} python3 -c 'import itertools, time; [({ticks}) for _ in itertools.count()]'")
        ticks = world.workspace / "ticks"
        wait_until(lambda: ticks.exists() and ticks.stat().st_size > 10, "it ticks")
        terminal.send("C-z")
        terminal.wait_for("Stopped")
        size = ticks.stat().st_size
        expect_equal(terminal.command("sleep 0.3")[1], 0, "a while later")
        expect_equal(ticks.stat().st_size, size, "ticks while stopped")
        terminal.line("bg")
        wait_until(lambda: ticks.stat().st_size > size, "it ticks again in the background")
        terminal.line("fg")
        terminal.wait_for("ticks")
        terminal.send("C-c")
        terminal.wait_for(idle(terminal))


@test("vim stops with Ctrl-Z and repaints after fg")
def vim_stop(world):
    terminal, before = wants_full_screen(world, "vim")
    (world.workspace / "note.txt").write_text("some words to see\n")
    with terminal:
        terminal.line(f"{RUN} vim -u NONE -N note.txt")
        terminal.wait_for("some words to see")
        terminal.send("C-z")
        unharmed(world, terminal, before, "EARLIER-ON-SCREEN")
        terminal.line("fg")
        terminal.wait_for(lambda screen: "some words to see" in screen and terminal.alternate())
        terminal.line(":q")
        unharmed(world, terminal, before, "EARLIER-ON-SCREEN")


@test("an interactive shell in the room has job control of its own")
def shell(world):
    with Tmux(world) as terminal:
        before = terminal.settings()
        terminal.line(f"{RUN} bash --norc -i")
        terminal.line("PS1='room''> '")
        screen = terminal.wait_for(lambda text: text.rstrip().endswith("room>"))
        expect("job control" not in screen and "ioctl" not in screen, "bash complains", screen)
        terminal.line("tty; sleep 1000")
        terminal.wait_for("/dev/pts/")
        terminal.send("C-z")
        terminal.wait_for("Stopped")
        terminal.line("jobs; fg")
        terminal.wait_for("sleep 1000\nsleep 1000")
        terminal.send("C-c")
        terminal.line("exit 5")
        terminal.wait_for(idle(terminal))
        unharmed(world, terminal, before)
        expect_equal(terminal.command("true")[1], 0, "the shell goes on")


@test("the exit code arrives through a terminal too")
def codes(world):
    with Tmux(world) as terminal:
        for command, code in (("true", 0), ("sh -c 'exit 7'", 7), ("sh -c 'kill -TERM $$'", 143),
                              ("sh -c 'kill -KILL $$'", 137), ("no-such-program", 127), ("/etc/passwd", 126)):
            expect_equal(terminal.command(f"{RUN} {command}")[1], code, command)


@test("no output is lost at the end, however fast the program ends")
def nothing_lost(world):
    wanted = b"".join(b"%d\r\n" % number for number in range(1, 30001))
    with Pty(world, [agentbox_binary(), "run", "default", "--", "seq", "1", "30000"]) as terminal:
        expect_equal(terminal.wait(), 0, "exit code")
        expect(terminal.output == wanted, "all of seq's output", len(terminal.output), terminal.output[-100:])
    for _ in range(10):
        with Pty(world, [agentbox_binary(), "run", "default", "--", "printf", "the last words"]) as terminal:
            expect_equal((terminal.wait(), terminal.output), (0, b"the last words"), "code and output")


@test("what a paste sends is not lost, and an end of file stays one")
def paste(world):
    text = b"".join(b"%06d and some words\n" % number for number in range(2000))
    argv = [agentbox_binary(), "run", "default", "--", "sh", "-c", "stty -echo; echo ready; cat > pasted"]
    with Pty(world, argv) as terminal:
        terminal.wait_for(b"ready")
        for at in range(0, len(text), 1024):
            terminal.send(text[at:at + 1024])
            terminal.pump(0)
        terminal.send(b"\x04")
        expect_equal(terminal.wait(), 0, "exit code")
    expect((world.workspace / "pasted").read_bytes() == text, "the pasted text",
           (world.workspace / "pasted").stat().st_size)


def supervisor(pid):
    """The agentbox below the shell `pid`."""
    def find():
        table = process_table()
        return [child for child in descendants(pid, table) if table[child][2] == "agentbox"]
    return wait_until(find, "agentbox runs")[0]


@test("the terminal is restored after kill -9 of the supervisor")
def restored(world):
    script = f"{RUN} sh -c 'echo started; exec sleep 1000'; echo code:$?; read line"
    with Pty(world, ["/bin/sh", "-c", script]) as terminal:
        terminal.wait_for(b"started")
        expect(terminal.settings() != terminal.before, "control: meanwhile the terminal is raw")
        os.kill(supervisor(terminal.pid), signal.SIGKILL)
        terminal.wait_for(b"code:137")
        wait_until(lambda: terminal.settings() == terminal.before, "the settings are restored", 5)
        wait_until(lambda: not [pid for pid in descendants(terminal.pid) if "sleep 1000" in command_line(pid)],
                   "the room is dead", 5)
    world.agentbox("doctor", "--sweep")


# The process that gives the terminal back when the supervisor dies: agentbox too, but in no namespace of the room's.
def is_watcher(pid):
    try:
        same = os.readlink(f"/proc/{pid}/ns/mnt") == os.readlink("/proc/self/ns/mnt")
    except OSError:
        return False
    return same and "agentbox run" in command_line(pid)


@test("the terminal is restored and the run fails when any part of the room is killed")
def parts(world):
    script = f"{RUN} sh -c 'echo started; exec sleep 1000'; echo code:$?; read line"
    with Pty(world, ["/bin/sh", "-c", script]) as terminal:
        terminal.wait_for(b"started")
        names = [command_line(pid) for pid in descendants(supervisor(terminal.pid))]
        terminal.send(b"\x03")
        terminal.wait_for(b"code:130")
    for index, name in enumerate(names):
        with Pty(world, ["/bin/sh", "-c", script]) as terminal:
            terminal.wait_for(b"started")
            top = supervisor(terminal.pid)
            victims = descendants(top)
            expect_equal(len(victims), len(names), "parts of the room")
            watcher = is_watcher(victims[index])
            os.kill(victims[index], signal.SIGKILL)
            if watcher:  # guards the terminal, not the room: the run goes on, and restores the terminal itself
                terminal.send(b"\x03")
                terminal.wait_for(b"code:130")
                wait_until(lambda: terminal.settings() == terminal.before, "restored without the watcher", 5)
                continue
            ended = lambda: terminal.pump() and re.search(rb"code:(\d+)\r", terminal.output)
            code = int(wait_until(ended, f"an end after kill -9 of {name!r}", 20).group(1))
            expect(code in (125, 137), f"after kill -9 of {name!r}", code, terminal.output)
            wait_until(lambda: terminal.settings() == terminal.before, f"restored after kill -9 of {name!r}", 5)


@test("the real terminal never enters the room, on whichever stream it is")
def never_enters(world):
    look = "for fd in 0 1 2 3 4 5 6 7 8 9; do readlink /proc/self/fd/$fd || :; done > seen; tty >> seen"
    with Pty(world, [agentbox_binary(), "run", "default", "--", "sh", "-c", look]) as terminal:
        host = os.ttyname(terminal.slave)
        expect_equal(terminal.wait(), 0, "exit code")
        seen = (world.workspace / "seen").read_text()
        expect("/dev/pts/0" in seen, "the room has a terminal of its own", seen)
        # The name alone may coincide: the device behind it must not.
        expect("/dev/pts/" in host, "control: the real one is a pty", host)
    check = "stat -L -c %d:%i:%r /proc/self/fd/2 > device"
    with open(os.devnull, "rb") as null, open(world.base / "out", "wb") as out, \
            Pty(world, [agentbox_binary(), "run", "default", "--", "sh", "-c", check],
                redirect=[(0, null.fileno()), (1, out.fileno())]) as terminal:
        expect_equal(terminal.wait(), 0, "exit code")
        info = os.fstat(terminal.slave)
        room = (world.workspace / "device").read_text().split(":")
        expect(int(room[0]) != info.st_dev, "stderr is a terminal of another devpts", room, info)


run_tests()
