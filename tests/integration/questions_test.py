"""Questions: what leaves the room is asked for on the owner's own terminal, over a full-screen program, and what he says
is done. Seen in tmux, as he would see it."""

import json
import os
import re
import shlex
import signal
import time

from harness import agentbox_binary, expect, expect_equal, run_tests, test, wait_until
from processes import command_line, descendants
from terminal import Tmux

RULES = '''extends = ["default"]
[commands]
allow = ["cat /etc/hostname"]
ask = ["cp **", "git push **", "sleep **", "sh **"]
deny = ["date **"]
'''


def profile(world, more=""):
    world.profile("asks", RULES + more)
    return f"{agentbox_binary()} run asks --"


def question(terminal, text):
    """Waits until a question with this text is on the screen and takes keys."""
    return terminal.wait_for_keys(lambda shown: text in shown and "run a command on your machine" in shown)


def press(terminal, key):
    terminal.type(key)
    time.sleep(0.2)


def record(world, *words):
    done = world.agentbox("log", "--json", *words)
    expect_equal(done.code, 0, f"log\n{done}")
    return [json.loads(line) for line in done.text.splitlines()]


def vim_asks(world, terminal, command):
    """vim in the room, which starts a command of the host in the background; the question comes over it."""
    run = profile(world)
    terminal.line(f"{run} vim -u NONE -N note.txt")
    terminal.wait_for(lambda screen: "~" in screen and terminal.alternate())
    terminal.type("ithe agent's own screen")
    terminal.send("Escape")
    terminal.wait_for("the agent's own screen")
    terminal.line(f":call system('(agentbox host -- {command} >out 2>&1; echo $? >code) >/dev/null 2>&1 &')")
    return question(terminal, command.split()[0])


def leaves_vim(terminal):
    terminal.wait_for("the agent's own screen")
    terminal.line(":wq")
    terminal.wait_for(lambda screen: screen.rstrip().endswith(terminal.PROMPT))


def output(world, name="out"):
    path = world.workspace / "code"
    wait_until(lambda: path.exists() and path.read_text(), "the command has ended")
    return (world.workspace / name).read_text(), int((world.workspace / "code").read_text())


@test("a rule allows without a question, and the command runs outside")
def allowed(world):
    profile(world)
    own = os.uname().nodename
    here = world.run(["cat", "/etc/hostname"]).text
    done = world.agentbox("run", "asks", "--", "agentbox", "host", "--", "cat", "/etc/hostname")
    expect_equal((done.code, done.text), (0, here), f"{done}")
    # The room's own program reads the room's file: the control. The shim of that name is found first, and hands on what no
    # rule speaks of.
    inside = world.agentbox("run", "asks", "--", "/usr/bin/cat", "/etc/hostname")
    expect_equal(inside.text, "agentbox\n", "inside")
    shim = world.agentbox("run", "asks", "--", "cat", "/etc/hostname")
    expect_equal((shim.code, shim.text), (0, here), f"{shim}")
    other = world.agentbox("run", "asks", "--", "cat", "/etc/hostname", "/etc/machine-id")
    expect(other.code == 0 and other.text.startswith("agentbox\n"), "what no rule names runs inside", other)
    expect(own, "this machine has a name")


@test("a rule denies, and says so to the agent")
def denied(world):
    profile(world)
    done = world.agentbox("run", "asks", "--", "sh", "-c", "agentbox host -- date; echo code $?")
    expect("date **" in done.errors and "don't look for a way around it" in done.errors, "the reason", done)
    expect_equal(done.text, "code 77\n", "the exit code")
    rows = record(world, "--kind", "command", "--verdict", "deny")
    expect_equal([row["by"] for row in rows if row["what"] == "verdict"], ["rule"], "on record")


@test("the room says what it may do, in words, in JSON and for a model")
def status(world):
    profile(world)
    done = world.agentbox("run", "asks", "--", "sh", "-c", "agentbox status; cat /run/agentbox/SKILL.md")
    expect("asks      git push **" in done.text and "# You are in a room" in done.text, "status and skill", done)
    parsed = json.loads(world.agentbox("run", "asks", "--", "agentbox", "status", "--json").text)
    expect_equal(parsed["commands"]["deny"], ["date **"], "JSON")


@test("without anybody to ask it is denied, and says why")
def nobody(world):
    profile(world)
    done = world.agentbox("run", "--on-ask", "deny", "asks", "--", "agentbox", "host", "--", "cp", "a", "b")
    expect(done.code != 0 and "nobody watches this session" in done.errors, "the reason", done)
    expect(not (world.workspace / "b").exists(), "nothing was copied")


