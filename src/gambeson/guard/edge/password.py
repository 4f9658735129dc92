"""The password beside a device's certificate: whether one is to be checked, who checks it, and what came of it.

Nothing here runs for a password that came alone: the first thing asked is whether a certificate proved the device.
Local passwords are checked by the keeper, the directory's by the directory. A password that goes to the mail server as
it is, is checked there. The account's own device secret needs no owner to ask: the certificate is worth more.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gambeson.guard.core.identify import alive
from gambeson.model import device_secret
from gambeson.model.access import Mechanism, Rung
from gambeson.model.asset import Account, DeviceState, IdentitySource
from gambeson.model.server import SignIn
from gambeson.process.keeper_client import KeeperGone, KeeperRefused
from gambeson.process.keeper_messages import PasswordAsk

from .identity.source import Verdict, sendable
from .routes import targets

if TYPE_CHECKING:
    from .door import Door
    from .judgement import Judgement
    from .session import ClientSession

NO_DIRECTORY = "the account's password is in a directory, and no ldap.url is set"
_KEEPER_SAID = {"wrong": Verdict.WRONG, "no-password": Verdict.WRONG, "too-many": Verdict.HELD}


async def beside_certificate(door: Door, session: ClientSession, judgement: Judgement) -> tuple[Verdict, str]:
    """What is known of the password, and a word on why where there is one. RIGHT where none is to be checked."""
    account = judgement.account
    if account is None or not _due(session, judgement):
        return Verdict.RIGHT, ""
    fingerprint = "" if session.certificate else session.fingerprint
    return await ask_owner(door, judgement, account, session.certificate, fingerprint)


async def ask_owner(
    door: Door, judgement: Judgement, account: Account, certificate: bytes, fingerprint: str
) -> tuple[Verdict, str]:
    """What whoever knows the account's password says of the one beside its device's certificate."""
    raw = judgement.raw
    if _own_secret(door, judgement):
        return Verdict.RIGHT, ""
    if not sendable(raw.password):
        return Verdict.WRONG, "not sendable"
    if account.source is IdentitySource.LDAP:
        if door.passwords is None:
            return Verdict.UNAVAILABLE, NO_DIRECTORY
        if door.stopping:
            return Verdict.UNAVAILABLE, "closing"  # whoever comes after us counts the directory's misses now
        return await door.passwords.check(account, raw.password), "directory"
    ask = PasswordAsk(
        account=account.id,
        password=raw.password,
        door=judgement.request.door.value,
        source=judgement.request.source,
        certificate=certificate,
        fingerprint=fingerprint,
    )
    try:
        await door.keeper.password(ask)
    except KeeperRefused as refused:
        return _KEEPER_SAID.get(refused.reason, Verdict.UNAVAILABLE), refused.reason
    except KeeperGone:
        return Verdict.UNAVAILABLE, "the keeper is gone"
    return Verdict.RIGHT, ""


def _due(session: ClientSession, judgement: Judgement) -> bool:
    """Whether a password came beside a good certificate, and anybody but the mail server is to judge it."""
    if not (judgement.proven and session.fingerprint and judgement.identity.rung is Rung.DEVICE_KEY):
        return False
    if judgement.raw.mechanism is Mechanism.EXTERNAL:
        return False
    organisation = judgement.identity.organisation
    candidates = targets(judgement.index, organisation, judgement.account, judgement.request.door)
    return not all(server.sign_in is SignIn.AS_IS for server, _ in candidates)


def _own_secret(door: Door, judgement: Judgement) -> bool:
    """Whether the password is a living device secret of this very account."""
    index, account = judgement.index, judgement.identity.account
    secret = device_secret.parse(judgement.raw.password)
    found = index.secret.get(secret.public_id) if secret is not None else None
    device = index.device.get(found.device) if found is not None else None
    if secret is None or found is None or device is None:
        return False
    return (
        device_secret.matches(secret, door.device_key, found.verifier)
        and device.account == account
        and device.state is DeviceState.REGISTERED
        and not alive(found, device, time.time())
    )
