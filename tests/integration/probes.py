#!/usr/bin/env python3
"""Does one misdeed at a time in a room, and again where nothing protects.

    AGENTBOX_PROBE      the program that has the probes (default: build/tests/probes/probe beside the sources)

Every probe (tests/probes) must be BLOCKED in the room, for the expected reason and with the owner's files as they were
before, and ALLOWED in its positive control: a probe that can't succeed anywhere shows nothing. The control runs as the
same user, `outside` (no room at all) or in a `bare` bubblewrap that gives every capability in a namespace of its own.
"""

import contextlib
import ctypes
import os
import pwd
import shutil
import socket
import tempfile
import threading

import harness
from harness import Skipped, expect, need_program, snapshot

PROBE = os.environ.get("AGENTBOX_PROBE") or str(harness.ROOT / "build" / "tests" / "probes" / "probe")

PROFILE = """
extends = ["default"]

[workspace]
hide = ["hidden.env", "secrets/", "conf/private/"]

[files]
read = ["~/docs"]

[network]
default = "deny"

[limits]
processes  = 64
open_files = 64
file_size  = "2M"
home       = "1M"
tmp        = "1M"
shm        = "1M"
"""


# ---- the scene: what a probe tries to reach -----------------------------------------------------------------------

def write(path, text, mode=0o600):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def make_owner(world):
    """A home with things worth stealing, and a repository with things worth changing."""
    home, work = world.home, world.workspace
    world.profile("probe", PROFILE)
    write(home / ".netrc", "machine example.org password " + harness.SECRET + "\n")
    write(home / "docs" / "notes.txt", "the owner's notes\n")
    git = work / ".git"
    for folder in ("objects", "refs/heads", "hooks", "info"):
        (git / folder).mkdir(parents=True)
    write(git / "HEAD", "ref: refs/heads/main\n", 0o644)
    write(git / "config", "[core]\n\trepositoryformatversion = 0\n", 0o644)
    write(git / "hooks" / "pre-push", "#!/bin/sh\nexit 0\n", 0o755)
    write(work / ".envrc", "export EDITOR=vi\n", 0o644)
    write(work / ".vscode" / "tasks.json", "{}\n", 0o644)
    write(work / "hidden.env", "TOKEN=" + harness.SECRET + "\n")
    write(work / "secrets" / "key", harness.SECRET + "\n")
    write(work / "conf" / "private" / "key", harness.SECRET + "\n")
    (work / "planted").symlink_to(home / ".ssh" / "id_ed25519")
    shutil.copy(PROBE, work / "probe")


