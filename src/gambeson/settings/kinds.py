"""The types of values in the settings file. Each reads what TOML gave and refuses everything else."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from .declare import Kind
from .secret import SecretRef

E = TypeVar("E", bound=StrEnum)

_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*\.?")


@dataclass(frozen=True, slots=True)
class Address:
    """A socket's address: an IP address in canonical form, and a port (0: any free one)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def quoted(text: object) -> str:
    """A TOML basic string (RFC 8259 strings are a subset of TOML's)."""
    return json.dumps(str(text), ensure_ascii=False)


def array(items: Iterable[object]) -> str:
    """A TOML array of strings; one item is written as a plain string, none as an empty one."""
    parts = [quoted(item) for item in items]
    if not parts:
        return '""'
    return parts[0] if len(parts) == 1 else f"[{', '.join(parts)}]"


def _string(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value or len(value) > 4096:
        raise ValueError
    return value


def _strings(value: Any) -> list[str]:
    if value == "":
        return []
    if not isinstance(value, list):
        value = [value]
    if len(value) > 1000:
        raise ValueError("must be a list of at most 1000")
    return [_string(item) for item in value]


TEXT: Kind[str] = Kind("a string", lambda value, base: _string(value), quoted)
TRUTH: Kind[bool] = Kind("true or false", lambda value, base: _truth(value), lambda value: str(value).lower())
TEXTS: Kind[tuple[str, ...]] = Kind(
    "a string or a list of strings", lambda value, base: tuple(_strings(value)), array
)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def whole(low: int, high: int) -> Kind[int]:
    """A whole number in a range, both ends included."""

    def read(value: Any, base: Path) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError
        return value

    return Kind(f"a whole number from {low} to {high}", read, str)


def choice(of: type[E]) -> Kind[E]:
    """One word of an enum."""

    def read(value: Any, base: Path) -> E:
        return of(_string(value))

    words = [quoted(each.value) for each in of]
    return Kind(f"{', '.join(words[:-1])} or {words[-1]}", _plain(read), quoted)


def _plain(read: Any) -> Any:
    """Drops the text of an inner error, so that the kind's own words are used."""

    def wrapped(value: Any, base: Path) -> Any:
        try:
            return read(value, base)
        except ValueError:
            raise ValueError from None

    return wrapped


def _path(value: Any, base: Path) -> str:
    text = _string(value)
    if text.startswith("-----BEGIN"):
        raise ValueError("must be the path of a file, not its content; put the content into a file")
    return str(base / Path(text).expanduser()) if text else ""


PATH: Kind[str] = Kind("a path (relative ones start at the settings file)", _path, quoted)


def host_and_port(text: str, usual: int = 0) -> tuple[str, int]:
    """Splits ``host:port`` or ``[IPv6]:port``; ``usual`` > 0 is the port where none is written. The host is lower
    case. Raises ValueError."""
    if usual and (":" not in text or text.endswith("]")):
        text = f"{text}:{usual}"
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError
    if host.startswith("[") and host.endswith("]"):
        return str(ipaddress.IPv6Address(host[1:-1])), int(port)
    try:
        return str(ipaddress.IPv4Address(host)), int(port)
    except ValueError:
        pass
    if not host_name(host):
        raise ValueError
    return host.lower(), int(port)


def host_name(text: str) -> bool:
    """Whether this is a host name (RFC 1123 section 2.1), ASCII."""
    return len(text) <= 253 and _HOST.fullmatch(text.lower()) is not None


def _addresses(value: Any, base: Path) -> tuple[Address, ...]:
    found = []
    for text in _strings(value):
        host, port = host_and_port(text)
        found.append(Address(str(ipaddress.ip_address(host)), port))
    if len(set(found)) != len(found):
        raise ValueError("names the same address twice; remove one")
    return tuple(found)


ADDRESSES: Kind[tuple[Address, ...]] = Kind(
    'an IP address with a port such as "0.0.0.0:143" or "[::]:143", a list of them, or "" for off',
    lambda value, base: _keep_own(_addresses, value, base),
    array,
)


def _networks(value: Any, base: Path) -> tuple[str, ...]:
    return tuple(str(ipaddress.ip_network(text)) for text in _strings(value))


NETWORKS: Kind[tuple[str, ...]] = Kind(
    'a network such as "192.0.2.0/24", a list of them, or ""', _plain(_networks), array
)


def _keep_own(read: Any, value: Any, base: Path) -> Any:
    """Keeps the texts of our own errors and drops those of the library below."""
    try:
        return read(value, base)
    except ValueError as error:
        raise ValueError(str(error) if str(error).startswith(("names ", "must ")) else "") from None


def _host_text(value: Any, base: Path) -> str:
    text = _string(value).lower()
    if text and not host_name(text):
        raise ValueError
    return text


HOST: Kind[str] = Kind('a host name such as "mail.example.org", or ""', _host_text, quoted)


def _user(value: Any, base: Path) -> str:
    text = _string(value)
    if text and not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}\$?", text):
        raise ValueError
    return text


USER: Kind[str] = Kind('the name of a system user, or ""', _user, quoted)


def _secret(value: Any, base: Path) -> SecretRef | None:
    # Whatever is no string goes to parse as well: its error never shows the value.
    return SecretRef.parse(value if isinstance(value, str) else "?", base) if value != "" else None


SECRET: Kind[SecretRef | None] = Kind(
    "a reference to a secret (file:/path, env:NAME or credential:NAME)",
    _secret,
    lambda value: quoted(value or ""),
)


def _web_address(value: Any, base: Path) -> str:
    text = _string(value)
    if text and not re.fullmatch(r"https://[A-Za-z0-9.\[\]:-]+(/[!-~]*)?", text):
        raise ValueError
    return text


WEB_ADDRESS: Kind[str] = Kind('an address that starts with https://, or ""', _web_address, quoted)