@test("a question over vim, answered once: the command runs outside, and vim's screen is whole")
def once(world):
    (world.home / "secret").write_text("from outside\n")
    with Tmux(world) as terminal:
        screen = vim_asks(world, terminal, f"cp {world.home}/secret {world.workspace}/copy")
        expect("the agent's own screen" not in screen, "the question has the screen for itself", screen)
        expect("/cp" in screen, "the program's path is shown", screen)
        press(terminal, "o")
        expect_equal(output(world)[1], 0, "exit code")
        expect_equal((world.workspace / "copy").read_text(), "from outside\n", "the copy")
        leaves_vim(terminal)
    verdicts = [row for row in record(world, "--kind", "command") if row["what"] == "verdict"]
    expect_equal([(row["verdict"], row["by"]) for row in verdicts], [("allow", "human")], "on record")
    expect_equal(world.agentbox("log", "--verify").code, 0, "the chain")


@test("a no is a no: nothing runs, the agent hears it, vim's screen is whole")
def no(world):
    (world.home / "secret").write_text("from outside\n")
    with Tmux(world) as terminal:
        vim_asks(world, terminal, f"cp {world.home}/secret {world.workspace}/copy")
        press(terminal, "d")
        text, code = output(world)
        expect(code != 0 and "the owner said no" in text, "what the agent hears", text, code)
        expect(not (world.workspace / "copy").exists(), "nothing was copied")
        leaves_vim(terminal)


@test("keys that were typed before the question was there answer nothing")
def typed_ahead(world):
    with Tmux(world) as terminal:
        run = profile(world)
        terminal.line(f"{run} sh -c '/usr/bin/sleep 1; agentbox host -- cp a b; echo code $?'")
        terminal.type("y\no\no")
        question(terminal, "cp a b")
        expect("code" not in terminal.screen(), "it is still asked", terminal.screen())
        for key in ("y", " ", "1", "Enter"):
            terminal.send(key) if key == "Enter" else terminal.type(key)
            time.sleep(0.2)
        expect("run a command on your machine" in terminal.screen(), "still asked", terminal.screen())
        press(terminal, "d")
        terminal.wait_for(lambda screen: re.search(r"^code \d", screen, re.M))


@test("a room that stops itself under a question doesn't take it out of sight")
def stops_itself(world):
    """Stopped with it, agentbox would give the terminal back to the shell, and what is typed there would be an answer."""
    with Tmux(world) as terminal:
        run = profile(world)
        stops = "me=$$; (/usr/bin/sleep 1; kill -STOP $me; echo stopped >mark; /usr/bin/sleep 1; kill -CONT $me) & "
        terminal.line(f"{run} sh -c '{stops} wait'")  # the control: without a question it is a job like any other
        terminal.wait_for("Stopped")
        terminal.line("fg")
        terminal.wait_for(lambda screen: screen.rstrip().endswith(terminal.PROMPT))
        (world.workspace / "mark").unlink()
        terminal.line("clear")
        terminal.line(f"{run} sh -c '{stops} agentbox host -- cp a b; echo code $?'")
        question(terminal, "cp a b")
        wait_until(lambda: (world.workspace / "mark").exists(), "the agent has stopped itself")
        time.sleep(0.5)
        shown = question(terminal, "cp a b")
        expect("Stopped" not in shown and terminal.alternate(), "the question stays", shown)
        press(terminal, "d")
        terminal.wait_for(lambda screen: re.search(r"^code \d", screen, re.M))


def supervisor(terminal):
    """The agentbox in this terminal."""
    found = [pid for pid in descendants(terminal.pane_pid()) if command_line(pid).split()[1:2] == ["run"]]
    expect(found, "agentbox runs", found)
    return found[0]  # the nearest


