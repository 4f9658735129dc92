"""What is open on purpose: exceptions, modes below enforce, the bypass, machines nobody has looked at again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime

from gambeson.model.access import Mode
from gambeson.model.asset import DeviceKind, DeviceState
from gambeson.model.rule import ModeEntry
from gambeson.model.snapshot import SnapshotIndex

from .result import Check, Patient, failed, ok, warning

TURN = 70
NAME = "policy"


def look(patient: Patient) -> Iterator[Check]:
    """For every organisation."""
    if patient.installation is None:
        return
    index = patient.installation.snapshot()
    found = [*_bypasses(index, patient.now), *_policies(index, patient.now), *_machines(index, patient.now)]
    yield from found
    if not found and index.organisation:
        yield ok(NAME, "No exception, no bypass, every door enforces, no machine is past its review.")


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d") if at else "no date"


def _bypasses(index: SnapshotIndex, now: float) -> Iterator[Check]:
    for id, until in index.bypass_until.items():
        if until > now and id in index.organisation:
            name = index.organisation[id].name
            at = datetime.fromtimestamp(until, UTC).strftime("%Y-%m-%d %H:%M UTC")
            yield failed(
                "bypass",
                f"The doors of {name} let through until {at}.",
                "Close it: gambeson guard open --close",
            )


def _policies(index: SnapshotIndex, now: float) -> Iterator[Check]:
    for id, policy in index.policy.items():
        name = index.organisation[id].name
        for each in policy.exceptions:
            if each.until > now:
                yield warning(
                    "exception",
                    f"{name}, {each.door}: down to {each.rung.word} until {_day(each.until)} "
                    f"({each.owner}: {each.reason}).",
                    "End it when its reason ends: gambeson policy set FILE",
                )
        for mode in policy.modes:
            if mode.mode is not Mode.ENFORCE and (not mode.until or mode.until > now):
                who, option = _whom(index, mode)
                yield warning(
                    "mode",
                    f"{name}, {mode.door}: {mode.mode} for {who} until {_day(mode.until)}; so long it counts as open.",
                    f"See gambeson guard ready, then: gambeson guard mode {mode.door} enforce{option}",
                )


def _whom(index: SnapshotIndex, mode: ModeEntry) -> tuple[str, str]:
    """For whom a mode is, and the option that names them to ``gambeson guard mode``."""
    if mode.account:
        known = index.account.get(mode.account)
        address = known.address if known is not None else mode.account
        return address, f" --account {address}"
    if mode.group:
        return f"the group {mode.group}", f" --group {shlex.quote(mode.group)}"
    return "everybody", ""


def _machines(index: SnapshotIndex, now: float) -> Iterator[Check]:
    for device in index.device.values():
        if (
            device.kind is DeviceKind.MACHINE
            and device.state is DeviceState.REGISTERED
            and 0 < device.review_at < now
        ):
            owner = device.owner or "nobody"
            yield warning(
                "machine",
                f"{device.name} was to be looked at by {_day(device.review_at)}; its owner is {owner}.",
                "Is it still needed? Renew its date or revoke it: gambeson device list",
            )
