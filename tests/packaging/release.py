"""A release of this checkout: the tarball that `meson dist` makes, unpacked, and built where it lies.

What was compiled already is not compiled again. A source of the tarball that is, byte by byte, the one in the checkout
gets that one's time, and the objects are copied beside it: ninja then compiles what it finds to be different or missing,
as the tarball's own build files say. So a file that the tarball lacks, or that another prefix changes, is noticed.

    AGENTBOX_SOURCE     the checkout
    AGENTBOX_BUILD      where it was built: build/release in the checkout
    AGENTBOX_TEST_USER  whom to become when root runs the tests
"""

import functools
import hashlib
import json
import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import tarfile
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import tap  # noqa: E402

SOURCE = pathlib.Path(os.environ.get("AGENTBOX_SOURCE") or pathlib.Path(__file__).resolve().parents[2])
BUILT = pathlib.Path(os.environ.get("AGENTBOX_BUILD") or SOURCE / "build/release")
# The system's own programs: a Python of the user's home may shadow what meson and dpkg are written for.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def need(program):
    path = shutil.which(program, path=PATH)
    if path is None:
        raise tap.Skip(f"{program} is not installed")
    return path


@functools.cache
def owner():
    """The ordinary user who does everything but what takes root."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    name = os.environ.get("AGENTBOX_TEST_USER")
    if not name:
        raise tap.Skip("root needs AGENTBOX_TEST_USER")
    return pwd.getpwnam(name)


@functools.cache
def scratch():
    """A folder of the ordinary user's, that goes at the end; its path holds no symbolic link."""
    folder = tempfile.TemporaryDirectory(prefix="agentbox-release-", dir="/var/tmp")  # /tmp may be small, and in memory
    os.chmod(folder.name, 0o755)
    os.chown(folder.name, owner().pw_uid, owner().pw_gid)
    scratch.keep = folder
    return pathlib.Path(folder.name)


@functools.cache
def own(name):
    """A folder below the scratch one that only the ordinary user opens."""
    folder = scratch() / name
    folder.mkdir(mode=0o700)
    os.chown(folder, owner().pw_uid, owner().pw_gid)
    return folder


def environment(**more):
    home = own("home")
    kept = {name: os.environ[name] for name in ("TERM",) if name in os.environ}
    return {**kept, "PATH": PATH, "HOME": str(home), "LANG": "C.UTF-8", "USER": owner().pw_name,
            "LOGNAME": owner().pw_name, "SHELL": "/bin/bash", "PYTHONDONTWRITEBYTECODE": "1",
            # Nothing may stay behind in /tmp: lintian leaves files, and a room its folder where there is no other.
            "TMPDIR": str(own("tmp")), "XDG_RUNTIME_DIR": str(own("runtime")),
            # The checkout may belong to somebody else, which git doesn't like.
            "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*", **more}


def run(*words, code=0, cwd=None, timeout=900, env=None):
    """As the ordinary user; fails unless it ends with `code`. Returns what it printed, all of it."""
    how = {}
    if os.geteuid() == 0:
        how = {"user": owner().pw_uid, "group": owner().pw_gid, "extra_groups": []}
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False, umask=0o022,
                          cwd=cwd or scratch(), env=env or environment(), **how)
    assert done.returncode == code, f"{' '.join(map(str, words))}: {done.returncode}\n{done.stdout[-4000:]}"
    return done.stdout


@functools.cache
def repository():
    """The checkout; where that is no repository, or none that the ordinary user can read, one made of its files."""
    need("git")
    try:
        run("git", "-C", SOURCE, "rev-parse", "--verify", "HEAD")
        return SOURCE
    except AssertionError:
        copy = scratch() / "checkout"
    shutil.copytree(SOURCE, copy, symlinks=True,
                    ignore=lambda folder, _: {"build", ".git"} if pathlib.Path(folder) == SOURCE else {"__pycache__"})
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", f"{owner().pw_uid}:{owner().pw_gid}", copy], check=True)
    run("git", "init", "--quiet", copy)
    run("git", "-C", copy, "add", "--all")
    run("git", "-C", copy, "-c", "user.name=Tests", "-c", "user.email=tests@example.org", "commit", "--quiet", "-m", "as it is")
    return copy


