"""The second opinion of a model on another machine, over https: only the server that proves to be the one that the profile
names is told anything, and whatever else happens is silence."""

import contextlib
import ssl
import time

from harness import agentbox_binary, expect, expect_equal, run_tests, test, wait_until
from processes import descendants
from reviewers import AGREES, RULES, Certificates, RemoteReviewer, approve, asking, remote_environment, reviewed, verdicts
from wallet import end


def profile(world, url, more="", require="human+reviewer"):
    world.profile("asks", RULES + f'[approval]\nreviewer = "{url}"\nrequire = "{require}"\n'
                                  f'friction = {{ wait = "1s" }}\nreviewer_timeout = "20s"\n{more}')


def remote(world, port, more="", host="models.test", require="human+reviewer"):
    profile(world, f"https://{host}:{port}/v1", "reviewer_remote = true\n" + more, require)


def key_file(world, text="sk-test-7f3a\nsecond line\n", mode=0o600):
    path = world.home / ".config" / "agentbox" / "reviewer.key"
    path.write_text(text)
    path.chmod(mode)
    return 'reviewer_key_file = "~/.config/agentbox/reviewer.key"\n'


def expect_silence(world, why, env):
    """Not a yes, with that reason; a yes still takes the phrase."""
    with asking(world, **env) as (process, _):
        question = reviewed(world)
        expect_equal(question["opinion"]["says"], "silent", f"{why}\n{question['opinion']}")
        expect(why in question["opinion"]["reason"], why, question["opinion"])
        expect("phrase" in question, "a yes takes the phrase", question)
        expect_equal(approve(world, question, "--once").code, 1, "a yes alone")
        expect(not (world.workspace / "b").exists(), "nothing is done")
        expect_equal(approve(world, question, "--deny").code, 0, "no")
        end(process)


def maps_of(world, process):
    found = ""
    for pid in [process.pid, *descendants(process.pid)]:
        with contextlib.suppress(OSError):
            found += open(f"/proc/{pid}/maps").read()
    return found


@test("a server elsewhere that proves who it is gives its opinion; it alone hears the key, and no proxy is asked")
def agrees(world):
    certificates = Certificates(world.base)
    with RemoteReviewer(certificates.sign("DNS:models.test")) as model, RemoteReviewer(None) as proxy:
        remote(world, model.port, key_file(world))
        env = remote_environment(world, certificates, "models.test")
        for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            env[name] = f"http://127.0.0.1:{proxy.port}"
        with asking(world, **env) as (process, _):
            question = reviewed(world)
            expect_equal(question["opinion"], {"says": "agrees", "risk": AGREES["risk"], "reason": AGREES["reason"]}, "it")
            expect("phrase" not in question, "a yes takes no phrase any more", question)
            expect("libssl" in maps_of(world, process), "OpenSSL is loaded")
            expect_equal(approve(world, question, "--once").code, 0, "yes")
            expect_equal(end(process)[1], "code 0\n", "done")
        expect_equal([head.split("\r\n")[0] for head in model.requests],
                     ["GET /v1/models HTTP/1.1", "POST /v1/chat/completions HTTP/1.1"], "the requests")
        for head in model.requests:
            expect(f"\r\nHost: models.test:{model.port}\r\n" in head, "the name", head)
            expect("\r\nAuthorization: Bearer sk-test-7f3a\r\n" in head and "second line" not in head, "the key", head)
        expect_equal(proxy.knocks, 0, "the proxy")
        expect_equal((world.base / "asked").read_text().split(), ["models.test"], "names that were looked up")
        expect("sk-test" not in str(verdicts(world)) + str(question), "the key is told to nobody else")
        done = world.agentbox("run", "asks", "--", "sh", "-c", "cat ~/.config/agentbox/reviewer.key; env", env=world.env(**env))
        expect("sk-test" not in done.text + done.errors, "the room can't read it", done)
        done = world.agentbox("explain", "asks")
        expect(f"https://models.test:{model.port}/v1" in done.text and "reviewer.key" in done.text, "explain", done)
        expect("what each question shows is sent to" in done.text, "explain says what it exposes", done)


@test("OpenSSL is not loaded where no reviewer is asked over https")
def lazy(world):
    world.profile("asks", RULES)
    with asking(world) as (process, question):
        expect("libstdc++" in maps_of(world, process), "control: maps can be read")
        expect("libssl" not in maps_of(world, process) and "libcrypto" not in maps_of(world, process), "not loaded")
        approve(world, question, "--deny")
        end(process)


