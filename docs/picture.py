#!/usr/bin/env python3
"""Draws docs/question.svg, docs/approve.svg and docs/demo.svg: what a person sees, taken from the real thing in a real
terminal. The last one moves: the screens of `agentbox demo`, one after the other.

A room runs in tmux, a full-screen program in it wants a command of the host, and the question comes; `tmux
capture-pane -e` gives the cells, and this script draws them. Nothing is drawn that was not on the screen.

usage: docs/picture.py AGENTBOX [FOLDER]      into FOLDER (docs/ unless told)

As root, with AGENTBOX_TEST_USER naming an ordinary user who runs agentbox: the picture's home folder is /home/alice, in
a mount namespace of this script's own, so that no name of this machine is in it.
"""

import os
import pathlib
import pwd
import re
import subprocess
import sys
import time
from xml.sax.saxutils import escape

ROOT = pathlib.Path(__file__).resolve().parents[1]
HOME = pathlib.Path("/home/alice")
WIDTH, HEIGHT, LIST_HEIGHT, DEMO_HEIGHT = 90, 26, 10, 38
SHOWN = 5  # seconds, each screen of the demo
QUIET = 1.0  # seconds: the question ignores keys for 700 ms, and says so

# ---- the cells of a screen -------------------------------------------------------------------------------------

# Sixteen colours that are readable on the dark background, which itself is told from GitHub's dark theme by its border.
BACKGROUND, TEXT, BORDER = "#161b22", "#d1d7e0", "#3d444d"
COLOURS = ["#2d333b", "#f47067", "#57ab5a", "#daaa3f", "#6cb6ff", "#c297ff", "#56d4dd", "#d1d7e0",
           "#768390", "#ff938a", "#6bc46d", "#f2cc60", "#96d0ff", "#dcbdfb", "#76e3ea", "#ffffff"]


def mix(colour, other, part):
    """`part` of the first, the rest of the second."""
    pairs = zip(bytes.fromhex(colour[1:]), bytes.fromhex(other[1:]))
    return "#" + "".join(f"{round(a * part + b * (1 - part)):02x}" for a, b in pairs)


class Style:
    def __init__(self):
        self.foreground = self.background = None
        self.bold = self.faint = self.reverse = self.underlined = False

    def change(self, parameters):
        numbers = [int(each) if each else 0 for each in parameters.split(";")]
        for number in numbers:
            if number == 0:
                self.__init__()
            elif number in (1, 2, 4, 7):
                setattr(self, {1: "bold", 2: "faint", 4: "underlined", 7: "reverse"}[number], True)
            elif number == 22:
                self.bold = self.faint = False
            elif number in (24, 27):
                setattr(self, {24: "underlined", 27: "reverse"}[number], False)
            elif 30 <= number <= 37 or 90 <= number <= 97:
                self.foreground = number % 10 + (8 if number >= 90 else 0)
            elif 40 <= number <= 47 or 100 <= number <= 107:
                self.background = number % 10 + (8 if number >= 100 else 0)
            elif number in (39, 49):
                setattr(self, {39: "foreground", 49: "background"}[number], None)
            else:
                sys.exit(f"picture.py: this script doesn't know SGR {number}")

    def drawn(self):
        """Colour of the text, of its background (None: the terminal's), weight, underline."""
        text = TEXT if self.foreground is None else COLOURS[self.foreground]
        behind = None if self.background is None else COLOURS[self.background]
        if self.reverse:
            text, behind = behind or BACKGROUND, text
            if self.faint:
                behind = mix(behind, BACKGROUND, 0.35)
        elif self.faint:
            text = mix(text, behind or BACKGROUND, 0.6)
        return text, behind, self.bold, self.underlined


def cells(screen):
    """Rows of (character, what Style.drawn says)."""
    rows, style = [], Style()
    for line in screen.split("\n"):
        row = []
        for sequence, character in re.findall(r"\x1b\[([0-9;]*)m|([^\x1b])", line):
            if character:
                row.append((character, style.drawn()))
            else:
                style.change(sequence)
        rows.append(row)
    return rows


# ---- as SVG ----------------------------------------------------------------------------------------------------

