"""The device lane: programs with a device secret as Basic password, or a client certificate.

A refusal has the same octets and takes the same time, whatever was wrong. What was admitted is kept for its connection
under the snapshot it was made with, and the mail server's credential for a minute at most, so that a busy program costs
little. ``rules`` has what a door adds of its own (ActiveSync, EWS): it sees each request of a proven device with the
verdict that would be given, and may give another.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from secrets import token_bytes

from gambeson.guard.core.clouds import CloudService
from gambeson.guard.core.identify import identify
from gambeson.guard.core.web import cookie_binding
from gambeson.guard.core.web.basic import NONE, BasicError, authorization, basic, parse_basic
from gambeson.guard.core.web.device_lane import EXTERNAL, WITHOUT_CERTIFICATE, foreign, spelled
from gambeson.guard.core.web.origin import from_another_page
from gambeson.guard.core.web.verdict import Answer, Forward, Headers, ResponseAction, Verdict, WebClient
from gambeson.guard.edge.door import Door
from gambeson.guard.edge.identity.source import Verdict as PasswordVerdict
from gambeson.guard.edge.judgement import Judgement, Place, weigh
from gambeson.guard.edge.networks import prefix
from gambeson.guard.edge.password import ask_owner
from gambeson.guard.edge.within import Within
from gambeson.model import device_secret
from gambeson.model.access import DoorKind, Mechanism, RawLogin, Rung
from gambeson.model.server import SignIn
from gambeson.model.snapshot import SnapshotIndex
from gambeson.model.web import Route, Site, WebRequest
from gambeson.process.keeper_client import KeeperGone, KeeperRefused
from gambeson.process.keeper_messages import CredentialAsk

from .admitted import Admitted, DeviceCall, DeviceRule, Way, recalled, remember
from .record import WebRecord
from .replies import not_now, refused, say
from .shelf import Shelf
from .signin import login_of

__all__ = ["DeviceCall", "DeviceRule", "Devices"]

KEPT = 30.0  # seconds that a decision is kept, as long as sessions wait to be judged again
CREDENTIAL_SECONDS = 60.0  # at most, and never longer than its connection is used
TOKEN_SECONDS = 20.0  # the keeper may have reused it for 30 before, and it lives 55
GUESS_SECONDS = 3600.0
MAX_KEPT = 20_000
_FORWARD = "a device's, forwarded so"
_INJECTED = ResponseAction(drop=("www-authenticate",))  # the door signed in; nobody else needs to
_WRONG = (PasswordVerdict.WRONG, PasswordVerdict.LOCKED, PasswordVerdict.EXPIRED)


class _Later(Exception):  # noqa: N818 - an outcome
    """Not now, and through no fault of the device. ``str`` is for the record."""


class _Refuse(Exception):  # noqa: N818 - an outcome
    """The password beside a good certificate is wrong, or there is none where one is needed."""


class Devices:
    """``rules`` are asked by door kind."""

    def __init__(self, door: Door, record: WebRecord) -> None:
        self.door, self.record = door, record
        self.rules: dict[DoorKind, DeviceRule] = {}
        self._admitted: Shelf[Admitted] = Shelf(MAX_KEPT)
        self._guesses: Shelf[bool] = Shelf(MAX_KEPT)
        self._hash_key = token_bytes(32)  # what is remembered of an Authorization header is a keyed hash

    def judge(
        self,
        request: WebRequest,
        client: WebClient,
        site: Site,
        route: Route,
        actions: tuple[ResponseAction, ...],
        idle: float,
    ) -> Verdict | Awaitable[Verdict]:
        """The verdict of the device lane."""
        index, kind = self.door.index, route.door
        if index is None or not self.door.device_key or kind is None:
            return not_now(request, "not-ready")
        if from_another_page(request):
            # A browser adds a certificate, or a name and password that it was once told, to any page's request.
            self.record.turned_away(
                "door.request.refused", prefix(request.source), request.source, kind.value, why="origin"
            )
            sentence = "This request came from another page and was not carried out."
            return say(request, 403, "origin", sentence, close=request.body)
        now = time.time()
        way = Way(
            request.method,
            request.path,
            request.query,
            self.door.settings,
            client,
            site,
            route,
            actions,
            idle,
        )
        again = recalled(request, way, index, now)
        if again is not None:
            return again
        fingerprint = "" if kind in WITHOUT_CERTIFICATE else client.fingerprint
        try:
            value = authorization(request)
        except BasicError as error:
            return self._turned_away(request, kind, error.reason)
        if not value and not fingerprint:
            return refused(NONE, 0.0)
        # A client may change its name from one request to the next.
        cloud = self.door.settings.clouds.recognise(request.header("user-agent"), request.source)
        digest: bytes | None = request.memo.get(self)
        if digest is None:
            digest = blake2b(value.encode("latin-1", "replace"), key=self._hash_key, digest_size=16).digest()
            request.memo[self] = digest
        key = (client, digest, kind, site.name, cloud)
        kept = self._admitted.get(key, now)
        if kept is not None and kept.index.memo is index.memo:
            return self._verdict(request, client, site, route, actions, idle, kept)
        try:
            raw = parse_basic(value) if value else EXTERNAL
        except BasicError as error:
            return self._turned_away(request, kind, error.reason)
        return self._admit(request, client, site, route, actions, idle, index, spelled(raw, index, site), key)

    async def _admit(
        self,
        request: WebRequest,
        client: WebClient,
        site: Site,
        route: Route,
        actions: tuple[ResponseAction, ...],
        idle: float,
        index: SnapshotIndex,
        raw: RawLogin,
        key: tuple[WebClient, bytes, DoorKind, str, CloudService | None],
    ) -> Verdict:
        judgement = self._weigh(request, client, site, key[2], index, raw, key[1])
        if not judgement.decision.passes or foreign(site, judgement.identity.organisation):
            return self._refused(request, client, site, route, index, judgement)
        try:
            await self._check_password(judgement, client, site)
            headers, until = await self._upstream(request, judgement, client, site)
        except _Refuse as why:
            return self._refused(request, client, site, route, index, judgement, str(why))
        except _Later as why:
            return self._later(request, judgement, site, str(why))
        if self.door.index is None or self.door.index.memo is not index.memo:
            # A newer snapshot came meanwhile: whoever it no longer admits does not come in.
            newer = self.door.index
            if newer is None:
                return self._later(request, judgement, site, "no snapshot")
            before, index = judgement, newer
            judgement = self._weigh(
                request, client, site, key[2], index, raw, key[1], throttled=before.request.throttled
            )
            if not judgement.decision.passes or judgement.identity.account != before.identity.account:
                return self._refused(request, client, site, route, index, judgement)
        identity = judgement.identity
        cloud = judgement.request.cloud
        once = (
            "device",
            identity.credential or identity.claimed,
            site.name,
            key[2].value,
            request.source,
            cloud,
        )
        recorded = self.record.admitted(
            once,
            judgement.request,
            judgement.decision,
            mechanism=raw.mechanism,
            program=request.header("user-agent"),
            server=site.name,
        )
        if not recorded:
            return self._later(request, judgement, site, "event spool unhealthy")
        now = time.time()
        until = min(until, now + KEPT)
        if judgement.proven:
            self._count(judgement, failed=False)
            kept = Admitted(judgement, index, headers, until=until)
        else:
            answered = self._settling(judgement, key[1])
            kept = Admitted(judgement, index, (), True, answered, until)
        self._admitted.put(key, kept, until, now)
        return self._verdict(request, client, site, route, actions, idle, kept)

    def _weigh(
        self,
        request: WebRequest,
        client: WebClient,
        site: Site,
        kind: DoorKind,
        index: SnapshotIndex,
        raw: RawLogin,
        digest: bytes,
        throttled: str | None = None,
    ) -> Judgement:
        door = self.door
        fingerprint = "" if kind in WITHOUT_CERTIFICATE else client.fingerprint
        identity = identify(raw, fingerprint, index, door.device_key, time.time())
        if throttled is None and self._guesses.get((request.source, digest), door.counting()):
            throttled = ""  # the very same name and password from the same address is no second guess
        program = request.header("user-agent")
        place = Place(kind, request.source, prefix(request.source), True, client.sni, program)
        return weigh(door, index, raw, fingerprint, identity, place, throttled)

    def _verdict(
        self,
        request: WebRequest,
        client: WebClient,
        site: Site,
        route: Route,
        actions: tuple[ResponseAction, ...],
        idle: float,
        kept: Admitted,
    ) -> Verdict:
        # With the same headers most requests are forwarded in the same way. What is named by its identity is kept too.
        given = (id(kept), id(site), id(route), actions, idle)
        last: tuple[object, Forward, object] | None = request.memo.get(_FORWARD)
        if last is not None and last[0] == given:
            forward = last[1]
        else:
            cookies = ("cookie", cookie_binding.unbound_of(request))
            forward = Forward(
                site,
                kept.judgement.request,
                (*kept.headers, cookies),
                kept.as_is,
                idle,
                actions if kept.as_is else (*actions, _INJECTED),
                (),
                route.rule,
                None,
                kept.answered,
            )
            request.memo[_FORWARD] = (given, forward, (kept, site, route))
        verdict = self._ruled(DeviceCall(request, client, site, route, kept.index, kept.judgement, forward))
        if verdict is forward and kept.judgement.identity.credential:
            settings = self.door.settings
            way = Way(
                request.method, request.path, request.query, settings, client, site, route, actions, idle
            )
            remember(request, way, kept, forward, time.time())
        return verdict

    def _ruled(self, call: DeviceCall) -> Verdict:
        rule = self.rules.get(call.judgement.request.door)
        if rule is None or not call.judgement.identity.account:
            return call.verdict
        return rule(call)

    def sweep(self, now: float) -> None:
        """Let go of credentials that have ended, whether or not anybody asks."""
        self._admitted.sweep(now)

    # -- the mail server's side

    async def _check_password(self, judgement: Judgement, client: WebClient, site: Site) -> None:
        """Nothing where no password came beside the certificate, where the mail server checks it, or it is right."""
        account = judgement.account
        if (
            account is None
            or judgement.identity.rung is not Rung.DEVICE_KEY
            or judgement.raw.mechanism is Mechanism.EXTERNAL
            or site.server.sign_in is SignIn.AS_IS
        ):
            return
        shown = "" if client.certificate else client.fingerprint
        verdict, word = await ask_owner(self.door, judgement, account, client.certificate, shown)
        if verdict in _WRONG:
            raise _Refuse(f"password-{verdict}")
        if verdict is not PasswordVerdict.RIGHT:
            raise _Later(f"password-{verdict} {word}")

    async def _upstream(
        self, request: WebRequest, judgement: Judgement, client: WebClient, site: Site
    ) -> tuple[Headers, float]:
        """The headers that sign in at the mail server, and until when they do."""
        now = time.time()
        if not judgement.proven:
            return (), now + KEPT
        raw, account = judgement.raw, judgement.account
        assert account is not None
        if site.server.sign_in is SignIn.AS_IS:
            if (
                judgement.identity.rung is not Rung.DEVICE_KEY
                or not raw.password
                or device_secret.resembles(raw.password)
            ):
                raise _Refuse("no-password-to-pass-on")
            return (("authorization", basic(login_of(account), raw.password)),), now + CREDENTIAL_SECONDS
        by_key = judgement.identity.rung is Rung.DEVICE_KEY
        ask = CredentialAsk(
            account=account.id,
            server=site.name,
            door=judgement.request.door.value,
            source=request.source,
            secret="" if by_key else raw.password,
            certificate=client.certificate if by_key else b"",
            fingerprint=client.fingerprint if by_key and not client.certificate else "",
        )
        try:
            with Within(self.door.loop, self.door.settings.timeouts.keeper):
                given = await self.door.keeper.credential(ask)
        except (TimeoutError, KeeperGone):
            raise _Later("the keeper is gone") from None
        except KeeperRefused as error:
            raise _Later(f"the keeper refused: {error.reason}") from None
        seconds = TOKEN_SECONDS if site.server.sign_in is SignIn.TOKEN else CREDENTIAL_SECONDS
        return (("authorization", basic(given.authcid, given.secret)),), now + seconds

    # -- refusals and counting

    def _refused(
        self,
        request: WebRequest,
        client: WebClient,
        site: Site,
        route: Route,
        index: SnapshotIndex,
        judgement: Judgement,
        failure: str = "",
    ) -> Verdict:
        self._count(judgement, failed=True)
        if not failure and foreign(site, judgement.identity.organisation):
            failure = "another-organisation"
        self.record.refused(
            judgement.request,
            judgement.decision,
            mechanism=judgement.raw.mechanism,
            program=request.header("user-agent"),
            failure=failure,
        )
        reason = failure or judgement.identity.failure or judgement.decision.reason
        answer = refused(reason, self.door.settings.timeouts.refusal)
        if failure:
            return answer
        return self._ruled(DeviceCall(request, client, site, route, index, judgement, answer))

    def _later(self, request: WebRequest, judgement: Judgement, site: Site, why: str) -> Answer:
        self._count(judgement, failed=True)
        self.record.turned_away(
            "door.login.failed",
            prefix(request.source),
            request.source,
            judgement.request.door.value,
            why=why[:200],
            server=site.name,
        )
        return not_now(request, "sign-in-failed", self.door.settings.timeouts.refusal)

    def _turned_away(self, request: WebRequest, kind: DoorKind, why: str) -> Answer:
        self.record.turned_away(
            "door.login.refused", prefix(request.source), request.source, kind.value, why=why
        )
        return refused(why, self.door.settings.timeouts.refusal)

    def _count(self, judgement: Judgement, failed: bool) -> None:
        door, identity, now = self.door, judgement.identity, self.door.counting()
        tell = door.throttle.failed if failed else door.throttle.succeeded
        tell(judgement.request.source, identity.claimed, judgement.shown, bool(identity.account), now)
        if not failed:
            account = judgement.account.id if judgement.account is not None else ""
            door.sightings.saw(account, identity.credential, judgement.request.country, now)

    def _settling(self, judgement: Judgement, digest: bytes) -> Callable[[int], None]:
        """What becomes of a password that went on as it was: the mail server's answer says so, once."""
        key = (judgement.request.source, digest)
        now = self.door.counting()
        counted = self._guesses.get(key, now) is None
        self._guesses.put(key, True, now + GUESS_SECONDS, now)

        def answered(status: int) -> None:
            nonlocal counted
            if counted:
                counted = False
                self._count(judgement, failed=status in (401, 403))

        return answered
