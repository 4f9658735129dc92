"""``device.approve``: a device that waits in quarantine is let in. The way back blocks it."""

from __future__ import annotations

from collections.abc import Sequence

from gambeson.console.operations.runner import Details, Field, Place, Proof, Runner, checked, refused
from gambeson.model.action import Action
from gambeson.model.asset import DeviceState
from gambeson.model.staff import Verb

from .device_revoke import find, proofs, shown


class _DeviceApprove(Runner):
    kind = "device.approve"
    verb = Verb.DEVICES
    fields = (Field("reason"),)

    def settle(self, place: Place, target: str, given: Details) -> tuple[str, dict[str, str]]:
        return find(place, target).id, checked(self.fields, given)

    def plan(self, place: Place, target: str, details: Details) -> Sequence[str]:
        device = find(place, target)
        if device.state is not DeviceState.QUARANTINED:
            raise refused(f"{device.name} is {device.state} and does not wait in quarantine.", 409)
        if not proofs(place, device):
            raise refused(f"{device.name} has no good credential: register it anew.", 409)
        return (
            f"{shown(place, device)} is registered and served at {', '.join(device.doors) or 'no door'}.",
            "Taking it back blocks it.",
        )

    def run(self, place: Place, action: Action, details: Details) -> dict[str, object]:
        device = place.org.devices.get(action.target)
        _set(place, action, DeviceState.REGISTERED, details.get("reason", ""))
        return {"state": str(device.state)}

    def verify(self, place: Place, action: Action, details: Details) -> Sequence[Proof]:
        device = place.org.devices.get(action.target)
        known = place.office.index().device.get(device.id)
        good = known is not None and known.state is DeviceState.REGISTERED
        return (
            Proof("The store has it as registered.", device.state is DeviceState.REGISTERED),
            Proof("It has a good credential.", proofs(place, device) > 0),
            Proof("The doors get it as registered.", good),
        )

    def undo(self, place: Place, action: Action, details: Details) -> str:
        device = place.org.devices.get(action.target)
        _set(place, action, DeviceState.BLOCKED, "its approval was taken back")
        return f"{device.name} is blocked."


def _set(place: Place, action: Action, state: DeviceState, reason: str) -> None:
    place.org.devices.set_state(action.target, state, reason=reason, by=place.by, at=place.at)


RUNNER = _DeviceApprove()
