"""Findings: claims about an Asset, with evidence. They close by being measured again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Severity(IntEnum):
    """How bad it is if true."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def word(self) -> str:
        """Lower-case name, as in JSON."""
        return self.name.lower()


class Confidence(StrEnum):
    """How sure we are that it is true."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class FindingState(StrEnum):
    """The life of a finding."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    FIXED = "fixed"
    VERIFIED = "verified"
    WAIVED = "waived"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What proves it and where to look: ``locator`` is an offset, line, URL or command."""

    source: str
    locator: str = ""
    sha256: str = ""
    excerpt: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Finding:
    """A claim about ``asset`` (kind and name). ``remedy`` is a list of steps in plain words. ``closing`` says why it is
    no longer open: what was measured, or for what reason it is waived, until ``waived_until``. ``assignee`` is the id
    of the member of staff who works on it (empty: nobody)."""

    id: str
    organisation: str
    asset_kind: str
    asset_name: str
    rule: str
    title: str
    severity: Severity
    reason: str
    confidence: Confidence = Confidence.HIGH
    state: FindingState = FindingState.OPEN
    first_seen: float = 0.0
    last_seen: float = 0.0
    evidence: tuple[Evidence, ...] = ()
    remedy: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    closing: str = ""
    waived_until: float = 0.0
    assignee: str = ""
