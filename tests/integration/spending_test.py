"""agentbox pay in a real room, with a scripted wallet outside: what is free, what asks, what is paid once, and what nobody
knows. The wallet writes down each call; nothing else tells whether money was spent."""

import json
import os
import pathlib
import signal
import subprocess
import textwrap

from harness import agentbox_binary, expect, expect_equal, run_tests, test, wait_until
from processes import descendants
from wallet import Wallet, end, ledger, pay, start_queued
from wallet import open_questions as open_lines

LIMITS = 'limit = "100 USD/day"\ncount = "20/day"\n'


def profile(world, wallet, limits=LIMITS, name="payer", argv='"{amount}", "{currency}", "{to}", "{memo}", "{key}"'):
    world.profile(name, f'extends = ["default"]\n[spending]\n{limits}[spending.pay]\n'
                        f'command = ["{wallet.program}", {argv}]\n')
    return name


def room(world, script, options=(), name="payer", **how):
    return world.agentbox("run", *options, name, "--", "sh", "-c", script, **how)


def open_questions(world):
    return [line["question"] for line in open_lines(world)]


@test("below the limit it is paid without a question, once for each key, and the ledger says so")
def free(world):
    wallet = Wallet(world)
    profile(world, wallet)
    done = room(world, f"{pay()} && {pay()} && {pay('40', 'bob', 'k2', '')}")
    expect_equal(done.code, 0, f"the room\n{done}")
    expect_equal(done.text.splitlines()[0], "paid 12.50 USD to alice", "the first")
    expect("nothing was paid now" in done.text.splitlines()[2], "the second says so", done)
    expect_equal(wallet.paid(), ["<12.50><USD><alice><lunch><k1>", "<40.00><USD><bob><><k2>"], "the account")
    seen = ledger(world)
    expect_equal([(one["state"], one["shown"], one["to"]) for one in seen["payments"]],
                 [("paid", "40.00 USD", "bob"), ("paid", "12.50 USD", "alice")], "the payments")
    limit = next(one for one in seen["budgets"] if one["name"] == "spending.limit")
    expect_equal((limit["used"], limit["reserved"], limit["left"], limit["limit"]), (5250, 0, 4750, 10000), "the limit")
    text = world.agentbox("ledger").text
    expect("52.50 of 100.00 USD used today, 47.50 left" in text and "today is " in text, "for people", text)
    rules = world.agentbox("rules").text
    expect("52.50 of 100.00 USD used today, 47.50 left" in rules, "agentbox rules", rules)
    log = world.agentbox("log", "--kind", "payment", "--json").text
    expect_equal([json.loads(line)["what"] for line in log.splitlines()],
                 ["request", "verdict", "outcome", "request", "verdict", "request", "verdict", "outcome"], "the record")
    expect_equal(world.agentbox("log", "--verify").code, 0, "the chain")
    # The same key in another session pays nothing either.
    done = room(world, pay())
    expect_equal((done.code, len(wallet.paid())), (0, 2), f"another session\n{done}")


@test("over the limit it asks; only a yes with the typed amount pays, a no pays nothing")
def over(world):
    wallet = Wallet(world)
    profile(world, wallet)
    expect_equal(room(world, pay("60", key="a")).code, 0, "the first is free")
    process = start_queued(world, f"{pay('60', key='b', more='--why tickets')}; echo code $?; {pay('60', key='c')}; echo code $?")
    question = wait_until(lambda: open_questions(world), "a question")[0]
    facts = {fact["label"]: fact["value"] for fact in question["facts"]}
    expect_equal((question["kind"], question["subject"], question["phrase"], question["said"]),
                 ("payment", "60.00 USD to alice", "60.00", "tickets"), "the question")
    expect(facts["limit"].startswith("60.00 of 100.00 USD used today, 40.00 left; it fits again at "), "the limit", facts)
    expect("payer.toml:3" in facts["limit"], "which line says so", facts)
    expect_equal((question["session_scopes"], question["lasting_scopes"]), ([], []), "nothing can be remembered")
    for words in (["--once"], ["--once", "--phrase", "60"], ["--session", "--phrase", "60.00"],
                  ["--always", "--phrase", "60.00"]):
        done = world.agentbox("approve", "--answer", question["id"], *words)
        expect(done.code == 1 and "not offered" in done.errors, f"{words} is not taken", done)
    expect_equal(len(wallet.paid()), 1, "nothing was paid yet")
    done = world.agentbox("approve", "--answer", question["id"], "--once", "--phrase", "60.00")
    expect_equal(done.code, 0, f"the yes\n{done}")
    question = wait_until(lambda: [one for one in open_questions(world) if one["id"] != question["id"]], "another")[0]
    done = world.agentbox("approve", "--answer", question["id"], "--deny", "--comment", "no more today")
    expect_equal(done.code, 0, f"the no\n{done}")
    code, out, err = end(process)
    expect_equal((code, out.splitlines()), (0, ["paid 60 USD to alice", "code 0", "code 77"]), err)
    expect("no more today" in err, "the comment", err)
    expect_equal(wallet.paid(), ["<60.00><USD><alice><lunch><a>", "<60.00><USD><alice><lunch><b>"], "the account")
    expect_equal(ledger(world)["budgets"][0]["left"], 0, "what a yes allowed counts, too")


