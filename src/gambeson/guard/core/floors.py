"""The floors: what must hold before any rule is asked. No rule lifts them.

They are asked in the order of ``HARD``; the first that does not hold, decides. Those hold in every mode. After
them comes the rung floor: each door demands a rung of the proof ladder, a declared network may demand more,
and only a :class:`~gambeson.model.rule.PolicyException` with owner, reason and an end in the future goes
below. ``Facts`` is what all of them look at.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from gambeson.model.access import BROWSER_DOORS, AccessRequest, Rung
from gambeson.model.asset import Account, Credential, Device, DeviceState
from gambeson.model.decision import Opinion
from gambeson.model.snapshot import SnapshotIndex

from .compiled import NATIVE, CompiledException, CompiledPolicy, compiled_policy
from .identify import REVOKED, alive
from .networks import Ip, parse_ip

# Who opens nothing but hears why, as it can be put right by registering a device.
_CHALLENGE = Opinion.CHALLENGE
_DENY = Opinion.DENY


class Facts:
    """One request with everything the snapshot knows about it. ``subject`` is the proven account, or else
    the account that bears the claimed name; ``demanded`` the door's floor before exceptions."""

    __slots__ = (
        "account",
        "credential",
        "demanded",
        "device",
        "door",
        "fresh",
        "index",
        "ip",
        "networks",
        "now",
        "policy",
        "request",
        "rung",
        "subject",
    )

    def __init__(self, request: AccessRequest, index: SnapshotIndex, now: float, max_age: float) -> None:
        identity = request.identity
        self.request = request
        self.index = index
        self.now = now
        self.door = request.door
        self.policy: CompiledPolicy = compiled_policy(index, identity.organisation)
        self.account: Account | None = index.account.get(identity.account) if identity.account else None
        self.device: Device | None = index.device.get(identity.device) if identity.device else None
        self.credential: Credential | None = (
            index.credential.get(identity.credential) if identity.credential else None
        )
        self.subject: Account | None = self.account or index.account_by_address.get(identity.claimed)
        # An asserted identity is nothing proven: the ladder starts with a proven account.
        self.rung = identity.rung if self.account is not None else Rung.NOTHING
        # Written so that a clock that is no number, or one that was set back, counts as stale too.
        self.fresh = abs(now - index.snapshot.made_at) <= max_age
        self.ip: Ip = parse_ip(request.source)
        self.networks: frozenset[str] = self.policy.networks.holding(self.ip)
        self.demanded = self.policy.floor(request.door, self.networks)


Floor = Callable[[Facts], tuple[Opinion, str] | None]


def snapshot(f: Facts) -> tuple[Opinion, str] | None:
    """The policy is recent. Else nobody new, unless the emergency bypass is on."""
    if f.fresh or f.now < f.index.bypass_until.get(f.request.identity.organisation, -math.inf):
        return None
    return _DENY, "snapshot-stale"


def organisation(f: Facts) -> tuple[Opinion, str] | None:
    """Everything that was proven belongs together, and to this organisation. Of an unknown name only the
    domain's organisation is known."""
    identity = f.request.identity
    own = identity.organisation
    if own not in f.index.organisation:
        return _CHALLENGE, identity.failure or "organisation-unknown"
    if not identity.account:
        # Nothing proven; a name whose account lives in another organisation is served by neither.
        if (
            identity.device
            or identity.credential
            or (f.subject is not None and f.subject.organisation != own)
        ):
            return _CHALLENGE, "organisation-mismatch"
        return None
    account, device, credential = f.account, f.device, f.credential
    if account is None:
        return _CHALLENGE, "account-unknown"
    if account.organisation != own:
        return _CHALLENGE, "organisation-mismatch"
    if device is not None:
        if device.organisation != own or device.account != account.id:
            return _CHALLENGE, "organisation-mismatch"
    elif identity.device or identity.rung is Rung.DEVICE_SECRET or _key_without_device(f):
        return _CHALLENGE, "device-unknown"
    if credential is not None:
        if credential.organisation != own or device is None or credential.device != device.id:
            return _CHALLENGE, "organisation-mismatch"
    elif identity.credential:
        return _CHALLENGE, REVOKED  # it was removed from the table after it was proven
    elif device is not None:
        return _CHALLENGE, "credential-unknown"
    return None


