"""Changes: a protected or held file changes only with its owner's yes, by `agentbox propose` while the room runs, or by the
question at its end. Seen in tmux, as he would see it."""

import fcntl
import json
import os
import shlex
import signal
import threading
import time

from harness import agentbox_binary, expect, expect_equal, run_tests, test, wait_until
from terminal import Tmux


def room(world, script, profile="default", options=""):
    """The line that runs a shell script in a room."""
    return f"{agentbox_binary()} run {options} {profile} -- sh -c {shlex.quote(script)}"


def asked(terminal, *texts):
    return terminal.wait_for_keys(lambda shown: all(text in shown for text in texts))


def press(terminal, key):
    terminal.type(key)
    time.sleep(0.2)


def at_prompt(terminal):
    return terminal.wait_for(lambda screen: screen.rstrip().endswith(terminal.PROMPT) and not terminal.alternate())


def changes(world):
    done = world.agentbox("log", "--json", "--kind", "change")
    expect_equal(done.code, 0, f"log\n{done}")
    return [json.loads(line) for line in done.text.splitlines()]


def outcomes(world):
    return [row["detail"]["outcome"] for row in changes(world) if row["what"] == "outcome"]


def verdicts(world):
    return [(row["verdict"], row["by"]) for row in changes(world) if row["what"] == "verdict"]


@test("a proposal that the owner allows changes the file outside and in the room, and it stays protected")
def allowed(world):
    (world.workspace / ".envrc").write_text("use nix\nold\nend\n")
    (world.workspace / ".envrc").chmod(0o640)
    with Tmux(world) as terminal:
        terminal.line(room(world, "echo evil > .envrc; sed s/old/new/ .envrc > n; "
                                  "agentbox propose --why 'the flag is gone' .envrc < n > said; "
                                  "cat .envrc > seen; echo evil > .envrc; echo code $?"))
        screen = asked(terminal, "change a protected file", "-old", "+new")
        for part in (str(world.workspace / ".envrc"), "direnv runs it", "the flag is gone", "0640 as before"):
            expect(part in screen, f"the question says {part!r}", screen)
        press(terminal, "o")
        screen = at_prompt(terminal)
    expect_equal((world.workspace / ".envrc").read_text(), "use nix\nnew\nend\n", "outside")
    expect_equal((world.workspace / "seen").read_text(), "use nix\nnew\nend\n", "in the room")
    expect_equal((world.workspace / ".envrc").stat().st_mode & 0o777, 0o640, "the mode")
    expect("code 2" in screen and screen.count("Read-only file system") == 2, "read-only before and after", screen)
    expect_equal((world.workspace / "said").read_text(), f"changed {world.workspace}/.envrc\n", "what the agent hears")
    expect_equal(verdicts(world), [("allow", "human")], "on record")
    expect_equal(outcomes(world), ["written"], "the outcome")
    expect_equal(world.agentbox("log", "--verify").code, 0, "the chain")


@test("what does not exist yet can be proposed: it stays after the run, not executable, and is protected at once")
def new(world):
    world.run(["git", "init", "-q"])
    with Tmux(world) as terminal:
        terminal.line(room(world, "for f in .npmrc .vscode/tasks.json .git/hooks/pre-commit; do "
                                  "echo new | agentbox propose $f; cat $f >> seen; echo evil > $f; done"))
        for name in (".npmrc", ".vscode/tasks.json", ".git/hooks/pre-commit"):
            screen = asked(terminal, "make a protected file", name)
            expect("0644, not executable" in screen, "the mode", screen)
            press(terminal, "o")
        screen = at_prompt(terminal)
    for name in (".npmrc", ".vscode/tasks.json", ".git/hooks/pre-commit"):
        expect_equal((world.workspace / name).read_text(), "new\n", name)
        expect_equal((world.workspace / name).stat().st_mode & 0o777, 0o644, name)
    expect_equal((world.workspace / "seen").read_text(), "new\n" * 3, f"in the room\n{screen}")
    expect("quarantine" not in screen, "nothing was taken", screen)
    expect_equal(json.loads(world.agentbox("quarantine", "--json").text), [], "the quarantine")


