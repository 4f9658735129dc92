"""A playground whose store is filled to the size that the console's figures are given for, and a signed-in browser.

The rows go in by SQL, because ten thousand accounts one act at a time would take the bench's whole time; their shape is
that of the acts. Events lie in the last thirty days, one in five of them a refusal.
"""

from __future__ import annotations

import http.client
import json
import random
import secrets
import sqlite3
import ssl
import time
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from gambeson.console.admin.sessions import SESSION
from gambeson.console.core import api_token
from gambeson.model.staff import EVERY, Grant, Role, Verb
from gambeson.store.control import Store
from peers.gambeson import Gambeson

DOORS = ("imap", "submission", "eas", "owa", "ews", "pop3")
REASONS = ("rung-too-low", "device-unknown", "throttled", "account-unknown")


class ConsoleStage:
    """``org`` is the id of the large organisation; ``cookie`` that of an owner's session, ``token`` one of the API."""

    def __init__(self, folder: Path, accounts: int, events: int, organisations: int) -> None:
        self.accounts, self.events, self.organisations = accounts, events, organisations
        self.gambeson = Gambeson(folder / "data")
        self.start_seconds = 0.0

    def __enter__(self) -> ConsoleStage:
        self.gambeson.start()
        self.gambeson.stop()
        self._fill()
        began = time.monotonic()
        self.gambeson.start()
        self.start_seconds = time.monotonic() - began
        self.port = int(self.gambeson.ready["console"].rpartition(":")[2])
        return self

    def __exit__(self, *_: object) -> None:
        self.gambeson.stop()

    @property
    def pid(self) -> int:
        """The console's process."""
        return self.gambeson.children()["console"]

    @property
    def database(self) -> Path:
        """The control database."""
        return self.gambeson.data / "store" / "control.db"

    def ask(self, path: str, *, api: bool = False) -> tuple[int, int]:
        """Status and octets of one page, over a connection that stays."""
        headers = {"Authorization": f"Bearer {self.token}"} if api else {"Cookie": f"{SESSION}={self.cookie}"}
        if not hasattr(self, "_client"):
            context = ssl.create_default_context(cafile=self.gambeson.ca)
            self._client = http.client.HTTPSConnection("localhost", self.port, context=context, timeout=60)
        self._client.request("GET", path, headers=headers)
        answer = self._client.getresponse()
        return answer.status, len(answer.read())

    def _fill(self) -> None:
        now = time.time()
        by = {"by": "bench", "at": now}
        with Store.open(f"sqlite:///{self.database}", migrate=False) as store:
            self.org = store.organisations()[0].id
            for number in range(self.organisations - 1):
                store.create_organisation(f"Organisation {number:03}", domains=[f"o{number}.example"], **by)
            owner = store.staff.create("Bench", grants=(Grant(EVERY, Role.OWNER),), **by)
            self.cookie = secrets.token_urlsafe(32)
            store.staff.open_session(
                owner.id,
                secret=sha256(self.cookie.encode()).digest(),
                how="passkey",
                ends=now + 11 * 3600,
                **by,
            )
            self.token = self._token(store, owner.id, now)
        control = sqlite3.connect(self.database)
        with control:
            self._rows(control, now)
        control.close()
        record = sqlite3.connect(self.database.with_name("events.db"))
        with record:
            record.executemany(
                "INSERT INTO events (id, at, kind, organisation, account, device, door, source, data) "
                "VALUES (?,?,?,?,?,?,?,?,?)",
                self._events(now),
            )
        record.execute("ANALYZE")
        record.close()

    def _token(self, store: Store, staff: str, now: float) -> str:
        made = api_token.make(secrets.token_bytes(api_token.ENTROPY_BYTES))
        store.tokens.create(
            "bench",
            organisations=(EVERY,),
            verbs=tuple(Verb),
            verifier=made.verifier,
            public_id=made.public_id,
            staff=staff,
            expires_at=now + 86400,
            by="bench",
            at=now,
        )
        return made.text

    def _rows(self, conn: sqlite3.Connection, now: float) -> None:
        def row(table: str, rows: Iterable[dict[str, object]]) -> None:
            for values in rows:
                names = ", ".join(f'"{name}"' for name in values)
                marks = ", ".join("?" * len(values))
                conn.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values()))

        people = range(self.accounts)
        row("accounts", ({
            "organisation": self.org, "id": f"acc-b{n}", "address": f"person{n:05}@playground.example",
            "groups": json.dumps([f"team{n % 5}"]), "enabled": True, "source": "local", "upstream_login": "",
            "server": "", "sealed_password": b"",
        } for n in people))  # fmt: skip
        row("addresses", ({
            "address": f"person{n:05}@playground.example", "organisation": self.org, "account": f"acc-b{n}",
            "alias": False, "position": 0,
        } for n in people))  # fmt: skip
        row("devices", ({
            "organisation": self.org, "id": f"dev-b{n}", "account": f"acc-b{n}", "name": "Phone", "kind": "personal",
            "state": "quarantined" if n % 100 == 0 else "registered", "doors": json.dumps(["imap", "submission"]),
            "created_at": now - n, "expires_at": 0.0, "networks": "[]", "senders": "[]", "hourly_limit": 0, "owner": "",
            "review_at": 0.0,
        } for n in people))  # fmt: skip
        row("credentials", ({
            "organisation": self.org, "id": f"cred-b{n}", "device": f"dev-b{n}", "kind": "device-secret",
            "public_id": f"b{n:07}", "verifier": bytes(32), "created_at": now - n, "expires_at": 0.0, "revoked_at": 0.0,
        } for n in people))  # fmt: skip
        conn.execute("UPDATE installation SET change_counter = change_counter + 1")

    def _events(self, now: float) -> Iterator[tuple[object, ...]]:
        dice = random.Random(1)
        for n in range(self.events):
            who, refused = dice.randrange(self.accounts), n % 5 == 0
            door = DOORS[n % len(DOORS)]
            data: dict[str, object] = {
                "claimed": f"person{who:05}@playground.example",
                "rung": "device-secret",
            }
            if refused:
                data |= {
                    "reason": REASONS[n % len(REASONS)],
                    "rung": "nothing",
                    "sentence": "This device is not known.",
                }
            else:
                data |= {"credential": f"cred-b{who}"}
            yield (
                f"bench-{n}",
                now - dice.random() * 30 * 86400,
                "door.login.refused" if refused else "door.login.allowed",
                self.org,
                "" if refused else f"acc-b{who}",
                "" if refused else f"dev-b{who}",
                door,
                f"198.51.{dice.randrange(256)}.{dice.randrange(256)}",
                json.dumps(data),
            )
