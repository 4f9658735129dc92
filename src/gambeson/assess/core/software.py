"""Which software is there, as far as can honestly be known: an interval of versions, how it was seen, how sure.

A version that a banner shows says nothing of what a distribution has mended under the same number; a path may show only
the cumulative update. So nothing is ever narrowed beyond what was seen.
"""

from __future__ import annotations

from dataclasses import dataclass

from gambeson.model.finding import Confidence


@dataclass(frozen=True, slots=True)
class Observation:
    """``component`` (``exchange``, ``postfix``, ``exim``, ``dovecot``, ``roundcube``, ...) at ``host``, whose version
    v satisfies ``low <= v`` and ``v < high`` (each empty: no bound; ``low == high``: exactly that). ``method`` is how
    it was seen, in plain words (``X-OWA-Version header of /owa/``); ``distribution`` such as ``Debian 12``."""

    component: str
    host: str
    low: str = ""
    high: str = ""
    method: str = ""
    confidence: Confidence = Confidence.MEDIUM
    distribution: str = ""
    evidence: str = ""

    @property
    def exact(self) -> bool:
        """One version and no other."""
        return bool(self.low) and self.low == self.high
