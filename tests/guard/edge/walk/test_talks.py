"""Whatever a server says, a talk ends in a reply; nothing is entered that did not say so; nothing loops."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.guard.core.walk import HEAR, Outcome, Place, Reply, Role, Say
from gambeson.guard.core.walk_imap import imap
from gambeson.guard.core.walk_plan import Held, attempts
from gambeson.guard.core.walk_pop3 import pop3
from gambeson.guard.core.walk_sasl import answers, forged_token
from gambeson.guard.core.walk_sieve import sieve
from gambeson.guard.core.walk_smtp import smtp
from gambeson.model.access import DoorKind, Listener, Rung

from .broken import CANARY

TALKS = {Listener.IMAP: imap, Listener.POP3: pop3, Listener.SUBMISSION: smtp, Listener.SIEVE: sieve}
ALL = {
    listener: attempts(Place("p", listener, Role.DOOR, "127.0.0.1", 1), CANARY, Rung.DEVICE_SECRET, "n")
    for listener in TALKS
}
GOOD_WORDS = [
    b"* OK hi\r\n",
    b"+OK\r\n",
    b"220 x\r\n",
    b"250 x\r\n",
    b"t OK\r\n",
    b"OK\r\n",
    b"+ \r\n",
    b"334 \r\n",
]
LINES = st.lists(st.sampled_from(GOOD_WORDS) | st.binary(max_size=40).map(lambda b: b + b"\n"), max_size=40)


def carry_out(listener: Listener, attempt, lines, secure: bytes = b"ok") -> Reply:
    """The talk with a server that says these lines and then hangs up."""
    talk = TALKS[listener](attempt)
    said = chain(lines, repeat(b""))
    step = next(talk)
    for _ in range(2000):
        given = b"" if isinstance(step, Say) else next(said) if step is HEAR else secure
        try:
            step = talk.send(given)
        except StopIteration as end:
            return end.value
    raise AssertionError("the talk does not end")


@given(data=st.data(), lines=LINES, secure=st.sampled_from([b"ok", b""]))
@pytest.mark.parametrize("listener", list(TALKS))
def test_any_answers_give_a_reply(listener: Listener, data, lines: list[bytes], secure: bytes) -> None:
    attempt = data.draw(st.sampled_from(ALL[listener]))
    reply = carry_out(listener, attempt, lines, secure)
    assert reply.outcome in Outcome
    assert len(reply.said) <= 200
    assert reply.said.isprintable()
    if not lines:
        assert reply.outcome is Outcome.CANNOT_SAY


@pytest.mark.parametrize("listener", list(TALKS))
def test_a_server_that_never_stops_talking_is_left(listener: Listener) -> None:
    for attempt in ALL[listener]:
        for word in (b"* OK\r\n", b"250-more\r\n", b"+OK\r\n", b"+ eA==\r\n", b"334 eA==\r\n", b'"eA=="\r\n'):
            assert carry_out(listener, attempt, repeat(word)).outcome in Outcome


@given(challenge=st.binary(max_size=200), turn=st.integers(0, 4))
@pytest.mark.parametrize(
    "mechanism",
    sorted({a.mechanism for plan in ALL.values() for a in plan if a.mechanism.isupper()} - {"STARTTLS"}),
)
def test_any_challenge_has_an_answer(mechanism: str, challenge: bytes, turn: int) -> None:
    answer = answers(mechanism, CANARY_LOGIN, "imap", "nonce")
    assert isinstance(answer(turn, challenge), bytes)


CANARY_LOGIN = ALL[Listener.IMAP][0].login


def test_cram_md5_as_in_its_specification() -> None:
    # The example of the mechanism's own specification.
    login = replace(CANARY_LOGIN, name="tim", secret="tanstaaftanstaaf")
    said = answers("CRAM-MD5", login, "imap", "")(0, b"<1896.697170952@postoffice.reston.mci.net>")
    assert said == b"tim b913a602c7eda7a495b4e6e7334d3890"


def test_scram_sha_1_as_in_its_specification() -> None:
    login = replace(CANARY_LOGIN, name="user", secret="pencil")
    answer = answers("SCRAM-SHA-1", login, "imap", "fyko+d2lbbFgONRv9qkxdawL")
    assert answer(0, b"") == b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"
    said = answer(1, b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096")
    assert said.endswith(b",p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=")


def test_the_plan_says_secrets_to_nobody_but_doors() -> None:
    for listener in TALKS:
        plan = attempts(Place("p", listener, Role.UPSTREAM, "h", 1), CANARY, Rung.DEVICE_SECRET, "n")
        assert not any(a.login.secret.startswith("gam-") for a in plan)
    assert all(not isinstance(a, Held) for a in ALL[Listener.IMAP])
    assert forged_token("x").endswith(".")


def test_each_door_is_tried_with_another_doors_secret() -> None:
    for listener, plan in ALL.items():
        [secret] = {a.login.secret for a in plan if a.rule == "guard.walk.door-not-allowed"}
        [other] = [door for door, held in CANARY.elsewhere if held == secret]
        assert other is not listener.door
    assert {d for d, _ in CANARY.elsewhere} == {DoorKind.IMAP, DoorKind.SIEVE}
