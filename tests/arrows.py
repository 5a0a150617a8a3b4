#!/usr/bin/env python3
"""The house's rules about who may include whom, checked from the source text.

usage: arrows.py SOURCE_ROOT

Prints TAP. The table is the one of ARCHITECTURE.md, "The house".
"""

import pathlib
import re
import sys

# What each room may include besides itself.
MAY = {
    "base": set(),
    "profile": {"base"},
    "wire": {"base"},
    "policy": {"profile", "base"},
    "plan": {"policy", "base"},
    "store": {"policy", "base"},
    "prompt": {"policy", "base"},
    "broker": {"policy", "prompt", "store", "wire", "base"},
    "gates": {"broker", "policy", "wire", "base"},
    "launch": {"gates", "broker", "store", "plan", "policy", "profile", "prompt", "wire", "base"},
    "inside": {"wire", "base"},
    "cli": {"gates", "plan", "policy", "profile", "prompt", "wire", "base", "launch", "store", "broker"},
}
PURE = ["base", "profile", "policy", "plan", "wire"]

# Headers that cost seconds of compile time, or that must not spread: which rooms may include them, and how many files
# may do so altogether.
HEAVY = {
    r"CLI/|CLI11": ({"cli"}, 2),
    r"toml\+\+/|toml\.hpp": ({"profile"}, 2),
    r"boost/": ({"launch", "gates", "prompt", "broker"}, 49),
    r"nlohmann/": ({"cli", "launch", "wire", "broker", "gates"}, 22),
    r"seccomp\.h": ({"launch"}, 2),
    r"sys/capability\.h": ({"launch"}, 3),
    r"sqlite3\.h": ({"store"}, 2),
    r"openssl/": ({"broker"}, 1),
    r"nettle/": ({"base"}, 1),
}
# What makes a pure room impure: headers of I/O, of the clock's now() and of the environment.
IMPURE = re.compile(
    r"#\s*include\s*<(fstream|iostream|filesystem|thread|mutex|future|cstdio|stdio\.h|fcntl\.h|unistd\.h"
    r"|sys/(?!types\.h|stat\.h)[^>]*|dirent\.h|poll\.h|signal\.h|csignal|netdb\.h|pwd\.h|grp\.h|ctime|time\.h|syslog\.h)>")
# base::UniqueFd closes what it owns; that is all that base may do.
IMPURE_ALLOWED = {("src/base/unique_fd.cpp", "unistd.h")}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def sources(root):
    """(path, room) of every C++ file of ours."""
    for top in ("include/agentbox", "src"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix in (".hpp", ".cpp", ".h", ".c"):
                yield path, path.relative_to(root / top).parts[0]


def check_includes(root):
    """Every include of another room's header is an arrow of the table."""
    for path, room in sources(root):
        name = path.relative_to(root)
        if room not in MAY:
            yield f"{name}: '{room}' is no room of the table"
            continue
        for bracket, header in INCLUDE.findall(path.read_text()):
            other = re.match(r"agentbox/([a-z]+)/", header)
            if other and other[1] != room and other[1] not in MAY[room]:
                yield f"{name}: {room} may not include {other[1]} ({header})"
            if bracket == '"' and ".." in pathlib.PurePath(header).parts:
                yield f"{name}: includes through '..' ({header})"
            if bracket == '"' and not other and not (path.parent / header).exists() \
                    and not (root / "src" / room / header).exists():
                # A private header belongs to its own room.
                first = pathlib.PurePath(header).parts[0]
                if first in MAY and first != room:
                    yield f"{name}: private header of {first} ({header})"


def rooms_of(text):
    return {word for word in re.findall(r"[a-z_]+", text) if word in MAY}


def check_build_files(root):
    """Each room's meson.build names as dependencies only rooms that it may include."""
    for room in MAY:
        path = root / "src" / room / "meson.build"
        if not path.exists():
            continue
        text = re.sub(r"#.*", "", path.read_text())
        for group in re.findall(r"dependencies:\s*\[([^\]]*)\]", text):
            # `declare_dependency` of a room names itself nowhere; whatever else is a room must be allowed.
            for other in sorted(rooms_of(group) - {room} - MAY[room]):
                yield f"{path.relative_to(root)}: {room} may not depend on {other}"


def check_cycles(_root):
    """The table itself has no cycle."""
    def reach(room, seen):
        for other in MAY[room]:
            if other in seen:
                yield f"{' -> '.join(seen)} -> {other}"
            else:
                yield from reach(other, seen + [other])
    for room in MAY:
        yield from reach(room, [room])


def check_heavy(root):
    """Heavy headers stay where they belong, and in few files."""
    for pattern, (rooms, budget) in HEAVY.items():
        found = []
        for path, room in sources(root):
            if any(bracket == "<" and re.match(pattern, header)
                   for bracket, header in INCLUDE.findall(path.read_text())):
                found.append(path.relative_to(root))
                if room not in rooms:
                    yield f"{path.relative_to(root)}: {room} may not include <{pattern}>"
                if path.is_relative_to(root / "include"):
                    yield f"{path.relative_to(root)}: a public header includes <{pattern}>"
        if len(found) > budget:
            yield f"<{pattern}>: {len(found)} files, the budget is {budget}: {', '.join(map(str, found))}"


def check_pure(root):
    """Pure rooms include no header of I/O."""
    for path, room in sources(root):
        if room not in PURE:
            continue
        name = str(path.relative_to(root))
        for header in IMPURE.findall(path.read_text()):
            if (name, header) not in IMPURE_ALLOWED:
                yield f"{name}: {room} is pure and may not include <{header}>"


def check_table_in_architecture(root):
    """ARCHITECTURE.md prints the same table."""
    text = (root / "ARCHITECTURE.md").read_text()
    table = re.search(r"^\| room \| may include \|\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.M)
    if table is None:
        yield "ARCHITECTURE.md: the table `room | may include` is not there"
        return
    said_of = re.findall(r"^\| (`[a-z`, ]+`) \| ([^|]*) \|", table[1], re.M)
    for room in sorted(set(MAY) - {name for line in said_of for name in re.findall(r"[a-z]+", line[0])}):
        yield f"ARCHITECTURE.md: {room} is not in the table"
    for line in said_of:
        names = re.findall(r"[a-z]+", line[0])
        for room in names:
            if room not in MAY:
                continue
            everything = set(MAY) - {"inside", "cli"}
            said = everything if line[1].strip() == "all" else rooms_of(line[1])
            if said != MAY[room]:
                yield f"ARCHITECTURE.md: {room} may include {sorted(said)}, the test says {sorted(MAY[room])}"


def main():
    root = pathlib.Path(sys.argv[1])
    checks = [check_includes, check_build_files, check_cycles, check_heavy, check_pure]
    if (root / "ARCHITECTURE.md").exists():
        checks.append(check_table_in_architecture)
    failed = 0
    for number, check in enumerate(checks, 1):
        problems = list(check(root))
        failed += bool(problems)
        print("not ok" if problems else "ok", number, "-", check.__doc__.strip().rstrip("."))
        for problem in problems:
            print("#", problem)
    print(f"1..{len(checks)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
