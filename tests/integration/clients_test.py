"""Real clients through the network gate: each with a grant, with a question that is answered, and with a denial that it
tells its user at once and in its own words. None of them knows that there is a gate."""

import os
import shutil
import time

from client_servers import git_daemon, git_pages, greet_like_ssh, hello, registry_pages, repository, site
from gate_world import Net, certificate, granted
from harness import Skipped, agentbox_binary, expect, expect_equal, need_program, run_tests, test
from servers import PYTHON, Server
from terminal import Tmux

NAME = "far.example"
QUICK = 3  # seconds, with the start of the room


def three_ways(world, server, command, worked, denied, clean=lambda: None):
    """`command` (a shell line; PORT is the server's) says `worked` with a grant and after one yes, and one of `denied` when
    it may not."""
    line = command.replace("PORT", str(server.port))
    net = Net(world, {NAME: "127.0.0.1"}, granted(server, NAME))
    done = net.room("sh", "-c", line)
    expect(done.code == 0 and worked in done.text + done.errors, "with a grant", done)
    clean()

    net = Net(world, {NAME: "127.0.0.1"}, f'allow = ["127.0.0.1:{server.port}"]\n')
    began = time.monotonic()
    done = net.room("sh", "-c", line)
    took = time.monotonic() - began
    said = done.text + done.errors
    expect(done.code != 0 and any(words in said for words in denied) and worked not in said, "denied", done)
    expect(took < QUICK, f"the denial is quick: {took:.1f} s", done)
    clean()

    net = Net(world, {NAME: "127.0.0.1"}, granted(server, more=f'ask = ["{NAME}:{server.port}"]\n'))
    (world.workspace / "client.sh").write_text(line + "\n")
    with Tmux(world, env=net.env, width=120) as terminal:
        terminal.line(f"{agentbox_binary()} run net -- sh client.sh")
        screen = terminal.wait_for_keys("connect to a host")
        expect(f"{NAME}:{server.port}" in screen, "the question names the host", screen)
        terminal.type("o")
        screen = terminal.wait_for("1 question")
        expect(worked in screen, "after a yes", screen)


def keys_for(world):
    keys = certificate(world, NAME)
    shutil.copy(keys[1], world.workspace / "ca.crt")
    return keys


@test("curl")
def curl(world):
    need_program("curl")
    with site(hello) as server:
        three_ways(world, server, f"curl -sS --fail-with-body http://{NAME}:PORT/", "hello",
                   ["agentbox: no rule of the profile allows it"])
    with site(hello, keys_for(world)) as server:
        three_ways(world, server, f"curl -sS --cacert ca.crt https://{NAME}:PORT/", "hello", ["access denied"])


@test("wget")
def wget(world):
    need_program("wget")
    with site(hello) as server:
        three_ways(world, server, f"wget -nv -O - http://{NAME}:PORT/", "hello", ["403: Forbidden", "403 Forbidden"])
    with site(hello, keys_for(world)) as server:
        three_ways(world, server, f"wget -nv -O - --ca-certificate=ca.crt https://{NAME}:PORT/", "hello",
                   ["Access was denied", "Unable to establish SSL connection"])


@test("git clone, over http, https and git's own protocol")
def git(world):
    folder = repository(world)

    def clean():
        shutil.rmtree(world.workspace / "copy", ignore_errors=True)
    show = "&& cat copy/README"
    with site(git_pages(folder)) as server:
        three_ways(world, server, f"git clone -q http://{NAME}:PORT/site.git copy {show}", "the file from afar",
                   ["The requested URL returned error: 403"], clean)
    clean()
    with site(git_pages(folder), keys_for(world)) as server:
        three_ways(world, server, f"git -c http.sslCAInfo=$PWD/ca.crt clone -q https://{NAME}:PORT/site.git copy {show}",
                   "the file from afar", ["access denied", "Access was denied"], clean)
    clean()
    with git_daemon(folder) as server:
        three_ways(world, server, f"git clone -q git://{NAME}:PORT/site.git copy {show}", "the file from afar",
                   ["Connection reset by peer"], clean)


@test("npm install")
def npm(world):
    need_program("npm")

    def clean():
        shutil.rmtree(world.workspace / "node_modules", ignore_errors=True)
    with site(registry_pages(NAME)) as server:
        three_ways(world, server, f"npm install --no-audit --no-fund --no-save --registry=http://{NAME}:PORT tiny"
                   " && node -p 'require(\"tiny\")'", "tiny works", ["403 Forbidden"], clean)


