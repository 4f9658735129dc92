from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.guard.core.decide import decide
from gambeson.guard.core.refusal import MAX_SENTENCE, ascii_sentence, refusal, warning
from gambeson.model.access import Mode, Rung
from gambeson.model.decision import Decision, Opinion
from gambeson.model.organisation import Organisation

URL = "https://login.example.org/enrol"
ORGANISATION = Organisation("o", "Example", ("example.org",), URL)


def said(opinion=Opinion.CHALLENGE, reason="rung-too-low", sentence="No."):
    return Decision(opinion, "r", reason, sentence, Rung.DEVICE_SECRET)


TABLE = [
    # opinion, reason                               alert  temporary close
    (Opinion.CHALLENGE, "rung-too-low", True, False, False),
    (Opinion.QUARANTINE, "device-quarantined", True, False, False),
    (Opinion.DENY, "rule", False, False, False),
    (Opinion.DENY, "throttled", False, True, True),
    (Opinion.DENY, "snapshot-stale", False, True, False),
]


@pytest.mark.parametrize(("opinion", "reason", "alert", "temporary", "close"), TABLE)
def test_shape(opinion, reason, alert, temporary, close):
    got = refusal(said(opinion, reason), ORGANISATION)
    assert (got.alert, got.temporary, got.close) == (alert, temporary, close)


def test_a_challenge_always_names_the_enrolment_address():
    assert URL in refusal(said(sentence="x" * 1000), ORGANISATION).sentence
    assert refusal(said(sentence=f"Go to {URL}."), ORGANISATION).sentence == f"Go to {URL}."
    assert refusal(said(sentence="No."), None).sentence == "No."


def test_right_wrong_and_unknown_read_the_same(world):
    index = world.index()
    heard = {
        refusal(decide(world.ask(who), index, world.now), index.organisation["o"])
        for who in (
            world.password("alice@example.org"),
            world.password("nobody@example.org"),
            replace(world.password("bob@example.org"), failure="secret-wrong"),
            replace(world.password("bob@example.org"), failure="wrong-account"),
        )
    }
    assert len(heard) == 1
    (only,) = heard
    assert world.url in only.sentence
    assert only.alert


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("rung-too-low", ""),
        ("secret-wrong", ""),
        ("credential-expired", "EXPIRED"),
        ("account-disabled", "CONTACTADMIN"),
    ],
)
def test_a_closer_code_only_for_real_credentials(reason, code):
    assert refusal(said(reason=reason), ORGANISATION).code == code


def test_only_warn_tells_whom_it_lets_pass():
    told = warning(replace(said(sentence=f"Register at {URL}."), mode=Mode.WARN), ORGANISATION)
    assert told == f"You are let in, but soon no longer this way. Register at {URL}."
    assert warning(replace(said(), mode=Mode.OBSERVE), ORGANISATION) == ""
    assert warning(replace(said(Opinion.ALLOW), mode=Mode.WARN), ORGANISATION) == ""


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Gerät fürs Büro – bitte „melden“", 'Geraet fuers Buero - bitte "melden"'),
        ("Gera\u0308t", "Geraet"),
        ("à bientôt", "a bientot"),
        ("line\r\nbreak\0", "line break?"),
        ("日本", "??"),
    ],
)
def test_ascii(text, plain):
    assert ascii_sentence(text) == plain


@given(st.text(max_size=2000), st.sampled_from(Opinion), st.text(max_size=300))
def test_any_sentence_fits_any_protocol(text, opinion, url):
    got = refusal(said(opinion, sentence=text), Organisation("o", "o", (), url)).sentence
    assert got.isascii()
    assert len(got) <= MAX_SENTENCE
    assert "\r" not in got
    assert "\n" not in got
    assert all(" " <= c <= "~" for c in got)