@test("what is typed while agentbox can't look counts for what was there all the time, or not at all")
def unseen(world):
    """The room can keep it from reading. Here it is stopped, by a shell without job control so that nobody else notices."""
    asks = "agentbox host -- cp a b; echo code $?; agentbox host -- cp c d; echo other $?"
    with Tmux(world) as terminal:
        terminal.line(f"sh -c {shlex.quote(profile(world) + ' sh -c ' + shlex.quote(asks) + '; true')}")
        wait_until(lambda: terminal.alternate(), "a question is there")
        pid = supervisor(terminal)
        os.kill(pid, signal.SIGSTOP)
        early = "keys work in a moment" in terminal.screen()
        if early:  # not on a machine that took longer
            terminal.type("o")
            time.sleep(1.2)  # longer than the keys sleep
        os.kill(pid, signal.SIGCONT)
        question(terminal, "cp a b")
        # And much later, when a key would count.
        os.kill(pid, signal.SIGSTOP)
        terminal.type("o")
        time.sleep(6)
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.3)
        question(terminal, "cp a b")
        # The control: a key at the right time.
        press(terminal, "d")
        question(terminal, "cp c d")
        press(terminal, "d")
        terminal.wait_for(lambda screen: re.search(r"^other \d", screen, re.M))
    expect_equal([row["verdict"] for row in record(world, "--kind", "command") if row["what"] == "verdict"],
                 ["deny", "deny"], "on record")


@test("an agent that prints a question of its own gets no answer out of it")
def fake(world):
    with Tmux(world) as terminal:
        run = profile(world)
        terminal.line(f"{run} sh -c 'printf \"\\033[2J\\033[Hagentbox asks: run a command on your machine? o\\n\"; "
                      "read answer; echo it read: $answer; agentbox host -- cp a b; echo code $?'")
        terminal.wait_for(lambda screen: screen.startswith("agentbox asks"))  # not the line that was typed
        terminal.line("o")
        question(terminal, "cp a b")
        press(terminal, "d")
        terminal.wait_for("it read: o")
        terminal.wait_for(lambda screen: re.search(r"^code \d", screen, re.M))
    expect_equal([row["verdict"] for row in record(world, "--kind", "command") if row["what"] == "verdict"], ["deny"],
                 "on record")


@test("nobody answers: it expires, and the screen comes back")
def expires(world):
    with Tmux(world) as terminal:
        run = profile(world, '[approval]\ntimeout = "2s"\n')
        terminal.line(f"{run} sh -c 'agentbox host -- cp a b; echo code $?'")
        terminal.wait_for("run a command on your machine")
        screen = terminal.wait_for(lambda screen: re.search(r"^code \d", screen, re.M))
        expect("nobody answered" in screen, "what the agent hears", screen)


@test("for this session: the same command is not asked for again")
def session(world):
    with Tmux(world) as terminal:
        run = profile(world)
        terminal.line(f"{run} sh -c 'agentbox host -- cp /dev/null one; agentbox host -- cp /dev/null one; echo code $?'")
        question(terminal, "cp /dev/null one")
        press(terminal, "s")
        terminal.wait_for_keys("allow until this session ends")
        press(terminal, "o")
        terminal.wait_for("code 0")
    by = [row["by"] for row in record(world, "--kind", "command") if row["what"] == "verdict"]
    expect_equal(by, ["human", "remembered"], "who said so")


@test("always is not offered for a shell, and once runs it once")
def shell(world):
    with Tmux(world) as terminal:
        run = profile(world)
        terminal.line(f"{run} sh -c 'echo echo outside >x.sh; agentbox host -- sh x.sh; echo code $?'")
        question(terminal, "sh x.sh")
        expect("a  always" not in terminal.screen(), "always is not offered", terminal.screen())
        press(terminal, "a")
        press(terminal, "s")
        press(terminal, "i")
        terminal.wait_for("sh x.sh")
        press(terminal, "i")
        press(terminal, "o")
        terminal.wait_for("outside\ncode 0")
    expect_equal(json.loads(world.agentbox("rules", "--json").text or "[]"), [], "nothing is remembered")


@test("git on the host refuses a repository that would run something, and that is on record")
def hostile_repository(world):
    world.profile("fetches", 'extends = ["default"]\n[commands]\nallow = ["git fetch **"]\n')
    world.expect_ok(["git", "init", "-q"])
    world.expect_ok(["git", "remote", "add", "origin", "https://localhost:1/x.git"])
    control = world.agentbox("run", "fetches", "--", "git", "fetch", "origin")
    expect("not run on the host" not in control.errors and control.code == 128, "control: git itself runs", control)
    world.expect_ok(["git", "config", "core.sshCommand", f"touch {world.home}/owned"])
    done = world.agentbox("run", "fetches", "--", "git", "fetch", "origin")
    expect(done.code == 126 and "core.sshcommand" in done.errors, "the reason", done)
    expect(not (world.home / "owned").exists(), "nothing ran")
    verdicts = [row for row in record(world, "--kind", "command") if row["what"] == "verdict"]
    expect_equal([(row["verdict"], row["by"]) for row in verdicts], [("allow", "rule"), ("deny", "fault")], "on record")


