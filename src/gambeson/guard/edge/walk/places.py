"""Where to walk: our doors, the mail servers behind them, well-known ports of their hosts, and what a person adds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from gambeson.guard.core.walk import Place, Role
from gambeson.model.access import DoorKind, Listener
from gambeson.model.server import Endpoint, MailServer, UpstreamTls
from gambeson.process.run_directory import read_ready

from .connection import loopback

WELL_KNOWN = {
    25: Listener.SUBMISSION,
    110: Listener.POP3,
    143: Listener.IMAP,
    465: Listener.SUBMISSIONS,
    587: Listener.SUBMISSION,
    993: Listener.IMAPS,
    995: Listener.POP3S,
    4190: Listener.SIEVE,
}
WILD = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - translated, not bound
_PLAIN_LISTENER = {
    DoorKind.IMAP: Listener.IMAP,
    DoorKind.POP3: Listener.POP3,
    DoorKind.SUBMISSION: Listener.SUBMISSION,
    DoorKind.SIEVE: Listener.SIEVE,
}
_TLS_LISTENER = {
    DoorKind.IMAP: Listener.IMAPS,
    DoorKind.POP3: Listener.POP3S,
    DoorKind.SUBMISSION: Listener.SUBMISSIONS,
}


class PlaceError(ValueError):
    """An address that cannot be used. One sentence."""


def of_ready(data: Path) -> Sequence[Place]:
    """The doors that ``run/ready.json`` of a data directory names; none where nothing runs. Raises PlaceError."""
    try:
        document = read_ready(data)
    except (OSError, ValueError) as error:
        raise PlaceError(
            f"{data / 'run' / 'ready.json'} cannot be read ({error}); is gambeson up running as another user?"
        ) from None
    ca = str(document.get("ca") or "")
    return tuple(_doors(document.get("doors") or {}, ca if Path(ca).is_file() else ""))


def _doors(doors: Mapping[str, object], ca: str) -> Iterator[Place]:
    for name, address in doors.items():
        word = name.partition("#")[0]
        if isinstance(address, str) and word in set(Listener) and word != Listener.HTTPS:
            listener = Listener(word)
            host, port = split(address)
            yield Place(
                name,
                listener,
                Role.DOOR,
                WILD.get(host, host),
                port,
                implicit=listener.implicit_tls,
                ca=ca,
                server_name="localhost" if ca else "",
            )


def of_listens(listens: Iterable[tuple[str, str, int]]) -> Sequence[Place]:
    """The doors of the settings: name of the listener, host, port."""
    return tuple(_doors({name: _joined(host, port) for name, host, port in listens}, ""))


def of_servers(servers: Iterable[MailServer]) -> Sequence[Place]:
    """Every address of the mail servers behind the doors."""
    return tuple(
        _upstream(f"{server.name} {endpoint.door}", endpoint)
        for server in servers
        for endpoint in server.endpoints
    )


def _upstream(name: str, endpoint: Endpoint) -> Place:
    implicit = endpoint.tls is UpstreamTls.IMPLICIT
    listener = (_TLS_LISTENER if implicit else _PLAIN_LISTENER)[endpoint.door]
    return Place(
        name,
        listener,
        Role.UPSTREAM,
        endpoint.host,
        endpoint.port,
        endpoint.unix,
        implicit,
        endpoint.server_name,
        endpoint.ca,
        endpoint.pin,
    )


def of_target(text: str, ca: str = "") -> Place:
    """``HOST:PORT=LISTENER``, such as ``mail.example.org:2525=submission``. Raises PlaceError."""
    address, sign, word = text.rpartition("=")
    if not sign or word not in set(Listener) or word == Listener.HTTPS:
        known = ", ".join(each for each in Listener if each is not Listener.HTTPS)
        raise PlaceError(f"{text[:80]!a} is no target; write HOST:PORT=LISTENER with one of {known}.")
    host, port = split(address)
    listener = Listener(word)
    return Place(address, listener, Role.UPSTREAM, host, port, implicit=listener.implicit_tls, ca=ca)


def of_scan(hosts: Iterable[str], known: Iterable[Place], ca: str = "") -> Sequence[Place]:
    """The well-known mail ports of these hosts, those left out that are known already."""
    taken = {(place.host, place.port) for place in known}
    return tuple(
        Place(f"{host} port {port}", listener, Role.FOUND, host, port, implicit=listener.implicit_tls, ca=ca)
        for host in dict.fromkeys(hosts)
        for port, listener in WELL_KNOWN.items()
        if (host, port) not in taken
    )


def hosts_of(places: Iterable[Place]) -> Sequence[str]:
    """The hosts among these places."""
    return tuple(dict.fromkeys(place.host for place in places if place.host))


def from_outside(places: Iterable[Place]) -> tuple[Sequence[Place], Sequence[Place]]:
    """Those that another machine could reach, and those of this machine alone."""
    near = [place for place in places if loopback(place)]
    return tuple(place for place in places if place not in near), tuple(near)


def split(address: str) -> tuple[str, int]:
    """Host and port. Raises PlaceError."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65536 or len(host) > 255:
        raise PlaceError(f"{address[:80]!a} is no address; write HOST:PORT.")
    return host, int(port)


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host or '0.0.0.0'}:{port}"  # noqa: S104 - text
