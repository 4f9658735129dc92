"""Every test of the store runs on both databases, through the fixture ``place``."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from gambeson.model.access import DoorKind
from gambeson.model.asset import CredentialKind
from gambeson.store.control import Store
from gambeson.store.tenant import OrganisationStore
from peers.postgresql import PostgreSql

NOW = 1_700_000_000.0
ADMIN: dict[str, Any] = {"by": "root@console", "at": NOW}


@pytest.fixture(scope="session")
def postgresql_databases(postgresql: PostgreSql) -> Iterator[Callable[[], tuple[str, str]]]:
    """Makes empty databases: (URL of the store, URL of the superuser). The store's role is no superuser,
    because a superuser is above row-level security."""
    server = make_url(postgresql.url)
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        conn.exec_driver_sql("CREATE ROLE keeper_of_rows LOGIN NOSUPERUSER NOBYPASSRLS")
    numbers = itertools.count(1)

    def make() -> tuple[str, str]:
        name = f"store_{next(numbers)}"
        with engine.connect() as conn:
            conn.exec_driver_sql(f"CREATE DATABASE {name} OWNER keeper_of_rows")
        of_superuser = server.set(database=name)
        return str(of_superuser.set(username="keeper_of_rows")), str(of_superuser)

    yield make
    engine.dispose()


@dataclass
class Place:
    """Where a store is: ``url``, and raw SQL past the store for tampering and looking."""

    kind: str
    url: str
    raw: Callable[..., list[tuple[Any, ...]]]


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "sqlite":
        control = tmp_path / "data" / "control.db"
        control.parent.mkdir()
        url = f"sqlite:///{control}"
        engines = {
            "control": sa.create_engine(url),
            "events": sa.create_engine(f"sqlite:///{control.with_name('events.db')}"),
        }
    else:
        url, of_superuser = request.getfixturevalue("postgresql_databases")()
        engine = sa.create_engine(of_superuser)
        engines = {"control": engine, "events": engine}

    def raw(statement: str, database: str = "control", **values: Any) -> list[tuple[Any, ...]]:
        with engines[database].begin() as conn:
            result = conn.execute(sa.text(statement), values)
            return [tuple(row) for row in result] if result.returns_rows else []

    yield Place(request.param, url, raw)
    for opened in engines.values():
        opened.dispose()


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with Store.open(place.url) as opened:
        yield opened


@pytest.fixture
def child() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a Python of its own with some code; it ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, *arguments: str) -> subprocess.Popen[str]:
        source = Path(__file__).parents[2] / "src"
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            env=os.environ | {"PYTHONPATH": str(source)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@dataclass
class Sample:
    """An organisation with one of each thing; every id carries ``tag``."""

    org: OrganisationStore
    tag: str
    account: str
    device: str
    credential: str
    serial: str
    finding: str
    job: str
    authenticator: str
    web_session: str
    action: str


@pytest.fixture(scope="session")
def sample() -> Callable[[Store, str], Sample]:
    return make_sample


def make_sample(store: Store, tag: str) -> Sample:
    from gambeson.model.access import Mode
    from gambeson.model.event import Event
    from gambeson.model.finding import Finding, Severity
    from gambeson.store.authenticators import AuthenticatorKind

    org = store.create_organisation(f"Org {tag}", domains=[f"{tag}.example"], id=f"org-{tag}", **ADMIN)
    account = org.accounts.create(
        f"ann@{tag}.example", aliases=[f"a.n@{tag}.example"], id=f"acc-{tag}", **ADMIN
    )
    org.accounts.set_password(account.id, "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA", **ADMIN)
    org.accounts.seal_password(account.id, b"box of " + tag.encode(), **ADMIN)
    device = org.devices.create(account.id, "phone", doors=[DoorKind.IMAP], id=f"dev-{tag}", **ADMIN)
    credential = org.credentials.add(
        device.id, CredentialKind.DEVICE_SECRET, f"pub{tag}", verifier=bytes(32), id=f"cred-{tag}", **ADMIN
    )
    serial = tag.encode().hex()
    org.certificates.record(serial, serial * 2, device.id, not_after=NOW + 1e6, **ADMIN)
    org.policies.add(f"# policy of {tag}\n", **ADMIN)
    org.modes.set(DoorKind.IMAP, Mode.OBSERVE, until=NOW + 100, account=account.id, **ADMIN)
    org.bypass.open(NOW + 60, "drill", **ADMIN)
    org.sealed.put("master", b"sealed " + tag.encode(), **ADMIN)
    finding = org.findings.open(
        Finding(f"find-{tag}", "", "Server", "mail", "rule.one", "A title", Severity.HIGH, "because"), **ADMIN
    )
    job = org.jobs.add("scan", {"host": tag}, **ADMIN)
    authenticator = org.authenticators.add(
        account.id, AuthenticatorKind.TOTP, sealed=b"totp of " + tag.encode(), id=f"auth-{tag}", **ADMIN
    )
    org.invitations.make([(account.id, tag.encode() * 32)], good_for=600, **ADMIN)
    secret = sha256(tag.encode()).digest()
    web_session = org.web_sessions.open(account.id, "device-key", secret, id=f"web-{tag}", **ADMIN)
    org.eas_devices.decide(account.id, f"phone{tag}", "allowed", **ADMIN)
    org.eas_devices.came_first(credential.id, account.id, f"first{tag}", **ADMIN)
    action = org.actions.plan("device.revoke", device.id, {}, id=f"act-{tag}", **ADMIN)
    store.events.append(
        [Event(f"ev-{tag}", NOW, "door.login.allowed", org.id, account.id, device.id, "imap", "192.0.2.1")]
    )
    return Sample(
        org,
        tag,
        account.id,
        device.id,
        credential.id,
        serial,
        finding.id,
        job.id,
        authenticator.id,
        web_session.id,
        action.id,
    )