class Scene(dict):
    """The fields of a probe's arguments. What listens, waits or lies about is made when it is first named."""

    def __init__(self, world):
        super().__init__(home=world.home, work=world.workspace, run=world.runtime, secret=harness.SECRET)
        self.world, self.open, self.cleanup, self.pass_fds, self.env = world, [], [], (), {}

    def __missing__(self, name):
        self[name] = getattr(self, "make_" + name)()
        return self[name]

    def close(self):
        for action in reversed(self.cleanup):
            with contextlib.suppress(OSError):
                action()

    def keep(self, thing):
        self.cleanup.append(thing.close)
        return thing

    def make_tmp_file(self):
        fd, path = tempfile.mkstemp(prefix="probe-", dir="/tmp")
        self.cleanup.append(lambda: os.unlink(path))
        os.write(fd, b"x")
        os.close(fd)
        return path

    def make_shm_file(self):
        fd, path = tempfile.mkstemp(prefix="probe-", dir="/dev/shm")
        self.cleanup.append(lambda: os.unlink(path))
        os.write(fd, b"x")
        os.close(fd)
        return path

    def make_runtime_file(self):
        write(self.world.runtime / "token", "x")
        return self.world.runtime / "token"

    def make_system_file(self):
        """Something of /etc that no program in a room needs."""
        for name in ("fstab", "login.defs", "sudoers.d/README", "NIXOS"):
            with contextlib.suppress(OSError), open("/etc/" + name, "rb") as file:
                if file.read(1):
                    return "/etc/" + name
        raise Skipped("nothing readable in /etc")

    def make_machine_id(self):
        with contextlib.suppress(OSError), open("/etc/machine-id", encoding="ascii") as file:
            return file.read().strip()
        raise Skipped("this machine has no id")

    def make_neighbour(self):
        """Another account of this machine."""
        return next(entry.pw_name for entry in pwd.getpwall() if entry.pw_uid not in (0, os.getuid(), 65534))

    def make_key(self):
        """The name of a key in the user's own keyring: add_key(2), keyctl(2)."""
        libc = ctypes.CDLL(None, use_errno=True)
        add_key, keyctl, unlink, user_keyring = {"x86_64": (248, 250), "aarch64": (217, 219)}[os.uname().machine] + (9, -4)
        name = f"agentbox-test-{os.getpid()}"
        key = libc.syscall(add_key, b"user", name.encode(), b"x", ctypes.c_size_t(1), ctypes.c_int(user_keyring))
        expect(key != -1, "a key for the test", os.strerror(ctypes.get_errno()))
        self.cleanup.append(lambda: libc.syscall(keyctl, unlink, ctypes.c_int(key), ctypes.c_int(user_keyring)))
        return name

    def make_host(self):
        return os.uname().nodename

    def make_device(self):
        for name in ("kmsg", "mem", "fuse", "vda", "sda", "nvme0n1", "loop-control"):
            if os.path.exists("/dev/" + name):
                return "/dev/" + name
        raise Skipped("no device in /dev")

    def make_foreign_terminal(self):
        leader, follower = os.openpty()
        self.cleanup += [lambda: os.close(leader), lambda: os.close(follower)]
        return os.ttyname(follower)

    def make_victim(self):
        process = self.world.start(["sleep", "600"])
        self.cleanup.append(lambda: (process.kill(), process.wait()))
        self.victim = process
        return process.pid

    # -- sockets
    def listen(self, family, address, kind=socket.SOCK_STREAM):
        server = self.keep(socket.socket(family, kind))
        server.bind(address)
        if kind == socket.SOCK_STREAM:
            server.listen(8)
        return server

    def unix(self, path, kind=socket.SOCK_STREAM):
        # A socket's address is short; the folder of a test may not be.
        here = os.open(os.path.dirname(path), os.O_PATH)
        self.listen(socket.AF_UNIX, f"/proc/self/fd/{here}/{os.path.basename(path)}", kind)
        os.close(here)
        return path

    def make_tmp_socket(self):
        folder = tempfile.mkdtemp(prefix="probe-", dir="/tmp")
        self.cleanup.append(lambda: shutil.rmtree(folder))
        return self.unix(folder + "/service")

    def make_datagram_socket(self):
        folder = tempfile.mkdtemp(prefix="probe-", dir="/tmp")
        self.cleanup.append(lambda: shutil.rmtree(folder))
        return self.unix(folder + "/log", socket.SOCK_DGRAM)

    def make_bus(self):
        return self.unix(str(self.world.runtime / "bus"))

    def make_ssh_agent(self):
        return self.unix(str(self.world.home / ".ssh" / "agent"))

    def make_docker(self):
        return self.unix(str(self.world.runtime / "docker.sock"))

    def make_abstract(self):
        name = f"probe-{os.getpid()}"
        self.listen(socket.AF_UNIX, "\0" + name)
        return "@" + name

    def make_x11(self):
        name = f"/tmp/.X11-unix/X{os.getpid()}"
        self.listen(socket.AF_UNIX, "\0" + name)
        return "@" + name

    def make_port(self):
        return self.listen(socket.AF_INET, ("127.0.0.1", 0)).getsockname()[1]

    def make_port6(self):
        try:
            return self.listen(socket.AF_INET6, ("::1", 0)).getsockname()[1]
        except OSError as error:
            raise Skipped(f"no IPv6 loopback: {error}") from None

    def make_own_address(self):
        """This machine's address in its network; connecting a datagram socket sends nothing."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            try:
                asker.connect(("192.0.2.1", 9))
            except OSError:
                raise Skipped("this machine has no address but loopback") from None
            return asker.getsockname()[0]

    def make_own_port(self):
        return self.listen(socket.AF_INET, (self["own_address"], 0)).getsockname()[1]

    def answering(self, address):
        server = self.listen(socket.AF_INET, (address, 0), socket.SOCK_DGRAM)

        def serve():
            with contextlib.suppress(OSError):
                while (asker := server.recvfrom(64)[1]) is not None:  # None: shut down
                    server.sendto(b"answer", asker)

        threading.Thread(target=serve, daemon=True).start()
        self.cleanup.append(lambda: server.shutdown(socket.SHUT_RDWR))
        return server.getsockname()[1]

    def make_udp_port(self):
        return self.answering("127.0.0.1")

    def make_own_udp_port(self):
        return self.answering(self["own_address"])

    # -- what the caller leaves open or lying about
    def make_open_folder(self):
        fd = os.open(self.world.home, os.O_RDONLY)
        self.cleanup.append(lambda: os.close(fd))
        self.pass_fds = (fd,)
        return fd

    def make_open_file(self):
        fd = os.open(self.world.home / ".netrc", os.O_RDONLY)
        self.cleanup.append(lambda: os.close(fd))
        self.pass_fds = (fd,)
        return fd

    def make_token(self):
        """In the environment of the caller, and in no other place."""
        self.env["PROBE_TOKEN"] = token = f"token-{os.getpid()}"
        return token

    def with_tool(self, name, value):
        """Made and removed by the probe program itself, outside."""
        result = self.world.run([PROBE, "make-" + name, str(value)])
        expect(result.text.startswith("ALLOWED"), f"cannot make a {name}", result)
        self.cleanup.append(lambda: self.world.run([PROBE, "remove-" + name, str(value)]))
        return value

    def make_shared_memory(self):
        return self.with_tool("shared-memory", 0x70000000 | os.getpid())

    def make_message_queue(self):
        return self.with_tool("message-queue", f"/probe-{os.getpid()}")

    def make_key(self):
        name = f"probe-{os.getpid()}"
        result = self.world.run([PROBE, "add-key", name])
        expect(result.text.startswith("ALLOWED"), "cannot add a key", result)
        self.cleanup.append(lambda: self.world.run([PROBE, "remove-key", name]))
        return name


# ---- three places to run a probe -----------------------------------------------------------------------------------

def room(scene, argv):
    """The room under test."""
    return scene.world.room(*argv, profile="probe", env=scene.world.env(**scene.env), pass_fds=scene.pass_fds)


def outside(scene, argv):
    return scene.world.run(argv, env=scene.world.env(**scene.env), pass_fds=scene.pass_fds)


def bare(scene, argv):
    """Everything of the host, and every capability over namespaces of its own: no protection but those."""
    bwrap = [need_program("bwrap"), "--unshare-user", "--uid", "0", "--gid", "0", "--unshare-pid", "--unshare-net",
             "--unshare-ipc", "--unshare-uts", "--cap-add", "ALL", "--dev-bind", "/", "/", "--proc", "/proc",
             "--tmpfs", "/tmp", "--ro-bind", scene.world.workspace, scene.world.workspace, "--"]
    return scene.world.run([*bwrap, *argv], env=scene.world.env(**scene.env))


def floor(scene, argv):
    """bubblewrap's own idea of a room, which leaves its root writable."""
    bwrap = [need_program("bwrap"), "--unshare-user", "--ro-bind", "/", "/run/host", "--bind", scene.world.workspace,
             scene.world.workspace, "--dir", "/etc", "--dev", "/dev", "--"]
    return scene.world.run([*bwrap, *argv], env=scene.world.env(**scene.env))


