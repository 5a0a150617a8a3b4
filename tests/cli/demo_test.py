"""agentbox demo, end to end: it refuses everything in a real room, and would say so if it didn't."""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from harness import expect, expect_equal, run_tests, test  # noqa: E402


def table(text):
    """label → (without a room, in the room)"""
    rows = {}
    for line in text.splitlines():
        if line.startswith("  ") and not line.startswith("   ") and len(line) > 56:
            rows[line[2:38].strip()] = (line[38:56].strip(), line[56:].strip())
    return rows


@test("every misdeed is refused, the honest work is done, and nothing is left")
def refuses_all(world):
    done = world.agentbox("demo")
    rows = table(done.text)
    expect_equal(done.code, 0, f"exit code\n{done}")
    expect(len(rows) > 20, "there should be a table", done)
    last = done.text.splitlines()[-1]
    expect_equal(last, f"{len(rows) - 1} of {len(rows) - 1} refused; 1 file changed in the workspace: README.md",
                 "the last line")
    # What lies in the throw-away world works without a room: each refusal has its positive control.
    for label in ("read ~/.ssh/id_ed25519", "plant .git/hooks/pre-commit", "edit .envrc", "move .git away to replace it",
                  "read the environment of one", "ask the ssh-agent to sign", "connect to a server on localhost",
                  "connect to an abstract socket"):
        expect(rows[label][0] != "not here", f"'{label}' should work without a room", done)
    expect_equal(rows["edit .envrc"][1], "Read-only file system", "why .envrc can't be edited")
    expect_equal(rows["connect to a server on localhost"][1], "Connection refused", "why localhost is not reached")
    expect("\033" not in done.text, "no colours in a pipe", done)


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


if __name__ == "__main__":
    os.environ.setdefault("AGENTBOX_PROFILES", str(pathlib.Path(__file__).resolve().parents[2] / "profiles"))
    run_tests()
