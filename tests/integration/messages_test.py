"""agentbox send in a real room: real mail by msmtp to a real SMTP server, a stand-in for signal-cli, a daemon that is posted to.
What is free, what asks, and that nothing is on the wire before a yes. What the servers wrote down is all that counts."""

import contextlib
import email
import email.policy
import json
import os
import signal
import subprocess
import textwrap

from harness import Failed, agentbox_binary, expect, expect_equal, need_program, run_tests, test, wait_until
from mail_server import Daemon, Smtp
from processes import descendants
from terminal import Tmux

RULES = '''extends = ["default"]
[messages]
self = ["Owner <owner@Example.ORG>", "+1555010"]
allow = ["*@family.example"]
deny = ["press@example.net"]
'''


def send(to="owner@example.org", via="email", body="hello", more="", subject="a note"):
    named = f"--subject '{subject}'" if subject else ""
    return f"printf '%s' '{body}' | agentbox send --via {via} --to '{to}' {named} {more}"


def mail_profile(world, server, rules=RULES, name="mailer"):
    need_program("msmtp")
    settings = world.home / ".msmtprc"
    settings.write_text(f"account default\nhost 127.0.0.1\nport {server.port}\nfrom owner@example.org\nauth off\ntls off\n")
    settings.chmod(0o600)
    world.profile(name, f'{rules}[messages.email]\nsend = ["msmtp", "-t"]\n')
    return name


def room(world, script, options=(), name="mailer", **how):
    return world.agentbox("run", *options, name, "--", "sh", "-c", script, **how)


def open_questions(world):
    done = world.agentbox("approve", "--list", "--json")
    return [json.loads(line)["question"] for line in done.text.splitlines()]


def start_queued(world, script, name="mailer"):
    return world.start([agentbox_binary(), "run", "--on-ask=queue", name, "--", "sh", "-c", script])


def answer(world, question, *words):
    done = world.agentbox("approve", "--answer", question["id"], *words)
    expect_equal(done.code, 0, f"the answer {words}\n{done}")