def verdict(result):
    """("BLOCKED", "ENOENT")"""
    lines = result.text.splitlines()
    expect(result.code == 0 and len(lines) == 1, "the probe did not come to an answer", result)
    word, _, reason = lines[0].partition(" ")
    expect(word in ("BLOCKED", "ALLOWED"), "the probe gave no answer", result)
    return word, reason


def owners_files(world):
    """All that the owner has, without what agentbox itself keeps there."""
    return {name: what for name, what in snapshot(world.home).items() if not name.startswith((b".local", b".cache"))}


def try_probe(world, probe):
    make_owner(world)
    scene = Scene(world)
    try:
        if probe.prepare:
            probe.prepare(scene)
        argv = [word.format_map(scene) for word in probe.argv.split(" ")]
        before = owners_files(world)
        result = room(scene, ["./probe", *argv])
        word, reason = verdict(result)
        expect(word == "BLOCKED", f"{probe.argv}: it worked in the room", result)
        expect(reason in probe.reasons, f"{probe.argv}: blocked by {reason} instead of {' or '.join(probe.reasons)}", result)
        changes = harness.difference(before, owners_files(world))
        expect(not changes, f"{probe.argv}: blocked, but the owner's files changed", *changes)
        if hasattr(scene, "victim"):
            expect(scene.victim.poll() is None, f"{probe.argv}: blocked, but the process outside is dead", result)

        control = [word.format_map(scene) for word in (probe.control_argv or probe.argv).split(" ")]
        result = probe.control(scene, [*probe.wrapper, "./probe", *control])
        word, reason = verdict(result)
        if word == "BLOCKED" and reason in probe.lacking:
            raise Skipped(f"this kernel hasn't it: {reason}")
        expect(word == "ALLOWED", f"{probe.argv}: blocked where nothing protects, so the probe shows nothing", result)
    finally:
        scene.close()


