"""The portal's sessions: how long they live, how they end, and who is told."""

from __future__ import annotations

from typing import Any

import pytest

from gambeson.model.access import DoorKind
from gambeson.model.asset import CredentialKind
from gambeson.store.control import Store
from gambeson.store.errors import BadValue, NotFound
from gambeson.store.portal import Whose
from gambeson.store.tenant import OrganisationStore
from gambeson.store.web_sessions import IDLE, KEPT_FOR, LONGEST, MAX_LIVE, TOLD_FOR

NOW = 1_700_000_000.0
PORTAL: dict[str, Any] = {"by": "portal:ann@a.example"}


@pytest.fixture
def org(store: Store) -> OrganisationStore:
    org = store.create_organisation("A", domains=["a.example"], id="org-a", by="root", at=NOW)
    for name in ("ann", "ben"):
        org.accounts.create(f"{name}@a.example", id=name, by="root", at=NOW)
    return org


@pytest.fixture
def whose(store: Store) -> Whose:
    return Whose(store.control, store.event_database)


def opened(
    org: OrganisationStore, number: int = 1, account: str = "ann", at: float = NOW, **more: Any
) -> str:
    given = {"rung": "knowledge-and-code", "secret": number.to_bytes(32), **more}
    return org.web_sessions.open(account, given.pop("rung"), given.pop("secret"), at=at, **given, **PORTAL).id


def live(org: OrganisationStore, id: str, at: float) -> bool:
    try:
        return org.web_sessions.seen(id, at).id == id
    except NotFound:
        return False


def test_it_lives_while_it_is_seen_and_twelve_hours_at_most(org: OrganisationStore) -> None:
    idle, busy = opened(org, 1), opened(org, 2)
    at = NOW
    while at < NOW + LONGEST - 1:
        assert live(org, busy, at)
        at += IDLE - 10
    assert not live(org, busy, NOW + LONGEST)
    assert not live(org, idle, NOW + IDLE)


def test_being_seen_is_written_now_and_then_and_is_no_act(org: OrganisationStore, store: Store) -> None:
    id = opened(org)
    counted, entries = store.change_counter(), len(org.audit())
    for at in (NOW + 1, NOW + 59, NOW + 61, NOW + 100):
        org.web_sessions.seen(id, at)
    assert org.web_sessions.seen(id, NOW + 101).last_seen == NOW + 61
    assert (store.change_counter(), len(org.audit())) == (counted, entries)


def test_what_it_was_opened_with(org: OrganisationStore) -> None:
    agent = "Fire\x1b[31mfox" + "x" * 500
    id = opened(org, source="192.0.2.1", agent=agent, how="password and passkey", rung="device-key")
    session = org.web_sessions.seen(id, NOW)
    assert (session.account, session.rung, session.source) == ("ann", "device-key", "192.0.2.1")
    assert session.how == "password and passkey"
    assert session.agent.startswith("Fire\ufffd[31mfox")
    assert len(session.agent) == 200
    assert (session.at, session.stepped_at, session.ends) == (NOW, NOW, NOW + LONGEST)


@pytest.mark.parametrize(
    "given", [{"rung": "admin"}, {"rung": ""}, {"secret": b"short"}, {"source": "x" * 65}, {"how": "a\0"}]
)
def test_what_no_session_is_opened_with(org: OrganisationStore, given: dict[str, Any]) -> None:
    with pytest.raises(BadValue):
        opened(org, **given)
    with pytest.raises(NotFound):
        opened(org, account="nobody")


def test_a_step_raises_the_rung_and_never_lowers_it(org: OrganisationStore) -> None:
    id = opened(org)
    for rung, after in (("device-key", "device-key"), ("knowledge", "device-key"), ("", "device-key")):
        assert org.web_sessions.step(id, rung=rung, at=NOW + 5, **PORTAL).rung == after
    assert org.web_sessions.seen(id, NOW + 6).stepped_at == NOW + 5
    with pytest.raises(BadValue):
        org.web_sessions.step(id, rung="root", at=NOW + 5, **PORTAL)
    with pytest.raises(NotFound):
        org.web_sessions.step(id, at=NOW + 2 * IDLE, **PORTAL)


