"""What a check answers with, and what it gets to look at."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from gambeson.app.installation import Installation
from gambeson.app.place import Place
from gambeson.app.plan import PLAYGROUND_USERS, configured_users
from gambeson.app.setup import closed_to
from gambeson.model.server import MailServer
from gambeson.process.channel import ChannelGone, ChannelRefused
from gambeson.process.family import PLAYGROUND, WORKER
from gambeson.process.messages import Health
from gambeson.process.run_directory import read_ready
from gambeson.process.worker_client import AdminWorker
from gambeson.settings import Config

DAY = 86400.0


class State(StrEnum):
    """ok: measured and good. warning: it works, or it could not be looked at. failed: it does not, or is not safe."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One line. ``text`` says what was measured, ``remedy`` what to do (empty where nothing is)."""

    name: str
    state: State
    text: str
    remedy: str = ""


def ok(name: str, text: str) -> Check:
    """Measured, and good."""
    return Check(name, State.OK, text)


def warning(name: str, text: str, remedy: str) -> Check:
    """It works, but; or it could not be looked at."""
    return Check(name, State.WARNING, text, remedy)


def failed(name: str, text: str, remedy: str) -> Check:
    """It does not work, or it is not safe."""
    return Check(name, State.FAILED, text, remedy)


@dataclass
class Patient:
    """One installation as the checks see it. ``config_file`` is None where there is no settings file (the playground).
    ``installation`` is None where the store does not open; ``store_problem`` says why. ``now``: seconds since 1970."""

    place: Place
    config: Config
    config_file: Path | None
    now: float
    installation: Installation | None = None
    store_problem: str = ""
    seconds: float = 5.0
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @cached_property
    def health(self) -> Health | None:
        """What the running worker says; None where nothing answers."""
        try:
            return AdminWorker(self.place.run / "worker.sock").health()
        except (ChannelGone, ChannelRefused):
            return None

    @cached_property
    def ready(self) -> dict[str, Any]:
        """``ready.json``; empty where nothing runs."""
        try:
            return read_ready(self.place.data)
        except (OSError, ValueError):
            return {}

    @property
    def root(self) -> bool:
        """Whether we are root, and so are to judge owners."""
        return os.geteuid() == 0

    @property
    def users(self) -> Mapping[str, str]:
        """Whom each process becomes; empty where it is not started as root."""
        if not self.root:
            return {}
        if self.config_file:
            return configured_users(self.config)
        if closed_to(self.place.data, PLAYGROUND_USERS[WORKER]) is None:
            return PLAYGROUND_USERS
        return {role: user for role, user in PLAYGROUND_USERS.items() if role not in (WORKER, PLAYGROUND)}

    @property
    def servers(self) -> tuple[MailServer, ...]:
        """The mail servers behind the doors."""
        return self.installation.servers() if self.installation is not None else self.config.servers


def days(seconds: float) -> str:
    """A span in words: hours below two days."""
    if seconds < 2 * DAY:
        return f"{seconds / 3600:.0f} hours"
    return f"{seconds / DAY:.0f} days"