@test("a yes to a push is for the addresses that the question named, and not for another repository's remote of that name")
def push_elsewhere(world):
    world.expect_ok(["git", "init", "-q", "-b", "main", "a"])
    world.expect_ok(["git", "-C", "a", "remote", "add", "origin", "https://localhost:1/owners.git"])
    push = "agentbox host -- git push origin main"
    (world.workspace / "x.sh").write_text(f"cd a\n{push}\n{push}\ncd ..; git init -q -b main r; cd r\n"
                                          f"git remote add origin https://localhost:1/evil.git\n{push}\necho code $?\n")
    with Tmux(world) as terminal:
        terminal.line(f"{profile(world)} /bin/sh x.sh")
        screen = question(terminal, "git push origin main")
        expect("sends to" in screen and "https://localhost:1/owners.git" in screen, "where to", screen)
        press(terminal, "s")
        screen = terminal.wait_for_keys("allow until this session ends")
        expect("in any directory" not in screen, "what is offered", screen)
        press(terminal, "o")
        # The same again is not asked for; elsewhere it is.
        question(terminal, "https://localhost:1/evil.git")
        press(terminal, "d")
        terminal.wait_for(lambda screen: re.search(r"^code \d", screen, re.M))
    rows = [row for row in record(world, "--kind", "command") if row["what"] == "verdict"]
    expect_equal([(row["verdict"], row["by"]) for row in rows],
                 [("allow", "human"), ("allow", "remembered"), ("deny", "human")], "who said so")


@test("the room can't reach control.sock, and a forged message answers nothing")
def forged(world):
    profile(world)
    script = ("import socket,glob,os,json\n"
              "print(glob.glob('/run/user/*/agentbox/*'), glob.glob(os.environ.get('XDG_RUNTIME_DIR','/x')+'/agentbox/*'))\n"
              "print(sorted(os.listdir('/run/agentbox')))\n"
              "s=socket.socket(socket.AF_UNIX); s.connect('/run/agentbox/request.sock')\n"
              "s.sendall(b'{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"question.answer\",\"params\":{}}\\n')\n"
              "print(s.recv(1000))\n")
    done = world.agentbox("run", "asks", "--", "python3", "-c", script)
    expect_equal(done.code, 0, f"{done}")
    lines = done.text.splitlines()
    expect_equal(lines[0], "[] []", "sessions in the room")
    expect("control.sock" not in lines[1] and "request.sock" in lines[1], "sockets in the room", done)
    expect("-32601" in lines[2], "an unknown method", done)


@test("a command that can't be started is not called done in the log, which says why")
def not_started(world):
    broken, works = world.base / "broken", world.base / "works"
    broken.write_bytes(b"\x7fELF" + b"x" * 100)
    works.write_text("#!/bin/sh\nexit 3\n")
    for program in (broken, works):
        program.chmod(0o755)
    world.profile("asks", f'extends = ["default"]\n[commands]\nallow = ["{broken}", "{works}"]\n')
    done = world.agentbox("run", "asks", "--", "sh", "-c", f"agentbox host -- {broken}; echo $?; agentbox host -- {works}; echo $?")
    expect_equal(done.text.split(), ["126", "3"], f"the room\n{done}")
    lines = [line.split() for line in world.agentbox("log", "--kind", "command").text.splitlines()]
    expect_equal([" ".join(line[3:5]) for line in lines if str(broken) in line and "not" in line], ["not started"], lines)
    log = world.agentbox("log", "--kind", "command").text
    expect("(cannot be executed: Exec format error)" in log, "why", log)
    expect_equal([line[3] for line in lines if str(works) in line], ["asked", "allow", "done"], "control")


@test("kill -9 of the supervisor in the middle of a question leaves nothing")
def killed(world):
    profile(world)
    room = world.start([agentbox_binary(), "run", "--on-ask", "queue", "asks", "--", "agentbox", "host", "--", "cp", "a", "b"])
    sessions = world.runtime / "agentbox"
    wait_until(lambda: list(sessions.glob("*/control.sock")), "the room stands")
    room.send_signal(signal.SIGKILL)
    room.communicate(timeout=30)
    wait_until(lambda: not descendants(os.getpid()), "all are dead")
    wait_until(lambda: not list(sessions.glob("*/*.sock")), "the sockets are gone")


run_tests()