@test("a no leaves the file as it is, and tells the agent what to do")
def denied(world):
    (world.workspace / ".envrc").write_text("old\n")
    with Tmux(world) as terminal:
        terminal.line(room(world, "echo evil | agentbox propose .envrc; echo code $?"))
        asked(terminal, "change a protected file")
        press(terminal, "d")
        screen = at_prompt(terminal)
    expect("code 77" in screen and "the owner said no" in screen and "Do not try a workaround" in screen, "heard", screen)
    expect_equal((world.workspace / ".envrc").read_text(), "old\n", "the file")
    expect_equal(verdicts(world), [("deny", "human")], "on record")


@test("without anybody to ask nothing changes")
def nobody(world):
    (world.workspace / ".envrc").write_text("old\n")
    done = world.room("sh", "-c", "echo evil | agentbox propose .envrc; echo code $?", options=["--on-ask", "deny"])
    expect("code 75" in done.text and "nobody watches this session" in done.errors, "the reason", done)
    expect_equal((world.workspace / ".envrc").read_text(), "old\n", "the file")


@test("what was changed between the question and the answer is not written over")
def changed_meanwhile(world):
    (world.workspace / ".envrc").write_text("old\n")
    with Tmux(world) as terminal:
        terminal.line(room(world, "echo new | agentbox propose .envrc; echo code $?"))
        asked(terminal, "change a protected file", "+new")
        (world.workspace / ".envrc").write_text("the owner's\n")
        press(terminal, "o")
        screen = at_prompt(terminal)
    expect("changed meanwhile" in screen and "code 126" in screen, "the agent hears it", screen)
    expect_equal((world.workspace / ".envrc").read_text(), "the owner's\n", "the file")
    expect(outcomes(world)[0].startswith("not changed: "), "the outcome", outcomes(world))


@test("a folder that becomes a link after the question leads nowhere")
def swapped(world):
    outside = world.home / "outside"
    outside.mkdir()
    with Tmux(world) as terminal:
        terminal.line(room(world, "mkdir d; (sleep 0.1; echo new | agentbox propose d/f; echo code $? > code) & "
                                  "until [ -e go ]; do sleep 0.05; done; mv d was; "
                                  f"ln -s {outside} d; touch done; wait"))
        asked(terminal, "make a file", "d/f")
        (world.workspace / "go").touch()
        wait_until(lambda: (world.workspace / "done").exists(), "the agent has swapped it")
        press(terminal, "o")
        screen = at_prompt(terminal)
    expect_equal((world.workspace / "code").read_text(), "code 126\n", screen)
    expect_equal(list(outside.iterdir()), [], "the owner's folder")
    expect("a symbolic link lies on the way" in screen, "the reason", screen)


PROBE = """
import array, json, os, socket, sys
path, kind = sys.argv[1:]
s = socket.socket(socket.AF_UNIX); s.connect("/run/agentbox/request.sock")
fd = os.memfd_create("x", os.MFD_ALLOW_SEALING); os.write(fd, b"evil\\n")
if kind == "file": fd = os.open("/tmp/x", os.O_RDWR | os.O_CREAT); os.write(fd, b"evil\\n")
line = json.dumps(dict(jsonrpc="2.0", id=1, method="request.change", params=dict(path=path, what="write"))) + "\\n"
s.sendmsg([line.encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
print(s.recv(65536).decode())
"""


