"""``gambeson connect`` before a real Dovecot: what it finds, writes and makes, and what it refuses without a trace."""

from __future__ import annotations

import imaplib
import json
import os
import pty
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gambeson.settings import load
from peers.dovecot import Dovecot, missing
from peers.gambeson import SOURCE, Gambeson
from peers.process import free_port
from peers.system_users import open_folder, system_users

pytestmark = [pytest.mark.peer("dovecot"), pytest.mark.skipif(bool(missing()), reason=missing() or "Dovecot")]
ANNA, PASSWORD = "anna@example.org", "pass word"
CSV = f"address,aliases,groups\n{ANNA},info@example.org;post@example.org,staff\nbob@example.org\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    with Dovecot(users={ANNA: PASSWORD}, masters={"gate": "master-secret"}) as peer:
        yield peer


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as path:
        yield path


def connect(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gambeson", "connect", *args]
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    return subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )


def given(server: Dovecot, data: Path) -> list[str]:
    ports = server.ports
    return [
        *("--data", str(data), "--domain", "example.org", "--server-ca", str(server.ca)),
        *("--imap", f"imaps://127.0.0.1:{ports['imaps']}", "--sieve", f"sieve://127.0.0.1:{ports['sieve']}"),
        *("--submission", f"smtp://127.0.0.1:{ports['submission']}"),
    ]


def test_it_proposes_what_the_server_offers_and_makes_everything(server: Dovecot, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (tmp_path / "people.csv").write_text(CSV)
    done = connect(*given(server, data), "--accounts", str(tmp_path / "people.csv"), "--yes", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["sign_in"], document["accounts"], document["hostname"]) == (
        "token",
        2,
        "mail.example.org",
    )
    assert {each["door"] for each in document["found"]} == {"imap", "sieve", "submission"}
    assert all("AUTH=OAUTHBEARER" in each["offers"] for each in document["found"])
    assert any("guard export dovecot" in step for step in document["steps"])
    assert any("DNS" in step for step in document["back"])
    file = Path(document["settings"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    config = load(file)
    assert [address.port for address in config.listen.imaps] == [993]
    assert config.listen.pop3 == config.listen.pop3s == ()  # what is not behind is not in front
    accounts = Gambeson(data).json("account", "list")["accounts"]
    assert {a["address"]: a["aliases"] for a in accounts} == {
        ANNA: ["info@example.org", "post@example.org"],
        "bob@example.org": [],
    }
    before = file.read_bytes()
    again = connect(*given(server, data), "--yes")
    assert again.returncode == 2
    assert "--force" in again.stderr
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({}, 2, "nobody to ask"),
        ({"--yes": None, "--domain": "no domain"}, 2, "is not a domain name"),
        ({"--yes": None, "--imap": "imap://127.0.0.1:{closed}"}, 3, "nobody listens there"),
        ({"--yes": None, "--imap": "http://127.0.0.1:1"}, 2, "imap must be an address"),
        ({"--yes": None, "--imap": "imap+plain://192.0.2.1:143"}, 2, "leaves this machine without TLS"),
        ({"--yes": None, "--server-ca": None}, 2, "--server-pin"),
        ({"--yes": None, "--server-name": "other.example"}, 2, "does not hold"),
        ({"--yes": None, "--sign-in": "master"}, 2, "needs master_login"),
        ({"--yes": None, "--certificate": "{csv}"}, 2, "both --certificate and --key"),
        ({"--yes": None, "--certificate": "{csv}", "--key": "{csv}"}, 2, "no usable certificate and key"),
        ({"--yes": None, "--accounts": "/nonexistent.csv"}, 3, "cannot be read"),
        ({"--yes": None, "--accounts": "{csv}"}, 2, "line 2: eve@other.example is in none of the domains"),
        ({"--yes": None, "--listen": "somewhere"}, 2, "listen.imap"),
    ],
)
def test_what_cannot_be_leaves_nothing_behind(
    server: Dovecot, tmp_path: Path, change: dict[str, str | None], code: int, says: str
) -> None:
    csv = tmp_path / "people.csv"
    csv.write_text("anna@example.org\neve@other.example\n")
    data = tmp_path / "data"
    options = given(server, data)
    for name, value in change.items():
        if name in options:
            at = options.index(name)
            del options[at : at + 2]
        elif value is None:
            options.append(name)
        if value is not None:
            options += [name, value.format(closed=free_port(), csv=csv)]
    done = connect(*options)
    assert done.returncode == code, done.stdout + done.stderr
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not data.exists()


def test_it_asks_a_person(server: Dovecot, tmp_path: Path) -> None:
    """No authority is given: the person is shown the certificate's fingerprint and pins it."""
    data = tmp_path / "data"
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "gambeson", "connect", "--data", str(data)]
    command += ["--imap", f"imaps://127.0.0.1:{server.ports['imaps']}"]
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env) as process:
        os.close(theirs)
        talk = [
            ("Which mail domain", "example.org"),
            ("May they be?", "y"),
            ("Trust exactly this one", "y"),
            ("Which name do people connect to?", ""),
            ("Write them", "yes"),
        ]
        heard = ""
        for question, answer in talk:
            heard = _until(ours, question)
            os.write(ours, answer.encode() + b"\n")
        heard = _until(ours, "To go back in five minutes")
        while True:
            try:
                heard += os.read(ours, 4096).decode()
            except OSError:
                break
        assert process.wait(20) == 0, heard
    os.close(ours)
    config = load(data / "gambeson.toml")
    assert len(config.server[0].pin) == 64
    assert config.doors.hostname == "mail.example.org"


