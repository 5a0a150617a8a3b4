"""agentbox demo, end to end: it refuses everything in a real room, and would say so if it didn't."""

import os
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from harness import agentbox_binary, expect, expect_equal, run_tests, test, wait_until  # noqa: E402
from terminal import Tmux  # noqa: E402



def table(text):
    """label → (without a room, in the room)"""
    rows = {}
    for line in text.split("\nThe doors\n")[0].splitlines():
        if line.startswith("  ") and not line.startswith("   ") and len(line) > 54:
            rows[line[2:36].strip()] = (line[36:54].strip(), line[54:].strip())
    return rows


@test("every misdeed is refused, the honest work is done, and nothing is left")
def refuses_all(world):
    done = world.agentbox("demo")
    rows = table(done.text)
    expect_equal(done.code, 0, f"exit code\n{done}")
    expect(len(rows) > 20, "there should be a table", done)
    expect(f"\n{len(rows) - 1} of {len(rows) - 1} refused; 1 file changed in the workspace: README.md\n" in done.text,
           "the last line of the table", done)
    # What lies in the throw-away world works without a room: each refusal has its positive control.
    for label in ("read ~/.ssh/id_ed25519", "plant .git/hooks/pre-commit", "edit .envrc", "move .git away to replace it",
                  "read the environment of one", "ask the ssh-agent to sign", "connect to a server on localhost",
                  "connect to an abstract socket"):
        expect(rows[label][0] != "not here", f"'{label}' should work without a room", done)
    expect_equal(rows["edit .envrc"][1], "Read-only file system", "why .envrc can't be edited")
    expect_equal(rows["connect to a server on localhost"][1], "Connection refused", "why localhost is not reached")
    expect("\033" not in done.text, "no colours in a pipe", done)
    # Up to the record, which holds whole commands: in a pipe nothing of them is wrapped.
    wide = [line for line in done.text.split("All of it is on record")[0].splitlines()
            if len(line) > 80 and not line.startswith("  |")]
    expect_equal(wide, [], "no line of the demo's own is longer than 80 columns")


@test("a misdeed that succeeds is said to have succeeded, and the demo fails")
def finds_out(world):
    # A shipped folder whose `default` protects nothing.
    profiles = world.base / "weak"
    profiles.mkdir()
    (profiles / "default.toml").write_text('[workspace]\nmode = "direct"\n')
    done = world.agentbox("demo", env=world.env(AGENTBOX_PROFILES=profiles))
    rows = table(done.text)
    expect_equal(done.code, 1, f"exit code\n{done}")
    expect(rows["edit .envrc"][1].startswith("SUCCEEDED: wrote"), "an unprotected .envrc can be edited", done)
    expect("also changed: ~/project/.envrc" in done.text, "and that is seen on the host", done)
    expect_equal(rows["read ~/.ssh/id_ed25519"][1], "No such file or directory", "why the key can't be read")


@test("a room that can't be built is no success")
def no_room(world):
    profiles = world.base / "none"
    profiles.mkdir()
    done = world.agentbox("demo", env=world.env(AGENTBOX_PROFILES=profiles))
    expect_equal(done.code, 1, f"exit code\n{done}")
    expect("the room of the demo did not work\nhint: see `agentbox doctor`\n" in done.errors, "it should say so", done)


def doors(text):
    """title → what became of it, of each scene"""
    found, title = {}, None
    for line in text.split("\nThe doors\n")[1].splitlines():
        if " of 9  " in line:
            title = line.split(" of 9  ")[1]
        elif line.startswith("  -> "):
            found[title] = line[5:]
    return found


@test("without a terminal each question of the tour is answered with deny, and nothing happens")
def answers_itself(world):
    done = world.agentbox("demo")
    expect_equal(done.code, 0, f"exit code\n{done}")
    no, rule = "answered with deny; nothing ran", "refused without a question: no rule of the profile allows it"
    expect_equal(doors(done.text),
                 {"A harmless command": no, "Words that attack your terminal": no, "A push that is a shell": rule,
                  "An interpreter": no, "A host that nobody named": no,
                  "A mail to you, and one to somebody new": "answered with deny; nothing was sent",
                  "Money beyond the limit": "answered with deny; nothing was paid",
                  "A program that changes while you read": no, "A question that isn't one": rule},
                 "what became of the wishes")
    expect("the owner says: the demo says no to everything" in done.text, "the agent hears it", done)
    expect("the record is whole" in done.text and done.text.count("  deny     human  command") == 4, "the record", done)
    expect("nothing happened that was not allowed" in done.text, "the end", done)
    expect(not (world.home / ".local").exists(), "the owner's own record is not touched")


