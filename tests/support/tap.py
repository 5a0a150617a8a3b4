"""TAP for Python tests: `tap.run(globals())` runs every function named test_*, in the order of the source.

A test passes when it returns, fails when it raises, and is skipped when it raises tap.Skip; under AGENTBOX_MUST_WORK=1
a skip is a failure, so that CI cannot pass by testing nothing. Its docstring, else its name, is the title.
"""

import os
import sys
import traceback


class Skip(Exception):
    """This machine can't run the test; the message says why."""


def run(module, only=None):
    must_work = os.environ.get("AGENTBOX_MUST_WORK") == "1"
    tests = [(name, function) for name, function in module.items()
             if name.startswith("test_") and callable(function) and (only is None or only in name)]
    failed = 0
    print(f"1..{len(tests)}", flush=True)
    for number, (name, function) in enumerate(tests, 1):
        title = (function.__doc__ or name[5:].replace("_", " ")).strip().splitlines()[0].replace("#", " ").rstrip(".")
        try:
            function()
            print(f"ok {number} - {title}", flush=True)
        except Skip as why:
            if not must_work:
                print(f"ok {number} - {title} # SKIP {why}", flush=True)
                continue
            failed += 1
            print(f"not ok {number} - {title}\n# must work here, but: {why}", flush=True)
        except BaseException as problem:  # a test must not take the others down with it
            if isinstance(problem, KeyboardInterrupt):
                raise
            failed += 1
            print(f"not ok {number} - {title}", flush=True)
            for line in traceback.format_exc().splitlines():
                print("#", line.encode("unicode_escape").decode("ascii"), flush=True)
    sys.exit(1 if failed else 0)


def equal(got, wanted):
    """Says both when they differ."""
    if got != wanted:
        raise AssertionError(f"\n  got:    {got!r}\n  wanted: {wanted!r}")


def contains(text, part):
    if part not in text:
        raise AssertionError(f"\n  {part!r}\n  is not in {text!r}")
