"""``device.revoke``: a device proves nothing any more, for ever. There is no way back but to register it anew."""

from __future__ import annotations

from collections.abc import Sequence

from gambeson.console.operations.runner import Details, Field, Place, Proof, Runner, checked, refused
from gambeson.model.action import Action
from gambeson.model.asset import Device, DeviceState
from gambeson.model.staff import Verb
from gambeson.store.errors import BadValue, NotFound


def find(place: Place, target: str) -> Device:
    """The organisation's device with this id, or written as ADDRESS/NAME. Raises RefusedError."""
    address, slash, name = target.partition("/")
    try:
        if not slash:
            return place.org.devices.get(target)
        mine = place.org.devices.list(account=place.org.accounts.find(address).id)
        return next(device for device in mine if device.name == name)
    except (NotFound, BadValue, StopIteration):
        raise refused("There is no such device here: give its id, or ADDRESS/NAME.") from None


def shown(place: Place, device: Device) -> str:
    """How people call it."""
    return f"{place.org.accounts.get(device.account).address}/{device.name}"


def proofs(place: Place, device: Device) -> int:
    """How many credentials of it are good."""
    return sum(
        c.revoked_at == 0 and (not c.expires_at or c.expires_at > place.at)
        for c in place.org.credentials.list(device=device.id)
    )


class _DeviceRevoke(Runner):
    kind = "device.revoke"
    verb = Verb.DEVICES
    no_undo = "What was revoked stays revoked: register the device anew."
    fields = (Field("reason"),)

    def settle(self, place: Place, target: str, given: Details) -> tuple[str, dict[str, str]]:
        return find(place, target).id, checked(self.fields, given)

    def plan(self, place: Place, target: str, details: Details) -> Sequence[str]:
        device = find(place, target)
        live = proofs(place, device)
        if device.state is DeviceState.BLOCKED and not live:
            raise refused(f"{device.name} is revoked already.", 409)
        what = "credential is" if live == 1 else "credentials are"
        return (
            f"{shown(place, device)} is blocked at every door.",
            f"{live} {what} revoked for ever, with the certificates that stand on them.",
            "Its open sessions end when the doors take the change, within a second.",
        )

    def run(self, place: Place, action: Action, details: Details) -> dict[str, object]:
        before = place.org.devices.get(action.target)
        reason = details.get("reason", "") or "planned at the console"
        place.org.devices.revoke(before.id, reason=reason, by=place.by, at=place.at)
        return {"state": str(before.state)}

    def verify(self, place: Place, action: Action, details: Details) -> Sequence[Proof]:
        try:
            device = place.org.devices.get(action.target)
        except NotFound:
            return (Proof("The device is gone.", True),)
        known = place.office.index().device.get(device.id)
        return (
            Proof("The store has it as blocked.", device.state is DeviceState.BLOCKED),
            Proof("None of its credentials is good.", proofs(place, device) == 0),
            Proof("The doors get it as blocked.", known is None or known.state is DeviceState.BLOCKED),
        )


RUNNER = _DeviceRevoke()
