"""With Debian's Dovecot: every mechanism of the walk is understood by it, and the recipe leaves no side door."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gambeson.guard.core.walk import Outcome, Place, Role
from gambeson.guard.core.walk_plan import Canary
from gambeson.guard.edge.recipes import RECIPES, Facts, RecipeError
from gambeson.guard.edge.walk.tour import walk
from gambeson.model.access import Listener, Rung
from gambeson.process.signin.token import token
from peers.dovecot import Dovecot, missing
from peers.gambeson import free_ports
from peers.process import free_port

needs_dovecot = [
    pytest.mark.peer("dovecot"),
    pytest.mark.skipif(bool(missing()), reason=missing() or "Dovecot"),
]
# Its delays for those who fail are for another test.
QUICK = "auth_failure_delay = 0\nservice anvil {\n unix_listener anvil-auth-penalty {\n mode = 0\n }\n}\n"
ANNA = "anna@example.org"
SOURCE = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[4] / "src")}


@pytest.mark.parametrize("name", list(RECIPES))
def test_every_recipe_is_made_without_an_installation(name: str) -> None:
    files = RECIPES[name](Facts())
    assert files
    assert all(body.endswith("\n") and "{" + "facts" not in body for body in files.values())


@pytest.mark.parametrize(
    "facts", [{"doors": "here; rm"}, {"audience": "a b"}, {"etc": "/x\ny"}, {"data": "x"}]
)
def test_nothing_strange_gets_into_a_recipe(facts: dict[str, str]) -> None:
    with pytest.raises(RecipeError):
        Facts(**facts)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Dovecot]:
    extra = (
        QUICK + "auth_mechanisms = plain login cram-md5 digest-md5 scram-sha-1 scram-sha-256 apop anonymous\n"
    )
    with Dovecot(users={ANNA: "pass word"}, plaintext=True, extra=extra) as server:
        yield server


class TestMechanisms:
    """The client's halves are right: a server that knows the password lets each of them in."""

    pytestmark = needs_dovecot

    @pytest.mark.parametrize("listener", ["imap", "imaps", "pop3", "sieve"])
    def test_every_password_mechanism_enters(self, upstream: Dovecot, listener: str) -> None:
        place = Place(
            listener,
            Listener(listener),
            Role.UPSTREAM,
            "127.0.0.1",
            upstream.ports[listener],
            implicit=listener == "imaps",
        )
        canary = Canary(ANNA, "pass word")
        records = asyncio.run(
            walk([place], canary, lambda p: Rung.DEVICE_SECRET, nonce="q1", per_second=1000)
        )
        entered = {r.attempt.mechanism for r in records if r.reply.outcome is Outcome.ENTERED}
        wanted = {"PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"}
        wanted |= {"imap": {"LOGIN command"}, "pop3": {"USER command", "APOP command"}}.get(listener, set())
        assert entered >= wanted, [(r.attempt.mechanism, r.reply) for r in records]
        wrong = [r for r in records if r.attempt.credential in ("a wrong password", "an empty password")]
        assert wrong
        assert all(r.reply.outcome is Outcome.REFUSED for r in wrong)


class TestRecipe:
    """Doors before a Dovecot that runs with what ``guard export dovecot`` wrote."""

    pytestmark = needs_dovecot

    @pytest.mark.parametrize("more", [(), ("--webmail",)])
    def test_no_side_door_and_the_canary_reads_mail(self, more: tuple[str, ...]) -> None:
        folder = Path(tempfile.mkdtemp(prefix="gw-", dir="/tmp"))
        folder.chmod(0o755)
        ports = {word: free_port() for word in ("10143", "10110", "14190")}
        doors = Dovecot(
            users={}, audience="dovecot-1"
        )  # its folder, log and mail; the recipe's files are added
        process = None
        try:
            process = _up(folder / "data", ports)
            wrote = _guard(
                folder / "data",
                *("export", "dovecot", "--out", str(folder / "recipe"), "--etc", str(folder / "recipe")),
                *("--audience", "dovecot-1", *more),
            )
            assert wrote[0] == 0
            _use_recipe(doors, folder / "recipe", ports)
            with doors:
                targets = [
                    f"--target=127.0.0.1:{ports[port]}={listener}"
                    for port, listener in (("10143", "imap"), ("10110", "pop3"), ("14190", "sieve"))
                ]
                code, found = _guard(folder / "data", "walk", "--rate", "200", *targets)
            assert found["findings"] == [], found["findings"]
            # No server takes mail for sending here, so those doors are not open at all.
            assert found["untried"] == []
            assert code == 0
            entered = {r["where"] for r in found["records"] if r["outcome"] == "entered"}
            assert entered == {"imap", "imaps", "pop3", "pop3s", "sieve"}
            assert all(r["control"] for r in found["records"] if r["outcome"] == "entered")
            behind = {f"127.0.0.1:{port}" for port in ports.values()}
            for mechanism in ("CRAM-MD5", "PLAIN"):  # the second is what a webmail needs
                tried = [r for r in found["records"] if r["mechanism"] == mechanism and r["where"] in behind]
                assert {r["where"] for r in tried} == behind
                assert not [r for r in tried if r["outcome"] == "entered"]
        finally:
            if process is not None:
                process.terminate()
                process.wait(20)
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(doors.root, ignore_errors=True)


