#!/usr/bin/env python3
"""Writes agentbox-security(7) from SECURITY.md, so that the two can't say different things. Runs at build time only.

usage: security_page.py SECURITY.md

It knows the Markdown that SECURITY.md uses: headings, paragraphs, lists with further lines indented, **strong** and
`code`. Anything else is an error here, not a page that reads oddly.
"""

import re
import sys

HEAD = r""".\" Made by security_page.py from SECURITY.md.
.Dd November 22, 2026
.Dt AGENTBOX-SECURITY 7
.Os
.Sh NAME
.Nm agentbox-security
.Nd what agentbox promises, what it doesn't, and whom it trusts"""
TAIL = r""".Sh SEE ALSO
.Xr agentbox 1 ,
.Xr bwrap 1 ,
.Xr agentbox-profile 5 ,
.Xr agentbox-broker 7 ,
.Xr namespaces 7 ,
.Xr user_namespaces 7"""


def inline(text):
    """One line of text in roff: nothing in it is a request, and `code` and **strong** are bold."""
    text = text.replace("\\", "\\e").replace("-", "\\-" if text.startswith("-") else "-")
    for wrong in ("](", "![", "<http", "~~"):
        if wrong in text:
            sys.exit(f"security_page.py: no rule for {wrong!r} in: {text}")
    text = re.sub(r"\*\*(.+?)\*\*", r"\\fB\1\\fR", text)
    text = re.sub(r"`(.+?)`", r"\\fB\1\\fR", text)
    if "**" in text or "`" in text:
        sys.exit(f"security_page.py: a mark is not closed in: {text}")
    return "\\&" + text if text[:1] in (".", "'") else text


def sentences(paragraph):
    """Each on a line of its own, as mdoc(7) wants it."""
    return [inline(each) for each in re.split(r"(?<=[.?!]) (?=[A-Z*`])|(?<=[.?!]\)) (?=[A-Z])", " ".join(paragraph))]


def blocks(lines):
    """(kind, lines) of each paragraph: heading, item, more (of an item), text."""
    kind, found = None, []
    for line in lines + [""]:
        if not line.strip():
            if found:
                yield kind, found
            kind, found = None, []
            continue
        if line.startswith(("#", "- ")) and found:
            yield kind, found
            found = []
        if not found:
            kind = "heading" if line.startswith("#") else "item" if line.startswith("- ") else \
                "more" if line.startswith("  ") else "text"
        elif kind == "item" and not line.startswith("  "):
            sys.exit(f"security_page.py: not indented as its item is: {line}")
        found.append(line.strip().removeprefix("- ") if kind == "item" else line.strip())


def page(text):
    out, in_list, first = [HEAD], False, True
    for kind, lines in blocks(text.splitlines()):
        if in_list and kind in ("heading", "text"):
            out.append(".El")
            in_list = False
        if kind == "heading":
            level, _, title = lines[0].partition(" ")
            if level == "#":
                continue  # the page has its own name
            out.append((".Sh " if level == "##" else ".Ss ") + inline(title.upper() if level == "##" else title))
            first = True
            continue
        if kind == "item":
            if not in_list:
                out.append(".Bl -bullet -offset 2n")
            in_list = True
            out.append(".It")
        elif not first:
            out.append(".Pp")
        out += sentences(lines)
        first = False
    if in_list:
        out.append(".El")
    return "\n".join([*out, TAIL, ""])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as source:
        sys.stdout.write(page(source.read()))
