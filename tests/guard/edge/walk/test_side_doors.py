"""Every kind of side door is planted once and found, by its name and at its place; where none is, none is found."""

from __future__ import annotations

import asyncio

import pytest

from gambeson.guard.core.walk import Outcome, Path, Place, Role, side_doors, untried
from gambeson.guard.core.walk_plan import RULES
from gambeson.guard.edge.walk.tour import walk
from gambeson.model.access import DoorKind, Listener, Rung
from gambeson.model.finding import Severity

from .broken import CANARY, GOOD, PASSWORD, Broken

IMAP, POP3, SENDING, SIEVE = DoorKind.IMAP, DoorKind.POP3, DoorKind.SUBMISSION, DoorKind.SIEVE
IMPLICIT = {IMAP: Listener.IMAPS, POP3: Listener.POP3S, SENDING: Listener.SUBMISSIONS}

# The door, what is wrong with it, the rule that must be found.
PLANTS = [
    (IMAP, "preauth", "preauth"),
    (IMAP, "starttls-injection", "starttls-injection"),
    (POP3, "starttls-injection", "starttls-injection"),
    (SENDING, "starttls-injection", "starttls-injection"),
    (SIEVE, "starttls-injection", "starttls-injection"),
    (IMAP, "password-without-tls", "password-without-tls"),
    (POP3, "password-without-tls", "password-without-tls"),
    (SENDING, "password-without-tls", "password-without-tls"),
    (SIEVE, "password-without-tls", "password-without-tls"),
    (IMAP, "password", "password"),
    (IMAP, "password LOGIN command", "password"),
    (POP3, "password USER command", "password"),
    (POP3, "APOP", "password-without-tls"),
    (SENDING, "password LOGIN", "password"),
    (SIEVE, "password PLAIN", "password"),
    (IMAP, "CRAM-MD5", "password"),
    (SENDING, "CRAM-MD5", "password"),
    (IMAP, "DIGEST-MD5", "password"),
    (IMAP, "SCRAM-SHA-256", "password"),
    (SENDING, "ANONYMOUS", "anonymous"),
    (IMAP, "ANONYMOUS", "anonymous"),
    (IMAP, "EXTERNAL", "external-without-certificate"),
    (SIEVE, "EXTERNAL", "external-without-certificate"),
    (IMAP, "XOAUTH2", "token"),
    (POP3, "OAUTHBEARER", "token"),
    (IMAP, "GSSAPI", "mechanism"),
    (SENDING, "NTLM", "mechanism"),
    (IMAP, "any-password", "any-password"),
    (IMAP, "no-login", "no-login"),
    (POP3, "no-login", "no-login"),
    (SIEVE, "no-login", "no-login"),
    (IMAP, "device-blocked", "device-blocked"),
    (IMAP, "device-blocked LOGIN", "device-blocked"),  # one mechanism skips the device check
    (POP3, "device-lost", "device-lost"),
    (SENDING, "device-quarantined", "device-quarantined"),
    (SIEVE, "credential-revoked", "credential-revoked"),
    (IMAP, "credential-expired", "credential-expired"),
    (IMAP, "made-up-secret", "made-up-secret"),
    (SENDING, "door-not-allowed", "door-not-allowed"),
    (IMAP, "door-not-allowed", "door-not-allowed"),
    (IMAP, "another-account", "another-account"),
    (SENDING, "acts-as-another", "acts-as-another"),
    (IMAP, "secret-without-tls", "secret-without-tls"),
    (SIEVE, "secret-without-tls", "secret-without-tls"),
    (SENDING, "open-relay", "open-relay"),
    (SENDING, "foreign-sender", "foreign-sender"),
    (SENDING, "foreign-header", "foreign-header"),
]

# What is open as well where this is: a gullible mechanism does not ask for TLS either.
CONSEQUENCES = {
    **{m: {"password-without-tls"} for m in ("DIGEST-MD5", "SCRAM-SHA-256")},
    "APOP": {"password"},
    "any-password": {"password", "acts-as-another"},
    "open-relay": {"foreign-sender"},
}


