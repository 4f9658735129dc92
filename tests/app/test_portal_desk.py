"""The portal's desk over a real store: what a person may do for oneself, and that nothing of others is ever there."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from gambeson.app.portal_desk import NOBODY_TOLD, PortalDesk
from gambeson.app.worker_store import WorkerStore
from gambeson.model.access import DoorKind
from gambeson.model.asset import CredentialKind, DeviceKind, DeviceState
from gambeson.model.event import Event
from gambeson.model.finding import Severity
from gambeson.model.snapshot import SnapshotIndex
from gambeson.process import portal_messages as p
from gambeson.process.channel import Channel, ChannelRefused
from gambeson.process.child import Peer
from gambeson.process.messages import (
    Done,
    FollowerHello,
    HealthAsk,
    KillAsk,
    Message,
    PublishAsk,
    Published,
    Refused,
    Sessions,
)
from gambeson.process.packet import pair
from gambeson.process.publisher import PublishError
from gambeson.process.worker import Worker
from gambeson.process.worker_link import WorkerLink
from gambeson.store.binding_codes import GOOD_FOR
from gambeson.store.control import Store
from gambeson.store.tenant import OrganisationStore
from gambeson.store.web_sessions import IDLE
from peers.postgresql import PostgreSql

NOW = 1_800_000_000.0
BY: dict[str, Any] = {"by": "root", "at": NOW}
COOKIE, OTHER_COOKIE = b"c" * 32, b"d" * 32
M = TypeVar("M", bound=Message)


@pytest.fixture(scope="session")
def desk_databases(postgresql: PostgreSql) -> Iterator[Callable[[], str]]:
    """Empty databases of a role that row-level security holds for."""
    server, numbers = make_url(postgresql.url), itertools.count(1)
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        conn.exec_driver_sql("CREATE ROLE desk LOGIN NOSUPERUSER NOBYPASSRLS")

    def make() -> str:
        name = f"desk_{next(numbers)}"
        with engine.connect() as conn:
            conn.exec_driver_sql(f"CREATE DATABASE {name} OWNER desk")
        return str(server.set(database=name, username="desk"))

    yield make
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path / 'control.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("desk_databases")()
    with Store.open(url) as opened:
        yield opened


class World:
    """Two organisations, a desk, and a clock that stands still until it is told."""

    def __init__(self, store: Store) -> None:
        self.store, self.now, self.published = store, NOW, 0
        self.trouble = False
        self.a = store.create_organisation("A", domains=["a.example"], id="org-a", **BY)
        self.b = store.create_organisation("B", domains=["b.example"], id="org-b", **BY)
        for org, name in ((self.a, "ann"), (self.a, "ben"), (self.b, "bob")):
            org.accounts.create(
                f"{name}@{org.id[-1]}.example", aliases=[f"{name}.x@{org.id[-1]}.example"], id=name, **BY
            )
        self.a.accounts.set_password("ann", "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA", **BY)
        self.desk = PortalDesk(store, self._publish, clock=lambda: self.now, life=7)

    async def _publish(self) -> Published:
        if self.trouble:
            raise PublishError("no snapshot could be published")
        self.published += 1
        return Published(number=self.published, acknowledged=("doors.1.0",))

    def ask(self, message: Message) -> Any:
        return asyncio.run(self.desk(message))

    def gives(self, message: Message, kind: type[M]) -> M:
        answer = self.ask(message)
        assert isinstance(answer, kind), answer
        return answer

    def refuses(self, message: Message) -> str:
        return self.gives(message, Refused).reason

    def session(self, account: str = "ann", secret: bytes = COOKIE, **more: Any) -> p.SessionRow:
        ask = p.SessionOpen(account=account, rung="knowledge-and-code", secret=secret, at=0.0, **more)
        return self.gives(ask, p.SessionRow)

    def device(self, name: str = "Phone", account: str = "ann", **more: Any) -> Any:
        given = {"public_id": f"pub-{account}-{name}", "verifier": bytes(32), "doors": ("imap", "eas")} | more
        return self.ask(p.DeviceAdd(account=account, name=name, at=0.0, **given))

    def audited(self, org: OrganisationStore | None = None) -> list[tuple[str, str]]:
        return [(e.action, e.by) for e in (org or self.a).audit() if e.by != "root"]


@pytest.fixture
def world(store: Store) -> Iterator[World]:
    made = World(store)
    yield made
    made.desk.close()


# -- who somebody is -----------------------------------------------------------------------------------


def test_a_person_is_found_by_address_alias_account_and_passkey(world: World) -> None:
    key = p.Authenticator(
        id="", kind="passkey", name="Key", public_id=b"cred", public_key=b"cose", sign_count=3
    )
    world.gives(p.AddAuthenticator(account="ann", authenticator=key), Done)
    asks = (
        p.PersonAsk(address="Ann@A.example"),
        p.PersonAsk(address="ann.x@a.example"),
        p.PersonAsk(account="ann"),
        p.PersonAsk(passkey=b"cred"),
    )
    found = [world.gives(ask, p.Person) for ask in asks]
    assert found == [found[0]] * 4
    ann = found[0]
    assert (ann.known, ann.organisation, ann.organisation_name, ann.account) == (True, "org-a", "A", "ann")
    assert ann.clouds == ()
    world.a.set_cloud("microsoft", allowed=True, by="root", at=NOW)
    assert world.gives(p.PersonAsk(account="ann"), p.Person).clouds == ("microsoft",)
    assert (ann.address, ann.enabled, ann.source) == ("ann@a.example", True, "local")
    assert ann.password_hash.startswith("$argon2id$")
    [kept] = ann.authenticators
    assert (kept.kind, kept.public_id, kept.public_key, kept.sign_count) == ("passkey", b"cred", b"cose", 3)


def test_nobody_looks_like_somebody(world: World) -> None:
    ben = world.gives(p.PersonAsk(address="ben@a.example"), p.Person)
    asks = [
        p.PersonAsk(address="x@a.example"),
        p.PersonAsk(address="x@nowhere.example"),
        p.PersonAsk(address="no address"),
        p.PersonAsk(account="zoe"),
        p.PersonAsk(passkey=b"unknown"),
    ]
    nobodies = [world.gives(ask, p.Person) for ask in asks]
    for nobody, ask in zip(nobodies, asks, strict=True):
        assert not nobody.known
        assert nobody == p.Person(known=False, user_handle=nobody.user_handle)
        assert nobody == world.gives(ask, p.Person)  # the same each time
    handles = {each.user_handle for each in (*nobodies, ben)}
    assert len(handles) == len(nobodies) + 1
    assert {len(handle) for handle in handles} == {32}
    assert b"x@a.example" not in b"".join(handles)


def test_a_handle_stays_when_the_address_changes_and_after_a_restart(world: World) -> None:
    before = world.gives(p.PersonAsk(account="ann"), p.Person).user_handle
    world.a.accounts.update("ann", address="new@a.example", **BY)
    world.desk = PortalDesk(world.store, world._publish, clock=lambda: world.now)
    assert world.gives(p.PersonAsk(address="new@a.example"), p.Person).user_handle == before


@pytest.mark.parametrize("ask", [p.PersonAsk(), p.PersonAsk(address="ann@a.example", account="bob")])
def test_one_asks_by_one_thing(world: World, ask: p.PersonAsk) -> None:
    assert world.refuses(ask) == "bad-value"


# -- second factors ------------------------------------------------------------------------------------


def totp(world: World, account: str = "ann") -> str:
    new = p.Authenticator(id="", kind="totp", sealed=b"box")
    world.gives(p.AddAuthenticator(account=account, authenticator=new), Done)
    return world.gives(p.PersonAsk(account=account), p.Person).authenticators[-1].id


def test_a_step_is_taken_once_even_by_two_at_the_same_moment(world: World) -> None:
    id = totp(world)
    ask = p.UseAuthenticator(account="ann", id=id, at=0.0, last_step=60_000_000)

    async def both() -> list[Message]:
        return await asyncio.gather(*(world.desk(ask) for _ in range(8)))

    answers = asyncio.run(both())
    assert sum(isinstance(a, Done) for a in answers) == 1
    assert {a.reason for a in answers if isinstance(a, Refused)} == {"used"}


def test_a_recovery_code_is_spent_and_a_counter_that_went_back_is_refused(world: World) -> None:
    codes = p.Authenticator(id="", kind="recovery", verifiers=(b"a" * 32, b"b" * 32))
    key = p.Authenticator(id="key", kind="passkey", public_id=b"id", public_key=b"k", sign_count=5)
    for new in (codes, key):
        world.gives(p.AddAuthenticator(account="ann", authenticator=new), Done)
    kept = {a.kind: a for a in world.gives(p.PersonAsk(account="ann"), p.Person).authenticators}
    spend = p.UseAuthenticator(account="ann", id=kept["recovery"].id, at=0.0, spent=b"a" * 32)
    world.gives(spend, Done)
    assert world.refuses(spend) == "used"
    assert world.refuses(p.UseAuthenticator(account="ann", id="key", at=0.0, sign_count=5)) == "used"
    world.gives(p.UseAuthenticator(account="ann", id="key", at=0.0, sign_count=6), Done)
    assert world.refuses(p.AddAuthenticator(account="ben", authenticator=key)) == "taken"
    # The last that signs in stays; recovery codes are none.
    assert world.refuses(p.RemoveAuthenticator(account="ann", id="key")) == "taken"
    totp(world)
    world.gives(p.RemoveAuthenticator(account="ann", id="key"), Done)
    assert world.refuses(p.RemoveAuthenticator(account="ann", id="key")) == "unknown"


@pytest.mark.parametrize("kind", ["", "sms", "PASSKEY"])
def test_there_are_no_other_kinds(world: World, kind: str) -> None:
    new = p.Authenticator(id="", kind=kind, sealed=b"x")
    assert world.refuses(p.AddAuthenticator(account="ann", authenticator=new)) == "bad-value"


def test_a_binding_code_goes_by_the_workers_clock(world: World) -> None:
    world.a.binding_codes.make("ann", b"v" * 32, **BY)
    use = p.BindingCodeUse(account="ann", verifier=b"v" * 32, at=NOW)
    assert world.refuses(p.BindingCodeUse(account="ben", verifier=b"v" * 32, at=NOW)) == "unknown"
    assert world.refuses(p.BindingCodeUse(account="ann", verifier=b"w" * 32, at=NOW)) == "unknown"
    world.now = NOW + GOOD_FOR
    assert world.refuses(use) == "unknown"  # whatever the console says of the time
    world.now = NOW + GOOD_FOR - 1
    world.gives(use, Done)
    assert world.refuses(use) == "unknown"


# -- sessions ------------------------------------------------------------------------------------------


def test_a_session_is_found_by_its_cookie_until_it_is_over(world: World) -> None:
    row = world.session(source="192.0.2.7", agent="Firefox", how="password and passkey")
    assert (row.account, row.organisation, row.address) == ("ann", "org-a", "ann@a.example")
    assert (row.source, row.agent, row.how) == ("192.0.2.7", "Firefox", "password and passkey")
    for ask in (p.SessionFind(at=0.0, secret=COOKIE), p.SessionFind(at=0.0, id=row.id)):
        assert world.gives(ask, p.SessionRow) == row
    assert world.refuses(p.SessionFind(at=0.0, secret=OTHER_COOKIE)) == "gone"
    assert world.refuses(p.SessionFind(at=0.0)) == "bad-value"
    world.gives(p.SessionStep(id=row.id, at=0.0, rung="device-key"), Done)
    assert world.gives(p.SessionFind(at=0.0, id=row.id), p.SessionRow).rung == "device-key"
    world.gives(p.SessionStep(id=row.id, at=0.0, secret=OTHER_COOKIE), Done)
    assert world.refuses(p.SessionFind(at=0.0, secret=COOKIE)) == "gone"
    assert world.gives(p.SessionFind(at=0.0, secret=OTHER_COOKIE), p.SessionRow).id == row.id
    assert world.refuses(p.SessionStep(id=row.id, at=0.0, secret=b"short")) == "bad-value"
    world.now = NOW + IDLE
    assert world.refuses(p.SessionFind(at=NOW, secret=OTHER_COOKIE)) == "gone"
    assert world.refuses(p.SessionStep(id=row.id, at=NOW)) == "gone"


def test_ending_is_told_to_the_doors_and_only_ones_own_ends(world: World) -> None:
    ann, bob = world.session(), world.session("bob", OTHER_COOKIE)
    world.gives(p.SessionEnd(account="ann", at=0.0, id=bob.id), Published)
    world.gives(p.SessionFind(at=0.0, id=bob.id), p.SessionRow)
    told = world.gives(p.SessionEnd(account="ann", at=0.0, id=ann.id), Published)
    assert (told.number, told.acknowledged) == (1, ("doors.1.0",))  # the one before ended nothing
    assert world.refuses(p.SessionFind(at=0.0, id=ann.id)) == "gone"
    assert world.store.load_snapshot_parts(NOW + 1).ended_sessions == (ann.id,)


def test_where_no_snapshot_can_be_made_the_session_is_ended_all_the_same(world: World) -> None:
    row = world.session()
    world.trouble = True
    assert world.ask(p.SessionEnd(account="ann", at=0.0)) == NOBODY_TOLD
    assert world.refuses(p.SessionFind(at=0.0, id=row.id)) == "gone"


def test_a_disabled_account_does_nothing_but_end_things(world: World) -> None:
    row, device, factor = world.session(), world.device(), totp(world)
    world.a.accounts.update("ann", enabled=False, **BY)
    assert world.refuses(p.SessionFind(at=0.0, id=row.id)) == "gone"
    assert world.refuses(p.SessionStep(id=row.id, at=0.0)) == "gone"
    for ask in (
        p.SessionOpen(account="ann", rung="device-key", secret=OTHER_COOKIE, at=0.0),
        p.UseAuthenticator(account="ann", id=factor, at=0.0, last_step=9),
        p.BindingCodeUse(account="ann", verifier=b"v" * 32, at=0.0),
        p.OwnThings(account="ann"),
        p.DeviceEnd(account="ann", device=device.id, at=0.0),
    ):
        assert world.refuses(ask) == "disabled"
    assert not world.gives(p.PersonAsk(account="ann"), p.Person).enabled
    world.gives(p.SessionEnd(account="ann", at=0.0), Published)


# -- devices -------------------------------------------------------------------------------------------


def test_a_device_is_registered_with_its_secret_and_shown(world: World) -> None:
    row = world.session()
    device = world.device(session=row.id)
    assert isinstance(device, p.OwnDevice)
    assert (device.name, device.state, device.doors) == ("Phone", "registered", ("imap", "eas"))
    assert world.published == 1
    credential = world.a.credentials.find(CredentialKind.DEVICE_SECRET, "pub-ann-Phone")
    assert (credential.device, credential.verifier) == (device.id, bytes(32))
    things = world.gives(p.OwnThings(account="ann"), p.Things)
    assert [d.id for d in things.devices] == [device.id]
    assert [s.id for s in things.sessions] == [row.id]
    assert world.gives(p.OwnThings(account="ben"), p.Things) == p.Things()


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"doors": ("owa",)}, "bad-value"),
        ({"doors": ("imap", "portal")}, "bad-value"),
        ({"doors": ("api",)}, "bad-value"),
        ({"doors": ()}, "bad-value"),
        ({"doors": ("nonsense",)}, "bad-value"),
        ({"verifier": bytes(31)}, "bad-value"),
        ({"verifier": b""}, "bad-value"),
        ({"name": ""}, "bad-value"),
        ({"name": "x" * 101}, "bad-value"),
        ({"account": "zoe"}, "unknown"),
        ({"session": "web-none"}, "gone"),
    ],
)
def test_what_is_not_registered_leaves_nothing(world: World, given: dict[str, Any], reason: str) -> None:
    assert world.device(**given).reason == reason
    assert world.a.devices.list() == []
    assert world.published == 0


def test_names_public_ids_and_places_are_taken_once(world: World) -> None:
    world.device()
    assert world.device(public_id="other").reason == "taken"
    assert world.device("Tablet", public_id="pub-ann-Phone").reason == "taken"
    assert [d.name for d in world.a.devices.list()] == ["Phone"]
    for number in range(19):
        assert isinstance(world.device(f"Device {number}"), p.OwnDevice)
    assert world.device("One more").reason == "taken"
    assert isinstance(world.device(account="ben"), p.OwnDevice)


def test_another_accounts_session_is_no_session_to_act_in(world: World) -> None:
    bens = world.session("ben")
    assert world.device(session=bens.id).reason == "gone"
    device = world.device()
    assert world.refuses(p.DeviceEnd(account="ann", device=device.id, at=0.0, session=bens.id)) == "gone"


def used(world: World, device: str, at: float, id: str = "e1", **more: Any) -> Event:
    given = {
        "account": "ann",
        "door": "imap",
        "source": "203.0.113.5",
        "data": {"program": "Mail 1.0"},
    } | more
    event = Event(id, at, "door.login.allowed", "org-a", device=device, **given)
    world.store.events.append([event])
    return event


def test_this_was_not_me_shuts_the_device_out_and_leaves_a_finding(world: World) -> None:
    row, device = world.session(), world.device()
    used(world, device.id, NOW - 60)
    ask = p.DeviceEnd(account="ann", device=device.id, at=0.0, alarm=True, session=row.id)
    assert world.gives(ask, Published).number == 2
    assert world.a.devices.get(device.id).state is DeviceState.BLOCKED
    assert world.a.credentials.list(device=device.id)[0].revoked_at == NOW
    [finding] = world.a.findings.list()
    assert (finding.rule, finding.severity, finding.asset_name) == (
        "portal.not-me",
        Severity.HIGH,
        "ann@a.example/Phone",
    )
    assert [e.locator for e in finding.evidence] == [f"session {row.id}", "e1"]
    assert "203.0.113.5" in finding.evidence[1].excerpt
    assert world.b.findings.list() == []
    index = SnapshotIndex(WorkerStore(world.store, ()).build(1, NOW))
    assert index.secret["pub-ann-Phone"].revoked_at == NOW


def test_a_plain_removal_forgets_the_device_and_frees_its_name(world: World) -> None:
    device = world.device()
    world.gives(p.DeviceEnd(account="ann", device=device.id, at=0.0), Published)
    assert world.a.devices.list() == []
    assert world.a.findings.list() == []
    assert isinstance(world.device(public_id="again"), p.OwnDevice)


def test_a_machine_is_not_removed_by_its_account_but_may_be_shut_out(world: World) -> None:
    scanner = world.a.devices.create("ann", "Scanner", doors=[DoorKind.IMAP], kind=DeviceKind.MACHINE, **BY)
    assert world.refuses(p.DeviceEnd(account="ann", device=scanner.id, at=0.0)) == "unknown"
    world.gives(p.DeviceEnd(account="ann", device=scanner.id, at=0.0, alarm=True), Published)
    assert world.a.devices.get(scanner.id).state is DeviceState.BLOCKED


def certificate(address: str = "ann@a.example") -> bytes:
    key, at = ec.generate_private_key(ec.SECP256R1()), datetime.fromtimestamp(NOW, UTC)
    name = x509.Name([])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(77).not_valid_before(at).not_valid_after(at + timedelta(days=30))
    alternative = x509.SubjectAlternativeName([x509.RFC822Name(address)])
    signed = builder.add_extension(alternative, critical=False).sign(key, hashes.SHA256())
    return signed.public_bytes(Encoding.PEM)


def test_a_certificate_is_registered_with_its_device(world: World) -> None:
    device = world.device(public_id="", verifier=b"")
    assert not device.certificate

    def asked(**more: Any) -> p.DeviceCertificate:
        given = {"account": "ann", "device": device.id, "credential": "cred-x", "certificate": certificate()}
        return p.DeviceCertificate(at=0.0, **(given | more))

    assert world.refuses(asked(certificate=b"none")) == "bad-value"
    assert world.refuses(asked(certificate=certificate("ben@a.example"))) == "bad-value"
    assert world.refuses(asked(account="ben")) == "unknown"
    world.gives(asked(), Published)
    [row] = world.a.credentials.list(device=device.id)
    assert (row.id, row.kind, row.expires_at) == ("cred-x", CredentialKind.CERTIFICATE, NOW + 30 * 86400)
    assert [c.serial for c in world.a.certificates.list()] == [f"{77:x}"]
    assert world.refuses(asked(credential="cred-y")) == "taken"
    assert world.gives(p.OwnThings(account="ann"), p.Things).devices[0].certificate


def test_what_one_sees_of_ones_own(world: World) -> None:
    device = world.device()
    microsoft = {"program": "Mail 1.0", "cloud": "microsoft", "cloud_evidence": "both"}
    used(world, device.id, NOW - 100, "e1")
    used(world, device.id, NOW - 50, "e2", door="eas", source="2001:db8::1", data=microsoft)
    stranger = {"claimed": "ann.x@a.example", "program": "hydra"}
    bens = {"claimed": "ben@a.example"}
    world.store.events.append(
        [
            Event(
                "e3",
                NOW - 40,
                "door.login.refused",
                "org-a",
                door="imap",
                source="198.51.100.9",
                data=stranger,
            ),
            Event("e4", NOW - 30, "door.login.refused", "org-a", door="imap", data=bens),
            Event("e5", NOW - 20, "door.login.refused", "org-b", door="imap", data=stranger),
            Event("e6", NOW - 10, "door.login.allowed", "org-a", "ben", door="imap"),
        ]
    )
    world.gives(p.PortalEvent(kind="portal.sign-in", at=0.0, account="ann", source="192.0.2.1"), Done)
    things = world.gives(p.OwnThings(account="ann"), p.Things)
    [shown] = things.devices
    assert (shown.last_used, shown.last_door, shown.last_source) == (NOW - 50, "eas", "2001:db8::1")
    assert shown.last_cloud == "Microsoft's mail cloud"
    lines = [(line.at - NOW, line.door, line.outcome, line.device, line.program) for line in things.sign_ins]
    assert lines == [
        (0, "portal", "allowed", "", ""),
        (-40, "imap", "refused", "", "hydra"),
        (-50, "eas", "allowed", "Phone", "Mail 1.0"),
        (-100, "imap", "allowed", "Phone", "Mail 1.0"),
    ]


def test_twenty_sign_ins_and_no_more(world: World) -> None:
    for number in range(30):
        used(world, "", NOW - number, f"e{number}")
    things = world.gives(p.OwnThings(account="ann"), p.Things)
    assert [line.at for line in things.sign_ins] == [NOW - n for n in range(20)]


# -- events and guesses --------------------------------------------------------------------------------


def event(**more: Any) -> p.PortalEvent:
    return p.PortalEvent(**({"kind": "portal.sign-in.refused", "at": 0.0} | more))


@pytest.mark.parametrize(
    ("given", "organisation", "account", "subject"),
    [
        ({"claimed": "Ann@a.example"}, "org-a", "", "ann"),
        ({"claimed": "ann.x@a.example"}, "org-a", "", "ann"),
        ({"claimed": "x@a.example"}, "org-a", "", "x@a.example"),
        ({"claimed": "x@nowhere.example"}, "", "", "x@nowhere.example"),
        ({"account": "ann"}, "org-a", "ann", "ann"),
        ({"account": "ann", "organisation": "org-b"}, "org-a", "ann", "ann"),
        ({"account": "zoe", "organisation": "org-b"}, "", "", ""),
        ({"claimed": "no address"}, "", "", ""),
    ],
)
def test_a_guess_counts_against_whom_it_was_made(
    world: World, given: dict[str, Any], organisation: str, account: str, subject: str
) -> None:
    world.gives(event(guess=True, source="203.0.113.9", sentence="Wrong.", **given), Done)
    world.gives(event(guess=False, **given), Done)
    assert world.store.events.failures(NOW) == ([(subject, 1)] if subject else [])
    if organisation:
        told = world.store.organisation(organisation).events.query(kind="portal")
        assert [(e.account, e.door) for e in told] == [(account, "portal")] * 2
        assert {e.source for e in told} == {"203.0.113.9", ""}
    if subject == "ann":
        assert world.gives(p.PersonAsk(address="ann@a.example"), p.Person).failures == 1
    elif subject:
        assert world.gives(p.PersonAsk(address=subject), p.Person).failures == 1
    assert world.gives(p.PersonAsk(address="ben@a.example"), p.Person).failures == 0


@pytest.mark.parametrize(
    "kind",
    ["door.login.allowed", "keeper.totp.right", "portal", "portal.", "portal.X", "portal.a b", "xportal.a"],
)
def test_the_portal_records_nothing_of_others(world: World, kind: str) -> None:
    assert world.refuses(event(kind=kind)) == "bad-value"


def test_a_flood_of_events_is_cut_and_guesses_are_counted_all_the_same(world: World) -> None:
    for _ in range(70):
        world.gives(event(kind="portal.throttled", source="203.0.113.9", claimed="ann@a.example"), Done)
    assert len(world.a.events.query(kind="portal.throttled")) == 60
    world.gives(event(source="203.0.113.9", claimed="ann@a.example", guess=True), Done)
    world.gives(event(kind="portal.throttled", source="192.0.2.1", claimed="ann@a.example"), Done)
    assert len(world.a.events.query(kind="portal")) == 62
    assert world.store.events.failures(NOW) == [("ann", 1)]


def test_no_flood_keeps_the_first_of_what_people_are_told_from_the_record(world: World) -> None:
    for _ in range(70):
        world.gives(event(kind="portal.throttled", source="203.0.113.9", account="ann"), Done)
    for _ in range(5):
        world.gives(event(kind="portal.factor.added", source="203.0.113.9", account="ann"), Done)
        world.gives(event(kind="portal.factor.removed", source="203.0.113.9", account="ann"), Done)
        world.gives(event(kind="portal.factor.added", source="203.0.113.9", claimed="ann@a.example"), Done)
    assert len(world.a.events.query(kind="portal.factor.added", account="ann")) == 1
    assert len(world.a.events.query(kind="portal.factor")) == 2


# -- nothing of others, everything audited -------------------------------------------------------------


def test_another_organisations_things_are_not_there(world: World) -> None:
    bobs_device, bobs_factor = world.device(account="bob"), totp(world, "bob")
    bobs_session = world.session("bob")
    for account, reason in (("ann", "unknown"), ("ben", "unknown"), ("zoe", "unknown"), ("", "unknown")):
        for ask in (
            p.DeviceEnd(account=account, device=bobs_device.id, at=0.0, alarm=True),
            p.UseAuthenticator(account=account, id=bobs_factor, at=0.0, last_step=9),
            p.RemoveAuthenticator(account=account, id=bobs_factor),
        ):
            assert world.refuses(ask) == reason
    world.ask(p.SessionEnd(account="ann", at=0.0, id=bobs_session.id))
    assert world.b.devices.get(bobs_device.id).state is DeviceState.REGISTERED
    assert [a.last_step for a in world.b.authenticators.list("bob")] == [-1]
    world.gives(p.SessionFind(at=0.0, id=bobs_session.id), p.SessionRow)
    assert all(by == "portal:bob@b.example" for _, by in world.audited(world.b))


def test_every_act_is_audited_as_the_persons(world: World) -> None:
    row, factor = world.session(), totp(world)
    key = p.Authenticator(id="key", kind="passkey", public_id=b"id", public_key=b"k")
    world.gives(p.AddAuthenticator(account="ann", authenticator=key), Done)
    world.a.binding_codes.make("ann", b"v" * 32, **BY)
    world.gives(p.BindingCodeUse(account="ann", verifier=b"v" * 32, at=0.0), Done)
    world.gives(p.UseAuthenticator(account="ann", id=factor, at=0.0, last_step=9), Done)
    world.gives(p.SessionStep(id=row.id, at=0.0), Done)
    device = world.device(session=row.id)
    world.gives(p.DeviceEnd(account="ann", device=device.id, at=0.0, alarm=True), Published)
    world.gives(p.RemoveAuthenticator(account="ann", id=factor), Done)
    world.gives(p.SessionEnd(account="ann", at=0.0), Published)
    assert [action for action, _ in reversed(world.audited())] == [
        "web-session.opened",
        "authenticator.added",
        "authenticator.added",
        "binding-code.used",
        "authenticator.used",
        "web-session.stepped-up",
        "device.created",
        "credential.added",
        "device.revoked",
        "finding.opened",
        "authenticator.removed",
        "web-session.ended",
    ]
    assert {by for _, by in world.audited()} == {"portal:ann@a.example"}
    assert world.store.audit.head()[0] == len(world.a.audit()) + len(world.b.audit())


def test_many_at_the_desk_at_once(world: World) -> None:
    """Two threads, one database: everybody gets an answer, and sessions are not mixed up."""

    def one(number: int) -> tuple[str, str]:
        account = ("ann", "ben", "bob")[number % 3]
        row = world.session(account, number.to_bytes(32))
        found = world.gives(p.SessionFind(at=0.0, secret=number.to_bytes(32)), p.SessionRow)
        assert found.id == row.id
        return account, found.account

    with ThreadPoolExecutor(4) as pool:
        assert all(asked == found for asked, found in pool.map(one, range(1, 25)))


NAMES = st.sampled_from(["ann", "bob", "", "ann@a.example", "web-x", "imap"])
TEXTS = st.one_of(NAMES, st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
OCTETS = st.one_of(st.binary(max_size=40), st.just(bytes(32)))
TIMES = st.floats()  # also NaN and infinities: the desk goes by its own clock
MESSAGES = st.one_of(
    st.builds(p.PersonAsk, address=TEXTS, account=TEXTS, passkey=OCTETS),
    st.builds(
        p.AddAuthenticator,
        account=TEXTS,
        authenticator=st.builds(
            p.Authenticator,
            id=TEXTS,
            kind=st.one_of(TEXTS, st.sampled_from(["passkey", "totp", "recovery"])),
            name=TEXTS,
            public_id=OCTETS,
            public_key=OCTETS,
            sign_count=st.integers(0, 2**62 - 1),
            transports=st.tuples(TEXTS),
            sealed=OCTETS,
            last_step=st.integers(-(2**63), 2**63 - 1),
            verifiers=st.tuples(OCTETS),
        ),
    ),
    st.builds(
        p.UseAuthenticator,
        account=TEXTS,
        id=TEXTS,
        at=TIMES,
        last_step=st.integers(-(2**63), 2**63 - 1),
        spent=OCTETS,
    ),
    st.builds(p.RemoveAuthenticator, account=TEXTS, id=TEXTS),
    st.builds(p.BindingCodeUse, account=TEXTS, verifier=OCTETS, at=TIMES),
    st.builds(p.SessionOpen, account=TEXTS, rung=TEXTS, secret=OCTETS, at=TIMES, source=TEXTS, agent=TEXTS),
    st.builds(p.SessionFind, at=TIMES, secret=OCTETS, id=TEXTS),
    st.builds(p.SessionStep, id=TEXTS, at=TIMES, rung=TEXTS, how=TEXTS, secret=OCTETS),
    st.builds(p.SessionEnd, account=TEXTS, at=TIMES, id=TEXTS, keep=TEXTS, reason=TEXTS),
    st.builds(p.OwnThings, account=TEXTS),
    st.builds(
        p.DeviceAdd,
        account=TEXTS,
        name=TEXTS,
        doors=st.lists(TEXTS, max_size=3).map(tuple),
        public_id=TEXTS,
        verifier=OCTETS,
        at=TIMES,
        session=TEXTS,
    ),
    st.builds(
        p.DeviceCertificate, account=TEXTS, device=TEXTS, credential=TEXTS, certificate=OCTETS, at=TIMES
    ),
    st.builds(p.DeviceEnd, account=TEXTS, device=TEXTS, at=TIMES, alarm=st.booleans(), session=TEXTS),
    st.builds(
        p.PortalEvent,
        kind=st.one_of(TEXTS, st.just("portal.sign-in.refused")),
        at=TIMES,
        organisation=TEXTS,
        account=TEXTS,
        claimed=TEXTS,
        source=TEXTS,
        sentence=TEXTS,
        guess=st.booleans(),
    ),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(message=MESSAGES)
def test_whatever_is_asked_gets_an_answer(world: World, message: Message) -> None:
    answer = world.ask(message)
    assert isinstance(answer, Message)
    if isinstance(answer, Refused):
        assert answer.reason in ("unknown", "disabled", "used", "gone", "taken", "bad-value", "store")
        assert "Traceback" not in answer.sentence


# -- through the worker --------------------------------------------------------------------------------


def test_the_portal_reaches_the_desk_and_the_doors_hear_of_it(world: World, tmp_path: Path) -> None:
    async def main() -> None:
        worker = Worker(WorkerStore(world.store, ()), tmp_path, clock=lambda: world.now)
        ours, theirs = pair()
        held: list[SnapshotIndex] = []
        link = WorkerLink(theirs, "doors.1.0", on_snapshot=held.append)
        console_end, portal_end = pair()
        await worker.start([Peer("doors.1.0", "doors", ours), Peer("portal", "portal", console_end)])
        portal = Channel(portal_end, Done, lambda *_: None, name="the worker", take_fds=False)
        find = p.SessionFind(at=0.0, secret=COOKIE)
        with pytest.raises(ChannelRefused) as refused:
            await portal.request(find, p.SessionRow)
        assert refused.value.reason == "no-portal"
        worker.desk = PortalDesk(world.store, worker.publish, clock=lambda: world.now)
        opened = p.SessionOpen(account="ann", rung="device-key", secret=COOKIE, at=0.0)
        row = await portal.request(opened, p.SessionRow)
        told = await portal.request(p.SessionEnd(account="ann", id=row.id, at=0.0), Published, 5.0)
        assert told.acknowledged == ("doors.1.0",)
        assert held[-1].ended_sessions == {row.id}
        with pytest.raises(ChannelRefused) as over:
            await portal.request(find, p.SessionRow)
        assert over.value.reason == "gone"
        # What administrators ask is not the console's, and what it asks is nobody else's.
        with pytest.raises(ChannelRefused) as foreign:
            await portal.request(KillAsk(account="ann"), Sessions)
        assert foreign.value.reason == "not-for-you"
        assert isinstance(await worker._asked(HealthAsk(), ()), Message)
        assert isinstance(await portal.request(PublishAsk(), Published, 5.0), Published)
        await link.close()
        portal.close()
        worker.desk.close()

    asyncio.run(main())


def test_a_door_cannot_speak_to_the_desk(world: World, tmp_path: Path) -> None:
    async def main() -> None:
        worker = Worker(WorkerStore(world.store, ()), tmp_path)
        worker.desk = PortalDesk(world.store, worker.publish)
        ours, theirs = pair()
        await worker.start([Peer("doors.1.0", "doors", ours)])
        door = Channel(theirs, Done, lambda *_: None, name="the worker", take_fds=True)
        door.send(FollowerHello(life=1))
        with pytest.raises(ChannelRefused) as refused:
            await door.request(p.OwnThings(account="ann"), p.Things)
        assert refused.value.reason == "not-for-you"
        door.close()
        worker.desk.close()

    asyncio.run(main())