@test("on this machine https needs no reviewer_remote, by address and by name")
def local(world):
    certificates = Certificates(world.base)
    env = remote_environment(world, certificates)
    with RemoteReviewer(certificates.sign("DNS:localhost,IP:127.0.0.1")) as model:
        for host in ("localhost", "127.0.0.1"):
            profile(world, f"https://{host}:{model.port}/v1")
            with asking(world, **env) as (process, _):
                question = reviewed(world)
                expect_equal(question["opinion"]["says"], "agrees", f"{host} {question['opinion']}")
                approve(world, question, "--deny")
                end(process)
    expect(not (world.base / "asked").exists(), "nothing was looked up")


@test("who does not prove who he is hears nothing: another name, expired, its own word, another authority, an address")
def identity(world):
    certificates, strangers = Certificates(world.base), Certificates(world.base, "strangers")
    env = remote_environment(world, certificates, "models.test", "a.b.models.test")
    cases = [(certificates.sign("DNS:other.test"), "models.test", "hostname mismatch"),
             (certificates.sign("DNS:*.models.test"), "a.b.models.test", "hostname mismatch"),
             (certificates.sign("DNS:mod*.test"), "models.test", "hostname mismatch"),
             (certificates.sign("DNS:models.test", days="-1"), "models.test", "certificate has expired"),
             (certificates.sign("DNS:models.test", own=True), "models.test", "self-signed certificate"),
             (strangers.sign("DNS:models.test"), "models.test", "unable to get local issuer certificate"),
             (certificates.sign("DNS:models.test"), "127.0.0.1", "IP address mismatch")]
    for certificate, host, why in cases:
        with RemoteReviewer(certificate) as model:
            remote(world, model.port, key_file(world), host=host)
            expect_silence(world, f"its server does not prove who it is: {why}", env)
            expect(model.knocks > 0, "it was asked", why)
            expect_equal(model.requests, [], f"it heard nothing ({why})")


@test("an old protocol, and none at all, are silence")
def protocol(world):
    certificates = Certificates(world.base)
    env = remote_environment(world, certificates, "models.test")
    good = certificates.sign("DNS:models.test")
    with RemoteReviewer(good, newest=ssl.TLSVersion.TLSv1_1) as old, RemoteReviewer(None) as plain:
        for model in (old, plain):
            remote(world, model.port, key_file(world))
            expect_silence(world, "TLS with its server fails", env)
            expect(model.knocks > 0 and not any("sk-test" in head for head in model.requests), "nothing was told")
    with RemoteReviewer(good, newest=ssl.TLSVersion.TLSv1_2) as model:
        remote(world, model.port)
        with asking(world, **env) as (process, _):
            expect_equal(reviewed(world)["opinion"]["says"], "agrees", "control: 1.2 is new enough")
            process.kill()


def endless(head, piece):
    def respond(connection, _):
        connection.sendall(head)
        while True:
            connection.sendall(piece)
    return respond


@test("a redirect, 100 MB, an answer that never ends, one that is cut off: all silence, and none is followed or kept")
def answers(world):
    certificates = Certificates(world.base)
    env = remote_environment(world, certificates, "models.test")
    good = certificates.sign("DNS:models.test")
    json_head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

    def cut_off(connection, head):
        """A whole answer for who doesn't know TLS: it has no length, so its end is that of the connection."""
        if head.startswith("GET "):
            return RemoteReviewer.agree(connection, head)
        connection.sendall(json_head + b"\r\n" + b'{"choices": [{"index": 0, "finish_reason": "stop", "message": '
                           b'{"role": "assistant", "content": "{\\"objects\\": false, \\"risk\\": 1, \\"reason\\": \\"x\\"}"}}]}')
        connection.close()
        raise OSError

    with RemoteReviewer(good) as other:
        def lead(connection, _):
            RemoteReviewer.send(connection, "", "302 Found", f"Location: https://models.test:{other.port}/v1/models\r\n")
        cases = [(lead, "leads elsewhere, which is not followed"),
                 (endless(json_head + b"Content-Length: 104857600\r\n\r\n", b"x" * 65536), "answer is too long"),
                 (endless(json_head + b"\r\n", b" " * 65536), "answer is too long"),
                 (endless(json_head + b"Transfer-Encoding: chunked\r\n\r\n", b"4000\r\n" + b" " * 0x4000 + b"\r\n"),
                  "answer is too long"),
                 (endless(b"HTTP/1.1 200 OK\r\n", b"X-More: " + b"y" * 1000 + b"\r\n"), "head is too long"),
                 (cut_off, "its server hung up")]
        for respond, why in cases:
            with RemoteReviewer(good, respond) as model:
                remote(world, model.port)
                expect_silence(world, why, env)
        expect_equal(other.knocks, 0, "who was named by the redirect")