def _key_without_device(f: Facts) -> bool:
    """A passkey is a person's and fits browser doors; at a mail program's door the key is a device's."""
    return f.request.identity.rung is Rung.DEVICE_KEY and f.door in NATIVE


def account(f: Facts) -> tuple[Opinion, str] | None:
    """The account is in force. Whoever proved nothing is not told that it is not."""
    if f.subject is None or f.subject.enabled:
        return None
    if f.account is None:
        return _CHALLENGE, "claimed-account-disabled"
    return _DENY, "account-disabled"


def device(f: Facts) -> tuple[Opinion, str] | None:
    """The device and its credential are in force. A quarantined device is answered further below."""
    if f.device is None or f.credential is None:
        return None
    if f.device.state is DeviceState.BLOCKED:
        return _DENY, "device-blocked"
    if f.device.state is DeviceState.LOST:
        return _DENY, "device-lost"
    dead = alive(f.credential, f.device, f.now)
    return (_DENY, dead) if dead else None


def throttle(f: Facts) -> tuple[Opinion, str] | None:
    """No throttle is closed for this request."""
    return (_DENY, "throttled") if f.request.throttled else None


def encryption(f: Facts) -> tuple[Opinion, str] | None:
    """The client's side is under TLS."""
    return None if f.request.encrypted else (_DENY, "not-encrypted")


def doors(f: Facts) -> tuple[Opinion, str] | None:
    """The device was registered for this door."""
    if f.device is None or f.door in f.device.doors:
        return None
    return _DENY, "door-not-allowed"


def binding(f: Facts) -> tuple[Opinion, str] | None:
    """A machine comes from the network it is bound to; a machine bound to none comes from nowhere."""
    if f.device is None or f.policy.device_network(f.device).allows(f.ip):
        return None
    return _DENY, "network-not-allowed"


def proof(f: Facts) -> tuple[Opinion, str] | None:
    """No presented credential failed. In no mode does a failed secret or token go on to a mail server."""
    return (_CHALLENGE, f.request.identity.failure) if f.request.identity.failure else None


def session(f: Facts) -> tuple[Opinion, str] | None:
    """The portal's session was not ended, and it is at a browser's door."""
    mine = f.request.identity.session
    if not mine:
        return None
    if mine in f.index.ended_sessions:
        return _CHALLENGE, "session-ended"
    return None if f.door in BROWSER_DOORS else (_DENY, "door-not-allowed")


HARD: tuple[tuple[str, Floor], ...] = (
    ("floor:snapshot", snapshot),
    ("floor:organisation", organisation),
    ("floor:account", account),
    ("floor:device", device),
    ("floor:session", session),
    ("floor:throttle", throttle),
    ("floor:encryption", encryption),
    ("floor:doors", doors),
    ("floor:binding", binding),
    ("floor:proof", proof),
)
RUNG = "floor:rung"
QUARANTINE = "floor:quarantine"


def exception_below(f: Facts) -> CompiledException | None:
    """The exception that admits this request although its rung is under the floor, or None.

    A password is not checked here: under an exception down to *knowledge* it goes to the mail server as
    it is, and only that server's yes makes it knowledge. Nothing goes lower than that.
    """
    if f.subject is None:
        return None
    reached = f.rung if f.account is not None else Rung.KNOWLEDGE
    for e in f.policy.exceptions.get(f.door, ()):
        if (
            Rung.KNOWLEDGE <= e.rung <= reached
            and f.now < e.until
            and e.covers(f.subject.id, f.subject.groups, f.networks)
        ):
            return e
    return None