def tour(
    door: DoorKind, *flaws: str, implicit: bool = False, role: Role = Role.DOOR, floor=Rung.DEVICE_SECRET
):
    """Walk over one server; the records."""

    async def main():
        async with Broken(door, *flaws, implicit=implicit) as server:
            listener = IMPLICIT[door] if implicit else Listener(door.value)
            place = Place("planted", listener, role, "127.0.0.1", server.port, implicit=implicit)
            return await walk([place], CANARY, lambda place: floor, nonce="n0nce", per_second=1000)

    return asyncio.run(main())


def found(records) -> set[str]:
    return {f.rule.removeprefix("guard.walk.") for f in side_doors(records, "o1", 1.0)}


@pytest.mark.parametrize(("door", "flaw", "rule"), PLANTS, ids=lambda v: str(v))
def test_what_is_planted_is_found(door: DoorKind, flaw: str, rule: str) -> None:
    records = tour(door, flaw)
    assert rule in found(records)
    # Nothing is invented beside it.
    assert found(records) <= {rule} | CONSEQUENCES.get(flaw, set()), found(records)


def test_at_least_twenty_kinds_are_planted_and_every_rule_is() -> None:
    planted = {rule for _, _, rule in PLANTS}
    assert len(planted) >= 20
    elsewhere = {"past-the-doors", "floor-not-held"}  # in the tests below
    assert set(RULES) - elsewhere <= planted


@pytest.mark.parametrize("door", [IMAP, POP3, SENDING, SIEVE])
def test_nothing_is_invented_where_nothing_is_wrong(door: DoorKind) -> None:
    records = tour(door)
    assert found(records) == set()
    assert list(untried(records)) == []
    assert len(records) > 40
    [control] = [r for r in records if r.attempt.control]
    assert control.reply.outcome is Outcome.ENTERED


@pytest.mark.parametrize("door", list(IMPLICIT))
def test_a_listener_under_tls_from_the_first_byte(door: DoorKind) -> None:
    assert found(tour(door, implicit=True)) == set()
    records = tour(door, "password", implicit=True)
    assert found(records) == {"password"}
    assert {r.attempt.path for r in records} == {Path.TLS}


def test_a_mail_server_past_the_doors() -> None:
    records = tour(IMAP, "password", role=Role.UPSTREAM)
    [finding] = side_doors(records, "o1", 1.0)
    assert finding.rule == "guard.walk.past-the-doors"
    assert finding.asset_kind == "server"
    assert "firewall" in finding.remedy[0]
    assert not any(r.attempt.login.secret == GOOD for r in records)  # our secrets are not for it


def test_a_floor_of_a_certificate_is_not_met_by_a_secret() -> None:
    assert found(tour(IMAP, floor=Rung.DEVICE_KEY)) == {"floor-not-held"}


def test_what_the_policy_declares_is_open_all_the_same_but_told_apart() -> None:
    records = tour(POP3, "password")
    [finding] = side_doors(records, "o1", 1.0, lambda record: "mode observe until Friday")
    assert finding.severity is Severity.HIGH
    assert "mode observe until Friday" in finding.reason
    [finding] = side_doors(records, "o1", 1.0)
    assert finding.severity is Severity.CRITICAL


def test_nobody_there_is_neither_good_nor_bad() -> None:
    place = Place("gone", Listener.IMAPS, Role.DOOR, "127.0.0.1", 1, implicit=True)
    records = asyncio.run(walk([place], CANARY, lambda p: Rung.DEVICE_SECRET, nonce="n", per_second=1000))
    assert [r.reply.outcome for r in records] == [Outcome.UNREACHABLE]
    assert len(list(untried(records))) == 1
    assert side_doors(records, "o1", 1.0) == []


def test_a_port_that_was_only_looked_for_is_rightly_closed() -> None:
    place = Place("port 25", Listener.SUBMISSION, Role.FOUND, "127.0.0.1", 1)
    records = asyncio.run(walk([place], CANARY, lambda p: Rung.DEVICE_SECRET, nonce="n", per_second=1000))
    assert list(untried(records)) == []


def test_no_secret_is_in_what_is_told() -> None:
    records = tour(IMAP, "password")
    told = repr(records) + repr([r.plain() for r in records]) + repr(side_doors(records, "o1", 1.0))
    assert PASSWORD not in told
    assert GOOD not in told
