"""SND-002: which words a key gets, and that silence is no accusation."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from assess.one_check import codes, loaded, outcomes, sentences
from gambeson.assess.core.checks.dkim import run
from gambeson.assess.core.dns import DnsAnswer, DnsState, Question
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.sender.dkim import NOBODYS

FACTS = Facts("d.example", at=0, dkim_selectors=("default", "mail"))


def key(bits: int) -> str:
    public = rsa.generate_private_key(65537, bits).public_key()
    return base64.b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


LONG, SHORT = key(2048), key(1024)
# 768 bits: no library makes them any more; the modulus is any odd number of that length
WEAK = base64.b64encode(
    bytes.fromhex("307c300d06092a864886f70d0101010500036b003068026100" + "c1" * 96 + "0203010001")
).decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"v=DKIM1; p={LONG}", ["ok"]),
        (f"v=DKIM1; k=ed25519; p={base64.b64encode(bytes(range(32))).decode()}", ["ok"]),
        (f"v=DKIM1; p={SHORT}", ["short"]),
        (f"v=DKIM1; p={WEAK}", ["weak"]),
        (f"v=DKIM1; t=y; p={LONG}", ["testing"]),
        (f"v=DKIM1; t=s; p={LONG}", ["ok"]),
        (f"v=DKIM1; h=sha1; p={LONG}", ["sha1"]),
        (f"v=DKIM1; k=dsa; p={LONG}", ["strange"]),
        ("v=DKIM1; p=", ["revoked", "not-found"]),
        ("v=DKIM1; p=!", ["broken", "not-found"]),
        ("SERVFAIL", ["not-found"]),
    ],
)
def test_codes(text: str, expected: list[str]) -> None:
    assert codes("dkim", {"default._domainkey.d.example TXT": text}, FACTS) == expected


def test_a_wildcard() -> None:
    names = (NOBODYS, *FACTS.dkim_selectors)
    zone = {f"{name}._domainkey.d.example TXT": "v=spf1 -all" for name in names}
    assert codes("dkim", zone, FACTS) == ["wildcard", "not-found"]


def test_every_word_of_the_data_file_is_used() -> None:
    table = next(m for m in test_codes.pytestmark if m.name == "parametrize").args[1]  # type: ignore[attr-defined]
    used = {code for _, expected in table for code in expected} | {"wildcard", "dangling"}
    assert used == loaded("dkim").outcomes.keys()


def test_none_found_is_unknown_and_says_how_to_find_out() -> None:
    [(light, sentence)] = sentences("dkim", {"d.example A": "192.0.2.1"}, FACTS)
    assert light == "unknown"
    assert "under 2 usual names" in sentence


def test_all_silent_gives_the_cause() -> None:
    zone = {f"{name}._domainkey.d.example TXT": "SERVFAIL" for name in FACTS.dkim_selectors}
    [outcome] = outcomes("dkim", zone, FACTS)
    assert (outcome.code, outcome.unknown is not None) == ("unknown", True)


def test_no_names_to_try_is_unknown() -> None:
    assert codes("dkim", {"d.example A": "192.0.2.1"}, Facts("d.example", at=0)) == ["unknown"]


def test_the_good_key_does_not_hide_the_weak_one() -> None:
    zone = {
        "default._domainkey.d.example TXT": f"v=DKIM1; p={LONG}",
        "mail._domainkey.d.example TXT": f"p={WEAK}",
    }
    assert [light for light, _ in sentences("dkim", zone, FACTS)] == ["red"]


def test_a_name_that_points_to_nothing() -> None:
    names = [f"{name}._domainkey.d.example" for name in (NOBODYS, *FACTS.dkim_selectors)]
    answers = {Question(n, "TXT"): DnsAnswer(Question(n, "TXT"), DnsState.NO_NAME) for n in names}
    asked = Question("mail._domainkey.d.example", "TXT")
    answers[asked] = replace(answers[asked], aliases=("key.provider.test",))
    found = list(run(replace(FACTS, answers=answers)))
    assert [outcome.code for outcome in found] == ["dangling", "not-found"]
    assert found[0].values["alias"] == "key.provider.test"
