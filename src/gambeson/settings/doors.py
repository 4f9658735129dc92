"""The sections about the doors: where they listen, their certificates, how they behave, as which users they run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from gambeson.model.access import Listener

from .declare import Problem, setting, tables
from .kinds import ADDRESSES, HOST, NETWORKS, PATH, TEXTS, TRUTH, USER, Address, choice, whole


class TlsVersion(StrEnum):
    """The oldest TLS that the doors speak."""

    TLS_1_2 = "1.2"
    TLS_1_3 = "1.3"


class RequestLog(StrEnum):
    """Of which requests at the web doors the shape is kept: none, those that no client makes, all."""

    OFF = "off"
    REFUSED = "refused"
    ALL = "all"


def _at(port: int) -> tuple[Address, ...]:
    return (Address("0.0.0.0", port),)  # noqa: S104 - the doors are for the internet


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the doors listen. Each takes one address, a list of them, or "" for off."""

    imap: tuple[Address, ...] = setting(
        _at(143), ADDRESSES, "IMAP, with STARTTLS before any sign-in.", "Its port (RFC 9051)."
    )
    imaps: tuple[Address, ...] = setting(_at(993), ADDRESSES, "IMAP under TLS.", "Its port (RFC 8314).")
    pop3: tuple[Address, ...] = setting(
        (), ADDRESSES, "POP3, with STLS before any sign-in.", "Few still need it."
    )
    pop3s: tuple[Address, ...] = setting(
        (), ADDRESSES, "POP3 under TLS (usually port 995).", "Few still need it."
    )
    submission: tuple[Address, ...] = setting(
        _at(587), ADDRESSES, "Sending mail, with STARTTLS before any sign-in.", "Its port (RFC 6409)."
    )
    submissions: tuple[Address, ...] = setting(
        _at(465), ADDRESSES, "Sending mail under TLS.", "Its port (RFC 8314)."
    )
    sieve: tuple[Address, ...] = setting(
        _at(4190), ADDRESSES, "ManageSieve, with STARTTLS before any sign-in.", "Its port (RFC 5804)."
    )
    https: tuple[Address, ...] = setting(
        (),
        ADDRESSES,
        "Web applications and the portal (usually port 443).",
        "There is none without a [[site]].",
    )
    console: tuple[Address, ...] = setting(
        (Address("127.0.0.1", 8443),),
        ADDRESSES,
        "The console.",
        "It is not for the internet; reach it by SSH.",
    )

    def doors(self) -> dict[Listener, tuple[Address, ...]]:
        """The addresses per listener, those switched off left out."""
        named = {listener: getattr(self, listener.value, ()) for listener in Listener}
        return {listener: addresses for listener, addresses in named.items() if addresses}

    def check(self) -> Iterator[Problem]:
        """No two listeners share an address."""
        seen: dict[Address, str] = {}
        for name in (*(listener.value for listener in Listener), "console"):
            for address in getattr(self, name):
                if address.port and address in seen:
                    yield Problem(
                        name, f"is {address}, which listen.{seen[address]} uses already; change one"
                    )
                seen[address] = name


@dataclass(frozen=True, slots=True)
class TlsName:
    """Another certificate, chosen by the name that the client asks for (SNI)."""

    names: tuple[str, ...] = setting(
        (),
        TEXTS,
        "The host names, or *.example.org for one label.",
        "Each certificate needs its names.",
        example='["mail.example.net"]',
        required=True,
    )
    certificate: str = setting(
        "",
        PATH,
        "The certificate chain, PEM.",
        "Only you know it.",
        example='"/etc/gambeson/example.net.pem"',
        required=True,
    )
    key: str = setting(
        "",
        PATH,
        "Its private key, PEM.",
        "Only you know it.",
        example='"/etc/gambeson/example.net.key"',
        required=True,
    )

    def check(self) -> Iterator[Problem]:
        """Names must be host names, and there must be some."""
        if not self.names:
            yield Problem("names", "is empty; list the host names of this certificate")
        for name in self.names:
            bare = name.removeprefix("*.")
            if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)*", bare):
                yield Problem("names", f"holds {name!r}, which is no host name in lower case; correct it")


@dataclass(frozen=True, slots=True)
class Tls:
    """The certificate of the doors, and what they accept."""

    certificate: str = setting(
        "",
        PATH,
        "The certificate chain, PEM.",
        "Empty: one signed by Gambeson's own authority is made, for trying things out.",
        example='"/etc/gambeson/tls.pem"',
    )
    key: str = setting(
        "", PATH, "Its private key, PEM.", "Goes with certificate.", example='"/etc/gambeson/tls.key"'
    )
    minimum_version: TlsVersion = setting(
        TlsVersion.TLS_1_2,
        choice(TlsVersion),
        "The oldest TLS.",
        "Phones of 2015 speak 1.2; older is broken.",
    )
    client_certificates: bool = setting(
        True,
        TRUTH,
        "Ask clients for a certificate of Gambeson's device authority. Nobody is made to have one.",
        "It is the strongest proof a mail program can give.",
    )
    name: tuple[TlsName, ...] = tables(TlsName)

    def check(self) -> Iterator[Problem]:
        """Certificate and key go together; a name has one certificate."""
        if bool(self.certificate) != bool(self.key):
            given, missing = ("certificate", "key") if self.certificate else ("key", "certificate")
            yield Problem(given, f"is given without tls.{missing}; add it")
        seen: set[str] = set()
        for number, each in enumerate(self.name):
            for name in each.names:
                if name in seen:
                    yield Problem(
                        f"name.{number}.names", f"holds {name}, which another certificate has; remove one"
                    )
                seen.add(name)