@test("a server that says nothing, or one byte now and then, has the deadline and no more; the session goes on meanwhile")
def slow(world):
    certificates = Certificates(world.base)
    env = remote_environment(world, certificates, "models.test")

    def drip(connection, _):
        for byte in b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + b"X: y\r\n" * 1000:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    def nothing(connection, _):
        connection.recv(1)

    for respond in (drip, nothing):
        with RemoteReviewer(certificates.sign("DNS:models.test"), respond) as model:
            remote(world, model.port)
            (world.profile_folder / "asks.toml").write_text(
                (world.profile_folder / "asks.toml").read_text().replace('reviewer_timeout = "20s"', 'reviewer_timeout = "2s"'))
            expect_silence(world, "it did not answer within 2 seconds", env)


@test("a name that is nobody's, and a key that can't be used, are silence")
def unusable(world):
    certificates = Certificates(world.base)
    env = remote_environment(world, certificates, "models.test")
    with RemoteReviewer(certificates.sign("DNS:models.test")) as model:
        remote(world, model.port, host="nobody.test")
        expect_silence(world, "its address can't be found", env)
        for text, mode, why in (("sk-1\n", 0o644, "is open to others: chmod 600"), ("", 0o600, "holds no key"),
                                ("sk 1\r\nX: y\n", 0o600, "holds no key"), ("x" * 5000, 0o600, "longer than 4 KiB")):
            remote(world, model.port, key_file(world, text, mode))
            expect_silence(world, why, env)
        expect_equal(model.knocks, 0, "the server")


@test("check and run refuse what would tell others: http elsewhere, https elsewhere unasked, a key that the room could read")
def refused(world):
    for text, why in (('reviewer = "http://models.test/v1"\nreviewer_remote = true\n', "must be on this machine"),
                      ('reviewer = "https://models.test/v1"\n', "each question's content would go there"),
                      ('reviewer = "https://*.models.test/v1"\nreviewer_remote = true\n', "one host and one port")):
        world.profile("asks", RULES + "[approval]\n" + text)
        done = world.agentbox("check", "asks")
        expect(done.code == 1 and why in done.errors, why, done)
    remote_url = 'reviewer = "https://models.test/v1"\nreviewer_remote = true\n'
    for grant in ("models.test", "*.test"):
        world.profile("asks", RULES + f'[network]\nallow = ["{grant}"]\n[approval]\n' + remote_url)
        done = world.agentbox("check", "asks")
        expect(done.code == 1 and "could change the model that reviews it" in done.errors, grant, done)
    (world.workspace / "key").write_text("sk-1\n")
    (world.home / "granted").mkdir()
    (world.home / "granted" / "key").write_text("sk-1\n")
    (world.home / ".key").symlink_to(world.home / "granted" / "key")
    for name, why in (("${workspace}/key", "the room could read the reviewer's key"), ("~/granted/key", "could read"),
                      ("~/.key", "could read"), ("~/missing", "does not exist"), ("~/.ssh", "is no file")):
        world.profile("asks", RULES + f'[files]\nread = ["~/granted"]\n[approval]\n{remote_url}reviewer_key_file = "{name}"\n')
        for command in (("run", "asks", "--", "true"), ("explain", "asks")):
            done = world.agentbox(*command)
            expect(done.code in (1, 125) and why in done.errors, f"{name} {command}", done)
    world.profile("asks", RULES + "[approval]\n" + remote_url + key_file(world))
    expect_equal(world.agentbox("check", "asks").code, 0, "control")
    expect_equal(world.agentbox("run", "asks", "--", "true").code, 0, "control")


if __name__ == "__main__":
    run_tests()
