"""``policy.activate``: another version of the policy holds. Somebody else must approve it. The way back is the version
that held before."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from gambeson.console.operations.runner import Details, Field, Place, Proof, Runner, checked, refused, result
from gambeson.guard.core.policy_toml import PolicyError, parse_policy
from gambeson.model.action import Action
from gambeson.model.staff import Verb
from gambeson.store.errors import NotFound
from gambeson.store.policy import PolicySource


class _PolicyActivate(Runner):
    kind = "policy.activate"
    verb = Verb.POLICY
    second = True
    fields = (Field("reason"),)

    def settle(self, place: Place, target: str, given: Details) -> tuple[str, dict[str, str]]:
        return str(_version(place, target).version), checked(self.fields, given)

    def plan(self, place: Place, target: str, details: Details) -> Sequence[str]:
        wanted, now = _version(place, target), place.org.policies.active()
        if now is not None and now.version == wanted.version:
            raise refused(f"Version {wanted.version} holds already.", 409)
        try:
            parse_policy(wanted.source, place.org.id)
        except PolicyError as error:
            raise refused(
                f"Version {wanted.version} cannot be read: {error}. Save a corrected one."
            ) from None
        before = now.source if now is not None else ""
        changes = list(
            difflib.unified_diff(before.splitlines(), wanted.source.splitlines(), lineterm="", n=0)
        )[2:]
        more, less = (sum(line.startswith(mark) for line in changes) for mark in "+-")
        was = f"version {now.version}" if now is not None else "the policy that Gambeson brings"
        note = f" Its note: {wanted.note[:200]}" if wanted.note else ""
        return (
            f"Version {wanted.version} of the policy holds in place of {was}.{note}",
            f"Its text has {more} new lines and lacks {less}.",
            f"Taking it back puts {was} in force again.",
        )

    def run(self, place: Place, action: Action, details: Details) -> dict[str, object]:
        now = place.org.policies.active()
        place.org.policies.activate(int(action.target), by=place.by, at=place.at)
        return {"was": now.version if now is not None else 0}

    def verify(self, place: Place, action: Action, details: Details) -> Sequence[Proof]:
        now = place.org.policies.active()
        held = now is not None and str(now.version) == action.target
        known = place.office.index().policy.get(place.org.id)
        try:
            same = now is not None and known is not None and _rules(now, place) == known.rules
        except PolicyError:
            same = False
        return (
            Proof("The store has this version as the one that holds.", held),
            Proof("The doors get the rules of this version.", same),
        )

    def undo(self, place: Place, action: Action, details: Details) -> str:
        now, was = place.org.policies.active(), result(action).get("was")
        if now is None or str(now.version) != action.target:
            raise refused("Another version was put in force since: choose on the page Policy.", 409)
        if isinstance(was, int) and was:
            place.org.policies.activate(was, by=place.by, at=place.at)
            return f"Version {was} holds again."
        place.org.policies.reset(by=place.by, at=place.at)
        return "The policy that Gambeson brings holds again."


def _rules(source: PolicySource, place: Place) -> object:
    return parse_policy(source.source, place.org.id).rules


def _version(place: Place, target: str) -> PolicySource:
    try:
        if not target.isascii() or not target.isdigit() or len(target) > 9:
            raise NotFound("no number")
        return place.org.policies.get(int(target))
    except NotFound:
        raise refused("There is no such version of the policy: give its number.") from None


RUNNER = _PolicyActivate()
