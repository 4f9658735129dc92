"""A seeded fault: the clean domain with one thing changed, and the lines that must come of it."""

from __future__ import annotations

from dataclasses import dataclass

from .world import Domain


@dataclass(frozen=True, slots=True)
class Fault:
    """``expected`` are all lines that the clean domain has not: ``check code``, with the cause where it is not known.
    ``silent`` are checks that say something good of the clean domain and, rightly, nothing at all here."""

    domain: Domain
    expected: frozenset[str]
    silent: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """What tests call it."""
        return self.domain.name


def seeded(
    name: str,
    expected: str,
    *,
    drops: tuple[str, ...] = (),
    puts: tuple[str, ...] = (),
    silent: str = "",
    **more: object,
) -> Fault:
    """The fault ``NAME``; ``expected`` has commas between the lines, ``more`` is the domain's."""
    lines = frozenset(line.strip() for line in expected.split(",") if line.strip())
    return Fault(Domain(name, drops, puts, **more), lines, frozenset(silent.split()))  # type: ignore[arg-type]


def unknown(cause: str, *checks: str) -> str:
    """The lines of ``checks`` that do not know, for that cause."""
    return ", ".join(f"{check} unknown {cause}" for check in checks)


CLEAN = seeded("clean", "")
