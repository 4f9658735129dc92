"""The walk's findings in the store: opened once, seen again, and closed as verified where a later walk was there,
could tell everything, and did not get in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gambeson.guard.core.walk import Outcome, Record
from gambeson.model.finding import Finding, FindingState
from gambeson.store.tenant import OrganisationStore

_UNTOLD = (Outcome.UNREACHABLE, Outcome.CANNOT_SAY)


def keep(
    organisation: OrganisationStore,
    findings: Iterable[Finding],
    records: Iterable[Record],
    by: str,
    at: float,
) -> list[Finding]:
    """Store what was found and close what was measured away; gives the findings as they are stored now."""
    kept = [organisation.findings.open(finding, by=by, at=at) for finding in findings]
    told = _told(records)
    seen = {finding.id for finding in kept}
    for old in organisation.findings.list(limit=10_000):
        measured = old.asset_kind == "policy" or old.asset_name in told
        if old.rule.startswith("guard.walk.") and old.id not in seen and measured:
            organisation.findings.close(
                old.id, FindingState.VERIFIED, reason="guard walk did not get in any more", by=by, at=at
            )
    return kept


def _told(records: Iterable[Record]) -> Sequence[str]:
    """The places at which every attempt was answered."""
    clear: dict[str, bool] = {}
    for record in records:
        place = record.attempt.place.name
        clear[place] = clear.get(place, True) and record.reply.outcome not in _UNTOLD
    return [place for place, good in clear.items() if good]