@dataclass(frozen=True, slots=True)
class Doors:
    """How the doors behave."""

    hostname: str = setting(
        "", HOST, "The name in greetings.", "Empty: the machine's own.", example='"mail.example.org"'
    )
    default_domain: str = setting(
        "",
        HOST,
        "The domain of login names without one.",
        "Empty: the only domain, and where there are several such names are refused.",
        example='"example.org"',
    )
    processes: int = setting(
        1,
        whole(1, 64),
        "How many door processes.",
        "One carries 500 people. Each takes max_sessions; max_sessions_per_source is shared out, rounded up.",
    )
    login_timeout_s: int = setting(
        60,
        whole(5, 600),
        "From the connection to the end of signing in, all attempts included.",
        "Ample for people, short for those who hold sockets.",
    )
    idle_timeout_s: int = setting(
        1860,
        whole(1800, 86400),
        "Signed in and silent for this long: closed.",
        "RFC 9051 section 5.4: at least 30 minutes; one more for clients that count to 30.",
    )
    connect_timeout_s: int = setting(
        5, whole(1, 60), "For connecting to a mail server, TLS included.", "Then the next."
    )
    max_sessions: int = setting(5000, whole(10, 100000), "Open sessions.", "About 160 MB of memory.")
    max_sessions_per_source: int = setting(
        200, whole(1, 100000), "Open sessions from one address.", "An office of 40 people behind one address."
    )
    country_table: str = setting(
        "",
        PATH,
        "An .mmdb file that tells the country of an address (GeoLite2-Country, DB-IP Lite Country): for rules with "
        "countries, and for the risk of a sign-in. It is read at start and at a reload.",
        "Empty: no country is known. Gambeson brings no table: they have licences of their own and age fast.",
        example='"/var/lib/GeoIP/GeoLite2-Country.mmdb"',
    )
    clouds: str = setting(
        "",
        PATH,
        "A folder with files of cloud services, as those that come with Gambeson: NAME.toml with name, source, dated, "
        "networks and agents. One of the same name replaces ours. It is read at start and at a reload.",
        "Empty: what comes with Gambeson, whose networks are of the date that they name.",
        example='"/etc/gambeson/clouds"',
    )
    request_log: RequestLog = setting(
        RequestLog.REFUSED,
        choice(RequestLog),
        "Of which requests at the web doors the shape is kept (path, parameters but those that look secret, names of "
        "cookies, program, whose), for gambeson guard shields --replay: off, refused (what no client asks) or all.",
        "all tells of an attack that came through before anybody knew it, and of what people read and when.",
    )
    request_log_days: int = setting(
        90, whole(1, 3650), "With all: for how many days.", "Flaws are used for weeks before they are known."
    )
    request_log_max: int = setting(
        1000000,
        whole(1000, 100000000),
        "With all: how many requests at most; the oldest go. About 700 octets each.",
        "The disk does not fill. A person at a browser makes some thousand a day.",
    )
    proxy_protocol_from: tuple[str, ...] = setting(
        (),
        NETWORKS,
        "Networks of load balancers. From there the PROXY protocol is required, elsewhere refused.",
        "A header from anywhere could claim any origin.",
    )
    edge_sockets: str = setting(
        "",
        PATH,
        "A directory for Unix sockets (imap.sock, pop3.sock, submission.sock, sieve.sock) on which an edge that "
        "ended TLS hands connections over, with the client certificate in the PROXY header.",
        "Empty: there is no edge.",
    )
    edge_user: str = setting(
        "", USER, "The edge's user: only its processes may connect there.", "Goes with edge_sockets."
    )

    def check(self) -> Iterator[Problem]:
        """The edge's sockets and user go together."""
        if bool(self.edge_sockets) != bool(self.edge_user):
            given, missing = (
                ("edge_sockets", "edge_user") if self.edge_sockets else ("edge_user", "edge_sockets")
            )
            yield Problem(given, f"is given without doors.{missing}; add it")
        if self.max_sessions_per_source > self.max_sessions:
            yield Problem(
                "max_sessions_per_source", f"is more than doors.max_sessions ({self.max_sessions}); lower it"
            )


@dataclass(frozen=True, slots=True)
class Users:
    """The system users the processes change to when started as root."""

    doors: str = setting("gambeson-doors", USER, "Of the doors.", "They face the internet and own nothing.")
    keeper: str = setting("gambeson-keeper", USER, "Of the keeper.", "Nobody else reads the keys.")
    worker: str = setting("gambeson-worker", USER, "Of the worker.", "It owns the data.")
    console: str = setting(
        "gambeson-console",
        USER,
        "Of the portal.",
        "It faces browsers and owns nothing. The console runs as the worker.",
    )

    def check(self) -> Iterator[Problem]:
        """None is root or empty, and doors and keeper are nobody else."""
        for name in ("doors", "keeper", "worker", "console"):
            if getattr(self, name) in ("", "root"):
                yield Problem(name, "must name a user of its own that is not root")
        for name in ("doors", "keeper"):
            if [self.doors, self.keeper, self.worker, self.console].count(getattr(self, name)) > 1:
                yield Problem(
                    name, "is the user of another process too, which would undo the separation; name another"
                )
