#!/usr/bin/env python3
"""What do everyday tasks ask of their owner? Five of them, by pi and by OpenClaw with the shipped profiles, each against
a scripted model that makes the tool calls which the task plainly needs. Each question is answered with yes, counted,
and held against a list of those that a careful owner would want; one that is not on it fails the benchmark, as does a
task that was not done.

usage: attention.py [AGENT...]     AGENTBOX_BIN, AGENTBOX_PROFILES, AGENTBOX_TEST_USER, AGENTBOX_TEST_RESOLVER as in the
                                   tests
"""

import base64
import hashlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import threading
import typing

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "integration"))
import harness  # noqa: E402
from agent_setup import AGENTS, Agent  # noqa: E402
from client_servers import site  # noqa: E402
from gate_world import Net  # noqa: E402
from model_server import Call, ModelServer  # noqa: E402
from pi_setup import Pi  # noqa: E402

REGISTRY = "packages.example"
WANTED = {
    ("connect", REGISTRY): "wanted: which registry installs may come from is the owner's choice; `always` ends it",
}


class Tools(typing.NamedTuple):
    shell: typing.Callable
    write: typing.Callable


class Task(typing.NamedTuple):
    name: str
    prepare: typing.Callable    # world, registry's port
    steps: typing.Callable      # tools, world, registry's port → what the model does
    done: typing.Callable       # world → whether it was done
    options: typing.Callable    # world → options of `agentbox run`


def git(world, *words):
    world.expect_ok(["git", "-c", "init.defaultBranch=main", *words])


def repository(world, **files):
    (world.home / ".gitconfig").write_text("[user]\n\tname = A Person\n\temail = person@example.org\n")
    for name, text in files.items():
        (world.workspace / name.replace("__", ".")).write_text(text)
    git(world, "init", "-q")
    git(world, "add", "-A")
    git(world, "commit", "-q", "-m", "first")


def program(world, _port):
    repository(world, sums__py="def add(a, b):\n    return a - b\n",
               test_sums__py="import unittest\nimport sums\n\n\nclass Add(unittest.TestCase):\n"
                             "    def test_add(self):\n        self.assertEqual(sums.add(2, 3), 5)\n")


def notes(world, _port):
    folder = world.home / "notes"
    folder.mkdir()
    (folder / "garden.md").write_text("The apple tree was planted in 1987.\n")
    (folder / "car.md").write_text("Winter tyres are in the cellar.\n")


TEST = "python3 -m unittest -q"
TASKS = [
    Task("fix a test", program,
         lambda use, world, _: [use.shell(TEST), use.shell("cat sums.py"),
                                use.write(f"{world.workspace}/sums.py", "def add(a, b):\n    return a + b\n"),
                                use.shell(TEST), "The test passes."],
         lambda world: world.run(["python3", "-m", "unittest", "-q"]).code == 0, lambda _: []),
    Task("write a document", program,
         lambda use, world, _: [use.shell("git log --oneline; ls; cat sums.py"),
                                use.write(f"{world.workspace}/GUIDE.md", "# sums\n\nIt adds.\n"),
                                "The guide is written."],
         lambda world: (world.workspace / "GUIDE.md").exists(), lambda _: []),
    Task("install a package",
         lambda world, _: repository(world, package__json='{"name": "site", "version": "1.0.0"}\n'),
         lambda use, _, port: [use.shell(f"npm install --registry http://{REGISTRY}:{port} tiny-greeting"),
                               use.shell("node -e \"console.log(require('tiny-greeting'))\""), "It is installed."],
         lambda world: (world.workspace / "node_modules/tiny-greeting/index.js").exists(), lambda _: []),
    Task("commit", program,
         lambda use, _, __: [use.shell("echo '*.pyc' > .gitignore; git status --short"),
                             use.shell("git add -A && git commit -q -m 'Ignore compiled files'"),
                             use.shell("git log -1 --format='%an %s'"), "It is committed."],
         lambda world: b"Ignore" in world.run(["git", "log", "-1", "--format=%s"]).out, lambda _: []),
    Task("search notes", notes,
         lambda use, world, _: [use.shell(f"grep -rn apple {world.home}/notes > found.txt; cat found.txt"), "1987."],
         lambda world: "1987" in (world.workspace / "found.txt").read_text(),
         lambda world: ["--read", str(world.home / "notes")]),
]


