"""What the mail doors need to know, as plain values.

``app`` builds one :class:`DoorSettings` from the settings file; nothing here reads files or the
environment. All times are seconds, all sizes octets, unless the name says otherwise.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

from gambeson.guard.core.clouds import Clouds, load_clouds
from gambeson.guard.core.throttle import ThrottleLimits
from gambeson.model.access import Listener
from gambeson.wire.autodiscover import MailServerName

from .countries import CountryTable
from .decision_plan import DecisionSettings
from .directory import OpenDirectory
from .tls import DoorTls
from .web.limits import WebLimits
from .web.portal import Portal


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """One listening socket.

    ``name`` is the key of the socket given to ``DoorServer.start``. ``proxy_from`` not empty: every
    connection must come from one of these networks and begin with a PROXY protocol header; any other
    is closed. ``edge_uid`` >= 0: the socket is the Unix socket of an edge that ended TLS before us; only
    processes of this user may connect, the header is required and its TLVs may name the client's
    certificate. ``max_open`` 0 means: no limit of its own.
    """

    name: str
    kind: Listener
    proxy_from: tuple[str, ...] = ()
    edge_uid: int = -1
    max_open: int = 0

    @property
    def edge(self) -> bool:
        """True for the Unix socket of an edge."""
        return self.edge_uid >= 0


@dataclass(frozen=True, slots=True)
class DoorTimeouts:
    """How long anything may take."""

    handshake: float = 15.0  # TLS, and the PROXY header before it
    login: float = (
        60.0  # from accept to signed in, all attempts and STARTTLS included; trickling does not extend it
    )
    connect: float = 5.0  # to one mail server, TLS included
    sign_in: float = 30.0  # one mail server's whole sign-in dialogue; slow directories behind it take seconds
    keeper: float = 5.0  # one answer of the keeper
    idle: float = 1860.0  # signed in and silent; RFC 9051 section 5.4 wants at least 30 minutes
    idle_relay: float = 300.0  # RFC 5321 section 4.5.3.2.7: a server waits at least 5 minutes for a command
    refusal: float = 0.8  # every refusal takes this long from the attempt, whatever its cause
    farewell: float = 0.5  # after BYE, until the connection is cut
    shutdown: float = 2.0  # for the peer's half of closing TLS


@dataclass(frozen=True, slots=True)
class DoorLimits:
    """How many and how much. One process; the supervisor may run several."""

    sessions: int = 10000
    unauthenticated: int = 2000
    sessions_per_source: int = 400  # an office behind one address: 60 people with five programs' connections
    unauthenticated_per_source: int = 50
    backlog: int = 1024
    accept_burst: int = 64  # connections taken in one turn of the loop
    write_high: int = 65536  # octets waiting for a slow peer before its other side is no longer read
    message: int = 52428800  # the largest message the submission door takes, 50 MiB
    recipients: int = 1000
    processes: int = 1  # how many share the limits of one hour: each allows its part
    hourly_messages: int = (
        300  # an account, in any hour; a copy for each recipient counts as one. 0: no limit
    )


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """The doors of one process. ``tls`` is None only where every listener is an edge's socket.

    ``sender_check`` is ``off``, ``envelope`` or ``both`` (envelope and header). ``exempt`` networks
    are not counted per source (the provider's own monitoring, a gateway). ``snapshot_max_age``: an older
    snapshot admits nobody new.
    """

    hostname: str
    listeners: tuple[ListenerSettings, ...]
    tls: DoorTls | None = None
    web_tls: DoorTls | None = None  # of the https listeners; None: as the others
    default_domain: str = ""
    sender_check: str = "both"
    exempt: tuple[str, ...] = ()
    snapshot_max_age: float = 3600.0
    timeouts: DoorTimeouts = field(default_factory=DoorTimeouts)
    limits: DoorLimits = field(default_factory=DoorLimits)
    web: WebLimits = field(default_factory=WebLimits)
    portal: Portal | None = None  # None: nobody signs in with a browser
    mail_names: tuple[MailServerName, ...] = ()  # the mail doors as autoconfig names them
    throttle: ThrottleLimits = field(default_factory=ThrottleLimits)
    throttle_key: bytes = field(default=b"", repr=False)  # random; strangers can't choose what collides
    server_down_for: float = 10.0  # a mail server that could not be reached is left alone this long
    upstream_roots: ssl.SSLContext | None = None  # for endpoints without CA or pin; None: the system's roots
    upstream_authorities: Mapping[str, str] = field(default_factory=dict)  # CA file's path: its PEM text
    countries: CountryTable | None = None  # None: no country is known
    clouds: Clouds = field(default_factory=load_clouds)  # programs that read through one are recognised
    decision_api: DecisionSettings | None = None  # None: no engine of others asks
    directory: OpenDirectory | None = None  # who knows the passwords of accounts whose source is ldap

    @property
    def portal_hosts(self) -> frozenset[str]:
        """The portal's name, served beside the names of the sites; empty without a portal."""
        own = (self.portal.host,) if self.portal is not None else ()
        return frozenset((*own, *self.web.portal_hosts))
