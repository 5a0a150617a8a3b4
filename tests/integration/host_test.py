"""Hosts on which no room can be built: each gives one clear error and a way to mend it. The host is changed for one
command only, in a mount or user namespace of its own, which takes root."""

import os
import shutil

import harness
from harness import SECRET, expect, expect_equal, run_tests, test, wait_until

BWRAP = "/usr/bin/bwrap"


def as_user(world, script, namespace=("unshare", "--mount"), words="run default -- echo works", **how):
    """As root in a new namespace: `script`; then agentbox with these words as the ordinary user."""
    user = harness.ordinary_user()
    go = (f"cd {world.workspace} && exec setpriv --reuid={user.pw_uid} --regid={user.pw_gid} --init-groups "
          f"{harness.agentbox_binary()} {words}")
    return world.run([*namespace, "sh", "-c", f"set -e; {script}\n{go}"], **how)


def refused(done, text):
    expect_equal((done.code, done.text, done.errors), (125, "", text), "exit code, stdout and stderr")


def fake(world, text, mode=0o755, owner=0):
    path = world.base / "fake-bwrap"
    path.write_text(text)
    os.chown(path, owner, owner)
    os.chmod(path, mode)
    return f"mount --bind {path} {BWRAP}"


@test("control: in a mount namespace of its own, with the real bwrap, it works")
def control(world):
    done = as_user(world, "true")
    expect_equal((done.code, done.text, done.errors), (0, "works\n", ""), "exit code, stdout and stderr")


@test("bwrap is missing")
def missing(world):
    # An empty folder over each place where it is looked for is the nearest to "not installed" that a mount can do.
    done = as_user(world, "mkdir /tmp/abt-empty; mount -t tmpfs none /tmp/abt-empty; "
                          "mkdir -p /tmp/abt-empty/u /tmp/abt-empty/w; "
                          f"mount -t overlay -o lowerdir=/usr/bin,upperdir=/tmp/abt-empty/u,workdir=/tmp/abt-empty/w "
                          f"none /usr/bin; rm {BWRAP}; umount -l /tmp/abt-empty; rmdir /tmp/abt-empty")
    refused(done, "agentbox: error: bubblewrap is not installed: no bwrap in /usr/bin, /run/current-system/sw/bin or "
                  "/usr/local/bin\n"
                  "hint: install it: apt install bubblewrap, dnf install bubblewrap, pacman -S bubblewrap, or add "
                  "pkgs.bubblewrap to environment.systemPackages\n")


@test("bwrap is setuid")
def setuid(world):
    shutil.copy(BWRAP, world.base / "copy")
    os.chmod(world.base / "copy", 0o4755)
    refused(as_user(world, f"mount --bind {world.base}/copy {BWRAP}"),
            "agentbox: error: this bubblewrap can't be trusted: /usr/bin/bwrap is setuid\n"
            "hint: agentbox needs no privileges: sudo chmod u-s,g-s /usr/bin/bwrap\n")


@test("bwrap is too old to know --disable-userns")
def old(world):
    refused(as_user(world, fake(world, '#!/bin/sh\necho "bwrap: Unknown option --disable-userns" >&2; exit 1\n')),
            "agentbox: error: bwrap: Unknown option --disable-userns\n"
            "hint: `agentbox doctor` tells what this machine lacks\n")


@test("bwrap belongs to the user")
def users(world):
    user = harness.ordinary_user()
    refused(as_user(world, fake(world, "#!/bin/sh\nid > /tmp/abt-ran\n", owner=user.pw_uid)),
            "agentbox: error: this bubblewrap can't be trusted: "
            f"/usr/bin/bwrap belongs to user {user.pw_uid}, not to root\n"
            "hint: reinstall the bubblewrap package, or give the file and its folders back to root: chown root, "
            "chmod go-w\n")
    expect(not os.path.exists("/tmp/abt-ran"), "it was run")


