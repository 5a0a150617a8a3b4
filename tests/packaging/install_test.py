#!/usr/bin/env python3
"""What a stranger does with a release: unpacks it, builds it, installs it somewhere, runs it as an ordinary user."""

import os
import re
import shutil
import stat

import release
from release import environment, need, run, scratch, tap

# What is installed below the prefix, whatever that is. Profiles are listed by the folder.
PROGRAMS = {"/bin/agentbox", "/libexec/agentbox/agentbox-init", "/libexec/agentbox/agentbox-room"}
FILES = PROGRAMS | {
    "/share/agentbox/apparmor/agentbox",
    "/share/agentbox/broker.schema.json",
    "/share/agentbox/systemd/agentbox@.service",
    "/share/agentbox/systemd/openclaw.service",
    "/share/bash-completion/completions/agentbox",
    "/share/fish/vendor_completions.d/agentbox.fish",
    "/share/man/man1/agentbox.1",
    "/share/man/man5/agentbox-profile.5",
    "/share/man/man7/agentbox-broker.7",
    "/share/man/man7/agentbox-security.7",
    "/share/zsh/site-functions/_agentbox",
    *(f"/share/doc/agentbox/{name}" for name in (
        "ARCHITECTURE.md", "README.md", "SECURITY.md", "docs/approve.svg", "docs/comparison.md", "docs/demo.svg",
        "docs/question.svg", "docs/recipes.md")),
}


def wanted(prefix):
    profiles = {f"/share/agentbox/profiles/{path.name}" for path in (release.SOURCE / "profiles").glob("*.toml")}
    return sorted(prefix + path for path in FILES | profiles)


def version():
    return re.search(r"version: '([0-9.]+)'", (release.SOURCE / "meson.build").read_text())[1]


def works(agentbox, **more):
    """Says its version, finds the machine fit, and refuses everything in the demo: as the ordinary user."""
    env = environment(**more)
    tap.equal(run(agentbox, "--version", env=env), f"agentbox {version()}\n")
    tap.contains(run(agentbox, "doctor", env=env), "Rooms can be built on this machine.")
    said = run(agentbox, "demo", env=env)
    tap.contains(said, " refused; 1 file changed in the workspace: README.md")
    tap.contains(said, "nothing happened that was not allowed")


def check_unit(folder):
    """systemd's own check of the units there; of the keys alone where it isn't installed."""
    units = sorted(folder.glob("*.service"))
    assert len(units) == 2, units
    if shutil.which("systemd-analyze", path=release.PATH) is None:
        for unit in units:
            for line in unit.read_text().splitlines():
                assert re.fullmatch(r"|#.*|\[\w+\]|[A-Z]\w+=.+", line), (unit.name, line)
        return
    env = environment(SYSTEMD_LOG_LEVEL="warning")
    for unit in units:
        name = unit
        if "@" in unit.name:  # a template is checked as one of its instances
            name = scratch() / unit.name.replace("@", "@default")
            shutil.copy(unit, name)
        tap.equal(run("systemd-analyze", "verify", "--user", "--man=no", name, env=env), "")
    # The control: what it would say of a mistake.
    wrong = scratch() / "wrong.service"
    wrong.write_text(units[-1].read_text().replace("KillMode=mixed", "KillMode=mixd"))
    os.chmod(wrong, 0o644)
    tap.contains(run("systemd-analyze", "verify", "--user", "--man=no", wrong, env=env), "mixd")


def check_apparmor(profile):
    """The profile parses. AppArmor before 4 knows neither `userns` nor that abi: there all the rest is parsed."""
    parser = need("apparmor_parser")
    text = profile.read_text()
    assert text.count("\n  userns,\n") == 1 and "abi <abi/4.0>,\n" in text, text
    check = [parser, "--skip-kernel-load", "--skip-read-cache", "--skip-cache"]
    if not os.path.exists("/etc/apparmor.d/abi/4.0"):
        text = text.replace("\n  userns,\n", "\n").replace("abi <abi/4.0>", "abi <abi/3.0>")
    for number, (content, code) in enumerate([(text, 0), (text.replace("flags=(unconfined)", "flags=(uncnfined)"), 1)]):
        copy = scratch() / f"apparmor-{number}"
        copy.write_text(content)
        os.chmod(copy, 0o644)
        said = run(*check, copy, code=code)
        if code:
            tap.contains(said, "uncnfined")


