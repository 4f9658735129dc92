"""A login is looked at: who is it, as far as proven, how risky is it, and what does the policy say.

The same for every door of mail and for devices at the https door. A password that comes alone is looked at by nobody
here. Nothing is awaited, nobody is answered.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gambeson.guard.core.decide import decide
from gambeson.guard.core.identify import identify, presented
from gambeson.guard.core.risk import Risk, Signals, assess
from gambeson.model.access import AccessRequest, DoorKind, Identity, RawLogin
from gambeson.model.asset import Account
from gambeson.model.decision import Decision
from gambeson.model.snapshot import SnapshotIndex

if TYPE_CHECKING:
    from .door import Door
    from .session import ClientSession


@dataclass(frozen=True, slots=True)
class Place:
    """Which door a login came to, from where, and what the client calls itself."""

    door: DoorKind
    source: str
    source_prefix: str
    encrypted: bool = True
    sni: str = ""
    program: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came of looking at a login: everything later steps need, and the snapshot it was made with."""

    raw: RawLogin
    request: AccessRequest
    decision: Decision
    index: SnapshotIndex
    account: Account | None  # proven, or merely claimed where only observed: it routes, it proves nothing
    shown: str  # public id of the credential that was shown, good or not: the throttle counts by it
    risk: Risk

    @property
    def identity(self) -> Identity:
        """Who it is, as far as proven."""
        return self.request.identity

    @property
    def proven(self) -> bool:
        """A credential of ours proved it. Otherwise the mail server is to check the client's own password."""
        return bool(self.identity.account) and not self.decision.as_is


def judge(
    door: Door, session: ClientSession, raw: RawLogin, throttled: str | None = None
) -> Judgement | None:
    """Identify and decide. None where nobody can be judged: no key or no snapshot yet. ``throttled`` is what the
    throttle said of this attempt before, None where it is to be asked (which counts the attempt)."""
    index, key = door.index, door.device_key
    if index is None or not key:
        return None
    place = Place(
        session.listener.kind.door,
        session.source,
        session.source_prefix,
        session.tls,
        session.sni,
        session.program,
    )
    domain = door.settings.default_domain
    identity = identify(raw, session.fingerprint, index, key, time.time(), domain)
    return weigh(door, index, raw, session.fingerprint, identity, place, throttled)


def weigh(
    door: Door,
    index: SnapshotIndex,
    raw: RawLogin,
    fingerprint: str,
    identity: Identity,
    place: Place,
    throttled: str | None = None,
) -> Judgement:
    """Count the attempt, weigh its risk, and decide. ``throttled`` as in :func:`judge`."""
    now, counted = time.time(), door.counting()
    proven = index.credential.get(identity.credential) if identity.credential else None
    shown = proven.public_id if proven is not None else presented(raw, fingerprint)
    if throttled is None:
        throttled = door.throttle.check(
            place.source, identity.claimed, shown, bool(identity.account), counted
        )
    account = index.account.get(identity.account) or index.account_by_address.get(identity.claimed)
    countries = door.settings.countries
    country = countries.of(place.source_prefix) if countries is not None else ""
    risk = risk_of(door, place.source, identity, account, country, counted)
    cloud = door.settings.clouds.recognise(place.program, place.source)
    request = AccessRequest(
        door=place.door,
        identity=identity,
        source=place.source,
        encrypted=place.encrypted,
        country=country,
        risk=risk.score,
        throttled=throttled,
        sni=place.sni,
        cloud=cloud.id if cloud is not None else "",
        cloud_evidence=cloud.evidence.value if cloud is not None else "",
    )
    # The age is the door's own measure, which a clock that is set forward or back does not change.
    stale = door.snapshot_age() > door.settings.snapshot_max_age
    decision = decide(request, index, now, max_age=-1.0 if stale else math.inf)
    return Judgement(raw, request, decision, index, account, shown, risk)


def risk_of(
    door: Door, source: str, identity: Identity, account: Account | None, country: str, now: float
) -> Risk:
    """Looks only: what is remembered changes when somebody got in."""
    known_network, failures = door.throttle.standing(source, identity.claimed, now)
    seen = door.sightings.of(account.id if account is not None else "", identity.credential)
    return assess(
        Signals(
            known_network=known_network,
            failures=failures,
            first_use=bool(identity.credential) and not seen.used,
            country=country,
            countries=seen.countries,
            last_country=seen.last_country,
            used_in=seen.used_in,
            used_ago=now - seen.used_at,
        )
    )
