#!/usr/bin/env python3
"""agentbox-broker(7) against the messages that the C++ tests read and write, the schema, and the limits in the sources.

usage: manual_test.py MANUAL MESSAGES SCHEMA SOURCE_ROOT
"""

import json
import pathlib
import re
import sys

from schema_test import Schema, lines


def examples(page):
    """(direction, message): each literal block whose comment names a direction; one may be broken into lines."""
    found = []
    for direction, block in re.findall(r'^\.\\" (\w+)\n\.Bd -literal[^\n]*\n(.*?)^\.Ed$', page, re.M | re.S):
        text, decoder = block.replace("\\e", "\\").strip(), json.JSONDecoder()
        while text:
            message, end = decoder.raw_decode(text)
            found.append((direction, message))
            text = text[end:].lstrip()
    return found


def every_example_is_a_sample(page, samples, _schema, _root):
    """Every example of the manual page is a message that is read and written by the tests."""
    known = [(direction, json.loads(text)) for direction, _, text in (line.partition(" ") for line in samples)]
    shown = examples(page)
    if len(shown) < 20:
        yield f"only {len(shown)} examples were found"
    if len(shown) != page.count('{"jsonrpc"') - page.count("printf '"):
        yield "an example stands in a block whose comment names no direction"
    for direction, message in shown:
        if (direction, message) not in known:
            yield f"{direction} has no sample {json.dumps(message)}"


def every_message_has_an_example(page, _samples, schema, _root):
    """Every kind of message has an example in the manual page."""
    shown = examples(page)
    for name, definition in schema.root["$defs"].items():
        if "jsonrpc" in definition.get("properties", {}) and not any(schema.takes(definition, one) for _, one in shown):
            yield f"no example of {name}"


def every_word_is_explained(page, _samples, schema, _root):
    """Every verdict, answer, outcome, error code and field of a question is explained."""
    defs = schema.root["$defs"]
    words = list(defs["verdict"]["enum"])
    words += defs["question.answer"]["properties"]["params"]["properties"]["answer"]["enum"]
    words += defs["error"]["properties"]["error"]["properties"]["code"]["enum"]
    words += defs["question"]["properties"]["form"]["enum"]
    words += defs["question"]["properties"]["opinion"]["properties"]["says"]["enum"]
    words += defs["question"]["properties"]["stage"]["enum"]
    words += defs["session.choose"]["properties"]["params"]["properties"]["choice"]["enum"]
    words += defs["flood"]["properties"]["agent"]["enum"]
    for word in words:
        if not re.search(rf"^\.(It )?(Cm|Er|Va) .*(?<![\w-]){word}(?!\w)", page, re.M):
            yield f"'{word}' is not explained"


def limits_are_those_of_the_sources(page, _samples, _schema, root):
    """The limits are those of the sources."""
    broker, server, wire = ((root / "include" / "agentbox" / path).read_text() for path in (
        "broker/broker.hpp", "broker/control_server.hpp", "wire/broker_message.hpp"))
    def number(text, pattern):
        found = re.search(pattern, text)
        return int(eval(found[1], {})) if found else None  # a product of numbers
    for value, words in (
            (number(wire, r"\bline_limit = ([\d *]+);"), "{} bytes"),
            (number(server, r"most_connections = (\d+)"), "{} connections"),
            (number(broker, r"most_open = (\d+)"), "{} questions"),
            (number(broker, r"most_waiting = (\d+)"), "{} requests that wait"),
            (number(broker, r"\bquestions = (\d+)"), "{} questions in 10 minutes")):
        if value is None or words.format(value) not in page:
            yield f"the page does not say '{words.format(value)}'"


def main():
    page = pathlib.Path(sys.argv[1]).read_text()
    samples, schema = lines(sys.argv[2]), Schema(json.loads(pathlib.Path(sys.argv[3]).read_text()))
    checks = [every_example_is_a_sample, every_message_has_an_example, every_word_is_explained,
              limits_are_those_of_the_sources]
    failed = 0
    print(f"1..{len(checks)}")
    for number, check in enumerate(checks, 1):
        problems = list(check(page, samples, schema, pathlib.Path(sys.argv[4])))
        failed += bool(problems)
        print("not ok" if problems else "ok", number, "-", check.__doc__.strip().rstrip("."))
        for problem in problems:
            print("#", problem)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
