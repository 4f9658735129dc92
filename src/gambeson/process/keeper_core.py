"""The keeper's answers, apart from its sockets: who may ask what, and what it says.

The keeper believes nobody's word that a login was good: a door sends the proof, and the keeper holds
it against its own snapshot. It answers for that account and that server only. Time is an argument;
keys are handed in. Refusals are values with a stable reason (:class:`Refused`), and each answer to a
door is told to ``record`` *before* it is given: what cannot be recorded is not answered.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from gambeson.model import device_secret, session_token
from gambeson.model.access import BROWSER_DOORS, DEVICE_WEB_DOORS, Rung
from gambeson.model.address import canonical, domain_of
from gambeson.model.asset import Account, Credential, CredentialKind, Device, DeviceState
from gambeson.model.server import MailServer, SignIn
from gambeson.model.session_token import Claims, TokenError
from gambeson.model.snapshot import SnapshotIndex
from gambeson.model.web import Site, WebSignIn
from gambeson.wire.dialogue import UpstreamCredential

from . import keeper_messages as k
from . import messages as m
from . import possession
from .authority import AuthorityError
from .keeper_portal import PortalAnswers, PortalRecord
from .keeper_roles import ALLOWED
from .keys import KeeperKeys
from .portal_messages import CodeVerifierAsk
from .sealing import SealingError
from .signin import master, sealed, token

# Answers per credential. A busy device comes back with hundreds of connections after a restart of the doors, and must
# get them; what never ends is no mail program. Not per account: one stolen device must not keep the others out.
BURST, PER_SECOND = 3000.0, 20.0
MAX_BUCKETS = 100_000
MAX_TOKENS = 20_000
_WEB_DOORS = frozenset(door.value for door in (*BROWSER_DOORS, *DEVICE_WEB_DOORS))
_BROWSER_DOORS = frozenset(door.value for door in BROWSER_DOORS)

Record = Callable[[str, k.CredentialAsk, Credential | None, str], bool]


class KeeperCore:
    """``issuer`` stands in tokens, ``masters`` are the master passwords by server name. ``record(door,
    ask, credential, outcome)`` and ``record_portal`` return whether the event is on disk; None: nobody records
    (tests). ``edges``: an edge may end TLS before the doors, so a door's word for a certificate's fingerprint is
    taken."""

    def __init__(
        self,
        keys: KeeperKeys,
        *,
        issuer: str = "gambeson",
        masters: dict[str, str] | None = None,
        record: Record | None = None,
        record_portal: PortalRecord | None = None,
        max_age: float = 3600.0,
        edges: bool = False,
    ) -> None:
        self.index: SnapshotIndex | None = None
        self._keys, self._issuer, self._masters = keys, issuer, masters or {}
        self._record, self._max_age, self._edges = record, max_age, edges
        self._portal = PortalAnswers(keys, record_portal)
        jwk = keys.token_jwk()
        self._kid = jwk["kid"]
        self._session = keys.session.public_key()
        self._jwk = msgspec.json.encode(jwk).decode()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._tokens: OrderedDict[tuple[str, str, str], tuple[float, UpstreamCredential]] = OrderedDict()

    def take(self, index: SnapshotIndex) -> None:
        """A newer snapshot: what it no longer admits is refused from now on."""
        self.index = index
        self._tokens.clear()

    def answer(self, role: str, name: str, message: m.Message, now: float) -> m.Message:
        """The answer to a request that came in on a channel of that role. Password work takes
        long and is the loop's (:mod:`gambeson.process.keeper`)."""
        if type(message) not in ALLOWED.get(role, ()):
            return m.Refused(reason="not-for-you", sentence=f"The keeper does not do that for {role}.")
        try:
            if role == "portal" or isinstance(message, CodeVerifierAsk):
                fresh = self.index if self._fresh(now) else None
                return self._portal.answer(
                    role, message, fresh, now, lambda: self._answer(name, message, now)
                )
            return self._answer(name, message, now)
        except (SealingError, AuthorityError, master.NoMasterError) as error:
            return m.Refused(reason="cannot", sentence=str(error)[:4000])

    def _fresh(self, now: float) -> bool:
        return self.index is not None and abs(now - self.index.snapshot.made_at) <= self._max_age

    def _answer(self, name: str, message: m.Message, now: float) -> m.Message:
        keys = self._keys
        match message:
            case k.CredentialAsk():
                return self.credential(name, message, now)
            case k.KeeperHello():
                return k.DeviceKey(key=keys.device, session_pem=keys.session_pem)
            case k.SecretVerifierAsk(secret=text):
                secret = device_secret.parse(text)
                if secret is None:
                    return m.Refused(reason="no-device-secret", sentence="That is no device secret.")
                return m.Octets(value=device_secret.verifier(secret, keys.device))
            case k.SealAsk(plain=plain, context=context):
                return m.Octets(value=keys.sealer.seal(plain, context))
            case k.SignHeadAsk(payload=payload):
                return m.Octets(value=keys.audit.sign(k.AUDIT_PREFIX + payload))
            case k.PublicKeysAsk():
                return k.PublicKeys(
                    token_pem=keys.token_pem,
                    token_jwk=self._jwk,
                    token_kid=self._kid,
                    audit_pem=keys.audit_pem,
                    authority_pem=keys.authority.pem,
                )
            case k.CertificateAsk():
                return self._certificate(message, now)
            case k.RevocationListAsk():
                return self._revocation_list(now)
        return m.Refused(reason="not-for-you")

    # -- credentials for doors -----------------------------------------------------------------------

    def credential(self, door: str, ask: k.CredentialAsk, now: float) -> m.Message:
        """How to sign in at the server as the account, or Refused. Every outcome is recorded."""
        found, reason, given = self._judge(ask, now)
        if self._record is not None and not self._record(door, ask, found, reason or "given"):
            return m.Refused(reason="not-recorded", sentence="The keeper cannot record this; try later.")
        if given is None:
            return m.Refused(reason=reason)
        return k.CredentialGiven(
            mechanism=given.mechanism,
            authcid=given.authcid,
            secret=given.secret.encode(),
            authzid=given.authzid,
        )

    def _judge(
        self, ask: k.CredentialAsk, now: float
    ) -> tuple[Credential | None, str, UpstreamCredential | None]:
        index = self.index
        if index is None or abs(now - index.snapshot.made_at) > self._max_age:
            return None, "no-fresh-snapshot", None
        if ask.session:
            return (None, *self._judge_session(index, ask, now))
        found = self._proven(index, ask)
        if found is None:
            return None, "not-proven", None
        reason = barred(index, found, ask, now)
        if reason:
            return found, reason, None
        account = index.account[ask.account]
        server = _route(index, account, ask.server, ask.door)
        if server is None:
            return found, "no-such-server", None
        if not server.organisation and _foreign(index, account):
            return found, "login-of-another-organisation", None
        if not self._within_rate(found.id, now):
            return found, "too-many", None
        try:
            given = self._sign_in(account, server, found.id, now)
        except (SealingError, master.NoMasterError):
            return found, "cannot-sign-in", None
        return (found, "", given) if given is not None else (found, "as-is", None)

    def _judge_session(
        self, index: SnapshotIndex, ask: k.CredentialAsk, now: float
    ) -> tuple[str, UpstreamCredential | None]:
        """A person at a browser gets a token for that one site, and never anybody's password."""
        if ask.secret or ask.certificate or ask.fingerprint:
            return "not-proven", None
        try:
            claims = self.opened(ask.session, now)
        except TokenError as error:
            return f"session-{error.reason}", None
        reason = barred_session(index, claims, ask)
        if reason:
            return reason, None
        account, site = index.account[ask.account], index.site.get(ask.server)
        if site is None or not _serves(site, account) or claims.name not in site.hosts:
            return "no-such-server", None
        if not site.organisation and _foreign(index, account):
            return "login-of-another-organisation", None
        if site.web_sign_in not in (WebSignIn.TOKEN, WebSignIn.HEADER):
            return "as-is", None
        by = f"session {claims.session}"
        if not self._within_rate(by, now):
            return "too-many", None
        return "", self._sign_in(account, replace(site.server, sign_in=SignIn.TOKEN), by, now)

    def opened(self, text: str, now: float) -> Claims:
        """The claims of a session token that this keeper signed and that is in force. Raises TokenError."""
        signed, signature = session_token.split(text)
        try:
            self._session.verify(signature, session_token.SESSION_PREFIX + signed)
        except InvalidSignature:
            raise TokenError("forged") from None
        claims = session_token.read(signed)
        session_token.check(claims, claims.host, now)
        return claims

    def certified(self, ask: k.PasswordAsk, now: float) -> tuple[Credential | None, str]:
        """The certificate that a password came beside, and why it does not do: "" where it does."""
        index = self.index
        if index is None or abs(now - index.snapshot.made_at) > self._max_age:
            return None, "no-fresh-snapshot"
        shown = ask.fingerprint if self._edges else ""
        name = sha256(ask.certificate).hexdigest() if ask.certificate else shown
        found = index.certificate.get(name)
        return (found, barred(index, found, ask, now)) if found is not None else (None, "not-proven")

    def password_hash(self, account: str) -> str:
        """The stored argon2id hash; "" for none."""
        found = self.index.account.get(account) if self.index is not None else None
        return found.password_hash if found is not None else ""

    def _proven(self, index: SnapshotIndex, ask: k.CredentialAsk) -> Credential | None:
        if sum(map(bool, (ask.secret, ask.certificate, ask.fingerprint))) != 1:
            return None
        if ask.secret:
            secret = device_secret.parse(ask.secret)
            if secret is None:
                return None
            found = index.secret.get(secret.public_id)
            stored = found.verifier if found is not None else bytes(32)  # the same work for an unknown id
            good = device_secret.matches(secret, self._keys.device, stored)
            return found if good else None
        if ask.fingerprint:
            return index.certificate.get(ask.fingerprint) if self._edges else None
        if ask.certificate:
            found = index.certificate.get(sha256(ask.certificate).hexdigest())
            if found is None:
                return None
            try:
                if ask.transcript and not possession.proven(ask.certificate, ask.transcript):
                    return None
            except UnsupportedAlgorithm:
                return None
            return found
        return None

    def _sign_in(
        self, account: Account, server: MailServer, by: str, now: float
    ) -> UpstreamCredential | None:
        match server.sign_in:
            case SignIn.MASTER:
                return master.credential(account, server, self._masters)
            case SignIn.SEALED:
                return sealed.credential(account, self._keys.sealer)
            case SignIn.TOKEN:
                key = (account.id, server.name, by)
                made, given = self._tokens.get(key, (0.0, None))
                if given is None or not 0 <= now - made < token.REUSE_SECONDS:
                    given = token.credential(account, server, self._issuer, self._keys.token, self._kid, now)
                    self._tokens[key] = (now, given)
                    if len(self._tokens) > MAX_TOKENS:
                        self._tokens.popitem(last=False)
                return given
            case SignIn.AS_IS:
                return None

    def _within_rate(self, credential: str, now: float) -> bool:
        level, at = self._buckets.pop(credential, (BURST, now))
        level = min(BURST, level + max(0.0, now - at) * PER_SECOND)
        good = level >= 1.0
        self._buckets[credential] = (level - 1.0 if good else level, now)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return good

    # -- for administrators --------------------------------------------------------------------------

    def _certificate(self, ask: k.CertificateAsk, now: float) -> m.Message:
        issued = self._keys.authority.issue(
            credential=ask.credential,
            name=ask.name,
            address=ask.address,
            now=now,
            months=ask.months,
            csr=ask.csr,
            password=ask.password,
            legacy=ask.legacy,
        )
        return k.CertificateGiven(
            fingerprint=issued.fingerprint,
            certificate_pem=issued.certificate_pem,
            authority_pem=self._keys.authority.pem,
            expires_at=issued.expires_at,
            key_pem=issued.key_pem,
            pkcs12=issued.bundle,
        )

    def _revocation_list(self, now: float) -> m.Message:
        if self.index is None:
            return m.Refused(
                reason="no-fresh-snapshot", sentence="The keeper has no snapshot yet; try again."
            )
        snapshot = self.index.snapshot
        # By serial number: those recorded, which outlive their devices. By credential: those issued before
        # certificates were recorded.
        try:
            revoked: list[tuple[str | int, float]] = [(int(s, 16), at) for s, at in snapshot.revoked]
        except ValueError:
            raise AuthorityError("a revoked certificate is named by what is no serial number") from None
        revoked += [
            (c.id, c.revoked_at)
            for c in snapshot.credentials
            if c.kind is CredentialKind.CERTIFICATE and c.revoked_at
        ]
        pem = self._keys.authority.revocation_list(revoked, now)
        return m.LongText(text=pem)

    def peppered(self, password: str) -> str:
        """What argon2id is asked to hash: useless to whoever has the database alone."""
        return hmac.digest(self._keys.pepper, password.encode(), "sha256").hex()