class Probe:
    def __init__(self, name, argv, reasons, control=outside, control_argv=None, prepare=None, lacking=(), wrapper=()):
        self.name, self.argv, self.reasons = name, argv, reasons.split(" ")
        self.control, self.control_argv, self.prepare = control, control_argv, prepare
        self.lacking, self.wrapper = lacking, wrapper
        harness.test(name)(lambda world: try_probe(world, self))


def remove(path):
    """The thing is missing when the room starts."""
    def prepare(scene):
        target = scene.world.workspace / path
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    return prepare


# ---- files ---------------------------------------------------------------------------------------------------------
Probe("files: a private key by its absolute path", "read {home}/.ssh/id_ed25519", "ENOENT")
Probe("files: .netrc", "read {home}/.netrc", "ENOENT")
Probe("files: the shell's history", "read {home}/.bash_history", "ENOENT")
Probe("files: a private key by ..", "read ../.ssh/id_ed25519", "ENOENT")
Probe("files: through a symbolic link made inside", "symlink {home}/.ssh/id_ed25519", "ENOENT")
Probe("files: through a symbolic link that lay there before", "read planted", "ENOENT")
Probe("files: through a hard link", "hardlink {home}/.netrc", "ENOENT")
Probe("files: the names in the home folder", "list {home} .netrc", "absent")
Probe("files: through /proc/PID/root", "proc-root {home}/.netrc", "ENOENT EACCES")
Probe("files: through /proc/PID/cwd", "proc-cwd ../.netrc", "ENOENT EACCES")
Probe("files: the host's /tmp", "read {tmp_file}", "ENOENT")
Probe("files: the host's /dev/shm", "read {shm_file}", "ENOENT")
Probe("files: the runtime folder", "read {runtime_file}", "ENOENT")
Probe("files: /etc beyond what programs need", "read {system_file}", "ENOENT")
Probe("files: the machine's id", "file-tells /etc/machine-id {machine_id}", "absent ENOENT")
Probe("files: the other users' names", "file-tells /etc/passwd {neighbour}:", "absent")
Probe("kernel: the names of the owner's keys", "file-tells /proc/keys {key}", "absent ENOENT EACCES", lacking=("ENOENT",))
Probe("files: the machine's name", "uname-tells {host}", "absent")
Probe("files: /sys", "read /sys/kernel/uevent_seqnum", "ENOENT")
Probe("files: a device of the host", "stat {device}", "ENOENT")
Probe("files: a terminal of the host", "open-device {foreign_terminal}", "ENOENT")
Probe("files: a file that the caller left open", "inherited-fd", "EBADF", prepare=lambda scene: scene["open_file"])
Probe("files: a folder that the caller left open", "inherited-folder {open_folder} .netrc", "EBADF")
Probe("files: /dev/fd of what the caller left open", "dev-fd {open_file}", "ENOENT")
Probe("files: the caller's environment", "proc-environ {token}", "absent")
Probe("files: the environment of process 1", "environ-of 1", "empty EACCES", control_argv="environ-of self")