def end(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out.decode(), err.decode()


def press_until(terminal, key, condition):
    """A key counts only some time after the end of what is asked was seen."""
    for _ in range(20):
        terminal.type(key)
        with contextlib.suppress(Failed):
            return wait_until(condition, f"what {key} does", timeout=2)
    raise Failed(f"{key} does nothing:\n{terminal.screen()}")


def facts_of(question, label):
    return [fact["value"] for fact in question["facts"] if fact["label"] == label]


def parsed(mail):
    sender, recipients, data = mail
    return sender, recipients, email.message_from_bytes(data, policy=email.policy.default)


def text_of(message):
    part = message.get_body() if message.is_multipart() else message
    return part.get_content().replace("\r\n", "\n")


@test("a mail to the owner himself goes without a question, through msmtp and SMTP, with what he wrote")
def to_self(world):
    with Smtp() as server:
        mail_profile(world, server)
        done = room(world, f"{send('Me <owner@EXAMPLE.org>', subject='done')} && {send(more='--to owner@example.org')}; echo $?")
        expect_equal(done.text.splitlines()[0], "sent email to Me <owner@EXAMPLE.org>", f"the first\n{done}")
        expect_equal(done.text.splitlines()[1], "126", f"the same recipient twice\n{done}")
        expect_equal(len(server.mails), 1, "mails")
        sender, recipients, message = parsed(server.mails[0])
        expect_equal((sender, recipients), ("owner@example.org", ["owner@example.org"]), "the envelope")
        expect_equal((message["To"], message["Subject"], text_of(message).rstrip("\n")), ("owner@example.org", "done", "hello"),
                     "the mail")
        log = [json.loads(line) for line in world.agentbox("log", "--kind", "message", "--json").text.splitlines()]
        expect_equal([one["what"] for one in log], ["request", "verdict", "outcome"], "the record")
        expect("sent: exit code 0" in json.dumps(log[-1]), "the outcome", log[-1])
        expect_equal(world.agentbox("log", "--verify").code, 0, "the chain")


@test("another recipient asks in the terminal, shown whole; a yes delivers every byte, a no leaves nothing on the wire")
def asked(world):
    body = "".join(f"line {number} \u00e9 = .\n" for number in range(60)) + ".\n..\nFrom here\n\ttab  \n\U0001f600 end"
    (world.workspace / "body").write_text(body)
    content = bytes(range(256)) * 300
    (world.workspace / "data.bin").write_bytes(content)
    with Smtp() as server, Tmux(world) as terminal:
        mail_profile(world, server)
        command = (f"{agentbox_binary()} run mailer -- sh -c \"agentbox send --via email --to 'Alice <alice@Example.NET>' "
                   "--subject 'caf\u00e9 at 12' --attach data.bin --why 'she asked' <body; echo code \\$?\"")
        terminal.line(command)
        screen = terminal.wait_for_keys("send a message by email")
        for text in ("alice@example.net", "Alice <alice@Example.NET>", "first time", "data.bin (76800 bytes)", "she asked"):
            expect(text in screen, text, screen)
        terminal.type("o")  # the end was not on the screen yet
        for _ in range(12):
            terminal.send("PageDown")
        terminal.wait_for_keys("\U0001f600 end")
        expect_equal(server.lines, [], "nothing is on the wire before the yes")
        press_until(terminal, "o", lambda: server.mails)
        terminal.wait_for("code 0")
        _, recipients, message = parsed(server.mails[0])
        expect_equal(recipients, ["alice@example.net"], "the envelope")
        expect_equal((message["To"], message["Subject"]), ("alice@example.net", "caf\u00e9 at 12"), "the headers")
        expect_equal(text_of(message), body, "the body, byte for byte")
        attachments = list(message.iter_attachments())
        expect_equal([(one.get_filename(), one.get_content()) for one in attachments], [("data.bin", content)], "attached")
        said = len(server.lines)
        expect(any("RCPT TO:<alice@example.net>" in line for line in server.lines), "the yes was heard", server.lines)
        terminal.line(command)
        terminal.wait_for_keys("send a message by email")
        terminal.type("d")
        terminal.wait_for("code 77")
        expect_equal((len(server.lines), len(server.mails)), (said, 1), "after a no")


@test("the question holds the raw recipient, every attachment with size and hash, and why; others hear nothing before")
def question(world):
    with Smtp() as server:
        mail_profile(world, server)
        (world.workspace / "a.txt").write_text("abc")
        process = start_queued(world, send("Boss <Boss@Example.net>", more="--attach a.txt --to mum@family.example --why because"))
        one = wait_until(lambda: open_questions(world), "a question")[0]
        expect_equal((one["kind"], one["title"], one["said"], one["content"]),
                     ("message", "send a message by email", "because", "hello"), "the question")
        expect_equal(one["subject"], "Boss@example.net, mum@family.example", "to whom")
        expect_equal((facts_of(one, "to"), facts_of(one, "written as"), facts_of(one, "subject")),
                     (["Boss@example.net", "mum@family.example"], ["Boss <Boss@Example.net>"], ["a note"]), "the facts")
        expect_equal(facts_of(one, "attached"), ["a.txt (3 bytes)"], "the attachment")
        expect("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" in facts_of(one, "sha-256"), "its hash", one)
        expect_equal(len(facts_of(one, "first time")), 2, "both are strangers")
        expect("0 of 20 messages used in the last hour, 20 left" in facts_of(one, "limit")[0], "the limit", one)
        expect_equal((one["session_scopes"], one["lasting_scopes"]), ([], []), "nothing can be remembered")
        expect_equal(server.lines, [], "the wire")
        answer(world, one, "--deny", "--comment", "not now")
        code, _, err = end(process)
        expect(code == 77 and "not now" in err, "the room is told", err)
        expect_equal(server.lines, [], "after the no")


@test("who is allowed by a rule is asked about the first time, and from then on free; a no changes nothing")
def first_time(world):
    with Smtp() as server:
        mail_profile(world, server)
        script = send("mum@family.example")
        done = world.agentbox("try", "mailer", "send", "mum@family.example")
        expect(done.code == 2 and "first time" in done.text, "try", done)
        for verdict, code in ((["--deny"], 77), (["--once"], 0)):
            process = start_queued(world, script)
            one = wait_until(lambda: open_questions(world), "a question")[0]
            expect_equal(facts_of(one, "first time"),
                         ["nothing was ever sent to mum@family.example by email from this profile"], "it says so")
            answer(world, one, *verdict)
            expect_equal(end(process)[0], code, "the room")
        expect_equal(room(world, script).code, 0, "known by now")
        expect_equal([mail[1] for mail in server.mails], [["mum@family.example"]] * 2, "the mails")
        expect_equal(world.agentbox("try", "mailer", "send", "Mum <mum@FAMILY.example>").code, 0, "try")
        # Somebody else of the same rule is not.
        done = room(world, send("dad@family.example"))
        expect(done.code == 75 and "nobody can be asked" in done.errors, "another one", done)
        expect_equal(len(server.mails), 2, "the mails")


@test("beyond the limit it asks, also to the owner himself; each recipient counts")
def limit(world):
    with Smtp() as server:
        mail_profile(world, server, RULES + 'limit = "3/hour"\n')
        done = room(world, f"for i in 1 2 3 4 5; do {send()}; echo $?; done; agentbox status")
        expect_equal([word for word in done.text.split() if word.isdigit() and len(word) < 3][:5], ["0", "0", "0", "75", "75"], done)
        expect("3 of 3 messages used in the last hour, none left" in done.text, "status", done)
        expect_equal(len(server.mails), 3, "the mails")
        rules = world.agentbox("rules").text
        expect("messages.limit 3/hour" in rules and "3 of 3 used in the last hour" in rules, "agentbox rules", rules)
        expect_equal(world.agentbox("try", "mailer", "send", "owner@example.org").code, 2, "try")
        mail_profile(world, server, RULES + 'limit = "3/hour"\n', name="other")
        expect_equal(room(world, send(), name="other").code, 0, "another profile has its own")


@test("recipients, subjects, names and bodies that would be more than they are: refused, and nothing is on the wire")
def hostile(world):
    with Smtp() as server:
        mail_profile(world, server)
        (world.workspace / "raw.py").write_text(textwrap.dedent('''\
            import array, fcntl, json, os, socket
            def ask(to="owner@example.org", subject="s", body=b"hello", names=(), seal=True, size=None, fds=1, contents=b""):
                memory = os.memfd_create("m", os.MFD_ALLOW_SEALING)
                os.write(memory, body + contents)
                if seal: fcntl.fcntl(memory, 1033, 1 | 2 | 4 | 8)
                params = {"via": "email", "to": to if isinstance(to, list) else [to], "subject": subject,
                          "body": len(body) if size is None else size}
                if names: params["attachments"] = [{"name": name, "size": len(contents) // len(names)} for name in names]
                line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "request.message", "params": params}).encode() + b"\\n"
                one = socket.socket(socket.AF_UNIX); one.connect("/run/agentbox/request.sock")
                one.sendmsg([line], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [memory] * fds))] if fds else [])
                heard = one.makefile()
                answer = json.loads(heard.readline())
                if "error" in answer: return "refused: " + answer["error"]["message"]
                if answer["result"]["verdict"] != "allow": return answer["result"]["verdict"]
                return json.loads(heard.readline())["params"]["outcome"]
            cases = json.load(open("cases.json"))
            for case in cases:
                for name in ("body", "contents"):
                    if name in case: case[name] = case[name].encode("latin-1")
                print(json.dumps(ask(**case)))
            '''))
        refused = [dict(to=text) for text in
                   ("-oQ/tmp", "--help", "owner@example.org\nBcc: evil@example.com", "owner@example.org\r\nX: y",
                    "owner@example.org, evil@example.com", "evil@example.com <owner@example.org>", "owner@example.org ",
                    "own\u200ber@example.org", "\u202egro.elpmaxe@renwo", "\u043ewner@example.org", "|cat@example.org",
                    "owner%evil.com@example.org", "\"a b\"@example.org", "owner@[127.0.0.1]", "+1555010", "{subject}")]
        refused += [dict(subject=text) for text in ("a\nBcc: evil@example.com", "a\r\nBcc: evil@example.com", "a\rb", "\u202eevil",
                                                    "a\u0085b", "a\u2028b", "\x1b[2J")]
        refused += [dict(body=text) for text in ("a\x1b[2Jb", "a\x00b", "\xff\xfe", "a\rb", "\x7f")]
        refused += [dict(names=[text], contents="x") for text in ("../../x", "a\nb: c", "a\"; x=\"y", ".bashrc", "-x", "\u202efdp.exe")]
        refused += [dict(seal=False), dict(size=4), dict(size=6), dict(fds=0), dict(fds=2), dict(to=["owner@example.org"] * 2)]
        fine = [dict(), dict(subject="=?UTF-8?B?Cg==?= \u00e9"), dict(names=["r\u00e9sum\u00e9.pdf"], contents="x"),
                dict(body="\r\n.\r\nQUIT\r\n\nBcc: evil@example.com\n\n.\n"), dict(subject="{to}"), dict(subject="-x")]
        (world.workspace / "cases.json").write_text(json.dumps(refused + fine))
        done = room(world, "exec /usr/bin/python3 raw.py", timeout=120)
        answers = [json.loads(line) for line in done.text.splitlines()]
        expect_equal(len(answers), len(refused) + len(fine), f"answers\n{done}")
        for case, got in zip(refused, answers):
            expect(got.startswith("refused: "), f"{case} is refused", got)
        expect_equal(answers[len(refused):], ["sent"] * len(fine), f"positive controls\n{done}")
        expect_equal([mail[1] for mail in server.mails], [["owner@example.org"]] * len(fine), "only the controls were sent")
        for mail in server.mails:
            headers = {name.lower() for name in parsed(mail)[2].keys()}
            expect(headers <= {"date", "to", "subject", "from", "auto-submitted", "mime-version", "content-type", "message-id",
                               "content-transfer-encoding", "received"}, "no header of the agent's", headers)
        subjects = [parsed(mail)[2]["Subject"] for mail in server.mails]
        expect_equal([subjects[1], subjects[4], subjects[5]], ["=?UTF-8?B?Cg==?= \u00e9", "{to}", "-x"], "subjects")
        expect_equal(text_of(parsed(server.mails[3])[2]), "\n.\nQUIT\n\nBcc: evil@example.com\n\n.\n", "a body of SMTP")
        names = [one.get_filename() for one in parsed(server.mails[2])[2].iter_attachments()]
        expect_equal(names, ["r\u00e9sum\u00e9.pdf"], "a name")


@test("denied is denied, in whatever spelling; without rule and owner nothing is sent")
def denied(world):
    with Smtp() as server:
        mail_profile(world, server)
        for who in ("press@example.net", "Press@example.net", "press+x@EXAMPLE.net", "P <press@example.net>"):
            done = room(world, send(who))
            expect(done.code == 77 and "press@example.net" in done.errors, who, done)
        expect_equal(room(world, send("nobody@example.com")).code, 75, "nobody to ask")
        expect_equal(room(world, send("owner+x@example.org")).code, 75, "a tag is somebody else")
        done = room(world, send("owner@example.org", via="pigeon"))
        expect(done.code == 77 and "'pigeon'" in done.errors and "'email'" in done.errors, "no such way", done)
        expect_equal(server.lines, [], "the wire")
        expect_equal(room(world, send()).code, 0, "control")
        done = room(world, send(), name="default")
        expect(done.code == 126 and "no message can be sent" in done.errors, "a profile without a way", done)


@test("with a delay it waits in sight, can be cancelled, and goes when the time is over")
def delayed(world):
    with Smtp() as server:
        mail_profile(world, server, RULES + 'delay = "3s"\n')
        process = start_queued(world, send(body="take it back"))
        question = wait_until(lambda: open_questions(world), "it waits")[0]
        expect_equal((question["stage"], question["phrase"] if "phrase" in question else ""), ("delayed", ""), "what waits")
        answer(world, question, "--deny", "--comment", "not today")
        _, out, err = end(process)
        expect("not today" in out + err, "the agent hears it", out, err)
        expect("allowed; it is sent in 3 seconds unless the owner takes it back" in err, "and what it waits for", err)
        expect("waiting for the owner's answer" not in err, "nobody is asked", err)
        expect("0 of 20 messages used in the last hour" in room(world, "agentbox status").text, "its count is back")
        done = room(world, send(body="let it go"))
        expect_equal(done.code, 0, f"sent\n{done}")
        expect("1 of 20 messages used in the last hour" in room(world, "agentbox status").text, "what is sent counts")
        expect_equal([text_of(parsed(mail)[2]).strip() for mail in server.mails], ["let it go"], "on the wire")


@test("what the program says of it: its exit code, and killed is unknown")
def outcomes(world):
    with Smtp(most=100) as server:
        mail_profile(world, server)
        done = room(world, send())
        expect_equal(server.mails, [], "the mailbox")
        expect(done.code == 1 and "not sent: email to owner@example.org" in done.errors and "code: " in done.errors, "refused", done)
    done = room(world, send())
    expect(done.code == 1 and "not sent" in done.errors, "no server", done)
    program = world.base / "kills"
    program.write_text("#!/bin/sh\nkill -9 $$\n")
    program.chmod(0o755)
    world.profile("mailer", f'{RULES}[messages.email]\nsend = ["{program}"]\n')
    done = room(world, send())
    expect(done.code == 75 and "nobody knows whether this was sent" in done.errors, "killed", done)
    log = world.agentbox("log", "--kind", "message", "--json").text.splitlines()
    expect("unknown: killed by signal 9" in log[-1], "the record", log[-1])


def kill(process):
    """All of it at once, by kill -9: agentbox, the room, and what it has started outside."""
    its = [process.pid, *descendants(process.pid)]
    others = set(descendants(os.getpid())) - set(its)
    for pid in its:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.communicate()
    wait_until(lambda: not set(descendants(os.getpid())) - others, "all are dead")


def logged(world, kind="message"):
    lines = world.agentbox("log", "--kind", kind, "--json").text.splitlines()
    return [one for one in map(json.loads, lines) if one["what"] == "outcome"]


@test("killed while a message is sent: the next look at the record says that nobody knows what became of it, once")
def killed(world):
    calls = world.base / "calls"
    program = world.base / "hangs"
    program.write_text(f"#!/bin/sh\necho >>{calls}\nexec sleep 1000\n")
    program.chmod(0o755)
    world.profile("mailer", f'{RULES}[messages.email]\nsend = ["{program}"]\n')
    process = world.start([agentbox_binary(), "run", "mailer", "--", "sh", "-c", f"{send()}; agentbox host -- true; sleep 1000"])
    wait_until(calls.exists, "it is being sent")
    expect_equal(logged(world), [], "while it lives nobody judges")
    kill(process)
    outcomes = logged(world)
    expect_equal([one["detail"]["outcome"] for one in outcomes],
                 ["unknown: agentbox was killed before it could say what became of it"], "the record")
    expect_equal(outcomes, logged(world), "another look adds nothing")
    table = world.agentbox("log").text
    expect("unknown" in table and "killed" in table and "agentbox was killed before" in table, "for people", table)
    expect_equal(world.agentbox("log", "--verify").code, 0, "the chain")
    expect_equal(len(calls.read_text().splitlines()), 1, "nothing sends it again")
    world.agentbox("doctor", "--sweep")


@test("killed while a message waits its delay: it is not sent, and the record says so")
def killed_waiting(world):
    with Smtp() as server:
        mail_profile(world, server, RULES + 'delay = "60s"\n')
        process = start_queued(world, send())
        wait_until(lambda: open_questions(world), "it waits")
        kill(process)
        expect_equal([one["detail"]["outcome"] for one in logged(world)],
                     ["not sent: agentbox was killed while it waited"], "the record")
        expect_equal(server.lines, [], "the wire")
    world.agentbox("doctor", "--sweep")


def signal_profile(world):
    folder = world.base / "signal"
    folder.mkdir(exist_ok=True)
    program, calls = folder / "signal-cli", folder / "calls"
    program.write_text(textwrap.dedent(f"""\
        #!/usr/bin/python3
        import json, sys
        with open({str(calls)!r}, "a") as file:
            file.write(json.dumps([sys.argv[1:], sys.stdin.read()]) + "\\n")
        """))
    program.chmod(0o755)
    world.profile("signaler", RULES + f'[messages.signal]\nsend = ["{program}", "-a", "+1555010", "send", '
                                      '"--message-from-stdin", "{to}"]\n')
    return lambda: [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []


@test("signal-cli gets its own arguments, the recipient as one more, and the text on its input")
def signal_cli(world):
    calls = signal_profile(world)
    body = "a \\$(id) `id`\n-x {to} \u00e9"
    done = room(world, send("+1 (555) 010", "signal", body.replace("\\$", "$"), subject=""), name="signaler")
    expect_equal(done.code, 0, f"the room\n{done}")
    expect_equal(calls(), [[["-a", "+1555010", "send", "--message-from-stdin", "+1555010"], "a $(id) `id`\n-x {to} \u00e9"]], "the call")
    for command, why in ((send("+1555010", "signal"), "has no subject"), (send("--all", "signal", subject=""), "begin with '-'"),
                         (send("-x", "signal", subject=""), "begin with '-'"),
                         (send("+1555010", "signal", more="--to +1555011", subject=""), "goes to one recipient"),
                         (send("+1555010", "signal", more="--attach /etc/hostname", subject=""), "takes no attachments")):
        done = room(world, command, name="signaler")
        expect(done.code == 126 and why in done.errors, why, done)
    expect_equal(room(world, send("+1555011", "signal", subject=""), name="signaler").code, 75, "somebody else")
    expect_equal(len(calls()), 1, "the calls")


@test("a daemon is posted JSON that only the broker sends; the room can't reach it, and what it answers is the outcome")
def posted(world):
    with Daemon() as server:
        way = f'[messages.home]\npost = "http://localhost:{server.port}/send?x=1"\n'
        world.profile("poster", RULES + way)
        (world.workspace / "b.bin").write_bytes(b"\x00\xff")
        done = room(world, send("+1555010", "home", "h\u00e9 \"}", "--to owner@example.org --attach b.bin"), name="poster")
        expect_equal(done.code, 0, f"the room\n{done}")
        path, headers, body = server.posts[0]
        expect_equal((path, headers["Content-Type"]), ("/send?x=1", "application/json"), "the request")
        expect_equal(body, {"to": ["+1555010", "owner@example.org"], "subject": "a note", "body": "h\u00e9 \"}",
                            "attachments": [{"name": "b.bin", "base64": "AP8="}]}, "the message")
        done = room(world, f"/usr/bin/python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {server.port}), 5)'",
                    name="poster")
        expect(done.code != 0, "the room can't reach it", done)
        expect("localhost" not in room(world, "agentbox status; cat /run/agentbox/SKILL.md", name="poster").text, "nor knows it")
        server.status = 503
        done = room(world, send("+1555010", "home"), name="poster")
        expect(done.code == 1 and "code: 503" in done.errors, "an error of the server's", done)
        server.status = None
        done = room(world, send("+1555010", "home"), name="poster")
        expect(done.code == 75 and "nobody knows" in done.errors, "no answer", done)
        expect_equal(len(server.posts), 3, "posts")
        world.profile("poster", RULES + f'[network]\nallow = ["localhost:{server.port}"]\n' + way)
        for command in (["explain", "poster"], ["run", "poster", "--", "true"]):
            done = world.agentbox(*command)
            expect(done.code in (1, 125) and "past every rule about messages" in done.errors, f"{command}", done)
    world.profile("poster", RULES + way)
    done = room(world, send("+1555010", "home"), name="poster")
    expect(done.code == 1 and "was not handed to" in done.errors, "nobody listens", done)


@test("the same message at the same time is sent once, and its twin is told so")
def twins(world):
    calls = signal_profile(world)
    (world.workspace / "twins.py").write_text(textwrap.dedent('''\
        import array, fcntl, json, os, socket
        def ask():
            memory = os.memfd_create("m", os.MFD_ALLOW_SEALING)
            os.write(memory, b"hi")
            fcntl.fcntl(memory, 1033, 1 | 2 | 4 | 8)
            params = {"via": "signal", "to": ["alice.01"], "body": 2}
            line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "request.message", "params": params}) + "\\n"
            line += json.dumps({"jsonrpc": "2.0", "id": 2, "method": "status"}) + "\\n"
            one = socket.socket(socket.AF_UNIX); one.connect("/run/agentbox/request.sock")
            one.sendmsg([line.encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [memory]))])
            heard = one.makefile()
            heard.readline()  # of status: so the message was taken
            return heard
        both = [ask(), ask()]
        open("asked", "w").close()
        print(sorted(json.loads(one.readline())["result"]["verdict"] for one in both))
        '''))
    process = start_queued(world, "exec /usr/bin/python3 twins.py", name="signaler")
    wait_until(lambda: (world.workspace / "asked").exists(), "both were asked")
    questions = open_questions(world)
    expect_equal(len(questions), 1, "one question")
    answer(world, questions[0], "--once")
    _, out, err = end(process)
    expect_equal(out, "['allow', 'duplicate']\n", err)
    expect_equal(len(calls()), 1, "sent once")


@test("try, explain and check say what is granted; a program that is missing, or the agent's to change, stops the launch")
def words(world):
    with Smtp() as server:
        mail_profile(world, server)
        for words, code, why in ((["owner@example.org"], 0, "the owner himself"), (["x@example.com"], 2, "default is to ask"),
                                 (["Press+x@example.net"], 1, "denies"), (["a@b@c"], 125, "one '@'"),
                                 (["owner@example.org", "pigeon"], 1, "no way to send called 'pigeon'"),
                                 (["+1555010", "email"], 1, "no mail address")):
            done = world.agentbox("try", "mailer", "send", *words)
            expect(done.code == code and why in done.text + done.errors, f"try {words}", done)
        done = world.agentbox("explain", "mailer")
        for text in ("Messages", "owner@example.org", "*@family.example", "20/hour", "msmtp -t reads the mail"):
            expect(text in done.text, text, done)
        seen = json.loads(world.agentbox("explain", "--json", "mailer").text)["messages"]
        expect_equal((seen["default"], seen["ways"][0]["format"], seen["limit"]["rule"]), ("ask", "mail", "20/hour"), "as JSON")
        done = room(world, "agentbox status; cat /run/agentbox/SKILL.md")
        expect("--via email: mail" in done.text and "# Sending a message" in done.text, "the room", done)
    for program, why in (("/no/such/program", "nothing could be sent"), (world.workspace / "send", "the agent can change it")):
        if program != "/no/such/program":
            program.write_text("#!/bin/sh\n")
            program.chmod(0o755)
        world.profile("mailer", f'{RULES}[messages.email]\nsend = ["{program}", "-t"]\n')
        done = room(world, "echo started")
        expect(done.code == 125 and why in done.errors and "started" not in done.text, str(program), done)


if __name__ == "__main__":
    run_tests()
