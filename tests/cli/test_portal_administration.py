"""An administrator and the portal: binding codes, second factors after a loss, sessions; running and stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gambeson.app.keeper_child import open_keeper_keys
from gambeson.process.keeper_portal import code_verifier
from gambeson.process.keys import KeeperKeys
from gambeson.store.authenticators import AuthenticatorKind
from gambeson.store.control import Store
from gambeson.store.errors import NotFound
from gambeson.store.tenant import OrganisationStore
from gambeson.store.urls import sqlite_url
from peers.gambeson import Gambeson

ALMA, BRUNO = "alma@playground.example", "bruno@playground.example"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gambeson]:
    with Gambeson(tmp_path_factory.mktemp("portal") / "data") as gambeson:
        yield gambeson


@pytest.fixture
def org(running: Gambeson) -> Iterator[OrganisationStore]:
    """The playground's organisation, in its own store."""
    with Store.open(sqlite_url(running.data), migrate=False) as store:
        yield store.organisation(store.organisations()[0].id)


def keys(gambeson: Gambeson) -> KeeperKeys:
    told = {"folder": str(gambeson.data / "keeper"), "key": None, "passphrase": None}
    return open_keeper_keys(told, time.time())


def test_a_code_is_shown_once_kept_as_a_verifier_and_good_once(
    running: Gambeson, org: OrganisationStore
) -> None:
    answer = running.json("account", "code", ALMA)
    code, account = answer["code"], org.accounts.find(ALMA)
    plain = code.replace("-", "")
    assert len(plain) == 16
    assert set(plain) <= set("0123456789abcdefghjkmnpqrstvwxyz")
    stored = (running.data / "store" / "control.db").read_bytes()
    stored += (running.data / "store" / "control.db-wal").read_bytes()
    assert plain.encode() not in stored
    assert code.encode() not in stored
    told = running.run("audit", "show", "--json").stdout
    assert "binding-code.made" in told
    assert code not in told
    verifier = code_verifier(keys(running), code.upper().replace("-", " "), f"binding:{account.id}")
    org.binding_codes.spend(account.id, verifier, by="portal:alma", at=time.time())
    with pytest.raises(NotFound):
        org.binding_codes.spend(account.id, verifier, by="portal:alma", at=time.time())


def test_a_new_code_takes_the_place_of_the_old_one(running: Gambeson, org: OrganisationStore) -> None:
    first, second = (running.json("account", "code", BRUNO)["code"] for _ in range(2))
    assert first != second
    account = org.accounts.find(BRUNO).id
    old, new = (code_verifier(keys(running), code, f"binding:{account}") for code in (first, second))
    with pytest.raises(NotFound):
        org.binding_codes.spend(account, old, by="portal:bruno", at=time.time())
    assert running.json("account", "factors", BRUNO)["code_pending_until"]
    org.binding_codes.spend(account, new, by="portal:bruno", at=time.time())
    assert running.json("account", "factors", BRUNO)["code_pending_until"] is None


def session(org: OrganisationStore, address: str, number: int) -> str:
    account = org.accounts.find(address).id
    given = {"source": "192.0.2.7", "agent": "Fire\x1bfox", "how": "password and passkey"}
    opened = org.web_sessions.open(
        account, "device-key", number.to_bytes(32), by="portal:x", at=time.time(), **given
    )
    return opened.id


def test_after_a_loss_all_factors_and_sessions_go_and_a_code_comes(
    running: Gambeson, org: OrganisationStore
) -> None:
    account, at = org.accounts.find(ALMA).id, time.time()
    org.authenticators.remove_all(account, by="root", at=at)  # the sample's own
    for number, kind in enumerate((AuthenticatorKind.PASSKEY, AuthenticatorKind.PASSKEY)):
        fields = {"public_id": bytes([number]), "public_key": b"cose", "name": f"Key {number}"}
        org.authenticators.add(account, kind, **fields, by="portal:alma", at=at)  # type: ignore[arg-type]
    org.authenticators.add(
        account, AuthenticatorKind.RECOVERY, verifiers=[b"v" * 32], by="portal:alma", at=at
    )
    web = session(org, ALMA, 1)
    listed = running.json("account", "factors", ALMA)["factors"]
    assert sorted((f["kind"], f["name"], f["codes_left"]) for f in listed) == [
        ("passkey", "Key 0", 0),
        ("passkey", "Key 1", 0),
        ("recovery", "", 1),
    ]
    assert "cose" not in json.dumps(listed)
    assert "Key 1" in running.run("account", "factors", ALMA).stdout
    one = running.json("account", "factors", ALMA, "--remove", listed[0]["id"])
    assert (one["removed"], one["sessions_ended"], one["code"]) == (1, 0, None)
    assert any(name.startswith("doors") for name in one["acknowledged"])
    everything = running.json("account", "factors", ALMA, "--remove-all")
    assert (everything["removed"], everything["sessions_ended"], everything["factors"]) == (2, 1, [])
    assert everything["code"]
    assert everything["missing"] == []
    assert web not in [s["id"] for s in running.json("session", "list", "--portal")["sessions"]]


@pytest.mark.parametrize(
    "arguments",
    [
        ("account", "code", "nobody@playground.example"),
        ("account", "factors", ALMA, "--remove", "auth-none"),
        ("account", "factors", ALMA, "--remove", "x", "--remove-all"),
        ("session", "kill", "web-none"),
    ],
)
def test_what_is_not_there_is_one_sentence(running: Gambeson, arguments: tuple[str, ...]) -> None:
    done = running.run(*arguments, check=False)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_disabled_account_gets_no_code(running: Gambeson) -> None:
    running.run("account", "disable", BRUNO)
    try:
        done = running.run("account", "code", BRUNO, check=False)
        assert (done.returncode, "account enable" in done.stderr) == (2, True)
    finally:
        running.run("account", "enable", BRUNO)


def test_the_portals_sessions_are_listed_and_ended(running: Gambeson, org: OrganisationStore) -> None:
    one, two, other = (session(org, a, n) for a, n in ((ALMA, 11), (ALMA, 12), (BRUNO, 13)))
    listed = {s["id"]: s for s in running.json("session", "list", "--portal")["sessions"]}
    assert {one, two, other} <= set(listed)
    assert listed[one]["account"] == ALMA
    assert (listed[one]["rung"], listed[one]["source"], listed[one]["agent"]) == (
        "device-key",
        "192.0.2.7",
        "Fire\ufffdfox",
    )
    assert one in running.run("session", "list", "--portal").stdout
    assert running.json("session", "kill", one) == {"closed": 1, "at_portal": 1, "missing": []}
    ended = running.json("session", "kill", "--account", ALMA)
    assert (ended["at_portal"], ended["missing"]) == (1, [])
    left = [s["id"] for s in running.json("session", "list", "--portal", "--org", "Playground")["sessions"]]
    assert other in left
    assert not {one, two} & set(left)


def test_all_of_it_works_while_nothing_runs(tmp_path: Path) -> None:
    gambeson = Gambeson(tmp_path / "data")
    gambeson.start()
    gambeson.stop()
    assert gambeson.json("account", "code", ALMA)["code"]
    with Store.open(sqlite_url(gambeson.data), migrate=False) as store:
        id = session(store.organisation(store.organisations()[0].id), ALMA, 1)
    assert gambeson.json("session", "kill", id)["at_portal"] == 1
    removed = gambeson.json("account", "factors", ALMA, "--remove-all")
    assert (removed["removed"], removed["snapshot"]) == (1, None)
    assert gambeson.json("audit", "verify")["faults"] == []