def package():
    """tiny-greeting-1.0.0.tgz"""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, text in (("package.json", '{"name": "tiny-greeting", "version": "1.0.0", "main": "index.js"}'),
                           ("index.js", 'module.exports = "hello";\n')):
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return data.getvalue()


TARBALL = package()


def registry(request):
    if request.path.endswith(".tgz"):
        return request.reply(TARBALL)
    if request.path != "/tiny-greeting":  # advisories, and whether npm itself is new
        return request.reply(b"{}", "application/json", 200 if request.command == "POST" else 404)
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(TARBALL).digest()).decode()
    url = f"http://{request.headers['Host']}/tiny-greeting-1.0.0.tgz"
    version = {"name": "tiny-greeting", "version": "1.0.0", "main": "index.js",
               "dist": {"tarball": url, "integrity": integrity}}
    return request.reply(json.dumps({"name": "tiny-greeting", "dist-tags": {"latest": "1.0.0"},
                                     "versions": {"1.0.0": version}}).encode(), "application/json")


class Owner(threading.Thread):
    """Says yes to each question, and notes it."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world, self.questions, self.ended = world, [], threading.Event()

    def run(self):
        while not self.ended.wait(0.05):
            for line in self.world.agentbox("approve", "--list", "--json").text.splitlines():
                question = json.loads(line)
                what = question.get("question", {})
                ticket = f"{question['session']}/{what.get('id')}"
                if self.world.agentbox("approve", "--answer", ticket, "--once").code == 0:
                    self.questions.append((what["kind"], what["subject"]))


def tools(name):
    if name == "pi":
        return Tools(lambda command: Call("bash", command=command),
                     lambda path, text: Call("write", path=path, content=text))
    return Tools(AGENTS[name].shell, AGENTS[name].write)


def settle(world, name, model, port):
    """(argv for a prompt, environment) of the agent. The name of the registry leads to this machine, which takes a
    grant of that address; the name itself is asked for."""
    if name == "pi":
        pi = Pi(world, model)
        argv, environment = (lambda prompt: ["pi", "-p", prompt]), pi.env()
    else:
        agent = Agent(world, name, model)
        argv, environment = agent.facts.task, agent.env()
    own = world.profile_folder / f"{name}.toml"
    own.write_text(own.read_text().replace("[network]\nallow = [", f'[network]\nallow = ["127.0.0.1:{port}", '))
    net = Net(world, {REGISTRY: "127.0.0.1"}, "").env
    return argv, {**net, **environment}


def perform(name, task):
    """(whether it was done, the questions, what went wrong)"""
    world = harness.World()
    try:
        with ModelServer() as model, site(registry) as server:
            task.prepare(world, server.port)
            argv, environment = settle(world, name, model, server.port)
            steps = task.steps(tools(name), world, server.port)
            model.script = lambda _: steps
            owner = Owner(world)
            owner.start()
            run = world.agentbox("run", "--on-ask", "queue", *task.options(world), name, "--", *argv("please do it"),
                                 env=environment, timeout=600)
            owner.ended.set()
            owner.join()
            done = run.code == 0 and task.done(world)
            problem = "" if done else f"{run}\nits last messages: {model.texts()[-3000:]}"
            return done, owner.questions, problem
    finally:
        world.remove()


def judge(question):
    kind, subject = question
    return WANTED.get((kind, subject.rsplit(":", 1)[0]), "NOT WANTED: nobody listed it")


def main():
    harness.become_ordinary()
    os.environ["AGENTBOX_BIN"] = harness.agentbox_binary()
    names, rows, asked, failed = sys.argv[1:] or ["pi", "openclaw"], [], [], False
    for name in names:
        for task in TASKS:
            done, questions, problem = perform(name, task)
            rows.append((task.name, name, "done" if done else "FAILED", str(len(questions))))
            asked += [(task.name, name, question) for question in questions]
            failed |= not done or any(judge(question).startswith("NOT") for question in questions)
            if problem:
                print(problem, file=sys.stderr)
    for row in [("task", "agent", "result", "questions"), *rows]:
        print("{:<20}{:<12}{:<10}{}".format(*row))
    print(f"\nquestions: {len(asked)} in {len(rows)} tasks")
    for task, name, (kind, subject) in asked:
        print(f"  {task}, {name}: {kind} {subject}\n    {judge((kind, subject))}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    try:
        main()
    except (harness.Skipped, subprocess.SubprocessError) as reason:
        sys.exit(f"attention.py: {reason}")