def git(*words):
    return run("git", "-C", repository(), *words)


@functools.cache
def options():
    """What the checkout's build was configured with, as far as it changes an object."""
    if not (BUILT / "build.ninja").exists() or BUILT.relative_to(SOURCE) != pathlib.Path("build/release"):
        raise tap.Skip("the checkout must be built in build/release: ./bootstrap build")
    same = ("buildtype", "debug", "optimization", "werror", "b_pch", "b_pie", "static_cxx", "warning_level")
    found = json.loads((BUILT / "meson-info/intro-buildoptions.json").read_text())
    return [f"-D{each['name']}={str(each['value']).lower()}" for each in found if each["name"] in same]


def compiler():
    """CXX, as it was given: a command may begin with ccache."""
    words = json.loads((BUILT / "compile_commands.json").read_text())[0]["command"].split(" -")[0]
    return words.strip()


@functools.cache
def tarball():
    """What `meson dist` makes of the last commit."""
    folder = scratch() / "dist"
    run(need("meson"), "setup", folder, repository(), "-Dtests=false", env=environment(CXX=compiler()))
    run("meson", "dist", "-C", folder, "--no-tests", "--formats", "gztar", "--allow-dirty")
    made = list((folder / "meson-dist").glob("*.tar.gz"))
    assert len(made) == 1, made
    return made[0]


@functools.cache
def unpacked():
    """The tarball's tree, with the checkout's objects, not yet configured."""
    options()
    run("tar", "-xf", tarball(), "-C", scratch())
    tree = scratch() / tarball().name.removesuffix(".tar.gz")
    for path in tree.rglob("*"):
        twin = SOURCE / path.relative_to(tree)
        if path.is_file() and twin.is_file() and path.read_bytes() == twin.read_bytes():
            os.utime(path, ns=(twin.stat().st_atime_ns, twin.stat().st_mtime_ns))
        elif path.is_file():
            os.utime(path)
    return tree


def configured(prefix, **more):
    """Configures build/release of the unpacked release, with the objects that are there already."""
    folder = unpacked() / "build/release"
    first = not folder.exists()
    if first:
        run("meson", "setup", folder, unpacked(), "-Dtests=false", f"-Dprefix={prefix}", *options(),
            env=environment(CXX=compiler(), **more))
        listed = [str(path.relative_to(BUILT)) for top in ("src", "libraries", "man") for path in (BUILT / top).rglob("*")
                  if path.is_file() and path.suffix in (".o", ".a", "") and path.name != "folders.hpp"]
        names = scratch() / "objects"
        names.write_text("\n".join([*listed, ".ninja_log", ".ninja_deps"]))
        os.chmod(names, 0o644)
        run("sh", "-c", f"tar -C {BUILT} -cf - -T {names} | tar -C {folder} -xf -")
    else:
        run("meson", "configure", folder, f"-Dprefix={prefix}")
    return folder


def compiled(folder):
    """Builds it; returns the lines of what was compiled."""
    said = run("ninja", "-C", folder, "-v", timeout=1800)
    return [line for line in said.splitlines() if " -c ../../src/" in line]


def blobs():
    """path → the hash that git has of it, of the last commit."""
    lines = git("ls-tree", "-r", "HEAD").splitlines()
    return {path: head.split()[2] for head, path in (line.split("\t") for line in lines)}


def hashed(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def members():
    """path → the hash that git would have of it, of the tarball."""
    with tarfile.open(tarball()) as archive:
        return {member.name.partition("/")[2]: hashed(archive.extractfile(member).read())
                for member in archive if member.isfile()}


def files_below(folder):
    """Every file and link below it, as paths from there."""
    return sorted("/" + str(path.relative_to(folder)) for path in folder.rglob("*")
                  if path.is_symlink() or not path.is_dir())
