"""What the portal says to the worker (which does its acts in the store), to the keeper, and what doors ask the portal.

The portal process has no database and no key: each act is one message with limits, and the worker's *portal desk*
(:mod:`gambeson.app.portal_desk`) carries it out and audits it. Only the portal's channel may send these. The desk's
reasons to refuse: ``unknown`` (no such account, or thing of it), ``disabled``, ``used``, ``gone`` (the session is
over), ``taken``, ``too-many`` (held back for a while), ``bad-value``, ``store``. It goes by the worker's clock,
whatever ``at`` says.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from .messages import Blob, Counter, Message, Text

# How the contexts begin under which the keeper seals TOTP secrets and makes verifiers; the account's id follows.
TOTP_CONTEXT, RECOVERY_CONTEXT, BINDING_CONTEXT = "totp:", "recovery:", "binding:"

Many = Annotated[tuple[Blob, ...], msgspec.Meta(max_length=32)]

# -- doors to portal ------------------------------------------------------------------------------


class RedeemAsk(Message, frozen=True):
    """A browser came back to ``host`` with a single-use ``code``; ``state`` is the SHA-256 (hex) of its state cookie.
    Answered by SessionGiven or Refused. ``source`` is the browser's address, ``agent`` what it calls itself."""

    code: Text
    host: Text
    state: Text
    source: Text = ""
    agent: Text = ""

    def __repr__(self) -> str:
        return f"RedeemAsk({self.host!r}, <hidden>)"


class RenewAsk(Message, frozen=True):
    """A new token for the session of ``token``, which was verified and is about to end. Answered as RedeemAsk is."""

    token: Text
    source: Text = ""

    def __repr__(self) -> str:
        return "RenewAsk(<hidden>)"


class SignOutAsk(Message, frozen=True):
    """A browser signed out at an application's host: end the session of that verified ``token``."""

    token: Text

    def __repr__(self) -> str:
        return "SignOutAsk(<hidden>)"


class SessionGiven(Message, frozen=True):
    """``token`` is signed by the keeper for one host. ``key`` (32 octets, for the browser's cookie only) opens
    ``box`` (for the door's memory only), in which the person's password for the application lies; both are empty
    where none was kept, and in answers to RenewAsk. ``ends`` is when the whole session ends at the latest."""

    token: Text
    ends: float
    key: Blob = b""
    box: Blob = b""

    def __repr__(self) -> str:
        return "SessionGiven(<hidden>)"


DoorPortalAsk = RedeemAsk | RenewAsk | SignOutAsk

# -- portal to keeper -----------------------------------------------------------------------------


class SessionTokenAsk(Message, frozen=True):
    """Sign these claims as a session token (:mod:`gambeson.guard.core.session_token` makes the octets)."""

    claims: Blob


class TotpAsk(Message, frozen=True):
    """Does ``code`` fit the sealed secret at ``now``, in a time step after ``last_step``? Answered by TotpStep or
    Refused("wrong"). Only the keeper ever sees the secret again."""

    sealed: Blob
    context: Text
    code: Text
    last_step: int = -1

    def __repr__(self) -> str:
        return f"TotpAsk({self.context!r}, <hidden>)"


class TotpStep(Message, frozen=True):
    """The time step (RFC 6238 section 4.2) that the code belongs to; it must be stored and never taken again."""

    step: int


class CodeVerifierAsk(Message, frozen=True):
    """What to store for a recovery or binding code: keyed BLAKE2b-256 under ``context``. Answered by Octets."""

    code: Text
    context: Text

    def __repr__(self) -> str:
        return f"CodeVerifierAsk({self.context!r}, <hidden>)"


PortalKeeperAsk = SessionTokenAsk | TotpAsk | CodeVerifierAsk

# -- portal to worker -----------------------------------------------------------------------------


class Authenticator(Message, frozen=True):
    """One second factor of an account. ``kind`` is passkey, totp or recovery. For a passkey ``public_id`` is the
    credential id, ``public_key`` COSE octets; for totp ``sealed`` the keeper's box; for recovery ``verifiers`` what is
    left of the list."""

    id: Text
    kind: Text
    name: Text = ""
    public_id: Blob = b""
    public_key: Blob = b""
    sign_count: Counter = 0
    backup_eligible: bool = False
    backed_up: bool = False
    transports: tuple[Text, ...] = ()
    sealed: Blob = b""
    last_step: int = -1
    verifiers: Many = ()
    created_at: float = 0.0
    last_used: float = 0.0


class PersonAsk(Message, frozen=True):
    """Who bears this address (or is this account, or owns this passkey)? One of the three is set."""

    address: Text = ""
    account: Text = ""
    passkey: Blob = b""


class Person(Message, frozen=True):
    """The account as the portal needs it. ``known`` false: nobody; every other field is then empty but shaped alike.
    ``failures`` is the day's failed guesses from unknown sources, ``user_handle`` what passkeys call the account
    (random, 32 octets, nothing personal), ``clouds`` the cloud services whose programs the organisation lets in."""

    known: bool
    organisation: Text = ""
    organisation_name: Text = ""
    account: Text = ""
    address: Text = ""
    enabled: bool = False
    source: Text = "local"
    password_hash: Text = ""
    user_handle: Blob = b""
    authenticators: tuple[Authenticator, ...] = ()
    clouds: tuple[Text, ...] = ()
    failures: int = 0

    def __repr__(self) -> str:
        return f"Person({self.account!r})"


