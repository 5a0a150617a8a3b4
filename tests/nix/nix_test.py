#!/usr/bin/env python3
"""The Nix files: their syntax, and what the two modules make of right and wrong configurations.

usage: nix_test.py AGENTBOX SOURCE
"""

import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import tap  # noqa: E402

AGENTBOX, SOURCE = sys.argv[1:3]
made = {}


def nix(*arguments):
    program = shutil.which("nix-instantiate")
    if program is None:
        raise tap.Skip("nix-instantiate is not installed")
    with tempfile.TemporaryDirectory() as home:
        # Nothing is built, so nothing is stored.
        return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120, check=False,
                              env={"PATH": os.environ["PATH"], "HOME": home, "NIX_REMOTE": "dummy://"})


def evaluated(part):
    if not made:
        done = nix("--eval", "--strict", "--json", os.path.join(SOURCE, "nix/tests/modules.nix"))
        assert done.returncode == 0, done.stderr
        made.update(json.loads(done.stdout))
    return made[part]


def as_toml(value):
    """What pkgs.formats.toml writes, all of it inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {as_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(as_toml(each) for each in value) + "]"
    return json.dumps(value)


def check(profiles, name):
    """`agentbox check NAME`, with these for the user's own."""
    with tempfile.TemporaryDirectory() as home:
        folder = os.path.join(home, "agentbox/profiles")
        os.makedirs(folder)
        for each, value in profiles.items():
            with open(os.path.join(folder, each + ".toml"), "w", encoding="utf-8") as file:
                file.writelines(f"{json.dumps(key)} = {as_toml(part)}\n" for key, part in value.items())
        return subprocess.run([AGENTBOX, "check", name], capture_output=True, text=True, timeout=60, check=False,
                              env={"HOME": home, "XDG_CONFIG_HOME": home, "PATH": os.environ["PATH"],
                                   "AGENTBOX_PROFILES": os.path.join(SOURCE, "profiles")})


def test_syntax():
    """every file parses, and one that doesn't would be seen"""
    files = [os.path.join(SOURCE, "flake.nix")] + glob.glob(os.path.join(SOURCE, "nix/**/*.nix"), recursive=True)
    assert len(files) > 6, files
    for file in files:
        done = nix("--parse", file)
        assert done.returncode == 0, (file, done.stderr)
    with tempfile.NamedTemporaryFile("w", suffix=".nix") as file:
        file.write("{ a = 1 }")
        file.flush()
        assert nix("--parse", file.name).returncode != 0


def test_nixos():
    """on NixOS the profiles are in /etc, and the wrappers come before the programs that they wrap"""
    nixos = evaluated("nixos")
    tap.equal(nixos["failed"], [])
    tap.equal(nixos["etc"], "/store/agentbox-profiles/agentbox/profiles")
    tap.equal(nixos["priority"], [0, -10, -10])
    assert "nf_tables" in nixos["modules"], nixos


def test_home():
    """with home-manager the profiles lie in the user's own folder, file by file"""
    home = evaluated("home")
    tap.equal(home["failed"], [])
    tap.equal(home["files"], {f"agentbox/profiles/{name}.toml": f"/store/agentbox-profiles/agentbox/profiles/{name}.toml"
                              for name in ("coding", "mine")})
    tap.equal(evaluated("minimal"), {"failed": [], "packages": ["/store/agentbox"]})
    tap.equal(evaluated("off"), {"assertions": [], "failed": []})


def test_wrappers():
    """a wrapper passes each word as it is"""
    for system in ("nixos", "home"):
        scripts = evaluated(system)["scripts"]
        assert sorted(scripts) == ["agentbox", "pi", "sh-here"], scripts
        for name, wanted in (("pi", ["run", "coding", "--", "/store/pi/bin/pi"]),
                             ("sh-here", ["run", "shell", "--", "/bin/sh", "-c", "echo it's"])):
            script = scripts[name].replace("exec /store/agentbox/bin/agentbox", "exec printf '%s\\n'")
            done = subprocess.run(["bash", "-c", script, name, "a b", "$(id)", "--x"], capture_output=True, text=True,
                                  timeout=60, check=True)
            tap.equal(done.stdout.splitlines(), wanted + ["a b", "$(id)", "--x"])


def test_profiles():
    """what becomes of a profile is one that agentbox takes, and a mistake in it is one that it refuses"""
    values = evaluated("values")
    tap.equal(values["coding"]["limits"], {"time": "8h", "processes": 512})
    tap.equal(values["mine"], {"extends": ["coding"], "limits": {"time": "1h"}})  # the defaults come with `coding`
    for name in values:
        done = check(values, name)
        tap.equal((done.returncode, done.stderr), (0, ""))
    done = check({"coding": {"extends": ["pi"], "network": {"alow": []}}}, "coding")
    tap.equal(done.returncode, 1)
    tap.contains(done.stderr, "did you mean 'allow'")


def test_example():
    """the example of a whole machine passes both the module and agentbox"""
    example = evaluated("example")
    tap.equal(example["failed"], [])
    for name in example["values"]:
        done = check(example["values"], name)
        tap.equal((done.returncode, done.stderr), (0, ""))


def test_wrong():
    """a wrong configuration is told what is wrong"""
    wrong = evaluated("wrong")
    pi = "programs.agentbox.wrappers.pi: "
    tap.equal(wrong["profile"], [pi + "there is no profile \"codng\"; there are coding, " + ", ".join(evaluated("shipped"))])
    tap.equal(wrong["program"], [pi + "say which program it is: set `package` or `command`"])
    tap.contains(wrong["name"][0], "\"../x\" can't be a profile's name")
    tap.contains(wrong["itself"][0], "agentbox can't run in a room of its own")
    tap.contains(wrong["namespaces"][0], "security.allowUserNamespaces = true")
    tap.contains(wrong["clone"][0], "kernel.unprivileged_userns_clone")
    tap.contains(wrong["most"][0], "user.max_user_namespaces")
    tap.equal((wrong["unknown"], wrong["type"]), ("refused", "refused"))


def test_shipped():
    """the module knows the shipped profiles by name"""
    names = sorted(os.path.basename(path)[:-5] for path in glob.glob(os.path.join(SOURCE, "profiles/*.toml")))
    tap.equal(sorted(evaluated("shipped")), names)


def test_version():
    """the package has the version of the build, and names each library by its place"""
    with open(os.path.join(SOURCE, "meson.build"), encoding="utf-8") as file:
        version = file.read().split("version: '")[1].split("'")[0]
    package = evaluated("package")
    tap.equal(package["version"], version)
    with open(os.path.join(SOURCE, "meson_options.txt"), encoding="utf-8") as file:
        options = [line.split("'")[1] for line in file if line.startswith("option(")]
    given = [flag.removeprefix("-D").split("=")[0] for flag in package["mesonFlags"]]
    assert set(given) <= set(options), (given, options)
    assert {name for name in options if name.endswith("_library")} <= set(given), (given, options)


if __name__ == "__main__":
    tap.run(globals())
