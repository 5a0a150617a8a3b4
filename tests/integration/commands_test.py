"""ps, stop, --status-fd, explain, check, doctor and demo, beside running rooms."""

import contextlib
import json
import os

from harness import agentbox_binary, difference, expect, expect_equal, run_tests, snapshot, test, wait_until
from processes import descendants


def start_room(world, *options, profile="default"):
    process = world.start([agentbox_binary(), "run", *options, profile, "--", "sh", "-c", "echo up; exec sleep 1000"])
    expect_equal(process.stdout.readline(), b"up\n", "the room is up")
    return process


@test("ps lists the rooms, and none when there is none")
def ps(world):
    empty = world.agentbox("ps")
    expect_equal(empty.code, 0, f"ps\n{empty}")
    expect_equal(json.loads(world.agentbox("ps", "--json").text), [], "no rooms")
    rooms = [start_room(world), start_room(world)]
    listed = json.loads(world.agentbox("ps", "--json").text)
    expect_equal(sorted(room["pid"] for room in listed), sorted(room.pid for room in rooms), "pids")
    expect_equal({room["profile"] for room in listed}, {"default"}, "profiles")
    text = world.agentbox("ps").text
    expect(str(world.workspace) in text and all(room["session"] in text for room in listed), "the table", text)
    for room in rooms:
        room.terminate()
        room.communicate(timeout=30)
    expect_equal(json.loads(world.agentbox("ps", "--json").text), [], "afterwards")


@test("stop ends one room, and leaves the other alone")
def stop(world):
    first, second = start_room(world), start_room(world)
    names = {room["pid"]: room["session"] for room in json.loads(world.agentbox("ps", "--json").text)}
    done = world.agentbox("stop", names[first.pid])
    expect_equal(done.code, 0, f"stop\n{done}")
    first.communicate(timeout=30)
    expect_equal(first.returncode, 143, "the stopped room's exit code")
    expect_equal(second.poll(), None, "the other one runs")
    wrong = world.agentbox("stop", "no-such-room")
    expect(wrong.code != 0 and wrong.errors.count("error:") == 1, "an unknown one", wrong)
    done = world.agentbox("stop", "--all")
    expect_equal(done.code, 0, f"stop --all\n{done}")
    second.communicate(timeout=30)
    expect_equal(second.returncode, 143, "the other one's exit code")


@test("a room that was killed is no longer listed")
def dead(world):
    room = start_room(world)
    for pid in [room.pid, *descendants(room.pid)]:
        with contextlib.suppress(ProcessLookupError):  # the death of one takes others along
            os.kill(pid, 9)
    room.communicate()
    wait_until(lambda: not descendants(os.getpid()), "all are dead")
    expect_equal(json.loads(world.agentbox("ps", "--json").text), [], "rooms")


@test("--status-fd tells of the run's stages, one JSON object a line")
def status(world):
    read, write = os.pipe()
    process = world.start([agentbox_binary(), "run", "--status-fd", str(write), "default", "--", "sh", "-c", "exit 7"],
                          pass_fds=[write])
    os.close(write)
    process.communicate(timeout=60)
    with os.fdopen(read) as stream:
        events = [json.loads(line) for line in stream]
    expect_equal(process.returncode, 7, "exit code")
    expect(len(events) >= 2, "a start and an end", events)
    expect(any(event.get("exit_code", event.get("code")) == 7 for event in events), "the end says 7", events)


@test("explain, check and profiles start nothing and change nothing")
def pure(world):
    world.run(["git", "init", "-q"])
    before = snapshot(world.base)
    for words in (["explain", "default"], ["explain", "--bwrap", "default"], ["explain", "--seccomp", "default"],
                  ["explain", "--json", "default"], ["check", "default"], ["profiles"], ["profiles", "--json"],
                  ["explain", "pi"], ["check", "pi"], ["explain", "shell"]):
        done = world.agentbox(*words)
        expect(done.code == 0 and done.text and not done.errors, f"{words}", done)
        if "--json" in words:
            json.loads(done.text)
    expect_equal(difference(before, snapshot(world.base)), [], "files")


@test("check shows every error of a profile at once and ends with 1")
def check(world):
    path = world.profile("p", '[flies]\nread = []\n[network]\nalow = []\n')
    for name in ("p", str(path)):
        done = world.agentbox("check", name)
        expect(done.code == 1 and done.errors.count("error:") + done.text.count("error:") == 2, name, done)


