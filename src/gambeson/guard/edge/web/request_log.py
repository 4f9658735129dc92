"""The request log of a door: every request's shape, for shields that are written later.

It is no security record, so nothing waits for it: a request is put aside, and what was put aside is written a little
later, in small portions. What comes faster than so many a second, or while the record can't be written, is dropped and
counted; once a minute an event says how many.
"""

from __future__ import annotations

import re
import time
from collections import deque
from typing import TYPE_CHECKING

from gambeson.guard.core.web.request_log import ANSWERED, logged
from gambeson.guard.core.web.verdict import Forward
from gambeson.model.event import REQUEST
from gambeson.model.web import Product, WebRequest
from gambeson.wire.http_head import HeadError

if TYPE_CHECKING:
    import asyncio

    from gambeson.guard.edge.door import Door

_SOON = 0.2  # seconds until what was put aside is written
_PORTION = 20  # requests written in one turn of the loop
_TELL_EVERY = 60.0
_USER = re.compile("//[^/]*@")
_LINE = 8300  # octets looked at for the first line of a head


class RequestLog:
    """Made only where all requests are logged."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._most = door.settings.web.requests_logged
        self._left = self._most
        self._second = 0.0
        self._portal = door.settings.portal_hosts
        self._waiting: deque[tuple[float, WebRequest, str, int, str, Forward | None]] = deque()
        self._writing: asyncio.TimerHandle | None = None
        self._telling: asyncio.TimerHandle | None = None
        self._dropped = {"too many": 0, "not writable": 0}

    def note(
        self, request: WebRequest, verdict: str, status: int, rule: str, forward: Forward | None = None
    ) -> None:
        """Put a request aside; see :func:`~gambeson.guard.core.web.request_log.logged`. The portal's own are not
        logged: its addresses are single-use."""
        if request.host in self._portal or (forward is not None and forward.site.product is Product.PORTAL):
            return
        now = self._door.wheel.now
        if now != self._second:  # the wheel turns once a second
            self._second, self._left = now, self._most
        if self._left <= 0:
            self._drop("too many")
            return
        self._left -= 1
        self._waiting.append((time.time(), request, verdict, status, rule, forward))
        if self._writing is None:
            self._writing = self._door.loop.call_later(_SOON, self._write)

    def unread(self, head: bytes, host: str, source: str, error: HeadError) -> None:
        """The same for a head that the door refused unread: its first line is kept."""
        method, _, rest = head[:_LINE].decode("latin-1").lstrip("\r\n").partition("\r\n")[0].partition(" ")
        path, _, query = rest.rpartition(" ")[0].partition("?")
        if not path.startswith("/"):  # an absolute one may name a password
            path = _USER.sub("//", path)
        request = WebRequest(method[:20], host, path, query, path.lower(), source=source)
        self.note(request, ANSWERED, error.status, error.reason)

    def _write(self) -> None:
        self._writing = None
        self._portion(_PORTION)
        if self._waiting:
            self._writing = self._door.loop.call_later(0.001, self._write)

    def _portion(self, most: int) -> None:
        waiting, recorder, index = self._waiting, self._door.recorder, self._door.index
        for _ in range(min(most, len(waiting))):
            at, request, verdict, status, rule, forward = waiting.popleft()
            if not recorder.healthy:
                self._drop("not writable")
                continue
            access = forward.access if forward is not None else None
            site = index.site_by_host.get(request.host) if index is not None else None
            told = logged(request, verdict, status, rule, forward)
            if forward is None and site is not None:
                told["site"], told["product"] = site.name, site.product.value
            recorder.record_at(
                at,
                REQUEST,
                identity=access.identity if access is not None else None,
                organisation=site.organisation if site is not None else "",
                door=access.door.value if access is not None else "",
                source=request.source,
                **told,
            )

    def _drop(self, why: str) -> None:
        self._dropped[why] += 1
        if self._telling is None:
            self._telling = self._door.loop.call_later(_TELL_EVERY, self._tell)

    def _tell(self) -> None:
        self._telling = None
        counts = {why: n for why, n in self._dropped.items() if n}
        if counts and self._door.recorder.healthy:
            self._door.recorder.record("door.web.requests.dropped", counts=counts)
            self._dropped = dict.fromkeys(self._dropped, 0)
        elif counts:
            self._telling = self._door.loop.call_later(_TELL_EVERY, self._tell)

    def close(self) -> None:
        """Write what was put aside, and stop."""
        self._portion(len(self._waiting))
        self._tell()
        for timer in (self._writing, self._telling):
            if timer is not None:
                timer.cancel()
        self._writing = self._telling = None