CELL, LINE, SIZE = 8.4, 18, 14
LEFT, TOP, TITLE = 14, 10, 30
# Lines of frames are drawn, not written: a font's own would leave gaps between the rows. From the middle of the cell
# to its edges (left, right, up, down), and the dashes.
FRAMES = {"─": ("lr", ""), "│": ("ud", ""), "┌": ("rd", ""), "┐": ("ld", ""), "└": ("ru", ""), "┘": ("lu", ""),
          "╭": ("rd", ""), "╮": ("ld", ""), "╰": ("ru", ""), "╯": ("lu", ""), "━": ("lr", "thick"),
          "╌": ("lr", "3 1.2"), "┆": ("ud", "3.6 2.4"), "┊": ("ud", "3.6 2.4")}


def frame(character, column, row):
    edges, _ = FRAMES[character]
    x, y = column * CELL + CELL / 2, row * LINE + LINE / 2
    ends = {"l": (x - CELL / 2, y), "r": (x + CELL / 2, y), "u": (x, y - LINE / 2), "d": (x, y + LINE / 2)}
    if character in "╭╮╰╯":
        (x1, y1), (x2, y2) = (ends[each] for each in edges)
        return f"M{x1:g} {y1:g}Q{x:g} {y:g} {x2:g} {y2:g}"
    if len(edges) == 2 and edges in ("lr", "ud"):
        (x1, y1), (x2, y2) = (ends[each] for each in edges)
        return f"M{x1:g} {y1:g}L{x2:g} {y2:g}"
    (x1, y1), (x2, y2) = (ends[each] for each in edges)
    return f"M{x1:g} {y1:g}L{x:g} {y:g}L{x2:g} {y2:g}"


def runs(row):
    """(first column, text, style) of neighbours that look alike."""
    found = []
    for column, (character, style) in enumerate(row):
        kind = character if character in FRAMES else "text"
        if found and found[-1][2] == style and found[-1][3] == kind:
            found[-1][1] += character
        else:
            found.append([column, character, style, kind])
    return found


def draw_row(row, number):
    behind, over = [], []
    for column, text, (colour, background, bold, underlined), kind in runs(row):
        x, y = column * CELL, number * LINE
        if background:
            behind.append(f'<rect x="{x:g}" y="{y:g}" width="{len(text) * CELL:g}" height="{LINE}" '
                          f'fill="{background}"/>')
        if kind != "text":
            path = "".join(frame(kind, column + at, number) for at in range(len(text)))
            dashes = FRAMES[kind][1]
            more = ' stroke-width="3"' if dashes == "thick" else f' stroke-dasharray="{dashes}"' if dashes else ""
            over.append(f'<path d="{path}" stroke="{colour}"{more}/>')
            continue
        more = ' font-weight="bold"' if bold else ""
        more += ' text-decoration="underline"' if underlined else ""
        # Word by word where blanks are many: a viewer may make one of them.
        for words in re.finditer(r"\S+(?: \S+)*", text):
            over.append(f'<text x="{x + words.start() * CELL:g}" y="{y + LINE - 5:g}" '
                        f'textLength="{len(words[0]) * CELL:g}" fill="{colour}"{more}>{escape(words[0])}</text>')
    return behind + over


def svg(screen, title, described):
    """One screen, or a list of them that are shown in turn."""
    screens = [cells(each) for each in ([screen] if isinstance(screen, str) else screen)]
    width, height = LEFT * 2 + WIDTH * CELL, TITLE + TOP * 2 + max(map(len, screens)) * LINE
    dots = "".join(f'<circle cx="{18 + 18 * at}" cy="{TITLE / 2 + 1:g}" r="5" fill="{BORDER}"/>' for at in range(3))
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
             f'viewBox="0 0 {width:g} {height:g}" role="img">',
             f"<title>{escape(described)}</title>",
             f'<rect x="0.5" y="0.5" width="{width - 1:g}" height="{height - 1:g}" rx="8" fill="{BACKGROUND}" '
             f'stroke="{BORDER}"/>',
             f'<path d="M0.5 {TITLE}H{width - 0.5:g}" stroke="{BORDER}"/>', dots,
             '<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,\'DejaVu Sans Mono\',\'Liberation Mono\','
             f'monospace" font-size="{SIZE}">',
             f'<text x="{width / 2:g}" y="{TITLE / 2 + 5:g}" text-anchor="middle" font-size="12" '
             f'fill="{COLOURS[8]}">{escape(title)}</text>',
             f'<g transform="translate({LEFT} {TITLE + TOP})" fill="none">']
    for turn, rows in enumerate(screens):
        lines.append(moving(turn, len(screens)) if len(screens) > 1 else "<g>")
        for number, row in enumerate(rows):
            lines += draw_row(row, number)
        lines.append("</g>")
    return "\n".join([*lines, "</g>", "</g>", "</svg>", ""])