class TestWebmail:
    """What a webmail does at a Dovecot with the recipe: LOGIN, with the door's token as the password."""

    pytestmark = needs_dovecot

    @pytest.mark.parametrize("webmail", [True, False])
    def test_a_token_opens_and_a_password_does_not(self, webmail: bool) -> None:
        folder = Path(tempfile.mkdtemp(prefix="gw-", dir="/tmp"))
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        facts = Facts(
            audience="webmail-1", kid="k1", token_key=public.decode(), etc=str(folder), webmail=webmail
        )
        for name, body in RECIPES["dovecot"](facts).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body)
        ports = {word: free_port() for word in ("10143", "10110", "14190")}
        server = Dovecot(users={ANNA: "pass word"})
        try:
            _use_recipe(server, folder, ports)
            with server:
                good = token(ANNA, "webmail-1", "gambeson", key, "k1", time.time())
                other = token(ANNA, "elsewhere", "gambeson", key, "k1", time.time())
                said = {what: _login(ports["10143"], ANNA, what) for what in (good, other, "pass word", "")}
            assert [line[:4] for line in said.values()] == ["a OK" if webmail else "a NO", *["a NO"] * 3]
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _login(port: int, name: str, password: str) -> str:
    """The tagged answer to LOGIN, as Roundcube sends it: on loopback, without TLS."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock, sock.makefile("rwb") as stream:
        stream.readline()
        stream.write(f'a LOGIN "{name}" "{password}"\r\n'.encode())
        stream.flush()
        while line := stream.readline():
            if line.startswith(b"a "):
                return line.decode().strip()
    raise AssertionError("Dovecot hung up")


def _use_recipe(server: Dovecot, recipe: Path, ports: dict[str, int]) -> None:
    """The peer's configuration with its own ways to sign in and listeners out, and the recipe in."""
    text = (server.root / "dovecot.conf").read_text()
    text = re.sub(r"(?ms)^passdb \{.*?^\}\n", "", text)
    text = re.sub(r"(?m)^(auth_mechanisms|disable_plaintext_auth|login_trusted_networks) .*\n", "", text)
    text = re.sub(r"(?m)^  inet_listener (imaps?|pop3s?|sieve) \{\n(?:    .*\n)+  \}\n", "", text)
    conf = (recipe / "99-gambeson.conf").read_text()
    for word, port in ports.items():
        assert word in conf
        conf = conf.replace(f"port = {word}", f"port = {port}")
    (server.root / "dovecot.conf").write_text(text + QUICK + conf)
    for path in (recipe, *recipe.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    server.ports = {"imap": ports["10143"], "pop3": ports["10110"], "sieve": ports["14190"]}
    done = subprocess.run(
        ["/usr/bin/doveconf", "-n", "-c", str(server.root / "dovecot.conf")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("passdb {") == 1


def _up(data: Path, ports: dict[str, int]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "gambeson", "up", "--data", str(data), "--ports-from", str(free_ports())]
    command += ["--mail-server", f"imap+plain://127.0.0.1:{ports['10143']}", "--audience", "dovecot-1"]
    command += ["--pop3-server", f"pop3+plain://127.0.0.1:{ports['10110']}"]
    command += ["--sieve-server", f"sieve+plain://127.0.0.1:{ports['14190']}"]
    process = subprocess.Popen(command, env=SOURCE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while not (data / "run" / "ready.json").exists():
        assert process.poll() is None, "gambeson up ended"
        assert time.monotonic() < until, "gambeson up did not get ready"
        time.sleep(0.1)
    return process


def _guard(data: Path, *words: str) -> tuple[int, dict]:
    command = [sys.executable, "-m", "gambeson", "guard", *words, "--data", str(data), "--json"]
    done = subprocess.run(command, env=SOURCE, capture_output=True, text=True, timeout=120)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)