def test_one_is_ended_or_all_but_one_and_only_the_accounts_own(org: OrganisationStore) -> None:
    one, two, three = (opened(org, n) for n in (1, 2, 3))
    bens = opened(org, 4, "ben")
    assert org.web_sessions.end("ann", id=bens, at=NOW, **PORTAL) == []
    assert org.web_sessions.end("ann", id=one, reason="signed out", at=NOW + 1, **PORTAL) == [one]
    assert org.web_sessions.end("ann", id=one, at=NOW + 9, **PORTAL) == []
    assert org.web_sessions.end("ann", keep=two, at=NOW + 2, **PORTAL) == [three]
    assert [s.id for s in org.web_sessions.list("ann", NOW + 3)] == [two]
    assert {s.id for s in org.web_sessions.list(None, NOW + 3)} == {two, bens}
    assert not live(org, one, NOW + 1)
    assert not live(org, one, NOW)  # a clock that is set back brings nothing back


def test_a_snapshot_names_the_ended_while_a_token_may_be_in_force(
    store: Store, org: OrganisationStore
) -> None:
    first, second = opened(org, 1), opened(org, 2)
    org.web_sessions.end("ann", id=first, at=NOW + 10, **PORTAL)

    def told(at: float) -> tuple[str, ...]:
        return store.load_snapshot_parts(at).ended_sessions

    assert told(NOW + 11) == (first,)
    assert told(NOW + 10 + TOLD_FOR - 1) == (first,)
    assert told(NOW + 10 + TOLD_FOR) == ()
    assert live(org, second, NOW + 11)


def test_the_longest_unseen_makes_room(org: OrganisationStore) -> None:
    ids = [opened(org, n, at=NOW + n) for n in range(MAX_LIVE + 2)]
    at = NOW + MAX_LIVE + 2
    assert {s.id for s in org.web_sessions.list("ann", at)} == set(ids[2:])


def test_what_has_been_over_for_a_day_is_thrown_away(
    org: OrganisationStore, whose: Whose, place: Any
) -> None:
    ended, expired = opened(org, 1), opened(org, 2)
    org.web_sessions.end("ann", id=ended, at=NOW, **PORTAL)
    org.binding_codes.make("ann", bytes(32), by="root", at=NOW)
    assert whose.prune(NOW + KEPT_FOR) == 0
    assert whose.prune(NOW + KEPT_FOR + 1) == 1
    assert place.raw("SELECT id FROM web_sessions") == [(expired,)]
    assert whose.prune(NOW + LONGEST + KEPT_FOR + 1) == 1
    assert place.raw("SELECT count(*) FROM binding_codes") == [(0,)]


def test_the_acts_are_audited(org: OrganisationStore) -> None:
    id = opened(org)
    org.web_sessions.step(id, at=NOW, **PORTAL)
    org.web_sessions.end("ann", at=NOW, **PORTAL)
    told = [e for e in org.audit() if e.action.startswith("web-session.")]
    assert [e.action.rpartition(".")[2] for e in told] == ["ended", "stepped-up", "opened"]
    assert {(e.by, e.subject) for e in told} == {("portal:ann@a.example", id)}


# -- whose a name, an account, a passkey, a cookie is ------------------------------------------------------


def test_whose_things_are(store: Store, org: OrganisationStore, whose: Whose) -> None:
    from gambeson.store.authenticators import AuthenticatorKind

    id = opened(org, 5)
    org.authenticators.add(
        "ann", AuthenticatorKind.PASSKEY, public_id=b"key", public_key=b"k", at=NOW, **PORTAL
    )
    totp = org.authenticators.add("ann", AuthenticatorKind.TOTP, sealed=b"x", id="6b6579ff", at=NOW, **PORTAL)
    assert whose.account("ann") == whose.domain("a.example") == "org-a"
    assert whose.address("ann@a.example") == whose.passkey(b"key") == ("org-a", "ann")
    assert whose.session(secret=(5).to_bytes(32)) == whose.session(id=id) == ("org-a", id)
    for nobody in (
        whose.address("x@a.example"),
        whose.passkey(b"other"),
        whose.passkey(bytes.fromhex(totp.id)),  # another kind's own id is no credential id
        whose.session(secret=bytes(32)),
        whose.session(id=""),
    ):
        assert nobody == ("", "")
    assert whose.account("") == whose.account("zoe") == whose.domain("b.example") == ""