def moving(turn, turns):
    """A group that is seen in its turn only; a viewer that knows no animation shows the first."""
    times = "0;" + ";".join(f"{at / turns:.4f}" for at in range(1, turns))
    values = ";".join("visible" if at == turn else "hidden" for at in range(turns))
    return (f'<g visibility="{"hidden" if turn else "visible"}"><animate attributeName="visibility" calcMode="discrete" '
            f'dur="{turns * SHOWN}s" repeatCount="indefinite" keyTimes="{times}" values="{values}"/>')

# ---- the scene -------------------------------------------------------------------------------------------------


PROFILES = {"pi": 'extends = ["default"]\n[commands]\nask = ["git push **"]\n',
            "research": 'extends = ["default"]\n[commands]\nask = ["cp **"]\n'}
PAGE = """# The garden

The shed needs a new roof before the winter.
Seeds are in the blue box; the beans go in first.

## To do

- publish the new page
- order the slates
"""
DEMO = ("agentbox demo: a table of 24 misdeeds, each done without a room and refused in one; then questions: a command of "
        "the machine, an interpreter, a host, a mail to a stranger, money beyond the limit")
WHY = "The page is finished and all its links work. I would like to publish it."


def as_alice(words, **how):
    return subprocess.run(words, check=True, cwd=HOME / "site", capture_output=True, text=True, **how)


def prepare():
    """A home of alice's: her profile, and a project with a remote."""
    site, profiles = HOME / "site", HOME / ".config/agentbox/profiles"
    for folder in (site, profiles, HOME / "run"):
        folder.mkdir(parents=True, mode=0o700)
    for name, text in PROFILES.items():
        (profiles / f"{name}.toml").write_text(text)
    (site / "notes.md").write_text("Beans, slates, a new roof.\n")
    (site / "garden.md").write_text(PAGE)
    for words in (["init", "-q", "-b", "main"], ["config", "user.name", "alice"],
                  ["config", "user.email", "alice@example.org"],
                  ["remote", "add", "origin", "https://git.example.org/alice/site.git"], ["add", "garden.md"],
                  ["commit", "-q", "-m", "The garden"]):
        as_alice(["git", *words])


class Terminal:
    def __init__(self, name, height=HEIGHT):
        self.name = name
        self("-f", "/dev/null", "new-session", "-d", "-x", str(WIDTH), "-y", str(height),
             "exec bash --noprofile --norc -i")
        self("set-option", "-g", "status", "off")
        self.wait_for("$")

    def __call__(self, *words):
        return as_alice(["tmux", "-u", "-S", str(HOME / "run" / self.name), *words]).stdout

    def screen(self):
        return self("capture-pane", "-e", "-p").rstrip("\n")

    def type(self, text):
        self("send-keys", "-l", text)

    def line(self, text):
        self.type(text)
        self("send-keys", "Enter")

    def wait_for(self, text):
        end = time.monotonic() + 30
        while text not in self("capture-pane", "-p"):
            if time.monotonic() > end:
                sys.exit(f"picture.py: waited in vain for {text!r}:\n{self('capture-pane', '-p')}")
            time.sleep(0.05)

    def wait_for_end(self, title, text):
        end = time.monotonic() + 30
        while not ((screen := self("capture-pane", "-p").rstrip()).endswith(text) and title in screen):
            if time.monotonic() > end:
                sys.exit(f"picture.py: waited in vain for {text!r} at the end:\n{self('capture-pane', '-p')}")
            time.sleep(0.05)

    def close(self):
        self("kill-server")


def ask_over_vim(terminal, agentbox):
    """vim in the room, and from within it the wish to push; the question comes over it."""
    terminal.line(f"{agentbox} run pi -- vim -u NONE -N garden.md")
    terminal.wait_for("The garden")
    terminal.line(f":call system('agentbox host --why \"{WHY}\" -- git push origin main >/dev/null 2>&1 &')")
    terminal.wait_for("git push origin main")
    time.sleep(QUIET)


