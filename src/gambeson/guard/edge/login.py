"""One login: have it judged, sign in at a mail server, hand the session over.

Every refusal takes the same time from the attempt on, whatever its cause. A password that policy lets pass alone
(observe and warn) goes to the mail server as it is.
A mail server that refuses what the keeper gave us is our trouble, not the person's: they are told to
come later, and the record says what happened.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from gambeson.guard.core.clouds import of_cloud
from gambeson.guard.core.refusal import refusal, warning
from gambeson.model import device_secret
from gambeson.model.access import DoorKind, Mechanism, Mode, RawLogin, Rung
from gambeson.model.decision import Opinion
from gambeson.model.server import MailServer, SignIn
from gambeson.process.keeper_client import KeeperGone, KeeperRefused
from gambeson.process.keeper_messages import CredentialAsk
from gambeson.wire.dialogue import Origin, Ready, Refusal, UpstreamCredential
from gambeson.wire.proxyproto import build_v2

from .dialogues import client_dialogue
from .identity.source import Verdict
from .judgement import Judgement, judge
from .password import beside_certificate
from .routes import in_order, targets
from .upstream import SignInFailed, Unreachable, UpstreamSide, sign_in
from .within import Within

if TYPE_CHECKING:
    from .door import Door
    from .session import ClientSession

_LATER = Refusal("The mail server can't be reached now; please try again in a few minutes.", temporary=True)
_IN_USE = Refusal(
    "The mailbox is open in another program; close that, or try again in a few minutes.",
    temporary=True,
    code="INUSE",
)
_SERVER_REFUSED = Refusal("The mail server did not take this name and password.")
_NEEDS_PASSWORD = Refusal(
    "The mail server behind this door asks for the mailbox's own password; have your mail program send it."
)
# Whoever holds the certificate needs no password. The same words for a wrong one and for one where none is stored.
_WRONG_BESIDE_CERTIFICATE = Refusal(
    "The name or the password is wrong; this device's certificate opens the door without one: choose the certificate "
    "(EXTERNAL) as the way to sign in in your mail program."
)
_PASSWORD_MECHANISMS = (Mechanism.PLAIN, Mechanism.LOGIN, Mechanism.USER_PASS, Mechanism.IMAP_LOGIN)


class _Temporary(Exception):  # noqa: N818 - an outcome
    """Not now, and through no fault of the person. ``why`` is for the record, ``answer`` for the person."""

    def __init__(self, why: str, answer: Refusal = _LATER, **data: object) -> None:
        super().__init__(why)
        self.why = why
        self.answer = answer
        self.data = data


class _Wrong(Exception):  # noqa: N818 - an outcome
    """Whoever knows the password called it wrong: the mail server where it went as it was, else its owner beside a
    certificate. ``failure`` is for the record, ``answer`` for the person; None: what the decision says."""

    def __init__(self, failure: str, answer: Refusal | None = None) -> None:
        super().__init__(failure)
        self.failure = failure
        self.answer = answer


async def log_in(door: Door, session: ClientSession, raw: RawLogin) -> None:
    """Carry one login through to ``door.open`` or ``session.refuse``."""
    began = door.loop.time()
    judgement = judge(door, session, raw)
    try:
        if judgement is None or not door.recorder.healthy:
            answer = _not_now(door, session, judgement)
        elif not judgement.decision.passes:
            answer = _refused(door, session, judgement)
        else:
            await _check_password(door, session, judgement)
            server, side, ready = await _sign_in(door, session, judgement)
            judgement = _once_more(door, session, judgement)
            if judgement.decision.passes and _admit(door, session, judgement, server, side, ready):
                return
            if side.transport is not None:
                side.transport.abort()
            if judgement.decision.passes:
                answer = _not_now(door, session, judgement)
            else:
                answer = _refused(door, session, judgement)
    except _Wrong as wrong:
        assert judgement is not None
        refused = _refused(door, session, judgement, failure=wrong.failure)
        answer = wrong.answer or refused
    except _Temporary as trouble:
        assert judgement is not None
        _count(door, session, judgement, failed=True)
        _record(door, session, judgement, "door.login.failed", why=trouble.why, **trouble.data)
        answer = trouble.answer
    except Exception as error:
        # A fault of ours must leave nobody hanging, and let nobody in.
        asyncio.get_running_loop().call_exception_handler({"message": "a login failed", "exception": error})
        answer = _LATER
    await asyncio.sleep(began + door.settings.timeouts.refusal - door.loop.time())
    session.refuse(answer)


async def _check_password(door: Door, session: ClientSession, judgement: Judgement) -> None:
    """Nothing where the password beside a certificate is right, or none is to be checked here."""
    verdict, word = await beside_certificate(door, session, judgement)
    if verdict in (Verdict.WRONG, Verdict.LOCKED, Verdict.EXPIRED):
        raise _Wrong(f"password-{verdict}", _WRONG_BESIDE_CERTIFICATE)
    if verdict is not Verdict.RIGHT:
        raise _Temporary(f"password-{verdict}", word=word)


def _once_more(door: Door, session: ClientSession, judgement: Judgement) -> Judgement:
    """Judge again where a newer snapshot came while the mail server was signing us in."""
    if door.index is judgement.index:
        return judgement
    again = judge(door, session, judgement.raw, judgement.request.throttled)
    if again is None or again.identity.account != judgement.identity.account:
        # Whoever is signed in upstream is not whom this would admit now.
        denied = replace(judgement.decision, opinion=Opinion.DENY, mode=Mode.ENFORCE)
        return replace(again or judgement, decision=denied)
    return again


def _admit(
    door: Door,
    session: ClientSession,
    judgement: Judgement,
    server: MailServer,
    side: UpstreamSide,
    ready: Ready,
) -> bool:
    """Hand over. False where the admission can't be recorded: then it must not happen."""
    if not _record(door, session, judgement, "door.login.allowed", id=session.id, server=server.name):
        return False
    _count(door, session, judgement, failed=False)
    organisation = judgement.index.organisation.get(judgement.identity.organisation)
    ready = replace(ready, warning=warning(judgement.decision, organisation))
    if not door.open(session, judgement.request, judgement.index, server, side, ready):
        _record(door, session, judgement, "door.session.closed", id=session.id, why="left during sign-in")
    return True


