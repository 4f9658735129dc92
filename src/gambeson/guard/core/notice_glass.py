"""The notice that a break-glass code was used at the console: to every administrator and every member of staff.

One mail for each use and recipient: the id of a notice is made of these and nothing else. The mail says what happened
and what to do, and holds no code, secret or link.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from hashlib import blake2b

from gambeson.guard.core.notice import automatic_message, moment, shown_source
from gambeson.model.event import Event

KIND = "notice.break-glass"
CAUSE = "console.break-glass.used"  # the kind of the event
_WRITER = "console-"  # how the ids of the console's events begin; a door can't write them


@dataclass(frozen=True, slots=True)
class GlassNotice:
    """One mail to one ``recipient``. ``use`` is the use's own random word, ``source`` the network address, ``at`` when
    it happened."""

    id: str
    use: str
    recipient: str
    source: str
    at: float


def notice_id(use: str, recipient: str) -> str:
    """The name of the notice to ``recipient`` about a use."""
    text = "\0".join((KIND, use, recipient)).encode("utf-8", "surrogatepass")
    return f"notice-{blake2b(text, digest_size=20).hexdigest()}"


def due(events: Iterable[Event], recipients: Sequence[str]) -> list[GlassNotice]:
    """The notices that the events ask for, oldest first, each once. ``recipients`` are canonical addresses. An
    organisation's own copy of the event is passed over: the one of the installation speaks for all."""
    found: dict[str, GlassNotice] = {}
    for event in sorted(events, key=lambda each: (each.at, each.id)):
        use = str(event.data.get("use", ""))
        if event.kind != CAUSE or event.organisation or not use or not event.id.startswith(_WRITER):
            continue
        for recipient in dict.fromkeys(recipients):
            name = notice_id(use, recipient)
            found.setdefault(name, GlassNotice(name, use, recipient, event.source, event.at))
    return list(found.values())


def compose(notice: GlassNotice, sender: str) -> EmailMessage:
    """The mail; ``sender`` as for the other notices. Raises ValueError where an address is none."""
    text = "\n".join(
        [
            "Somebody came in at the console with a sealed break-glass code.",
            "Everybody who looks after this mail is told.",
            "",
            f"  when      {moment(notice.at)}",
            f"  from      {shown_source(notice.source)}",
            "",
            "The session lasts an hour at most. It can shut people and devices out, change what the doors enforce, and",
            "make a link for an owner; it can neither register devices nor edit the policy.",
            "",
            "If you know who it was and why, there is nothing to do but to lock the new codes away.",
            "If nobody says that it was them: sign in at the console, end the session under Staff, Break-glass, make",
            "new codes there, and look at the audit log.",
            "",
        ]
    )
    subject = "A break-glass code was used"
    return automatic_message(notice.id, notice.recipient, sender, "Gambeson", subject, text, notice.at)
