"""What the keeper answers the portal: session tokens, one-time codes, verifiers of codes, and little else.

The portal faces browsers, so it is believed least of all who may ask:

1. It gets nothing that administrators get beyond what a person may do for oneself: no audit heads, no hashes, no seals
   but those of TOTP secrets, no public keys.
2. A session token is signed only for an enabled account and a site of the keeper's own snapshot, a session that nobody
   ended, and at most 15 minutes. The octets are read again here; what was meant counts for nothing. That there is such
   a session, and what was proven in it, is the portal's word.
3. Whoever takes the portal over guesses no faster than a stranger: wrong codes are counted by secret, verifiers by
   account.
4. Session tokens, one-time codes and certificates are recorded before they are answered; what cannot be recorded is
   not answered.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import blake2b

from gambeson.model import session_token
from gambeson.model.session_token import SESSION_PREFIX, Claims, TokenError
from gambeson.model.snapshot import SnapshotIndex

from . import keeper_messages as k
from . import messages as m
from .allowance import Allowance
from .keys import KeeperKeys
from .portal_messages import (
    BINDING_CONTEXT,
    RECOVERY_CONTEXT,
    TOTP_CONTEXT,
    CodeVerifierAsk,
    SessionTokenAsk,
    TotpAsk,
    TotpStep,
)
from .sealing import SealingError

PERIOD, DIGITS, WINDOW = (
    30,
    6,
    1,
)  # RFC 6238 section 5.2: one step for clocks that differ and fingers that are slow
MIN_SECRET, MAX_SECRET = 16, 64  # octets; RFC 4226 section 4 R6: at least 128 bits
LONGEST_SESSION = 12 * 3600.0
CLOCK_SLACK = 60.0
MAX_CODE = 128
# Wrong codes of one secret: three steps are right at a time, so a day of guessing succeeds once in a thousand.
WRONG_BURST, WRONG_PER_SECOND = 20.0, 1 / 300
TOKEN_BURST, TOKEN_PER_SECOND = 200.0, 1.0  # of one account
CODE_BURST, CODE_PER_SECOND = 100.0, 0.2  # of one context
CERTIFICATE_BURST, CERTIFICATE_PER_SECOND = 100.0, 0.1

# (kind, organisation, account, data) -> whether it is on disk
PortalRecord = Callable[[str, str, str, dict[str, object]], bool]
_NOT_RECORDED = m.Refused(reason="not-recorded", sentence="The keeper cannot record this; try later.")
_TOO_MANY = m.Refused(reason="too-many", sentence="Too many tries; wait a while.")


class PortalAnswers:
    """``record`` None: nobody records (tests)."""

    def __init__(self, keys: KeeperKeys, record: PortalRecord | None = None) -> None:
        self._keys, self._record = keys, record
        self._wrong = Allowance(WRONG_BURST, WRONG_PER_SECOND)
        self._tokens = Allowance(TOKEN_BURST, TOKEN_PER_SECOND)
        self._codes = Allowance(CODE_BURST, CODE_PER_SECOND)
        self._certificates = Allowance(CERTIFICATE_BURST, CERTIFICATE_PER_SECOND)

    def answer(
        self,
        role: str,
        message: m.Message,
        index: SnapshotIndex | None,
        now: float,
        plainly: Callable[[], m.Message],
    ) -> m.Message:
        """The answer to the portal, or to an administrator's CodeVerifierAsk. ``index`` None: no fresh snapshot.
        ``plainly`` is what an administrator would be answered. Raises SealingError, AuthorityError."""
        match message:
            case SessionTokenAsk(claims=claims):
                return self._session(claims, index, now)
            case TotpAsk():
                return self._totp(message, index, now)
            case CodeVerifierAsk():
                return self._verifier(role, message, now)
            case k.SealAsk(plain=plain, context=context):
                if not context.startswith(TOTP_CONTEXT) or not MIN_SECRET <= len(plain) <= MAX_SECRET:
                    return m.Refused(
                        reason="not-for-you", sentence="The portal has TOTP secrets sealed, and nothing else."
                    )
                return plainly()
            case k.SecretVerifierAsk():
                return plainly()
            case k.CertificateAsk():
                return self._certificate(message, now, plainly)
        return m.Refused(reason="not-for-you")

    # -- session tokens --------------------------------------------------------------------------------

    def _session(self, raw: bytes, index: SnapshotIndex | None, now: float) -> m.Message:
        try:
            claims = session_token.read(raw)
        except TokenError:
            self._told("keeper.session.refused", "", "", {"outcome": "malformed"})
            return m.Refused(reason="malformed")
        reason = "no-fresh-snapshot" if index is None else _unsignable(index, claims, now)
        if not reason and not self._tokens.take(claims.account, now):
            reason = "too-many"
        data: dict[str, object] = {
            "outcome": reason or "signed",
            "session": claims.session[:64],
            "host": claims.host[:128],
            "rung": claims.rung.word,
        }
        kind = "keeper.session.refused" if reason else "keeper.session.signed"
        # Of a refusal only what is true of the installation: the claims are the portal's word.
        known = index is not None and claims.account in index.account
        account = claims.account if known else ""
        organisation = index.account[account].organisation if index is not None and account else ""
        if not self._told(kind, organisation, account, data):
            return _NOT_RECORDED
        if reason:
            return m.Refused(reason=reason)
        return m.Octets(value=self._keys.session.sign(SESSION_PREFIX + raw))

    # -- one-time codes and verifiers ------------------------------------------------------------------

    def _totp(self, ask: TotpAsk, index: SnapshotIndex | None, now: float) -> m.Message:
        if not ask.context.startswith(TOTP_CONTEXT):
            return m.Refused(reason="not-for-you")
        try:
            secret = self._keys.sealer.open(ask.sealed, ask.context)
        except SealingError:
            secret = b""
        if not MIN_SECRET <= len(secret) <= MAX_SECRET:
            return self._of_totp(index, ask, "cannot", m.Refused(reason="cannot"))
        if not self._wrong.take(ask.context, now):
            return self._of_totp(index, ask, "too-many", _TOO_MANY)
        step = fitting_step(secret, ask.code, now, ask.last_step)
        if step < 0:
            return self._of_totp(index, ask, "wrong", m.Refused(reason="wrong"))
        self._wrong.give_back(ask.context)
        return self._of_totp(index, ask, "right", TotpStep(step=step))

    def _of_totp(
        self, index: SnapshotIndex | None, ask: TotpAsk, outcome: str, answer: m.Message
    ) -> m.Message:
        kind = {"right": "right", "wrong": "wrong"}.get(outcome, "refused")
        data: dict[str, object] = {"outcome": outcome, "context": ask.context[:200]}
        named = ask.context.removeprefix(TOTP_CONTEXT)
        account = index.account.get(named) if index is not None else None
        whose = (account.organisation, account.id) if account is not None else ("", "")
        return answer if self._told(f"keeper.totp.{kind}", *whose, data) else _NOT_RECORDED

    def _verifier(self, role: str, ask: CodeVerifierAsk, now: float) -> m.Message:
        begins = (BINDING_CONTEXT,) if role != "portal" else (BINDING_CONTEXT, RECOVERY_CONTEXT)
        if not ask.context.startswith(begins) or not 0 < len(ask.code) <= MAX_CODE:
            return m.Refused(reason="not-for-you", sentence="Only recovery and binding codes have verifiers.")
        if not self._codes.take(ask.context, now):
            return _TOO_MANY
        return m.Octets(value=code_verifier(self._keys, ask.code, ask.context))

    # -- certificates ----------------------------------------------------------------------------------

    def _certificate(self, ask: k.CertificateAsk, now: float, plainly: Callable[[], m.Message]) -> m.Message:
        if not self._certificates.take("", now):
            return _TOO_MANY
        data: dict[str, object] = {
            "credential": ask.credential[:64],
            "name": ask.name[:100],
            "address": ask.address[:254],
        }
        if not self._told("keeper.certificate.issued", "", "", data):
            return _NOT_RECORDED
        return plainly()

    def _told(self, kind: str, organisation: str, account: str, data: dict[str, object]) -> bool:
        return self._record is None or self._record(kind, organisation, account, data)


def fitting_step(secret: bytes, code: str, now: float, last_step: int) -> int:
    """The time step after ``last_step`` whose code this is, at ``now`` or one step beside; -1 for none. Every step
    costs the same, whatever fits (RFC 6238 section 4.2, RFC 4226 section 5.3)."""
    good = len(code) == DIGITS and code.isascii() and code.isdigit()
    given = code.encode() if good else b"-" * DIGITS
    found, at = -1, int(now // PERIOD)
    for step in range(at - WINDOW, at + WINDOW + 1):
        if hmac.compare_digest(_code(secret, step), given) and step > last_step:
            found = step
    return found


def _code(secret: bytes, step: int) -> bytes:
    digest = hmac.digest(secret, max(0, step).to_bytes(8), "sha1")
    start = digest[-1] & 15
    number = int.from_bytes(digest[start : start + 4]) & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}}".encode()


def code_verifier(keys: KeeperKeys, code: str, context: str) -> bytes:
    """Keyed BLAKE2b-256 of a code, with a key of its own for each context. Blanks, dashes and small letters are how
    people write it, not part of it."""
    plain = "".join(c for c in code.upper() if c not in " -\t\r\n").encode()
    return blake2b(plain, key=keys.sealer.derive(f"code verifier {context}"), digest_size=32).digest()


def _unsignable(index: SnapshotIndex, claims: Claims, now: float) -> str:
    """Why no token is signed for these claims; "" where one is. Their shape and lifetime were checked when they were
    read."""
    if abs(claims.issued - now) > CLOCK_SLACK or not now < claims.expires:
        return "not-now"
    if claims.ends > now + LONGEST_SESSION + CLOCK_SLACK:
        return "too-long"
    account = index.account.get(claims.account)
    if account is None or account.organisation != claims.organisation or account.address != claims.address:
        return "another-account"
    if not account.enabled:
        return "account-disabled"
    if claims.session in index.ended_sessions:
        return "session-ended"
    site = index.site_by_host.get(claims.name)
    if site is None or claims.name not in site.hosts or site.organisation not in ("", account.organisation):
        return "no-such-site"
    return ""