def _until(fd: int, words: str) -> str:
    heard, end = "", time.monotonic() + 30
    while words not in heard:
        assert time.monotonic() < end, heard
        heard += os.read(fd, 4096).decode()
    return heard


@pytest.mark.slow
def test_connected_so_mail_is_read_and_the_emergency_way_is_open(server: Dovecot, folder: Path) -> None:
    """From connect to a letter read through the door; then ``guard open``, and the old password works for a while."""
    server.deliver(ANNA, b"Subject: hello\r\n\r\nBehind the door.\r\n")
    (folder / "people.csv").write_text(CSV)
    (folder / "master").write_text("master-secret")
    (folder / "master").chmod(0o600)
    data = folder / "data"
    done = connect(
        *given(server, data),
        *("--accounts", str(folder / "people.csv"), "--hostname", "localhost", "--yes"),
        *("--master-login", "gate", "--master-password", f"file:{folder / 'master'}"),
    )
    assert done.returncode == 0, done.stderr
    with system_users(), Gambeson(data) as gambeson:
        secret = gambeson.enrol(ANNA, doors="imap")
        port = gambeson.port("imaps")
        with imaplib.IMAP4_SSL("localhost", port, ssl_context=gambeson.tls) as door:
            assert door.login(ANNA, secret)[0] == "OK"
            assert door.select()[0] == "OK"
            assert b"Behind the door." in door.fetch("1", "(BODY[TEXT])")[1][0][1]
        with (
            imaplib.IMAP4_SSL("localhost", port, ssl_context=gambeson.tls) as door,
            pytest.raises(imaplib.IMAP4.error),
        ):
            door.login(ANNA, PASSWORD)
        gambeson.run("guard", "open", "--for", "1h", "--reason", "the phones of the sales team")
        with imaplib.IMAP4_SSL("localhost", port, ssl_context=gambeson.tls) as door:
            assert door.login(ANNA, PASSWORD)[0] == "OK"
        gambeson.run("guard", "open", "--close")
        report = gambeson.json("doctor")
        states = {check["name"]: check["state"] for check in report["checks"]}
        assert states["mail server main imap"] == "ok"
        assert states["users"] == ("ok" if os.geteuid() == 0 else "warning")
