"""Bad input to any command: one sentence that says what, where and what to do, the right exit code, no traceback, and
nothing changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.conftest import folder
from faults.hands import ALMA, BRUNO
from peers.gambeson import SOURCE, Gambeson, free_ports

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n"

COMMANDS: dict[str, tuple[list[str], int, str]] = {
    # name: (arguments, exit code, what the sentence must say)
    "no command": ([], 2, "command is missing"),
    "unknown command": (["open-sesame"], 2, "open-sesame"),
    "unknown option": (["device", "list", "--fast"], 2, "--fast"),
    "no such device": (["device", "revoke", "dev-0"], 2, "dev-0"),
    "no such device by name": (["device", "revoke", f"{ALMA}/Nothing"], 2, "Nothing"),
    "no such account": (
        ["device", "enrol", "nobody@playground.example", "--name", "x"],
        2,
        "nobody@playground.example",
    ),
    "no such domain": (["device", "enrol", "a@elsewhere.example", "--name", "x"], 2, "elsewhere.example"),
    "an address that is none": (["device", "enrol", "not an address", "--name", "x"], 2, "not an address"),
    "an empty address": (["device", "enrol", "", "--name", "x"], 2, ""),
    "an empty name": (["device", "enrol", ALMA, "--name", ""], 2, "name"),
    "a name that is too long": (["device", "enrol", ALMA, "--name", "x" * 5000], 2, "name"),
    "control characters in a name": (["device", "enrol", ALMA, "--name", "a\x1b[31mb"], 2, "name"),
    "an unknown door": (["device", "enrol", ALMA, "--name", "x", "--doors", "imap,window"], 2, "window"),
    "no door": (["device", "enrol", ALMA, "--name", "x", "--doors", ""], 2, "door"),
    "a date that is none": (
        ["device", "enrol", ALMA, "--name", "x", "--expires", "2027-02-31"],
        2,
        "2027-02-31",
    ),
    "a date far away": (["device", "enrol", ALMA, "--name", "x", "--expires", "999999w"], 2, "999999w"),
    "a date that has passed": (
        ["device", "enrol", ALMA, "--name", "x", "--expires", "2001-01-01"],
        2,
        "in the past",
    ),
    "a network that is none": (
        [
            "device",
            "enrol",
            ALMA,
            "--name",
            "x",
            "--machine",
            "--owner",
            "o",
            "--review",
            "90d",
            "--network",
            "10.0.0.0/99",
        ],
        2,
        "10.0.0.0/99",
    ),
    "a sender that is none": (
        [
            "device",
            "enrol",
            ALMA,
            "--name",
            "x",
            "--machine",
            "--owner",
            "o",
            "--review",
            "90d",
            "--network",
            "10.0.0.0/8",
            "--sender",
            "@",
        ],
        2,
        "@",
    ),
    "a number that is none": (["device", "enrol", ALMA, "--name", "x", "--hourly-limit", "many"], 2, "many"),
    "a number below zero": (
        [
            "device",
            "enrol",
            ALMA,
            "--name",
            "x",
            "--machine",
            "--owner",
            "o",
            "--review",
            "90d",
            "--network",
            "10.0.0.0/8",
            "--hourly-limit",
            "-5",
        ],
        2,
        "hour",
    ),
    "a folder that is none": (
        ["device", "enrol", ALMA, "--name", "x", "--certificate", "--out", "/nowhere/x"],
        3,
        "/nowhere/x",
    ),
    "a request that is not there": (
        ["device", "enrol", ALMA, "--name", "x", "--csr", "/nowhere.csr"],
        3,
        "/nowhere.csr",
    ),
    "a request that is none": (["device", "enrol", ALMA, "--name", "x", "--csr", "{bad}"], 2, "{bad}"),
    "a certificate that is none": (
        ["device", "adopt", ALMA, "--name", "x", "--certificate", "{bad}"],
        2,
        "{bad}",
    ),
    "a certificate that is a folder": (
        ["device", "adopt", ALMA, "--name", "x", "--certificate", "/"],
        3,
        "/",
    ),
    "a device's name twice": (["device", "enrol", ALMA, "--name", "Alma's computer"], 2, "Alma's computer"),
    "an account twice": (["account", "add", ALMA], 2, ALMA),
    "an account without domain": (["account", "add", "alma"], 2, "alma"),
    "an account of another domain": (["account", "add", "a@elsewhere.example"], 2, "elsewhere.example"),
    "an account with a broken address": (
        ["account", "add", "a b@playground.example"],
        2,
        "a b@playground.example",
    ),
    "an account with two at signs": (
        ["account", "add", "a@b@playground.example"],
        2,
        "a@b@playground.example",
    ),
    "an alias that is taken": (["account", "add", "new@playground.example", "--alias", BRUNO], 2, BRUNO),
    "an organisation twice": (["org", "add", "Playground", "--domain", "other.example"], 2, "Playground"),
    "a domain twice": (["org", "add", "Other", "--domain", "playground.example"], 2, "playground.example"),
    "a domain that is none": (["org", "add", "Other", "--domain", "not a domain"], 2, "not a domain"),
    "no such organisation": (["--org", "Nobody", "device", "list"], 2, "Nobody"),
    "no settings file": (["--config", "/nowhere.toml", "device", "list"], 3, "/nowhere.toml"),
    "settings that are none": (["--config", "{bad}", "device", "list"], 2, "{bad}"),
    "no data directory": (["--data", "/nowhere/data", "device", "list"], 3, "/nowhere/data"),
    "no such session": (["session", "kill"], 2, "session"),
    "a policy that is none": (["policy", "set", "{bad}"], 2, "{bad}"),
    "a policy that is not there": (["policy", "set", "/nowhere.toml"], 3, "/nowhere.toml"),
}


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("bad") / "bad.pem"
    path.write_bytes(b"\xff\xfe garbage = [\n" + CERTIFICATE.encode())
    return str(path)


def fingerprint(g: Gambeson) -> str:
    """Of everything that the store holds, audit log included."""
    with sqlite3.connect(f"file:{g.data}/store/control.db?mode=ro", uri=True) as db:
        tables = [
            row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        ]
        rows = [
            sorted(map(repr, db.execute(f'SELECT * FROM "{t}"')))
            for t in tables
            if "seal" not in t and "head" not in t
        ]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def one_sentence(done: subprocess.CompletedProcess[str], code: int, say: str) -> None:
    assert done.returncode == code, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()
    assert done.stderr.count("\n") == 1, done.stderr
    assert "\x1b" not in done.stderr
    assert say in done.stderr, done.stderr
    assert done.stderr.rstrip().endswith("."), done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_cannot_be(playground: Gambeson, bad: str, name: str) -> None:
    args, code, say = COMMANDS[name]
    before = fingerprint(playground)
    args = [a.replace("{bad}", bad) for a in args]
    own = "--data" in args or "--config" in args
    command = [sys.executable, "-m", "gambeson", *args]
    env = {**playground.env, "GAMBESON_DATA": str(playground.data)} if own else {**playground.env}
    command += [] if own or not args else ["--data", str(playground.data)]
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=60, cwd=playground.data.parent
    )
    one_sentence(done, code, say.replace("{bad}", bad))
    assert fingerprint(playground) == before


# -- starting ---------------------------------------------------------------------------------------


SERVER = '[[server]]\nname = "mail"\nimap = "imap+plain://127.0.0.1:9"\n'
USERS = '[users]\ndoors = "daemon"\nkeeper = "games"\nworker = "news"\nconsole = "nobody"\n'
STARTS: dict[str, tuple[str, int, str]] = {
    "broken TOML": ("[listen\n", 2, "line 1"),
    "an unknown setting": ("[doors]\ncolour = 1\n", 2, "colour"),
    "a wrong type": ('[doors]\nprocesses = "many"\n', 2, "processes"),
    "out of range": ("[doors]\nprocesses = 1000\n", 2, "processes"),
    "no server": ("", 2, "[[server]]"),
    "a certificate that is not there": (
        SERVER + '[tls]\ncertificate = "/nowhere.pem"\nkey = "/nowhere.key"\n',
        2,
        "/nowhere.pem",
    ),
    "a certificate that is none": (SERVER + '[tls]\ncertificate = "{bad}"\nkey = "{bad}"\n', 2, "{bad}"),
    "a key of another certificate": (SERVER + '[tls]\ncertificate = "{cert}"\nkey = "{key}"\n', 2, "{cert}"),
    "a port in use": (SERVER + '[listen]\nimaps = "127.0.0.1:{port}"\n', 3, "{port}"),
    "one address twice": (
        SERVER + '[listen]\nimap = "127.0.0.1:7001"\nimaps = "127.0.0.1:7001"\n',
        2,
        "7001",
    ),
    "an address that is not ours": (SERVER + '[listen]\nimaps = "192.0.2.1:993"\n', 3, "192.0.2.1"),
    "a server without TLS elsewhere": (
        '[[server]]\nname = "m"\nimap = "imap+plain://192.0.2.1:143"\n',
        2,
        "TLS",
    ),
    "a CA that is not there": (
        SERVER.replace("+plain", "") + 'ca = "/nowhere-ca.pem"\n',
        2,
        "/nowhere-ca.pem",
    ),
    "a secret that is not there": (
        SERVER + 'sign_in = "master"\nmaster_login = "x"\nmaster_password = "file:/nowhere-pw"\n',
        2,
        "/nowhere-pw",
    ),
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate and the key of another."""
    from peers.pki import Pki

    where = tmp_path_factory.mktemp("pair")
    pki = Pki(where)
    one, other = pki.issue("one.example"), pki.issue("other.example")
    return one.certificate, other.key