def _count(door: Door, session: ClientSession, judgement: Judgement, failed: bool) -> None:
    identity = judgement.identity
    tell, now = door.throttle.failed if failed else door.throttle.succeeded, door.counting()
    tell(session.source, identity.claimed, judgement.shown, bool(identity.account), now)
    if not failed:
        account = judgement.account.id if judgement.account is not None else ""
        door.sightings.saw(account, identity.credential, judgement.request.country, now)


def _refused(door: Door, session: ClientSession, judgement: Judgement, failure: str = "") -> Refusal:
    """Count it, record it, and say why: in the same words whoever it is."""
    identity, index = judgement.identity, judgement.index
    _count(door, session, judgement, failed=True)
    if judgement.decision.reason != "throttled" or not door.flood.counted(session.source_prefix):
        _record(door, session, judgement, "door.login.refused", failure=failure or identity.failure)
    return refusal(judgement.decision, index.organisation.get(identity.organisation))


def _not_now(door: Door, session: ClientSession, judgement: Judgement | None) -> Refusal:
    why = "no usable snapshot or device-secret key"
    kind = session.listener.kind.door
    if judgement is not None:
        why = "event spool unhealthy"
        _count(door, session, judgement, failed=True)
    door.recorder.record("door.login.failed", door=kind, source=session.source, why=why)
    return _LATER


def _record(door: Door, session: ClientSession, judgement: Judgement, kind: str, **data: object) -> bool:
    identity, decision = judgement.identity, judgement.decision
    return door.recorder.record(
        kind,
        identity=identity,
        door=judgement.request.door,
        source=session.source,
        listener=session.listener.name,
        mechanism=judgement.raw.mechanism,
        rung=identity.rung.word,
        credential=identity.credential,
        opinion=decision.opinion,
        mode=decision.mode,
        rule=decision.rule,
        reason=decision.reason,
        country=judgement.request.country,
        risk=judgement.risk.score,
        risk_reasons=list(judgement.risk.reasons),
        program=session.program,
        **of_cloud(judgement.request),
        **data,
    )


# -- signing in at a mail server


