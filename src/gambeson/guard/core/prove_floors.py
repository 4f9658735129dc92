"""What must hold, written down a second time: the yardstick of ``prove``.

Nothing here is shared with ``decide``, ``floors``, ``compiled``, ``modes`` or ``networks``; one error in both
would have to be made twice. It is written to be read, not to be fast.
"""

from __future__ import annotations

import ipaddress
from enum import StrEnum

from gambeson.model.access import DoorKind, Mode, Rung
from gambeson.model.asset import Account, DeviceState
from gambeson.model.rule import ModeEntry, Policy

from .prove_space import Probe

# The floors of the product, per door, as the documentation promises them.
_PROMISED = {
    "imap": "device-secret",
    "pop3": "device-secret",
    "submission": "device-secret",
    "sieve": "device-secret",
    "eas": "device-secret",
    "ews": "device-secret",
    "mapi": "device-secret",
    "oab": "device-secret",
    "autodiscover": "device-secret",
    "owa": "knowledge-and-code",
    "ecp": "knowledge-and-code",
    "webmail": "knowledge-and-code",
    "portal": "knowledge-and-code",
    "api": "device-key",
}
_LADDER = ("nothing", "asserted", "knowledge", "device-secret", "knowledge-and-code", "device-key")
_BROWSER = ("owa", "ecp", "webmail", "portal", "api")


class Expectation(StrEnum):
    """What a combination that passes means."""

    ENOUGH = "enough"
    CLOSED = "closed"
    OPEN_BY_EXCEPTION = "open by exception"
    OPEN_BY_MODE = "open by mode"
    OPEN_BY_BYPASS = "open by bypass"


Verdict = tuple[Expectation, str, float]
_MAY: Verdict = (Expectation.ENOUGH, "", 0.0)


class Rulebook:
    """Judges probes by one organisation's policy."""

    def __init__(self, policy: Policy, bypass_until: float) -> None:
        self._policy = policy
        self._bypass_until = bypass_until

    def expect(self, probe: Probe) -> Verdict:
        """What it means that this probe passed, why, and until when where the policy declares it."""
        door, identity = probe.request.door, probe.request.identity
        never = self._never(probe)
        if never:
            return Expectation.CLOSED, never, 0.0
        floor = self._floor(door, probe.request.source)
        has = _height(identity.rung.word) if identity.account else 0
        if has >= _height(floor):
            return _MAY
        for e in self._policy.exceptions:
            lowest = max(_height(e.rung.word), _height("knowledge"))
            sound = e.owner.strip() and e.reason.strip() and probe.at < e.until and e.rung >= Rung.KNOWLEDGE
            # Without a proven account the mail server checks the password: knowledge, if it says yes.
            reaches = max(has, _height("knowledge")) if not identity.account else has
            if (
                sound
                and e.door == door
                and reaches >= lowest
                and probe.account is not None
                and self._is_for(e.accounts, e.groups, probe.account)
                and (not e.networks or self._networks(probe.request.source) & set(e.networks))
            ):
                return Expectation.OPEN_BY_EXCEPTION, f"exception {e.name}: {e.reason} ({e.owner})", e.until
        if probe.at < self._bypass_until:
            return Expectation.OPEN_BY_BYPASS, "the emergency bypass is on", self._bypass_until
        mode = self._open_mode(door, probe.account, probe.at)
        if mode is not None:
            return Expectation.OPEN_BY_MODE, f"the door is in {mode.mode} mode", mode.until
        return Expectation.CLOSED, f"the floor is {floor}", 0.0

    def lowered_floors(self) -> list[tuple[str, str, str]]:
        """(door, network, why) for every floor that the policy declares below the promised one."""
        lowered = []
        for network, floors in (
            ("anywhere", self._policy.floors),
            *((n.name, n.floors) for n in self._policy.networks),
        ):
            for door, rung in floors:
                if _height(rung.word) < _height(_PROMISED[door.value]):
                    why = f"the policy declares {rung.word}, the floor is {_PROMISED[door.value]}"
                    lowered.append((door.value, network, why))
        return lowered

    def _never(self, probe: Probe) -> str:
        """Why this must not pass whatever floor, exception, mode or bypass there is; empty: it may."""
        if probe.fault:
            if probe.fault == "the snapshot is stale" and probe.at < self._bypass_until:
                return ""
            return probe.fault
        identity = probe.request.identity
        if probe.state in (DeviceState.BLOCKED, DeviceState.LOST, DeviceState.QUARANTINED):
            return f"the device is {probe.state}"
        browser = probe.request.door.value in _BROWSER
        device_proof = identity.rung is Rung.DEVICE_SECRET or (
            identity.rung is Rung.DEVICE_KEY and not browser
        )
        if device_proof and probe.state is None:
            return "a device's proof without a device"
        return ""

    def _floor(self, door: DoorKind, source: str) -> str:
        heights = [_height(_PROMISED[door.value])]
        heights += [_height(rung.word) for d, rung in self._policy.floors if d == door]
        inside = self._networks(source)
        for network in self._policy.networks:
            if network.name in inside:
                heights += [_height(rung.word) for d, rung in network.floors if d == door]
        return _LADDER[max(heights)]

    def _networks(self, source: str) -> set[str]:
        address = ipaddress.ip_address(source)
        return {
            n.name
            for n in self._policy.networks
            if any(address in ipaddress.ip_network(cidr, strict=False) for cidr in n.cidrs)
        }

    @staticmethod
    def _is_for(accounts: tuple[str, ...], groups: tuple[str, ...], account: Account) -> bool:
        if not accounts and not groups:
            return True
        names = {account.id, account.address, *account.aliases}
        return bool(names & set(accounts) or set(account.groups) & set(groups))

    def _open_mode(self, door: DoorKind, account: Account | None, at: float) -> ModeEntry | None:
        """The entry that leaves this door open for this account, or None where it is enforced."""
        entries = [m for m in self._policy.modes if m.door == door]
        for narrow in (
            [m for m in entries if account and m.account and self._is_for((m.account,), (), account)],
            [m for m in entries if account and m.group and not m.account and m.group in account.groups],
            [m for m in entries if not m.account and not m.group],
        ):
            if narrow:
                holding = [m for m in narrow if m.mode is Mode.ENFORCE or at >= m.until]
                return None if holding else min(narrow, key=lambda m: m.until)
        return None


def _height(word: str) -> int:
    return _LADDER.index(word)