def key(terminal, letter, wish="run a command on your machine"):
    """Answers the question that is on the screen, and returns that."""
    screen = terminal.wait_for_keys(f"agent wants to {wish}")
    terminal.type(letter)
    return screen


def go_on(terminal, title):
    terminal.wait_for(lambda screen: title in screen and screen.rstrip().endswith("Enter goes on, q leaves."))
    terminal.send("Enter")


@test("at a terminal a person answers, and what he says is done: a yes, a no, a yes to what has changed since")
def person_answers(world):
    with Tmux(world, width=110, height=60) as terminal:
        terminal.line(f"{agentbox_binary()} demo; echo left with $?")
        go_on(terminal, "A harmless command")
        key(terminal, "o")
        terminal.wait_for("-> you said yes; it ran: exit code 0")
        go_on(terminal, "Words that attack")
        terminal.wait_for("\\x1b[2J")  # seen, not done
        key(terminal, "d")
        terminal.wait_for("-> you said no; nothing ran")
        go_on(terminal, "A push that is a shell")
        terminal.wait_for("-> refused without a question")
        go_on(terminal, "An interpreter")
        key(terminal, "o")  # the control: what is stolen is found
        terminal.wait_for("and ~/project/key.txt is there, because of your yes")
        go_on(terminal, "A host that nobody named")
        screen = key(terminal, "d", "connect to a host")
        expect("collector.example" in screen, "which host", screen)
        terminal.wait_for("-> you said no; nothing ran")
        go_on(terminal, "A mail to you")
        screen = key(terminal, "d", "send a message")
        expect("collector@example.net" in screen and "The password is hunter2." in screen, "what, and to whom", screen)
        screen = terminal.wait_for("-> you said no; nothing was sent")
        expect("; sent: exit code 0" in screen, "the mail to himself", screen)
        go_on(terminal, "Money beyond")
        key(terminal, "d", "pay 6.00 USD")
        screen = terminal.wait_for("-> you said no; nothing was paid")
        expect("; paid" in screen, "the payment that fits", screen)
        go_on(terminal, "A program that changes")
        key(terminal, "o")
        screen = terminal.wait_for("-> you said yes; it was not started")
        expect("has changed since the question" in screen, "why", screen)
        go_on(terminal, "A question that isn't one")
        terminal.wait_for("agent wants to have a look at your home")
        terminal.type("o")
        screen = terminal.wait_for("Enter shows what is on record.")
        expect("the agent has read: o" in screen, "it had the key", screen)
        terminal.send("Enter")
        terminal.wait_for("left with 0")
        screen = terminal.screen()
        expect("nothing happened that was not allowed" in screen and "the record is whole" in screen, "the end", screen)


@test("q and Ctrl-C end the tour, and leave nothing")
def left(world):
    with Tmux(world, width=110, height=60) as terminal:
        for answer, code in (("q", 0), ("C-c", 130)):
            terminal.send("C-l")
            terminal.line(f"{agentbox_binary()} demo; echo left with $?")
            terminal.wait_for(lambda screen: screen.rstrip().endswith("Enter goes on, q leaves."))
            terminal.send(*([answer, "Enter"] if answer == "q" else [answer]))
            terminal.wait_for(f"left with {code}")


@test("a signal ends the demo wherever it is, and leaves nothing")
def signalled(world):
    for line in (b"A program plays", b"The doors", b"3 of 9", b"8 of 9"):
        demo = world.start([agentbox_binary(), "demo"], env=world.env(AGENTBOX_PROFILES=os.environ["AGENTBOX_PROFILES"]))
        while line not in demo.stdout.readline():
            expect(demo.poll() is None, "it runs")
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=30)
        expect_equal(demo.returncode, 130, f"exit code at {line}")
        wait_until(lambda: not world.leftovers(), "nothing is left")


if __name__ == "__main__":
    os.environ.setdefault("AGENTBOX_PROFILES", str(pathlib.Path(__file__).resolve().parents[2] / "profiles"))
    run_tests()
