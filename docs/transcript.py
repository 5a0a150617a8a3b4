#!/usr/bin/env python3
"""Puts the real output of commands into README.md, between `<!-- transcript:NAME -->` and `<!-- /transcript -->`.

usage: docs/transcript.py AGENTBOX [--check]

--check writes nothing, and exits with 1 if a transcript is not what the program prints now.
"""

import os
import pathlib
import re
import subprocess
import sys

README = pathlib.Path(__file__).resolve().parents[1] / "README.md"
# A command, and the last of its lines that is shown: what follows may differ each time (ids, times).
COMMANDS = {"demo": (["demo"], " refused; ")}


def output_of(agentbox, name):
    environment = {variable: value for variable, value in os.environ.items() if variable != "TERM"}
    profiles = README.parent / "profiles"
    environment.setdefault("AGENTBOX_PROFILES", str(profiles))
    words, last = COMMANDS[name]
    done = subprocess.run([agentbox, *words], capture_output=True, text=True, check=False, env=environment,
                          stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        sys.exit(f"agentbox {name} failed:\n{done.stdout}{done.stderr}")
    lines = [f"$ agentbox {' '.join(words)}"]
    for line in done.stdout.rstrip("\n").split("\n"):
        lines.append(line)
        if last in line:
            break
    return "".join("    " + line.rstrip() + "\n" if line.strip() else "\n" for line in lines)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    agentbox = os.path.abspath(sys.argv[1])
    old = README.read_text(encoding="utf-8")
    new = re.sub(r"(<!-- transcript:(\w+) -->\n).*?(<!-- /transcript -->)",
                 lambda found: found[1] + output_of(agentbox, found[2]) + found[3], old, flags=re.S)
    if "--check" in sys.argv:
        return 0 if new == old else 1
    README.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
