"""Whom the portal asks. The console process has neither database nor key: it has this.

Failure policy: closed. Where nobody answers, the person reads that the portal cannot be used now (503) and nothing
was done; no check is ever skipped.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from gambeson.process.messages import Message, Refused
from gambeson.process.portal_messages import Person

M = TypeVar("M", bound=Message)


class BackendGoneError(Exception):
    """The worker, the keeper or the identity source did not answer."""


class DeniedError(Exception):
    """The answer was no; ``reason`` is a stable word."""

    def __init__(self, reason: str, sentence: str = "") -> None:
        super().__init__(sentence or reason)
        self.reason = reason


class Backend(Protocol):
    """Every call raises BackendGoneError where nobody answers."""

    async def desk(self, message: Message) -> Message:
        """The worker's answer to one of ``DeskAsk``; Refused is an answer."""
        ...

    async def keeper(self, message: Message) -> Message:
        """The keeper's answer to one of ``PortalKeeperAsk`` or to SealAsk; Refused is an answer."""
        ...

    async def check_password(self, person: Person, password: str) -> bool:
        """Whether the identity source of ``person`` takes the password. For somebody unknown (``known`` false) it does
        the same work and says False."""
        ...

    async def verifier(self, device_secret: str) -> bytes:
        """What the store keeps of a device secret (32 octets)."""
        ...

    async def certificate(self, account: str, device: str, name: str, address: str, password: str) -> bytes:
        """A client certificate for the device, registered with it: PKCS#12 octets under ``password``, in the old
        encryption that every phone reads. Raises DeniedError where the keeper or the store says no."""
        ...

    async def publish(self) -> None:
        """The doors learn what the store says, now."""
        ...


async def ask(backend: Backend, message: Message, answer: type[M]) -> M:
    """The desk's answer of the expected kind. Raises DeniedError, BackendGoneError."""
    return _expect(await backend.desk(message), answer)


async def ask_keeper(backend: Backend, message: Message, answer: type[M]) -> M:
    """The keeper's answer of the expected kind. Raises DeniedError, BackendGoneError."""
    return _expect(await backend.keeper(message), answer)


def _expect(given: Message, answer: type[M]) -> M:
    if isinstance(given, Refused):
        raise DeniedError(given.reason, given.sentence)
    if not isinstance(given, answer):
        raise BackendGoneError(f"an answer of another kind came: {type(given).__name__}")
    return given
