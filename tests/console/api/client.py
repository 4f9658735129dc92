"""A client of the API in the tests: a token over a :class:`Lab`, and organisations with one of each thing, every name
in which carries a mark."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from console.lab import Answer, Browser, Lab
from gambeson.console.api.operation import Operation
from gambeson.console.core import api_token
from gambeson.guard.core.web.eas import Outcome
from gambeson.model.access import DoorKind, Mode
from gambeson.model.asset import CredentialKind, DeviceKind, DeviceState
from gambeson.model.event import Event
from gambeson.model.finding import Evidence, Finding, Severity
from gambeson.model.staff import EVERY, Grant, Role, Staff, Verb
from gambeson.store.authenticators import AuthenticatorKind
from gambeson.store.tenant import OrganisationStore

JSON = ("content-type", "application/json")
PROBLEM = "application/problem+json"
BASE = "/api/v1"


@dataclass
class Client:
    app: Any
    token: str = ""
    source: str = "192.0.2.9"

    def send(
        self, method: str, path: str, body: Any = None, headers: Iterable[tuple[str, str]] = ()
    ) -> Answer:
        """``body`` is a JSON value, octets as they are, or None."""
        given = list(headers)
        if self.token:
            given.append(("authorization", f"Bearer {self.token}"))
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        if body is not None and not any(name == "content-type" for name, _ in given):
            given.append(JSON)
        return Browser(self.app, self.source).send(method, path, data, given)

    def get(self, path: str, **query: Any) -> Answer:
        asked = "&".join(f"{k}={v}" for k, v in query.items())
        return self.send("GET", f"{BASE}{path}" + (f"?{asked}" if asked else ""))

    def post(self, path: str, body: Any = None, key: str = "") -> Answer:
        return self.send(
            "POST", BASE + path, {} if body is None else body, [("idempotency-key", key)] if key else []
        )

    def patch(self, path: str, body: Any) -> Answer:
        return self.send("PATCH", BASE + path, body)

    def put(self, path: str, body: Any) -> Answer:
        return self.send("PUT", BASE + path, body)


def good(answer: Answer, status: int = 200) -> Any:
    """The document of an answer that has to be one."""
    assert answer.status == status, answer.text
    assert answer.header("content-type") == "application/json"
    assert answer.header("cache-control") == "no-store"
    return json.loads(answer.body)


def bad(answer: Answer, status: int, reason: str = "") -> Any:
    """The problem of an answer that has to be one."""
    assert answer.status == status, (answer.status, answer.text)
    assert answer.header("content-type") == PROBLEM
    assert answer.header("cache-control") == "no-store"
    assert not answer.location
    assert not answer.header("set-cookie")
    found = json.loads(answer.body)
    assert found["status"] == status
    assert not reason or found["reason"] == reason, found
    return found


def token(
    lab: Lab,
    staff: Staff | None,
    verbs: Iterable[Verb] = tuple(Verb),
    organisations: Iterable[str] = (EVERY,),
    **more: Any,
) -> str:
    """A token's text."""
    made = api_token.make(lab.random(api_token.ENTROPY_BYTES))
    lab.store.tokens.create(
        "Script",
        organisations=organisations,
        verbs=verbs,
        verifier=made.verifier,
        public_id=made.public_id,
        staff=staff.id if staff is not None else "",
        **more,
        **lab.act,
    )
    return made.text


@dataclass
class Things:
    """One of each in an organisation; ``ids`` by the name that a path has for it. ``secrets`` are words that nobody
    else may ever read."""

    org: OrganisationStore
    mark: str
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def words(self) -> list[bytes]:
        return [
            self.mark.encode(),
            *(v.encode() for k, v in self.ids.items() if k not in ("door", "version")),
        ]


