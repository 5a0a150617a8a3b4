#!/usr/bin/env python3
"""Each profile that the documents show is one that agentbox takes, and each of its commands one that it knows.

usage: recipes_test.py AGENTBOX SOURCE
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import tap  # noqa: E402

AGENTBOX, SOURCE = sys.argv[1], pathlib.Path(sys.argv[2])
DOCUMENTS = ["docs/recipes.md", "README.md"]


def text_of(document):
    return (SOURCE / document).read_text(encoding="utf-8")


def blocks(document, language):
    """(line number, content) of each fenced block in this language."""
    text = text_of(document)
    return [(text.count("\n", 0, found.start()) + 1, found[1])
            for found in re.finditer(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)]


def agentbox(home, *words):
    return subprocess.run([AGENTBOX, *words], capture_output=True, text=True, timeout=60, check=False,
                          stdin=subprocess.DEVNULL,
                          env={"HOME": home, "XDG_CONFIG_HOME": f"{home}/.config", "PATH": os.environ["PATH"],
                               "AGENTBOX_PROFILES": str(SOURCE / "profiles")})


def named(content):
    """The file that a block's first line names, if it does."""
    found = re.match(r"# ~/\.config/agentbox/profiles/([a-z0-9_-]+)\.toml\n", content)
    return found[1] if found else None


def check(document, only=None):
    with tempfile.TemporaryDirectory() as home:
        folder = pathlib.Path(home, ".config/agentbox/profiles")
        folder.mkdir(parents=True)
        found = blocks(document, "toml") if only is None else [(1, only)]
        for line, content in found:
            if name := named(content):  # one may extend another
                (folder / f"{name}.toml").write_text(content, encoding="utf-8")
        for line, content in found:
            name = named(content) or "shown"
            (folder / f"{name}.toml").write_text(content, encoding="utf-8")
            done = agentbox(home, "check", name)
            # What this machine lacks (a wallet, say) is a warning, and no mistake of the profile's.
            faults = [text for text in done.stderr.splitlines() if re.match(r"agentbox: warning: (?!on this machine )|.*error: ", text)]
            assert (done.returncode, faults) == (0, []), f"{document}:{line}\n{done.stderr}"
            # Not one that names what this version can't do.
            said = agentbox(home, "explain", name)
            assert "not built" not in said.stdout + said.stderr, f"{document}:{line}\n{said.stdout}{said.stderr}"
        return len(found)


def test_profiles():
    """Every profile in the documents checks"""
    assert check("docs/recipes.md") >= 8
    assert check("README.md") >= 4


def test_control():
    """A mistake in one would be seen"""
    try:
        check("README.md", '[network]\nalow = ["example.org"]\n')
    except AssertionError as found:
        tap.contains(str(found), "did you mean 'allow'")
        return
    raise AssertionError("it was taken")


def test_commands():
    """Every command of agentbox in the documents is one that it has, with options that it knows"""
    known = set(re.findall(r"^  ([a-z]+)  ", agentbox("/", "--help").stdout, re.M)) | {"host", "propose", "send", "pay"}
    assert {"run", "check", "explain", "approve", "doctor"} <= known, known
    seen = 0
    for document in DOCUMENTS:
        shell = [line for _, content in blocks(document, "sh") for line in content.splitlines()]
        shell += re.findall(r"^    (agentbox .*)$", text_of(document), re.M)
        shell += re.findall(r"`(agentbox [^`]*)`", text_of(document))
        for line in shell:
            for command, rest in re.findall(r"\bagentbox ([a-z]+)([^|;&#]*)", line):
                seen += 1
                assert command in known, f"{document}: {line}"
                options = re.findall(r"(?<=\s)(--[a-z-]+)", rest.split(" -- ")[0].split(" command ")[0])
                if command in ("host", "propose", "send", "pay"):
                    continue
                said = agentbox("/", command, "--help").stdout
                for option in options:
                    assert option in said, f"{document}: {line}: no {option}"
    assert seen > 40, seen


def test_links():
    """Every file that the documents link to is there, and so is every heading"""
    for document in [*DOCUMENTS, "docs/comparison.md", "SECURITY.md"]:
        text = text_of(document)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if "://" in target:
                continue
            name, _, heading = target.partition("#")
            path = (SOURCE / document).parent / name if name else SOURCE / document
            assert path.exists(), f"{document}: {target}"
            if heading:
                names = {re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-")
                         for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")}
                assert heading in names, f"{document}: {target}: {sorted(names)}"


if __name__ == "__main__":
    tap.run(globals())
