"""The portal's desk in the worker: what a person does for oneself, carried out in the store and audited.

1. The portal is believed in what it says of a person's proof, because it alone checked it, and in nothing else: not in
   the time, not in whose a thing is. Every thing must belong to the account that is named, in the account's own
   organisation; what does not is ``unknown``, as if it were not there.
2. Whatever changes something is audited as done by ``portal:ADDRESS``.
3. A name that is unknown is answered in the shape of one that is known.
4. Acts that end something are told to the doors before they are answered.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gambeson.guard.core import notice_portal
from gambeson.model.address import canonical, domain_of
from gambeson.model.event import Event
from gambeson.process import portal_messages as p
from gambeson.process.allowance import Allowance
from gambeson.process.messages import Done, Message, Published, Refused
from gambeson.process.publisher import PublishError
from gambeson.store.authenticators import AuthenticatorKind, StoredAuthenticator, UsedAlready
from gambeson.store.control import Store
from gambeson.store.errors import BadValue, Conflict, NotFound, StoreError
from gambeson.store.events import Failure
from gambeson.store.portal import Whose
from gambeson.store.tenant import OrganisationStore
from gambeson.store.web_sessions import WebSession

from . import portal_things as things
from .portal_things import DeniedError, Owner

Publish = Callable[[], Awaitable[Published]]
NOBODY_TOLD = Published(number=0, missing=("worker",))
NOTHING_TO_TELL = Published(number=0)  # nothing was open that could be ended
_KIND = re.compile(r"portal(\.[a-z][a-z-]{0,30}){1,3}\Z")
# Of one address and of all: strangers make events at the portal, and guesses are held back before they come here.
EVENT_BURST, EVENTS_PER_SECOND = 60.0, 0.1
ALL_BURST, ALL_PER_SECOND = 3000.0, 10.0
# Of one account and kind: more than a person does. Each is an entry of the audit log, and some are told to all doors.
ACT_BURST, ACTS_PER_SECOND = 120.0, 0.1
# Of one account and kind that its owner is told of by mail: no flood of other events keeps the first from the record.
TOLD_BURST, TOLD_PER_SECOND = 1.0, 1 / 3600
_HELD_BACK = (p.DeviceAdd, p.DeviceCertificate, p.AddAuthenticator, p.SessionOpen)
_PUBLISHED = (p.SessionEnd, p.DeviceEnd, p.DeviceCertificate)
_REASONS: tuple[tuple[type[StoreError], str], ...] = (
    (UsedAlready, "used"),
    (NotFound, "unknown"),
    (Conflict, "taken"),
    (BadValue, "bad-value"),
    (StoreError, "store"),
)


class PortalDesk:
    """Give it to :class:`gambeson.process.worker.Worker` as its ``desk``. ``publish`` is the worker's; ``clock`` gives
    seconds since 1970, ``life`` tells this process's events from those of the one before."""

    def __init__(
        self,
        store: Store,
        publish: Publish,
        *,
        clock: Callable[[], float] = time.time,
        life: int | None = None,
    ) -> None:
        self._store, self._publish, self._clock = store, publish, clock
        self._whose = Whose(store.control, store.event_database)
        self._threads = ThreadPoolExecutor(2, "desk")  # never the worker's one: doors wait for that
        self._counting = threading.Lock()
        self._life = time.time_ns() if life is None else life
        self._count = 0
        self._events = Allowance(EVENT_BURST, EVENTS_PER_SECOND)
        self._all_events = Allowance(ALL_BURST, ALL_PER_SECOND)
        self._mailed = Allowance(TOLD_BURST, TOLD_PER_SECOND)
        self._often = Allowance(ACT_BURST, ACTS_PER_SECOND)
        self._acts: Mapping[type[Message], Callable[[Any, float], Message]] = {
            p.PersonAsk: self._person,
            p.AddAuthenticator: self._add,
            p.UseAuthenticator: self._use,
            p.RemoveAuthenticator: self._remove,
            p.BindingCodeUse: self._bind,
            p.SessionOpen: self._open,
            p.SessionFind: self._find,
            p.SessionStep: self._step,
            p.SessionEnd: self._end,
            p.OwnThings: self._things,
            p.DeviceAdd: self._device_add,
            p.DeviceCertificate: self._device_certificate,
            p.DeviceEnd: self._device_end,
            p.PortalEvent: self._event,
        }

    async def __call__(self, message: Message) -> Message:
        """The answer to one message of the portal's. Never raises for a store's or a person's sake."""
        act = self._acts.get(type(message))
        if act is None:
            return Refused(reason="not-for-you")
        # Ending something is never held back: it protects.
        if isinstance(message, _HELD_BACK) and not self._often.take(_whose_act(message), self._clock()):
            return Refused(reason="too-many", sentence="That was done too often: wait a while.")
        loop = asyncio.get_running_loop()
        try:
            answer = await loop.run_in_executor(self._threads, lambda: act(message, self._clock()))
        except DeniedError as denied:
            return Refused(reason=denied.reason, sentence=denied.sentence)
        except StoreError as error:
            reason = next(word for kind, word in _REASONS if isinstance(error, kind))
            return Refused(reason=reason, sentence=str(error)[:4000])
        if isinstance(message, _PUBLISHED) and answer != NOTHING_TO_TELL:
            return await self._told()
        if isinstance(message, p.DeviceAdd):
            await self._told()
        return answer

    def close(self) -> None:
        """Ends the threads; what they work on is finished first."""
        self._threads.shutdown()

    async def _told(self) -> Published:
        try:
            return await self._publish()
        except PublishError:
            return NOBODY_TOLD  # it is done in the store; the next snapshot that can be made says so

    # -- whose it is ---------------------------------------------------------------------------------------

    def _owner(self, account: str, *, enabled: bool = True) -> Owner:
        """The account and its organisation's store. Raises DeniedError."""
        organisation = self._whose.account(account) if account else ""
        if not organisation:
            raise DeniedError("unknown", "There is no such account.")
        store = self._store.organisation(organisation)
        found = store.accounts.get(account)
        if enabled and not found.enabled:
            raise DeniedError("disabled", "This account is shut out.")
        return Owner(store, found)

    def _of_session(self, id: str, now: float) -> tuple[Owner, WebSession]:
        organisation, found = self._whose.session(id=id) if id else ("", "")
        return self._live(organisation, found, now)

    def _live(self, organisation: str, id: str, now: float) -> tuple[Owner, WebSession]:
        over = DeniedError("gone", "This session is over: sign in again.")
        if not organisation:
            raise over
        try:
            store = self._store.organisation(organisation)
            session = store.web_sessions.seen(id, now)
            owner = Owner(store, store.accounts.get(session.account))
        except NotFound:
            raise over from None
        if not owner.account.enabled:
            raise over
        return owner, session

    def _acting(self, account: str, session: str, now: float) -> Owner:
        """Who acts in a session, which must be the account's own and live. Where none is named the account alone."""
        owner = self._owner(account)
        if session:
            other, _ = self._of_session(session, now)
            if other.account.id != owner.account.id:
                raise DeniedError("gone", "This session is over: sign in again.")
        return owner

    # -- people and second factors -------------------------------------------------------------------------

    def _person(self, ask: p.PersonAsk, now: float) -> Message:
        named = [what for what in (ask.address, ask.account, ask.passkey) if what]
        if len(named) != 1:
            return Refused(reason="bad-value", sentence="Ask by an address, an account or a passkey.")
        claimed = _address(ask.address)
        if ask.passkey:
            organisation, account = self._whose.passkey(ask.passkey)
        elif ask.account:
            organisation, account = self._whose.account(ask.account), ask.account
        else:
            organisation, account = self._whose.address(claimed) if claimed else ("", "")
        try:
            return self._known(self._store.organisation(organisation), account, now)
        except NotFound:  # also where it was deleted just now
            given = claimed or ask.address or ask.account or ask.passkey.hex()
            failures = self._whose.guesses(claimed, now) if claimed else 0
            return p.Person(known=False, user_handle=self._handle("nobody", given), failures=failures)

    def _known(self, store: OrganisationStore, id: str, now: float) -> p.Person:
        account, organisation = store.accounts.get(id), store.get()
        return p.Person(
            known=True,
            organisation=store.id,
            organisation_name=organisation.name,
            account=account.id,
            address=account.address,
            enabled=account.enabled,
            source=account.source.value,
            password_hash=store.accounts.password_hash(id),
            user_handle=self._handle("account", id),
            authenticators=tuple(_authenticator(each) for each in store.authenticators.list(id)),
            clouds=organisation.clouds,
            failures=self._whose.guesses(id, now),
        )

    def _handle(self, what: str, name: str) -> bytes:
        """32 octets that are always the same and tell nothing (WebAuthn section 14.6.1): nobody without the
        installation's secret can tell an account's from that of a name which nobody has."""
        return hmac.digest(self._whose.secret(), f"{what}\0{name}".encode(), "sha256")

    def _add(self, ask: p.AddAuthenticator, now: float) -> Message:
        owner, new = self._owner(ask.account), ask.authenticator
        if new.kind not in list(AuthenticatorKind):
            raise BadValue("A second factor is a passkey, totp or recovery.")
        owner.store.authenticators.add(
            owner.account.id,
            AuthenticatorKind(new.kind),
            name=new.name,
            public_id=new.public_id,
            public_key=new.public_key,
            sign_count=new.sign_count,
            backup_eligible=new.backup_eligible,
            backed_up=new.backed_up,
            transports=new.transports,
            sealed=new.sealed,
            last_step=new.last_step,
            verifiers=new.verifiers,
            id=new.id,
            by=owner.by,
            at=now,
        )
        return Done()

    def _use(self, ask: p.UseAuthenticator, now: float) -> Message:
        owner = self._owner(ask.account)
        owner.store.authenticators.use(
            owner.account.id,
            ask.id,
            sign_count=ask.sign_count,
            backed_up=ask.backed_up,
            last_step=ask.last_step,
            spent=ask.spent,
            by=owner.by,
            at=now,
        )
        return Done()

    def _remove(self, ask: p.RemoveAuthenticator, now: float) -> Message:
        owner = self._owner(ask.account)
        owner.store.authenticators.remove(owner.account.id, ask.id, keep_one=True, by=owner.by, at=now)
        return Done()

    def _bind(self, ask: p.BindingCodeUse, now: float) -> Message:
        owner = self._owner(ask.account)
        owner.store.binding_codes.spend(owner.account.id, ask.verifier, by=owner.by, at=now)
        return Done()

    # -- sessions ------------------------------------------------------------------------------------------

    def _open(self, ask: p.SessionOpen, now: float) -> Message:
        owner = self._owner(ask.account)
        session = owner.store.web_sessions.open(
            owner.account.id,
            ask.rung,
            ask.secret,
            source=ask.source,
            agent=ask.agent,
            how=ask.how,
            by=owner.by,
            at=now,
        )
        return things.session_row(session, owner.account)

    def _find(self, ask: p.SessionFind, now: float) -> Message:
        if bool(ask.secret) == bool(ask.id):
            return Refused(reason="bad-value", sentence="Ask by a cookie or by an id.")
        owner, session = self._live(*self._whose.session(secret=ask.secret, id=ask.id), now)
        return things.session_row(session, owner.account)

    def _step(self, ask: p.SessionStep, now: float) -> Message:
        owner, session = self._of_session(ask.id, now)
        owner.store.web_sessions.step(
            session.id, rung=ask.rung, how=ask.how, secret=ask.secret, by=owner.by, at=now
        )
        return Done()

    def _end(self, ask: p.SessionEnd, now: float) -> Message:
        owner = self._owner(ask.account, enabled=False)
        ended = owner.store.web_sessions.end(
            owner.account.id, id=ask.id, keep=ask.keep, reason=ask.reason[:200], by=owner.by, at=now
        )
        return Done() if ended else NOTHING_TO_TELL

    # -- devices and what happened -------------------------------------------------------------------------

    def _things(self, ask: p.OwnThings, now: float) -> Message:
        return things.own(self._owner(ask.account), now)

    def _device_add(self, ask: p.DeviceAdd, now: float) -> Message:
        return things.add(self._acting(ask.account, ask.session, now), ask, now)

    def _device_certificate(self, ask: p.DeviceCertificate, now: float) -> Message:
        things.certify(self._acting(ask.account, ask.session, now), ask, now)
        return Done()

    def _device_end(self, ask: p.DeviceEnd, now: float) -> Message:
        things.end(self._acting(ask.account, ask.session, now), ask, now)
        return Done()

    def _event(self, ask: p.PortalEvent, now: float) -> Message:
        """Whose it is, is looked up here, whatever the portal says of the organisation. An account that is named may
        only have been claimed: who has proven what, the kind says."""
        if not _KIND.match(ask.kind):
            raise BadValue("The portal records what begins with portal. and nothing else.")
        claimed = _address(ask.claimed)
        organisation, account = self._whose.account(ask.account) if ask.account else "", ask.account
        subject = account if organisation else claimed
        if not organisation:
            account = ""
            organisation, named = self._whose.address(claimed) if claimed else ("", "")
            subject = named or claimed
        if not organisation and claimed:
            organisation = self._whose.domain(domain_of(claimed))
        guess = ask.guess and bool(subject)
        with self._counting:
            known = self._events.take(ask.source, now) and self._all_events.take("", now)
            if not known and organisation and account and ask.kind in notice_portal.KINDS:
                known = self._mailed.take(f"{account} {ask.kind}", now)
            if not (known or guess):
                return Done()  # more of the same would tell nobody anything
            self._count += 1
            number = self._count
        event = Event(
            f"portal/{self._life:x}/{number:x}",
            now,
            ask.kind,
            organisation,
            account,
            door="portal",
            source=ask.source[:64],
            data={"claimed": claimed, "sentence": ask.sentence[:1000]},
        )
        failures = (Failure(event.id, organisation, subject, now),) if guess else ()
        self._store.events.append((event,), failures=failures)
        return Done()


def _whose_act(message: p.DeviceAdd | p.DeviceCertificate | p.AddAuthenticator | p.SessionOpen) -> str:
    return f"{type(message).__name__} {message.account}"


def _address(text: str) -> str:
    try:
        return canonical(text) if text else ""
    except ValueError:
        return ""


def _authenticator(found: StoredAuthenticator) -> p.Authenticator:
    return p.Authenticator(
        id=found.id,
        kind=found.kind.value,
        name=found.name,
        public_id=found.public_id,
        public_key=found.public_key,
        sign_count=found.sign_count,
        backup_eligible=found.backup_eligible,
        backed_up=found.backed_up,
        transports=found.transports,
        sealed=found.sealed,
        last_step=found.last_step,
        verifiers=found.verifiers,
        created_at=found.created_at,
        last_used=found.last_used,
    )
