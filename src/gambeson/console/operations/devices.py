"""Devices: registering one, letting one in, shutting one out.

Rules: everything that can be wrong with a new device is found before anything is written; its secret is shown once and
kept only as the keeper's keyed hash. What is done to many is done to none where one of them is not there. Whoever may
only contain blocks and revokes, and lets nothing in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from gambeson.console.office import Office, RefusedError, Told
from gambeson.model import device_secret
from gambeson.model.access import DEVICE_DOORS, DoorKind
from gambeson.model.asset import Account, CredentialKind, Device, DeviceKind, DeviceState
from gambeson.model.staff import Verb
from gambeson.process.keeper_client import AdminKeeper, KeeperGone, KeeperRefused
from gambeson.store.errors import NotFound, StoreError
from gambeson.store.tenant import OrganisationStore

MAX_AT_ONCE = 200
_TAKING_AWAY = (Verb.DEVICES, Verb.CONTAIN)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be registered. ``doors`` are words; ``machine`` asks for a machine credential."""

    address: str
    name: str
    doors: tuple[str, ...]
    expires_at: float = 0.0
    machine: bool = False
    networks: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()
    hourly_limit: int = 0
    owner: str = ""
    review_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Registered:
    """A new device, and the secret that nobody will see again."""

    account: Account
    device: Device
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Done:
    """How many things were changed, and which doors act on it."""

    count: int
    told: Told


# -- registering: also for the command line, which has no office


def checked(organisation: OrganisationStore, wish: Wish, now: float) -> tuple[Account, tuple[DoorKind, ...]]:
    """Whose it will be, and for which doors. Raises RefusedError (door, no-door, past, machine, personal), NotFound,
    BadValue."""
    account = organisation.accounts.find(wish.address)
    known = [door.value for door in DEVICE_DOORS]
    for word in wish.doors:
        if word not in known:
            said = f"{word[:40]!a} is no door of devices; known are {', '.join(known)}."
            raise RefusedError("door", said, 422)
    if wish.expires_at and wish.expires_at <= now:
        raise RefusedError("past", "The end date lies in the past: give a later one.", 422)
    if wish.machine and not (wish.networks and wish.owner and wish.review_at):
        said = "A machine needs its network, who answers for it, and the date when it is looked at again."
        raise RefusedError("machine", said, 422)
    if not wish.machine and (
        wish.networks or wish.senders or wish.hourly_limit or wish.owner or wish.review_at
    ):
        said = "Networks, senders, an hourly limit, an owner and a date of review belong to a machine."
        raise RefusedError("personal", said, 422)
    return account, tuple(dict.fromkeys(DoorKind(word) for word in wish.doors))


def create(
    organisation: OrganisationStore,
    account: Account,
    wish: Wish,
    doors: Iterable[DoorKind],
    *,
    by: str,
    at: float,
) -> Device:
    """The device, with nothing to prove itself with yet. Raises StoreError."""
    return organisation.devices.create(
        account.id,
        wish.name,
        doors=doors,
        kind=DeviceKind.MACHINE if wish.machine else DeviceKind.PERSONAL,
        expires_at=wish.expires_at,
        networks=wish.networks,
        senders=wish.senders,
        hourly_limit=wish.hourly_limit,
        owner=wish.owner,
        review_at=wish.review_at,
        by=by,
        at=at,
    )


def with_secret(
    organisation: OrganisationStore,
    keeper: AdminKeeper,
    wish: Wish,
    random: Callable[[int], bytes],
    *,
    by: str,
    at: float,
) -> Registered:
    """A new device with a device secret. Raises RefusedError, StoreError, KeeperGone, KeeperRefused."""
    account, doors = checked(organisation, wish, at)
    secret = device_secret.make(random(device_secret.ENTROPY_BYTES))
    verifier = keeper.secret_verifier(secret.text)
    device = create(organisation, account, wish, doors, by=by, at=at)
    try:
        organisation.credentials.add(
            device.id,
            CredentialKind.DEVICE_SECRET,
            secret.public_id,
            verifier=verifier,
            expires_at=wish.expires_at,
            by=by,
            at=at,
        )
    except StoreError:
        organisation.devices.delete(device.id, by=by, at=at)
        raise
    return Registered(account, device, secret.text)


# -- at the console