def barred(index: SnapshotIndex, found: Credential, ask: k.CredentialAsk | k.PasswordAsk, now: float) -> str:
    """Why a proven credential does not open this door to this account; "" where it does."""
    device: Device | None = index.device.get(found.device)
    account = index.account.get(ask.account)
    if device is None or account is None or device.account != account.id:
        return "another-account"
    if not (found.organisation == device.organisation == account.organisation):
        return "another-organisation"
    if found.revoked_at:
        return "revoked"
    if (found.expires_at and found.expires_at <= now) or (device.expires_at and device.expires_at <= now):
        return "expired"
    if device.state is not DeviceState.REGISTERED:
        return f"device-{device.state.value}"
    if not account.enabled:
        return "account-disabled"
    if ask.door not in [door.value for door in device.doors]:
        return "another-door"
    return ""


def barred_session(index: SnapshotIndex, claims: Claims, ask: k.CredentialAsk) -> str:
    """Why a session in force does not open this door to this account; "" where it does."""
    account = index.account.get(ask.account)
    if account is None or claims.account != account.id:
        return "another-account"
    if claims.organisation != account.organisation:
        return "another-organisation"
    if claims.session in index.ended_sessions:
        return "session-ended"
    if not account.enabled:
        return "account-disabled"
    if claims.rung < Rung.KNOWLEDGE_AND_CODE:
        return "not-proven"
    return "" if ask.door in _BROWSER_DOORS else "another-door"


def _serves(site: Site, account: Account) -> bool:
    return site.organisation in ("", account.organisation)


def _route(index: SnapshotIndex, account: Account, name: str, door: str) -> MailServer | None:
    """The server of that name, where the account's mail may lie: its own, or its organisation's. At a web door it is a
    site."""
    if door in _WEB_DOORS:
        site = index.site.get(name)
        return site.server if site is not None and _serves(site, account) else None
    if account.server and account.server != name:
        return None
    return next((s for s in index.servers.get(account.organisation, ()) if s.name == name), None)


def _foreign(index: SnapshotIndex, account: Account) -> bool:
    """Whether the account's login on a mail server that all organisations share is an address of another one's. The
    server believes us, so whoever may write that field could read any mailbox there."""
    try:
        login = canonical(account.upstream_login) if "@" in account.upstream_login else ""
    except ValueError:
        return True  # an address that only the mail server knows how to read
    if not login:
        return False
    owner = index.account_by_address.get(login)
    home = index.organisation_by_domain.get(domain_of(login))
    return (owner is not None and owner.organisation != account.organisation) or (
        home is not None and home.id != account.organisation
    )