def test_the_secret_is_made_once(store: Store, whose: Whose) -> None:
    secret = whose.secret()
    assert len(secret) == 32
    assert Whose(store.control, store.event_database).secret() == secret


def test_two_that_need_the_secret_first_get_the_same(store: Store) -> None:
    both = [Whose(store.control, store.event_database) for _ in range(2)]
    assert both[0]._make_secret() == both[1]._make_secret()


def test_eas_decisions_go_into_the_snapshot(store: Store, org: OrganisationStore) -> None:
    decide: Any = org.eas_devices.decide
    decide("ann", "ApplDNQ1", "blocked", by="root", at=NOW)
    decide("ann", "appldnq1", "allowed", by="root", at=NOW)
    decide("ben", "SEC1", "quarantined", by="root", at=NOW)
    assert store.load_snapshot_parts(NOW).eas_devices == (
        ("ann", "appldnq1", "allowed"),
        ("ben", "sec1", "quarantined"),
    )
    org.eas_devices.forget("ben", "SEC1", by="root", at=NOW)
    assert [d.device_id for d in org.eas_devices.list()] == ["appldnq1"]
    for account, device, word, kind in (
        ("ann", "x" * 65, "allowed", BadValue),
        ("ann", "a b", "allowed", BadValue),
        ("ann", "abc", "maybe", BadValue),
        ("nobody", "abc", "allowed", NotFound),
    ):
        with pytest.raises(kind):
            decide(account, device, word, by="root", at=NOW)
    with pytest.raises(NotFound):
        org.eas_devices.forget("ben", "SEC1", by="root", at=NOW)


@pytest.fixture
def secret(org: OrganisationStore) -> str:
    """The id of a device secret of Ann's."""
    device = org.devices.create("ann", "Phone", doors=[DoorKind.EAS], by="root", at=NOW)
    kind = CredentialKind.DEVICE_SECRET
    return org.credentials.add(device.id, kind, "public", verifier=bytes(32), by="root", at=NOW).id


def test_the_first_device_id_of_a_credential_stays(store: Store, org: OrganisationStore, secret: str) -> None:
    came: Any = org.eas_devices.came_first
    assert came(secret, "ann", "ApplDNQ1", by="a door", at=NOW)
    counted = store.change_counter()
    assert not came(secret, "ann", "OTHER", by="a door", at=NOW + 1)
    assert store.change_counter() == counted  # so no new snapshot
    assert store.load_snapshot_parts(NOW).eas_firsts == ((secret, "appldnq1"),)
    assert org.eas_devices.firsts() == org.eas_devices.firsts(account="ann") == {secret: "appldnq1"}
    assert org.eas_devices.firsts(account="ben") == {}
    for credential, account, device, kind in (
        ("cred-none", "ann", "abc", NotFound),
        ("cred-none", "ann", "x" * 65, BadValue),
        ("cred-none", "ann", "", BadValue),
    ):
        with pytest.raises(kind):
            came(credential, account, device, by="a door", at=NOW)
    assert [e.action for e in org.audit()].count("eas-device.came-first") == 1


def test_a_first_device_id_is_kept_for_the_credentials_own_account_only(
    org: OrganisationStore, secret: str
) -> None:
    with pytest.raises(NotFound):
        org.eas_devices.came_first(secret, "ben", "abc", by="a door", at=NOW)
    assert org.eas_devices.firsts() == {}


def test_a_first_device_id_goes_with_its_credential_and_by_an_administrators_word(
    store: Store, org: OrganisationStore, secret: str
) -> None:
    came: Any = org.eas_devices.came_first
    came(secret, "ann", "one", by="a door", at=NOW)
    org.eas_devices.forget("ann", "ONE", by="root", at=NOW)
    assert store.load_snapshot_parts(NOW).eas_firsts == ()
    assert came(secret, "ann", "two", by="a door", at=NOW)
    org.credentials.revoke(secret, by="root", at=NOW)
    assert store.load_snapshot_parts(NOW).eas_firsts == ()  # a revoked one is no phone of the account's
    (device,) = org.devices.list()
    org.devices.delete(device.id, by="root", at=NOW)
    assert org.eas_devices.firsts() == {}