async def _sign_in(
    door: Door, session: ClientSession, judgement: Judgement
) -> tuple[MailServer, UpstreamSide, Ready]:
    identity = judgement.identity
    kind = judgement.request.door
    organisation = judgement.account.organisation if judgement.account else identity.organisation
    candidates = targets(judgement.index, organisation, judgement.account, kind)
    if not candidates:
        raise _Temporary("no mail server for this door")
    loop = door.loop
    trouble = "no mail server is well"
    for target in in_order(candidates, door.health, loop.time()):
        server, endpoint = target
        credential = await _credential(door, session, judgement, server)
        origin = _origin(session, judgement)
        header = build_v2(session.source, session.port, *session.local) if endpoint.proxy_v2 else b""
        dialogue = client_dialogue(kind, endpoint, credential, origin, door.settings, session.client_id)
        try:
            side, ready = await sign_in(endpoint, dialogue, door.trust, door.patience, header)
        except Unreachable as error:
            trouble = f"{server.name}: {error}"
            if door.health.failed(target, loop.time()):
                door.recorder.record(
                    "door.server.unreachable", door=kind, server=server.name, why=str(error)[:200]
                )
            continue
        except SignInFailed as error:
            door.health.succeeded(target)
            if error.refused and (judgement.decision.as_is or server.sign_in is SignIn.AS_IS):
                raise _Wrong("password-refused-by-server", _SERVER_REFUSED) from None
            if error.refused:
                raise _Temporary("credential refused by the mail server", server=server.name) from None
            if error.code == _IN_USE.code:
                raise _Temporary("mailbox in use", _IN_USE, server=server.name) from None
            trouble = f"{server.name}: {error.text}"
            continue
        if kind is DoorKind.SUBMISSION:
            door.offers.hear(server.name, ready.capabilities)
        if door.health.succeeded(target):
            door.recorder.record("door.server.reachable", door=kind, server=server.name)
        return server, side, ready
    raise _Temporary(trouble[:300])


async def _credential(
    door: Door, session: ClientSession, judgement: Judgement, server: MailServer
) -> UpstreamCredential:
    """The keeper's for a proven identity; the password as it came where policy lets it pass, or where a
    certificate has proved the rest and the server is signed in to that way."""
    raw, identity = judgement.raw, judgement.identity
    if judgement.decision.as_is or server.sign_in is SignIn.AS_IS:
        return _as_is(judgement)
    if not judgement.proven:
        raise _Temporary("nothing was proven to sign in with")
    ask = CredentialAsk(
        account=identity.account,
        server=server.name,
        door=judgement.request.door.value,
        source=session.source,
        secret=raw.password if identity.rung is Rung.DEVICE_SECRET else "",
        certificate=session.certificate if identity.rung is Rung.DEVICE_KEY else b"",
        fingerprint=session.fingerprint if identity.rung is Rung.DEVICE_KEY and session.listener.edge else "",
    )
    try:
        with Within(door.loop, door.settings.timeouts.keeper):
            return await door.keeper.credential(ask)
    except TimeoutError:
        raise _Temporary("the keeper did not answer in time") from None
    except KeeperGone:
        raise _Temporary("the keeper is gone") from None
    except KeeperRefused as error:
        raise _Temporary(f"the keeper refused: {error}"[:200]) from None


def _as_is(judgement: Judgement) -> UpstreamCredential:
    """The client's own password, and never anything that could be a device's secret."""
    raw, account = judgement.raw, judgement.account
    if (
        raw.mechanism not in _PASSWORD_MECHANISMS
        or not raw.password
        or device_secret.resembles(raw.password)
        or raw.authzid not in ("", raw.username)
    ):
        admitted = judgement.decision.opinion is Opinion.ALLOW
        raise _Wrong("password-not-sendable", _NEEDS_PASSWORD if admitted else None)
    name = account.upstream_login if account is not None else ""
    if judgement.proven and account is not None:
        name = name or account.address  # the certificate's owner, whatever alias was typed
    return UpstreamCredential("PLAIN", name or raw.username, raw.password)


def _origin(session: ClientSession, judgement: Judgement) -> Origin:
    return Origin(
        address=session.source,
        port=session.port,
        session=session.id,
        device=judgement.identity.device,
        login=judgement.account.address if judgement.account is not None else judgement.identity.claimed,
        helo=session.helo,
        tls=session.tls,
    )
