"""The audit log: who changed what, and whether it is whole. An organisation's part, or all of it for who may audit
everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gambeson.console.api.operation import (
    Call,
    Document,
    Moment,
    Nothing,
    Operation,
    Page,
    PageQuery,
    moment,
    seconds,
)
from gambeson.console.operations import audit
from gambeson.model.staff import Verb
from gambeson.store.audit import AuditEntry
from gambeson.store.audit_entries import MAX_QUERY, AuditQuery

_Word = Annotated[str, Meta(max_length=MAX_QUERY)]
_Seq = Annotated[int, Meta(ge=1, le=2**53)]


class AuditDocument(Document, frozen=True):
    """One act. ``hash`` covers it and everything before it."""

    seq: int
    at: Moment | None
    by: str
    organisation: str
    action: str
    subject: str
    details: Any
    prev_hash: str
    hash: str


class AuditAsk(PageQuery, frozen=True):
    """``by`` is looked for anywhere in the name, ``action`` is how the act's word begins, ``subject`` is whole."""

    by: _Word = ""
    action: _Word = ""
    subject: _Word = ""
    since: Moment | UnsetType = UNSET
    until: Moment | UnsetType = UNSET


class HeadDocument(Document, frozen=True):
    """What the keeper vouches for: after ``count`` entries the chain ended in ``hash``. ``signature`` is Ed25519, in
    hex."""

    count: int
    hash: str
    at: Moment | None
    signature: str


class FaultDocument(Document, frozen=True):
    """``seq`` is the number of the entry."""

    kind: str
    seq: int
    sentence: str


class VerifiedDocument(Document, frozen=True):
    """``whole``: the chain of all entries was walked; else this organisation's entries were looked at. ``unsealed``
    entries are covered by no head yet."""

    whole: bool
    good: bool
    entries: int
    unsealed: int
    head: HeadDocument | None
    faults: Sequence[FaultDocument]
    more_faults: int


def _document(found: AuditEntry) -> AuditDocument:
    return AuditDocument(
        seq=found.seq,
        at=moment(found.at),
        by=found.by,
        organisation=found.organisation,
        action=found.action,
        subject=found.subject,
        details=msgspec.json.decode(found.details),
        prev_hash=found.prev_hash,
        hash=found.hash,
    )


def list_(call: Call) -> Page[AuditDocument]:
    """The newest first."""
    asked = call.asked(AuditAsk)
    before: int = call.after(_Seq) or 0
    query = AuditQuery(asked.by, asked.action, asked.subject, seconds(asked.since), seconds(asked.until))
    whose = call.path.get("organisation", "")
    found = audit.page(call.office, whose, query, before=before, limit=call.limit)
    return call.page([_document(each) for each in found.entries], found.more or None)


def head(call: Call) -> HeadDocument:
    """The newest that is signed; of 0 entries where there is none yet."""
    found = call.office.installation(Verb.AUDIT).audit.signed_head()
    if found is None:
        return HeadDocument(count=0, hash="", at=None, signature="")
    return HeadDocument(
        count=found.count, hash=found.hash, at=moment(found.at), signature=found.signature.hex()
    )


def verify(call: Call) -> VerifiedDocument:
    """Walks it."""
    found = audit.verify(call.office, call.path.get("organisation", ""))
    return VerifiedDocument(
        whole=found.whole,
        good=not found.faults,
        entries=found.entries,
        unsealed=found.unsealed,
        head=HeadDocument(
            count=found.head.count,
            hash=found.head.hash,
            at=moment(found.head.at),
            signature=found.head.signature.hex(),
        )
        if found.head is not None
        else None,
        faults=[FaultDocument(kind=f.kind, seq=f.seq, sentence=f.sentence) for f in found.faults],
        more_faults=found.more_faults,
    )


def _operations(prefix: str, name: str, of: str) -> tuple[Operation, ...]:
    return (
        Operation(
            f"{name}.list",
            "GET",
            prefix,
            Verb.AUDIT,
            list_,
            query=AuditAsk,
            answer=Page[AuditDocument],
            summary=f"The audit log {of}, the newest entry first",
        ),
        Operation(
            f"{name}.verify",
            "POST",
            prefix + "/verify",
            Verb.AUDIT,
            verify,
            body=Nothing,
            answer=VerifiedDocument,
            summary=f"Verify the audit log {of}",
        ),
    )


OPERATIONS = (
    *_operations("/organisations/{organisation}/audit", "audit", "of an organisation"),
    *_operations("/audit", "installation-audit", "of the installation"),
    Operation(
        "installation-audit.head",
        "GET",
        "/audit/head",
        Verb.AUDIT,
        head,
        answer=HeadDocument,
        summary="The newest head that the keeper signed; keep it elsewhere",
    ),
)
