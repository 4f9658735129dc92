"""A door's questions to the portal: over the channel to its process, which never speaks first."""

from __future__ import annotations

import socket

from gambeson.process.channel import Channel, ChannelGone, ChannelRefused
from gambeson.process.messages import Done
from gambeson.process.portal_messages import RedeemAsk, RenewAsk, SessionGiven, SignOutAsk

__all__ = ["PortalGone", "PortalLink", "PortalRefused"]

PortalGone = ChannelGone
PortalRefused = ChannelRefused
SECONDS = 3.0


class PortalLink:
    """To be made inside a running loop. Every question raises PortalRefused(reason) where the answer is no, and
    PortalGone where none comes within ``SECONDS``."""

    def __init__(self, sock: socket.socket) -> None:
        self._channel = Channel(sock, Done, lambda _m, _f: None, name="the portal", take_fds=False)

    async def redeem(self, ask: RedeemAsk) -> SessionGiven:
        """The session behind a single-use code."""
        return await self._channel.request(ask, SessionGiven, SECONDS)

    async def renew(self, ask: RenewAsk) -> SessionGiven:
        """The next token of a session that is still there."""
        return await self._channel.request(ask, SessionGiven, SECONDS)

    async def sign_out(self, ask: SignOutAsk) -> None:
        """End the session."""
        await self._channel.request(ask, Done, SECONDS)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()
