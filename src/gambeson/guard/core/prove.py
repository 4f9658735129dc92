"""Prove the policy: walk every combination of door, proof, device, network and account, and list whatever comes
in below its floor.

The proof does not believe ``decide``: what a floor is, when an exception or a mode is in force and what must
never pass is worked out in ``prove_floors`` from tables of its own. ``decide`` is an argument, so that the
tests can show that a weakened one is found.

Combinations that pass below their floor because the policy says so are listed apart, with their end: open by
exception, open by mode (observe or warn), open by the emergency bypass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gambeson.model.access import AccessRequest
from gambeson.model.decision import Decision
from gambeson.model.snapshot import SnapshotIndex

from .decide import decide as real_decide
from .prove_floors import Expectation, Rulebook
from .prove_space import Probe, Space

Decide = Callable[[AccessRequest, SnapshotIndex, float], Decision]


@dataclass(frozen=True, slots=True)
class Breach:
    """A way in. ``proof`` is the rung's word, ``device`` its state and kind or ``none``, ``until`` the end
    where the policy declares the opening (0: it does not), ``combinations`` how many fell together."""

    door: str
    proof: str
    device: str
    network: str
    account: str
    why: str
    rule: str
    at: float
    until: float = 0.0
    combinations: int = 1

    @property
    def sentence(self) -> str:
        """For a person."""
        return (
            f"{self.door}: {self.account} from {self.network} with proof '{self.proof}' and device "
            f"'{self.device}' comes in ({self.rule}): {self.why}"
        )


@dataclass(frozen=True, slots=True)
class Proof:
    """What the walk found. ``combinations`` is how many were tried."""

    breaches: tuple[Breach, ...]
    open_by_exception: tuple[Breach, ...]
    open_by_mode: tuple[Breach, ...]
    open_by_bypass: tuple[Breach, ...]
    combinations: int

    @property
    def good(self) -> bool:
        """True where nothing comes in below its floor but what the policy declares."""
        return not self.breaches


def prove(index: SnapshotIndex, organisation: str, now: float, decide: Decide = real_decide) -> Proof:
    """Walk the whole space of one organisation's policy. Raises KeyError for an unknown organisation."""
    space = Space(index, organisation, now)
    book = Rulebook(space.policy, space.bypass_until)
    found: dict[Expectation, dict[tuple[str, ...], Breach]] = {kind: {} for kind in Expectation}
    tried = 0
    for probe in space.probes():
        tried += 1
        decision = decide(probe.request, probe.index, probe.at)
        if not decision.passes:
            continue
        expected, why, until = book.expect(probe)
        if expected is Expectation.ENOUGH:
            continue
        breach = Breach(
            door=probe.request.door.value,
            proof=probe.request.identity.rung.word,
            device=probe.device_word,
            network=probe.network,
            account=probe.account_word,
            why=why,
            rule=decision.rule,
            at=probe.at,
            until=until,
        )
        _add(found[expected], breach)
    declared = [_declared(*lowered) for lowered in book.lowered_floors()]
    return Proof(
        breaches=(*declared, *found[Expectation.CLOSED].values()),
        open_by_exception=tuple(found[Expectation.OPEN_BY_EXCEPTION].values()),
        open_by_mode=tuple(found[Expectation.OPEN_BY_MODE].values()),
        open_by_bypass=tuple(found[Expectation.OPEN_BY_BYPASS].values()),
        combinations=tried,
    )


def _declared(door: str, network: str, why: str) -> Breach:
    """A floor that the policy itself writes lower than it may be."""
    return Breach(door, "any", "any", network, "everybody", why, "[floors]", 0.0)


def _add(found: dict[tuple[str, ...], Breach], breach: Breach) -> None:
    """Openings that differ only in time are one."""
    key = (breach.door, breach.proof, breach.device, breach.network, breach.account, breach.why)
    known = found.get(key)
    if known is None:
        found[key] = breach
        return
    values = {name: getattr(known, name) for name in Breach.__slots__}
    found[key] = Breach(**{**values, "combinations": known.combinations + 1})


def sentences(proof: Proof) -> Iterator[str]:
    """The report's lines, breaches first."""
    for title, openings in (
        ("BREACH", proof.breaches),
        ("open by exception", proof.open_by_exception),
        ("open by mode", proof.open_by_mode),
        ("open by bypass", proof.open_by_bypass),
    ):
        for opening in openings:
            yield f"{title}: {opening.sentence}"


__all__ = ["Breach", "Decide", "Probe", "Proof", "prove", "sentences"]
