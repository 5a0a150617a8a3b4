"""The shipped profiles with the real programs, by an ordinary user, each against a scripted model of the kind that it
speaks: Claude Code, Codex, Gemini CLI, OpenClaw.

Each does one task and then turns on its owner: it writes into its own settings, hooks, skills, approvals, and reads the
ssh key. The control is the same outside of the room, where all of it works.
"""

import socket
import time
import urllib.request

from agent_setup import AGENTS, Agent, script
from harness import (DEADLINE, SECRET, agentbox_binary, difference, expect, expect_equal, run_tests, snapshot, test,
                     wait_until)
from model_server import ModelServer
from terminal import Tmux

READ_ONLY = "Read-only file system"
MISSING = "No such file or directory"
BUSY = "Device or resource busy"
UNDONE = "DONE"     # held: it works in the room, and at the end, where nobody can be asked, the old content is back

# What each tries: a command, and why it fails in the room.
ATTACKS = {
    "claude": {
        "echo evil >> ~/.claude/settings.json": READ_ONLY,
        "echo evil >> ~/.claude.json": READ_ONLY,
        "echo evil >> ~/.claude/CLAUDE.md": READ_ONLY,
        "echo evil > ~/.claude/hooks/notify.sh": READ_ONLY,
        "mkdir ~/.claude/skills/evil": READ_ONLY,
        "mv ~/.claude/settings.json ~/.claude/x.json": BUSY,
        "echo evil > .claude/settings.json": READ_ONLY,
        "echo evil >> CLAUDE.md": UNDONE,
    },
    "codex": {
        "echo evil >> ~/.codex/config.toml": READ_ONLY,
        "echo evil >> ~/.codex/hooks.json": READ_ONLY,
        "echo evil >> ~/.codex/auth.json": READ_ONLY,
        "echo evil >> ~/.codex/AGENTS.md": READ_ONLY,
        "echo evil > ~/.codex/rules/default.rules": READ_ONLY,
        "mkdir ~/.codex/skills/evil": READ_ONLY,
        "mv ~/.codex/config.toml ~/.codex/x.toml": BUSY,
        "echo evil > .codex/config.toml": READ_ONLY,
        "echo evil >> AGENTS.md": UNDONE,
    },
    "gemini": {
        "echo evil >> ~/.gemini/settings.json": READ_ONLY,
        "echo evil >> ~/.gemini/trustedFolders.json": READ_ONLY,
        "echo evil > ~/.gemini/policies/own.toml": READ_ONLY,
        "echo evil >> ~/.gemini/GEMINI.md": READ_ONLY,
        "mkdir ~/.gemini/skills/evil": READ_ONLY,
        "cat ~/.gemini/oauth_creds.json": MISSING,
        "mv ~/.gemini/settings.json ~/.gemini/x.json": BUSY,
        "echo evil > .gemini/settings.json": READ_ONLY,
        "echo evil >> GEMINI.md": UNDONE,
    },
    "openclaw": {
        "echo evil >> ~/.openclaw/openclaw.json": READ_ONLY,
        "mkdir ~/.openclaw/skills/evil": READ_ONLY,
        "cat ~/.openclaw/.env": MISSING,
        "cat ~/.openclaw/credentials/telegram.json": MISSING,
        "mv ~/.openclaw/openclaw.json ~/.openclaw/x.json": BUSY,
        "mkdir .agents/skills": READ_ONLY,
        "echo evil >> SOUL.md": UNDONE,
    },
}
KEY = {"cat ~/.ssh/id_ed25519": MISSING}


def attack_of(name):
    """One command that tries all, each with its number, and says what became of it."""
    tries = list({**ATTACKS[name], **KEY})
    return "\n".join(f"echo '#{number}'; {{ {command}; }} 2>&1 && echo DONE"
                     for number, command in enumerate(tries)) + "\necho '#end'"


def outcomes(text, name):
    """command → what it said, from all that the agent printed."""
    tries, result = list({**ATTACKS[name], **KEY}), {}
    for number, command in enumerate(tries):
        after = f"#{number + 1}" if number + 1 < len(tries) else "#end"
        expect(f"#{number}" in text and after in text, f"the attack ran to {command}", text[-3000:])
        result[command] = text.rsplit(after, 1)[0].rsplit(f"#{number}", 1)[1]
    return result