@test("check refuses what run refuses everywhere, and warns of what it refuses here")
def check_as_run(world):
    for text, words in (('[files]\nask = ["~/x"]', "[files] ask is not built yet"),
                        ('[files]\ndeletes = "20/session"', "[files] deletes is not built yet"),
                        ('[workspace]\nmode = "review"', "is not built yet"),
                        ('[files]\nread = ["/etc"]', "'/etc' can't be granted: it is /etc"),
                        ('[files]\nwrite = ["~"]', "can't be granted: it is your home directory")):
        world.profile("p", 'extends = ["default"]\n' + text + "\n")
        done, ran = world.agentbox("check", "p"), world.agentbox("run", "p", "--", "true")
        expect(done.code == 1 and words in done.errors and done.errors.count("error:") == 1, text, done)
        expect(ran.code == 125 and words in ran.errors, "control: run says the same", ran)
    for text, words in (('[files]\nwrite = ["~/not-there"]', "so that it can't be made writable"),
                        ('[messages.email]\nsend = ["no-such-mailer", "-t"]', "nothing could be sent by 'email': ")):
        world.profile("p", 'extends = ["default"]\n' + text + "\n")
        done, ran = world.agentbox("check", "p"), world.agentbox("run", "p", "--", "true")
        expect(done.code == 0 and "on this machine `agentbox run` would refuse: " in done.errors, text, done)
        expect(words in done.errors and ran.code == 125 and words in ran.errors, "the same words", done, ran)
        answer = json.loads(world.agentbox("check", "--json", "p").text)
        expect(answer["ok"] and len(answer["here"]) == 1 and not answer["errors"], "JSON", answer)
    world.profile("p", 'extends = ["default"]\n[files]\nwrite = ["${workspace}/not-there"]\n')
    expect_equal(world.agentbox("check", "p").errors, "", "what is in a workspace is the workspace's matter")


@test("a profile that protects nothing says so, and stays allowed")
def check_unprotected(world):
    words = "note: nothing in the workspace is protected: no profile here extends 'base'"
    world.profile("bare", "")
    world.profile("safe", 'extends = ["base"]\n')
    for name, said in (("bare", True), ("safe", False)):
        checked, ran = world.agentbox("check", name), world.agentbox("run", name, "--", "true")
        expect(checked.code == 0 and (words in checked.errors) == said, name, checked)
        expect(ran.code == 0 and (words in ran.errors) == said, name, ran)
        expect(("nothing in the workspace is protected" in world.agentbox("explain", name).text) == said, name)


@test("a program that the room doesn't have is told where it is, or that it is nowhere")
def missing_program(world):
    folder = world.home / "tools"
    folder.mkdir()
    tool = folder / "zork"
    tool.write_text("#!/bin/sh\necho ran\n")
    tool.chmod(0o755)
    path = world.env(PATH=f"{folder}:/usr/bin:/bin")
    for words, env, said in (
            (["no-such-zork"], None, "no-such-zork is not installed: no folder of your $PATH has it"),
            (["zork"], path, "zork is at ~/tools/zork, which the room doesn't hold\n"
                             "hint: [files] read = [\"~/tools\"] in a profile grants it"),
            ([str(tool)], None, "zork is at ~/tools/zork, which the room doesn't hold")):
        for command in (["run", "default", "--"], ["explain", "default", "--"]):
            done = world.agentbox(*command, *words, env=env or world.env())
            told = done.errors if command[0] == "run" else done.text.replace("; [files]", "\nhint: [files]")
            expect(said in told and done.code == (127 if command[0] == "run" else 0), said, done)
    done = world.agentbox("run", "default", "--read", str(folder), "--", "zork")
    expect(done.code == 127 and "~/tools/zork is in the room, but ~/tools is not in its PATH" in done.errors, "PATH", done)
    done = world.agentbox("run", "default", "--read", str(folder), "--", "zork", env=path)
    expect_equal((done.code, done.text), (0, "ran\n"), "control: granted and in the PATH")


