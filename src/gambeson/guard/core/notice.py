"""Notices: a person and the administrators are told that a device waits in quarantine: a registered one, or a phone
that an administrator put there by its ActiveSync DeviceId.

Rules of this file:

- Only a *proven* device causes a notice: whoever merely knows a name or a password makes nobody any mail.
- One mail for each device (and DeviceId), UTC day and recipient: the id of a notice is made of these and nothing else.
- It is an automatic message (RFC 3834 section 5: Auto-Submitted) with a null sender, so that nothing answers it.
- It holds plain words and no link: nothing in it acts, and what a device or program calls itself can't become one.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from hashlib import blake2b

from gambeson.guard.core.web.eas import Outcome
from gambeson.model.access import Rung
from gambeson.model.asset import Account, Device, DeviceState
from gambeson.model.event import Event

KIND = "notice.quarantined"
CAUSE = "door.login.refused"
REASON = "device-quarantined"
EAS_CAUSE = "door.eas.refused"
_PROOFS = (Rung.DEVICE_SECRET.word, Rung.DEVICE_KEY.word)
_MAX_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Notice:
    """One mail to one ``recipient``. ``id`` is the same for the same device, day and recipient. ``at`` is when the
    device tried, ``admin`` whether the recipient can do something about it. ``phone`` is the ActiveSync DeviceId (lower
    case) where that one is in quarantine and not the device itself."""

    id: str
    device: str
    device_name: str
    account: str
    recipient: str
    admin: bool
    door: str
    source: str
    program: str
    at: float
    phone: str = ""


def day_of(at: float) -> str:
    """The UTC day of a moment, ``2027-01-31``."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def notice_id(device: str, day: str, recipient: str, phone: str = "") -> str:
    """The name of the notice to ``recipient`` about ``device`` (or its ``phone``) on ``day``."""
    parts = (KIND, device, day, recipient, *((phone,) if phone else ()))
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return f"notice-{blake2b(text, digest_size=20).hexdigest()}"


def phone_of(event: Event) -> str:
    """The DeviceId (lower case) that a refusal of an ActiveSync phone is about; empty for any other event."""
    named = event.data.get("device_id")
    return named.lower() if event.kind == EAS_CAUSE and isinstance(named, str) else ""


def causes(
    event: Event, device: Device, account: Account, phones: Collection[tuple[str, str]] = frozenset()
) -> bool:
    """Whether the event says that this very device, still in quarantine itself or by its DeviceId, proved itself and
    was not served. ``phones`` are the account and DeviceId (lower case) of those that an administrator put there."""
    data = event.data
    if event.kind == EAS_CAUSE:
        held = (
            data.get("why") == Outcome.QUARANTINED.value
            and device.state is DeviceState.REGISTERED
            and (account.id, phone_of(event)) in phones
        )
    else:
        held = (
            event.kind == CAUSE
            and data.get("reason") == REASON
            and not data.get("failure")
            and device.state is DeviceState.QUARANTINED
        )
    return (
        held
        and data.get("rung") in _PROOFS
        and bool(data.get("credential"))
        and account.enabled
        and (event.device, event.account) == (device.id, account.id) == (device.id, device.account)
        and event.organisation == device.organisation == account.organisation
    )


def due(
    events: Iterable[Event],
    devices: Mapping[str, Device],
    accounts: Mapping[str, Account],
    admins: Sequence[str],
    sent: Collection[str],
    phones: Collection[tuple[str, str]] = frozenset(),
) -> list[Notice]:
    """The notices to send, in the order of their causes. ``devices`` and ``accounts`` by id, ``sent`` the ids of
    notices that were sent or are about to be; ``admins`` canonical addresses; ``phones`` see :func:`causes`."""
    found: dict[str, Notice] = {}
    for event in events:
        device = devices.get(event.device)
        account = accounts.get(event.account)
        if device is None or account is None or not causes(event, device, account, phones):
            continue
        phone = phone_of(event)
        for recipient in dict.fromkeys((account.address, *admins)):
            name = notice_id(device.id, day_of(event.at), recipient, phone)
            if name not in sent and name not in found:
                found[name] = Notice(
                    id=name,
                    device=device.id,
                    device_name=device.name,
                    account=account.address,
                    recipient=recipient,
                    admin=recipient in admins,
                    door=event.door,
                    source=event.source,
                    program=str(event.data.get("program") or ""),
                    at=event.at,
                    phone=phone,
                )
    return list(found.values())


