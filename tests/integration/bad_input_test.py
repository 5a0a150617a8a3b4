"""Bad input: one clear error each, with the exact text and the exit code of a run that never began; nothing is left."""

import os
import pwd
import re
import socket

from harness import difference, expect, expect_equal, run_tests, snapshot, test

FAILED = 125  # agentbox itself could not do it: nothing was run


def filled(world, text):
    for name, path in (("{p}", "{home}/.config/agentbox/profiles/p.toml"), ("{home}", world.home),
                       ("{ws}", world.workspace), ("{base}", world.base)):
        text = text.replace(name, str(path))
    return text


def refused(world, done, wanted, code=FAILED):
    """stderr is exactly `wanted`, with {home}, {ws}, {base} and {p} filled in; stdout is empty."""
    text = filled(world, wanted)
    expect_equal((done.code, done.text, done.errors), (code, "", text), "exit code, stdout and stderr")


def refuses(name, wanted, words, profile=None, code=FAILED):
    """A test of one command line; `profile` is the text of the profile "p"."""
    @test(name)
    def case(world):
        if profile is not None:
            world.profile("p", profile)
        before = snapshot(world.base)
        done = world.agentbox(*[filled(world, word) for word in words])
        refused(world, done, wanted, code)
        expect_equal(difference(before, snapshot(world.base)), [], "files that it left")
    return case


# ---- the command line ------------------------------------------------------------------------------------------

refuses("no profile", "agentbox: error: missing PROFILE\nhint: `agentbox profiles` lists them\n", ["run"])
refuses("no profile, but a command", "agentbox: error: missing PROFILE\nhint: for example: agentbox run default -- true\n",
        ["run", "--", "true"])
refuses("no command", "agentbox: error: no command to run, and the profile default names none\n"
        "hint: write it behind two dashes: agentbox run default -- COMMAND\n", ["run", "default"])
refuses("an unknown option", "agentbox: error: unknown option '--wrokspace'\nhint: did you mean '--workspace'?\n",
        ["run", "--wrokspace", "x", "default", "--", "true"])
refuses("--status-fd that is not open", "agentbox: error: --status-fd 99 is not an open descriptor\n",
        ["run", "--status-fd", "99", "default", "--", "true"])

# ---- profiles --------------------------------------------------------------------------------------------------

refuses("an unknown profile", "agentbox: error: no profile is called 'defualt'\nhint: did you mean 'default'?\n",
        ["run", "defualt", "--", "true"])
refuses("a profile file that is not there",
        "agentbox: error: there is no file ./no-such.toml\n",
        ["run", "./no-such.toml", "--", "true"])
refuses("a profile that is no TOML",
        "{p}:1:15: error: the string that begins here is not closed\n"
        "    description = \"x\n"
        "                  ^~\n\n"
        "{p}:2:6: error: expected ']', saw '\\n'\n"
        "    [files\n"
        "         ^\n", ["run", "p", "--", "true"], profile='description = "x\n[files\n')
refuses("a profile with three mistakes shows all three",
        "{p}:2:2: error: unknown section [flies]\n"
        "    [flies]\n"
        "     ^~~~~\n"
        "hint: did you mean [files]?\n\n"
        "{p}:5:1: error: unknown key 'alow' in [network]\n"
        "    alow = []\n"
        "    ^~~~\n"
        "hint: did you mean 'allow'?\n\n"
        "{p}:7:13: error: expected an integer, found a string\n"
        "    processes = \"many\"\n"
        "                ^~~~~~\n", ["run", "p", "--", "true"],
        profile='extends = ["default"]\n[flies]\nread = ["~/x"]\n[network]\nalow = []\n[limits]\nprocesses = "many"\n')
refuses("extends of an unknown profile",
        "{p}:1:12: error: no profile is called 'defualt'\n"
        "    extends = [\"defualt\"]\n"
        "               ^~~~~~~~~\n"
        "hint: did you mean 'default'?\n", ["run", "p", "--", "true"], profile='extends = ["defualt"]\n')
refuses("a profile that extends itself through its path",
        "{p}:1:12: error: profiles extend each other in a circle\n"
        "    extends = [\"./p.toml\"]\n"
        "               ^~~~~~~~~~\n"
        "hint: {p} → {p}\n", ["run", "{p}", "--", "true"], profile='extends = ["./p.toml"]\n')
