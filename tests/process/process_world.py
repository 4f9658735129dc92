"""A small world for the tests of this layer: one organisation, two accounts, their devices."""

from __future__ import annotations

import functools
from hashlib import sha256
from pathlib import Path

from gambeson.model import device_secret
from gambeson.model.access import DoorKind
from gambeson.model.asset import Account, Credential, CredentialKind, Device
from gambeson.model.organisation import Organisation
from gambeson.model.server import Endpoint, MailServer, SignIn
from gambeson.model.snapshot import Snapshot, SnapshotIndex
from gambeson.process.keys import KeeperKeys, open_keys

NOW = 1_800_000_000.0
ADA = device_secret.make(bytes(range(23)))
BOB = device_secret.make(bytes(range(50, 73)))
MASTER = bytes(range(32))


@functools.cache
def keys(folder: Path) -> KeeperKeys:
    return open_keys(folder, MASTER, NOW)


def snapshot(number: int, key: bytes, **changes: object) -> Snapshot:
    """Ada (imap on one device) and Bob, one token server; fields replaced by ``changes``."""
    fields: dict[str, object] = {
        "number": number,
        "made_at": NOW,
        "organisations": (Organisation("o1", "sample", ("sample.example",)),),
        "accounts": (
            Account("a1", "o1", "ada@sample.example", upstream_login="ada"),
            Account("a2", "o1", "bob@sample.example"),
        ),
        "devices": (
            Device("d1", "o1", "a1", "Ada's phone", doors=(DoorKind.IMAP,)),
            Device("d2", "o1", "a2", "Bob's phone", doors=(DoorKind.IMAP, DoorKind.SUBMISSION)),
        ),
        "credentials": (
            Credential(
                "c1",
                "o1",
                "d1",
                CredentialKind.DEVICE_SECRET,
                ADA.public_id,
                device_secret.verifier(ADA, key),
            ),
            Credential(
                "c2",
                "o1",
                "d2",
                CredentialKind.DEVICE_SECRET,
                BOB.public_id,
                device_secret.verifier(BOB, key),
            ),
        ),
        "servers": (
            MailServer(
                "main", "o1", (Endpoint(DoorKind.IMAP, "mail.example", 993),), SignIn.TOKEN, audience="mail"
            ),
        ),
    }
    fields.update(changes)
    return Snapshot(**fields)  # type: ignore[arg-type]


def index(key: bytes, **changes: object) -> SnapshotIndex:
    return SnapshotIndex(snapshot(1, key, **changes))


def fingerprint(der: bytes) -> str:
    return sha256(der).hexdigest()
