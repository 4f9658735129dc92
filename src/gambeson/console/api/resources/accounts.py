"""Accounts: the people, functions and programs that have mail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from gambeson.console.api.operation import (
    Address,
    Call,
    Document,
    Given,
    Name,
    Nothing,
    Operation,
    Page,
    PageQuery,
    ToldDocument,
    told,
)
from gambeson.console.operations import leavers, people
from gambeson.model.asset import Account, IdentitySource
from gambeson.model.staff import Verb
from gambeson.store.errors import BadValue
from gambeson.store.people import PeopleQuery

Groups = Annotated[Sequence[Name], Meta(max_length=200)]
Aliases = Annotated[Sequence[Address], Meta(max_length=200)]


class AccountDocument(Document, frozen=True):
    """An account. ``server`` empty: the organisation's route."""

    id: str
    address: str
    aliases: Sequence[str]
    groups: Sequence[str]
    enabled: bool
    source: IdentitySource
    server: str
    upstream_login: str


class AccountQuery(PageQuery, frozen=True):
    """``search`` is a part of an address or alias, ``group`` a group's whole name."""

    search: Annotated[str, Meta(max_length=254)] = ""
    group: Annotated[str, Meta(max_length=100)] = ""
    without_device: bool = False
    without_factor: bool = False
    disabled: bool = False


class AccountNew(Given, frozen=True):
    """A new account; its addresses lie in the organisation's domains."""

    address: Address
    aliases: Aliases = ()
    groups: Groups = ()
    server: Annotated[str, Meta(max_length=100)] = ""
    upstream_login: Annotated[str, Meta(max_length=254)] = ""
    source: IdentitySource = IdentitySource.LOCAL


class AccountChange(Given, frozen=True):
    """What is left out stays as it is. Whoever may only contain disables."""

    enabled: bool | UnsetType = UNSET
    groups: Groups | UnsetType = UNSET
    aliases: Aliases | UnsetType = UNSET


class AccountChanged(Document, frozen=True):
    """The account as it is now, and who acts on it."""

    account: AccountDocument
    told: ToldDocument


class AccountLeft(Document, frozen=True):
    """What ended: each step a sentence's words. ``sessions`` null: the worker does not answer, and the doors close them
    when they hear of the change. ``left`` is for a person to do."""

    account: AccountDocument
    steps: Sequence[str]
    left: Sequence[str]
    sessions: int | None
    told: ToldDocument


def _document(found: Account) -> AccountDocument:
    return AccountDocument(
        id=found.id,
        address=found.address,
        aliases=found.aliases,
        groups=found.groups,
        enabled=found.enabled,
        source=found.source,
        server=found.server,
        upstream_login=found.upstream_login,
    )


def list_(call: Call) -> Page[AccountDocument]:
    """By address."""
    asked, offset = call.asked(AccountQuery), call.offset()
    query = PeopleQuery(asked.search, asked.group, asked.without_device, asked.without_factor, asked.disabled)
    total, found = call.org.people.page(query, limit=call.limit, offset=offset)
    after = offset + call.limit
    return call.page([_document(each.account) for each in found], after if after < total else None)


def get(call: Call) -> AccountDocument:
    """One."""
    return _document(call.org.accounts.get(call.path["account"]))


def create(call: Call) -> AccountDocument:
    """A new one."""
    body = call.given(AccountNew)
    made = people.add(
        call.office,
        call.organisation,
        body.address,
        aliases=body.aliases,
        groups=body.groups,
        server=body.server,
        upstream_login=body.upstream_login,
        source=body.source,
    )
    return _document(made)


def change(call: Call) -> AccountChanged:
    """Lists first: what does not fit changes nothing."""
    body, id = call.given(AccountChange), call.path["account"]
    aliases = None if body.aliases is UNSET else body.aliases
    groups = None if body.groups is UNSET else body.groups
    if aliases is None and groups is None and body.enabled is UNSET:
        raise BadValue("Give something to change.")
    known = None
    if aliases is not None or groups is not None:
        known = people.change(call.office, call.organisation, id, aliases=aliases, groups=groups)
    if body.enabled is not UNSET:
        known = people.switch(call.office, call.organisation, id, on=body.enabled)
    assert known is not None
    return AccountChanged(account=_document(call.org.accounts.get(id)), told=told(known))


def leave(call: Call) -> AccountLeft:
    """Ends account, devices, sessions and second factors."""
    id = call.path["account"]
    done = leavers.leave(call.office, call.organisation, id)
    steps = done.before.plan.steps
    return AccountLeft(
        account=_document(call.org.accounts.get(id)),
        steps=[str(step.kind) for step in steps if not step.by_person]
        + [f"block-phone {phone.device_id}" for phone in done.before.phones],
        left=[f"{step.kind} {step.name}".strip() for step in steps if step.by_person],
        sessions=done.killed,
        told=told(done.told),
    )


_PATH = "/organisations/{organisation}/accounts"
OPERATIONS = (
    Operation(
        "accounts.list",
        "GET",
        _PATH,
        Verb.READ,
        list_,
        query=AccountQuery,
        answer=Page[AccountDocument],
        summary="Accounts by address",
    ),
    Operation(
        "accounts.create",
        "POST",
        _PATH,
        Verb.PEOPLE,
        create,
        body=AccountNew,
        answer=AccountDocument,
        summary="Make an account",
        status=201,
    ),
    Operation(
        "accounts.get",
        "GET",
        _PATH + "/{account}",
        Verb.READ,
        get,
        answer=AccountDocument,
        summary="One account",
    ),
    Operation(
        "accounts.change",
        "PATCH",
        _PATH + "/{account}",
        Verb.PEOPLE,
        change,
        body=AccountChange,
        answer=AccountChanged,
        summary="Enable or disable an account, or set its groups and aliases",
        or_verb=Verb.CONTAIN,
    ),
    Operation(
        "accounts.leave",
        "POST",
        _PATH + "/{account}/leave",
        Verb.PEOPLE,
        leave,
        body=Nothing,
        answer=AccountLeft,
        summary="Somebody leaves: end account, devices, sessions and second factors",
    ),
)
