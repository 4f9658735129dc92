"""What the worker puts into a snapshot: the store's parts, the mail servers, and the policies compiled.

A policy was checked when it was saved. One that does not parse any more (after an upgrade, say) must not open a door or
close all of them: its organisation keeps running on the default policy, and the trouble is reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import TypeVar

from gambeson.guard.core.policy_toml import PolicyError, parse_policy
from gambeson.model.organisation import Organisation
from gambeson.model.rule import ModeEntry, Policy
from gambeson.model.server import MailServer
from gambeson.model.snapshot import Snapshot
from gambeson.model.web import Site
from gambeson.store.snapshot import SnapshotParts

P = TypeVar("P", MailServer, Site)


def build_snapshot(
    parts: SnapshotParts,
    servers: Sequence[MailServer],
    number: int,
    now: float,
    enrolment_url: str = "",
    sites: Sequence[Site] = (),
) -> tuple[Snapshot, tuple[str, ...]]:
    """The snapshot and the troubles met, a sentence each. ``enrolment_url`` is for organisations without their own;
    ``servers`` and ``sites`` name organisations by name or id."""
    troubles: list[str] = []
    organisations = tuple(
        o if o.enrolment_url or not enrolment_url else replace(o, enrolment_url=enrolment_url)
        for o in parts.organisations
    )
    sources = {source.organisation: source for source in parts.policies}
    modes: dict[str, list[ModeEntry]] = {}
    for owner, mode in parts.modes:
        modes.setdefault(owner, []).append(mode)
    policies = []
    for organisation in organisations:
        source = sources.get(organisation.id)
        policy = _compile(organisation, source.source, troubles) if source else None
        if policy is None:
            policy = parse_policy(default_policy_text(), organisation.id)
        stored = tuple(modes.get(organisation.id, ()))
        policies.append(
            replace(policy, version=source.version if source else 0, modes=(*policy.modes, *stored))
        )
    snapshot = Snapshot(
        number=number,
        made_at=now,
        organisations=organisations,
        accounts=parts.accounts,
        devices=parts.devices,
        credentials=parts.credentials,
        servers=tuple(_owned(servers, "mail server", organisations, troubles)),
        policies=tuple(policies),
        failures=parts.failures,
        bypass_until=parts.bypass_until,
        revoked=parts.revoked,
        sites=tuple(_owned(sites, "site", organisations, troubles)),
        ended_sessions=parts.ended_sessions,
        eas_devices=parts.eas_devices,
        eas_firsts=parts.eas_firsts,
    )
    return snapshot, tuple(troubles)


@cache
def default_policy_text() -> str:
    """The policy of an organisation that has none of its own."""
    return (files("gambeson.guard") / "data" / "default-policy.toml").read_text("utf-8")


def _compile(organisation: Organisation, source: str, troubles: list[str]) -> Policy | None:
    try:
        return parse_policy(source, organisation.id)
    except PolicyError as error:
        troubles.append(
            f"The policy of {organisation.name} is not valid any more, the default policy holds: {error}"
        )
        return None


def _owned(
    places: Sequence[P], what: str, organisations: Sequence[Organisation], troubles: list[str]
) -> list[P]:
    """Mail servers or sites with the organisation's id in place of the name that the settings file uses."""
    ids = {o.name.casefold(): o.id for o in organisations} | {o.id: o.id for o in organisations}
    owned = []
    for place in places:
        if not place.organisation:
            owned.append(place)
        elif place.organisation.casefold() in ids:
            owned.append(replace(place, organisation=ids[place.organisation.casefold()]))
        elif place.organisation in ids:
            owned.append(place)
        else:
            troubles.append(
                f"The {what} {place.name} belongs to {place.organisation}, which is no organisation here."
            )
    return owned


def rehearse() -> None:
    """Read and import, while it may, what the first organisation will need: with an empty store nothing else would."""
    parse_policy(default_policy_text(), "")
