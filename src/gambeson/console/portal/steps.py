"""Steps that are under way: between two requests of a sign-in, an enrolment or a step-up.

A step is found by the SHA-256 of its cookie, lives ``step_seconds``, belongs to one purpose, and never becomes a
session by itself. A challenge is asked for within a step, lives ``challenge_seconds`` and is taken out when it is
answered, right or wrong. Memory is bounded; who opens many only pushes out steps of his own network first.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

from gambeson.guard.core.networks import source_prefix

from .target import Target

MAX_STEPS = 20_000
MAX_STEPS_OF_SOURCE = 256
MAX_TRIES = 5
CHALLENGE_OCTETS = 32
COOKIE_OCTETS = 32


class Purpose(StrEnum):
    """What a step is for."""

    PASSKEY = "passkey"  # signing in with a passkey alone: nobody is known yet
    SIGN_IN = "sign-in"  # the password was right, the second factor is due
    STEP_UP = "step-up"  # a session proves its second factor again
    ENROL = "enrol"  # password and binding code were right, a factor may be registered
    FACTOR = "factor"  # a session, just stepped up, registers another factor


@dataclass(slots=True)
class Step:
    """``account`` is empty until a password or session proved it. ``box`` is the sealed password, waiting for its
    session. ``secret`` is a TOTP secret that is shown and not yet confirmed. ``known``: the
    password came from a known browser. repr tells none of it."""

    purpose: Purpose
    source: str
    ends: float
    account: str = ""
    address: str = ""
    session: str = ""
    how: str = ""
    back: str = ""
    target: Target | None = None
    box: bytes = field(default=b"", repr=False)
    secret: bytes = field(default=b"", repr=False)
    challenge: bytes = field(default=b"", repr=False)
    challenge_ends: float = 0.0
    tries: int = 0
    known: bool = False

    def __repr__(self) -> str:
        return f"Step({self.purpose}, {self.account!r})"

    def ask(self, challenge: bytes, ends: float) -> None:
        """A challenge was sent; the one before is void."""
        self.challenge, self.challenge_ends = challenge, ends

    def take_challenge(self, now: float) -> bytes:
        """The challenge to compare with, once; empty where none is in force."""
        challenge, ends = self.challenge, self.challenge_ends
        self.challenge, self.challenge_ends = b"", 0.0
        return challenge if now < ends else b""


class Steps:
    """All of them, by the SHA-256 of their cookies."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._steps: OrderedDict[bytes, Step] = OrderedDict()
        self._of_source: dict[str, OrderedDict[bytes, None]] = {}

    def __len__(self) -> int:
        return len(self._steps)

    def open(self, step: Step, now: float) -> str:
        """Keep a new step; returns its cookie's value. Those that have ended are forgotten."""
        # All live equally long, so the first is the first to end.
        while self._steps and now >= next(iter(self._steps.values())).ends:
            self.drop(next(iter(self._steps)))
        value = urlsafe_b64encode(self._random(COOKIE_OCTETS)).rstrip(b"=").decode()
        key = sha256(value.encode()).digest()
        mine = self._of_source.setdefault(source_prefix(step.source), OrderedDict())
        if len(mine) >= MAX_STEPS_OF_SOURCE:
            self.drop(next(iter(mine)))
            mine = self._of_source.setdefault(source_prefix(step.source), OrderedDict())
        if len(self._steps) >= MAX_STEPS:
            self.drop(next(iter(self._steps)))
            mine = self._of_source.setdefault(source_prefix(step.source), OrderedDict())
        self._steps[key] = step
        mine[key] = None
        return value

    def find(self, key: bytes, now: float) -> Step | None:
        """The step of that cookie's SHA-256, where it has not ended."""
        step = self._steps.get(key)
        if step is not None and now >= step.ends:
            self.drop(key)
            return None
        return step

    def drop(self, key: bytes) -> None:
        """Forget one."""
        step = self._steps.pop(key, None)
        if step is None:
            return
        prefix = source_prefix(step.source)
        mine = self._of_source.get(prefix)
        if mine is not None:
            mine.pop(key, None)
            if not mine:
                del self._of_source[prefix]
