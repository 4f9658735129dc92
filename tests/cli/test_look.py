"""``gambeson look`` as a stranger types it: consent, exit statuses, screen, HTML file, and what may go wrong."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assess.dns_zone import NXDOMAIN, SERVFAIL, Zone
from peers.process import free_port

SOURCE = Path(__file__).parents[2] / "src"
RECORDS = {
    "example.org MX": "10 mail.example.org",
    "example.org TXT": "v=spf1 mx -all",
    "mail.example.org A": "127.0.0.1",
    "_dmarc.example.org TXT": "v=DMARC1; p=none",
    "odd.org MX": "10 mail.example.org",
    "odd.org CAA": NXDOMAIN,
    "broken.org MX": SERVFAIL,
    "broken.org A": SERVFAIL,
    "hostile.org MX": "10 mail.hostile.org",
    "hostile.org TXT": "v=spf1 \x1b[2J\x9b2J\xad<script>alert(1)</script> {count} -all",
    "mail.hostile.org A": "127.0.0.1",
}


@pytest.fixture(scope="module")
def resolver() -> Iterator[str]:
    with Zone(RECORDS).served() as served:
        yield f"127.0.0.1:{served.port}"


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "gambeson", "look", *args]


ENV = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1"}


def look(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*args), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, env=ENV
    )


def closed_ports() -> list[str]:
    names = ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "sieve", "http", "https")
    return [f"--port={name}={free_port()}" for name in names]


def test_without_consent_only_names_are_read(resolver: str) -> None:
    done = look("example.org", "--resolver", resolver, "--json")
    found = json.loads(done.stdout)
    assert found["probed"] is False
    assert found["facts"]["doors"] == found["facts"]["pages"] == []
    assert "Nobody is there to agree" in done.stderr
    assert any("nobody agreed" in sentence for sentence in found["missing"])


def test_what_is_wrong_decides_the_exit_status(resolver: str) -> None:
    strict = look("example.org", "--resolver", resolver, "--names-only", "--fail-on", "low")
    assert strict.returncode == 1
    lax = look("example.org", "--resolver", resolver, "--names-only", "--fail-on", "critical")
    assert lax.returncode == 4  # nothing that bad, but nobody looked at the doors


def test_private_addresses_are_not_knocked_at_unasked(resolver: str) -> None:
    done = look("example.org", "--resolver", resolver, "--yes", "--json")
    found = json.loads(done.stdout)
    assert found["facts"]["doors"] == []
    assert any("private use" in sentence for sentence in found["missing"])


def test_an_address_that_the_person_types_is_theirs_to_look_at(resolver: str) -> None:
    args = ("--resolver", resolver, "--yes", "--json", *closed_ports())
    found = json.loads(look("example.org", *args, "--host", "127.0.0.1").stdout)
    assert {door["address"] for door in found["facts"]["doors"]} == {"127.0.0.1"}
    # Where a name leads to is its zone's to say, and that may be a stranger's.
    found = json.loads(look("example.org", *args, "--host", "mail.example.org").stdout)
    assert found["facts"]["doors"] == []


def test_closed_doors_are_closed(resolver: str) -> None:
    done = look("example.org", "--resolver", resolver, "--yes", "--private", "--json", *closed_ports())
    found = json.loads(done.stdout)
    assert {door["state"] for door in found["facts"]["doors"]} == {"closed"}
    assert "found no door open to the internet" in found["sentences"][0]


@pytest.mark.parametrize(
    ("args", "status", "says"),
    [
        (["nonsense"], 2, "is no domain"),
        (["exa mple.org"], 2, "is no domain"),
        (["192.0.2.1"], 2, "is no domain"),
        (["-x"], 2, "gambeson look"),
        (["example.org", "--resolver", "not-an-address"], 2, "is no name server"),
        (["example.org", "--resolver", "127.0.0.1:99999"], 2, "is no name server"),
        (["example.org", "--port", "gopher=70"], 2, "is no port"),
        (["example.org", "--port", "imaps=0"], 2, "is no port"),
        (["example.org", "--ca", "/nowhere/ca.pem"], 3, "/nowhere/ca.pem"),
        (["example.org", "--trust-anchor", "/nowhere/root.key"], 3, "/nowhere/root.key"),
        (["example.org", "--html", "/nowhere/look.html"], 3, "/nowhere"),
        (["example.org", "--html", "/"], 3, "is a folder"),
        (["example.org", "--html", "/dev/null"], 3, "is not a file"),
    ],
)
def test_what_was_typed_wrongly_gets_one_sentence(args: list[str], status: int, says: str) -> None:
    done = look(*args)
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_a_domain_that_does_not_exist_is_said(resolver: str) -> None:
    done = look("no-such-domain.org", "--resolver", resolver, "--names-only")
    assert done.returncode == 2
    assert "does not exist" in done.stderr


def test_no_name_server_is_not_no_records() -> None:
    done = look("example.org", "--resolver", f"127.0.0.1:{free_port()}", "--names-only")
    assert done.returncode == 3
    assert "Nothing could be found out about example.org" in done.stderr
    assert "127.0.0.1" in done.stderr  # whom it asked, not that it knew nobody
    assert done.stdout == ""


def test_what_the_names_server_cannot_find_out_is_unknown(resolver: str) -> None:
    done = look("broken.org", "--resolver", resolver, "--names-only", "--json")
    found = json.loads(done.stdout) if done.stdout else None
    if found is None:  # nothing at all could be found out: said as such, never as a fault of the domain
        assert done.returncode == 3
        return
    mx = [line for line in found["lines"] if line["name"] == "mx"]
    assert {line["light"] for line in mx} == {"unknown"}


def test_the_screen_is_plain_text_without_a_terminal(resolver: str) -> None:
    done = look("example.org", "--resolver", resolver, "--names-only")
    assert "\x1b" not in done.stdout
    assert done.stderr == ""
    assert max(map(len, done.stdout.splitlines())) <= 110
    assert re.search(r"^RED|^AMBER", done.stdout, re.MULTILINE)
    assert "Nothing was changed" in done.stdout


def test_the_html_file_needs_nothing_and_escapes_everything(resolver: str, tmp_path: Path) -> None:
    file = tmp_path / "look.html"
    look("hostile.org", "--resolver", resolver, "--names-only", "--html", str(file))
    text = file.read_text()
    assert "<script" not in text
    assert "&lt;script&gt;alert" in text
    assert "\x1b" not in text
    assert not re.search(r"(?:src|href)\s*=", text)
    assert "default-src 'none'" in text


def test_hostile_records_never_speak_to_the_terminal(resolver: str) -> None:
    done = look("hostile.org", "--resolver", resolver, "--names-only")
    assert "\x1b" not in done.stdout
    assert "Traceback" not in done.stderr


def test_nor_do_they_in_json(resolver: str) -> None:
    done = look("hostile.org", "--resolver", resolver, "--names-only", "--json")
    assert {c for c in done.stdout if not c.isprintable()} == {"\n"}
    texts = [name["records"] for name in json.loads(done.stdout)["facts"]["names"] if name["type"] == "TXT"]
    assert any("\x9b2J\xad" in record for records in texts for record in records)  # nothing is lost


def test_a_server_that_says_of_one_type_that_the_name_is_not_there(resolver: str) -> None:
    done = look("odd.org", "--resolver", resolver, "--names-only")
    assert "does not exist" not in done.stderr
    assert done.stdout


def on_a_terminal(answer: str, *args: str) -> tuple[str, str]:
    """What the person sees (standard error and output share the terminal) and the JSON written beside."""
    main, side = pty.openpty()
    process = subprocess.Popen(command(*args), stdin=side, stdout=subprocess.PIPE, stderr=side, env=ENV)
    os.close(side)
    shown, end = b"", time.monotonic() + 60
    while b"[y/N]" not in shown and time.monotonic() < end:
        if select.select([main], [], [], 1)[0]:
            shown += os.read(main, 4096)
    os.write(main, answer.encode())
    output, _ = process.communicate(timeout=60)
    while select.select([main], [], [], 0)[0]:
        try:
            octets = os.read(main, 4096)
        except OSError:  # the other side is closed
            break
        if not octets:
            break
        shown += octets
    os.close(main)
    return shown.decode(), output.decode()


@pytest.mark.parametrize(
    ("answer", "probed"), [("y\n", True), ("yes\n", True), ("\n", False), ("n\n", False)]
)
def test_a_person_is_asked_first(resolver: str, answer: str, probed: bool) -> None:
    shown, output = on_a_terminal(
        answer, "example.org", "--resolver", resolver, "--private", "--json", *closed_ports()
    )
    assert "Knock at the doors of example.org?" in shown
    assert "consent" in shown
    found: dict[str, Any] = json.loads(output)
    assert found["probed"] is probed
    if probed:
        assert "Looking at" in shown  # how far it is, on a terminal only


def printed(*args: str, rows: int) -> str:
    """What a terminal of 80 columns shows."""
    main, side = pty.openpty()
    termios.tcsetwinsize(side, (rows, 80))
    env = {key: value for key, value in ENV.items() if key not in ("LINES", "COLUMNS", "NO_COLOR")}
    process = subprocess.Popen(
        command(*args), stdin=side, stdout=side, stderr=side, env=env | {"TERM": "xterm"}
    )
    os.close(side)
    shown = b""
    with contextlib.suppress(OSError):  # the other side is closed
        while octets := os.read(main, 4096):
            shown += octets
    os.close(main)
    process.wait(60)
    return re.sub(r".*\x1b\[K", "", shown.decode().replace("\r", ""))


def test_a_terminal_gets_one_screen_and_all_on_request(resolver: str) -> None:
    args = ("example.org", "--resolver", resolver, "--names-only")
    short, whole = printed(*args, rows=36), printed(*args, "--all", rows=36)
    assert len(short.splitlines()) < 36 < len(whole.splitlines())
    assert "--all says each of them whole" in short
    assert "\x1b[1;31mRED" in short
    assert "--all" not in whole
