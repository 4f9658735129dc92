"""What the records of ActiveSync devices tell: one DeviceId on several accounts, and a credential on two devices.

A DeviceId is what a client claims. One on several accounts is a shared phone, or somebody who registers accounts one
after the other from the same device; another DeviceId with a device's own credential is a replaced phone, or a stolen
secret. Both are for a person to look at.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gambeson.model.event import Event

SEEN, REFUSED = "door.eas.device", "door.eas.refused"
OTHER_DEVICE = "eas-other-device"


@dataclass(frozen=True, slots=True)
class SharedDevice:
    """A DeviceId (as it was shown first) and the ids of the accounts it was seen with, at least two; the newest event
    of each."""

    device_id: str
    accounts: tuple[str, ...]
    events: tuple[Event, ...]


def shared_devices(events: Iterable[Event]) -> list[SharedDevice]:
    """The DeviceIds that several accounts use, in alphabetical order. Events in any order."""
    seen: dict[str, dict[str, Event]] = {}
    for event in events:
        name = str(event.data.get("device_id", ""))
        if event.kind != SEEN or not name or not event.account:
            continue
        accounts = seen.setdefault(name.lower(), {})
        known = accounts.get(event.account)
        if known is None or known.at < event.at:
            accounts[event.account] = event
    return [
        SharedDevice(
            str(next(iter(accounts.values())).data["device_id"]),
            tuple(sorted(accounts)),
            tuple(accounts[account] for account in sorted(accounts)),
        )
        for _, accounts in sorted(seen.items())
        if len(accounts) > 1
    ]


def other_devices(events: Iterable[Event]) -> dict[str, Event]:
    """Of each registered device whose credential came with another DeviceId than its first, the newest such event."""
    found: dict[str, Event] = {}
    for event in events:
        if event.kind != REFUSED or event.data.get("why") != OTHER_DEVICE or not event.device:
            continue
        known = found.get(event.device)
        if known is None or known.at < event.at:
            found[event.device] = event
    return found
