"""A session that is signed in keeps nothing of how that was done: neither the dialogue nor its credential."""

from __future__ import annotations

import asyncio
import gc
import weakref

from gambeson.guard.edge.upstream import Patience, UpstreamSide, UpstreamTrust
from gambeson.model.access import DoorKind
from gambeson.model.server import Endpoint, UpstreamTls
from gambeson.wire.dialogue import Origin, UpstreamCredential
from gambeson.wire.imap_client import ImapClient


def test_nothing_of_the_sign_in_is_left_once_somebody_else_reads() -> None:
    async def talk() -> None:
        dialogue = ImapClient(credential=UpstreamCredential("PLAIN", "door", "secret"), origin=Origin())
        endpoint = Endpoint(DoorKind.IMAP, host="127.0.0.1", port=143, tls=UpstreamTls.NONE)
        side = UpstreamSide(dialogue, endpoint, UpstreamTrust(), Patience(1.0, 1.0, 1.0))
        side.data_received(b"* 3 EXISTS\r\n")  # held: nobody has begun
        left = weakref.ref(dialogue)
        del dialogue
        assert left() is not None

        assert side.hand_over() == b"* 3 EXISTS\r\n"
        gc.collect()
        assert left() is None

        side.connection_lost(None)  # and what still comes to it does no harm

    asyncio.run(talk())
