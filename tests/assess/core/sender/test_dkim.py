"""DKIM: which keys are found under usual names, and what a wildcard or silence means."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from assess.dns_zone import Zone
from gambeson.assess.core.dns import DnsAnswer, DnsState, Question, WantedError
from gambeson.assess.core.sender import dkim
from gambeson.assess.core.sender.dkim import DkimReport

SELECTORS = ("selector1", "default", "mail")
RSA = rsa.generate_private_key(65537, 2048).public_key()
RSA_TEXT = base64.b64encode(RSA.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
ED = ed25519.Ed25519PrivateKey.generate().public_key()
ED_TEXT = base64.b64encode(ED.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def report(zone: dict[str, str | list[str]]) -> DkimReport:
    return Zone(zone).settle(lambda answers: dkim.report("d.example", answers, SELECTORS))


def test_all_selectors_are_asked_at_once() -> None:
    with pytest.raises(WantedError) as wanted:
        dkim.report("d.example", {}, SELECTORS)
    assert len(wanted.value.questions) == len(SELECTORS) + 1


def test_keys_are_found_and_read() -> None:
    found = report(
        {
            "selector1._domainkey.d.example TXT": f"v=DKIM1; k=rsa; p={RSA_TEXT}",
            "mail._domainkey.d.example TXT": f"v=DKIM1; k=ed25519; p={ED_TEXT}",
        }
    )
    assert [(k.selector, k.key.kind, k.key.bits) for k in found.keys if k.key] == [
        ("selector1", "rsa", 2048),
        ("mail", "ed25519", 256),
    ]
    assert len(found.usable) == 2


def test_nothing_found_is_only_that() -> None:
    found = report({"d.example A": "192.0.2.1"})
    assert (found.keys, found.asked, found.unknowns, found.wildcard) == ((), 3, (), "")


def test_silence_is_told_from_nothing() -> None:
    found = report({"default._domainkey.d.example TXT": "SERVFAIL"})
    assert [selector for selector, _ in found.unknowns] == ["default"]


def test_a_withdrawn_key_is_no_usable_key() -> None:
    found = report({"default._domainkey.d.example TXT": "v=DKIM1; p="})
    assert found.keys[0].key is not None
    assert found.keys[0].key.revoked
    assert found.usable == ()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("v=DKIM1; k=rsa", ""),
        ("v=DKIM1; k=rsa; p=nothing!", "its key is not base64"),
        ("v=DKIM1; k=ed25519; p=AAAA", "an Ed25519 key has 32 octets, this one has not"),
        ("v=DKIM1; p=AAAA; p=BBBB", "p= is there twice"),
    ],
)
def test_a_broken_record_is_kept_with_its_mistake(text: str, error: str) -> None:
    [key] = report({"mail._domainkey.d.example TXT": text}).keys
    assert key.key is None
    assert key.error == (error or "it has no key (p tag)")


def test_what_is_no_key_record_is_passed_over() -> None:
    assert report({"mail._domainkey.d.example TXT": "google-site-verification=abc"}).keys == ()


def test_two_keys_at_one_name_are_a_mistake() -> None:
    [key] = report({"mail._domainkey.d.example TXT": [f"v=DKIM1; p={RSA_TEXT}", "v=DKIM1; p="]}).keys
    assert key.key is None


def test_a_wildcard_is_noticed_and_invents_no_keys() -> None:
    star = "v=spf1 -all"
    names = (dkim.NOBODYS, *SELECTORS)
    zone: dict[str, str | list[str]] = {f"{name}._domainkey.d.example TXT": star for name in names}
    zone["mail._domainkey.d.example TXT"] = f"v=DKIM1; p={RSA_TEXT}"
    found = report(zone)
    assert found.wildcard == star
    assert [key.selector for key in found.keys] == ["mail"]
    same = report({f"{name}._domainkey.d.example TXT": "v=DKIM1; p=" for name in names})
    assert same.wildcard == "v=DKIM1; p="
    assert same.keys == ()


def test_an_alias_says_who_has_the_key() -> None:
    questions = [Question(f"{name}._domainkey.d.example", "TXT") for name in (dkim.NOBODYS, *SELECTORS)]
    answers = {q: DnsAnswer(q, DnsState.NO_NAME) for q in questions}
    answers[questions[1]] = DnsAnswer(
        questions[1], DnsState.RECORDS, (f"v=DKIM1; p={RSA_TEXT}",), aliases=("selector1.provider.test",)
    )
    [key] = dkim.report("d.example", answers, SELECTORS).keys
    assert key.alias == "selector1.provider.test"


def test_names_that_cannot_be_asked_and_too_many_are_left_out() -> None:
    names = ["", "a b", "x" * 64, *[f"s{n}" for n in range(500)]]
    with pytest.raises(WantedError) as wanted:
        dkim.report("d.example", {}, names)
    assert len(wanted.value.questions) == dkim.MAX_SELECTORS + 1