@test("content that could still change, hidden files and git's own files are refused without a question")
def refused(world):
    world.run(["git", "init", "-q"])
    (world.workspace / ".env").write_text("TOKEN=precious\n")
    (world.workspace / "probe.py").write_text(PROBE)
    for kind, reason in (("unsealed", "must be sealed against writing"), ("file", "must ")):
        done = world.room("python3", "probe.py", str(world.workspace / ".envrc"), kind)
        expect('"error"' in done.text and reason in done.text, kind, done)
    for path, reason in ((".env", "is hidden from this room"), (".git/HEAD", "is git's own"),
                         ("/etc/hostname", "is no file of the owner's"), ("~/.ssh/config", "is no file of the owner's")):
        done = world.room("sh", "-c", f"echo evil | agentbox propose {path}; echo code $?")
        expect("code 126" in done.text and reason in done.errors, path, done)
    expect_equal((world.workspace / ".env").read_text(), "TOKEN=precious\n", "the hidden file")
    expect(not (world.workspace / ".envrc").exists(), "nothing was made")
    expect_equal({row["verdict"] for row in changes(world) if row["what"] == "verdict"}, {"deny"}, "on record")


@test("a held file is asked for against what was there before the run, and an allowed one is not undone")
def held(world):
    (world.workspace / "AGENTS.md").write_text("rule\n")
    with Tmux(world) as terminal:
        terminal.line(room(world, "printf 'rule\\nEVIL\\n' > AGENTS.md; "
                                  "printf 'rule\\nEVIL\\nnice\\n' | agentbox propose AGENTS.md"))
        screen = asked(terminal, "change a held file", "+nice")
        expect("+EVIL" in screen and "the agent has changed it already" in screen, "all of it is shown", screen)
        press(terminal, "o")
        screen = at_prompt(terminal)
    expect_equal((world.workspace / "AGENTS.md").read_text(), "rule\nEVIL\nnice\n", "what was allowed")
    expect("restored" not in screen, "it is not asked for again", screen)


