"""The mail programs that a person may set up here, from ``guard/data/clients``: names, steps, known breaks, doors.

The files' sentences are data of their own and are shown as they stand; everything around them is in the catalogue. A
program is offered where a door at which it reads mail is set up here. One that reads through its maker's cloud is
offered only where the organisation lets that cloud in (``clouds``), and named as refused elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from gambeson.console.web.texts import Catalogue
from gambeson.guard.core.web.clients import Client, SetUp, load_clients
from gambeson.model.access import DoorKind
from gambeson.model.asset import CredentialKind

from .settings import MailService, PortalSettings

OTHER = "other"
OTHER_STEPS = 3
READING = {DoorKind.IMAP, DoorKind.POP3, DoorKind.EAS, DoorKind.EWS, DoorKind.MAPI}
EXCHANGE = ("eas", "ews", "mapi")  # in the table one line each, all at the same host


@dataclass(frozen=True, slots=True)
class Program:
    """One choice. ``doors`` are those of the program that are set up here, ``setup`` is the way that works here,
    ``certificate`` whether the profile can carry one."""

    id: str
    name: str
    setup: SetUp
    doors: tuple[str, ...]
    steps: tuple[str, ...]
    about: str = ""
    breaks: tuple[str, ...] = ()
    cloud: str = ""
    certificate: bool = False

    @property
    def profile(self) -> bool:
        """Whether an Apple profile sets it up."""
        return self.setup is SetUp.PROFILE

    @property
    def autoconfig(self) -> bool:
        """Whether it finds the servers by itself."""
        return self.setup is SetUp.AUTOCONFIG


def offered(settings: PortalSettings, texts: Catalogue, clouds: tuple[str, ...]) -> tuple[Program, ...]:
    """What a person may choose; the last one is any other program."""
    known = (_program(settings, one) for one in load_clients().all if _fits(settings, one))
    other = Program(
        OTHER,
        texts("device.other"),
        SetUp.STEPS,
        settings.device_doors,
        tuple(texts(f"device.other-{number}") for number in range(1, OTHER_STEPS + 1)),
    )
    return (*(one for one in known if not one.cloud or one.cloud in clouds), other)


def refused(settings: PortalSettings, clouds: tuple[str, ...]) -> tuple[Program, ...]:
    """The programs through a cloud that may not come in."""
    shut = (one for one in load_clients().all if one.cloud and one.cloud not in clouds)
    return tuple(_program(settings, one) for one in shut)


def find(settings: PortalSettings, texts: Catalogue, clouds: tuple[str, ...], id: str) -> Program | None:
    """The program that was chosen, where it is offered."""
    return next((one for one in offered(settings, texts, clouds) if one.id == id), None)


def rows(settings: PortalSettings, doors: tuple[str, ...]) -> tuple[MailService, ...]:
    """What is typed into the program: a line for each of these doors."""
    mail = [service for service in settings.mail if service.door in doors]
    host, _, port = settings.eas_host.partition(":")
    web = [MailService(door, host, int(port or 443)) for door in EXCHANGE if door in doors and host]
    return (*mail, *web)


def _fits(settings: PortalSettings, one: Client) -> bool:
    here = set(settings.all_doors)
    return one.setup is not SetUp.ADMINISTRATOR and any(d in READING and d.value in here for d in one.doors)


def _program(settings: PortalSettings, one: Client) -> Program:
    here = set(settings.all_doors)
    doors = tuple(door.value for door in one.doors if door.value in here)
    # A profile describes an Exchange account, or reading and sending; for less there is the table.
    whole = bool({"eas", "ews"} & set(doors)) or {"imap", "submission"} <= set(doors)
    setup = SetUp.STEPS if one.setup is SetUp.PROFILE and not whole else one.setup
    able = setup is SetUp.PROFILE and CredentialKind.CERTIFICATE in one.credentials and "eas" in doors
    return Program(
        id=one.id,
        name=one.name,
        setup=setup,
        doors=doors,
        steps=one.steps,
        about=one.protocols,
        breaks=one.breaks,
        cloud=one.cloud,
        certificate=able and bool(settings.certificate_host),
    )
