"""What the portal must be told. All of it is known before the console gives up its rights."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from gambeson.console.web.shell import Gate


@dataclass(frozen=True, slots=True)
class ApplicationHost:
    """A web application that people may be sent to. ``host`` as browsers write it: lower case, with the port where it
    is not 443. ``password``: the door signs in there with the person's password (way *basic*)."""

    host: str
    label: str = ""
    password: bool = False

    @property
    def name(self) -> str:
        """The host without its port."""
        return self.host.partition(":")[0]


@dataclass(frozen=True, slots=True)
class MailService:
    """Where a mail program connects. ``door`` is a word such as ``imap``; ``implicit_tls`` false: STARTTLS."""

    door: str
    host: str
    port: int
    implicit_tls: bool = True


@dataclass(frozen=True, slots=True)
class PortalSettings:
    """``origin`` is the portal's own, as browsers send it (``https://login.example.org:8443``). ``mail`` are the
    services that a device is set up with, ``eas_host`` the name (with port) of ActiveSync and of the other
    ``web_doors`` that are set up, ``certificate_host`` the name where devices show certificates; empty: not offered.
    ``autoconfig`` is the URL at which programs find the mail services. ``signing_certificate`` (PEM, the chain after
    the leaf) and ``signing_key`` (PEM) sign Apple profiles; empty: they go out unsigned and the page says so.
    ``known_key`` (32 octets, kept) signs the cookies of known browsers; empty: it is derived from ``signing_key``, or,
    where there is none, made anew at every start. Seconds: ``idle`` and ``absolute`` bound a session, ``fresh`` is how
    long a second factor counts for a dangerous act, ``refusal_seconds`` how long every refusal of address and password
    takes, whatever its cause, ``body_seconds`` how long a form may take to come."""

    origin: str
    name: str = "Gambeson"
    applications: tuple[ApplicationHost, ...] = ()
    mail: tuple[MailService, ...] = ()
    eas_host: str = ""
    certificate_host: str = ""
    web_doors: tuple[str, ...] = ("eas", "autodiscover")
    autoconfig: str = ""
    signing_certificate: bytes = b""
    signing_key: bytes = b""
    known_key: bytes = b""
    idle: float = 3600.0
    absolute: float = 43200.0
    fresh: float = 300.0
    step_seconds: float = 600.0
    challenge_seconds: float = 300.0
    code_seconds: float = 60.0
    link_seconds: float = 600.0
    refusal_seconds: float = 0.8
    body_seconds: float = 10.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.origin)
        if parts.scheme != "https" or not parts.hostname or self.origin != f"https://{parts.netloc}":
            raise ValueError(f"{self.origin!r} is no origin: write it as https://HOST or https://HOST:PORT.")
        if any(a.name == self.rp_id for a in self.applications):
            raise ValueError("The portal needs a host name of its own, that of no application.")

    def __repr__(self) -> str:
        return f"PortalSettings({self.origin!r})"

    @property
    def host(self) -> str:
        """The Host header that belongs to the origin."""
        return self.origin.removeprefix("https://")

    @property
    def rp_id(self) -> str:
        """The relying party id of passkeys: the host name without its port."""
        return self.host.partition(":")[0]

    @property
    def gate(self) -> Gate:
        """What holds for every request: forms may lead to the applications."""
        return Gate(self.origin, self.body_seconds, tuple(a.host for a in self.applications))

    def application(self, host: str) -> ApplicationHost | None:
        """The application with exactly this host and port."""
        return next((a for a in self.applications if a.host == host), None)

    @property
    def device_doors(self) -> tuple[str, ...]:
        """The doors that a new device gets where nobody knows the program: mail and ActiveSync."""
        doors = dict.fromkeys(service.door for service in self.mail)
        if self.eas_host:
            doors["eas"] = None
        return tuple(doors)

    @property
    def all_doors(self) -> tuple[str, ...]:
        """The doors of programs that are set up here."""
        doors = dict.fromkeys(service.door for service in self.mail)
        if self.eas_host or self.certificate_host:
            doors |= dict.fromkeys(self.web_doors)
        return tuple(doors)
