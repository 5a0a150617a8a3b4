#!/usr/bin/env python3
"""What does the network gate cost, and what do the proxies of the distribution?

One server and one client program, and between them: nothing, a bare splice relay, the gate (as the room's programs meet
it, and as a proxy), tinyproxy, squid. Each is measured in turns, so that whatever else the machine does meets all of them.
Prints tables with ratios; never fails by a number.

usage: network.py [--rounds N] [--quick]     AGENTBOX_BIN, AGENTBOX_PROFILES, AGENTBOX_TEST_USER, AGENTBOX_TEST_RESOLVER
                                             and AGENTBOX_BENCH_PEER (build/bench/bench_peer)
"""

import argparse
import contextlib
import os
import pathlib
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "integration"))
import harness  # noqa: E402

NAME = "web.example"
PROXY = "198.18.0.1"


def program(name):
    return shutil.which(name, path="/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def memory_of(pid):
    """kB that are resident, and of these the ones of its own."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in text.splitlines())
    return tuple(int(fields[name].split()[0]) for name in ("VmRSS", "RssAnon"))


class Way:
    """One way between the two ends, and a client that uses it."""

    def __init__(self, name, protocol, argv, world, env=None, watched=None):
        self.name, self.protocol = name, protocol
        self.process = world.start(argv, env=env, stdin=subprocess.PIPE, text=True)
        self.watched = watched or self.process.pid  # whose memory it costs
        self.method = "GET" if protocol == "HTTP" else "BENCH"
        self.results = {}

    def ask(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return ""
        return self.process.stdout.readline().strip()

    def why_not(self):
        """Does it work at all? Ends it if it doesn't."""
        if self.ask(f"small 1 new {self.method}"):
            return None
        _, errors = self.process.communicate(timeout=30)
        return (errors.strip().splitlines() or ["?"])[-1]

    def measure(self, what, line):
        answer = self.ask(line)
        if not answer:
            sys.exit(f"{self.name}, {line}: {self.process.communicate()[1]}")
        self.results.setdefault(what, []).extend(float(word) for word in answer.split())

    def end(self):
        self.process.stdin.close()
        self.process.wait(30)


class Bench:
    def __init__(self, world, stack):
        self.world, self.stack, self.notes, self.idle = world, stack, [], {}
        peer = os.environ.get("AGENTBOX_BENCH_PEER") or str(harness.ROOT / "build" / "bench" / "bench_peer")
        self.peer = str(world.workspace / "peer")
        shutil.copy(peer, self.peer)
        self.port = self.serve("serve")
        self.ways = []

    def background(self, argv, **how):
        process = self.world.start(argv, **how)
        self.stack.callback(lambda: (process.kill(), process.communicate()))
        return process

    def serve(self, *words):
        return int(self.background([self.peer, *map(str, words)], text=True).stdout.readline())

    def add(self, name, protocol, words, **how):
        """`words`: of the client."""
        way = Way(name, protocol, words, self.world, **how)
        why = way.why_not()
        if why:
            self.notes.append(f"{name} ({protocol}): left out: {why}")
            return
        self.stack.callback(way.end)
        self.idle.setdefault((name, protocol), memory_of(way.watched))
        self.ways.append(way)

    def outside(self, name, protocol, *words, **how):
        self.add(name, protocol, [self.peer, "drive", *map(str, words)], **how)

    def inside(self, name, protocol, *words):
        hosts = self.world.base / "hosts"
        hosts.write_text(f"127.0.0.1 {NAME}\n")
        resolver = os.environ.get("AGENTBOX_TEST_RESOLVER") or str(
            harness.ROOT / "build" / "tests" / "resolver" / "test_resolver.so")
        more = "proxy = true\n" if words else ""
        self.world.profile("bench", 'extends = ["default"]\n[network]\n'
                           f'allow = ["{NAME}:{self.port}", "127.0.0.1:{self.port}"]\n{more}'
                           # Counted as ever, but nobody is asked.
                           'bytes_out_per_host = "100 TB/session"\nconnections_per_host = "100000000/min"\n')
        env = self.world.env(LD_PRELOAD=resolver, AGENTBOX_TEST_HOSTS=hosts)
        self.add(name, protocol, [harness.agentbox_binary(), "run", "bench", "--", self.peer, "drive", NAME,
                                  str(self.port), *map(str, words)], env=env)

    def tinyproxy(self):
        if not program("tinyproxy"):
            return self.notes.append("tinyproxy is not installed")
        port, config = free_port(), self.world.base / "tinyproxy.conf"
        config.write_text(f"Port {port}\nListen 127.0.0.1\nAllow 127.0.0.1\nMaxClients 4000\nLogLevel Critical\n"
                          f"LogFile \"{self.world.base}/tinyproxy.log\"\nTimeout 600\n")
        return port, self.background([program("tinyproxy"), "-d", "-c", config]).pid

    def squid(self):
        if not program("squid"):
            return self.notes.append("squid is not installed")
        port, config = free_port(), self.world.base / "squid.conf"
        config.write_text(f"http_port 127.0.0.1:{port}\nhttp_access allow all\ncache deny all\naccess_log none\n"
                          f"cache_log {self.world.base}/squid.log\npid_filename {self.world.base}/squid.pid\n"
                          "cache_store_log none\nshutdown_lifetime 0 seconds\nvisible_hostname bench\n"
                          f"coredump_dir {self.world.base}\npinger_enable off\nnetdb_filename none\n")
        return port, self.background([program("squid"), "-N", "-f", config]).pid

    def set_up(self):
        relay = self.serve("relay", self.port)
        proxies = {"tinyproxy": self.tinyproxy(), "squid": self.squid()}
        for name, found in proxies.items():
            if found:
                harness.wait_until(lambda at=found[0]: listens(at), f"{name} listens")
        self.outside("direct", "bytes", "127.0.0.1", self.port)
        self.outside("bare splice relay", "bytes", "127.0.0.1", relay)
        self.inside("agentbox", "bytes")
        self.inside("agentbox CONNECT", "bytes", "connect", PROXY, 3128)
        self.inside("agentbox SOCKS5", "bytes", "socks", PROXY, 1080)
        for name, found in proxies.items():
            if found:
                self.outside(f"{name} CONNECT", "bytes", "127.0.0.1", self.port, "connect", "127.0.0.1", found[0],
                             watched=found[1])
        self.outside("direct", "HTTP", "127.0.0.1", self.port)
        self.inside("agentbox", "HTTP")
        self.inside("agentbox as proxy", "HTTP", "absolute", PROXY, 3128)
        for name, found in proxies.items():
            if found:
                self.outside(f"{name}", "HTTP", "127.0.0.1", self.port, "absolute", "127.0.0.1", found[0],
                             watched=found[1])

    def rounds(self, rounds, size, smalls, seconds):
        for number in range(rounds):
            for what, line in (("down", f"down {size} {{}}"), ("up", f"up {size} {{}}"),
                               ("new", f"small {smalls} new {{}}"), ("kept", f"small {smalls} keep {{}}"),
                               ("rate new", f"rate {seconds} 8 new {{}}"),
                               ("rate kept", f"rate {seconds} 8 keep {{}}")):
                for way in self.ways:
                    way.measure(what, line.format("POST" if what == "up" and way.method == "GET" else way.method))
            print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)

    def hold(self, count):
        for way in self.ways:
            answer = way.ask(f"hold {count} {way.method}")
            if answer:
                way.results["hold"] = [float(answer)]
                way.results["memory"] = memory_of(way.watched)
                way.ask("let go")
            else:
                self.notes.append(f"{way.name} ({way.protocol}): not {count} connections at once")


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def show(bench, size, seconds, count):
    for protocol in ("bytes", "HTTP"):
        ways = [way for way in bench.ways if way.protocol == protocol]
        if not ways:
            continue
        base = ways[0]
        bare = next((way for way in ways if way.name.startswith("bare")), None)

        def ratio(way, what, to):
            """Of times: the median of what each round says."""
            return statistics.median(b / a for a, b in zip(way.results[what], to.results[what]))
        print(f"\n{'bytes through' if protocol == 'bytes' else 'HTTP, its heads read'}, median of "
              f"{len(base.results['down'])} rounds of {size / 1e6:.0f} MB")
        print(f"{'':20}{'down MB/s':>10}{'of direct':>10}{'of bare':>9}{'up MB/s':>10}{'of direct':>10}{'of bare':>9}")
        for way in ways:
            row = f"{way.name:20}"
            for what in ("down", "up"):
                row += f"{size / 1e6 / statistics.median(way.results[what]):10.0f}"
                row += f"{ratio(way, what, base):10.2f}{ratio(way, what, bare) if bare else float('nan'):9.2f}"
            print(row)
        print(f"\none small GET after the other, microseconds (more than direct); with 8 at once, a second")
        print(f"{'':20}{'new p50':>9}{'more':>8}{'p99':>9}{'kept p50':>10}{'more':>8}{'p99':>9}{'new/s':>9}{'kept/s':>9}")
        for way in ways:
            row = f"{way.name:20}"
            for what in ("new", "kept"):
                middle = percentile(way.results[what], 0.5)
                row += f"{middle:{9 if what == 'new' else 10}.0f}{middle - percentile(base.results[what], 0.5):8.0f}"
                row += f"{percentile(way.results[what], 0.99):9.0f}"
            for what in ("rate new", "rate kept"):
                row += f"{statistics.median(way.results[what]) / seconds:9.0f}"
            print(row)
    print(f"\n{count} connections at once: seconds until all have had an answer; memory, MB resident (of its own)")
    for way in bench.ways:
        idle = bench.idle[way.name, way.protocol]
        row = f"{way.name:20}{way.protocol:6}"
        if "hold" in way.results:
            row += f"{way.results['hold'][0]:8.2f}"
            if way.watched != way.process.pid or way.name.startswith("agentbox"):
                then = way.results["memory"]
                row += f"   idle {idle[0] / 1024:5.1f} ({idle[1] / 1024:.1f})   then {then[0] / 1024:5.1f} ({then[1] / 1024:.1f})"
        print(row)
    for note in bench.notes:
        print(f"note: {note}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    words = parser.parse_args()
    harness.become_ordinary()
    # A thousand connections are two thousand descriptors of a proxy's; squid waits for ever where it may not have them.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    size, smalls, seconds, count = (100_000_000, 200, 0.3, 1000) if words.quick else (1_000_000_000, 500, 1, 1000)
    world = harness.World()
    try:
        with contextlib.ExitStack() as stack:
            bench = Bench(world, stack)
            bench.set_up()
            bench.rounds(2 if words.quick else words.rounds, size, smalls, seconds)
            bench.hold(count)
            show(bench, size, seconds, count)
    finally:
        world.remove()


main()
