#!/usr/bin/env python3
"""What CI believes is what count.py says: it must not miss a failure, nor take silence for success."""

import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "support"))
import tap  # noqa: E402


def write(log, tests):
    """A log of these (result, stdout): the first is the program t0, the second t1."""
    with open(log, "w", encoding="utf-8") as file:
        for number, (result, stdout) in enumerate(tests):
            file.write(json.dumps({"name": f"t{number}", "result": result, "stdout": stdout}) + "\n")


def said(*tests, results=None, missing=False, again=None):
    """(exit code, lines) for a log of these (result, stdout), and of a second run."""
    with tempfile.TemporaryDirectory() as folder:
        log, arguments = os.path.join(folder, "testlog.json"), []
        if not missing:
            write(log, tests)
        if again is not None:
            write(os.path.join(folder, "again.json"), again)
            log += "," + os.path.join(folder, "again.json")
        if results is not None:
            arguments = ["--results", os.path.join(folder, "results")]
            with open(arguments[1], "w", encoding="utf-8") as file:
                file.write(results)
        done = subprocess.run([sys.executable, os.path.join(HERE, "count.py"), *arguments, log],
                              capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout.splitlines()


def count(*tests, **more):
    """(exit code, last line)"""
    code, lines = said(*tests, **more)
    return code, lines[-1]


def test_sums():
    """Cases of several programs are summed"""
    tap.equal(count(("OK", "1..2\nok 1 - a\nok 2 - b\n"), ("OK", "ok 1 - c\n# not ok 2\n")), (0, "3 passed, 0 failed"))


def test_failure():
    """One failed case fails all"""
    tap.equal(count(("OK", "ok 1 - a\n"), ("FAIL", "ok 1 - b\nnot ok 2 - c\n")), (1, "2 passed, 1 failed"))


def test_crash():
    """A program that dies, times out or ends badly has failed, though every line that it printed was ok"""
    for result in ("ERROR", "TIMEOUT", "FAIL", "INTERRUPT"):
        tap.equal(count((result, "ok 1 - a\n")), (1, "1 passed, 1 failed"))
        tap.equal(count(("OK", "ok 1 - a\n"), (result, "")), (1, "1 passed, 1 failed"))


def test_skip():
    """A skipped case is neither, and the last line stays what it is"""
    tap.equal(count(("OK", "ok 1 - a\nok 2 - b # SKIP no bwrap\n")), (0, "1 passed, 0 failed"))
    tap.equal(count(("OK", "ok 1 - a\n"), ("SKIP", "1..0 # SKIP no bwrap\n")), (0, "1 passed, 0 failed"))


def test_nothing():
    """To test nothing is no success"""
    tap.equal(count(), (1, "0 passed, 0 failed"))
    tap.equal(count(("SKIP", "")), (1, "0 passed, 0 failed"))
    tap.equal(count(missing=True), (1, "0 passed, 1 failed"))


def test_results():
    """bootstrap's own cases count like others"""
    tap.equal(count(("OK", "ok 1 - a\n"), results="ok - fuzz x\nnot ok - tidy\n"), (1, "2 passed, 1 failed"))


def test_plain():
    """A program that prints no TAP is one case"""
    tap.equal(count(("OK", "all is well\n")), (0, "1 passed, 0 failed"))


def test_reason():
    """What a failed case says of itself is said again at the end"""
    _, lines = said(("FAIL", "not ok 1 - a\n# 3 is not 4\nok 2 - b\n# all is well\n"))
    tap.equal(lines[1:], ["# 3 is not 4", "1 passed, 1 failed"])


def test_again():
    """A program that failed counts as it ended when it was run again, alone, and is named; it may fail there too"""
    failed, passed = ("FAIL", "not ok 1 - a\n# too late\nok 2 - b\n"), ("OK", "ok 1 - a\nok 2 - b\n")
    code, lines = said(failed, again=[passed])
    tap.equal((code, lines[-1]), (0, "2 passed, 0 failed"))
    tap.equal((lines[0].startswith("UNSTEADY"), lines[1]), (True, "# too late"))
    tap.equal(count(failed, again=[failed]), (1, "1 passed, 1 failed"))
    tap.equal(count(failed, again=[("TIMEOUT", "ok 1 - a\n")]), (1, "1 passed, 1 failed"))
    tap.equal(count(failed, failed, again=[passed]), (1, "3 passed, 1 failed"))
    tap.equal(count(failed, again=[]), (1, "1 passed, 1 failed"))


def test_unsteady():
    """Many unsteady cases are a failure"""
    many = "".join(f"{{}}ok {i} - case {i}\n" for i in range(4))
    tap.equal(count(("FAIL", many.replace("{}", "not ")), again=[("OK", many.replace("{}", ""))]),
              (1, "4 passed, 1 failed"))


if __name__ == "__main__":
    tap.run(globals())
