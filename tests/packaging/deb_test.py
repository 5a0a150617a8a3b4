#!/usr/bin/env python3
"""The Debian package, built from the release's tarball: what lintian says, what it holds, and whether it runs in a root
that has nothing but what it depends on."""

import functools
import os
import pathlib
import re
import shutil
import subprocess

import install_test
import release
from release import need, run, scratch, tap

PACKAGE = "agentbox"


@functools.cache
def built():
    """The folder with the .deb, its .changes and the source package."""
    for program in ("dpkg-buildpackage", "dh", "lintian"):
        need(program)
    tree = release.unpacked()
    folder = release.configured("/usr")
    release.compiled(folder)
    debian_version = run("dpkg-parsechangelog", "-l", tree / "packaging/debian/changelog", "-S", "Version").strip()
    assert debian_version.rpartition("-")[0] == install_test.version(), debian_version
    run("cp", "-r", tree / "packaging/debian", tree / "debian")
    run("cp", release.tarball(), scratch() / f"agentbox_{install_test.version()}.orig.tar.gz")
    # Without signing, and with the check that what it builds with is installed.
    run("dpkg-buildpackage", "-us", "-uc", cwd=tree,
        env=release.environment(AGENTBOX_BUILT=str(folder), DEB_BUILD_OPTIONS="noautodbgsym"))  # built without symbols
    return scratch()


def deb():
    found = list(built().glob(f"{PACKAGE}_*.deb"))
    assert len(found) == 1, found
    return found[0]


def fields(*names):
    return {name: run("dpkg-deb", "-f", deb(), name).strip() for name in names}


def test_lintian():
    """lintian has no error and no warning, of the package and of its source"""
    changes = list(built().glob("*.changes"))
    said = run("lintian", "--fail-on", "none", "--display-level", ">=warning", *changes, timeout=300)
    tap.equal(said, "")
    # Each override has its reason above it.
    lines = (release.SOURCE / "packaging/debian/agentbox.lintian-overrides").read_text().splitlines()
    assert lines and lines[0].startswith("# "), lines
    # The control: what has no copyright is noticed.
    copy = scratch() / "wrong"
    run("dpkg-deb", "-R", deb(), copy)
    run("rm", copy / "usr/share/doc/agentbox/copyright")
    run("dpkg-deb", "--root-owner-group", "-b", copy, scratch() / "wrong.deb")
    tap.contains(run("lintian", "--fail-on", "none", scratch() / "wrong.deb", timeout=300), "no-copyright-file")


def test_contents():
    """It holds what an installation holds, where Debian wants it, owned by root"""
    listed = run("dpkg-deb", "-c", deb())
    found = set()
    for line in listed.splitlines():
        mode, owner, _, _, _, name = line.split(maxsplit=5)
        assert owner == "root/root" and mode[8] != "w" and "s" not in mode, line
        if mode[0] != "d":
            found.add(name.removeprefix("."))
    def moved(path):
        path = path.replace("/zsh/site-functions/", "/zsh/vendor-completions/")
        return path + ".gz" if "/share/man/" in path else path
    doc = "/usr/share/doc/agentbox/"
    added = {doc + "changelog.Debian.gz", doc + "changelog.gz", doc + "copyright", "/usr/share/lintian/overrides/agentbox"}
    tap.equal(sorted(found), sorted({moved(path) for path in install_test.wanted("/usr")} | added))


def test_depends():
    """It depends on each library that it can't keep its promises without"""
    said = fields("Depends", "Recommends")
    depends = {re.split(r"[ (]", part.strip())[0] for part in said["Depends"].split(",")}
    copy = scratch() / "extracted"
    run("dpkg-deb", "-x", deb(), copy)
    linked = run("ldd", copy / "usr/bin/agentbox")
    for path in re.findall(r"=> (/\S+)", linked):
        # The file may be listed without the link from /lib to /usr/lib.
        owners = subprocess.run(["dpkg-query", "-S", path, os.path.realpath(path), path.removeprefix("/usr")],
                                capture_output=True, text=True, check=False).stdout
        names = {line.split(":")[0] for line in owners.splitlines()}
        assert names & depends or "libc6" in names, (path, names, depends)
    for program in ("agentbox-init", "agentbox-room"):
        tap.contains(run("ldd", copy / "usr/libexec/agentbox" / program, code=1), "not a dynamic executable")
    # Loaded when they are first needed, so that no linker knows of them: the record, without which nothing is done; the
    # rules that bring every connection to the gate, without which only programs that know a proxy reach it.
    assert {"bubblewrap", "libsqlite3-0", "libnftables1"} <= depends, depends
    # Without the public suffixes a question offers less to remember; without OpenSSL no reviewer is asked over https.
    for name in ("libpsl5", "libssl3"):
        tap.contains(said["Recommends"], name)
    # Each library that is loaded by its name is one of these: the next one must be thought of here.
    names = "".join(path.read_text() for path in (release.SOURCE / "src").rglob("*.[ch]pp")) + \
            (release.SOURCE / "meson_options.txt").read_text()
    tap.equal(set(re.findall(r"['\"](lib\w+\.so\.\d+)['\"]", names)),
              {"libsqlite3.so.0", "libnftables.so.1", "libpsl.so.5", "libssl.so.3"})