# ---- what is granted for reading -----------------------------------------------------------------------------------
Probe("read-only: append to a file", "append {home}/docs/notes.txt", "EROFS")
Probe("read-only: make a file", "create {home}/docs/new.txt", "EROFS")
Probe("read-only: remove a file", "unlink {home}/docs/notes.txt", "EROFS EBUSY")
Probe("read-only: change a mode", "chmod {home}/docs/notes.txt", "EROFS")
Probe("read-only: set an attribute", "setxattr {home}/docs/notes.txt", "EROFS", lacking=("EOPNOTSUPP",))
Probe("read-only: move it away", "rename {home}/docs {home}/elsewhere", "EBUSY EROFS")
Probe("read-only: the room's root", "mkdir /probe-new", "EROFS EACCES", control=floor)
Probe("read-only: the room's /etc", "create /etc/probe-new", "EROFS EACCES", control=floor)
Probe("read-only: the room's /run", "mkdir /run/probe-new", "EROFS EACCES", control=floor)

# ---- what is protected ---------------------------------------------------------------------------------------------
Probe("protected: append to .git/config", "append .git/config", "EROFS")
Probe("protected: truncate .git/config", "truncate .git/config", "EROFS")
Probe("protected: make a git hook", "create .git/hooks/pre-commit", "EROFS")
Probe("protected: change a git hook", "append .git/hooks/pre-push", "EROFS")
Probe("protected: make a hook executable for all", "chmod .git/hooks/pre-push", "EROFS")
Probe("protected: append to .envrc", "append .envrc", "EROFS")
Probe("protected: append to .vscode/tasks.json", "append .vscode/tasks.json", "EROFS")
Probe("protected: set an attribute", "setxattr .envrc", "EROFS", lacking=("EOPNOTSUPP",))
Probe("protected: remove .git/config", "unlink .git/config", "EBUSY EROFS")
Probe("protected: remove .envrc", "unlink .envrc", "EBUSY EROFS")
Probe("protected: move .git away", "rename .git moved", "EBUSY")
Probe("protected: move .git/hooks away", "rename .git/hooks moved", "EBUSY EXDEV")
Probe("protected: move .vscode away", "rename .vscode moved", "EBUSY EXDEV")
Probe("protected: move .envrc away", "rename .envrc moved", "EBUSY EXDEV")
Probe("protected: move the workspace away", "rename {work} {home}/moved", "EBUSY EXDEV EROFS")
Probe("protected: rename a file over .git/config", "rename-over .git/config", "EBUSY EXDEV EROFS")
Probe("protected: rename a file over .envrc", "rename-over .envrc", "EBUSY EXDEV")
Probe("protected: exchange .git/config with another", "exchange .git/config", "EBUSY EXDEV EROFS")
Probe("protected: exchange .envrc with another", "exchange .envrc", "EBUSY EXDEV")
Probe("protected: a symbolic link in place of .git/hooks", "replace-by-link .git/hooks", "EBUSY EROFS")
Probe("protected: a symbolic link in place of .vscode", "replace-by-link .vscode", "EBUSY EROFS")
Probe("protected: write through a hard link", "write-by-link .envrc", "EXDEV EROFS")
Probe("protected: write through /proc/self/cwd", "through-proc .envrc", "EROFS")
Probe("protected: open again through /proc/self/fd", "reopen .git/config", "EROFS")
Probe("protected: fill .vscode when it is missing", "create .vscode/tasks.json", "EROFS EACCES",
      prepare=remove(".vscode"), control_argv="mkdir .vscode")
Probe("protected: move the missing .vscode away", "rename .vscode moved", "EBUSY EXDEV", prepare=remove(".vscode"),
      control_argv="mkdir .vscode")
Probe("protected: fill .git/hooks when it is missing", "create .git/hooks/pre-commit", "EROFS EACCES",
      prepare=remove(".git/hooks"), control_argv="mkdir .git/hooks")