refuses("a write grant on what is missing",
        "{p}:3:10: error: '{home}/not-there' does not exist, so that it can't be made writable\n"
        "    write = [\"~/not-there\"]\n"
        "             ^~~~~~~~~~~~~\n"
        "hint: make it first, or end it with '/' to have an empty folder made\n", ["run", "p", "--", "true"],
        profile='extends = ["default"]\n[files]\nwrite = ["~/not-there"]\n')

UNBUILT = {
    "files ask": '[files]\nask = ["~/.ssh"]\n',
    "workspace review": '[workspace]\nmode = "review"\n',
    "questions about deleting": '[files]\ndeletes = "20/session"\n',
}


@test("a profile that uses what isn't built yet is refused, each with its line")
def unbuilt(world):
    for what, text in UNBUILT.items():
        world.profile("p", f'extends = ["default"]\n{text}')
        done = world.room("touch", "ran", profile="p")
        expect_equal(done.code, FAILED, f"{what}\n{done}")
        expect(re.search(r"p\.toml:[3-9]:\d+: error: .*(not built yet|isn't built yet|cannot|can't)", done.errors),
               f"{what}: the reason and the line", done)
        expect(not (world.workspace / "ran").exists(), f"{what}: it ran")
    world.profile("p", 'extends = ["default"]\n[approval]\ntimeout = "1m"\n')
    expect_equal(world.room("true", profile="p").code, 0, "control: a timeout alone is no use of it")


@test("what agentbox itself runs outside names nothing that the agent can write")
def within_reach(world):
    script = world.workspace / "say.py"
    script.write_text("")
    for what, text in {
        "a notice": f'[approval]\nnotify = ["python3", "{script}"]\n',
        "a message": f'[messages.email]\nsend = ["python3", "{script}"]\n',
        "a payment": f'[spending]\nlimit = "1 USD/day"\n[spending.pay]\ncommand = ["python3", "{script}"]\n',
    }.items():
        world.profile("p", f'extends = ["default"]\n{text}')
        done = world.agentbox("run", "--on-ask", "queue", "p", "--", "touch", "ran")
        expect(done.code == FAILED and f"{script} lies where the agent can change it" in done.errors, what, done)
        expect(not (world.workspace / "ran").exists(), f"{what}: it ran")
        world.profile("p", f'extends = ["default"]\n{text}'.replace(str(script), "/usr/share/say.py"))
        done = world.agentbox("run", "--on-ask", "queue", "p", "--", "true")
        expect_equal(done.code, 0, f"control: {what} from elsewhere\n{done}")


@test("a profile of 10 MB is refused at once")
def big_profile(world):
    path = world.profile("p", "# " + "x" * 10_000_000 + "\n")
    refused(world, world.room("true", profile="p"),
            "{p}: error: the profile is larger than 32 KiB\nhint: split it, and name the parts in `extends`\n")
    path.unlink()


@test("a profile that is a FIFO, a socket, a directory or a device does not hang")
def odd_profile(world):
    folder = world.profile_folder
    os.mkfifo(folder / "fifo.toml")
    (folder / "dir.toml").mkdir()
    os.symlink("/dev/zero", folder / "zero.toml")
    os.symlink("loop.toml", folder / "loop.toml")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "sock.toml"))
        for name in ("fifo", "dir", "zero", "sock", "loop"):
            for words in ([name], [str(folder / f"{name}.toml")]):
                done = world.agentbox("run", *words, "--", "true", timeout=10)
                expect(done.code == FAILED and done.errors.count("error:") == 1, f"{words}: one error", done)


@test("a workspace file that the agent planted does not hang, and cannot widen")
def workspace_file(world):
    path = world.workspace / ".agentbox.toml"
    os.mkfifo(path)
    done = world.room("true", timeout=10)
    expect(done.code == FAILED and done.errors.count("error:") == 1, "a FIFO", done)
    path.unlink()
    path.symlink_to(world.home / ".ssh" / "id_ed25519")
    done = world.room("true")
    expect(done.code == FAILED and done.errors.count("error:") == 1 and "SECRET" not in done.errors, "a link", done)
    path.unlink()
    path.write_text("[files]\nread = ['~/.ssh']\n")
    done = world.room("true")
    expect(done.code == FAILED and f"{path}:2:" in done.errors and done.errors.count("error:") == 1,
           "a widening names its line", done)
    path.write_text("[workspace]\nhide = ['secret']\n")
    (world.workspace / "secret").write_text("x")
    done = world.room("cat", "secret")
    expect("Permission denied" in done.errors and done.code == 1, "control: tightening works", done)