TRIED = """
extends = ["default"]
[files]
read = ["~/notes"]
ask = ["~/Documents"]
[network]
allow = ["localhost:8080"]
ask = ["*.example.org"]
deny = ["ads.example.org"]
default = "deny"
[commands]
allow = ["notify-send **"]
ask = ["git push **", "make **"]
deny = ["git push evil **"]
[messages.email]
send = ["sendmail", "-t"]
[spending]
limit = "100 USD/day"
"""


@test("try says what is allowed, denied and asked, and by which line, of a profile that can't be run yet")
def try_actions(world):
    profile = world.profile("p", TRIED)
    (world.home / "notes").mkdir()
    (world.workspace / "link").symlink_to("/usr/bin/env")
    before = snapshot(world.base)
    for code, words, part in (
            (0, ["connect", "localhost:8080"], "'localhost:8080' allows it"),
            (0, ["connect", "[::1]:8080"], "'localhost:8080' allows it"),
            (2, ["connect", "WWW.example.org:443"], "'*.example.org' asks"),
            (1, ["connect", "ads.example.org:443"], "'ads.example.org' denies it"),
            (1, ["connect", "example.com:443"], "no rule of the profile allows it"),
            (0, ["read", "/usr/bin/env"], "the system can be read"),
            (0, ["read", "link"], "the system can be read"),
            (0, ["read", "~/notes/a"], "the profile grants it"),
            (1, ["write", "~/notes/a"], "granted for reading only"),
            (0, ["write", "file"], "it lies in the workspace"),
            (1, ["write", ".envrc"], "quarantine"),
            (2, ["write", "AGENTS.md"], "kept only after your yes"),
            (1, ["read", "~/.ssh/id_ed25519"], "nothing of yours is in it"),
            (0, ["command", "notify-send", "hi"], "'notify-send **' allows it"),
            (2, ["command", "git", "push", "origin", "main"], "'git push **' asks"),
            (2, ["command", "--", "make"], "'make **' asks"),
            (1, ["command", "git", "push", "--receive-pack=x"], "match no option"),
            (1, ["command", "git", "-c", "a=b", "push", "evil"], "'git push evil **' denies it"),
            (1, ["command", "sh", "-c", "x"], "no rule of the profile allows it"),
            (2, ["send", "bob@example.org"], "first time"),
            (1, ["pay", "12.50", "USD"], "no way to pay")):
        done = world.agentbox("try", str(profile), *words)
        expect(done.code == code and part in done.text and not done.errors, f"try {words}: {code}", done)
    text = world.agentbox("try", str(profile), "connect", "ads.example.org:443").text
    expect(f"{profile}:9:9: deny = [" in text, "the line", text)
    answer = json.loads(world.agentbox("try", "--json", str(profile), "command", "git", "push", "--json").text)
    expect_equal((answer["decision"], answer["kind"], answer["action"]), ("deny", "command", "git push --json"), "JSON")
    expect_equal(difference(before, snapshot(world.base)), [], "files")


@test("try ends with 125 where it has no answer")
def try_errors(world):
    profile = world.profile("p", TRIED)
    for words in (["connect", "10.0.0.0/8"], ["connect", "*.example.org:443"], ["connect", "x y:1"], ["pay", "-5", "USD"],
                  ["pay", "5", "XXX"], ["fly", "away"], []):
        done = world.agentbox("try", str(profile), *words)
        expect(done.code == 125 and done.errors.count("error:") == 1 and not done.text, f"try {words}", done)
    broken = world.profile("q", "[network]\nalow = []\n")
    expect_equal(world.agentbox("try", str(broken), "read", "/").code, 125, "a broken profile")


@test("try takes a host without a port for the web's two, and says of a quoted command that it is one word")
def try_web(world):
    profile = world.profile("p", '[network]\nallow = ["docs.example", "half.example:443"]\n[commands]\nask = ["git push **"]\n')
    for host, said in (("docs.example", "  port 80: the same\n"), ("half.example", "  port 80: deny, ")):
        done = world.agentbox("try", str(profile), "connect", host)
        expect(done.code == 0 and f"allow: connect {host}:443\n" in done.text and said in done.text, host, done)
    done = world.agentbox("try", str(profile), "command", "git push origin HEAD")
    expect(done.code == 1 and "  this is one word, the name of a program: without the quotes, try " in done.text, "word", done)


