"""``eas.block``: an ActiveSync device is shut out of an account by its DeviceId. The way back is what was decided of it
before.

A DeviceId is what a client claims (MS-ASHTTP section 2.2.1.1.1.2.3): who makes up another one is stopped by the
device's credential, not by this.
"""

from __future__ import annotations

from collections.abc import Sequence

from gambeson.console.operations.runner import Details, Field, Place, Proof, Runner, checked, refused, result
from gambeson.model.action import Action
from gambeson.model.staff import Verb

BLOCKED = "blocked"


class _EasBlock(Runner):
    kind = "eas.block"
    verb = Verb.DEVICES
    fields = (Field("device_id", needed=True), Field("reason"))

    def settle(self, place: Place, target: str, given: Details) -> tuple[str, dict[str, str]]:
        found = checked(self.fields, given)
        return place.account(target).id, found | {"device_id": found["device_id"].lower()}

    def plan(self, place: Place, target: str, details: Details) -> Sequence[str]:
        account, was = place.account(target), _decided(place, target, details)
        if was == BLOCKED:
            raise refused(f"{details['device_id']} is shut out of {account.address} already.", 409)
        back = f"is {was} again" if was else "is as any other again"
        return (
            f"The ActiveSync device {details['device_id']} is shut out of {account.address}.",
            "The account's other devices go on working.",
            f"Taking it back: the device {back}.",
        )

    def run(self, place: Place, action: Action, details: Details) -> dict[str, object]:
        was = _decided(place, action.target, details)
        _decide(place, action.target, details, BLOCKED)
        return {"was": was}

    def verify(self, place: Place, action: Action, details: Details) -> Sequence[Proof]:
        known = place.office.index().eas_device.get((action.target, details["device_id"]))
        return (
            Proof("The store has it as blocked.", _decided(place, action.target, details) == BLOCKED),
            Proof("The doors get it as blocked.", known == BLOCKED),
        )

    def undo(self, place: Place, action: Action, details: Details) -> str:
        if _decided(place, action.target, details) != BLOCKED:
            raise refused("Somebody decided otherwise since: see People and devices.", 409)
        was = str(result(action).get("was") or "")
        if was:
            _decide(place, action.target, details, was)
            return f"{details['device_id']} is {was} again."
        if details["device_id"] in place.org.eas_devices.firsts(account=action.target).values():
            # To forget it would also forget that it is a credential's first: allowed is what it was.
            _decide(place, action.target, details, "allowed")
            return f"{details['device_id']} is allowed again."
        place.org.eas_devices.forget(action.target, details["device_id"], by=place.by, at=place.at)
        return f"{details['device_id']} is as any other again."


def _decided(place: Place, account: str, details: Details) -> str:
    made = place.org.eas_devices.list(account=account)
    return next((one.decision for one in made if one.device_id == details["device_id"]), "")


def _decide(place: Place, account: str, details: Details, decision: str) -> None:
    place.org.eas_devices.decide(account, details["device_id"], decision, by=place.by, at=place.at)


RUNNER = _EasBlock()