def test_tarball():
    """`meson dist` packs every file of the commit as it is, and nothing else"""
    tap.equal(release.members(), release.blobs())


def test_build():
    """The unpacked release configures and builds, with its own files alone"""
    folder = release.configured("/usr")
    mine = {line.rpartition(" -c ../../")[2] for line in release.compiled(folder)}
    # The control: another prefix is another program, so something must have been compiled here.
    assert {"src/launch/installed.cpp", "src/cli/installed.cpp"} <= mine, mine
    print(f"# compiled again: {len(mine)} files", flush=True)
    assert run("ninja", "-C", folder).endswith("ninja: no work to do.\n")


def test_destdir():
    """DESTDIR and --prefix put each file where it belongs, none writable by others, none naming where it was built"""
    stage = scratch() / "stage"
    run("meson", "install", "-C", release.configured("/usr"), "--no-rebuild", "--quiet",
        env=environment(DESTDIR=str(stage)))
    tap.equal(release.files_below(stage), wanted("/usr"))
    for name in wanted("/usr"):
        path = stage / name[1:]
        program = name.removeprefix("/usr") in PROGRAMS
        tap.equal((name, oct(stat.S_IMODE(path.stat().st_mode))), (name, "0o755" if program else "0o644"))
        for place in (scratch(), release.SOURCE):
            assert str(place).encode() not in path.read_bytes(), f"{name} names {place}"
    tap.contains((stage / "usr/share/man/man1/agentbox.1").read_text(), "/usr/share/agentbox/profiles")
    works(stage / "usr/bin/agentbox", AGENTBOX_PROFILES=str(stage / "usr/share/agentbox/profiles"))


def test_bootstrap():
    """`./bootstrap install --prefix` into the home folder: it runs from there without a variable, and so do its units"""
    release.configured("/usr")
    prefix = scratch() / "home/.local"
    said = run("./bootstrap", "install", "--prefix", prefix, cwd=release.unpacked(),
               env=environment(CXX=release.compiler()))
    assert said.endswith(f"{prefix}/bin/agentbox\n"), said
    tap.equal(release.files_below(prefix), wanted(""))
    works(prefix / "bin/agentbox")
    env = environment()
    tap.contains(run(prefix / "bin/agentbox", "profiles", env=env), "openclaw" if
                 (release.SOURCE / "profiles/openclaw.toml").exists() else "default")
    tap.equal(run("sh", "-c", "echo works; touch here && ls", env=env, cwd=scratch() / "home").split()[0], "works")
    check_unit(prefix / "share/agentbox/systemd")


def test_units():
    """The units' words are ones that agentbox takes"""
    folder = scratch() / "home/.local/share/agentbox/systemd"
    agentbox = scratch() / "home/.local/bin/agentbox"
    for unit in ("agentbox@.service", "openclaw.service"):
        lines = re.findall(r"^ExecStart(?:Pre)?=(.+)$", (folder / unit).read_text(), re.M)
        assert len(lines) == 2 and "--on-ask queue" in lines[1], lines
        for line in lines:
            assert line.startswith(str(agentbox) + " "), line
    workspace = scratch() / "workspace"
    run("mkdir", workspace)
    tap.equal(run(agentbox, "run", "--on-ask", "queue", "default", "--", "echo", "in the room", cwd=workspace),
              "in the room\n")


def test_apparmor():
    """The AppArmor profile parses, for the place in which agentbox was installed"""
    profile = scratch() / "home/.local/share/agentbox/apparmor/agentbox"
    tap.contains(profile.read_text(), f"profile agentbox {scratch()}/home/.local/bin/agentbox flags=(unconfined) {{")
    check_apparmor(profile)


if __name__ == "__main__":
    tap.run(globals())