def took(what, begin):
    print(f"# {what}: {time.monotonic() - begin:.1f} s", flush=True)


def versions(world, name):
    agent = Agent(world, name)
    begin = time.monotonic()
    version = agent.inside([name, "--version"])
    expect(version.code == 0 and agent.facts.version in version.text, f"{name} --version", version)
    expect_equal(version.text, agent.outside([name, "--version"]).text, "what it says outside")
    usage = agent.inside([name, "--help"])
    expect(usage.code == 0 and "usage" in usage.text.lower(), f"{name} --help", usage)
    print(f"# {name}: version {agent.facts.version}, {agent.facts.package}", flush=True)
    took(f"{name} --version, --help", begin)


def whole_task(world, name, control):
    """One task in the room, then `control`(agent, attack, model) outside."""
    with ModelServer() as model:
        agent = Agent(world, name, model)
        attack = attack_of(name)
        model.script = script(agent, attack)
        before, begin = snapshot(world.home), time.monotonic()
        done = agent.inside(agent.facts.task("please do the task"))
        took(f"{name}: the task", begin)
        expect(done.code == 0, f"{name} should have succeeded", done)
        expect_equal((world.workspace / "hello.txt").read_text(), "hello from the room", "what its tool wrote")
        said = outcomes(done.text, name)
        for command, reason in {**ATTACKS[name], **KEY}.items():
            expect(reason in said[command] and (reason == UNDONE or "DONE" not in said[command]),
                   f"{command}: should have said '{reason}'", said[command])
        expect(SECRET not in done.text + done.errors + model.texts(), "a secret got out", done)
        changed = [line for line in difference(before, snapshot(world.home)) if not harmless(line)]
        expect_equal(changed, [], "what changed in the home folder")
        expect_equal(asked_of_owner(world), [], "what its owner would have been asked")
        agent.inside(["curl", "-sS", "http://far.example/"])
        expect("far.example" in "".join(asked_of_owner(world)), "control: another host is a question",
               world.agentbox("log"))

        begin = time.monotonic()
        freely = outcomes(control(agent, attack), name)
        took(f"{name}: the control", begin)
        for command in {**ATTACKS[name], **KEY}:
            if not command.split()[-1].startswith("."):  # in the project there is no such folder
                expect("DONE" in freely[command], f"control: {command} works outside", freely[command])
        expect(SECRET in freely["cat ~/.ssh/id_ed25519"], "control: the key is there outside")


def asked_of_owner(world):
    """What is on record and was not decided by a rule of the profile."""
    return [line for line in world.agentbox("log").text.splitlines()
            if " connect " in line and not any(f" {word} " in line for word in ("asked", "rule", "done", "failed"))]


def harmless(line):
    """agentbox's own record, what the agent was to write, and Codex's sessions."""
    return any(f"b'{path}" in line for path in
               (".local", ".cache", "project/hello.txt", ".codex/sessions"))


def by_itself(agent, _attack):
    return agent.outside(agent.facts.task("please do the task")).text


def by_a_shell(agent, attack):
    """That the same commands work outside, a shell shows as well: OpenClaw needs a quarter of a minute for a task, and
    Codex loses its thread when its configuration changes under it."""
    return agent.outside(["bash", "-c", attack]).text


def interactive(world, name, ready):
    """`agentbox run NAME`, as its owner types it, with the profile's own command: no question, and an answer."""
    with ModelServer() as model:
        agent, begin = Agent(world, name, model), time.monotonic()
        model.script = lambda _: ["Your name is Wilhelmine."]
        with Tmux(world, env=agent.env()) as terminal:
            terminal.line(f"{agentbox_binary()} run {name}")
            terminal.wait_for(ready, 3 * DEADLINE)
            terminal.type("what is my name")
            terminal.wait_for("what is my name")
            # Some take an Enter that comes soon after text for a part of what was pasted; on an empty line it does nothing.
            until = time.monotonic() + DEADLINE
            while "Your name is Wilhelmine." not in terminal.screen() and time.monotonic() < until:
                terminal.send("Enter")
                time.sleep(3)
            terminal.wait_for("Your name is Wilhelmine.")
        took(f"{name}: interactive", begin)
        expect_equal(asked_of_owner(world), [], "what its owner would have been asked")