@test("bwrap is writable by everyone")
def writable(world):
    refused(as_user(world, fake(world, "#!/bin/sh\n", mode=0o777)),
            "agentbox: error: this bubblewrap can't be trusted: /usr/bin/bwrap is writable by everyone (mode 0777)\n"
            "hint: reinstall the bubblewrap package, or give the file and its folders back to root: chown root, "
            "chmod go-w\n")


@test("bwrap that is no program")
def no_program(world):
    refused(as_user(world, fake(world, "")), "agentbox: error: cannot start /usr/bin/bwrap: Exec format error\n")


@test("bwrap that does nothing, and one that crashes")
def useless(world):
    for text in ("#!/bin/sh\nexit 0\n", "#!/bin/sh\nkill -SEGV $$\n"):
        done = as_user(world, fake(world, text), timeout=30)
        expect(done.code == 125 and done.errors.count("error:") == 1, f"one error for {text!r}", done)


@test("another bwrap in the PATH is not run")
def path(world):
    folder = world.base / "bin"
    folder.mkdir()
    (folder / "bwrap").write_text(f"#!/bin/sh\ntouch {world.base}/ran\n")
    os.chmod(folder / "bwrap", 0o755)
    done = as_user(world, "true", env=world.env(PATH=f"{folder}:/usr/sbin:/usr/bin:/bin"))
    expect_equal((done.code, done.text), (0, "works\n"), f"the real one runs\n{done}")
    expect(not (world.base / "ran").exists(), "the other one was run")


def in_user_namespace(world, script, **how):
    """In a user namespace that has everybody in it as they are, and in which `script` may set the limits."""
    holder = world.start(["unshare", "--user", "sleep", "1000"])
    try:
        ours = os.readlink("/proc/self/ns/user")
        wait_until(lambda: os.readlink(f"/proc/{holder.pid}/ns/user") != ours, "unshare")
        for kind in ("uid", "gid"):
            with open(f"/proc/{holder.pid}/{kind}_map", "w") as file:
                file.write("0 0 65536")
        return as_user(world, script, ("nsenter", f"--target={holder.pid}", "--user", "unshare", "--mount"), **how)
    finally:
        holder.kill()
        holder.communicate()


@test("user namespaces are switched off")
def userns(world):
    done = in_user_namespace(world, "true")
    expect_equal((done.code, done.text), (0, "works\n"), f"control: with them it works\n{done}")
    refused(in_user_namespace(world, "echo 0 > /proc/sys/user/max_user_namespaces"),
            "agentbox: error: bwrap: Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces "
            "exceeded (ENOSPC)\nhint: `agentbox doctor` tells what this machine lacks\n")


@test("other namespaces are switched off")
def other_namespaces(world):
    for name in ("net", "pid", "mnt", "ipc", "uts"):
        done = in_user_namespace(world, f"echo 0 > /proc/sys/user/max_{name}_namespaces")
        expect(done.code == 125 and done.errors.count("error:") == 1, f"one error without {name}", done)


@test("a room in a room: refused where namespaces cannot nest")
def nested(world):
    done = as_user(world, "true")
    expect_equal(done.code, 0, "control")
    user = harness.ordinary_user()
    argv = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups", harness.agentbox_binary(),
            "run", "--read", str(harness.ROOT), "default", "--", harness.agentbox_binary(), "run", "default", "--",
            "true"]
    done = world.run(argv)
    expect(done.code == 125 and done.errors.count("error:") == 1, "one error", done)
    expect(SECRET not in done.errors, "nothing of the owner in it", done)


@test("agentbox that is setuid or has capabilities refuses to run")
def privileged(world):
    copy = world.base / "agentbox"
    shutil.copy(harness.agentbox_binary(), copy)
    os.chmod(copy, 0o4755)
    user = harness.ordinary_user()
    done = world.run(["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups", copy, "run",
                      "default", "--", "true"])
    refused(done, "agentbox: error: agentbox must not be setuid or have file capabilities\n"
                  "hint: take them away; it needs none\n")