@test("without anybody who could be asked, what is over the limit is not paid")
def nobody(world):
    wallet = Wallet(world)
    profile(world, wallet, 'limit = "100 USD/day"\nsingle = "25 USD"\n')
    done = room(world, f"{pay('25.00', key='a')}; echo $?; {pay('25.01', key='b')}; echo $?")
    expect_equal(done.text.splitlines(), ["paid 25.00 USD to alice", "0", "75"], done)
    expect("nobody can be asked" in done.errors, "the reason", done)
    expect_equal(len(wallet.paid()), 1, "the account")


@test("two sessions at once: the last of the limit is given once")
def race(world):
    wallet = Wallet(world)
    profile(world, wallet)
    script = "i=0; while [ $i -lt 8 ]; do " + pay("9.50", key="$1-$i").replace("'$1-$i'", '"$1-$i"') + "; i=$((i+1)); done"
    rooms = [world.start([agentbox_binary(), "run", "payer", "--", "sh", "-c", script, "sh", str(number)])
             for number in range(3)]
    for one in rooms:
        end(one)
    expect_equal(len(wallet.paid()), 10, "ten times 9.50 fit into 100")
    expect_equal(ledger(world)["budgets"][0]["used"], 9500, "the ledger")


@test("two sessions that pay 60 at the same time under a cap of 100: one is free, one asks")
def two_of_sixty(world):
    wallet = Wallet(world)
    profile(world, wallet, 'limit = "100 USD/day"\n')
    # Both stand at the line before either runs.
    script = "touch ready-{0}; until [ -e go ]; do sleep 0.01; done; " + "{1}; echo code $?"
    rooms = [start_queued(world, script.format(name, pay("60", key=name))) for name in "ab"]
    wait_until(lambda: all((world.workspace / f"ready-{name}").exists() for name in "ab"), "both are ready")
    (world.workspace / "go").touch()
    question = wait_until(lambda: open_questions(world), "one asks")[0]
    wait_until(lambda: len(wallet.paid()) == 1, "one is free")
    expect_equal((len(open_questions(world)), question["phrase"]), (1, "60.00"), "one question")
    facts = {fact["label"]: fact["value"] for fact in question["facts"]}
    # Reserved, where the wallet runs still.
    expect(facts["limit"].startswith("60.00 of 100.00 USD used today") and ", 40.00 left" in facts["limit"],
           "it counts the other's", facts)
    expect_equal(world.agentbox("approve", "--answer", question["id"], "--deny").code, 0, "no")
    expect_equal(sorted(end(room)[1].splitlines()[-1] for room in rooms), ["code 0", "code 77"], "the rooms")
    expect_equal((len(wallet.paid()), ledger(world)["budgets"][0]["left"]), (1, 4000), "the account and the ledger")


@test("what an agent might try: amounts, options, a long memo, a thousand small payments")
def attacks(world):
    wallet = Wallet(world)
    profile(world, wallet)
    for amount in ("1e3", "-5", "NaN", "1e309", "0", "0.005", "99999999999999999999", "5,00", " 5", "0x10"):
        done = room(world, pay(amount))
        expect_equal(done.code, 126, f"amount {amount!r}\n{done}")
        expect("not paid" in done.errors, "it says so", done)
    for words in (pay(to="--all"), pay(to="-x"), pay(memo="-m"), pay(key="-k"), pay(to="a\tb"), pay(currency="usd"),
                  pay(to="a\\b")):
        done = room(world, words)
        expect_equal(done.code, 126, f"{words}\n{done}")
    done = room(world, pay(currency="EUR"))
    expect(done.code == 77 and "pays in USD only" in done.errors, "another currency", done)
    done = room(world, pay(currency="XYZ"))
    expect(done.code in (77, 126) and "paid" in done.errors, "a currency that is none", done)
    done = room(world, 'agentbox pay --amount 1 --currency USD --to a --key k --memo "$(head -c 100000 /dev/zero | tr "\\0" x)"')
    expect(done.code == 2 and "--memo: at most 140 bytes" in done.errors, "a long memo", done)
    # Past our own program: the bytes themselves.
    raw = textwrap.dedent("""\
        import json, socket
        def say(**params):
            line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "request.payment", "params": params}).encode() + b"\\n"
            one = socket.socket(socket.AF_UNIX); one.connect("/run/agentbox/request.sock")
            try: one.sendall(line)
            except OSError: pass
            try: return one.makefile().readline()[:200].rstrip()
            except OSError: return "closed"
        good = dict(amount="1", currency="USD", to="a", key="k")
        print(say(**{**good, "memo": "x" * 1000000}))
        print(say(**{**good, "memo": "x" * 141}))
        print(say(**{**good, "amount": 1}))
        print(say(**{**good, "to": "a\\nb"}))
        """)
    done = room(world, "exec /usr/bin/python3 -", stdin=subprocess.PIPE, input=raw.encode())
    expect_equal(done.code, 0, f"raw\n{done}")
    expect(all('"error"' in line or line == "closed" for line in done.text.splitlines()), "all refused", done)
    expect_equal(len(done.text.splitlines()), 4, f"four answers\n{done}")
    expect_equal(wallet.paid(), [], "so far nothing was paid")
    done = room(world, "i=0; while [ $i -lt 1000 ]; do agentbox pay --amount 0.01 --currency USD --to a --key k$i "
                       ">/dev/null 2>&1; i=$((i+1)); done", timeout=300)
    expect_equal((done.code, len(wallet.paid())), (0, 20), f"a thousand\n{done}")