class AddAuthenticator(Message, frozen=True):
    """Keep a new second factor. A new recovery list replaces the old one. Answered by Done."""

    account: Text
    authenticator: Authenticator


class UseAuthenticator(Message, frozen=True):
    """One was used: store the new ``sign_count``/``backed_up``, ``last_step``, or take ``spent`` off the recovery
    list. Refused("used") where the step or code was taken meanwhile (the store decides, in one transaction)."""

    account: Text
    id: Text
    at: float
    sign_count: Counter = 0
    backed_up: bool = False
    last_step: int = -1
    spent: Blob = b""


class RemoveAuthenticator(Message, frozen=True):
    """Forget one. Answered by Done."""

    account: Text
    id: Text


class BindingCodeUse(Message, frozen=True):
    """Spend an account's binding code (``verifier`` of what was typed). Answered by Done or Refused."""

    account: Text
    verifier: Blob
    at: float


class SessionOpen(Message, frozen=True):
    """A person signed in at the portal. ``secret`` is the SHA-256 of the browser's cookie. Answered by SessionRow."""

    account: Text
    rung: Text
    secret: Blob
    at: float
    source: Text = ""
    agent: Text = ""
    how: Text = ""  # such as "password and passkey"


class SessionRow(Message, frozen=True):
    """One session of the portal. ``stepped_at`` is when it last proved a second factor again."""

    id: Text
    account: Text = ""
    organisation: Text = ""
    address: Text = ""
    rung: Text = ""
    at: float = 0.0
    last_seen: float = 0.0
    stepped_at: float = 0.0
    ends: float = 0.0
    source: Text = ""
    agent: Text = ""
    how: Text = ""


class SessionFind(Message, frozen=True):
    """The live session of that browser cookie (its SHA-256) or of that id. Answered by SessionRow or Refused("gone").
    ``at`` is remembered as last seen."""

    at: float
    secret: Blob = b""
    id: Text = ""


class SessionStep(Message, frozen=True):
    """A session proved a second factor again; ``rung`` may rise with it. Answered by Done. ``secret`` is the SHA-256
    of the browser's new cookie, in place of the old one (empty: the cookie stays). Empty ``rung``, ``how`` keep
    what was."""

    id: Text
    at: float
    rung: Text = ""
    how: Text = ""
    secret: Blob = b""

    def __repr__(self) -> str:
        return f"SessionStep({self.id!r}, {self.rung!r}, {self.how!r})"


class SessionEnd(Message, frozen=True):
    """End one session, or all of the account (``id`` empty) except ``keep``. The doors hear of it at once. Answered by
    Published: who has acted on it."""

    account: Text
    at: float
    id: Text = ""
    keep: Text = ""
    reason: Text = "signed out"


class OwnThings(Message, frozen=True):
    """Everything the person may see of their own: answered by Things."""

    account: Text


class OwnDevice(Message, frozen=True):
    """One registered device, for its owner."""

    id: Text
    name: Text
    state: Text = ""
    doors: tuple[Text, ...] = ()
    created_at: float = 0.0
    expires_at: float = 0.0
    last_used: float = 0.0
    last_source: Text = ""
    last_door: Text = ""
    last_cloud: Text = ""
    certificate: bool = False


class SignInLine(Message, frozen=True):
    """One recorded sign-in or refusal, newest first."""

    at: float
    door: Text = ""
    outcome: Text = ""
    source: Text = ""
    device: Text = ""
    program: Text = ""
    sentence: Text = ""
    cloud: Text = ""


class Things(Message, frozen=True):
    """Devices, sessions and recent sign-ins of one person."""

    devices: tuple[OwnDevice, ...] = ()
    sessions: tuple[SessionRow, ...] = ()
    sign_ins: tuple[SignInLine, ...] = ()


class DeviceAdd(Message, frozen=True):
    """Register a device with a device secret (``public_id`` and the keeper's ``verifier``; both empty: a certificate
    will follow). Answered by OwnDevice."""

    account: Text
    name: Text
    doors: tuple[Text, ...]
    public_id: Text
    verifier: Blob
    at: float
    session: Text = ""


class DeviceCertificate(Message, frozen=True):
    """Register the certificate (PEM) that the keeper issued for a device of one's own under the id ``credential``.
    Answered by Published: from then on it opens the device's doors."""

    account: Text
    device: Text
    credential: Text
    certificate: Blob
    at: float
    session: Text = ""


class DeviceEnd(Message, frozen=True):
    """ "This wasn't me": revoke a device of one's own on every protocol and open a Finding; or just remove it
    (``alarm`` false). Answered by Published: who has acted on it."""

    account: Text
    device: Text
    at: float
    alarm: bool = False
    session: Text = ""


class PortalEvent(Message, frozen=True):
    """Something happened at the portal (``portal.sign-in.refused``, ...): one event for the record. ``guess`` counts
    it towards the account's failed guesses of the day. Answered by Done."""

    kind: Text
    at: float
    organisation: Text = ""
    account: Text = ""
    claimed: Text = ""
    source: Text = ""
    sentence: Text = ""
    guess: bool = False


DeskAsk = (
    PersonAsk
    | AddAuthenticator
    | UseAuthenticator
    | RemoveAuthenticator
    | BindingCodeUse
    | SessionOpen
    | SessionFind
    | SessionStep
    | SessionEnd
    | OwnThings
    | DeviceAdd
    | DeviceCertificate
    | DeviceEnd
    | PortalEvent
)