def repository(world):
    """AGENTS.md and a workflow, committed."""
    (world.workspace / "AGENTS.md").write_text("rule\n")
    (world.workspace / ".github" / "workflows").mkdir(parents=True)
    (world.workspace / ".github" / "workflows" / "ci.yml").write_text("ci\n")
    git(world, "init", "-q")
    git(world, "add", "-A")
    git(world, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first")


def git(world, *words):
    done = world.run(["git", *words])
    expect_equal(done.code, 0, f"git {words}\n{done}")
    return done.text


DEEDS = "echo EVIL >> AGENTS.md; echo EVIL > .github/workflows/new.yml; rm .github/workflows/ci.yml; "


@test("at the end what the run changed is asked for one by one: what is kept stays, what is not is as before")
def kept(world):
    repository(world)
    with Tmux(world) as terminal:
        terminal.line(room(world, DEEDS + "echo the agent has ended"))
        screen = asked(terminal, "kept only with your yes", "workflows", "1 of 2")
        for part in ("gone: ci.yml", "new: new.yml", "-ci", "+EVIL", "your server runs it"):
            expect(part in screen, f"the page says {part!r}", screen)
        press(terminal, "d")
        screen = asked(terminal, "AGENTS.md", "2 of 2")
        for part in ("+EVIL", "the next agent takes it for its orders", "restored in"):
            expect(part in screen, f"the page says {part!r}", screen)
        press(terminal, "o")
        screen = at_prompt(terminal)
    expect("the agent has ended" in screen, "the agent's screen is whole", screen)
    expect("AGENTS.md: kept" in screen and "workflows: restored" in screen, "the summary", screen)
    expect_equal(git(world, "status", "--porcelain"), " M AGENTS.md\n", "git status")
    expect_equal((world.workspace / "AGENTS.md").read_text(), "rule\nEVIL\n", "kept")
    expect_equal(verdicts(world), [("deny", "human"), ("allow", "human")], "on record")
    expect_equal(outcomes(world), ["restored", "kept"], "the outcomes")
    expect_equal(world.agentbox("log", "--verify").code, 0, "the chain")


@test("one key restores all the rest, and keys that were typed before the page was there keep nothing")
def restored(world):
    repository(world)
    with Tmux(world) as terminal:
        terminal.line(room(world, DEEDS + "echo up$((1 + 1)); sleep 2"))
        terminal.wait_for("up2")
        terminal.type("ooooo")
        asked(terminal, "1 of 2")
        terminal.type("oo")  # not alone
        time.sleep(0.3)
        press(terminal, "D")
        at_prompt(terminal)
    expect_equal(git(world, "status", "--porcelain"), "", "git status")
    expect_equal({item["path"] for item in json.loads(world.agentbox("quarantine", "--json").text)},
                 {str(world.workspace / "AGENTS.md"), str(world.workspace / ".github" / "workflows")}, "kept aside")
    expect_equal(verdicts(world), [("deny", "human")] * 2, "on record")


@test("without an answer in time all is restored")
def late(world):
    repository(world)
    world.profile("hasty", 'extends = ["default"]\n[approval]\ntimeout = "2s"\n')
    with Tmux(world) as terminal:
        terminal.line(room(world, DEEDS, profile="hasty"))
        asked(terminal, "1 of 2")
        at_prompt(terminal)
    expect_equal(git(world, "status", "--porcelain"), "", "git status")
    expect_equal(verdicts(world), [("expired", "clock")] * 2, "on record")


@test("where nobody is at the terminal, or is not to be asked, all is restored without a question")
def not_asked(world):
    repository(world)
    done = world.room("sh", "-c", DEEDS)
    expect(done.code == 0 and done.errors.count("restored") == 2, "no terminal", done)
    expect_equal(git(world, "status", "--porcelain"), "", "git status")
    with Tmux(world) as terminal:
        text, code = terminal.command(room(world, DEEDS, options="--on-ask deny"))
        expect(code == 0 and text.count("restored") == 2, "--on-ask deny", text)
        terminal("clear-history")
        terminal.send("C-l")
        terminal.line(room(world, DEEDS + "echo up$((1 + 1)); sleep 1000"))
        terminal.wait_for("up2")
        expect_equal(world.agentbox("stop", "--all").code, 0, "stop")
        screen = at_prompt(terminal)
    expect(screen.count("restored") == 2, "a run that was ended from elsewhere", screen)
    expect_equal(git(world, "status", "--porcelain"), "", "git status")


@test("what was quarantined goes back with a yes, and stays away with a no")
def quarantined(world):
    with Tmux(world) as terminal:
        terminal.line(room(world, "echo 'export A=1' > .envrc; chmod +x .envrc; until [ ! -e .envrc ]; do :; done; "
                                  "echo x > .npmrc; until [ ! -e .npmrc ]; do :; done"))
        # The last that was taken comes first.
        screen = asked(terminal, "programs outside would run or obey", ".npmrc", "1 of 2")
        press(terminal, "d")
        screen = asked(terminal, ".envrc", "+export A=1", "direnv runs it", "2 of 2")
        press(terminal, "o")
        screen = at_prompt(terminal)
    expect_equal((world.workspace / ".envrc").read_text(), "export A=1\n", screen)
    expect(not (world.workspace / ".npmrc").exists(), "the other one")
    items = json.loads(world.agentbox("quarantine", "--json").text)
    expect_equal([item["path"] for item in items], [str(world.workspace / ".npmrc")], "the quarantine")
    expect_equal(outcomes(world), ["quarantined", "kept"], "the outcomes")


@test("a kill while the owner is asked leaves everything to the next run, which restores it")
def killed(world):
    repository(world)
    with Tmux(world) as terminal:
        terminal.line(room(world, DEEDS))
        asked(terminal, "1 of 2")
        sessions = json.loads(world.agentbox("ps", "--json").text)
        os.kill(sessions[0]["pid"], signal.SIGKILL)
        wait_until(lambda: not terminal.alternate(), "the terminal is given back")
        expect("EVIL" in (world.workspace / "AGENTS.md").read_text(), "nothing was decided")
        terminal.line("echo typed$((1 + 1))")
        terminal.wait_for("typed2")
    expect_equal(json.loads(world.agentbox("ps", "--json").text), [], "ps clears what is dead")
    world.room("true")
    expect_equal(git(world, "status", "--porcelain"), "", "git status")


@test("a hostile name and hostile content are shown for what they are")
def hostile(world):
    repository(world)
    with Tmux(world) as terminal:
        terminal.line(room(world, "printf 'a\\033[2J\\033]0;evil\\007\\r\\n' > AGENTS.md; "
                                  "printf x > .github/workflows/\"$(printf 'x\\n+ok\\033[31m')\""))
        screen = asked(terminal, "1 of 2")
        expect("new: x\\\\n+ok" in screen, "the name is one line", screen)
        press(terminal, "d")
        screen = asked(terminal, "2 of 2", "+a\\x1b[2J\\x1b]0;evil\\x07\\r")
        press(terminal, "d")
        at_prompt(terminal)


@test("the room's help, status and skill teach it, and misuse is told")
def taught(world):
    done = world.room("sh", "-c", "agentbox help; agentbox status; cat /run/agentbox/SKILL.md")
    expect(done.text.count("agentbox propose") >= 3, "all three", done)
    for words, part in (("", "takes one path"), ("a b </dev/null", "takes one path"), ("x/../y </dev/null", "without '..'"),
                        ("--force x </dev/null", "unknown option")):
        done = world.room("sh", "-c", f"agentbox propose {words}")
        expect(done.code == 2 and part in done.errors, words, done)


@test("a lease on a file keeps nobody waiting, neither for a proposal nor for a command; and the room takes none")
def leased(world):
    world.profile("asks", f'extends = ["default"]\n[commands]\nask = ["{world.workspace}/tool"]\n')
    (world.workspace / "AGENTS.md").write_text("old\n")
    (world.workspace / "a.py").write_text(
        "import errno, fcntl, os, subprocess, time\n"
        "open('tool', 'w').write('#!/bin/sh\\n'); os.chmod('tool', 0o755)\n"
        "with open('tool', 'rb+') as own:\n"
        "    try: fcntl.fcntl(own, fcntl.F_SETLEASE, fcntl.F_WRLCK)\n"
        "    except OSError as error: print(errno.errorcode[error.errno])\n"
        "open('ready', 'w').close()\n"
        "while not os.path.exists('leased'): time.sleep(0.01)\n"
        "begin = time.monotonic()\n"
        "subprocess.run(['agentbox', 'propose', 'AGENTS.md'], input=b'new\\n')\n"
        "subprocess.run(['agentbox', 'host', '--', os.getcwd() + '/tool'])\n"
        "print('waited' if time.monotonic() - begin > 30 else 'at once')\n")  # the kernel takes a lease away after 45 s
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    held = []

    def lease():
        """A program outside holds them."""
        wait_until(lambda: (world.workspace / "ready").exists(), "the room runs")
        for name in ("AGENTS.md", "tool"):
            held.append(open(world.workspace / name, "rb+"))
            fcntl.fcntl(held[-1], fcntl.F_SETLEASE, fcntl.F_WRLCK)
        (world.workspace / "leased").touch()

    holder = threading.Thread(target=lease)
    holder.start()
    done = world.agentbox("run", "--on-ask", "queue", "asks", "--", "python3", "a.py")
    holder.join()
    for file in held:
        file.close()
    signal.signal(signal.SIGIO, before)
    expect_equal((done.text.splitlines()[:1], done.text.splitlines()[-1:]), (["EINVAL"], ["at once"]), f"{done}")
    expect("AGENTS.md can't be read: Resource temporarily unavailable" in done.errors, "the proposal", done)
    expect("tool can't be read, so nobody could say what would run" in done.errors, "the command", done)


if __name__ == "__main__":
    run_tests()