@test("a static program with a resolver of its own, which looks at no proxy variable")
def static(world):
    client = os.environ.get("AGENTBOX_PLAIN_CLIENT")
    if not client:
        raise Skipped("AGENTBOX_PLAIN_CLIENT is not set")
    shutil.copy(client, world.workspace / "plain")
    with site(hello) as server:
        three_ways(world, server, f"./plain {NAME} PORT /page | tee got; ! grep -q agentbox: got", "hello",
                   ["agentbox: no rule of the profile allows it"])


FETCH = """
const [url, patience] = process.argv.slice(2);
const end = Date.now() + 1000 * (patience ?? 0);
for (let turn = 1;; ++turn) {
  try {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
    console.log(`turn ${turn}: ${await answer.text()}`);
    break;
  } catch (error) {
    console.log(`turn ${turn}:`, error.message, error.cause?.code ?? "", error.cause?.message ?? "");
    if (Date.now() > end) process.exit(1);
  }
}
"""


@test("Node's fetch")
def fetch(world):
    need_program("node")
    (world.workspace / "fetch.mjs").write_text(FETCH)
    with site(hello) as server:
        three_ways(world, server, f"node fetch.mjs http://{NAME}:PORT/", "hello",
                   ["agentbox: no rule of the profile allows it"])
    with site(hello, keys_for(world)) as server:
        three_ways(world, server, f"NODE_EXTRA_CA_CERTS=ca.crt node fetch.mjs https://{NAME}:PORT/", "hello",
                   ["access denied", "ACCESS_DENIED"])


URLLIB = """
import ssl, sys, urllib.request
context = ssl.create_default_context(cafile="ca.crt") if sys.argv[1].startswith("https") else None
print(urllib.request.urlopen(sys.argv[1], timeout=100, context=context).read())
"""


@test("Python's urllib")
def urllib(world):
    (world.workspace / "client.py").write_text(URLLIB)
    with site(hello) as server:
        three_ways(world, server, f"{PYTHON} client.py http://{NAME}:PORT/", "hello", ["HTTP Error 403: Forbidden"])
    with site(hello, keys_for(world)) as server:
        three_ways(world, server, f"{PYTHON} client.py https://{NAME}:PORT/", "hello", ["access denied", "ACCESS_DENIED"])


@test("ssh")
def ssh(world):
    need_program("ssh")
    with Server(greet_like_ssh) as server:
        # The server says no more than its greeting, so ssh fails in the end; what counts is that it heard it.
        three_ways(world, server, "ssh -v -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
                   f" -p PORT someone@{NAME} true 2>&1 | tee got | grep -e 'remote software version' -e 'reset by peer';"
                   " grep -q 'remote software version' got", "remote software version agentbox_test",
                   ["Connection reset by peer"])


@test("an answer after 30 s is one question: curl waits, and Node's fetch gives up after 10 s and tries again")
def late(world):
    need_program("curl")
    need_program("node")
    (world.workspace / "fetch.mjs").write_text(FETCH)
    keys = keys_for(world)
    for command, turns in ((f"curl -sS --cacert ca.crt https://{NAME}:PORT/", None),
                           (f"NODE_EXTRA_CA_CERTS=ca.crt node fetch.mjs https://{NAME}:PORT/ 100", 3)):
        with site(hello, keys) as server:
            net = Net(world, {NAME: "127.0.0.1"}, granted(server, more=f'ask = ["{NAME}:{server.port}"]\n'))
            (world.workspace / "client.sh").write_text(command.replace("PORT", str(server.port)) + "\n")
            with Tmux(world, env=net.env, width=120) as terminal:
                terminal.line(f"{agentbox_binary()} run net -- sh client.sh")
                terminal.wait_for("connect to a host")
                time.sleep(30)  # what the owner does meanwhile
                terminal.type("o")
                screen = terminal.wait_for("1 question")
                expect("hello" in screen, "the answer", screen)
                expect_equal(len(server.requests), 1, f"requests that arrived\n{screen}")
                if turns:
                    expect(screen.count("UND_ERR_CONNECT_TIMEOUT") >= turns - 1, "it gave up meanwhile", screen)


run_tests()