@test("a killed wallet leaves the payment reserved, until the owner settles it")
def unknown(world):
    wallet = Wallet(world, "kill -9 $$")
    profile(world, wallet)
    done = room(world, f"{pay('60')}; echo $?; {pay('60')}; echo $?; {pay('60', key='other')}; echo $?")
    expect_equal(done.text.split(), ["75", "75", "75"], done)
    expect("nobody knows whether this was paid" in done.errors, "the room is told", done)
    expect_equal(len(wallet.paid()), 1, "tried once")
    seen = ledger(world)
    expect_equal((seen["payments"][0]["state"], seen["budgets"][0]["used"], seen["budgets"][0]["reserved"]),
                 ("unknown", 6000, 6000), "it counts")
    text = world.agentbox("ledger").text
    expect("1 payment stays reserved until you say what became of it" in text, "for people", text)
    number = str(seen["payments"][0]["id"])
    for words in (["settle"], ["settle", number], ["settle", number, "--paid", "--not-paid"], ["--paid"]):
        expect_equal(world.agentbox("ledger", *words).code, 2, f"ledger {words}")
    done = world.agentbox("ledger", "settle", number, "--not-paid")
    expect_equal(done.code, 0, f"settle\n{done}")
    expect_equal(world.agentbox("ledger", "settle", number, "--paid").code, 1, "only once")
    expect_equal(world.agentbox("ledger", "settle", "99", "--paid").code, 1, "another one")
    expect_equal(ledger(world)["budgets"][0]["used"], 0, "its amount is free again")
    expect_equal(world.agentbox("log", "--verify").code, 0, "the chain")
    Wallet(world)
    done = room(world, pay("60"))
    expect_equal((done.code, len(wallet.paid())), (0, 2), f"and the key\n{done}")


@test("agentbox killed while the wallet runs: reserved, not paid again, and listed for the owner")
def killed(world):
    wallet = Wallet(world, "exec sleep 1000")
    profile(world, wallet)
    process = world.start([agentbox_binary(), "run", "payer", "--", "sh", "-c", pay("60")])
    wait_until(lambda: wallet.paid(), "the wallet runs")
    done = world.agentbox("ledger", "settle", "1", "--paid")
    expect(done.code == 1 and "is being made by the session" in done.errors, "not while it runs", done)
    for pid in [process.pid, *descendants(process.pid)]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.communicate()
    wait_until(lambda: not descendants(os.getpid()), "all are dead")
    seen = ledger(world)
    expect_equal([(one["state"], one["key"]) for one in seen["payments"]], [("reserved", "k1")], "the ledger")
    expect("interrupted" in world.agentbox("ledger").text, "for people")
    Wallet(world)
    done = room(world, f"{pay('60')}; echo $?; {pay('60', key='b')}; echo $?")
    expect_equal(done.text.split(), ["75", "75"], done)
    expect_equal(len(wallet.paid()), 1, "the account")
    expect_equal(world.agentbox("ledger", "settle", "1", "--paid").code, 0, "settled")
    done = room(world, pay("60"))
    expect(done.code == 0 and "nothing was paid now" in done.text, "it is paid, now as before", done)
    expect_equal(len(wallet.paid()), 1, "the account")


