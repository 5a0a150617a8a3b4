#!/usr/bin/env python3
"""docs/broker.schema.json against the messages that the C++ tests read and write.

usage: schema_test.py SCHEMA MESSAGES REFUSED

The checker knows the part of JSON Schema 2020-12 that the schema uses, and refuses any other word: a word that is passed
over would check nothing.
"""

import json
import pathlib
import re
import sys

SAYS_NOTHING = {"$schema", "$defs", "title", "description"}
TYPES = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "null": lambda value: value is None,
}


class Schema:
    def __init__(self, root):
        self.root = root

    def takes(self, schema, value):
        return all(self.rule(schema, word, argument, value) for word, argument in schema.items())

    def rule(self, schema, word, argument, value):
        if word in SAYS_NOTHING:
            return True
        if word == "$ref":
            return self.takes(self.named(argument), value)
        if word == "oneOf":
            return sum(self.takes(one, value) for one in argument) == 1
        if word == "anyOf":
            return any(self.takes(one, value) for one in argument)
        if word == "const":
            return type(value) is type(argument) and value == argument
        if word == "enum":
            return any(type(value) is type(one) and value == one for one in argument)
        if word == "type":
            return TYPES[argument](value)
        if word in ("minimum", "maximum"):
            return not TYPES["integer"](value) or (value >= argument if word == "minimum" else value <= argument)
        if word == "pattern":
            return not isinstance(value, str) or re.search(argument, value) is not None
        if word == "maxLength":
            return not isinstance(value, str) or len(value) <= argument
        if word in ("minItems", "maxItems"):
            return not isinstance(value, list) or (len(value) >= argument if word == "minItems" else len(value) <= argument)
        if word == "items":
            return not isinstance(value, list) or all(self.takes(argument, one) for one in value)
        if word == "properties":
            return not isinstance(value, dict) or all(self.takes(argument[key], one) for key, one in value.items()
                                                      if key in argument)
        if word == "required":
            return not isinstance(value, dict) or set(argument) <= value.keys()
        if word == "additionalProperties":
            assert argument is False, "only false is known"
            return not isinstance(value, dict) or value.keys() <= schema["properties"].keys()
        raise AssertionError(f"the checker does not know '{word}'")

    def named(self, name):
        assert name.startswith("#/$defs/"), name
        return self.root["$defs"][name.removeprefix("#/$defs/")]

    def direction(self, name, value):
        return self.takes(self.root["$defs"][name], value)


def lines(path):
    return [line for line in pathlib.Path(path).read_text().splitlines() if not line.startswith("#")]


def every_message_is_taken(schema, messages, _refused):
    """The schema takes every message, in its direction and as a whole."""
    for line in messages:
        direction, _, text = line.partition(" ")
        if not schema.direction(direction, json.loads(text)):
            yield f"{direction} does not take {text[:200]}"
        if not schema.takes(schema.root, json.loads(text)):
            yield f"no direction takes {text[:200]}"


def every_definition_is_shown(schema, messages, _refused):
    """Every kind of message in the schema is among the samples."""
    for name, definition in schema.root["$defs"].items():
        if "jsonrpc" not in definition.get("properties", {}):
            continue
        if not any(schema.takes(definition, json.loads(line.partition(" ")[2])) for line in messages):
            yield f"no sample of {name}"


def what_is_refused_is_refused(schema, _messages, refused):
    """The schema refuses what the reader refuses, as far as a schema can."""
    for line in refused:
        direction, who, reason, text = line.split("\t")
        taken = schema.direction(direction, json.loads(text))
        if taken != (who == "code"):
            yield f"{direction} {'takes' if taken else 'refuses'} ({reason}): {text[:200]}"


def objects_are_closed(schema, _messages, _refused):
    """Every object of the schema says which keys it may have."""
    def walk(place, value):
        if isinstance(value, dict):
            if value.get("type") == "object" and value.get("additionalProperties") is not False:
                yield place
            for key, one in value.items():
                yield from walk(f"{place}/{key}", one)
        elif isinstance(value, list):
            for number, one in enumerate(value):
                yield from walk(f"{place}/{number}", one)
    yield from walk("", schema.root["$defs"])


def main():
    schema = Schema(json.loads(pathlib.Path(sys.argv[1]).read_text()))
    messages, refused = lines(sys.argv[2]), lines(sys.argv[3])
    checks = [every_message_is_taken, every_definition_is_shown, what_is_refused_is_refused, objects_are_closed]
    failed = 0
    print(f"1..{len(checks)}")
    for number, check in enumerate(checks, 1):
        problems = list(check(schema, messages, refused))
        failed += bool(problems)
        print("not ok" if problems else "ok", number, "-", check.__doc__.strip().rstrip("."))
        for problem in problems:
            print("#", problem)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