# ---- the workspace ---------------------------------------------------------------------------------------------

OWN = pwd.getpwuid(os.getuid()).pw_dir
refuses("the workspace is /",
        f"agentbox: error: the workspace / holds your home directory {OWN}\n"
        "hint: choose a project's folder; HOME names another directory, but this one is yours too\n",
        ["run", "--workspace", "/", "default", "--", "true"])
refuses("the workspace is the home",
        "agentbox: error: '{home}' can't be a workspace: it is your home directory\n"
        "hint: start it in the folder of one project, or name one with --workspace\n",
        ["run", "--workspace", "{home}", "default", "--", "true"])
refuses("the workspace is an ancestor of the home",
        "agentbox: error: '{base}' can't be a workspace: it holds your home directory\n"
        "hint: start it in the folder of one project, or name one with --workspace\n",
        ["run", "--workspace", "{base}", "default", "--", "true"])
refuses("the workspace holds a '..' that leads nowhere",
        "agentbox: error: cannot use {ws}/gone/../.. as the workspace: No such file or directory\n",
        ["run", "--workspace", "{ws}/gone/../..", "default", "--", "true"])


@test("a '..' of the command line means what the file system says")
def dots(world):
    (world.home / "other").mkdir()
    (world.home / "other" / "note").write_text("read me")
    (world.home / "elsewhere").symlink_to(world.home / "other")
    for flags in (["--read", "../other"], ["--read", "../other/"], ["--read", f"{world.workspace}/../elsewhere/../other"]):
        done = world.agentbox("run", *flags, "default", "--", "cat", str(world.home / "other" / "note"))
        expect_equal((done.code, done.text), (0, "read me"), f"{flags}\n{done}")
    done = world.agentbox("run", "--workspace", "../project/../project", "default", "--", "pwd")
    expect_equal((done.code, done.text), (0, f"{world.workspace}\n"), f"{done}")


@test("an agent cannot change the profiles of the next run, whatever the workspace and the grants are")
def own_profiles(world):
    path = world.profile("p", 'extends = ["default"]\n')
    script = f"echo evil >> {path}; echo evil > {path.parent}/default.toml; mv {path.parent} {path.parent}-x"
    folders = [world.home / ".config", world.home / ".config" / "agentbox", path.parent]
    for options in [[flag, str(folder)] for flag in ("--workspace", "--write") for folder in folders]:
        done = world.room("sh", "-c", script, options=options)
        expect_equal((path.read_text(), sorted(os.listdir(path.parent))), ('extends = ["default"]\n', ["p.toml"]),
                     f"{options}\n{done}")
    done = world.run(["sh", "-c", script])
    expect(not path.exists(), "control: outside it can", done)


refuses("the workspace is not there",
        "agentbox: error: cannot use {ws}/gone as the workspace: No such file or directory\n",
        ["run", "--workspace", "{ws}/gone", "default", "--", "true"])
refuses("the workspace is a file", "agentbox: error: the workspace {home}/.bash_history is not a directory\n",
        ["run", "--workspace", "{home}/.bash_history", "default", "--", "true"])


@test("the current directory is the home")
def in_home(world):
    done = world.room("true", cwd=world.home)
    expect(done.code == FAILED and done.errors.count("error:") == 1, "one error", done)


@test("the current directory is gone")
def gone(world):
    binary = os.environ["AGENTBOX_BIN"]
    done = world.run(["sh", "-c", f"mkdir d; cd d; rmdir ../d; exec {binary} run default -- true"])
    refused(world, done, "agentbox: error: cannot tell the current directory: No such file or directory\n"
                         "hint: it may have been removed: cd to one that exists\n")


@test("the workspace holds the state folder")
def state_workspace(world):
    (world.home / ".local" / "state").mkdir(parents=True)
    for folder, holds in ((".local", "what your programs keep and obey"), (".local/state", "agentbox's own state folder")):
        refused(world, world.room("true", options=["--workspace", str(world.home / folder)]),
                f"agentbox: error: '{{home}}/{folder}' can't be a workspace: it holds {holds}\n"
                "hint: start it in the folder of one project, or name one with --workspace\n")


