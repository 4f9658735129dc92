"""Single-use codes between the portal and the applications' doors, and the session tokens that they are redeemed for.

Rules (RFC 6749 section 10.5 says why):

- A code is 256 random bits, lives ``seconds``, is kept by its SHA-256, and belongs to one session, one host and one
  state (the SHA-256 of the cookie of the browser that began). Whatever does not fit burns it.
- A code that comes twice was stolen by one of the two: the session is ended everywhere.
- No token is made for a session that is over: the desk is asked each time, and account, address and rung are what it
  says. Of a token to be renewed, which the door has verified, only the session and the host are believed, and the host
  must be an application of ours. So a door that lies prolongs sessions that it saw, and does nothing else.
"""

from __future__ import annotations

import hmac
import time
from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from gambeson.model.access import Rung
from gambeson.model.session_token import LIFETIME, Claims, TokenError, octets, read, split, token
from gambeson.process.messages import Done, Message, Octets, Refused
from gambeson.process.portal_messages import (
    DoorPortalAsk,
    Person,
    PersonAsk,
    PortalEvent,
    RedeemAsk,
    RenewAsk,
    SessionEnd,
    SessionFind,
    SessionGiven,
    SessionRow,
    SessionTokenAsk,
    SignOutAsk,
)

from .backend import Backend, BackendGoneError, DeniedError, ask, ask_keeper
from .box import Boxes
from .settings import PortalSettings
from .target import Target

MAX_CODES = 20_000
MAX_CODES_OF_SESSION = 16
CODE_OCTETS = 32
LATE = 60.0  # seconds after its end that a token may still be renewed


@dataclass(slots=True)
class _Code:
    session: str
    organisation: str
    account: str
    host: str
    state: str
    ends: float
    key: bytes = field(repr=False)
    box: bytes = field(repr=False)
    used: bool = False


class Codes:
    """``answer`` is what the console's channel to the doors calls. ``boxes`` are forgotten with their session."""

    def __init__(
        self,
        backend: Backend,
        settings: PortalSettings,
        boxes: Boxes,
        random: Callable[[int], bytes],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._backend, self._settings, self._boxes = backend, settings, boxes
        self._random, self._clock = random, clock
        self._codes: OrderedDict[bytes, _Code] = OrderedDict()

    def __len__(self) -> int:
        return len(self._codes)

    def issue(self, row: SessionRow, target: Target, key: bytes, box: bytes) -> str:
        """A code for that session at that application; ``key`` and ``box`` go with it."""
        now = self._clock()
        self._sweep(now)
        mine = [k for k, c in self._codes.items() if c.session == row.id]
        for oldest in mine[: max(0, len(mine) - MAX_CODES_OF_SESSION + 1)]:
            del self._codes[oldest]
        if len(self._codes) >= MAX_CODES:
            self._codes.popitem(last=False)
        code = urlsafe_b64encode(self._random(CODE_OCTETS)).rstrip(b"=").decode()
        ends = now + self._settings.code_seconds
        self._codes[_hash(code)] = _Code(
            row.id, row.organisation, row.account, target.host, target.state, ends, key, box
        )
        return code

    async def answer(self, message: DoorPortalAsk) -> Message:
        """SessionGiven (redeemed, renewed), Done (signed out) or Refused. Never raises for what a door says."""
        try:
            match message:
                case RedeemAsk():
                    return await self._redeem(message)
                case RenewAsk():
                    return await self._renew(message)
                case SignOutAsk():
                    return await self._sign_out(message)
        except DeniedError as error:
            return Refused(reason=error.reason)
        except TokenError as error:
            return Refused(reason=error.reason)
        except BackendGoneError:
            return Refused(reason="unavailable", sentence="The portal cannot be asked now; try again.")
        return Refused(reason="not-for-you")

    async def _redeem(self, message: RedeemAsk) -> Message:
        now = self._clock()
        self._sweep(now)
        code = self._codes.get(_hash(message.code))
        if code is None:
            return Refused(reason="unknown-code", sentence="This sign-in took too long; try again.")
        if code.used:
            await self._stolen(code, message, now)
            return Refused(reason="used", sentence="This sign-in was used already; sign in again.")
        # Used from here on, before anything is awaited: of two that come at once, one is the second.
        code.used = True
        key, box, code.key, code.box = code.key, code.box, b"", b""
        fits = message.host in (code.host, code.host.partition(":")[0])
        if not fits or not hmac.compare_digest(message.state.encode(), code.state.encode()):
            await self._event(
                "portal.code.refused", code, message.source, "A code came from another browser.", now
            )
            return Refused(reason="another-browser", sentence="This sign-in began elsewhere; try again.")
        row = await ask(self._backend, SessionFind(id=code.session, at=now), SessionRow)
        text, row = await self._token(row, message.host, now)
        return SessionGiven(token=text, ends=row.ends, key=key, box=box)

    async def _stolen(self, code: _Code, message: RedeemAsk, now: float) -> None:
        self._boxes.drop(code.session)
        end = SessionEnd(account=code.account, id=code.session, at=now, reason="its code was used twice")
        await ask(self._backend, end, Message)
        sentence = "A sign-in code came twice: the session was ended."
        await self._event("portal.code.replayed", code, message.source, sentence, now)

    async def _event(self, kind: str, code: _Code, source: str, sentence: str, now: float) -> None:
        event = PortalEvent(
            kind=kind,
            at=now,
            organisation=code.organisation,
            account=code.account,
            source=source,
            sentence=sentence,
        )
        await ask(self._backend, event, Message)

    async def _renew(self, message: RenewAsk) -> Message:
        now = self._clock()
        claims = _claims(message.token)
        if now >= claims.expires + LATE:
            raise TokenError("expired")
        if claims.name not in {a.name for a in self._settings.applications}:
            raise TokenError("another-host")
        row = await ask(self._backend, SessionFind(id=claims.session, at=now), SessionRow)
        if row.account != claims.account:
            raise TokenError("another-account")
        text, row = await self._token(row, claims.host, now)
        return SessionGiven(token=text, ends=row.ends)

    async def _sign_out(self, message: SignOutAsk) -> Message:
        claims = _claims(message.token)
        self._boxes.drop(claims.session)
        now = self._clock()
        end = SessionEnd(
            account=claims.account, id=claims.session, at=now, reason="signed out at an application"
        )
        await ask(self._backend, end, Message)
        return Done()

    async def _token(self, row: SessionRow, host: str, now: float) -> tuple[str, SessionRow]:
        """A fresh token of a live session. Raises DeniedError where it or its account is over."""
        ends = min(row.ends, row.at + self._settings.absolute)
        person = await ask(self._backend, PersonAsk(account=row.account), Person)
        if not person.known or not person.enabled or now >= ends:
            raise DeniedError("gone")
        claims = octets(
            Claims(
                session=row.id,
                organisation=person.organisation,
                account=row.account,
                address=person.address,
                rung=Rung.from_word(row.rung),
                host=host,
                issued=now,
                expires=min(now + LIFETIME, ends),
                ends=ends,
            )
        )
        signature = (await ask_keeper(self._backend, SessionTokenAsk(claims=claims), Octets)).value
        return token(claims, signature), row

    def _sweep(self, now: float) -> None:
        # All live equally long, so the first is the first to end.
        while self._codes and now >= next(iter(self._codes.values())).ends:
            self._codes.popitem(last=False)


def _claims(text: str) -> Claims:
    """What a token says that a door has verified. Raises TokenError."""
    return read(split(text)[0])


def _hash(code: str) -> bytes:
    return sha256(code.encode()).digest()
