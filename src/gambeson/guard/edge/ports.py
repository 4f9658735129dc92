"""What the doors need from other parts, as they see it.

The real ones are in ``process/`` and ``guard/core``; naming the little that is used keeps the doors
testable against a keeper that hangs or a disk that is full.
"""

from __future__ import annotations

from typing import Protocol

from gambeson.process.keeper_messages import CredentialAsk, PasswordAsk
from gambeson.wire.dialogue import UpstreamCredential


class Keeper(Protocol):
    """Holder of the secrets. Raises KeeperRefused or KeeperGone."""

    async def credential(self, ask: CredentialAsk) -> UpstreamCredential:
        """What to sign in with at one mail server, for one account, now."""

    async def password(self, ask: PasswordAsk) -> None:
        """Returns where the password beside a certificate is right; KeeperRefused("wrong") where it is not."""


class Spool(Protocol):
    """Where events go (:class:`gambeson.process.spool.SpoolWriter`)."""

    @property
    def healthy(self) -> bool:
        """Whether everything recorded so far is on disk."""

    def retry(self) -> bool:
        """Write what could not be written. True where nothing is left."""

    def append(
        self,
        kind: str,
        at: float,
        *,
        organisation: str = "",
        account: str = "",
        device: str = "",
        door: str = "",
        source: str = "",
        data: dict[str, object] | None = None,
    ) -> bool:
        """Record one event."""
