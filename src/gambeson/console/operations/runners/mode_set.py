"""``mode.set``: how far a door holds, for the organisation, a group or an account. The way back is the mode before."""

from __future__ import annotations

from collections.abc import Sequence

from gambeson.console.operations.runner import (
    Details,
    Field,
    Place,
    Proof,
    Runner,
    checked,
    refused,
    result,
)
from gambeson.model.access import DoorKind, Mode
from gambeson.model.action import Action
from gambeson.model.rule import ModeEntry
from gambeson.model.staff import Verb

MOST_HOURS = 720  # a door that does not enforce for longer than a month was forgotten


class _ModeSet(Runner):
    kind = "mode.set"
    verb = Verb.DOORS
    fields = (
        Field("mode", needed=True, choices=tuple(Mode), default=Mode.ENFORCE),
        Field("hours", number=True),
        Field("group"),
        Field("account"),
        Field("reason"),
    )

    def settle(self, place: Place, target: str, given: Details) -> tuple[str, dict[str, str]]:
        if target not in tuple(DoorKind):
            raise refused(f"The target is a door: one of {', '.join(DoorKind)}.")
        found = checked(self.fields, given)
        if found["mode"] == Mode.ENFORCE:
            found["hours"] = ""
        elif not 1 <= int(found["hours"] or 0) <= MOST_HOURS:
            raise refused(f"The mode {found['mode']} needs an end: give between 1 and {MOST_HOURS} hours.")
        if found["group"] and found["account"]:
            raise refused("A mode is set for a group or for an account, not for both.")
        if found["account"]:
            found["account"] = place.account(found["account"]).id
        return target, found

    def plan(self, place: Place, target: str, details: Details) -> Sequence[str]:
        before, mode = _entry(place, target, details), Mode(details["mode"])
        whom = _whom(place, details)
        was = f"{before.mode}" if before is not None and _counts(before, place.at) else ""
        if was == mode and mode is Mode.ENFORCE:
            raise refused(f"{target} enforces {whom} already.", 409)
        ending = f" for {details['hours']} hours, then enforces again" if details["hours"] else ""
        sentences = [f"{target} goes to {mode} {whom}{ending}."]
        if mode is not Mode.ENFORCE:
            sentences.append("Meanwhile a sign-in that the policy refuses is let through and recorded.")
        sentences.append(
            f"Taking it back puts {was} there again."
            if was
            else "Taking it back removes the entry: what is wider holds again."
        )
        return sentences

    def run(self, place: Place, action: Action, details: Details) -> dict[str, object]:
        before = _entry(place, action.target, details)
        until = place.at + int(details["hours"]) * 3600.0 if details["hours"] else 0.0
        made = _put(place, action.target, details, Mode(details["mode"]), until, details.get("reason", ""))
        had = {"mode": str(before.mode), "until": before.until} if before is not None else None
        return {"had": had, "set": {"mode": str(made.mode), "until": made.until}}

    def verify(self, place: Place, action: Action, details: Details) -> Sequence[Proof]:
        now, made = _entry(place, action.target, details), _made(action)
        policy = place.office.index().policy.get(place.org.id)
        known = [e for e in policy.modes if _same(e, action.target, details)] if policy is not None else []
        over = made[0] != Mode.ENFORCE and made[1] <= place.at
        return (
            Proof("The store has this mode.", _is(now, made)),
            Proof("The doors get this mode.", any(_is(entry, made) for entry in known) or over),
        )

    def undo(self, place: Place, action: Action, details: Details) -> str:
        if not _is(_entry(place, action.target, details), _made(action)):
            raise refused("The mode was changed by somebody since: set it on the page Doors.", 409)
        had = result(action).get("had")
        if isinstance(had, dict):
            mode, until = Mode(str(had["mode"])), float(str(had["until"]))
            if mode is Mode.ENFORCE or until > place.at:
                _put(place, action.target, details, mode, until, "an action was taken back")
                return f"{action.target} is {mode} again."
        who = {"group": details.get("group", ""), "account": details.get("account", "")}
        place.org.modes.clear(DoorKind(action.target), **who, by=place.by, at=place.at)
        return f"The entry of {action.target} is gone: what is wider holds."


def _put(place: Place, door: str, details: Details, mode: Mode, until: float, reason: str) -> ModeEntry:
    return place.org.modes.set(
        DoorKind(door),
        mode,
        until=until,
        group=details.get("group", ""),
        account=details.get("account", ""),
        reason=reason,
        by=place.by,
        at=place.at,
    )


def _entry(place: Place, door: str, details: Details) -> ModeEntry | None:
    return next((e for e in place.org.modes.list() if _same(e, door, details)), None)


def _same(entry: ModeEntry, door: str, details: Details) -> bool:
    who = (details.get("group", ""), details.get("account", ""))
    return entry.door == door and (entry.group, entry.account) == who


def _counts(entry: ModeEntry, now: float) -> bool:
    return entry.mode is Mode.ENFORCE or entry.until > now


def _made(action: Action) -> tuple[str, float]:
    made = result(action).get("set")
    return (str(made["mode"]), float(made["until"])) if isinstance(made, dict) else ("", 0.0)


def _is(entry: ModeEntry | None, made: tuple[str, float]) -> bool:
    return entry is not None and (str(entry.mode), entry.until) == made


def _whom(place: Place, details: Details) -> str:
    if details.get("account"):
        return f"for {place.account(details['account']).address}"
    return f"for the group {details['group']}" if details.get("group") else "for everybody"


RUNNER = _ModeSet()
