"""The canary's devices: made for one walk, each wrong in one way, and taken away after it. So is the passkey with which
it signs in at the portal, and so are the sessions that it began there.

Everything done to the store is audited like any other change. The secrets exist in memory only. What a walk leaves
behind that was killed opens nothing after an hour, and the next walk takes it away.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from gambeson.guard.core.walk_http_maker import AGENT
from gambeson.guard.core.walk_plan import Canary, Held
from gambeson.model import device_secret
from gambeson.model.access import DEVICE_DOORS, DoorKind
from gambeson.model.asset import Account, CredentialKind, Device, DeviceState
from gambeson.store.authenticators import AuthenticatorKind, StoredAuthenticator
from gambeson.store.errors import NotFound, StoreError
from gambeson.store.tenant import OrganisationStore

from .passkey import Passkey

PREFIX = "guard walk "
LIFE_SECONDS = 3600.0
_NAME = re.compile(PREFIX + r"[0-9a-f]{6} [a-z ]+\Z")
_STATES = (
    (DeviceState.BLOCKED, "the secret of a blocked device", "device-blocked"),
    (DeviceState.LOST, "the secret of a lost device", "device-lost"),
    (DeviceState.QUARANTINED, "the secret of a device in quarantine", "device-quarantined"),
)


@dataclass
class CanaryDevices:
    """``verifier`` gives what the store keeps of a secret: the keeper's answer."""

    organisation: OrganisationStore
    account: Account
    verifier: Callable[[str], bytes]
    by: str
    _mark: str = field(default_factory=lambda: secrets.token_hex(3))

    def make(self, password: str, foreign: str) -> Canary:
        """All of them. ``foreign`` is an address of the organisation that is not the canary's."""
        mark = self._mark
        good = self._device(f"{PREFIX}{mark} good", DEVICE_DOORS)
        held = [
            Held(what, rule, self._device(f"{PREFIX}{mark} {state}", DEVICE_DOORS, state))
            for state, what, rule in _STATES
        ]
        held.append(Held("a revoked secret", "credential-revoked", self._revoked(f"{PREFIX}{mark} revoked")))
        past = self._device(f"{PREFIX}{mark} expired", DEVICE_DOORS, expires_at=time.time() + 0.001)
        held.append(Held("an expired secret", "credential-expired", past))
        made_up = device_secret.make(secrets.token_bytes(device_secret.ENTROPY_BYTES)).text
        held.append(Held("a made-up secret", "made-up-secret", made_up))
        held.append(Held("its device secret under another's name", "another-account", good, foreign))
        elsewhere = tuple(
            (door, self._device(f"{PREFIX}{mark} {door} only", (door,)))
            for door in (DoorKind.IMAP, DoorKind.SIEVE)
        )
        return Canary(self.account.address, password, good, tuple(held), elsewhere, foreign)

    def passkey(self) -> Passkey:
        """A passkey of the account's own, beside those that it has. Raises StoreError."""
        made = Passkey()
        self.organisation.authenticators.add(
            self.account.id,
            AuthenticatorKind.PASSKEY,
            name=f"{PREFIX}{self._mark} passkey",
            public_id=made.id,
            public_key=made.public_key,
            by=self.by,
            at=time.time(),
        )
        return made

    def take_away(self) -> None:
        """Delete them, as the store has them: also one whose making was cut short, and again what could not be deleted
        before; end the sessions. Raises StoreError when all were tried and one is still there."""
        mine = f"{PREFIX}{self._mark} "
        devices = [d for d in self._there() if d.account == self.account.id and d.name.startswith(mine)]
        passkeys = [p for p in self._passkeys() if p.account == self.account.id and p.name.startswith(mine)]
        try:
            self._forget(passkeys)
        finally:
            try:
                self._sign_out(self.account.id)
            finally:
                self._delete(devices)

    def sweep(self, now: float) -> int:
        """Delete what walks that were killed left behind and has expired; gives how many. Raises StoreError."""
        left = [p for p in self._passkeys() if p.created_at + LIFE_SECONDS <= now]
        for account in {p.account for p in left}:
            self._sign_out(account)
        self._forget(left)
        return len(left) + self._delete([d for d in self._there() if 0 < d.expires_at <= now])

    def _passkeys(self) -> list[StoredAuthenticator]:
        return [a for a in self.organisation.authenticators.named(PREFIX) if _NAME.match(a.name)]

    def _forget(self, passkeys: list[StoredAuthenticator]) -> None:
        for one in passkeys:
            with suppress(NotFound):  # somebody was faster
                self.organisation.authenticators.remove(one.account, one.id, by=self.by, at=time.time())

    def _sign_out(self, account: str) -> None:
        """End the account's sessions that a walk began: a browser calls itself otherwise."""
        sessions = self.organisation.web_sessions
        for one in sessions.list(account, time.time()):
            if one.agent == AGENT[1]:
                sessions.end(account, id=one.id, reason="guard walk", by=self.by, at=time.time())

    def _there(self) -> list[Device]:
        return [d for d in self.organisation.devices.list() if _NAME.match(d.name)]

    def _delete(self, devices: list[Device]) -> int:
        trouble: StoreError | None = None
        for device in devices:
            try:
                self.organisation.devices.delete(device.id, by=self.by, at=time.time())
            except NotFound:
                continue  # somebody was faster
            except StoreError as error:
                trouble = error
        if trouble is not None:
            raise trouble
        return len(devices)

    def _revoked(self, name: str) -> str:
        text = self._device(name, DEVICE_DOORS)
        public = device_secret.parse(text)
        assert public is not None
        found = self.organisation.credentials.find(CredentialKind.DEVICE_SECRET, public.public_id)
        self.organisation.credentials.revoke(found.id, reason="guard walk", by=self.by, at=time.time())
        return text

    def _device(
        self,
        name: str,
        doors: tuple[DoorKind, ...],
        state: DeviceState = DeviceState.REGISTERED,
        expires_at: float = 0.0,
    ) -> str:
        now = time.time()
        device = self.organisation.devices.create(
            self.account.id, name, doors=doors, state=state, expires_at=now + LIFE_SECONDS, by=self.by, at=now
        )
        secret = device_secret.make(secrets.token_bytes(device_secret.ENTROPY_BYTES))
        self.organisation.credentials.add(
            device.id,
            CredentialKind.DEVICE_SECRET,
            secret.public_id,
            verifier=self.verifier(secret.text),
            expires_at=expires_at,
            by=self.by,
            at=now,
        )
        return secret.text