def watch_demo(agentbox, folder):
    """`agentbox demo` from its table to its last question, every one answered with no."""
    terminal, screens = Terminal("demo", DEMO_HEIGHT), []

    terminal.line(f"PS1='$ '; agentbox() {{ {agentbox} \"$@\"; }}")
    terminal.line("agentbox demo")
    # The wishes in their order; the third is refused without a question. Every answer is no.
    wishes = ("run a command", "run a command", None, "run a command", "connect to a host", "send a message", "pay ")
    for number, wish in enumerate(wishes, 1):
        terminal.wait_for_end(f"{number} of 9", "Enter goes on, q leaves.")
        if not screens:
            # What has gone past first: the table is longer than the terminal.
            past = terminal("capture-pane", "-e", "-p", "-S", "-").split("\n")
            begin = next(at for at, line in enumerate(past) if line.endswith("$ agentbox demo"))
            screens += ["\n".join(past[begin:begin + DEMO_HEIGHT]), terminal.screen()]
        terminal("send-keys", "Enter")
        if wish:
            terminal.wait_for(f"agent wants to {wish}")
            time.sleep(QUIET)
            screens.append(terminal.screen())
            terminal.type("d")
    terminal.close()
    (folder / "demo.svg").write_text(svg(screens, "agentbox demo", DEMO))


def play(agentbox, folder):
    prepare()
    watch_demo(agentbox, folder)
    first, second, third = Terminal("first"), Terminal("second"), Terminal("third", LIST_HEIGHT)
    second.line(f"{agentbox} run research -- agentbox host --why 'The notes are complete.' -- "
                "cp notes.md /home/alice/notes/garden.md")
    second.wait_for("exactly this")
    ask_over_vim(first, agentbox)
    (folder / "question.svg").write_text(
        svg(first.screen(), "agentbox run pi", "A question of agentbox: pi wants to run git push origin main"))
    third.line(f"{agentbox} approve")
    third.wait_for("git push origin main")
    time.sleep(QUIET)
    (folder / "approve.svg").write_text(
        svg(third.screen(), "agentbox approve", "agentbox approve: the questions of all sessions in one list"))
    third.type("q")
    first.type("d")
    first.wait_for("The garden")
    second.type("d")
    for terminal in (first, second, third):
        terminal.close()


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    agentbox, folder = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "docs")
    user = os.environ.get("AGENTBOX_TEST_USER")
    if os.getuid() != 0 or not user:
        sys.exit("picture.py: it must start as root, with AGENTBOX_TEST_USER, to have a /home/alice of its own")
    if os.environ.get("PICTURE_STAGE") != "alone":
        os.execvpe("unshare", ["unshare", "--mount", "--propagation", "private", "/usr/bin/python3", __file__,
                               agentbox, str(folder.resolve())], {**os.environ, "PICTURE_STAGE": "alone"})
    owner = pwd.getpwnam(user)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/home"], check=True)
    HOME.mkdir(mode=0o700)
    os.chown(HOME, owner.pw_uid, owner.pw_gid)
    os.environ.clear()
    os.environ.update(HOME=str(HOME), USER="alice", LOGNAME="alice", SHELL="/bin/bash", LANG="C.UTF-8",
                      PATH="/usr/local/bin:/usr/bin:/bin", TERM="xterm-256color", XDG_RUNTIME_DIR=str(HOME / "run"),
                      AGENTBOX_PROFILES=str(ROOT / "profiles"), GIT_CONFIG_NOSYSTEM="1", PS1="$ ")
    drawn = HOME.parent / "drawn"
    drawn.mkdir()
    os.chown(drawn, owner.pw_uid, owner.pw_gid)
    child = os.fork()
    if child == 0:
        os.initgroups(user, owner.pw_gid)
        os.setgid(owner.pw_gid)
        os.setuid(owner.pw_uid)
        play(agentbox, drawn)
        os._exit(0)
    if os.waitpid(child, 0)[1] != 0:
        sys.exit(1)
    for picture in sorted(drawn.iterdir()):
        (folder / picture.name).write_text(picture.read_text())
        print(folder / picture.name)


if __name__ == "__main__":
    main()
