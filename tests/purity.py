#!/usr/bin/env python3
"""The pure rooms call nothing that does I/O: read from their object files, not from what the sources say.

usage: purity.py CONTROL LIBRARY...        (libNAME.a of a room that does I/O, and of each pure room)

Prints TAP. What a library needs from outside must be known here as harmless; whatever else it needs is an error, so
that a new function is judged by a person once.
"""

import pathlib
import re
import subprocess
import sys

# C++ names are harmless but for these.
IMPURE_NAMES = re.compile(
    r"\bstd::(filesystem|basic_[io]?f?stream<|basic_filebuf|i?ofstream|ifstream|cout|cerr|cin|clog|ios_base::Init|thread|"
    r"mutex|condition_variable|random_device|locale::global|this_thread|chrono::_V2::\w+::now|__basic_file)"
    r"|\bfmt::(v\d+::)?(v?print|file|ostream|buffered_file|detail::print)"
    r"|\bboost::|\bagentbox::(launch|gates|prompt|cli|inside|store|broker)::")
# C functions: of memory, text and numbers.
HARMLESS_C = re.compile(
    r"^(mem(chr|cmp|cpy|move|set)|str(len|cmp|ncmp|chr|rchr|errordesc_np|errorname_np)|bcmp|isal(num|pha)|isdigit"
    r"|inet_(ntop|pton)|nettle_sha256_(init|update|digest)|snprintf|abort|div|ldiv"
    # The JSON library's numbers; they read the locale, which agentbox never sets.
    r"|localeconv|strto(d|ll|ull)|__errno_location|__libc_single_threaded"
    r"|__(mem(cpy|move|set)_chk|snprintf_chk|assert_fail|stack_chk_fail|dso_handle|gxx_personality_v0|cxa_\w+"
    r"|u?(div|mod)ti3|dynamic_cast|clang_call_terminate)"
    r"|_GLOBAL_OFFSET_TABLE_|_Unwind_Resume|__(asan|ubsan|sanitizer|sancov|lsan)_\w+|__start___\w+|__stop___\w+)$")
# base::UniqueFd closes what it owns: that is all. The table of names serves all lanes of the gate at once.
EXCEPTIONS = {("base", "close"), ("gates_pure", "pthread_mutex_lock"), ("gates_pure", "pthread_mutex_unlock")}


def needed(library):
    """(mangled, readable) of what the library takes from outside of itself."""
    nm = subprocess.run(["nm", "--format=posix", library], capture_output=True, text=True, check=True).stdout
    wanted, defined = set(), set()
    for line in nm.splitlines():
        words = line.split()
        if len(words) >= 2 and len(words[1]) == 1:
            (wanted if words[1] in "Uwv" else defined).add(words[0])
    names = sorted(wanted - defined)
    readable = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True).stdout
    return zip(names, readable.splitlines())


def problems(room, library):
    for mangled, readable in needed(library):
        if (room, mangled) in EXCEPTIONS:
            continue
        harmless = not IMPURE_NAMES.search(readable) if mangled.startswith("_Z") else HARMLESS_C.match(mangled)
        if not harmless:
            yield f"{room} calls {readable}"


def main():
    failed = 0
    print(f"1..{len(sys.argv) - 1}")
    control = list(problems("control", sys.argv[1]))
    print("ok" if any("sendmsg" in problem for problem in control) else "not ok", "1 - a room that does I/O is found out")
    failed += not any("sendmsg" in problem for problem in control)
    for number, library in enumerate(sys.argv[2:], 2):
        room = pathlib.Path(library).stem.removeprefix("lib")
        found = list(problems(room, library))
        failed += bool(found)
        print("not ok" if found else "ok", number, f"- {room} does no I/O")
        for problem in found:
            print("#", problem)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
