"""The answer to an AccessRequest: a value with a stable reason and a sentence for the person."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .access import Mode, Rung


class Opinion(StrEnum):
    """The four answers. A rule that has no opinion returns none of them (None)."""

    ALLOW = "allow"
    CHALLENGE = "challenge"
    QUARANTINE = "quarantine"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Decision:
    """What the door does and why.

    ``opinion`` is what policy says; ``passes`` is what the door does: in observe and warn mode a
    refusal is recorded and the traffic passes as it did before. ``rule`` names the floor or rule
    that decided, ``reason`` is a stable code for machines, ``sentence`` tells the person what to
    do. ``demanded`` is the rung that the door asks for. ``as_is`` is true where the door serves somebody
    who proved nothing here: the mail server is to check the client's own password.
    """

    opinion: Opinion
    rule: str
    reason: str
    sentence: str
    demanded: Rung
    mode: Mode = Mode.ENFORCE
    as_is: bool = False

    @property
    def passes(self) -> bool:
        """True where the door serves the client."""
        return self.opinion is Opinion.ALLOW or self.mode is not Mode.ENFORCE
