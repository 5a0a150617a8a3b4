#!/usr/bin/env python3
"""How long does a room take to start, and how much memory does its supervisor hold?

`agentbox run default -- /bin/true` against the equivalent bwrap command line, one after the other in turns, so that
whatever else the machine does meets both; and against a minimal one that grants and protects less. Prints a table; never
fails by a number.

usage: startup.py [--rounds N] [--quick]     AGENTBOX_BIN, AGENTBOX_PROFILES and AGENTBOX_TEST_USER as in the tests
"""

import argparse
import json
import os
import pathlib
import signal
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "integration"))
import harness  # noqa: E402
import processes  # noqa: E402

ETC = ("passwd", "group", "hosts", "resolv.conf", "nsswitch.conf", "ld.so.cache", "localtime", "ssl", "alternatives")


def seconds(argv, world, environment):
    """From the start of the process to its end."""
    null = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1)]
    begin = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, environment, file_actions=null)
    _, status = os.waitpid(pid, 0)
    end = time.perf_counter()
    if status != 0:
        sys.exit(f"{' '.join(argv[:6])} ...: exit code {os.waitstatus_to_exitcode(status)}")
    return end - begin


NAMESPACES = ["--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup",
              "--disable-userns", "--die-with-parent", "--new-session", "--clearenv"]


def system_folders():
    options = ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        if os.path.islink(f"/{name}"):
            options += ["--symlink", os.readlink(f"/{name}"), f"/{name}"]
        elif os.path.isdir(f"/{name}"):
            options += ["--ro-bind", f"/{name}", f"/{name}"]
    return [*options, "--proc", "/proc", "--dev", "/dev"]


def minimal(world):
    """What one would type: the same namespaces, system folders, private home and tmp, the workspace."""
    options = [*NAMESPACES, *system_folders(), "--tmpfs", "/tmp"]
    for name in ETC:
        if os.path.exists(f"/etc/{name}"):
            options += ["--ro-bind", f"/etc/{name}", f"/etc/{name}"]
    workspace = str(world.workspace)
    options += ["--tmpfs", str(world.home), "--bind", workspace, workspace]
    for name in (".git/hooks", ".git/config"):
        if (world.workspace / name).exists():
            options += ["--ro-bind", f"{workspace}/{name}", f"{workspace}/{name}"]
    return [harness.need_program("bwrap"), *options, "--chdir", workspace, "--", "/bin/true"]


def same_room(world):
    """The equivalent command line: every mount, file and link of agentbox's room, by bwrap's own options. It has no
    seccomp filter, no watch, no terminal of its own, and it leaves its empty directories in the workspace."""
    room = json.loads(world.agentbox("explain", "--json", "bench").text)
    made = world.base / "made"
    (made / "empty").mkdir(parents=True)
    (made / "nothing").touch()
    placed = []
    for tmpfs in room["private"]:
        placed.append((tmpfs["path"], ["--perms", f"{tmpfs['mode']:o}", "--size", str(tmpfs["bytes"]), "--tmpfs"]))
    for number, file in enumerate(room["files"]):
        source = made / str(number)
        source.write_text(file["content"])
        placed.append((file["path"], ["--ro-bind", str(source)]))
    for mount in room["mounts"]:
        path = mount["path"]
        if path in ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"):
            continue
        if mount["access"] == "hidden" or mount["why"] == "ghost":
            source = str(made / ("empty" if mount["kind"] == "directory" else "nothing"))
        else:
            source = path
        placed.append((path, ["--bind" if mount["access"] == "write" else "--ro-bind", source]))
    options = [*NAMESPACES, *system_folders()]
    for path, option in sorted(placed):
        options += [*option, path]
    for link in room["links"]:
        if link["path"].count("/") > 1:
            options += ["--symlink", link["to"], link["path"]]
    return [harness.need_program("bwrap"), *options, "--chdir", str(world.workspace), "--", "/bin/true"]


def make_grants(world, count):
    # Short names: a profile may have 32 KiB.
    paths = [world.home / "g" / str(number) for number in range(count)]
    for path in paths:
        path.mkdir(parents=True)
    return [str(path) for path in paths]


def fill(world, files):
    for number in range(files // 100):
        folder = world.workspace / f"src{number % 60}" / f"part{number}"
        folder.mkdir(parents=True)
        for name in range(100):
            (folder / f"file{name}.c").touch()


def scenario(name, rounds, grants=0, files=0, repository=True):
    world = harness.World()
    try:
        if repository:
            world.expect_ok(["git", "init", "-q"])
        fill(world, files)
        make_grants(world, grants)
        listed = ", ".join(f'"~/g/{number}"' for number in range(grants))
        world.profile("bench", f'extends = ["default"]\n[files]\nread = [{listed}]\n')
        environment = world.env()
        ours = [harness.agentbox_binary(), "run", "bench", "--", "/bin/true"]
        theirs, bare = same_room(world), minimal(world)
        os.chdir(world.workspace)
        for argv in (ours, theirs, bare):
            seconds(argv, world, environment)
        times = [[seconds(argv, world, environment) * 1000 for argv in (ours, theirs, bare)] for _ in range(rounds)]
        a, b, c = zip(*times)
        ratio = statistics.median(x / y for x, y in zip(a, b))
        ratio_bare = statistics.median(x / y for x, y in zip(a, c))

        def show(values):
            return f"{min(values):7.2f} {statistics.median(values):7.2f} {max(values):7.2f}"
        print(f"{name:28} {show(a)}  {show(b)}  {ratio:6.2f}  {ratio_bare:6.2f}", flush=True)
    finally:
        os.chdir("/")
        world.remove()


def memory():
    world = harness.World()
    try:
        process = world.start([harness.agentbox_binary(), "run", "default", "--", "sh", "-c",
                               "echo up; exec sleep 1000"])
        process.stdout.readline()
        table = processes.process_table()
        for pid in [process.pid, *processes.descendants(process.pid, table)]:
            if table[pid][2].startswith("agentbox") or pid == process.pid:
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
                lines = [" ".join(line.split()) for line in status.splitlines()
                         if line.startswith(("VmRSS", "VmHWM", "RssAnon"))]
                role = "supervisor" if pid == process.pid else table[pid][2]
                print(f"memory of {role:18} {', '.join(lines) or 'not readable'}")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    finally:
        world.remove()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--quick", action="store_true", help="few rounds, small scenarios")
    options = parser.parse_args()
    harness.become_ordinary()
    processes.adopt_orphans()
    rounds = 5 if options.quick else options.rounds
    print("milliseconds: min, median, max\n"
          f"{'':28} {'agentbox':^23}  {'the same room by bwrap':^23}   ratio  to a minimal bwrap")
    scenario("no repository", rounds, repository=False)
    scenario("a repository", rounds)
    scenario("10 granted paths", rounds, grants=10)
    scenario("100 granted paths", rounds, grants=100)
    if not options.quick:
        scenario("1,000 granted paths", max(5, rounds // 4), grants=1000)
        scenario("a workspace of 60,000 files", rounds, files=60000)
    memory()


main()
