"""The sample organisation: three people, some mail, and what ``ready.json`` says of them.

The domain is under ``.example`` (RFC 2606), so no mail can ever leave by mistake.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from gambeson.model.asset import DeviceState

DOMAIN = "playground.example"
ORGANISATION = "playground"
SERVER_NAME = "playground"
AUDIENCE = "gambeson-playground"
WEB_HOSTS = ("mail.localhost",)
DEVICE_HOSTS = ("devices.localhost",)


@dataclass(frozen=True, slots=True)
class Person:
    """One sample account: ``name`` is for the From line."""

    local_part: str
    name: str
    aliases: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """The account's main address."""
        return f"{self.local_part}@{DOMAIN}"


PEOPLE = (
    Person("alma", "Alma Weaver", (f"office@{DOMAIN}",)),
    Person("bruno", "Bruno Smith"),
    Person("chiara", "Chiara Miller"),
)


WITH_CODES = PEOPLE[:2]  # who has one-time codes from the start; the third tries enrolment


@dataclass(frozen=True, slots=True)
class SampleDevice:
    """A device that is there from the start."""

    address: str
    name: str
    state: DeviceState


DEVICES = (
    SampleDevice(PEOPLE[0].address, "Alma's computer", DeviceState.REGISTERED),
    SampleDevice(PEOPLE[1].address, "Bruno's new tablet", DeviceState.QUARANTINED),
)

_LETTERS = (
    (
        "welcome@" + DOMAIN,
        "Welcome behind the doors",
        "You read this through a door that no password opens.\n\n"
        "Try it: a mail program with only the password is refused and told where to register.\n"
        "A registered device has a secret of its own; revoke it, and this session ends within a second.\n",
    ),
    (
        "bruno@" + DOMAIN,
        "Lunch on Thursday?",
        "Are you in on Thursday? The place by the bridge is open again.\n\nBruno\n",
    ),
    (
        "chiara@" + DOMAIN,
        "Grüße aus dem Büro",
        "Umlauts travel well: äöüß, and so do 日本語 and emoji 🛡.\n\nChiara\n",
    ),
)


def letters(to: Person, at: datetime) -> list[bytes]:
    """The sample mail of one person, as RFC 5322 messages with CRLF, the newest one dated ``at``."""
    out = []
    for n, (sender, subject, text) in enumerate(_LETTERS):
        if sender == to.address:
            continue
        sent = at.astimezone(UTC) - timedelta(hours=7 * (len(_LETTERS) - n))
        message = EmailMessage(policy=SMTP)
        message["From"] = sender
        message["To"] = to.address
        message["Subject"] = subject
        message["Date"] = format_datetime(sent)
        message["Message-ID"] = f"<sample-{n}-{to.local_part}@{DOMAIN}>"
        message.set_content(text)
        out.append(bytes(message))
    return out
