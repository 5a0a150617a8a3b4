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


def count(*tests, results=None, missing=False):
    """(exit code, last line) for a log of these (result, stdout)."""
    with tempfile.TemporaryDirectory() as folder:
        log, arguments = os.path.join(folder, "testlog.json"), []
        if not missing:
            with open(log, "w", encoding="utf-8") as file:
                for result, stdout in tests:
                    file.write(json.dumps({"name": "t", "result": result, "stdout": stdout}) + "\n")
        if results is not None:
            arguments = ["--results", os.path.join(folder, "results")]
            with open(arguments[1], "w", encoding="utf-8") as file:
                file.write(results)
        done = subprocess.run([sys.executable, os.path.join(HERE, "count.py"), *arguments, log],
                              capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout.splitlines()[-1]


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


if __name__ == "__main__":
    tap.run(globals())