def furnish(lab: Lab, mark: str) -> Things:
    """An organisation in which every name has ``mark`` in it."""
    domain = f"{mark}.example"
    org = lab.organisation(f"Org {mark}", domain)
    act = lab.act
    account = org.accounts.create(
        f"ann-{mark}@{domain}", aliases=[f"alias-{mark}@{domain}"], groups=[f"group-{mark}"], **act
    )
    device = org.devices.create(
        account.id,
        f"phone {mark}",
        doors=[DoorKind.IMAP],
        kind=DeviceKind.PERSONAL,
        state=DeviceState.QUARANTINED,
        **act,
    )
    org.credentials.add(device.id, CredentialKind.DEVICE_SECRET, f"pub{mark}", verifier=bytes(32), **act)
    org.policies.add(f'[[rule]]\nname = "{mark}"\nopinion = "deny"\ndoors = ["pop3"]\n', note=mark, **act)
    org.modes.set(DoorKind.IMAP, Mode.OBSERVE, until=lab.clock.now + 86400, group=f"group-{mark}", **act)
    finding = org.findings.open(
        Finding(
            "",
            "",
            "Server",
            f"mail {mark}",
            f"rule.{mark}",
            f"Title {mark}",
            Severity.HIGH,
            mark,
            evidence=(Evidence(mark),),
        ),
        **act,
    )
    factor = org.authenticators.add(account.id, AuthenticatorKind.TOTP, name=mark, sealed=b"box", **act)
    session = org.web_sessions.open(account.id, "device-key", lab.random(32), agent=mark, **act)
    org.eas_devices.decide(account.id, f"phone{mark}".lower(), "quarantined", **act)
    action = org.actions.plan("device.revoke", device.id, {"given": {}, "sentences": [mark]}, **act)
    event = f"ev-{mark}/1"
    lab.events(
        [
            Event(
                event,
                lab.clock.now - 60,
                "door.login.refused",
                org.id,
                account.id,
                device.id,
                "imap",
                "192.0.2.1",
                {"reason": mark, "rung": "knowledge"},
            ),
            Event(
                f"ev-{mark}/2",
                lab.clock.now - 50,
                "door.login.allowed",
                org.id,
                account.id,
                device.id,
                "imap",
                "192.0.2.1",
                {"rung": "device-secret"},
            ),
            Event(
                f"ev-{mark}/3",
                lab.clock.now - 40,
                "door.eas.refused",
                org.id,
                account.id,
                "",
                "eas",
                "192.0.2.1",
                {"device_id": f"other{mark}", "why": Outcome.OTHER_DEVICE.value},
            ),
        ]
    )
    return Things(
        org,
        mark,
        {
            "organisation": org.id,
            "org": org.id,
            "account": account.id,
            "device": device.id,
            "finding": finding.id,
            "action": action.id,
            "factor": factor.id,
            "session": session.id,
            "event": event,
            "door": "imap",
            "version": "1",
        },
    )


Body = Callable[[Things, Lab], Any]
# What each operation that takes something is given, so that it does what it is for.
BODIES: Mapping[str, Body] = {
    "organisations.create": lambda t, lab: {"name": "Another", "domains": ["another.example"]},
    "organisations.change": lambda t, lab: {"hours_per_week": 2},
    "accounts.create": lambda t, lab: {"address": f"new@{t.mark}.example"},
    "accounts.change": lambda t, lab: {"groups": ["x"], "enabled": True},
    "devices.register": lambda t, lab: {
        "account": t.ids["account"],
        "name": "Laptop",
        "doors": ["imap", "submission"],
    },
    "devices.block": lambda t, lab: {"lost": True},
    "sessions.end": lambda t, lab: {"account": t.ids["account"]},
    "findings.assign": lambda t, lab: {"staff": None},
    "findings.waive": lambda t, lab: {"until": "2026-10-21T00:00:00Z", "reason": "known"},
    "actions.plan": lambda t, lab: {"kind": "device.revoke", "target": t.ids["device"]},
    "doors.set-mode": lambda t, lab: {"mode": "warn", "days": 3, "reason": "try"},
    "policy.add": lambda t, lab: {"toml": "", "note": "none"},
    "policy.activate": lambda t, lab: {"version": 1},
    "policy.check": lambda t, lab: {"toml": "x = 1"},
    "policy.explain": lambda t, lab: {"door": "imap", "account": t.ids["account"], "rung": "device-secret"},
}


def body_of(operation: Operation, things: Things, lab: Lab) -> Any:
    """A body that fits."""
    if operation.body is None:
        return None
    return BODIES[operation.name](things, lab) if operation.name in BODIES else {}


def path_of(operation: Operation, ids: Mapping[str, str]) -> str:
    """The whole path, with these things in it."""
    return BASE + operation.path.format(**ids)


def owner(lab: Lab, name: str = "Olga") -> Staff:
    return lab.staff(name, Grant(EVERY, Role.OWNER))