# ---- a clean root -------------------------------------------------------------------------------------------------


def paragraphs():
    """name → its paragraph in dpkg's own record, of what is installed."""
    found = {}
    for text in pathlib.Path("/var/lib/dpkg/status").read_text(encoding="utf-8").split("\n\n"):
        if "\nStatus: install ok installed\n" in text:
            found[re.match(r"Package: (\S+)", text)[1]] = text + "\n"
    return found


def closure(names, known):
    """These packages and all that they depend on."""
    provided = {}
    for name, text in known.items():
        for each in re.findall(r"^Provides: (.*)$", text, re.M):
            for part in each.split(","):
                provided.setdefault(re.split(r"[ (:]", part.strip())[0], name)
    seen, todo = set(), list(names)
    while todo:
        alternatives = [re.split(r"[ (:]", each.strip())[0] for each in todo.pop().split("|")]
        name = next((one for one in alternatives if one in known), None)
        name = name or next((provided[one] for one in alternatives if one in provided), None)
        assert name, f"none of {alternatives} is installed here"
        if name not in seen:
            seen.add(name)
            for each in re.findall(r"^(?:Pre-)?Depends: (.*)$", known[name], re.M):
                todo += each.split(",")
    return seen


def make_root(names, known):
    """A root with the files of these packages alone, and dpkg's record of them."""
    root = scratch() / "root"
    if root.exists():
        shutil.rmtree(root)
    root.mkdir(mode=0o755)
    info = pathlib.Path("/var/lib/dpkg/info")
    listed = subprocess.run(["dpkg-query", "-L", *sorted(names)], capture_output=True, text=True, check=True).stdout
    paths = {line for line in listed.splitlines() if line.startswith("/") and os.path.lexists(line)}
    paths |= {"/bin", "/sbin", "/lib", "/lib64"}  # which are links into /usr, and no package's
    records = [path for name in names for path in info.glob(f"{name}[.:]*")]
    paths |= {str(path) for path in records} | {str(info / "format")}
    # Not the links' own places again through them.
    paths = {path for path in paths if os.path.realpath(os.path.dirname(path)) == os.path.dirname(path)
             or not path.startswith(("/bin/", "/sbin/", "/lib/", "/lib64/"))} | \
            {os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)) for path in paths
             if path.startswith(("/bin/", "/sbin/", "/lib/", "/lib64/"))}
    names_file = scratch() / "paths"
    names_file.write_text("\n".join(path.lstrip("/") for path in sorted(paths) if path != "/."))
    subprocess.run(["sh", "-c", f"tar -C / --no-recursion -cf - -T {names_file} | tar -C {root} -xpf -"], check=True)
    (root / "var/lib/dpkg/updates").mkdir(parents=True, exist_ok=True)
    (root / "var/lib/dpkg/status").write_text("\n".join(known[name] for name in sorted(names)), encoding="utf-8")
    user = release.owner()
    (root / "etc/passwd").write_text(f"root:x:0:0::/root:/bin/sh\nalice:x:{user.pw_uid}:{user.pw_gid}::/home/alice:/bin/bash\n")
    (root / "etc/group").write_text(f"root:x:0:\nalice:x:{user.pw_gid}:\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    home = root / "home/alice"
    home.mkdir(parents=True)
    os.chown(home, user.pw_uid, user.pw_gid)
    for name in ("proc", "dev", "sys", "tmp", "run", "old"):
        (root / name).mkdir(exist_ok=True)
    shutil.copy(deb(), root / "agentbox.deb")
    return root


def in_root(root, script):
    """Runs it as root of that root: a change of the root, not chroot, in which no user namespace can be made."""
    enter = f"""set -e
mount --bind {root} {root}
cd {root}
mount --rbind /proc proc; mount --rbind /dev dev; mount --rbind /sys sys
mount -t tmpfs -o mode=1777 tmp tmp; mount -t tmpfs run run
pivot_root . old
exec /bin/sh -c 'umount -l /old; cd /; exec /bin/sh -e /script' """
    (root / "script").write_text(script)
    env = {"PATH": release.PATH, "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"}
    done = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", enter], env=env,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=300, check=False)
    return done.returncode, done.stdout


AS_ALICE = "setpriv --reuid=alice --regid=alice --init-groups env -i HOME=/home/alice USER=alice PATH=/usr/bin:/bin LANG=C.UTF-8"


def test_clean_root():
    """In a root with its dependencies alone, dpkg installs it, an ordinary user runs it, and dpkg removes all of it"""
    if os.geteuid() != 0:
        raise tap.Skip("only root can change the root")
    known = paragraphs()
    essential = {name for name, text in known.items() if re.search(r"^(Essential|Priority): (yes|required)$", text, re.M)}
    names = closure([*sorted(essential), *fields("Depends")["Depends"].split(",")], known)
    assert not names & {"g++", "meson", "libpsl5", "libfmt-dev"}, "it holds what a builder has"
    root = make_root(names, known)
    code, said = in_root(root, f"""
ldconfig
find / -xdev -not -path '/var/*' | sort > /tmp/before
dpkg -i /agentbox.deb
dpkg --audit
cd /home/alice
{AS_ALICE} agentbox --version
{AS_ALICE} agentbox doctor
{AS_ALICE} agentbox demo
{AS_ALICE} mkdir project; cd project
{AS_ALICE} agentbox run default -- sh -c 'echo in the room'
test ! -e /etc/apparmor.d/agentbox
cd /
dpkg --purge agentbox
rm -rf /home/alice/.[a-z]* /home/alice/[a-z]*
find / -xdev -not -path '/var/*' | sort > /tmp/after
diff /tmp/before /tmp/after
""")
    assert code == 0, said
    for part in (f"agentbox {install_test.version()}\n", "Rooms can be built on this machine.",
                 " refused; 1 file changed in the workspace: README.md", "nothing happened that was not allowed",
                 "every connection of a room comes to the gate", "\nin the room\n"):
        tap.contains(said, part)


def test_missing_dependency():
    """The control: without one of them dpkg refuses to configure it"""
    if os.geteuid() != 0:
        raise tap.Skip("only root can change the root")
    known = paragraphs()
    essential = {name for name, text in known.items() if re.search(r"^(Essential|Priority): (yes|required)$", text, re.M)}
    names = closure([*sorted(essential), *fields("Depends")["Depends"].split(",")], known) - {"bubblewrap"}
    root = scratch() / "root"
    (root / "var/lib/dpkg/status").write_text("\n".join(known[name] for name in sorted(names)), encoding="utf-8")
    code, said = in_root(root, "dpkg -i /agentbox.deb")
    tap.equal(code, 1)
    tap.contains(said, "agentbox depends on bubblewrap")


def test_apparmor_link():
    """Where AppArmor 4 is, its profile is put into place; what the administrator has there stays; removal takes it back"""
    if os.geteuid() != 0:
        raise tap.Skip("only root can change the root")
    code, said = in_root(scratch() / "root", """
profile=/etc/apparmor.d/agentbox
mkdir -p /etc/apparmor.d/abi; : > /etc/apparmor.d/abi/4.0
dpkg -i --force-depends /agentbox.deb
echo "link: $(readlink $profile)"; grep -c userns, $profile
dpkg --remove --force-depends agentbox
test ! -L $profile; echo gone
echo mine > $profile
dpkg -i --force-depends /agentbox.deb
dpkg --purge --force-depends agentbox
cat $profile
""")
    assert code == 0, said
    tap.contains(said, "link: /usr/share/agentbox/apparmor/agentbox\n")
    tap.contains(said, "gone\n")
    assert said.endswith("mine\n"), said


if __name__ == "__main__":
    tap.run(globals())
