"""Round a real Postfix that stands open past the doors: the password gets in, and nothing else is invented."""

from __future__ import annotations

import asyncio

import pytest

from gambeson.guard.core.walk import Outcome, Place, Role, side_doors
from gambeson.guard.core.walk_plan import Canary
from gambeson.guard.edge.walk.tour import walk
from gambeson.model.access import Listener, Rung
from peers.people import ACCOUNTS
from peers.postfix import Postfix


@pytest.mark.peer("postfix", "dovecot")
@pytest.mark.slow
def test_a_password_past_the_doors_and_no_open_relay(postfix: Postfix) -> None:
    address, password = next(iter(ACCOUNTS.items()))
    place = Place("mail", Listener.SUBMISSION, Role.UPSTREAM, "127.0.0.1", postfix.ports["submission"])
    canary = Canary(address, password, foreign="somebody@example.org")
    records = asyncio.run(walk([place], canary, lambda p: Rung.DEVICE_SECRET, nonce="n", per_second=1000))
    found = {f.rule.removeprefix("guard.walk.") for f in side_doors(records, "o1", 1.0)}
    # This Postfix of the tests takes passwords without TLS, too.
    assert found == {"past-the-doors", "password-without-tls"}
    relayed = [r for r in records if r.attempt.rule == "guard.walk.open-relay"]
    assert relayed
    assert {r.reply.outcome for r in relayed} == {Outcome.REFUSED}
