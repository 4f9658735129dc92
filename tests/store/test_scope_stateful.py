"""Two organisations changed in any order: each sees exactly what was done to it."""

from __future__ import annotations

import tempfile
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from gambeson.model.access import DoorKind
from gambeson.store.control import Store
from gambeson.store.errors import Conflict, NotFound, StoreError

BY: dict[str, Any] = {"by": "root", "at": 1.7e9}
ORGS = st.sampled_from(["org-a", "org-b"])
NAMES = st.sampled_from(["ann", "bob", "cyd"])


class TwoOrganisations(RuleBasedStateMachine):
    accounts = Bundle("accounts")
    devices = Bundle("devices")

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.store = Store.open(f"sqlite:///{self.directory.name}/control.db")
        self.model: dict[str, dict[str, dict[str, str]]] = {}  # organisation -> account -> device -> name
        self.addresses: dict[str, str] = {}
        for id in ("org-a", "org-b"):
            self.store.create_organisation(id, domains=[f"{id}.example"], id=id, **BY)
            self.model[id] = {}

    def teardown(self) -> None:
        self.store.close()
        self.directory.cleanup()

    @rule(target=accounts, org=ORGS, domain=ORGS, name=NAMES)
    def create(self, org: str, domain: str, name: str) -> Any:
        address = f"{name}@{domain}.example"
        try:
            account = self.store.organisation(org).accounts.create(address, **BY)
        except StoreError:
            assert domain != org or address in self.addresses.values()
            return multiple()
        assert domain == org
        self.model[org][account.id] = {}
        self.addresses[account.id] = address
        return (org, account.id)

    @rule(org=ORGS, account=consumes(accounts))
    def delete(self, org: str, account: tuple[str, str]) -> None:
        try:
            self.store.organisation(org).accounts.delete(account[1], **BY)
        except NotFound:
            assert account[1] not in self.model[org]
            return
        del self.model[org][account[1]], self.addresses[account[1]]

    @rule(target=devices, org=ORGS, account=accounts, name=NAMES)
    def enrol(self, org: str, account: tuple[str, str], name: str) -> Any:
        mine = self.model[org].get(account[1])
        try:
            device = self.store.organisation(org).devices.create(
                account[1], name, doors=[DoorKind.IMAP], **BY
            )
        except NotFound:
            assert mine is None
            return multiple()
        except Conflict:
            assert mine is not None
            assert name in mine.values()
            return multiple()
        assert mine is not None
        mine[device.id] = name
        return device.id

    @rule(org=ORGS, device=devices, name=NAMES)
    def rename(self, org: str, device: str, name: str) -> None:
        holder = next((devices for devices in self.model[org].values() if device in devices), None)
        try:
            self.store.organisation(org).devices.update(device, name=name, **BY)
        except NotFound:
            assert holder is None
            return
        except Conflict:
            assert holder is not None
            assert name in holder.values()
            return
        assert holder is not None
        holder[device] = name

    @invariant()
    def each_sees_its_own(self) -> None:
        for id, accounts in self.model.items():
            org = self.store.organisation(id)
            assert {a.id: a.address for a in org.accounts.list()} == {a: self.addresses[a] for a in accounts}
            seen = {d.id: (d.account, d.name) for d in org.devices.list()}
            assert seen == {d: (a, name) for a, devices in accounts.items() for d, name in devices.items()}


TestTwoOrganisations = TwoOrganisations.TestCase
TestTwoOrganisations.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
