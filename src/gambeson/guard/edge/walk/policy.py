"""What the policy itself opens, as findings beside those of the walk: breaches, exceptions, modes, the bypass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b

from gambeson.guard.core.prove import Breach, Proof
from gambeson.model.finding import Evidence, Finding, Severity

_KINDS = (
    ("breaches", "policy-below-floor", "The policy lets in what its floors forbid", Severity.CRITICAL),
    ("open_by_exception", "policy-exception", "An exception of the policy is open", Severity.MEDIUM),
    ("open_by_mode", "policy-mode", "A door does not enforce", Severity.MEDIUM),
    ("open_by_bypass", "policy-bypass", "The emergency bypass is open", Severity.HIGH),
)


def openings(proof: Proof, organisation: str, now: float) -> Iterator[Finding]:
    """One finding for each kind and door; the worst first."""
    for name, rule, title, severity in _KINDS:
        doors: dict[str, list[Breach]] = {}
        for breach in getattr(proof, name):
            doors.setdefault(breach.door, []).append(breach)
        for door, group in doors.items():
            yield _finding(rule, title, severity, door, group, organisation, now)


def _finding(
    rule: str,
    title: str,
    severity: Severity,
    door: str,
    group: list[Breach],
    organisation: str,
    now: float,
) -> Finding:
    key = f"{organisation}\0{rule}\0{door}".encode()
    return Finding(
        id="walk-" + blake2b(key, digest_size=8).hexdigest(),
        organisation=organisation,
        asset_kind="policy",
        asset_name=door,
        rule=f"guard.walk.{rule}",
        title=title,
        severity=severity,
        reason=group[0].sentence + (f"; and {len(group) - 1} more like it" if len(group) > 1 else ""),
        first_seen=now,
        last_seen=now,
        evidence=tuple(_evidence(group, now)),
        remedy=("See it all with gambeson guard prove, then end it in the policy, mode or bypass.",),
    )


def _evidence(group: Iterable[Breach], now: float) -> Iterator[Evidence]:
    for breach in list(group)[:20]:
        yield Evidence("guard prove", breach.rule, excerpt=breach.sentence[:400], at=now)