def plain_words(text: str) -> str:
    """What may be shown of a name that somebody else chose: letters, digits, blanks and a few signs, on one line and
    with nothing that a mail program would make a link of."""
    kept = "".join(c if c.isalnum() or c in " .,-'()+_" else " " for c in text[: 4 * _MAX_SHOWN])
    apart = re.sub(r"\.(?!\d)|(?<!\d)\.", " ", kept)  # 17.5 stays a number, evil.example no host
    return " ".join(apart.split())[:_MAX_SHOWN].strip() or "without a name"


def compose(notice: Notice, sender: str, organisation: str) -> EmailMessage:
    """The mail. ``sender`` is the address it is from; empty: postmaster at the recipient's domain (RFC 5321 section
    4.5.1: there always is one). ``organisation`` is its name. Raises ValueError where an address is none."""
    name = plain_words(notice.device_name)
    subject, text = f"A device waits for approval: {name}", _text(notice, name)
    return automatic_message(notice.id, notice.recipient, sender, organisation, subject, text, notice.at)


def automatic_message(
    id: str, recipient: str, sender: str, organisation: str, subject: str, text: str, at: float
) -> EmailMessage:
    """The mail that nothing answers, for :func:`compose`: ``id`` makes its Message-ID, ``at`` its Date. ``subject``
    and ``text`` are ours, with what others chose in plain words. Raises ValueError where an address is none."""
    message = EmailMessage(policy=SMTP if (recipient + sender).isascii() else SMTPUTF8)
    domain = recipient.rpartition("@")[2]
    message["From"] = _address(sender or f"postmaster@{domain}", f"Mail doors of {plain_words(organisation)}")
    message["To"] = _address(recipient)
    message["Subject"] = subject
    message["Date"] = format_datetime(datetime.fromtimestamp(at, UTC))
    message["Message-ID"] = f"<{id}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5.2
    message["Precedence"] = "bulk"  # for vacation programs from before RFC 3834
    message.set_content(text)
    return message


def _address(text: str, shown: str = "") -> Address:
    local, at, domain = text.rpartition("@")
    if not (local and at and domain) or not text.isprintable():
        raise ValueError(f"{text[:80]!r} is no mail address")
    return Address(shown, local, domain)


def _text(notice: Notice, name: str) -> str:
    about = [
        f"The device called {name} asked for mail of this account and is in quarantine:",
        "it was answered, but not served.",
        "",
        f"  account   {notice.account}",
        f"  door      {plain_words(notice.door)}",
        f"  when      {moment(notice.at)}",
        f"  from      {shown_source(notice.source)}",
    ]
    if notice.program:
        about.append(f"  program   {plain_words(notice.program)} (what it says of itself)")
    if notice.phone:
        about.append(f"  DeviceId  {plain_words(notice.phone)} (what it says of itself)")
    if notice.admin:
        advice = [
            "Ask the account's owner whether the device is theirs. Then, on the mail doors' machine:",
            "",
            *_commands(notice),
        ]
    else:
        advice = [
            "Is it yours? Then ask your administrator to approve it.",
            "Is it not? Then tell your administrator at once: somebody else has this device's secret.",
        ]
    end = ["There is nothing to click here. This comes at most once a day for a device."]
    return "\n".join([*about, "", *advice, "", *end, ""])


def _commands(notice: Notice) -> tuple[str, str]:
    """What lets it in, and what shuts it out."""
    if notice.phone:
        # Only what may stand in a DeviceId: an administrator will paste this.
        phone = re.sub(r"[^0-9a-z._{}-]", "", notice.phone)
        whom = f"{notice.account} '{phone}'"
        return f"  gambeson device eas allow {whom}", f"  gambeson device eas block {whom}"
    return f"  gambeson device approve {notice.device}", f"  gambeson device block {notice.device}"


def moment(at: float) -> str:
    """``2027-01-31 12:00 UTC``."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def shown_source(text: str) -> str:
    """A network address as it may be shown, without a zone: any words could stand there."""
    try:
        return str(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return "an unknown address"
