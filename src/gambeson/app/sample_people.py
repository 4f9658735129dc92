"""What only a running installation can give the playground's people: passwords that the keeper hashed and sealed,
one-time codes, a registered and a quarantined device. Made once; shown, because this is a playground.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gambeson.model import device_secret
from gambeson.model.access import DEVICE_DOORS
from gambeson.model.asset import CredentialKind
from gambeson.playground import sample
from gambeson.process.keeper_client import AdminKeeper
from gambeson.process.portal_messages import TOTP_CONTEXT
from gambeson.process.sealing import account_context
from gambeson.process.whole_file import write_whole
from gambeson.process.worker_client import AdminWorker
from gambeson.store.authenticators import AuthenticatorKind
from gambeson.store.control import Store
from gambeson.store.tenant import OrganisationStore

from . import setup
from .place import Place

TOTP_OCTETS = 20  # RFC 4226 section 4: 160 bits are recommended


@dataclass(frozen=True, slots=True)
class SamplePeople:
    """``devices`` as ``ready.json`` lists them; ``totp`` maps addresses to secrets in base32."""

    devices: tuple[dict[str, Any], ...]
    totp: Mapping[str, str]


def sample_people(place: Place, url: str, passwords: Mapping[str, str]) -> SamplePeople:
    """What was made, now or at an earlier start."""
    path = place.playground / "people.json"
    if not path.is_file():
        with Store.open(url, migrate=False) as store:
            made = _make(store.organisation(sample.ORGANISATION), place, passwords)
        write_whole(path, json.dumps(made))
        AdminWorker(place.run / "worker.sock").publish(5.0)
    found = json.loads(path.read_text())
    return SamplePeople(tuple(found["devices"]), found["totp"])


def _make(organisation: OrganisationStore, place: Place, passwords: Mapping[str, str]) -> dict[str, Any]:
    keeper = AdminKeeper(place.run / "keeper.sock")
    now = time.time()
    for address, text in passwords.items():
        account = organisation.accounts.find(address)
        organisation.accounts.set_password(account.id, keeper.hash_password(text), by=setup.BY, at=now)
        box = keeper.seal(text.encode(), account_context(account.organisation, account.id))
        organisation.accounts.seal_password(account.id, box, by=setup.BY, at=now)
    totp = {p.address: _totp(organisation, keeper, p.address, now) for p in sample.WITH_CODES}
    return {"devices": [_device(organisation, keeper, each, now) for each in sample.DEVICES], "totp": totp}


def _totp(organisation: OrganisationStore, keeper: AdminKeeper, address: str, now: float) -> str:
    account = organisation.accounts.find(address)
    there = organisation.authenticators.list(account.id)
    for each in there:  # a first start that was cut short left it behind
        organisation.authenticators.remove(account.id, each.id, by=setup.BY, at=now)
    secret = secrets.token_bytes(TOTP_OCTETS)
    sealed = keeper.seal(secret, TOTP_CONTEXT + account.id)
    organisation.authenticators.add(
        account.id, AuthenticatorKind.TOTP, name="Playground", sealed=sealed, by=setup.BY, at=now
    )
    return base64.b32encode(secret).decode()


def _device(
    organisation: OrganisationStore, keeper: AdminKeeper, device: sample.SampleDevice, now: float
) -> dict[str, Any]:
    account = organisation.accounts.find(device.address)
    for each in organisation.devices.list(account=account.id):
        if each.name == device.name:
            organisation.devices.delete(each.id, by=setup.BY, at=now)
    secret = device_secret.make(secrets.token_bytes(device_secret.ENTROPY_BYTES))
    registered = organisation.devices.create(
        account.id, device.name, doors=DEVICE_DOORS, state=device.state, by=setup.BY, at=now
    )
    organisation.credentials.add(
        registered.id,
        CredentialKind.DEVICE_SECRET,
        secret.public_id,
        verifier=keeper.secret_verifier(secret.text),
        by=setup.BY,
        at=now,
    )
    return {
        "address": device.address,
        "name": device.name,
        "state": device.state.value,
        "doors": [door.value for door in DEVICE_DOORS],
        "secret": secret.text,
    }
