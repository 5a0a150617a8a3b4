#!/usr/bin/env python3
"""Sums test cases over several runs of meson test, and ends with "N passed, N failed" alone on the last line.

usage: count.py [--results FILE] TESTLOG.json[,AGAIN.json]...
       count.py --failed TESTLOG.json

FILE holds further cases, one TAP line each. Exits with 1 if anything failed, or if nothing was tested.

AGAIN is the log of a second run of programs that failed in the first, alone on the machine: their cases count as they
ended there. One that failed only beside others is named as unsteady; more than MOST_UNSTEADY of them is a failure.
--failed prints the names of the programs that failed, for that second run.
"""

import json
import re
import sys

CASE = re.compile(r"^(not )?ok\b(?:\s+\d+)?\s*-?\s*([^#]*)(#\s*(?:SKIP|TODO)\b.*)?", re.I)
MOST_UNSTEADY = 3
MOST_LINES = 12


def cases(text):
    """(title, "passed" | "failed" | "skipped", what is said of it) of every TAP line."""
    found = []
    for line in text.splitlines():
        if match := CASE.match(line):
            outcome = "skipped" if match[3] and not match[1] else "failed" if match[1] else "passed"
            found.append((match[2].strip(), outcome, []))
        elif found and line.startswith("#"):
            found[-1][2].append(line)
    return found


def ended_well(test):
    return test["result"] in ("OK", "SKIP", "EXPECTEDFAIL")


def of_test(test):
    """The cases of one program. One that prints no TAP is one case; one that ends badly has failed at least once."""
    found = cases(test.get("stdout", ""))
    outcomes = {outcome for _, outcome, _ in found}
    if test["result"] == "SKIP" and not outcomes - {"skipped"}:
        return found or [(test["name"], "skipped", [])]
    if not ended_well(test) and "failed" not in outcomes:
        found.append((f"{test['name']} ({test['result'].lower()})", "failed", test.get("stderr", "").splitlines()))
    return found or [(test["name"], "passed", [])]


def tests_of(log):
    with open(log, encoding="utf-8", errors="replace") as file:
        return [json.loads(line) for line in file]


def with_second_run(logs):
    """(test, its first run if it was run again) for each program of LOG[,AGAIN]."""
    first, _, again = logs.partition(",")
    second = {test["name"]: test for test in tests_of(again)} if again else {}
    for test in tests_of(first):
        yield (second[test["name"]], test) if test["name"] in second else (test, None)


def main(arguments):
    total = {"passed": 0, "failed": 0, "skipped": 0}
    unsteady = []

    def count(where, found):
        for title, outcome, said in found:
            total[outcome] += 1
            if outcome == "failed":
                print("\n".join([f"FAILED {where}: {title}", *said[-MOST_LINES:]]))

    if arguments[:1] == ["--failed"]:
        print("\n".join(test["name"] for test in tests_of(arguments[1]) if not ended_well(test)))
        return 0
    if arguments[:1] == ["--results"]:
        with open(arguments[1], encoding="utf-8") as file:
            count("bootstrap", cases(file.read()))
        arguments = arguments[2:]
    for logs in arguments:
        try:
            for test, before in with_second_run(logs):
                where = f"{logs.split('/meson-logs')[0]} {test['name']}"
                found = of_test(test)
                count(where, found)
                failed = {title for title, outcome, _ in found if outcome == "failed"}
                unsteady += [(where, title, said) for title, outcome, said in of_test(before)
                             if outcome == "failed" and title not in failed] if before else []
        except OSError as problem:  # no log: the tests did not even start
            count(logs, [(str(problem), "failed", [])])
    for where, title, said in unsteady:
        print("\n".join([f"UNSTEADY {where}: {title}: failed beside others, passed alone", *said[-MOST_LINES:]]))
    if len(unsteady) > MOST_UNSTEADY:
        count("all", [(f"more than {MOST_UNSTEADY} cases are unsteady", "failed", [])])
    if total["skipped"]:
        print(f"{total['skipped']} skipped: this machine lacks what they need")
    print(f"{total['passed']} passed, {total['failed']} failed")
    return 0 if total["passed"] and not total["failed"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
