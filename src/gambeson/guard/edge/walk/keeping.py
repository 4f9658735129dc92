"""The walk's findings in the store: opened once, seen again, and closed as verified where a later walk was there,
could tell everything, and did not get in. What was measured of shields lies beside the store, for ``guard shields``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from gambeson.guard.core.walk import Outcome, Record
from gambeson.guard.core.walk_shields import Measured
from gambeson.model.finding import Finding, FindingState
from gambeson.process.whole_file import write_whole
from gambeson.store.tenant import OrganisationStore

SHIELDS_FILE = "walk-shields.json"
MAX_FILE = 1 << 20
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


def keep_shields(data: Path, measured: Iterable[Measured]) -> None:
    """Remember what this walk measured; what it did not measure stays as it was. Raises OSError."""
    known = {one.shield: one for one in kept_shields(data)}
    known.update((one.shield, one) for one in measured)
    path = data / SHIELDS_FILE
    write_whole(path, msgspec.json.encode(list(known.values())))
    # The console shows it, and is not root where the walk is: the group that the directory lets through may read it.
    with suppress(PermissionError):
        os.chown(path, -1, data.stat().st_gid, follow_symlinks=False)
        path.chmod(0o640)


def kept_shields(data: Path) -> Sequence[Measured]:
    """What earlier walks measured; nothing where there is no such file, or one that does not say it."""
    try:
        with (data / SHIELDS_FILE).open("rb") as file:
            return msgspec.json.decode(file.read(MAX_FILE), type=list[Measured])
    except (OSError, msgspec.MsgspecError):
        return []
