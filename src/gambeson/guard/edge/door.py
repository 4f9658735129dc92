"""What all sessions of one door process share: settings, snapshot, keeper, throttle, counters.

:class:`Door` joins both sides of a session that was admitted, lists it, and records its end. The process
around it calls :class:`~gambeson.guard.edge.door_server.DoorServer`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from gambeson.guard.core.sightings import Sightings
from gambeson.guard.core.throttle import Throttle
from gambeson.guard.core.web.verdict import Gate
from gambeson.model.access import AccessRequest, DoorKind, RawLogin
from gambeson.model.server import MailServer
from gambeson.model.snapshot import SnapshotIndex
from gambeson.wire.dialogue import AskQuota, MessageDone, Ready
from gambeson.wire.smtp_relay import SenderPolicy, SmtpRelay

from .door_settings import DoorSettings
from .events import Recorder
from .flood import Flood
from .listener import Admission
from .login import log_in
from .offers import Offers
from .ports import Keeper, Spool
from .quota import HourlyQuota
from .registry import Registry, Session, proof_of, senders_of
from .relay_session import RelaySession
from .routes import Health
from .session import ClientSession
from .splice import Splice
from .tls import DoorTls
from .upstream import Patience, UpstreamSide, UpstreamTrust
from .web.life import Life
from .web.refusals import Refusals
from .web.request_log import RequestLog
from .wheel import Wheel

_WEB_SESSION = 7 * 86400.0  # of silence: an HTTPS connection ends long before


class Door:
    """State shared by all sessions of this process. Only the event loop's thread touches it."""

    def __init__(
        self, settings: DoorSettings, *, keeper: Keeper, spool: Spool, device_key: bytes, name: str = "doors"
    ) -> None:
        timeouts = settings.timeouts
        self.settings = settings
        self.keeper = keeper
        self.device_key = device_key
        self.index: SnapshotIndex | None = None
        self.on_snapshot: list[Callable[[SnapshotIndex], None]] = []  # told of each one; must not raise
        self.gate: Gate | None = None  # decides of every HTTP request; none: they are answered 503
        self.web: set[Life] = set()
        self.web_refusals = Refusals(settings.web.refusals_of_source)
        self.web_told: dict[str, float] = {}  # site that could not be reached: when that was recorded last
        self.web_hosts: frozenset[str] = settings.portal_hosts
        self.stopping = False
        self.loop = asyncio.get_running_loop()
        self._began = time.time() - self.loop.time()
        self.wheel = Wheel(self.loop)
        self.recorder = Recorder(spool, name, time.time())
        self.throttle = Throttle(settings.throttle, settings.throttle_key)
        self.sightings = Sightings()
        self.quota = HourlyQuota()
        self.request_log = RequestLog(self) if settings.web.request_log == "all" else None
        self.flood = Flood()
        self.admission = Admission(self)
        self.registry = Registry(self.wheel)
        self.offers = Offers()
        self.health = Health(settings.server_down_for, timeouts.connect + timeouts.sign_in)
        self.trust = UpstreamTrust(settings.upstream_roots, settings.upstream_authorities)
        self.patience = Patience(timeouts.connect, timeouts.sign_in, timeouts.shutdown)
        self.before_directory: Callable[[], None] = lambda: None  # a password is about to be sent there
        self.passwords = (
            settings.directory.sources(
                self._directory_trouble, lambda: self.before_directory(), self.counting
            )
            if settings.directory is not None
            else None
        )
        self._index_age = 0.0  # how old the snapshot was when it came
        self._index_at = 0.0  # the loop's time then

    def use(self, index: SnapshotIndex) -> None:
        """Judge by this snapshot from now on."""
        now = time.time()
        self.index = index
        self.web_hosts = self.settings.portal_hosts | index.site_by_host.keys()
        self._index_age = max(0.0, now - index.snapshot.made_at)
        self._index_at = self.loop.time()
        for told in self.on_snapshot:
            told(index)

    def use_tls(self, tls: DoorTls) -> None:
        """Offer these certificates from now on."""
        self.settings = replace(self.settings, tls=tls)

    def snapshot_age(self) -> float:
        """Seconds, by a clock that nobody sets."""
        return self._index_age + self.loop.time() - self._index_at

    def counting(self) -> float:
        """Seconds since 1970 by a clock that nobody sets: the machine's when this process began, and what has passed
        since. Counters go by it, so that a machine whose clock is set neither forgets guesses nor holds them against
        anybody for longer."""
        return self._began + self.loop.time()

    def sign_in(self, session: ClientSession, login: RawLogin) -> Coroutine[Any, Any, None]:
        """The work of one login."""
        return log_in(self, session, login)

    def _directory_trouble(self, why: str) -> None:
        self.recorder.record("door.directory.trouble", why=why[:300])

    def cut_later(self, transport: asyncio.Transport) -> None:
        """A connection that was told goodbye ends soon, whether or not its peer takes part."""
        self.loop.call_later(self.settings.timeouts.farewell, transport.abort)

    def open(
        self,
        client: ClientSession,
        request: AccessRequest,
        index: SnapshotIndex,
        server: MailServer,
        side: UpstreamSide,
        ready: Ready,
    ) -> bool:
        """Both sides are signed in: join them. False when one has left meanwhile."""
        upstream = side.transport
        handed = client.hand_over(ready) if upstream is not None and not upstream.is_closing() else None
        if handed is None or upstream is None:
            if upstream is not None:
                upstream.abort()
            client.drop("a side left during sign-in")
            return False
        transport, to_client, to_server = handed
        to_client += side.hand_over()
        timeouts, limits = self.settings.timeouts, self.settings.limits
        relayed = request.door is DoorKind.SUBMISSION
        session = Session(
            client.id,
            client.listener.name,
            proof_of(request, index),
            server.name,
            time.time(),
            self.wheel.now,
            timeouts.idle_relay if relayed else timeouts.idle,
        )
        source_prefix = client.source_prefix
        session.on_closed = lambda ended: self._closed(ended, source_prefix)
        self.registry.add(session)
        if relayed:
            RelaySession(
                session,
                self._relay(request, index, ready),
                transport,
                upstream,
                ask=self._ask_quota,
                done=self._message_done,
                wheel=self.wheel,
                write_high=limits.write_high,
                farewell_after=timeouts.farewell,
            ).begin(to_server, to_client)
        else:
            Splice(session, transport, upstream, self.wheel, limits.write_high, timeouts.farewell).begin(
                to_server, to_client
            )
        return True

    def open_web(
        self, client: Life, name: str, request: AccessRequest, server: str, index: SnapshotIndex
    ) -> Session:
        """Somebody was admitted on an HTTPS connection: from now on it is listed, judged again, and can be ended. Its
        times are its own."""
        session = Session(
            name,
            client.listener.name,
            proof_of(request, index),
            server,
            time.time(),
            self.wheel.now,
            _WEB_SESSION,
        )
        source_prefix = client.source_prefix
        session.on_closed = lambda ended: self._closed(ended, source_prefix)
        session.link = client
        self.registry.add(session)
        self.admission.signed_in(client)
        return session

    def _closed(self, session: Session, source_prefix: str) -> None:
        self.registry.discard(session)
        self.admission.session_ended(source_prefix)
        self.recorder.record(
            "door.session.closed",
            identity=session.identity,
            door=session.door,
            source=session.proof.request.source,
            id=session.id,
            server=session.server,
            reason=session.reason,
            seconds=round(max(0.0, time.time() - session.since), 1),
            from_client=session.up,
            to_client=session.down,
        )

    # -- submission

    def _relay(self, request: AccessRequest, index: SnapshotIndex, ready: Ready) -> SmtpRelay:
        limits = self.settings.limits
        return SmtpRelay(
            hostname=self.settings.hostname,
            server_extensions=ready.capabilities,
            senders=SenderPolicy(senders_of(request, index), self.settings.sender_check),
            max_message_bytes=limits.message,
            max_recipients=limits.recipients,
        )

    def _ask_quota(self, session: Session, ask: AskQuota) -> str:
        """An account is counted by recipients, for that is what hurts; a machine's device by messages."""
        identity, index = session.identity, self.index
        device = index.device.get(identity.device) if index is not None else None
        account = f"account:{identity.account or identity.claimed}"
        wanted = {account: (ask.recipients, self.settings.limits.hourly_messages)}
        if device is not None and device.hourly_limit:
            share = self.settings.limits.processes
            wanted[f"device:{device.id}"] = (1, -(-device.hourly_limit // share))
        full = self.quota.take(wanted, self.counting())
        if not full:
            return ""
        self.recorder.record(
            "door.message.refused",
            identity=identity,
            door=session.door,
            source=session.proof.request.source,
            id=session.id,
            reason="hourly limit",
            limit=wanted[full][1],
            by="account" if full == account else "device",
        )
        if full == account and ask.recipients > wanted[full][1]:
            return f"This account may write to {wanted[full][1]} recipients an hour; send this to fewer at a time"
        if full == account:
            return f"This account may write to {wanted[full][1]} recipients an hour; please try again later"
        return f"This device may send {wanted[full][1]} messages an hour; please try again later"

    def _message_done(self, session: Session, done: MessageDone) -> None:
        self.recorder.record(
            "door.message.sent" if done.accepted else "door.message.failed",
            identity=session.identity,
            door=session.door,
            source=session.proof.request.source,
            id=session.id,
            sender=done.sender,
            recipients=_first(done.recipients),
            recipient_count=len(done.recipients),
            size=done.size,
            reply=done.reply[:300],
        )


def _first(recipients: tuple[str, ...], octets: int = 8000) -> list[str]:
    """As many as the record takes: data over its limit would be dropped whole, and the sender with it."""
    kept: list[str] = []
    for each in recipients[:100]:
        octets -= len(each.encode()) + 4
        if octets < 0:
            break
        kept.append(each)
    return kept
