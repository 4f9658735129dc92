"""Text that costs, text that leaks."""

from __future__ import annotations

import asyncio
import base64
import time
from pathlib import Path

import pytest

from gambeson.model.access import Mechanism
from gambeson.settings.declare import SettingsError
from gambeson.settings.load import loads
from gambeson.wire.limits import MAX_PASSWORD
from gambeson.wire.sasl import SaslError, typed
from guard.edge.doors import UPSTREAM_PASSWORD, ImapPeer, doors, organisation, run, upstream


def test_one_character_that_becomes_eighteen_is_not_looked_at_eighteen_times() -> None:
    """U+FDFA is eighteen characters after NFKC. A password of 4 KiB of it took 50 ms of the one thread of a door,
    before anything counted it: a handful of connections a second stopped the door for everybody."""
    password = ("\ufdfa" * (MAX_PASSWORD // 3)).encode()
    began = time.process_time()
    for _ in range(10):
        with pytest.raises(SaslError, match="too long"):
            typed(Mechanism.PLAIN, b"alice@example.org", password)
    assert (time.process_time() - began) / 10 < 0.015


def test_a_number_of_thousands_of_digits_in_the_settings_is_one_sentence() -> None:
    with pytest.raises(SettingsError, match="this is not TOML"):
        loads("data = " + "1" * 5000, "f", Path())


class Echo(ImapPeer):
    """A mail server that repeats the command which it does not understand."""

    def _login(self, tag: bytes, argument: bytes, writer: asyncio.StreamWriter) -> bool:
        writer.write(tag + b" BAD Unknown command: AUTHENTICATE " + argument + b"\r\n")
        return True


def test_a_credential_that_the_mail_server_repeats_is_not_recorded() -> None:
    async def main() -> None:
        peer = Echo()
        at = await doors(organisation(upstream(await peer.start())))
        client = await at.client()
        answer = await client.login()
        assert answer.startswith(b"a NO [UNAVAILABLE]"), answer
        sent = base64.b64encode(f"\0alice@example.org\0{UPSTREAM_PASSWORD}".encode()).decode()
        [event] = at.events("door.login.failed")
        assert "Unknown command: AUTHENTICATE" in str(event.data["why"])
        assert sent[:24] not in repr(event)
        await at.server.stop()

    run(main)