def up(data: Path, *args: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gambeson", "up", "--data", str(data), *args]
    return subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1", **(env or {})},
        capture_output=True,
        text=True,
        timeout=60,
    )


def told(done: subprocess.CompletedProcess[str], code: int, say: str) -> None:
    """``up`` says that it starts; the one sentence comes after that."""
    lines = [line for line in done.stderr.splitlines() if line not in ("Starting ...",)]
    assert done.returncode == code, done
    assert len(lines) == 1, done.stderr
    assert say in lines[0], done.stderr
    assert lines[0].rstrip().endswith((".", '"')), done.stderr


@pytest.mark.parametrize("name", STARTS)
def test_a_start_that_cannot_be(place: Path, bad: str, pair: tuple[Path, Path], name: str) -> None:
    text, code, say = STARTS[name]
    taken = socket.create_server(("127.0.0.1", 0))
    with taken:
        words = {"bad": bad, "cert": str(pair[0]), "key": str(pair[1]), "port": str(taken.getsockname()[1])}
        for word, value in words.items():
            text, say = text.replace("{" + word + "}", value), say.replace("{" + word + "}", value)
        listen = "" if "[listen]" in text else f'[listen]\nconsole = "127.0.0.1:{free_ports()}"\n'
        settings = place / "g.toml"
        settings.write_text(f"{text}\n{USERS}{listen}" if name != "broken TOML" else text)
        args = (
            []
            if name in ("a port in use", "an address that is not ours")
            else ["--ports-from", str(free_ports())]
        )
        told(up(place / "data", "--config", str(settings), *args), code, say)
    assert not (place / "data" / "run" / "ready.json").exists()


