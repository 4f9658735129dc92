"""A console in the tests: the real application over a real store and the real keeper's keys, asked without a network.

    with Lab(tmp_path) as lab:
        acme = lab.organisation("Acme", "acme.example")
        ann = lab.staff("Ann", Grant(EVERY, Role.OWNER))
        page = lab.browser(ann).get(f"/o/{acme.id}/today")

The worker is not there (nothing runs): publishing says so. ``lab.browser()`` is nobody; a browser of a member of staff
has a session whose passkey was shown just now. ``lab.later(seconds)`` moves the clock.
"""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlencode, urlsplit

from gambeson.app.keeper_child import serve_administrator
from gambeson.app.publishing import build_snapshot
from gambeson.console.admin.app import ConsoleApp, make_console
from gambeson.console.admin.sessions import SESSION
from gambeson.console.office import Facts, Listening, World
from gambeson.console.works import Works
from gambeson.model.access import DoorKind
from gambeson.model.event import Event
from gambeson.model.server import Endpoint, MailServer
from gambeson.model.snapshot import SnapshotIndex
from gambeson.model.staff import Grant, Staff
from gambeson.model.web import Product, Site
from gambeson.process.keeper_client import AdminKeeper
from gambeson.process.keys import open_keys
from gambeson.process.worker_client import AdminWorker
from gambeson.store.control import Store
from gambeson.store.tenant import OrganisationStore

T0 = 1_790_000_000.0  # 2026-09-21
ORIGIN = "https://localhost:8443"
FORM = ("content-type", "application/x-www-form-urlencoded")
DOORS = ("imap", "pop3", "submission", "sieve", "owa", "eas", "ews")


class Clock:
    def __init__(self) -> None:
        self.now = T0

    def __call__(self) -> float:
        return self.now


def facts(**changes: Any) -> Facts:
    """What the console of the tests knows of its installation."""
    listeners = tuple(
        Listening(name, door, "127.0.0.1", port, implicit)
        for name, door, port, implicit in (
            ("imaps", "imap", 1, True),
            ("pop3s", "pop3", 1, True),
            ("submissions", "submission", 1, True),
            ("sieve", "sieve", 1, False),
            ("https", "webmail", 1, True),
        )
    )
    endpoints = tuple(
        Endpoint(d, "127.0.0.1", 9)
        for d in (DoorKind.IMAP, DoorKind.POP3, DoorKind.SUBMISSION, DoorKind.SIEVE)
    )
    site = Site("Exchange", Product.EXCHANGE, ("mail.localhost",), Endpoint(DoorKind.OWA, "127.0.0.1", 9))
    given: dict[str, Any] = {
        "origin": ORIGIN,
        "version": "0.0.0",
        "portal": "https://login.localhost:8444",
        "listeners": listeners,
        "servers": (MailServer("mail", "", endpoints),),
        "sites": (site,),
        **changes,
    }
    return Facts(**given)


class Lab:
    """``world`` is the console's; ``app`` the ASGI application."""

    def __init__(self, folder: Path, url: str = "", **changes: Any) -> None:
        self.clock = Clock()
        self.store = Store.open(url or f"sqlite:///{folder / 'control.db'}")
        self._random = 0
        keys = open_keys(folder / "keys", bytes(32), T0)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._keeper = ours
        self._thread = threading.Thread(target=serve_administrator, args=(keys, theirs), daemon=True)
        self._thread.start()
        nobody = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        nobody[1].close()
        self._worker = nobody[0]
        self.world = World(
            store=self.store,
            keeper=AdminKeeper(ours),
            worker=AdminWorker(nobody[0]),
            facts=facts(**changes),
            build=self.build,
            clock=self.clock,
            random=self.random,
            works=Works(self.random, self.clock),
        )
        self.app: ConsoleApp = make_console(self.world)

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.world.works.close()
        self._keeper.close()
        self._worker.close()
        self._thread.join(10)
        self.store.close()

    def random(self, size: int) -> bytes:
        """Octets that are never the same, and the same in every run."""
        self._random += 1
        out = b""
        while len(out) < size:
            out += sha256(f"{self._random} {len(out)}".encode()).digest()
        return out[:size]

    def build(self) -> SnapshotIndex:
        parts = self.store.load_snapshot_parts(self.clock.now)
        made, _ = build_snapshot(
            parts, self.world.facts.servers, 1, self.clock.now, "", self.world.facts.sites
        )
        return SnapshotIndex(made)

    def later(self, seconds: float) -> None:
        self.clock.now += seconds

    @property
    def act(self) -> dict[str, Any]:
        """Who does something in the store, and when."""
        return {"by": "root", "at": self.clock.now}

    def organisation(self, name: str, *domains: str) -> OrganisationStore:
        return self.store.create_organisation(name, domains=domains, **self.act)

    def staff(self, name: str, *grants: Grant, **more: Any) -> Staff:
        """A member of staff with a passkey, so that there is an owner who can sign in."""
        made = self.store.staff.create(name, grants=grants, **more, **self.act)
        self.store.staff.add_passkey(
            made.id,
            name="Key",
            public_id=made.id.encode(),
            public_key=b"x",
            sign_count=0,
            backup_eligible=False,
            backed_up=False,
            transports=(),
            **self.act,
        )
        return made

    def events(self, events: Iterable[Event]) -> None:
        self.store.events.append(list(events))

    def browser(
        self, staff: Staff | None = None, *, fresh: bool = True, how: str = "passkey", **more: Any
    ) -> Browser:
        """A browser; with ``staff`` (or ``how`` break-glass) signed in. Not ``fresh``: that was long ago."""
        found = Browser(self.app, **more)
        if staff is not None or how != "passkey":
            value = self.random(32).hex()
            at = self.clock.now if fresh else self.clock.now - 1000
            self.store.staff.open_session(
                staff.id if staff is not None else "",
                secret=sha256(value.encode()).digest(),
                how=how,
                ends=at + 3600.0,
                by="root",
                at=at,
            )
            found.cookies[SESSION] = value
        return found


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def location(self) -> str:
        return self.header("location")

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")