@test("a payment that is being made when the room ends is waited for")
def waits(world):
    wallet = Wallet(world, "sleep 1; echo done >>$0.done")
    profile(world, wallet)
    done = room(world, f"{pay()} & while ! test -s /proc/self/nothing; do sleep 0.3; exit 0; done")
    expect_equal(done.code, 0, f"the room\n{done}")
    states = [one["state"] for one in ledger(world)["payments"]]
    expect(states in ([], ["paid"]), "never half", states)
    if states:
        expect(pathlib.Path(f"{wallet.program}.done").exists(), "the wallet has ended")


@test("a full disk before the payment: not paid")
def full(world):
    wallet = Wallet(world)
    profile(world, wallet)
    state = world.home / ".local" / "state" / "agentbox"
    expect_equal(room(world, pay("1", key="first")).code, 0, "there is a record")
    # As good as full: nothing can be written any more.
    for file in state.glob("agentbox.db*"):
        file.chmod(0o400)
    done = room(world, f"{pay('1', key='second')}; echo $?")
    for file in state.glob("agentbox.db*"):
        file.chmod(0o600)
    expect_equal((done.text.split(), len(wallet.paid())), (["75"], 1), done)
    expect("it can't be recorded" in done.errors or "can't be read" in done.errors, "the reason", done)


@test("a day in another time zone, and a clock that the ledger has seen later")
def days(world):
    wallet = Wallet(world)
    profile(world, wallet)
    expect_equal(room(world, pay("60")).code, 0, "paid")
    for zone in ("Asia/Tokyo", "America/Los_Angeles", "UTC"):
        done = world.agentbox("ledger", "--json", env=world.env(TZ=zone))
        day = json.loads(done.text)["day"]
        local = subprocess.run(["date", "-d", day["begins"], "+%H:%M"], env={"TZ": zone}, capture_output=True, text=True)
        expect_equal(local.stdout.strip(), "00:00", f"midnight in {zone}: {day}")
    done = world.agentbox("ledger", "clock")
    expect(done.code == 1 and "not ahead" in done.errors, "nothing to take back", done)


@test("try, explain, check and status say what is granted")
def words(world):
    wallet = Wallet(world)
    profile(world, wallet, 'limit = "100 USD/day"\nsingle = "25 USD"\nper_recipient = "40 USD/day"\n')
    for amount, code, why in ((["12.50"], 0, "100 USD/day"), (["12.50", "USD"], 0, ""), (["25.01"], 2, "25 USD"),
                              (["5", "EUR"], 1, "USD only"), (["1e3"], 125, "is no amount"), (["-5"], 125, "")):
        done = world.agentbox("try", "payer", "pay", *amount)
        expect_equal(done.code, code, f"try {amount}\n{done}")
        expect(why in done.text + done.errors, why, done)
    for key in "abcd":
        expect_equal(room(world, pay("24", to=f"to-{key}", key=key)).code, 0, "paid")
    done = world.agentbox("try", "payer", "pay", "12.50")
    expect(done.code == 2 and "96.00 of 100.00 USD used today, 4.00 left" in done.text, "the ledger counts", done)
    done = world.agentbox("explain", "payer")
    expect("Payments" in done.text and "100 USD/day" in done.text and "40 USD/day" in done.text, "explain", done)
    expect("20/day" in done.text, "the default count", done)
    expect_equal(json.loads(world.agentbox("explain", "--json", "payer").text)["spending"]["limit"]["rule"],
                 "100 USD/day", "as JSON")
    done = room(world, "agentbox status; cat /run/agentbox/SKILL.md")
    expect("96.00 of 100.00 USD used today, 4.00 left" in done.text, "status", done)
    expect("agentbox pay --amount" in done.text, "the skill", done)
    done = room(world, "cat /run/agentbox/SKILL.md; agentbox pay --amount 1 --currency USD --to a --key k; echo $?",
                name="default")
    expect("# Paying" not in done.text and done.text.endswith("126\n"), "a room that pays nothing", done)


@test("a wallet that is missing, or that the agent could change, stops the launch")
def program(world):
    wallet = Wallet(world)
    wallet.program.unlink()
    profile(world, wallet)
    done = room(world, "echo started")
    expect(done.code == 125 and "nothing could be paid" in done.errors and "started" not in done.text, "missing", done)
    inside = world.workspace / "pay"
    inside.write_text("#!/bin/sh\nexit 0\n")
    inside.chmod(0o755)
    world.profile("payer", f'extends = ["default"]\n[spending]\n{LIMITS}[spending.pay]\ncommand = ["{inside}"]\n')
    done = room(world, "echo started")
    expect(done.code == 125 and "the agent can change it" in done.errors, "in the workspace", done)
    world.profile("payer", '[spending]\nlimit = "1 USD/day"\n[spending.pay]\ncommand = ["/bin/pay", "--to={to}"]\n')
    done = world.agentbox("check", "payer")
    expect(done.code == 1 and "{to} must be an argument of its own" in done.errors + done.text, "check", done)


if __name__ == "__main__":
    run_tests()
