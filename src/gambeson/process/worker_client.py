"""Asking the worker as an administrator (blocking): publish now, list and close sessions, health."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

from .call import Caller
from .channel import ChannelGone, ChannelRefused
from .messages import (
    Health,
    HealthAsk,
    KillAsk,
    Killed,
    PublishAsk,
    Published,
    SessionInfo,
    Sessions,
    SessionsAsk,
)

__all__ = ["AdminWorker", "WorkerGone", "WorkerRefused"]

WorkerGone = ChannelGone
WorkerRefused = ChannelRefused


class AdminWorker:
    """Over ``run/worker.sock`` (a path) or an inherited channel. Every call raises WorkerGone where nobody answers
    and WorkerRefused where the answer is no."""

    def __init__(self, where: Path | socket.socket) -> None:
        self._caller = Caller(where, "the worker")

    def publish(self, seconds: float = 1.0) -> Published:
        """Have every door and the keeper act on what the store says now; says who did within ``seconds``.
        A worker that has not answered a second after that is not waited for."""
        return self._caller.ask(PublishAsk(seconds=seconds), Published, seconds + 1.0)

    def sessions(self, organisation: str = "") -> tuple[Sequence[SessionInfo], Sequence[str]]:
        """The open sessions, and the doors that did not answer."""
        found = self._caller.ask(SessionsAsk(organisation=organisation), Sessions)
        return found.sessions, found.missing

    def kill(self, ask: KillAsk) -> Killed:
        """Close sessions."""
        return self._caller.ask(ask, Killed)

    def health(self) -> Health:
        """How everyone is."""
        return self._caller.ask(HealthAsk(), Health)