@pytest.fixture(scope="module")
def stopped_data() -> Iterator[Path]:
    """The data directory of a playground that was stopped."""
    with folder() as path:
        with Gambeson(path / "data"):
            pass
        yield path / "data"


def spoil_control(data: Path) -> str:
    control = data / "store" / "control.db"
    control.write_bytes(b"garbage " * 1000)
    for other in control.parent.glob("control.db-*"):
        other.unlink()
    return str(control)


def spoil_schema(data: Path) -> str:
    with sqlite3.connect(data / "store" / "control.db") as db:
        db.execute("UPDATE schema_control SET version_num = '9999'")
    return "newer"


def spoil_keys(data: Path) -> str:
    path = data / "keeper" / "keys.sealed"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    return "keys"


def lose_master_key(data: Path) -> str:
    (data / "keeper" / "master.key").unlink()
    return "master.key"


def spoil_certificate(data: Path) -> str:
    (data / "tls" / "certificate.pem").write_text("garbage")
    return "certificate.pem"


@pytest.mark.parametrize(
    "spoil", [spoil_control, spoil_schema, spoil_keys, lose_master_key], ids=lambda f: f.__name__
)
def test_a_data_directory_that_is_spoilt(stopped_data: Path, place: Path, spoil: object) -> None:
    data = place / "data"
    shutil.copytree(stopped_data, data, symlinks=True)
    say = spoil(data)  # type: ignore[operator]
    done = up(data, "--ports-from", str(free_ports()))
    assert done.returncode in (2, 3), done
    told(done, done.returncode, say)


def test_a_data_directory_that_is_a_file(place: Path) -> None:
    (place / "data").write_text("x")
    done = up(place / "data")
    told(done, done.returncode, str(place / "data"))
    assert done.returncode in (2, 3)


def test_ports_that_are_none(place: Path) -> None:
    for value in ("-1", "65530", "x"):
        done = up(place / "data", "--ports-from", value)
        told(done, 2, "--ports-from")
    assert not (place / "data").exists()


def test_a_port_of_the_range_in_use(place: Path) -> None:
    first = free_ports()
    with socket.create_server(("127.0.0.1", first + 2)):
        told(up(place / "data", "--ports-from", str(first)), 3, str(first + 2))