@test("a full disk under the state folder")
def full(world):
    done = as_user(world, f"mkdir -p {world.home}/.local/state; mount -t tmpfs -o size=4k,nr_inodes=2,mode=0700,"
                          f"uid={harness.ordinary_user().pw_uid} none {world.home}/.local/state")
    expect(done.code == 125 and done.errors.count("error:") == 1 and "No space left" in done.errors, "one error", done)


@test("a disk that fills up while a room is open: what is asked is denied, with that reason")
def fills_up(world):
    world.profile("asks", 'extends = ["default"]\n[commands]\nallow = ["pwd"]\n')
    state, user = f"{world.home}/.local/state", harness.ordinary_user().pw_uid
    mount = f"mkdir -p {state}; mount -t tmpfs -o size=1m,mode=0700,uid={user} none {state}"
    # Through the room's own descriptor of the disk there is no way: a process beside it fills it up.
    filling = (f"(until [ -e {world.workspace}/first ]; do sleep 0.01; done; head -c 2m /dev/zero > {state}/filler || true; "
               f"touch {world.workspace}/filled) 2>/dev/null &")
    ask = "agentbox host -- pwd; echo code $?; touch first; until [ -e filled ]; do sleep 0.01; done; " \
          "for i in 1 2 3 4 5 6 7 8; do agentbox host -- pwd; echo code $?; done"
    os.chown(world.workspace, user, -1)
    done = as_user(world, f"{mount}; {filling}", words=f"run --on-ask queue asks -- sh -c '{ask}'")
    expect(done.text.startswith(f"{world.workspace}\ncode 0\n"), "control: before that it runs", done)
    expect(done.text.endswith("code 75\n") and "full" in done.errors, "afterwards it is denied, with the reason", done)
    expect(done.code == 0, "the room ends as it should", done)


@test("a disk that fills up before a payment and a message: nothing is paid, nothing is sent")
def fills_up_before_money(world):
    user = harness.ordinary_user().pw_uid
    calls, program = world.base / "calls", world.base / "pays"
    calls.mkdir()
    program.write_text(f"#!/bin/sh\necho \"$0 $*\" >>{calls}/all\n")
    program.chmod(0o755)
    for path in (calls, program, world.workspace):
        os.chown(path, user, -1)
    world.profile("pays", f'''extends = ["default"]
[messages]
self = ["me@example.org"]
limit = "100/hour"
[messages.email]
send = ["{program}", "-t"]
[spending]
limit = "100 USD/day"
count = "100/day"
[spending.pay]
command = ["{program}", "{{amount}}"]
''')
    state = f"{world.home}/.local/state"
    mount = f"mkdir -p {state}; mount -t tmpfs -o size=1m,mode=0700,uid={user} none {state}"
    filling = (f"(until [ -e {world.workspace}/first ]; do sleep 0.01; done; head -c 2m /dev/zero > {state}/filler || true; "
               f"touch {world.workspace}/filled) 2>/dev/null &")
    # What is left of the last page takes a few rows more.
    ask = ("pay() { agentbox pay --amount 1 --currency USD --to a --key $1; echo pay $?; }; "
           "send() { echo hi | agentbox send --via email --to me@example.org --subject $1; echo send $?; }; "
           "pay k0; send s0; touch first; until [ -e filled ]; do sleep 0.01; done; "
           "for i in 1 2 3 4 5 6 7 8; do pay k$i; send s$i; done")
    done = as_user(world, f"{mount}; {filling}", words=f"run --on-ask queue pays -- sh -c '{ask}'")
    codes = [line for line in done.text.splitlines() if line.startswith(("pay ", "send "))]
    expect_equal(codes[:2], ["pay 0", "send 0"], f"control: before that both are done\n{done}")
    expect_equal(codes[-2:], ["pay 75", "send 75"], f"afterwards neither\n{done}")
    expect("full" in done.errors, "the reason", done)
    expect_equal(len((calls / "all").read_text().splitlines()), sum(line.endswith(" 0") for line in codes),
                 f"what was done is what the room was told\n{done}")


run_tests(as_root=True)
