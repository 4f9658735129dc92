"""The four checks of TLS together: their words, and where they have nothing to say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assess.core.checks.tls_facts import (
    CLEAN,
    SILENT,
    V,
    door,
    facts,
    keyed,
    lasting,
    named,
    taking,
    untrusted,
    weak,
)
from gambeson.assess.core.check import Check, Light
from gambeson.assess.core.doors import PortState, Protocol
from gambeson.assess.core.evaluate import evaluate
from gambeson.assess.core.tls import Trust, Weakness
from gambeson.assess.edge.checks import all_checks

NAMES = ("tls_versions", "tls_ciphers", "certificate", "certificate_key")
CHECKS = tuple(check for check in all_checks() if check.name in NAMES)


@pytest.mark.parametrize("check", CHECKS, ids=[check.name for check in CHECKS])
def test_doors_without_tls_are_not_spoken_of(check: Check) -> None:
    closed = door(CLEAN, state=PortState.CLOSED)
    silent = door(CLEAN, state=PortState.UNKNOWN, unknown=SILENT)
    assert evaluate(facts(door(None), closed, silent), [check]) == ()
    assert evaluate(facts(), [check]) == ()


def test_a_clean_server_has_four_green_lines() -> None:
    lines = evaluate(facts(door(CLEAN), door(CLEAN, Protocol.SMTP, port=25)), CHECKS)
    assert [line.light for line in lines] == [Light.GREEN] * 4
    assert {line.check.id for line in lines} == {"TLS-001", "TLS-002", "TLS-003", "TLS-004"}


def test_hostile_names_do_not_reach_the_sentence_as_they_are() -> None:
    lines = evaluate(facts(door(named("{host}\x1b[2J", "{0.__class__}"))), CHECKS)
    wrong = next(line for line in lines if line.code == "wrong-name")
    assert "{host}?[2J" in wrong.sentence
    assert "\x1b" not in wrong.sentence


def test_every_sentence_is_filled() -> None:
    """Each outcome of each file, once alone and once for several doors."""
    worst = [
        taking(V.SSL3, V.TLS1_2), taking(V.TLS1_0), taking(V.TLS1_0, V.TLS1_2), CLEAN,
        weak(*Weakness), lasting(3), named("a.example", common=True), named("a.example"),
        *(untrusted(trust) for trust in Trust), keyed("RSA", 512, "md5"), keyed("RSA", 1024), keyed("DSA", 1024),
    ]  # fmt: skip
    seen: set[tuple[str, str]] = set()
    for tls in worst:
        for protocol in (Protocol.IMAP, Protocol.SMTP):
            for roles in (("mx",), ("guess",)):
                one = door(tls, protocol)
                for doors in ((one,), (one, replace(one, host="mx2.example.org"))):
                    for line in evaluate(facts(*doors, roles=roles), CHECKS):
                        seen.add((line.check.name, line.code))
                        for text in (line.sentence, line.step):
                            assert "{" not in text
                            assert "()" not in text
                            assert "  " not in text
                            assert " ." not in text
                            assert " ," not in text
    declared = {(check.name, code) for check in CHECKS for code in check.outcomes}
    assert declared <= seen | {(name, "unknown") for name in NAMES}
