"""Which software speaks, from what it says of itself. One data file a component: patterns, where they are looked for,
and how much a match says. A pattern says no more than it shows: a path with three numbers is a cumulative update.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gambeson.model.finding import Confidence
from gambeson.wire.lines import human

from .doors import DoorFacts, NtlmFacts, PortState, Protocol
from .software import Observation
from .web import Page

MOST = 20_000  # characters of one text that patterns see
EXCERPT = 160


class Precision(StrEnum):
    """What the version that a pattern caught bounds."""

    EXACT = "exact"
    SERIES = "series"  # the numbers caught, and any after them: 15.1.2507 is 15.1.2507 <= v < 15.1.2508
    AT_LEAST = "at-least"
    PRESENCE = "presence"  # it is there, and no more


@dataclass(frozen=True, slots=True)
class Sign:
    """One pattern. ``where``: ``banner``, ``capability``, ``identity``, ``header NAME``, ``body`` or ``cookie``.
    ``protocols`` bound it to doors of these (none: all). ``build``: the version is one number such as 10611, which
    reads 1.6.11."""

    where: str
    pattern: re.Pattern[str]
    precision: Precision
    confidence: Confidence
    method: str
    protocols: tuple[str, ...] = ()
    build: bool = False


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """One component."""

    component: str
    title: str
    signs: tuple[Sign, ...]


def fingerprint(component: str, data: Mapping[str, Any]) -> Fingerprint:
    """One data file. Raises KeyError, ValueError or re.error where it is wrong."""
    return Fingerprint(
        component,
        data["title"],
        tuple(
            Sign(
                row["where"],
                re.compile(row["pattern"]),
                Precision(row.get("precision", "presence")),
                Confidence(row.get("confidence", "medium")),
                row["method"],
                tuple(Protocol(name) for name in row.get("protocols", ())),
                row.get("build", False),
            )
            for row in data["sign"]
        ),
    )


def observe(
    doors: Iterable[DoorFacts], pages: Iterable[Page], prints: Sequence[Fingerprint]
) -> tuple[Observation, ...]:
    """Everything that doors and pages show, each observation once."""
    found: dict[Observation, None] = {}
    for door in doors:
        if door.state is PortState.OPEN:
            for where, text in _door_texts(door):
                found.update(dict.fromkeys(_match(prints, where, text, door.host, door.protocol)))
            if door.ntlm is not None:
                found.update(dict.fromkeys(_windows(door.ntlm, door.host, f"NTLM at {door.place}")))
    for page in pages:
        if page.status:
            for where, text in _page_texts(page):
                found.update(dict.fromkeys(_match(prints, where, text, _host(page), None)))
            if page.ntlm is not None:
                found.update(dict.fromkeys(_windows(page.ntlm, _host(page), f"NTLM at {human(page.url)}")))
    return tuple(found)


def _door_texts(door: DoorFacts) -> Iterator[tuple[str, str]]:
    yield "banner", door.banner
    for offer in (door.plain, door.secured):
        if offer is not None:
            yield "capability", "\n".join(offer.capabilities)
    for key, value in door.identity:
        yield "identity", f"{key}={value}"


def _page_texts(page: Page) -> Iterator[tuple[str, str]]:
    for name, value in page.headers:
        yield ("cookie", value) if name == "set-cookie" else (f"header {name}", value)
    yield "body", page.body[:MOST].decode("latin-1")


def _match(
    prints: Sequence[Fingerprint], where: str, text: str, host: str, protocol: Protocol | None
) -> Iterator[Observation]:
    text = text[:MOST]
    for found in prints:
        for sign in found.signs:
            if sign.where != where or (sign.protocols and protocol not in sign.protocols):
                continue
            match = sign.pattern.search(text)
            if match is not None:
                yield _observation(found, sign, match, host)


def _observation(found: Fingerprint, sign: Sign, match: re.Match[str], host: str) -> Observation:
    groups = match.groupdict()
    version = groups.get("v") or ""
    low, high = "", ""
    if version and sign.build and version.isdigit() and len(version) >= 5:
        version = f"{int(version[:-4])}.{int(version[-4:-2])}.{int(version[-2:])}"
    if version:
        low = version
        if sign.precision is Precision.EXACT:
            high = version
        elif sign.precision is Precision.SERIES:
            high = after(version)
    return Observation(
        found.component,
        host,
        low,
        high,
        sign.method,
        sign.confidence,
        distribution=_distribution(groups.get("d") or ""),
        evidence=human(match.group(0), EXCERPT),
    )


def after(version: str) -> str:
    """The first version that no longer begins with ``version``."""
    *rest, last = version.split(".")
    return ".".join([*rest, str(int(last) + 1)])


_DEBIAN = re.compile(r"\+?deb(\d{1,2})u")


def _distribution(suffix: str) -> str:
    """``Debian 12`` from a package's version or a word in brackets; empty where it says nothing."""
    if match := _DEBIAN.search(suffix):
        return f"Debian {match[1]}"
    for name in ("Debian", "Ubuntu", "CentOS", "Red Hat", "AlmaLinux", "Rocky", "FreeBSD"):
        if name.lower() in suffix.lower():
            return name
    return ""


def _windows(ntlm: NtlmFacts, host: str, method: str) -> Iterator[Observation]:
    if ntlm.windows:
        yield Observation(
            "windows", host, ntlm.windows, after(ntlm.windows), method, Confidence.HIGH, evidence=ntlm.windows
        )


def _host(page: Page) -> str:
    rest = page.url.partition("://")[2].partition("/")[0]
    return rest.rpartition(":")[0] if rest.rpartition(":")[2].isdigit() and not rest.endswith("]") else rest