@test("a workspace that may not be read")
def unreadable(world):
    folder = world.workspace / "closed"
    folder.mkdir(mode=0)
    done = world.room("true", options=["--workspace", str(folder)])
    expect(done.code == FAILED and done.errors.count("error:") == 1, "one error", done)


# ---- the environment -------------------------------------------------------------------------------------------

@test("HOME unset, relative or missing: the passwd entry, or one error")
def home(world):
    for value in (None, "", "relative", "/no/such/home"):
        done = world.room("true", env=world.env(HOME=value), cwd=world.workspace)
        expect(done.code in (0, FAILED) and done.errors.count("error:") == (1 if done.code else 0),
               f"HOME={value!r}", done)


@test("XDG_RUNTIME_DIR unset, missing, a file or open to others: a private folder in /tmp instead")
def runtime(world):
    (world.base / "file").write_text("")
    (world.base / "open").mkdir()
    os.chmod(world.base / "open", 0o777)
    for value in (None, "", "relative", "/no/such/folder", world.base / "file", world.base / "open"):
        done = world.room("echo", "works", env=world.env(XDG_RUNTIME_DIR=value))
        expect_equal((done.code, done.text), (0, "works\n"), f"XDG_RUNTIME_DIR={value}: {done}")
        folder = f"/tmp/agentbox-{os.getuid()}"
        expect_equal(os.listdir(folder), [], "sessions that are left there")
        os.rmdir(folder)


@test("a private folder in /tmp that somebody else might have made is not used")
def planted_runtime(world):
    folder = f"/tmp/agentbox-{os.getuid()}"
    os.symlink(world.base, folder)
    try:
        done = world.room("true", env=world.env(XDG_RUNTIME_DIR=None))
        refused(world, done, f"agentbox: error: {folder} is not a folder that only you can open\n"
                             "hint: remove it, or `chmod 700` it if it is yours\n")
    finally:
        os.unlink(folder)


@test("a state folder that cannot be written")
def state(world):
    folder = world.home / ".local"
    folder.mkdir(mode=0o500)
    done = world.room("true")
    expect(done.code == FAILED and done.errors.count("error:") == 1 and "Permission denied" in done.errors,
           "one error", done)


@test("variables that steer programs do not reach bwrap or the room")
def variables(world):
    (world.workspace / "evil.so").write_bytes(b"not a library")
    env = world.env(LD_PRELOAD=world.workspace / "evil.so", SECRET_TOKEN="topsecret", BASH_ENV="/evil")
    # The dynamic linker speaks of agentbox itself; nobody else may.
    done = world.room("env", env=env)
    expect_equal(done.code, 0, "exit code")
    expect("topsecret" not in done.text and "LD_PRELOAD" not in done.text and "BASH_ENV" not in done.text, "env", done)
    expect(done.errors.count("evil.so") <= 1, "LD_PRELOAD reached another program", done)


# ---- odd names -------------------------------------------------------------------------------------------------

ODD = [b"with spaces", b"new\nline", b"invalid-\xff\xfe-utf8", b"-dash", b"quote'\"$(touch evil)", b"\xe2\x80\xae bidi",
       b"\x1b[31mred", "ünï".encode(), b"a" * 200, b"back\\slash", b"{brace}*?[x]", b"#hash", b"~tilde", b"${HOME}"]


@test("a workspace with any name works, and keeps it")
def odd_workspace(world):
    for name in ODD:
        folder = os.path.join(os.fsencode(world.workspace), name)
        os.mkdir(folder)
        done = world.room("sh", "-c", "printf %s \"$PWD\" > where", cwd=folder)
        expect(done.code == 0, f"{name!r}", done)
        with open(os.path.join(folder, b"where"), "rb") as file:
            expect_equal(file.read(), folder, "the name inside")
        os.unlink(os.path.join(folder, b"where"))
        expect_equal(os.listdir(folder), [], f"what is left in {name!r}")


