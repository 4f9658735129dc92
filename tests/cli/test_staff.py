"""``gambeson staff`` where nothing runs: the way back when every passkey is lost."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from gambeson import cli
from gambeson.console.core.glass import plain, verifier
from gambeson.model.staff import EVERY, Grant, Role
from gambeson.store.control import Store
from gambeson.store.errors import NotFound
from gambeson.store.urls import sqlite_url

NOW = 1_790_000_000.0


class Machine:
    """A data directory with two organisations and nothing that runs."""

    def __init__(self, data: Path, out: pytest.CaptureFixture[str]) -> None:
        self.data, self._out = data, out
        (data / "store").mkdir(parents=True)
        self.store = Store.open(sqlite_url(data))
        self.acme = self.store.create_organisation("Acme", domains=["acme.example"], by="root", at=NOW)
        self.store.create_organisation("Other", by="root", at=NOW)

    def run(self, *words: str, exits: int = 0) -> Any:
        code = cli.main(["staff", *words, "--json", "--data", str(self.data)])
        said = self._out.readouterr()
        assert code == exits, said.err
        return json.loads(said.out) if code == 0 else said.err


@pytest.fixture
def machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Machine]:
    made = Machine(tmp_path / "data", capsys)
    yield made
    made.store.close()


def token(document: dict[str, Any]) -> bytes:
    """What the store keeps of a printed link."""
    return sha256(document["link"].rpartition("/")[2].encode()).digest()


def passkey(machine: Machine, id: str) -> None:
    machine.store.staff.add_passkey(
        id, name="Key", public_id=id.encode(), public_key=b"x", sign_count=0, backup_eligible=False,
        backed_up=False, transports=(), by="root", at=NOW,
    )  # fmt: skip


def test_from_nobody_to_an_owner_and_back_after_a_loss(machine: Machine) -> None:
    made = machine.run("add", "Ann", "--role", "owner", "--everywhere", "--address", "ann@acme.example")
    assert made["kind"] == "invite"
    id = made["staff"]["id"]
    link = machine.store.staff.link(token(made), NOW * 2) or machine.store.staff.get(id)
    assert link is not None
    [row] = machine.run("list")["staff"]
    assert row["grants"] == [{"organisation": EVERY, "role": "owner", "until": None}]
    passkey(machine, id)

    again = machine.run("link", "ANN")
    assert again["kind"] == "recover"
    assert len(machine.store.staff.passkeys(id)) == 1
    # The last owner's passkeys are not thrown away: nobody could sign in any more.
    assert "last owner" in machine.run("link", "Ann", "--forget-passkeys", exits=2)
    machine.run("add", "Bea", "--role", "owner", "--everywhere")
    passkey(machine, machine.run("list")["staff"][1]["id"])
    machine.run("link", "Ann", "--forget-passkeys")
    assert machine.store.staff.passkeys(id) == []


def test_roles_come_and_go(machine: Machine) -> None:
    id = machine.run("add", "Tom", "--role", "auditor", "--org", "acme")["staff"]["id"]
    changed = machine.run("grant", "Tom", "--role", "responder", "--org", "Acme", "--until", "7d")
    assert {(g["role"], g["until"] is None) for g in changed["grants"]} == {
        ("auditor", True),
        ("responder", False),
    }
    machine.run("withdraw", "Tom", "--role", "auditor", "--org", "Acme")
    assert [g.role for g in machine.store.staff.get(id).grants] == [Role.RESPONDER]
    for wrong, sentence in (
        (("grant", "Tom", "--role", "responder", "--org", "Acme"), "needs an end"),
        (("grant", "Tom", "--role", "responder", "--org", "Acme", "--until", "60d"), "at most 30 days"),
        (("grant", "Tom", "--role", "owner"), "Say where"),
        (("grant", "Tom", "--role", "owner", "--org", "Acme", "--everywhere"), "not both"),
        (("grant", "Tom", "--role", "owner", "--org", "Nowhere"), "no organisation"),
        (("link", "Nobody"), "no member of staff"),
        (("withdraw", "Tom", "--role", "owner", "--everywhere"), "no such role"),
        (("add", "tom", "--role", "auditor", "--org", "Acme"), "this name already"),
    ):
        assert sentence in machine.run(*wrong, exits=2), wrong


def test_a_link_is_over_with_a_role_elsewhere(machine: Machine) -> None:
    made = machine.run("add", "Tom", "--role", "auditor", "--org", "acme")
    machine.run("grant", "Tom", "--role", "auditor", "--org", "Other")
    with pytest.raises(NotFound):
        machine.store.staff.use_link(token(made), by="root", at=NOW)


def test_out_in_and_gone(machine: Machine) -> None:
    machine.run("add", "Tom", "--role", "auditor", "--org", "acme")
    assert machine.run("disable", "Tom")["enabled"] is False
    assert "disabled" in machine.run("link", "Tom", exits=2)
    assert machine.run("enable", "Tom")["enabled"] is True
    assert machine.run("remove", "Tom")["removed"]["name"] == "Tom"
    assert machine.run("list") == {"staff": []}


def test_codes_are_printed_once(machine: Machine) -> None:
    assert machine.run("codes") == {"unused": 0, "made_at": None, "codes": []}
    made = machine.run("codes", "--new")
    assert made["unused"] == 8
    assert all(re.fullmatch(r"[0-9A-Z]{5}(-[0-9A-Z]{5}){4}", each) for each in made["codes"])
    assert machine.run("codes")["codes"] == []
    assert machine.store.staff.use_code(verifier(plain(made["codes"][0])), by="x", at=NOW) == 8


def test_what_people_read(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.store.staff.create("Ann", grants=(Grant(machine.acme.id, Role.OWNER),), by="root", at=NOW)
    for words, said in (
        (("list",), "owner (Acme)"),
        (("link", "Ann"), "/welcome/"),
        (("codes",), "gambeson staff codes --new"),
        (("codes", "--new"), "lock them away"),
    ):
        assert cli.main(["staff", *words, "--data", str(machine.data)]) == 0
        assert said in capsys.readouterr().out
