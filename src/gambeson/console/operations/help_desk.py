"""The help desk: a code for somebody who is there now, after it was checked who they are.

Whoever gives the code says how that was checked; it stands in the audit log and in the record, and the account's owner
is told by mail. What is given lives ten minutes. Nobody gives more than ``MAX_AN_HOUR``, in all organisations together:
a stolen session is no printing press.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from enum import StrEnum

from gambeson.console.office import Office, RefusedError
from gambeson.model.event import Event
from gambeson.model.staff import Verb

from . import binding

MAX_AN_HOUR, HOUR = 10, 3600.0
MAX_NOTE = 500
EVENT = "console.help-desk.code"
_turn = threading.Lock()  # counting and giving are one


class Method(StrEnum):
    """How it was checked who asks."""

    IN_PERSON = "in-person"  # with an identity card
    CALL_BACK = "call-back"  # to the number that was known before
    VIDEO = "video"  # with an identity card
    MANAGER = "manager"  # somebody who knows the person, by name


# In the mail to the owner, which is in English as all notices are.
SENTENCES = {
    Method.IN_PERSON: "in person, with an identity card",
    Method.CALL_BACK: "by calling back to a number that was known",
    Method.VIDEO: "by video, with an identity card",
    Method.MANAGER: "by a manager who knows the person",
}


@dataclass(frozen=True, slots=True)
class HelpDeskCode:
    """``text`` in groups, shown once, and when it ends."""

    text: str = field(repr=False)
    ends: float = 0.0


def give(
    office: Office, organisation: str, account: str, *, method: str, manager: str = "", note: str = ""
) -> HelpDeskCode:
    """A code of ten minutes. ``manager`` is who confirmed it, for that method. Raises RefusedError, NotFound,
    BadValue."""
    store = office.organisation(organisation, Verb.PEOPLE)
    binding.portal(office)
    person = store.accounts.get(account)
    if not person.enabled:
        raise RefusedError("disabled", f"{person.address} is shut out: let them in first.")
    how = _method(method)
    manager, note = manager.strip(), note.strip()
    if how is Method.MANAGER and not manager:
        raise RefusedError("no-manager", "Say by name who confirmed that it is them.", 422)
    if len(manager) > MAX_NOTE or len(note) > MAX_NOTE:
        raise RefusedError("too-long", f"A note has at most {MAX_NOTE} characters.", 422)
    details: dict[str, object] = {"kind": "help-desk", "method": str(how), "note": note}
    if how is Method.MANAGER:
        details["manager"] = manager
    with _turn:
        if given(office) >= MAX_AN_HOUR:
            raise RefusedError(
                "too-many", f"You gave {MAX_AN_HOUR} codes within the hour: wait, or ask a colleague.", 429
            )
        text, verifier = binding.draw(office, account)
        ends = store.binding_codes.make(account, verifier, details=details, by=office.by, at=office.at)
        _tell(office, organisation, account, details, how)
    return HelpDeskCode(text, ends)


def given(office: Office) -> int:
    """How many codes the asker gave within the last hour, wherever they may look."""
    found = office.across().recent((EVENT,), office.at - HOUR, limit=1_000)
    return sum(event.data.get("staff") == office.access.staff.id for event in found)


def _method(word: str) -> Method:
    try:
        return Method(word)
    except ValueError:
        raise RefusedError("no-method", "Say how you checked who asks.", 422) from None


def _tell(office: Office, organisation: str, account: str, details: dict[str, object], how: Method) -> None:
    event = Event(
        id=f"console-{office.world.random(12).hex()}",
        at=office.at,
        kind=EVENT,
        organisation=organisation,
        account=account,
        source=office.access.source,
        data={
            **details,
            "by": office.by,
            "staff": office.access.staff.id,
            "sentence": SENTENCES[how],
        },
    )
    office.world.store.events.append([event])