# ---- what is hidden ------------------------------------------------------------------------------------------------
Probe("hidden: read a file", "read hidden.env", "EACCES empty")
Probe("hidden: read in a folder", "read secrets/key", "ENOENT EACCES")
Probe("hidden: the names in a folder", "list secrets key", "absent EACCES")
Probe("hidden: the size of a file", "size hidden.env", "empty EACCES")
Probe("hidden: write to a file", "append hidden.env", "EACCES EROFS")
Probe("hidden: make a file in a folder", "create secrets/new", "EACCES EROFS")
Probe("hidden: remove what covers a file", "unlink hidden.env", "EBUSY")
Probe("hidden: remove what covers a folder", "rmdir secrets", "EBUSY EACCES", prepare=lambda scene: (
    (scene.world.workspace / "secrets" / "key").unlink()))
Probe("hidden: move a file away", "rename hidden.env moved", "EBUSY EXDEV")
Probe("hidden: link a file", "hardlink hidden.env", "EXDEV EPERM EACCES")
Probe("hidden: make a file readable", "chmod hidden.env", "EROFS EPERM")
Probe("hidden: move the folder around it", "move-and-read conf private/key", "EBUSY EACCES ENOENT empty")
Probe("hidden: unmount what covers a file", "umount hidden.env", "EPERM", control=bare, control_argv="umount /tmp")

# ---- sockets and networks ------------------------------------------------------------------------------------------
Probe("sockets: a service in /tmp", "unix-stream {tmp_socket}", "ENOENT")
Probe("sockets: a datagram service in /tmp", "unix-datagram {datagram_socket}", "ENOENT")
Probe("sockets: the session bus", "unix-stream {bus}", "ENOENT")
Probe("sockets: the ssh agent", "unix-stream {ssh_agent}", "ENOENT")
Probe("sockets: docker.sock", "unix-stream {docker}", "ENOENT")
Probe("sockets: an abstract name", "unix-stream {abstract}", "ECONNREFUSED")
Probe("sockets: X11's abstract name", "unix-stream {x11}", "ECONNREFUSED")
Probe("network: the host's loopback", "tcp 127.0.0.1 {port}", "ECONNREFUSED")
Probe("network: the host's IPv6 loopback", "tcp ::1 {port6}", "ECONNREFUSED")
Probe("network: the host's own address", "tcp {own_address} {own_port}", "ENETUNREACH ECONNREFUSED EHOSTUNREACH")
Probe("network: a datagram to the host's loopback", "udp 127.0.0.1 {udp_port}", "ECONNREFUSED")
Probe("network: a datagram to the host's own address", "udp {own_address} {own_udp_port}",
      "ENETUNREACH ECONNREFUSED EHOSTUNREACH")
NO_MODULE = ("EAFNOSUPPORT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT")
Probe("network: a raw socket", "socket 2 3 1", "EPERM EPROTONOSUPPORT", control=bare)
Probe("network: a raw IPv6 socket", "socket 10 3 58", "EPERM EPROTONOSUPPORT", control=bare, lacking=("EAFNOSUPPORT",))
Probe("network: a packet socket", "socket 17 3 0", "EAFNOSUPPORT", control=bare, lacking=NO_MODULE)
Probe("network: a packet socket by its old name", "socket 2 10 0", "EPERM", control=bare, lacking=NO_MODULE)
Probe("network: vsock, which no namespace separates", "socket 40 1 0", "EAFNOSUPPORT", lacking=NO_MODULE)
Probe("network: vsock with a bit that the kernel drops", "socket-high 40 1 0", "EAFNOSUPPORT", lacking=NO_MODULE)
Probe("network: kernel events by netlink", "socket 16 3 15", "EPROTONOSUPPORT")
Probe("network: generic netlink", "socket 16 3 16", "EPROTONOSUPPORT")
Probe("network: multipath TCP", "socket 2 1 262", "EPROTONOSUPPORT", lacking=NO_MODULE)
Probe("network: a socket that takes an hour to close", "linger", "ENOPROTOOPT")

