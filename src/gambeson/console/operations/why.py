"""Why was I refused? From an address, an account, or an id in a log line to the decision, its reason and what to do.

A search is cheap whatever it is asked: accounts and ids have an index; whatever has none is looked for among the newest
:data:`gambeson.store.decisions.MOST` records of a week. Requests that belong to no organisation (to an unknown host,
say) are shown to those alone who look after the whole installation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, cast

from gambeson.console.office import Office, RefusedError
from gambeson.guard.core.compiled import compiled_policy
from gambeson.guard.core.explain import explain
from gambeson.model.access import DoorKind, Rung
from gambeson.model.address import canonical
from gambeson.model.asset import Account
from gambeson.model.decision import Opinion
from gambeson.model.event import Event
from gambeson.model.snapshot import SnapshotIndex
from gambeson.store.decisions import ALLOWED, REFUSED

from .doors import shown

DAYS = 7
NEWEST = 50
NOBODYS = 1_000  # records of no organisation that are looked at
MAX_QUERY = 254
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9./_-]{5,127}")
# What to do about a reason: a key of the page's texts. What is not named is told by the common one.
ADVICE: Mapping[str, str] = {
    "rung-too-low": "enrol",
    "device-unknown": "enrol",
    "credential-unknown": "enrol",
    "credential-revoked": "enrol",
    "credential-expired": "enrol",
    "device-expired": "enrol",
    "device-lost": "lost",
    "device-blocked": "blocked",
    "device-quarantined": "approve",
    "account-disabled": "account",
    "claimed-account-disabled": "account",
    "account-unknown": "no-account",
    "organisation-unknown": "no-account",
    "organisation-mismatch": "mismatch",
    "throttled": "throttled",
    "not-encrypted": "tls",
    "door-not-allowed": "door",
    "network-not-allowed": "network",
    "cloud-client": "cloud",
    "no-rule": "policy",
    "rule": "policy",
    "session-ended": "session",
    "snapshot-stale": "stale",
    "password-refused-by-server": "password",
    "single-sign-on-not-offered": "sso",
    "hourly limit": "limit",
    "credential refused by the mail server": "server",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """One decision. ``rule`` named what decided (empty: the request's form), ``sentence`` is what the person was told,
    ``todo`` the key of what to do; ``explains``: it can be explained anew."""

    event: Event
    allowed: bool
    who: str
    reason: str
    rule: str
    sentence: str
    todo: str
    explains: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """``how`` says what the query was taken for: ``account``, ``address``, ``source``, ``id`` or empty (for nothing).
    ``account`` is the account of an address, ``last_in`` when it was last let in (0: not in that time)."""

    query: str
    how: str
    found: tuple[Refusal, ...] = ()
    account: Account | None = None
    last_in: float = 0.0


@dataclass(frozen=True, slots=True)
class Explained:
    """What the doors would say to the same today."""

    decision: str
    rule: str
    reason: str
    sentence: str
    mode: str
    passes: bool
    trace: Sequence[tuple[str, str]]


def search(office: Office, organisation: str, query: str) -> Answer:
    """The newest refusals that fit. Raises RefusedError."""
    org, index = office.organisation(organisation), office.index()
    since, asked = office.at - DAYS * 86400.0, query.strip()[:MAX_QUERY]
    if not asked:
        return Answer("", "")
    source = _source(asked)
    if source:
        found = [*org.decisions.of_source(source, since, NEWEST)]
        found += [e for e in _nobodys(office, since) if e.source == source]
        return Answer(asked, "source", _told(found, index, organisation))
    name = _name(asked, office.facts.default_domain)
    if name:
        account = index.account_by_address.get(name)
        if account is None or account.organisation != organisation:
            found = [*org.decisions.of_claimed([name], since, NEWEST)]
            found += [e for e in _nobodys(office, since) if e.data.get("claimed") == name]
            return Answer(asked, "address", _told(found, index, organisation))
        names = [account.address, *account.aliases]
        both = [
            *org.decisions.of_account(account.id, since, NEWEST),
            *org.decisions.of_claimed(names, since, NEWEST),
        ]
        last = org.decisions.of_account(account.id, since, 1, ALLOWED)
        told = _told(both, index, organisation)
        return Answer(asked, "account", told, account, last[0].at if last else 0.0)
    if _ID.fullmatch(asked):
        found = [*org.decisions.of_id(asked, NEWEST)] or [*org.decisions.of_session(asked, since, NEWEST)]
        found = found or [e for e in _nobodys(office, since) if e.id.startswith(asked)]
        return Answer(asked, "id", _told(found, index, organisation))
    return Answer(asked, "")


def explained(office: Office, organisation: str, event: str) -> Explained | None:
    """The decision of a record put to the policy of now; None where the record does not say enough. Raises RefusedError
    where there is no such record."""
    org, index = office.organisation(organisation), office.index()
    found = next((e for e in org.decisions.of_id(event[:128], 1) if e.id == event), None)
    if found is None:
        raise RefusedError("not-found", "There is no such record, or it is not yours to see.", 404)
    asked = _asked(found, index, organisation)
    if asked is None:
        return None
    door, account, rung = asked
    risk = found.data.get("risk", 0)
    try:
        said = explain(
            index,
            office.at,
            door,
            account,
            rung,
            found.device
            if found.device in index.device and rung is not None and rung > Rung.KNOWLEDGE
            else "",
            found.source if _source(found.source) else "",
            str(found.data.get("country", ""))[:2],
            risk if isinstance(risk, int) and 0 <= risk <= 100 else 0,
        )
    except ValueError:
        return None
    steps = cast(list[dict[str, Any]], said["trace"])
    return Explained(
        decision=str(said["decision"]),
        rule=str(said["rule"]),
        reason=str(said["reason"]),
        sentence=str(said["sentence"]),
        mode=str(said["mode"]),
        passes=bool(said["passes"]),
        trace=[(str(step["asked"]), str(step["said"])) for step in steps],
    )


def sentence(event: Event, index: SnapshotIndex) -> str:
    """What the person was told, put together anew: the record has the reason, the policy the sentence."""
    data = event.data
    if isinstance(data.get("sentence"), str):
        return str(data["sentence"])[:400]
    reason, rule = str(data.get("reason", "")), str(data.get("rule", ""))
    if not rule and not event.kind.startswith("door.login"):
        return ""
    try:
        door = DoorKind(event.door)
    except ValueError:
        return ""
    policy = compiled_policy(index, event.organisation if event.organisation in index.organisation else "")
    demanded = policy.floor(door, frozenset())
    if reason == "rung-too-low":
        return policy.sentences.too_low(demanded)
    if rule.startswith("rule:"):
        same = next((each for each in policy.rules[door] if each.label == rule), None)
        if same is not None:
            return same.sentence
        word = str(data.get("opinion", ""))
        return policy.sentences.of(Opinion(word)) if word in set(Opinion) else ""
    return policy.sentences.because(reason, demanded) if reason else ""


def todo(event: Event, reason: str) -> str:
    """The key of what to do."""
    if event.kind in ("door.request.shielded",) or reason.startswith("shield"):
        return "shield"
    if event.kind in ("door.web.refused", "door.request.refused", "door.enter.refused"):
        return "request"
    if event.kind == "door.login.failed":
        return ADVICE.get(reason, "server")
    failure = str(event.data.get("failure", ""))
    return ADVICE.get(reason) or ADVICE.get(failure) or "secret" if failure or reason in ADVICE else "other"


def _told(events: Sequence[Event], index: SnapshotIndex, organisation: str) -> tuple[Refusal, ...]:
    unique = {event.id: event for event in events}
    newest = sorted(unique.values(), key=lambda event: (-event.at, event.id))[:NEWEST]
    return tuple(_refusal(event, index, organisation) for event in newest)


def _refusal(event: Event, index: SnapshotIndex, organisation: str) -> Refusal:
    line = shown(event, index)
    allowed = event.kind not in REFUSED
    return Refusal(
        event=event,
        allowed=allowed,
        who=line.who,
        reason=line.reason,
        rule=str(event.data.get("rule", ""))[:200],
        sentence="" if allowed else sentence(event, index),
        todo="" if allowed else todo(event, line.reason),
        explains=_asked(event, index, organisation) is not None,
    )


def _asked(event: Event, index: SnapshotIndex, organisation: str) -> tuple[DoorKind, str, Rung | None] | None:
    """Door, account and rung of a record that can be put to the policy anew."""
    if event.organisation != organisation or not event.kind.startswith("door.login."):
        return None
    account = index.account.get(event.account) or index.account_by_address.get(
        str(event.data.get("claimed", ""))
    )
    if account is None or account.organisation != organisation:
        return None
    try:
        return DoorKind(event.door), account.id, Rung.from_word(str(event.data.get("rung", "nothing")))
    except ValueError:
        return None


def _nobodys(office: Office, since: float) -> Sequence[Event]:
    """Records that belong to no organisation, for those who look after all of it."""
    if not office.everywhere():
        return ()
    newest = office.world.store.events.recent("door", since, NOBODYS)
    return [event for event in newest if event.kind in REFUSED]


def _source(text: str) -> str:
    """An IP address in the form that the doors record; empty for all else."""
    try:
        address = ip_address(text)
    except ValueError:
        return ""
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _name(text: str, default_domain: str) -> str:
    """A mail address in canonical form; empty for all else. A bare name counts where there is a domain for it."""
    if "@" not in text and not default_domain:
        return ""
    if "@" not in text and _ID.fullmatch(text) and ("/" in text or "-" in text):
        return ""  # looks like an id
    try:
        return canonical(text if "@" in text else f"{text}@{default_domain}")
    except ValueError:
        return ""
