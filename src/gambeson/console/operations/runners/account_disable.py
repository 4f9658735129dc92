"""``account.disable``: nobody comes in as this account any more. The way back lets it in again."""

from __future__ import annotations

from collections.abc import Sequence

from gambeson.console.operations.runner import Details, Place, Proof, Runner, refused
from gambeson.model.action import Action
from gambeson.model.asset import DeviceState
from gambeson.model.staff import Verb


class _AccountDisable(Runner):
    kind = "account.disable"
    verb = Verb.PEOPLE

    def settle(self, place: Place, target: str, given: Details) -> tuple[str, dict[str, str]]:
        return place.account(target).id, {}

    def plan(self, place: Place, target: str, details: Details) -> Sequence[str]:
        account = place.account(target)
        if not account.enabled:
            raise refused(f"{account.address} is disabled already.", 409)
        devices = place.org.devices.list(account=account.id, state=DeviceState.REGISTERED, limit=1_000)
        return (
            f"{account.address} is refused at every door, with its {len(devices)} registered devices.",
            "Its open sessions end, those of the portal for good.",
            "Nothing is deleted: taking it back lets the account and its devices in again.",
        )

    def run(self, place: Place, action: Action, details: Details) -> dict[str, object]:
        before = place.org.accounts.get(action.target)
        place.org.accounts.update(before.id, enabled=False, by=place.by, at=place.at)
        return {"enabled": before.enabled}

    def verify(self, place: Place, action: Action, details: Details) -> Sequence[Proof]:
        account = place.org.accounts.get(action.target)
        known = place.office.index().account.get(account.id)
        return (
            Proof("The store has it as disabled.", not account.enabled),
            Proof("The doors get it as disabled.", known is None or not known.enabled),
        )

    def undo(self, place: Place, action: Action, details: Details) -> str:
        account = place.org.accounts.update(action.target, enabled=True, by=place.by, at=place.at)
        return f"{account.address} may come in again."


RUNNER = _AccountDisable()
