"""Assets: what is looked after. All times are seconds since 1970 (UTC) as float."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from .access import DoorKind


class DeviceState(StrEnum):
    """registered is served; quarantined is answered but not served; blocked and lost are refused."""

    REGISTERED = "registered"
    QUARANTINED = "quarantined"
    BLOCKED = "blocked"
    LOST = "lost"


class DeviceKind(StrEnum):
    """personal: a person's phone or computer. machine: a scanner or application (bound tighter)."""

    PERSONAL = "personal"
    MACHINE = "machine"


class CredentialKind(StrEnum):
    """What a device proves itself with."""

    DEVICE_SECRET = "device-secret"  # noqa: S105 - the name of a kind
    CERTIFICATE = "certificate"


class IdentitySource(StrEnum):
    """Where an account's password is checked, at the few places that check one."""

    LOCAL = "local"
    LDAP = "ldap"


@dataclass(frozen=True, slots=True)
class Account:
    """A person's or function's mail account. Addresses are canonical (lower case, A-label domain).

    ``upstream_login`` is the name on the mail server where it differs from ``address``;
    ``server`` names a mail server of the configuration (empty: the organisation's route);
    ``sealed_password`` is the keeper's sealed box for the *sealed* way to sign in; ``password_hash`` is argon2id
    of the local password with the keeper's pepper (nobody else can check it), empty where there is none. Only
    snapshots carry it.
    """

    id: str
    organisation: str
    address: str
    aliases: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    enabled: bool = True
    source: IdentitySource = IdentitySource.LOCAL
    upstream_login: str = ""
    server: str = ""
    sealed_password: bytes = field(default=b"", repr=False)
    password_hash: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Device:
    """A registered thing that reads or sends mail. ``doors`` is what it may open.

    The machine fields (``networks`` in CIDR form, ``senders``, ``hourly_limit`` of messages,
    ``owner``, ``review_at``) bind a machine credential; for personal devices they are empty.
    ``expires_at`` 0 means no end.
    """

    id: str
    organisation: str
    account: str
    name: str
    kind: DeviceKind = DeviceKind.PERSONAL
    state: DeviceState = DeviceState.REGISTERED
    doors: tuple[DoorKind, ...] = ()
    created_at: float = 0.0
    expires_at: float = 0.0
    networks: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()
    hourly_limit: int = 0
    owner: str = ""
    review_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Credential:
    """What one device proves itself with.

    For a device secret ``public_id`` is the id inside the secret and ``verifier`` the keyed
    BLAKE2b-256 of it; for a certificate ``public_id`` is the lower-case hex SHA-256 fingerprint
    and ``verifier`` is empty. ``revoked_at`` and ``expires_at`` 0 mean never.
    """

    id: str
    organisation: str
    device: str
    kind: CredentialKind
    public_id: str
    verifier: bytes = field(default=b"", repr=False)
    created_at: float = 0.0
    expires_at: float = 0.0
    revoked_at: float = 0.0