def register(office: Office, organisation: str, account: str, wish: Wish) -> tuple[Registered, Told]:
    """Registers a device of an account (its id; the wish's address is passed over). Raises RefusedError, StoreError."""
    store = office.organisation(organisation, Verb.DEVICES)
    person = store.accounts.get(account)
    if not person.enabled:
        raise RefusedError("disabled", f"{person.address} is switched off: switch it on first.")
    if not wish.doors:
        raise RefusedError("no-door", "Choose at least one door that the device may open.", 422)
    known = Wish(
        person.address,
        wish.name,
        wish.doors,
        wish.expires_at,
        wish.machine,
        wish.networks,
        wish.senders,
        wish.hourly_limit,
        wish.owner,
        wish.review_at,
    )
    try:
        made = with_secret(store, office.world.keeper, known, office.world.random, by=office.by, at=office.at)
    except KeeperRefused as refused:
        raise RefusedError("keeper", f"The keeper takes no secret: {refused}.") from None
    except KeeperGone:
        said = "The keeper does not answer: see gambeson doctor on the machine."
        raise RefusedError("keeper", said, 503) from None
    return made, office.publish()


def approve(
    office: Office,
    organisation: str,
    devices: Sequence[str],
    doors: Sequence[str] | None = None,
    *,
    account: str = "",
) -> Done:
    """Lets devices in, for ``doors`` where they are given. With ``account`` all have to be that account's, here and
    below. Raises RefusedError, NotFound, BadValue."""
    store = office.organisation(organisation, Verb.DEVICES)
    found = _all(store, devices, account)
    kinds = None if doors is None else device_doors(doors)
    for device in found:
        proofs = store.credentials.list(device=device.id)
        if not any(not p.revoked_at for p in proofs):
            said = f"Nothing is left that {device.name} could prove itself with: register it anew."
            raise RefusedError("revoked", said)
    for device in found:
        if kinds is not None and set(kinds) != set(device.doors):
            store.devices.update(device.id, doors=kinds, by=office.by, at=office.at)
        store.devices.set_state(
            device.id, DeviceState.REGISTERED, reason="approved", by=office.by, at=office.at
        )
    return Done(len(found), office.publish())


def block(
    office: Office, organisation: str, devices: Sequence[str], *, lost: bool = False, account: str = ""
) -> Done:
    """Shuts devices out until somebody lets them in again; ``lost``: that is what happened to them. Raises
    RefusedError, NotFound."""
    store = office.either(organisation, *_TAKING_AWAY)
    state = DeviceState.LOST if lost else DeviceState.BLOCKED
    found = _all(store, devices, account)
    for device in found:
        store.devices.set_state(device.id, state, reason="at the console", by=office.by, at=office.at)
    return Done(len(found), office.publish())


def revoke(office: Office, organisation: str, devices: Sequence[str], *, account: str = "") -> Done:
    """Shuts devices out for ever: what they proved themselves with is good no more. Raises RefusedError, NotFound."""
    store = office.either(organisation, *_TAKING_AWAY)
    found = _all(store, devices, account)
    for device in found:
        store.devices.revoke(device.id, reason="at the console", by=office.by, at=office.at)
    return Done(len(found), office.publish())


def decide_eas(office: Office, organisation: str, phones: Sequence[tuple[str, str]], decision: str) -> Done:
    """Decides of ActiveSync phones (account id, DeviceId): allowed, blocked, quarantined, or forget. Raises
    RefusedError, NotFound, BadValue, Conflict."""
    gives = decision not in ("blocked", "quarantined")
    store = office.either(organisation, *(_TAKING_AWAY[:1] if gives else _TAKING_AWAY))
    _few(phones)
    for account, _ in phones:
        store.accounts.get(account)
    for account, phone in phones:
        if decision == "forget":
            store.eas_devices.forget(account, phone, by=office.by, at=office.at)
        else:
            store.eas_devices.decide(account, phone, decision, by=office.by, at=office.at)
    return Done(len(phones), office.publish())


def device_doors(words: Iterable[str]) -> tuple[DoorKind, ...]:
    """The doors of these words, at least one. Raises RefusedError."""
    known = {door.value: door for door in DEVICE_DOORS}
    given = tuple(dict.fromkeys(words))
    for word in given:
        if word not in known:
            raise RefusedError("door", f"{word[:40]!a} is no door of devices.", 422)
    if not given:
        raise RefusedError("no-door", "Choose at least one door that the device may open.", 422)
    return tuple(known[word] for word in given)


def words(text: str) -> tuple[str, ...]:
    """The words of a field, between blanks or commas."""
    return tuple(filter(None, re.split(r"[\s,;]+", text)))


def _all(store: OrganisationStore, ids: Sequence[str], account: str) -> list[Device]:
    _few(ids)
    found = [store.devices.get(id) for id in dict.fromkeys(ids)]
    for device in found:
        if account and device.account != account:
            raise NotFound(f"The account has no device {device.id}.")
    return found


def _few(things: Sequence[object]) -> None:
    if not things:
        raise RefusedError("nothing", "Nothing was chosen: mark what you mean.", 422)
    if len(things) > MAX_AT_ONCE:
        raise RefusedError("too-many", f"At most {MAX_AT_ONCE} at once.", 422)