@test("every shipped profile passes check")
def shipped(world):
    listed = json.loads(world.agentbox("profiles", "--json").text)
    names = [entry["name"] for entry in listed]
    expect({"base", "default", "shell", "node", "python", "git", "pi"} <= set(names), "shipped profiles", names)
    for name in names:
        done = world.agentbox("check", name)
        expect_equal(done.code, 0, f"check {name}\n{done}")


@test("explain names what a room sees: what it says is there is there")
def explained(world):
    (world.workspace / "file").write_text("x")
    facts = json.loads(world.agentbox("explain", "--json", "default").text)
    expect(facts, "explain --json says something")
    done = world.room("sh", "-c", "test -w . && cat file && ls -A ~")
    expect_equal(done.code, 0, f"the workspace is writable\n{done}")
    expect("id_ed25519" not in done.text and ".ssh" not in done.text, "the home", done)


@test("doctor finds this machine able, by doing")
def doctor(world):
    done = world.agentbox("doctor")
    expect_equal(done.code, 0, f"doctor\n{done}")
    json.loads(world.agentbox("doctor", "--json").text)


@test("demo misbehaves at every door and is refused at each")
def demo(world):
    before = snapshot(world.base)
    done = world.agentbox("demo", timeout=120)
    expect_equal(done.code, 0, f"demo\n{done}")
    expect_equal([line for line in difference(before, snapshot(world.base)) if "state" not in line], [], "files")


@test("shell is an interactive room in the current directory")
def shell(world):
    done = world.agentbox("run", "shell", input=b"pwd; echo in-$((40+2)); exit 3\n")
    expect(done.code == 3 and f"{world.workspace}\nin-42\n" in done.text, "a shell that reads its commands", done)


@test("two rooms in one workspace do not disturb each other, nor lose each other's protection")
def two(world):
    world.run(["git", "init", "-q"])
    before = snapshot(world.workspace)
    first = start_room(world)
    second = start_room(world)
    first.terminate()
    first.communicate(timeout=30)
    third = world.room("sh", "-c", "echo evil > .git/hooks/x; mkdir -p .vscode; echo evil > .vscode/tasks.json")
    expect(third.errors.count("Read-only file system") == 2, "protected beside another room", third)
    expect_equal(second.poll(), None, "the second goes on")
    second.terminate()
    out, err = second.communicate(timeout=30)
    expect_equal(difference(before, snapshot(world.workspace)), [], f"the workspace\n{err}")


@test("what a run remembers of a big workspace hides nothing from the next: neither a new secret nor a new repository")
def remembered(world):
    for number in range(300):
        (world.workspace / f"part{number}").mkdir()
    (world.workspace / "part7" / "app").mkdir()
    world.profile("hiding", 'extends = ["default"]\n[workspace]\nhide = ["**/.secret"]\n')

    def remembers():
        world.room("true", profile="hiding")
        return list((world.home / ".local" / "state" / "agentbox" / "walks").glob("[0-9a-f]*"))

    # Only what is older than two seconds is remembered.
    wait_until(remembers, "a run remembers the workspace")
    secret = world.workspace / "part7" / "app" / ".secret"
    secret.write_text("precious")
    read = ("cat", "part7/app/.secret")
    done = world.room(*read, profile="default")
    expect_equal((done.code, done.text), (0, "precious"), "control: without `hide` it can be read")
    done = world.room(*read, profile="hiding")
    expect(done.code != 0 and done.text == "", "hidden, though it is new", done)
    secret.unlink()
    (world.workspace / "part9" / "app" / ".git" / "hooks").mkdir(parents=True)
    hook = "echo x > part9/app/.git/hooks/pre-commit"
    expect(world.room("sh", "-c", hook, profile="hiding").code != 0, "the hooks of a new repository are protected")


@test("time, file size and process limits hold")
def limits(world):
    world.profile("p", 'extends = ["default"]\n[limits]\ntime = "1s"\nfile_size = "1M"\nprocesses = 20\n')
    done = world.room("sleep", "1000", profile="p")
    expect(done.code != 0 and "time" in done.errors, "time", done)
    done = world.room("sh", "-c", "head -c 2000000 /dev/zero > big; stat -c %s big", profile="p")
    expect_equal(done.text, "1048576\n", f"file size\n{done}")
    done = world.room("bash", "-c", "for i in $(seq 40); do sleep 5 & done; echo end", profile="p")
    expect("Resource temporarily unavailable" in done.errors, "processes", done)


run_tests()