@test("--read, --write and --workspace take any name, relative ones too")
def odd_grants(world):
    outside = world.home / "outside"
    outside.mkdir()
    for name in ODD:
        folder = os.path.join(os.fsencode(outside), name)
        os.mkdir(folder)
        with open(os.path.join(folder, b"file"), "wb") as file:
            file.write(b"content")
        if b"$" in name or b"*" in name or name.startswith(b"~"):
            continue  # these have a meaning in a path of a profile, and so in these options
        for option in (folder, os.path.join(b"outside", name)):
            done = world.run([os.environ["AGENTBOX_BIN"], "run", b"--write", option, "--workspace", "project",
                              "default", "--", "sh", "-c", "cat \"$1/file\" && echo new > \"$1/new\"", "sh", folder],
                             cwd=world.home)
            expect_equal((done.code, done.out), (0, b"content"), f"{option!r}: {done}")
            os.unlink(os.path.join(folder, b"new"))


@test("odd names are escaped in messages")
def odd_messages(world):
    done = world.agentbox("run", "--workspace", "\x1b[31mred\n\u202e", "default", "--", "true")
    expect(done.code == FAILED, "refused", done)
    expect("\x1b" not in done.errors and "\u202e" not in done.errors, "escaped", done)
    expect_equal(len(done.errors.splitlines()), 1, "lines of the message")


@test("an argument with any byte reaches the program as it is")
def odd_arguments(world):
    for name in ODD + [b"", b"\xff" * 1000, b"x" * 100_000]:
        done = world.run([os.environ["AGENTBOX_BIN"], "run", "default", "--", "printf", "%s", name])
        expect(done.code == 0 and done.out == name, f"{name[:40]!r}", done.code, done.out[:100], done.err)


@test("a workspace that its owner has locked stays locked: the launch stops, or it is read-only")
def locked(world):
    os.chmod(world.workspace, 0o555)
    done = world.room("true")
    refused(world, done, "agentbox: error: {ws} can't be written, so its missing folders can't be guarded\n"
            "hint: chmod u+rwx it, hide it, or have the workspace read-only ([workspace] mode = \"read-only\")\n")
    expect_equal(os.stat(world.workspace).st_mode & 0o7777, 0o555, "its mode")
    world.profile("p", 'extends = ["default"]\n[workspace]\nmode = "read-only"\n')
    done = world.room("pwd", profile="p")
    expect_equal((done.code, done.text), (0, f"{world.workspace}\n"), f"read-only\n{done}")
    expect_equal(os.stat(world.workspace).st_mode & 0o7777, 0o555, "its mode")
    os.chmod(world.workspace, 0o755)
    done = world.room("true")
    expect_equal(done.code, 0, f"control\n{done}")


@test("folders that a run makes for its command go again when the command is not there")
def not_started(world):
    world.profile("p", 'extends = ["default"]\n[files]\nwrite = ["~/made/deep/"]\n')
    done = world.room("no-such-program", profile="p")
    expect_equal((done.code, (world.home / "made").exists()), (127, False), f"not started\n{done}")
    (world.home / "made").mkdir()
    done = world.room("no-such-program", profile="p")
    expect_equal(list((world.home / "made").iterdir()), [], f"what was there stays\n{done}")
    done = world.room("true", profile="p")
    expect_equal((done.code, (world.home / "made" / "deep").is_dir()), (0, True), f"control: started\n{done}")


@test("1,000 granted paths")
def thousand(world):
    folders = world.home / "many"
    for number in range(1000):
        (folders / f"d{number}").mkdir(parents=True)
        (folders / f"d{number}" / "file").write_text(f"{number}\n")
    paths = [f"~/many/d{number}" for number in range(1000)]
    options = [word for path in paths for word in ("--read", path)]
    done = world.room("sh", "-c", "cat ~/many/*/file | sort -n | md5sum; ls ~/many | wc -l; echo x > ~/many/d7/new",
                      options=options)
    outside = world.expect_ok(["sh", "-c", "cat ~/many/*/file | sort -n | md5sum; ls ~/many | wc -l"])
    expect_equal(done.text, outside.text, f"what is seen\n{done}")
    expect("/many/d7/new: Read-only file system" in done.errors, "read-only", done)
    lines = ", ".join(f'"{path}"' for path in paths)
    world.profile("p", f'extends = ["default"]\n[files]\nread = [{lines}]\n')
    done = world.room("sh", "-c", "ls ~/many | wc -l", profile="p")
    expect_equal((done.code, done.text), (0, "1000\n"), f"the same from a profile\n{done}")


run_tests()