# ---- other doors of the kernel -------------------------------------------------------------------------------------
NOT_BUILT = ("ENOSYS", "EPERM", "EACCES")
if os.uname().machine == "x86_64":
    Probe("abi: a call of i386", "i386", "SIGSYS", lacking=("SIGSEGV",))
    Probe("abi: a call of x32", "x32 39", "SIGSYS")
    Probe("abi: x32's own ptrace", "x32 521", "SIGSYS")
    Probe("kernel: the segments of 16-bit programs", "modify-ldt", "ENOSYS", lacking=NOT_BUILT)
Probe("abi: clone3 with a namespace", "clone3", "ENOSYS")
Probe("terminal: TIOCSTI", "terminal-ioctl 0x5412 0", "EPERM")
Probe("terminal: TIOCSTI with a bit that the kernel drops", "terminal-ioctl 0x5412 1", "EPERM")
Probe("terminal: TIOCSTI with all of them", "terminal-ioctl 0x5412 0x7fffffff", "EPERM")
Probe("terminal: TIOCLINUX", "terminal-ioctl 0x541c 0", "EPERM")
Probe("terminal: TIOCSETD", "terminal-ioctl 0x5423 0x80", "EPERM")
Probe("kernel: io_uring", "io-uring", "ENOSYS", lacking=NOT_BUILT)
Probe("kernel: the owner's keys", "read-key {key}", "ENOSYS", lacking=NOT_BUILT)
Probe("kernel: ask for a key", "request-key {key}", "ENOSYS", lacking=NOT_BUILT)
Probe("kernel: performance counters", "perf", "EPERM", lacking=("ENOSYS", "EACCES"))
Probe("kernel: page faults in user space", "userfaultfd", "EPERM", lacking=NOT_BUILT)
Probe("kernel: fanotify", "fanotify", "EPERM", lacking=NOT_BUILT)
Probe("kernel: no address randomisation", "personality", "EPERM")
Probe("kernel: a file's handle", "file-handle .envrc", "EOPNOTSUPP", lacking=("EOPNOTSUPP",))
Probe("kernel: a device node", "mknod probe-node", "EPERM", lacking=("EPERM",))
Probe("kernel: the machine's name", "sethostname", "EPERM", control=bare)
Probe("kernel: the machine's clock", "adjtimex", "EPERM")
Probe("kernel: a setting in /proc/sys", "open-for-writing /proc/sys/net/ipv4/ip_unprivileged_port_start", "EROFS EACCES",
      control=bare)
Probe("kernel: new privileges by a setuid program", "new-privileges", "no_new_privs")
Probe("kernel: system calls without a filter", "no-filter", "filtered")
Probe("kernel: capabilities", "capabilities", "none")

# ---- rooms within the room -----------------------------------------------------------------------------------------
Probe("nesting: a user namespace by unshare", "unshare 0x10000000 0", "EPERM")
Probe("nesting: all namespaces at once", "unshare 0x7e020000 0", "EPERM")
Probe("nesting: with a bit that the kernel drops", "clone-user 1", "EPERM")
Probe("nesting: a user namespace by clone", "clone-user 0", "EPERM")
Probe("nesting: enter a namespace of process 1", "setns /proc/1/ns/mnt", "EACCES EPERM", control=bare,
      control_argv="setns /proc/self/ns/uts")
Probe("nesting: enter a namespace of its own", "setns /proc/self/ns/uts", "EPERM", control=bare)
Probe("mounts: a tmpfs over the workspace", "mount {work}", "EPERM", control=bare)
Probe("mounts: the whole tree once more", "bind-root {work}", "EPERM", control=bare)
Probe("mounts: make a protected file writable", "remount .git/config", "EPERM", control=bare, control_argv="remount {work}")
Probe("mounts: make it writable the new way", "mount-setattr .git/config", "EPERM", control=bare,
      control_argv="mount-setattr {work}")
Probe("mounts: clone a tree", "open-tree {home}", "EPERM", control=bare)
Probe("mounts: move a mount", "move-mount /proc /tmp", "EPERM", control=bare)
Probe("mounts: a new filesystem", "fsopen", "EPERM", control=bare)
Probe("mounts: change a filesystem", "fspick /tmp", "EPERM", control=bare)
Probe("mounts: list them by number", "listmount", "ENOSYS", lacking=("ENOSYS",))
Probe("mounts: chroot", "chroot /tmp", "EPERM", control=bare)
Probe("mounts: pivot_root", "pivot-root .", "EPERM", control=bare)

