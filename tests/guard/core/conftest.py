"""A small organisation to ask about. Every test builds its own from here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gambeson.guard.core.policy_toml import parse_policy
from gambeson.guard.data import default_policy_text
from gambeson.model import device_secret
from gambeson.model.access import AccessRequest, DoorKind, Identity, Mechanism, RawLogin, Rung
from gambeson.model.asset import Account, Credential, CredentialKind, Device, DeviceKind, DeviceState
from gambeson.model.organisation import Organisation
from gambeson.model.rule import Policy
from gambeson.model.snapshot import Snapshot, SnapshotIndex

NOW = 1_800_000_000.0  # Friday, 2027-01-15 08:00:00 UTC
KEY = bytes(range(32))
URL = "https://login.example.org/enrol"
ALL = tuple(DoorKind)


class World:
    """``example.org`` with alice (phone by secret and certificate) and bob; ``other.test`` with mallory."""

    now, key, url = NOW, KEY, URL

    def __init__(self) -> None:
        self.organisations = [
            Organisation("o", "Example", ("example.org", "beispiel.example"), URL),
            Organisation("x", "Other", ("other.test",), "https://login.other.test"),
        ]
        self.accounts = {
            "alice": Account("a1", "o", "alice@example.org", ("a.smith@example.org",), ("sales",)),
            "bob": Account("a2", "o", "bob@example.org", groups=("it",)),
            "mallory": Account("m1", "x", "mallory@other.test"),
        }
        self.secrets = {
            n: device_secret.make(bytes([i]) * 23) for i, n in enumerate(("alice", "bob", "mallory"))
        }
        self.devices = {
            "alice": Device("d1", "o", "a1", "phone", doors=ALL),
            "bob": Device("d2", "o", "a2", "laptop", doors=ALL),
            "mallory": Device("dm", "x", "m1", "phone", doors=ALL),
        }
        self.credentials = {
            n: Credential(
                f"c-{d.id}",
                d.organisation,
                d.id,
                CredentialKind.DEVICE_SECRET,
                self.secrets[n].public_id,
                device_secret.verifier(self.secrets[n], KEY),
            )
            for n, d in self.devices.items()
        }
        self.fingerprint = "ab" * 32
        self.credentials["alice-cert"] = Credential(
            "k-d1", "o", "d1", CredentialKind.CERTIFICATE, self.fingerprint
        )
        self.policy = parse_policy(default_policy_text(), "o")
        self.made_at = NOW
        self.failures: tuple[tuple[str, int], ...] = ()
        self.bypass: tuple[tuple[str, float], ...] = ()

    def account(self, name: str, **values: Any) -> World:
        self.accounts[name] = replace(self.accounts[name], **values)
        return self

    def device(self, name: str, **values: Any) -> World:
        self.devices[name] = replace(self.devices[name], **values)
        return self

    def credential(self, name: str, **values: Any) -> World:
        self.credentials[name] = replace(self.credentials[name], **values)
        return self

    def rules(self, text: str, default: bool = True) -> World:
        """The policy in TOML, before the default rules."""
        own = parse_policy(text, "o")
        after = parse_policy(default_policy_text(), "o").rules if default else ()
        self.policy = replace(own, rules=own.rules + after)
        return self

    def with_policy(self, **values: Any) -> World:
        self.policy = replace(self.policy, **values)
        return self

    def index(self) -> SnapshotIndex:
        return SnapshotIndex(
            Snapshot(
                7,
                self.made_at,
                tuple(self.organisations),
                tuple(self.accounts.values()),
                tuple(self.devices.values()),
                tuple(self.credentials.values()),
                policies=(self.policy, replace(parse_policy(default_policy_text(), "x"))),
                failures=self.failures,
                bypass_until=self.bypass,
            )
        )

    def proven(self, name: str = "alice", rung: Rung = Rung.DEVICE_SECRET) -> Identity:
        account, device = self.accounts[name], self.devices[name]
        credential = self.credentials["alice-cert" if rung is Rung.DEVICE_KEY else name]
        return Identity(account.address, account.organisation, account.id, device.id, credential.id, rung)

    def password(self, claimed: str = "alice@example.org", organisation: str = "o") -> Identity:
        return Identity(claimed, organisation)

    def ask(self, identity: Identity, door: DoorKind = DoorKind.IMAP, **values: Any) -> AccessRequest:
        return AccessRequest(door, identity, values.pop("source", "203.0.113.5"), **values)

    def login(self, name: str, password: str = "", authzid: str = "", mechanism: str = "PLAIN") -> RawLogin:
        return RawLogin(Mechanism(mechanism), name, password, authzid)


@pytest.fixture
def world() -> World:
    return World()


__all__ = ["DeviceKind", "DeviceState", "Policy", "World"]
