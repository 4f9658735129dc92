"""The pieces of the doctor that can be asked without an installation."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gambeson.app.doctor import State, checks, examine, open_doors
from gambeson.app.doctor.certificate_facts import facts
from gambeson.app.doctor.listeners import judge
from gambeson.app.doctor.machine import _python
from gambeson.app.doctor.mail_servers import missing, takes_plaintext
from gambeson.app.doctor.probe import Answer
from gambeson.app.doctor.result import Patient
from gambeson.app.place import Place
from gambeson.model.access import DoorKind, Mode
from gambeson.model.asset import Account
from gambeson.model.organisation import Organisation
from gambeson.model.rule import ModeEntry, Policy
from gambeson.model.server import Endpoint, SignIn
from gambeson.model.snapshot import Snapshot, SnapshotIndex
from gambeson.settings import loads
from peers.pki import Pki

DAY = 86400.0


def test_every_check_is_found_by_listing() -> None:
    names = [name for name, _ in checks()]
    assert names[0] == "settings_file"
    assert {"users", "keeper_key", "store", "listeners", "mail_servers", "audit_log", "machine"} <= set(names)
    assert not {"result", "probe", "certificate_facts"} & set(names)


def test_a_check_that_breaks_is_a_failed_line_and_stops_no_other(tmp_path: Path) -> None:
    patient = Patient(Place(tmp_path / "gone"), loads("", "test", tmp_path), tmp_path / "gone.toml", 1.8e9)
    found = list(examine(patient))
    assert any(
        c.state is State.FAILED and "could not be looked at" in c.text for c in found
    )  # no settings file
    assert any(c.name == "python" for c in found)


@pytest.mark.parametrize(
    ("day", "version", "state"),
    [
        ("2026-11-01", (3, 11), State.OK),
        ("2027-06-01", (3, 11), State.WARNING),
        ("2027-11-01", (3, 11), State.FAILED),
        ("2027-11-01", (3, 13), State.OK),
        ("2027-11-01", (3, 99), State.WARNING),
    ],
)
def test_pythons_end_of_life(day: str, version: tuple[int, int], state: State) -> None:
    now = datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
    assert _python(now, version).state is state


IMAP, SMTP = Endpoint(DoorKind.IMAP), Endpoint(DoorKind.SUBMISSION, trusts_us=True)
POP3 = Endpoint(DoorKind.POP3)


@pytest.mark.parametrize(
    ("way", "endpoint", "offers", "good"),
    [
        (SignIn.TOKEN, IMAP, {"AUTH=OAUTHBEARER"}, True),
        (SignIn.TOKEN, IMAP, {"AUTH=XOAUTH2"}, True),
        (SignIn.TOKEN, IMAP, {"AUTH=PLAIN"}, False),
        (SignIn.MASTER, IMAP, {"AUTH=PLAIN"}, True),
        (SignIn.MASTER, IMAP, {"AUTH=LOGIN"}, False),
        (SignIn.SEALED, IMAP, {"AUTH=LOGIN"}, True),
        (SignIn.SEALED, IMAP, {"IMAP4REV1"}, True),
        (SignIn.SEALED, IMAP, {"LOGINDISABLED"}, False),
        (SignIn.SEALED, POP3, {"USER"}, True),
        (SignIn.SEALED, POP3, {"UIDL"}, False),
        (SignIn.SEALED, SMTP, {"AUTH=PLAIN"}, False),  # it is said to trust us, and offers no XCLIENT
        (SignIn.SEALED, SMTP, {"AUTH=PLAIN", "XCLIENT"}, True),
        (SignIn.AS_IS, IMAP, {"AUTH=PLAIN"}, True),
    ],
)
def test_what_a_way_to_sign_in_needs(way: SignIn, endpoint: Endpoint, offers: set[str], good: bool) -> None:
    answer = Answer("", frozenset(), frozenset(offers), b"certificate")
    assert (missing(way, endpoint, answer) is None) is good


def test_a_password_before_tls_is_seen() -> None:
    assert takes_plaintext(Answer("", frozenset({"IMAP4REV1", "STARTTLS"}), frozenset()))
    assert not takes_plaintext(Answer("", frozenset({"IMAP4REV1", "LOGINDISABLED"}), frozenset()))


def _judged(tmp_path: Path, host: str, der: bytes, now: float, distrust: str = "", other: str = "") -> State:
    settings = f'[doors]\nhostname = "{host}"\n'
    if other:
        settings += f'[tls]\ncertificate = "{other}"\nkey = "{other}"\n'
    patient = Patient(Place(tmp_path), loads(settings, "test", tmp_path), None, now)
    (found,) = judge(patient, host, der, distrust)
    return found.state


def test_certificates(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    issued = pki.issue("mail.example.org", "*.branch.example.org")
    again = Pki(tmp_path / "other").issue("mail.example.org")
    der = x509.load_pem_x509_certificate(issued.certificate.read_bytes()).public_bytes(Encoding.DER)
    found = facts(der)
    assert found.key == "ECDSA secp256r1"
    assert found.covers("MAIL.example.org.")
    assert found.covers("imap.branch.example.org")
    assert not found.covers("a.imap.branch.example.org")
    assert not found.covers("branch.example.org")
    file, now = str(issued.certificate), found.ends - 30 * DAY
    now = max(now, found.starts)  # the test authority's certificates live for a week
    soon = State.FAILED  # less than 21 days are left
    assert _judged(tmp_path, "mail.example.org", der, now, other=file) is soon
    assert _judged(tmp_path, "mail.example.org", der, found.ends + 1, other=file) is State.FAILED
    assert _judged(tmp_path, "mail.example.org", der, found.starts - 1, other=file) is State.FAILED
    assert _judged(tmp_path, "imap.example.org", der, now, other=file) is State.FAILED
    assert _judged(tmp_path, "mail.example.org", der, now, other=str(again.certificate)) is State.FAILED
    with pytest.raises(ValueError, match=r"ParseError"):
        facts(b"no certificate")


@pytest.mark.parametrize(
    ("whom", "who", "command"),
    [
        ({}, "everybody", "gambeson guard mode imap enforce"),
        ({"group": "sales"}, "the group sales", "gambeson guard mode imap enforce --group sales"),
        ({"account": "a1"}, "ann@x.example", "gambeson guard mode imap enforce --account ann@x.example"),
    ],
)
def test_the_remedy_of_a_mode_ends_that_very_mode(whom: dict[str, str], who: str, command: str) -> None:
    snapshot = Snapshot(
        1,
        1.8e9,
        organisations=(Organisation("o1", "Acme"),),
        accounts=(Account("a1", "o1", "ann@x.example"),),
        policies=(Policy("o1", modes=(ModeEntry(DoorKind.IMAP, Mode.WARN, 1.8e9 + 1, **whom),)),),
    )
    (check,) = open_doors._policies(SnapshotIndex(snapshot), 1.8e9)
    assert f"warn for {who} until" in check.text
    assert check.remedy.endswith(command)