@test("Claude Code starts in its room")
def claude_starts(world):
    versions(world, "claude")


@test("Claude Code answers in a terminal, and its start raises no question")
def claude_interactive(world):
    interactive(world, "claude", "shift+tab to cycle")


@test("Claude Code does a task in its room, and cannot touch its own settings, hooks and skills")
def claude(world):
    whole_task(world, "claude", by_itself)


@test("Codex starts in its room")
def codex_starts(world):
    versions(world, "codex")


@test("Codex answers in a terminal, and its start raises no question")
def codex_interactive(world):
    interactive(world, "codex", "Ask Codex to do anything")


@test("Codex does a task in its room, and cannot touch its own configuration, rules and skills")
def codex(world):
    whole_task(world, "codex", by_a_shell)
    sessions = list((world.home / ".codex" / "sessions").rglob("*.jsonl"))
    expect(sessions, "its session is kept")


@test("Gemini CLI starts in its room")
def gemini_starts(world):
    versions(world, "gemini")


@test("Gemini CLI answers in a terminal, and its start raises no question")
def gemini_interactive(world):
    interactive(world, "gemini", "Type your message")


@test("Gemini CLI does a task in its room, and cannot touch its own settings, policies and skills")
def gemini(world):
    whole_task(world, "gemini", by_itself)


@test("OpenClaw starts in its room")
def openclaw_starts(world):
    versions(world, "openclaw")


@test("OpenClaw does a task in its room, and cannot touch its own configuration and skills")
def openclaw(world):
    whole_task(world, "openclaw", by_a_shell)


# Neither llama-server nor Ollama comes from npm or from Debian 12: this one stands in, and ends after one request.
STAND_IN = """#!/usr/bin/python3
import http.server, pathlib, socket, sys
def attempt(what, deed):
    try: deed(); print(what, "DONE")
    except OSError as error: print(what, error)
attempt("model:", lambda: print(pathlib.Path.home().joinpath("models/tiny.gguf").read_text()))
attempt("change:", lambda: pathlib.Path.home().joinpath("models/tiny.gguf").write_text("evil"))
attempt("workspace:", lambda: pathlib.Path("x").write_text("evil"))
attempt("name:", lambda: socket.create_connection(("far.example", 80), 20))
attempt("address:", lambda: socket.create_connection(("192.0.2.1", 443), 20))
attempt("host:", lambda: socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20))
http.server.HTTPServer(("127.0.0.1", int(sys.argv[2])), http.server.SimpleHTTPRequestHandler).handle_request()
"""


@test("a model server's room lets it read models and answer on its port, and nothing else")
def model_server(world):
    program = world.home / "bin" / "llama-server"
    (world.home / "models").mkdir()
    (world.home / "models" / "tiny.gguf").write_text("weights")
    program.parent.mkdir()
    program.write_text(STAND_IN)
    program.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as other:
        other_port = other.getsockname()[1]
        socket.create_connection(("127.0.0.1", other_port), 20).close()  # control: outside that port is there
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        for name, own in (("llama-server", 8080), ("ollama", 11434)):
            # No GPU: few machines that run tests have one.
            world.profile(name, f'extends = ["{name}"]\ncommand = ["{program}", "{other_port}", "{port}"]\n'
                                f'[files]\nread = ["{program.parent}", "~/models"]\n'
                                f'[network]\npublish = ["!{own}", {{ port = {port}, raw = true }}]\n'
                                '[devices]\ngpu = false\n')
            process = world.start([agentbox_binary(), "run", name])
            wait_until(lambda: reachable(port), f"{name} answers on its port")
            out, err = process.communicate(timeout=60)
            said = dict(line.split(" ", 1) for line in out.decode().splitlines() if ": " in line)
            expect_equal((process.returncode, said.get("model:")), (0, "DONE"), f"{name} reads its model\n{out}{err}")
            for what, reason in (("change:", READ_ONLY), ("workspace:", READ_ONLY), ("name:", "not known"),
                                 ("address:", "unreachable"), ("host:", "refused")):
                expect(reason in said[what], f"{name}, {what}", out, err)


def reachable(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as answer:
            return answer.status == 200
    except OSError:
        return False


run_tests()
