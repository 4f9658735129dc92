"""Staff: who has which role where, as far as the token may see it. Roles are given by people, at the console."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from gambeson.console.api.operation import Call, Document, Moment, Operation, Page, PageQuery, moment
from gambeson.console.operations import staff
from gambeson.model.staff import Role, Verb


class GrantDocument(Document, frozen=True):
    """A role in an organisation (its id), or in every one (``*``)."""

    organisation: str
    role: Role
    until: Moment | None


class StaffDocument(Document, frozen=True):
    """``hidden``: there are roles that the token does not see."""

    id: str
    name: str
    address: str
    enabled: bool
    created: Moment | None
    grants: Sequence[GrantDocument]
    hidden: bool


class StaffAsk(PageQuery, frozen=True):
    """``search`` is a part of a name or an address."""

    search: Annotated[str, Meta(max_length=200)] = ""


def list_(call: Call) -> Page[StaffDocument]:
    """By name."""
    offset = call.offset()
    found = staff.members(call.office, call.asked(StaffAsk).search)[offset : offset + call.limit + 1]
    return call.counted([_document(each) for each in found], offset)


def _document(found: staff.Member) -> StaffDocument:
    person = found.staff
    return StaffDocument(
        id=person.id,
        name=person.name,
        address=person.address,
        enabled=person.enabled,
        created=moment(person.created_at),
        grants=[
            GrantDocument(organisation=g.organisation, role=g.role, until=moment(g.until))
            for g in found.grants
        ],
        hidden=found.hidden,
    )


OPERATIONS = (
    Operation(
        "staff.list",
        "GET",
        "/staff",
        Verb.AUDIT,
        list_,
        query=StaffAsk,
        answer=Page[StaffDocument],
        summary="Who looks after the organisations that the token reaches",
        anywhere=True,
    ),
)