@dataclass
class Browser:
    app: Any
    source: str = "192.0.2.7"
    cookies: dict[str, str] = field(default_factory=dict)
    language: str = "en"
    stays: bool = False  # until it has all of an answer; else it leaves when it has sent its question

    def send(
        self, method: str, path: str, body: bytes = b"", headers: Iterable[tuple[str, str]] = ()
    ) -> Answer:
        """One request with these headers, and Host, cookies and source."""
        target = urlsplit(path)
        given = [("host", ORIGIN.removeprefix("https://")), ("user-agent", "Test Browser/1")]
        given += [("accept-language", self.language), ("content-length", str(len(body))), *headers]
        if self.cookies:
            given.append(("cookie", "; ".join(f"{k}={v}" for k, v in self.cookies.items())))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "path": re.sub("%([0-9A-Fa-f]{2})", lambda m: chr(int(m[1], 16)), target.path),
            "raw_path": target.path.encode(),
            "root_path": "",
            "query_string": target.query.encode("utf-8", "surrogateescape"),
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in given],
            "client": (self.source, 40000),
            "server": ("localhost", 8443),
            "state": {},
        }
        answer = asyncio.run(_serve(self.app, scope, body, self.stays))
        for value in [v for k, v in answer.headers if k == "set-cookie"]:
            self._take(value)
        return answer

    def get(self, path: str, *headers: tuple[str, str]) -> Answer:
        return self.send("GET", path, headers=headers)

    def post(self, path: str, **form: str) -> Answer:
        return self.send("POST", path, urlencode(form).encode(), [FORM, ("origin", ORIGIN)])

    def upload(self, path: str, name: str, data: bytes, **form: str) -> Answer:
        """A form with a file."""
        mark = "----gambeson"
        parts = [
            f'--{mark}\r\ncontent-disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode()
            for k, v in form.items()
        ]
        head = f'--{mark}\r\ncontent-disposition: form-data; name="{name}"; filename="x.csv"\r\n'
        head += "content-type: text/csv\r\n\r\n"
        body = b"".join([*parts, head.encode(), data, f"\r\n--{mark}--\r\n".encode()])
        kind = ("content-type", f"multipart/form-data; boundary={mark}")
        return self.send("POST", path, body, [kind, ("origin", ORIGIN)])

    def follow(self, answer: Answer) -> Answer:
        """On through redirects."""
        for _ in range(10):
            if answer.status != 303:
                return answer
            answer = self.get(answer.location)
        raise AssertionError("the redirects go round")

    def _take(self, value: str) -> None:
        pair, *attributes = value.split("; ")
        name, _, text = pair.partition("=")
        assert name.startswith("__Host-"), name
        assert {"Path=/", "Secure", "HttpOnly"} <= set(attributes), value
        assert any(a.startswith("SameSite=") for a in attributes)
        if "Max-Age=0" in attributes:
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = text


async def _serve(app: Any, scope: dict[str, Any], body: bytes, stays: bool = False) -> Answer:
    sent: list[dict[str, Any]] = []
    given, over = False, asyncio.Event()

    async def receive() -> dict[str, Any]:
        nonlocal given
        if given:
            if stays:
                await over.wait()
            return {"type": "http.disconnect"}
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(event: dict[str, Any]) -> None:
        sent.append(event)
        if event["type"] == "http.response.body" and not event.get("more_body", False):
            over.set()

    await app(scope, receive, send)
    start = sent[0]
    headers = [(k.decode().lower(), v.decode("latin-1")) for k, v in start["headers"]]
    return Answer(start["status"], headers, b"".join(e.get("body", b"") for e in sent[1:]))
