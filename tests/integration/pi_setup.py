"""The real pi, from npm: installed once into the cache folder, then configured offline for each world."""

import json
import pathlib
import subprocess
import tempfile

import harness

PACKAGE = "@earendil-works/pi-coding-agent"


def install():
    """The prefix below which bin/pi lies. Skips only when npm cannot get it."""
    npm, prefix = harness.need_program("npm"), harness.cache_folder() / "pi"
    if (prefix / "installed").exists():
        return prefix
    # "@*": the newest version that says it runs on the Node at hand; the "latest" tag would not look.
    argv = [npm, "install", "--global", "--prefix", str(prefix), f"{PACKAGE}@*",
            "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    with tempfile.TemporaryDirectory() as own:
        environment = {"HOME": str(harness.cache_folder()), "PATH": "/usr/local/bin:/usr/bin:/bin", "TMPDIR": own,
                       **harness.download_environment()}
        try:
            done = subprocess.run(argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=600)
        except subprocess.TimeoutExpired:
            raise harness.Skipped("npm could not fetch pi within ten minutes") from None
    if done.returncode != 0:
        raise harness.Skipped(f"npm could not fetch pi: {done.stderr.decode(errors='replace')[-300:]!r}")
    (prefix / "installed").write_text("")
    return prefix


class Pi:
    """pi in one world, talking to one scripted model."""

    def __init__(self, world, model):
        self.world, self.prefix = world, install()
        self.agent_folder = world.home / ".pi" / "agent"
        self.agent_folder.mkdir(parents=True, mode=0o700)
        self.write("models.json", {"providers": {"scripted": {
            "baseUrl": f"http://localhost:{model.port}/v1", "api": "openai-completions", "apiKey": "none",
            "models": [{"id": model.MODEL}]}}})
        self.write("settings.json", {"defaultProvider": "scripted", "defaultModel": model.MODEL,
                                     "quietStartup": True})
        (self.agent_folder / "extensions").mkdir()
        self.path = f"{self.prefix}/bin:/usr/local/bin:/usr/bin:/bin"
        self.write_profile(model.port)

    def write_profile(self, port):
        """The user's own "pi" adds to the shipped one what only this machine knows."""
        grant = f'[network]\nallow = ["localhost:{port}"]\n' if port else ""
        self.world.profile("pi", f'extends = ["pi"]\n'
                                 f'[files]\nread = ["{self.prefix}"]\n{grant}'
                                 f'[environment]\nset = {{ PATH = "{self.path}" }}\n')

    def write(self, name, value):
        (self.agent_folder / name).write_text(json.dumps(value, indent=2))

    def env(self, **changes):
        return self.world.env(PATH=self.path, PI_OFFLINE="1", **changes)

    def outside(self, *words, **how):
        """`pi WORDS`: the positive control. In a room the caches that it leaves in /tmp are the room's own."""
        env = self.env(TMPDIR=self.world.scratch())
        return self.world.run([pathlib.Path(self.prefix) / "bin" / "pi", *words], env=env, **how)

    def inside(self, *words, **how):
        """`agentbox run pi -- pi WORDS`."""
        return self.world.room("pi", *words, profile="pi", env=self.env(), **how)
