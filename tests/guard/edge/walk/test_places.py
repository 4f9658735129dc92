"""Where the walk goes: from ready.json, the settings, and what a person names."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gambeson.guard.core.walk import Role
from gambeson.guard.edge.walk.places import (
    WELL_KNOWN,
    PlaceError,
    from_outside,
    of_listens,
    of_ready,
    of_scan,
    of_servers,
    of_target,
    split,
)
from gambeson.model.access import DoorKind, Listener
from gambeson.model.server import Endpoint, MailServer, UpstreamTls
from gambeson.process.run_directory import RunDirectory


def test_the_doors_of_ready_json(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    path = run.path / "ready.json"
    doors = {
        "imap": "0.0.0.0:143",
        "imaps": "[::]:993",
        "imaps#2": "192.0.2.1:993",
        "sieve": None,
        "https": "x",
    }
    path.write_text(json.dumps({"pid": os.getpid(), "doors": doors}))
    found = {place.name: (place.host, place.port, place.implicit) for place in of_ready(tmp_path)}
    assert found == {
        "imap": ("127.0.0.1", 143, False),
        "imaps": ("::1", 993, True),
        "imaps#2": ("192.0.2.1", 993, True),
    }
    assert of_ready(tmp_path / "none") == ()
    path.write_text("[")
    with pytest.raises(PlaceError):
        of_ready(tmp_path)
    run.close()


def test_the_doors_of_the_settings() -> None:
    [place] = of_listens([("pop3s", "0.0.0.0", 995), ("console", "127.0.0.1", 8443)])
    assert (place.host, place.listener, place.role) == ("127.0.0.1", Listener.POP3S, Role.DOOR)


def test_the_mail_servers_behind() -> None:
    server = MailServer(
        "main",
        endpoints=(
            Endpoint(DoorKind.IMAP, "mail.internal", 993, pin="aa"),
            Endpoint(DoorKind.SUBMISSION, "mail.internal", 587, tls=UpstreamTls.STARTTLS),
            Endpoint(DoorKind.SIEVE, unix="@abstract", tls=UpstreamTls.NONE),
        ),
    )
    imap, sending, sieve = of_servers([server])
    assert (imap.listener, imap.implicit, imap.pin) == (Listener.IMAPS, True, "aa")
    assert (sending.listener, sending.implicit) == (Listener.SUBMISSION, False)
    assert sieve.address == "unix:@abstract"
    assert from_outside([imap, sieve]) == ((imap,), (sieve,))


def test_targets_and_scans() -> None:
    place = of_target("[2001:db8::1]:2525=submission")
    assert (place.host, place.port, place.listener) == ("2001:db8::1", 2525, Listener.SUBMISSION)
    known = of_target("mail.example.org:25=submission")
    scanned = of_scan(["mail.example.org"], [known])
    assert {place.port for place in scanned} == set(WELL_KNOWN) - {25}
    assert {place.role for place in scanned} == {Role.FOUND}


@pytest.mark.parametrize(
    "text", ["", "host", "host:1", "host:0=imap", "host:70000=imap", ":1=imap", "host:1=https", "host:x=imap"]
)
def test_a_target_that_is_none(text: str) -> None:
    with pytest.raises(PlaceError):
        of_target(text)


def test_an_address_has_host_and_port() -> None:
    assert split("a.example:25") == ("a.example", 25)
    with pytest.raises(PlaceError):
        split("a" * 300 + ":25")
