"""Rules of the access policy, as data. What they mean is in ``guard/core/decide.py``."""

from __future__ import annotations

from dataclasses import dataclass

from .access import DoorKind, Mode, Rung
from .asset import DeviceKind, DeviceState
from .decision import Opinion


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One rule. Every condition that is set must hold; an empty one holds always.

    ``networks`` are names of declared networks, ``outside`` the negation: true means "comes from no
    declared network". ``hours`` is ("08:00", "18:00") in UTC, ``weekdays`` 0 = Monday.
    ``rung_at_least`` and ``risk_at_least`` are inclusive. ``line`` is where it stands in the source.
    """

    name: str
    opinion: Opinion
    sentence: str = ""
    doors: tuple[DoorKind, ...] = ()
    accounts: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    outside: bool | None = None
    countries: tuple[str, ...] = ()
    device_states: tuple[DeviceState, ...] = ()
    device_kinds: tuple[DeviceKind, ...] = ()
    rung_at_least: Rung | None = None
    hours: tuple[str, str] | None = None
    weekdays: tuple[int, ...] = ()
    risk_at_least: int | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class Network:
    """A declared network (inside, branch, a path past the door), with floors of its own.

    ``floors`` maps door kinds to the rung demanded there; a declared network's floor replaces the
    default only where it is *higher*: going lower takes an :class:`PolicyException`.
    """

    name: str
    cidrs: tuple[str, ...]
    floors: tuple[tuple[DoorKind, Rung], ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyException:
    """The only way below a floor: for whom, at which door, down to which rung, who answers for it,
    why, and until when (seconds since 1970). Shown in every report."""

    name: str
    door: DoorKind
    rung: Rung
    owner: str
    reason: str
    until: float
    accounts: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    line: int = 0


@dataclass(frozen=True, slots=True)
class ModeEntry:
    """A door's mode, for the organisation (no group, no account), a group or an account.
    The narrowest entry wins; observe and warn end at ``until`` and enforce takes over."""

    door: DoorKind
    mode: Mode
    until: float = 0.0
    group: str = ""
    account: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """One organisation's policy: networks, exceptions and rules in the order they are asked."""

    organisation: str
    version: int = 0
    rules: tuple[PolicyRule, ...] = ()
    networks: tuple[Network, ...] = ()
    exceptions: tuple[PolicyException, ...] = ()
    floors: tuple[tuple[DoorKind, Rung], ...] = ()
    modes: tuple[ModeEntry, ...] = ()
