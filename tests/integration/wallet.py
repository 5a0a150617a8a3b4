"""A scripted wallet, and what tests of payments ask of agentbox."""

import json
import textwrap

from harness import agentbox_binary, expect_equal


class Wallet:
    """A payment program and its account."""

    def __init__(self, world, then="exit 0"):
        self.folder = world.base / "wallet"
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.program, self.account = self.folder / "pay", self.folder / "account"
        self.program.write_text(textwrap.dedent(f"""\
            #!/bin/sh
            for word in "$@"; do printf '<%s>' "$word" >>{self.account}; done
            echo >>{self.account}
            {then}
            """))
        self.program.chmod(0o755)

    def paid(self):
        return self.account.read_text().splitlines() if self.account.exists() else []


def pay(amount="12.50", to="alice", key="k1", memo="lunch", currency="USD", more=""):
    return f"agentbox pay --amount '{amount}' --currency {currency} --to '{to}' --key '{key}' --memo '{memo}' {more}"


def ledger(world, *words):
    done = world.agentbox("ledger", "--json", *words)
    expect_equal(done.code, 0, f"ledger\n{done}")
    return json.loads(done.text)


def open_questions(world):
    done = world.agentbox("approve", "--list", "--json")
    return [json.loads(line) for line in done.text.splitlines()]


def start_queued(world, script, name="payer", **env):
    return world.start([agentbox_binary(), "run", "--on-ask=queue", name, "--", "sh", "-c", script], env=world.env(**env))


def end(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out.decode(), err.decode()
