"""A device secret must reach the keeper and nobody else: not the mail server, not the directory, not the record.

In observe mode a door passes passwords on. A secret that was mistyped is no secret by its checksum, and gives all
but a few characters of the right one away.
"""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.guard.edge.identity.source import sendable
from gambeson.model import device_secret
from gambeson.model.access import Mechanism, Mode, RawLogin
from gambeson.process.signin import as_is
from guard.edge.doors import SECRET, ImapPeer, doors, organisation, run, upstream

MISTYPED = [
    SECRET.text[:-1],
    SECRET.text + "0",
    SECRET.text[:20] + "o" + SECRET.text[21:],
    SECRET.text.replace("-", " "),
    " ".join(SECRET.text),
    SECRET.text.replace("-", "").upper() + "x",
    SECRET.text + SECRET.text,
    SECRET.text[:-6],
]


@pytest.mark.parametrize("password", MISTYPED)
def test_a_mistyped_secret_does_not_go_on_in_observe_mode(password: str) -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await doors(organisation(upstream(await peer.start()), mode=Mode.OBSERVE))
        client = await at.client()
        answer = await client.login(password)
        await asyncio.sleep(0.05)
        assert answer.startswith(b"a NO"), answer
        assert peer.logins == [], "the mail server has nearly the whole secret"
        [event] = at.events("door.login.refused")
        assert event.data["failure"] == "secret-mistyped"
        assert SECRET.text[:20] not in repr(event)
        await at.server.stop()

    run(main)


@pytest.mark.parametrize("password", MISTYPED)
def test_nor_to_a_directory_nor_as_it_is(password: str) -> None:
    assert not sendable(password)
    with pytest.raises(as_is.NothingToPassOnError):
        as_is.credential(RawLogin(Mechanism.PLAIN, "alice@example.org", password))


@given(st.integers(0, 46), st.sampled_from("0aoil-Z 5"), st.binary(min_size=23, max_size=23))
def test_one_wrong_character_anywhere_behind_the_prefix_is_seen(
    place: int, typed: str, entropy: bytes
) -> None:
    text = device_secret.make(entropy).text
    at = 4 + place % (len(text) - 4)
    assert device_secret.resembles(text[:at] + typed + text[at + 1 :]) or sum(c.isdigit() for c in text) < 6


@pytest.mark.parametrize(
    "password",
    [
        "",
        "gambeson",
        "gambling is a fun thing to do with 3 friends",
        "correct horse battery staple 1234567890",
    ],
)
def test_peoples_passwords_are_no_secrets(password: str) -> None:
    assert not device_secret.resembles(password)
