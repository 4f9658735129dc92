"""Organisations: those that the token reaches; an owner of all makes further ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from gambeson.console.api.operation import (
    Call,
    Document,
    Given,
    Name,
    Operation,
    Page,
    PageQuery,
    ToldDocument,
    told,
)
from gambeson.console.office import Office
from gambeson.console.operations import organisations
from gambeson.model.organisation import Organisation
from gambeson.model.staff import Verb
from gambeson.store.errors import BadValue

Domain = Annotated[str, Meta(min_length=1, max_length=253)]
Url = Annotated[str, Meta(max_length=500)]


class OrganisationDocument(Document, frozen=True):
    """``verbs`` are those that the token has here."""

    id: str
    name: str
    domains: Sequence[str]
    enrolment_url: str
    clouds: Sequence[str]
    verbs: Sequence[Verb]


class OrganisationNew(Given, frozen=True):
    """A new one. A mail domain belongs to one organisation."""

    name: Name
    domains: Annotated[Sequence[Domain], Meta(max_length=20)] = ()


class OrganisationChange(Given, frozen=True):
    """What is left out stays as it is."""

    name: Name | UnsetType = UNSET
    enrolment_url: Url | UnsetType = UNSET
    hours_per_week: Annotated[float, Meta(ge=0, le=168)] | UnsetType = UNSET


class OrganisationMade(Document, frozen=True):
    """It, and who acts on it."""

    organisation: OrganisationDocument
    told: ToldDocument


def _document(office: Office, found: Organisation) -> OrganisationDocument:
    return OrganisationDocument(
        id=found.id,
        name=found.name,
        domains=found.domains,
        enrolment_url=found.enrolment_url,
        clouds=found.clouds,
        verbs=sorted(office.access.verbs(found.id, office.at)),
    )


def list_(call: Call) -> Page[OrganisationDocument]:
    """By name."""
    offset = call.offset()
    found = call.office.organisations()[offset : offset + call.limit + 1]
    return call.counted([_document(call.office, each) for each in found], offset)


def get(call: Call) -> OrganisationDocument:
    """One."""
    return _document(call.office, call.office.known(call.organisation))


def create(call: Call) -> OrganisationMade:
    """A new one."""
    body = call.given(OrganisationNew)
    made, known = organisations.add(call.office, body.name, tuple(body.domains))
    return OrganisationMade(organisation=_document(call.office, made), told=told(known))


def change(call: Call) -> OrganisationMade:
    """Name, enrolment page, hours: all that is given, or nothing where the first does not fit."""
    body, org = call.given(OrganisationChange), call.org
    if body.name is UNSET and body.enrolment_url is UNSET and body.hours_per_week is UNSET:
        raise BadValue("Give something to change.")
    if body.name is not UNSET or body.enrolment_url is not UNSET:
        org.update(
            name=None if body.name is UNSET else body.name,
            enrolment_url=None if body.enrolment_url is UNSET else body.enrolment_url,
            **call.by,
        )
    if body.hours_per_week is not UNSET:
        org.set_hours(body.hours_per_week, **call.by)
    known = call.office.publish()
    return OrganisationMade(organisation=_document(call.office, org.get()), told=told(known))


_PATH = "/organisations"
OPERATIONS = (
    Operation(
        "organisations.list",
        "GET",
        _PATH,
        Verb.READ,
        list_,
        query=PageQuery,
        answer=Page[OrganisationDocument],
        summary="The organisations that the token reaches",
        anywhere=True,
    ),
    Operation(
        "organisations.create",
        "POST",
        _PATH,
        Verb.ORGANISATIONS,
        create,
        body=OrganisationNew,
        answer=OrganisationMade,
        summary="Make an organisation",
        status=201,
    ),
    Operation(
        "organisations.get",
        "GET",
        _PATH + "/{organisation}",
        Verb.READ,
        get,
        answer=OrganisationDocument,
        summary="One organisation",
    ),
    Operation(
        "organisations.change",
        "PATCH",
        _PATH + "/{organisation}",
        Verb.ORGANISATIONS,
        change,
        body=OrganisationChange,
        answer=OrganisationMade,
        summary="Change an organisation's name, enrolment page or hours",
    ),
)