# ---- other processes -----------------------------------------------------------------------------------------------
Probe("processes: see one of the host", "see {victim}", "ENOENT")
Probe("processes: signal one of the host", "kill {victim}", "ESRCH")
Probe("processes: signal everybody", "kill-all {victim}", "ESRCH", control=bare, control_argv="kill-all",
      wrapper=("sh", "-c", 'sleep 600 & exec "$@" $!', "sh"))
Probe("processes: signal the group of the caller", "kill-group {victim}", "ESRCH", control_argv="kill-group",
      wrapper=("sh", "-c", 'sleep 600 & exec "$@" $!', "sh"))
Probe("processes: trace another", "ptrace child", "EPERM", lacking=("EPERM",))
Probe("processes: trace process 1", "ptrace 1", "EPERM", control_argv="ptrace child", lacking=("EPERM",))
Probe("processes: read another's memory", "process-vm-readv child", "EPERM", lacking=("ENOSYS", "EPERM"))
Probe("processes: write another's memory", "process-vm-writev child", "EPERM", lacking=("ENOSYS", "EPERM"))
Probe("processes: the memory file of process 1", "proc-mem 1", "EACCES", control_argv="proc-mem child", lacking=("EACCES",))
Probe("processes: take another's descriptor", "pidfd-getfd child", "EPERM", lacking=("ENOSYS", "EPERM"))
Probe("processes: compare with another", "kcmp child", "EPERM", lacking=("ENOSYS", "EPERM"))
Probe("processes: shared memory of the host", "shared-memory {shared_memory}", "ENOENT")
Probe("processes: a message queue of the host", "message-queue {message_queue}", "ENOENT", lacking=("ENOSYS",))

# ---- limits --------------------------------------------------------------------------------------------------------
Probe("limits: a file that takes a minute to open", "lease {work}/leased", "EINVAL")
Probe("limits: a core file", "core-limit", "EPERM", lacking=("EPERM",))
Probe("limits: more processes", "processes 200", "EAGAIN")
Probe("limits: more open files", "files 200", "EMFILE")
Probe("limits: a bigger file", "big-file {work}/big 4194304", "EFBIG")
Probe("limits: more of the private home", "big-file {home}/big 1572864", "ENOSPC")
Probe("limits: more of /tmp", "big-file /tmp/probe-big 1572864", "ENOSPC")
Probe("limits: more of /dev/shm", "big-file /dev/shm/probe-big 1572864", "ENOSPC")


# ---- what no single answer shows -----------------------------------------------------------------------------------

@harness.test("protected: a missing file that direnv would run does not stay")
def missing_file_kind(world):
    make_owner(world)
    scene = Scene(world)
    remove(".envrc")(scene)
    result = room(scene, ["./probe", "create", ".envrc"])
    expect(not (world.workspace / ".envrc").exists(), "the file that the agent made is still there", result)
    verdict(outside(scene, ["./probe", "create", ".envrc"]))
    expect((world.workspace / ".envrc").exists(), "the control made no file")


@harness.test("files: what is written to the private home and to /tmp stays in the room")
def private_places(world):
    make_owner(world)
    scene, name = Scene(world), f"probe-stray-{os.getpid()}"
    for path in (world.home / name, "/tmp/" + name, "/dev/shm/" + name):
        expect(verdict(room(scene, ["./probe", "create", str(path)]))[0] == "ALLOWED", f"{path} can't be written")
        expect(not os.path.exists(path), f"{path} appeared outside")
        expect(verdict(outside(scene, ["./probe", "create", str(path)]))[0] == "ALLOWED", "the control failed")
        expect(os.path.exists(path), "the control made no file")
        os.unlink(path)


if __name__ == "__main__":
    if not os.access(PROBE, os.X_OK):
        harness.no_tests(f"no probes at {PROBE}")
    harness.run_tests()
