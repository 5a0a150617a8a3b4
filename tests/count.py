#!/usr/bin/env python3
"""Sums test cases over several runs of meson test, and ends with "N passed, N failed" alone on the last line.

usage: count.py [--results FILE] TESTLOG.json...

FILE holds further cases, one TAP line each. Exits with 1 if anything failed, or if nothing was tested.
"""

import json
import re
import sys

CASE = re.compile(r"^(not )?ok\b(?:\s+\d+)?\s*-?\s*([^#]*)(#\s*(?:SKIP|TODO)\b.*)?", re.I)


def cases(text):
    """(title, "passed" | "failed" | "skipped") of every TAP line."""
    for line in text.splitlines():
        found = CASE.match(line)
        if found:
            title = found[2].strip()
            yield title, "skipped" if found[3] and not found[1] else "failed" if found[1] else "passed"


def of_test(test):
    """The cases of one program. One that prints no TAP is one case; one that ends badly has failed at least once."""
    found = list(cases(test.get("stdout", "")))
    outcomes = {outcome for _, outcome in found}
    if test["result"] == "SKIP" and not outcomes - {"skipped"}:
        return found or [(test["name"], "skipped")]
    if test["result"] not in ("OK", "SKIP", "EXPECTEDFAIL") and "failed" not in outcomes:
        found.append((f"{test['name']} ({test['result'].lower()})", "failed"))
    return found or [(test["name"], "passed")]


def main(arguments):
    total = {"passed": 0, "failed": 0, "skipped": 0}

    def count(where, found):
        for title, outcome in found:
            total[outcome] += 1
            if outcome == "failed":
                print(f"FAILED {where}: {title}")

    if arguments[:1] == ["--results"]:
        with open(arguments[1], encoding="utf-8") as file:
            count("bootstrap", cases(file.read()))
        arguments = arguments[2:]
    for log in arguments:
        try:
            with open(log, encoding="utf-8", errors="replace") as file:
                for line in file:
                    test = json.loads(line)
                    count(f"{log.split('/meson-logs')[0]} {test['name']}", of_test(test))
        except OSError as problem:  # no log: the tests did not even start
            count(log, [(str(problem), "failed")])
    if total["skipped"]:
        print(f"{total['skipped']} skipped: this machine lacks what they need")
    print(f"{total['passed']} passed, {total['failed']} failed")
    return 0 if total["passed"] and not total["failed"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
