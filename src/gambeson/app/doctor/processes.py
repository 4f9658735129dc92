"""The processes: they run, and act on the newest snapshot."""

from __future__ import annotations

from collections.abc import Iterator

from .result import Check, Patient, failed, ok, warning

TURN = 50
NAME, SNAPSHOT, EVENTS = "processes", "snapshot", "events"


def look(patient: Patient) -> Iterator[Check]:
    """Who answers, how old the snapshot is, who holds another."""
    health = patient.health
    if health is None:
        yield failed(
            NAME, "Nothing runs on this data directory.", "Start it: gambeson up, or systemctl start gambeson"
        )
        return
    names = sorted(health.followers)
    doors = [name for name in names if name.startswith("doors")]
    lacking = [role for role, there in (("doors", doors), ("keeper", "keeper" in names)) if not there]
    if lacking:
        yield failed(
            NAME, f"Not there: {', '.join(lacking)}.", "See the log; a process that ends is started again."
        )
    else:
        yield ok(
            NAME, f"Worker, keeper and {len(doors)} door process{'es' if len(doors) > 1 else ''} answer."
        )
    behind = [
        f"{name} ({number or 'none'})" for name, number in health.followers.items() if number != health.number
    ]
    age = max(0.0, patient.now - health.made_at)
    config = patient.config.snapshot
    text = f"Number {health.number}, {age:.0f} s old."
    if health.problem:
        yield failed(
            SNAPSHOT, health.problem, "See the log of the worker; the doors go on with the last good one."
        )
    elif age > config.warn_age_s:
        yield failed(
            SNAPSHOT,
            text,
            f"The worker publishes no more; after {config.max_age_s} s nobody new is admitted. See its log.",
        )
    elif behind:
        yield failed(
            SNAPSHOT,
            f"{text} Held in another number by {', '.join(behind)}.",
            "Run the doctor again; then see the log.",
        )
    else:
        yield ok(SNAPSHOT, f"{text} Everyone holds it.")
    if health.damaged:
        yield warning(
            EVENTS,
            f"{health.damaged} records of events were damaged or not allowed.",
            "See the log of the worker.",
        )
