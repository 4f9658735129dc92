"""Notices of the portal: a person is told that the ways into their account changed (NIST SP 800-63B: notice of a new
authenticator), and the administrators of what smells of theft. What the console's help desk gives is told alike.

Rules of this file:

- Only what came after a proof makes mail: the kinds below, none of them a mere refusal of a stranger.
- One mail for each account, kind, UTC hour and recipient: the id of a notice is made of these and nothing else.
- It is the same automatic message as other notices, in plain words; no code and no secret is in it. The portal's
  address is text, without a path: nothing in the mail acts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from hashlib import blake2b

from gambeson.guard.core.notice import automatic_message, moment, plain_words, shown_source
from gambeson.model.asset import Account
from gambeson.model.event import Event

KIND = "notice.portal"
_WRITERS = {
    "portal": "portal/",
    "console": "console-",
}  # how the ids of their events begin; a door can't write them


@dataclass(frozen=True, slots=True)
class Words:
    """Of one kind of event: the subject, what happened, and whether administrators hear of it and what was named."""

    subject: str
    text: str
    alarm: bool = False
    named: str = ""


KINDS: Mapping[str, Words] = {
    "portal.factor.added": Words(
        "A second factor was added", "A second factor was added to this account.", named="factor"
    ),
    "portal.factor.removed": Words(
        "A second factor was removed", "A second factor was removed from this account.", named="factor"
    ),
    "portal.recovery.used": Words(
        "A recovery code was used",
        "Somebody signed in to this account with its password and a recovery code.",
        alarm=True,
    ),
    "portal.recovery.renewed": Words(
        "New recovery codes were made",
        "New recovery codes were made for this account. Those from before do not work any more.",
    ),
    "portal.device.added": Words(
        "A device was added", "A device was added to this account and can get its mail.", named="device"
    ),
    "portal.passkey.copied": Words(
        "A passkey may have been copied",
        "A passkey of this account was refused: its counter did not grow. There may be a copy of it.",
        alarm=True,
    ),
    "console.help-desk.code": Words(
        "The help desk gave a code for this account",
        "The help desk gave a code with which a second factor can be added to this account, beside its password.",
        named="checked",
    ),
}


@dataclass(frozen=True, slots=True)
class PortalNotice:
    """One mail to one ``recipient`` about an event of ``kind``. ``account`` is an id, ``address`` its address,
    ``named`` what the factor or device is called, ``source`` the network address, ``at`` when it happened."""

    id: str
    kind: str
    account: str
    address: str
    recipient: str
    named: str
    source: str
    at: float


def notice_id(kind: str, account: str, at: float, recipient: str) -> str:
    """The name of the notice to ``recipient`` about what happened to an account (its id) in the UTC hour of ``at``."""
    hour = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H")
    text = "\0".join((KIND, kind, account, hour, recipient)).encode("utf-8", "surrogatepass")
    return f"notice-{blake2b(text, digest_size=20).hexdigest()}"


def due(
    events: Iterable[Event], accounts: Mapping[str, Account], admins: Sequence[str]
) -> list[PortalNotice]:
    """The notices that the events ask for, oldest first, each once. ``accounts`` by id, ``admins`` canonical addresses.
    Which were sent already, the store knows by their ids."""
    found: dict[str, PortalNotice] = {}
    for event in sorted(events, key=lambda each: (each.at, each.id)):
        words, account = KINDS.get(event.kind), accounts.get(event.account)
        if words is None or account is None or not _written(event):
            continue
        if not account.enabled or event.organisation != account.organisation:
            continue
        named = str(event.data.get("sentence") or "") if words.named else ""
        for recipient in dict.fromkeys((account.address, *(admins if words.alarm else ()))):
            name = notice_id(event.kind, account.id, event.at, recipient)
            notice = PortalNotice(
                name, event.kind, account.id, account.address, recipient, named, event.source, event.at
            )
            found.setdefault(name, notice)
    return list(found.values())


def _written(event: Event) -> bool:
    """Whether the event comes from where its kind says."""
    return event.id.startswith(_WRITERS[event.kind.partition(".")[0]])


def compose(notice: PortalNotice, sender: str, organisation: str, origin: str) -> EmailMessage:
    """The mail; ``sender`` and ``organisation`` as for the other notices, ``origin`` the portal's or empty. Raises
    ValueError where an address is none or the kind is not known."""
    words = KINDS.get(notice.kind)
    if words is None:
        raise ValueError(f"there is no notice of {notice.kind[:80]!r}")
    text = _text(notice, words, origin)
    return automatic_message(
        notice.id, notice.recipient, sender, organisation, words.subject, text, notice.at
    )


def _text(notice: PortalNotice, words: Words, origin: str) -> str:
    about = [words.text, "", f"  account   {notice.address}"]
    if notice.named:
        about.append(f"  {words.named:<8}  {plain_words(notice.named)}")
    console = notice.kind.startswith("console.")
    about.append(f"  when      {moment(notice.at)}")
    if not console:  # where the help desk sits is nobody's business
        about.append(f"  from      {shown_source(notice.source)}")
    about.append("")
    if notice.recipient == notice.address:
        portal = f"the portal, {origin}," if origin else "the portal"
        advice = [
            "If this was you, there is nothing to do.",
            f"If this was not you: sign in at {portal} or tell your administrator.",
        ]
    else:
        advice = ["Ask the account's owner whether this was them."]
    end = "This comes at most once an hour for each kind of change"
    end += "." if console else "; the portal shows all of them."
    return "\n".join([*about, *advice, "", end, ""])
