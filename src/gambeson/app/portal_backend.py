"""Whom the portal asks, in its own process: the worker's desk, the keeper, and the directory.

It holds no database and no key. What it may ask is decided where it is answered, by the channel it comes on.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from gambeson.console.portal.backend import BackendGoneError
from gambeson.guard.edge.directory import DirectoryPlan, OpenDirectory, OpenError, open_directory
from gambeson.guard.edge.identity.source import PasswordSources, Verdict
from gambeson.model.asset import Account, IdentitySource
from gambeson.process import keeper_messages as k
from gambeson.process import messages as m
from gambeson.process import portal_messages as p
from gambeson.process.channel import Channel, ChannelGone, ChannelRefused

DESK_SECONDS = 5.0  # a store that is busy, and doors that must acknowledge
KEEPER_SECONDS = 3.0
PASSWORD_SECONDS = 8.0
_DESK_ANSWERS = p.Person | p.SessionRow | p.Things | p.OwnDevice | m.Published | m.Done
_KEEPER_ANSWERS = m.Octets | p.TotpStep | k.CertificateGiven | m.Done


def open_portal_directory(plain: Mapping[str, Any] | None) -> OpenDirectory | None:
    """The directory of the parameters, opened while files can be. Raises OpenError."""
    if plain is None:
        return None
    try:
        return open_directory(msgspec.convert(plain, DirectoryPlan))
    except msgspec.ValidationError as error:
        raise OpenError(f"the directory's settings don't fit: {error}") from None


class ChannelBackend:
    """Implements :class:`gambeson.console.portal.backend.Backend` over the inherited channels. To be made inside the
    running loop."""

    def __init__(self, worker: Channel, keeper: Channel, directory: OpenDirectory | None = None) -> None:
        self._worker, self._keeper = worker, keeper
        self._born = time.monotonic()
        self._window = directory.budget.window if directory is not None else 0.0
        self._sources: PasswordSources | None = None
        if directory is not None:
            self._sources = directory.sources(lambda _why: None, lambda: None, time.time)

    async def desk(self, message: m.Message) -> m.Message:
        """The worker's answer; Refused is one."""
        return await _ask(self._worker, message, _DESK_ANSWERS, DESK_SECONDS)

    async def keeper(self, message: m.Message) -> m.Message:
        """The keeper's answer; Refused is one."""
        return await _ask(self._keeper, message, _KEEPER_ANSWERS, KEEPER_SECONDS)

    async def check_password(self, person: p.Person, password: str) -> bool:
        """Whether the identity source takes the password. For somebody unknown the keeper does the same work."""
        if person.known and person.source == IdentitySource.LDAP:
            return await self._in_directory(person, password)
        hashed = person.password_hash if person.known else ""
        answer = await _ask(
            self._keeper, k.CheckPasswordAsk(password=password, hashed=hashed), m.Done, PASSWORD_SECONDS
        )
        if isinstance(answer, m.Refused) and answer.reason in ("busy", "too-many"):
            raise BackendGoneError(f"the keeper checks no password now: {answer.reason}")
        return isinstance(answer, m.Done) and person.known

    async def _in_directory(self, person: p.Person, password: str) -> bool:
        if self._sources is None:
            raise BackendGoneError("the account's password is in a directory, and the settings name none")
        if time.monotonic() - self._born < self._window and person.failures:
            # The process before this one may have spent what the directory may see of wrong passwords.
            raise BackendGoneError("the directory may not be asked about this account for a while")
        account = Account(person.account, person.organisation, person.address, source=IdentitySource.LDAP)
        verdict = await self._sources.check(account, password)
        if verdict in (Verdict.UNAVAILABLE, Verdict.HELD):
            raise BackendGoneError(f"the directory gave no answer: {verdict}")
        return verdict is Verdict.RIGHT

    async def verifier(self, device_secret: str) -> bytes:
        """What the store keeps of a device secret."""
        answer = await self.keeper(k.SecretVerifierAsk(secret=device_secret))
        if not isinstance(answer, m.Octets):
            raise BackendGoneError("the keeper gave no verifier")
        return answer.value

    async def certificate(self, account: str, device: str, name: str, address: str, password: str) -> bytes:
        """A client certificate for the device, registered with it: PKCS#12 that every phone reads."""
        credential = f"cred-{secrets.token_hex(10)}"
        given = await self.keeper(
            k.CertificateAsk(
                credential=credential, name=name, address=address, password=password, legacy=True
            )
        )
        if not isinstance(given, k.CertificateGiven):
            raise BackendGoneError("the keeper gave no certificate")
        registered = await self.desk(
            p.DeviceCertificate(
                account=account,
                device=device,
                credential=credential,
                certificate=given.certificate_pem.encode(),
                at=time.time(),
            )
        )
        if not isinstance(registered, m.Published):
            raise BackendGoneError("the certificate could not be registered")
        return given.pkcs12

    async def publish(self) -> None:
        """The doors learn what the store says."""
        await _ask(self._worker, m.PublishAsk(seconds=1.0), m.Published, DESK_SECONDS)


async def _ask(channel: Channel, message: m.Message, answers: Any, seconds: float) -> m.Message:
    """The answer of one of the kinds, or Refused. Raises BackendGoneError."""
    try:
        return cast("m.Message", await channel.request(message, answers, seconds))
    except ChannelRefused as refused:
        return m.Refused(reason=refused.reason, sentence=refused.sentence)
    except ChannelGone as gone:
        raise BackendGoneError(str(gone)) from None
