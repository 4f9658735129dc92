"""What Dovecot's auth_policy and weakforced's clients say over HTTP, and what they are answered.

Both URL forms are read: ``/?command=allow`` (Dovecot's) and ``/command/allow``. The body is one JSON object. Nothing in
it is believed: *login* is the name as it was typed, *pwhash* is twelve bits of a hash that has the login in it (so it
tells "the same wrong password again" for one name, and nothing about another), *device_id* is what a program says of
itself. Any octets give a :class:`PolicyAsk` or a :class:`PolicyError`. RFC 8259, read strictly: no name twice.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from urllib.parse import parse_qsl

MAX_BODY = 16384  # octets
MAX_TEXT = 1024  # characters of one value
MAX_ATTRIBUTES = 32
MAX_STATUS = 120  # seconds of a tarpit
_TRUE = frozenset(("true", "yes", "1", "tls", "secured"))
_EXTERNAL = "EXTERNAL"


class Command(StrEnum):
    """What is wanted."""

    ALLOW = "allow"
    REPORT = "report"
    RESET = "reset"
    PING = "ping"


class PolicyError(ValueError):
    """No question in it. ``status`` is the answer's, ``reason`` a stable word."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class PolicyAsk:
    """One question or report. ``remote`` is the client's address in canonical text, empty for none. ``success``,
    ``policy_reject`` and ``fail_type`` come with a report. ``attributes`` are those whose value is text, names in lower
    case."""

    login: str = ""
    remote: str = ""
    pwhash: str = field(default="", repr=False)
    protocol: str = ""
    device_id: str = ""
    session_id: str = ""
    tls: bool = False
    success: bool = False
    policy_reject: bool = False
    fail_type: str = ""
    attributes: tuple[tuple[str, str], ...] = ()

    def attribute(self, name: str) -> str:
        """The value of an attribute; empty for none."""
        return next((value for key, value in self.attributes if key == name), "")

    @property
    def mechanism(self) -> str:
        """The SASL mechanism, as far as the recipe's ``attrs/mech`` says it."""
        return self.attribute("mech").upper()[:20]

    @property
    def by_certificate(self) -> bool:
        """Dovecot says that it verified a client certificate and that the client signs in by it. Which certificate it
        was, Dovecot does not say."""
        return self.mechanism == _EXTERNAL and self.attribute("cert").lower() == "valid"


def parse_command(path: str, query: str) -> Command:
    """The command of a target, in either form. Raises PolicyError(404), and 400 where it is said twice."""
    named = [value for name, value in _pairs(query) if name == "command"]
    if path.startswith("/command/"):
        named.append(path.removeprefix("/command/"))
    elif path != "/":
        raise PolicyError(404, "no-such-path")
    if len(named) > 1:
        raise PolicyError(400, "two-commands")
    try:
        return Command(named[0] if named else "")
    except ValueError:
        raise PolicyError(404, "no-such-command") from None


def parse_ask(body: bytes) -> PolicyAsk:
    """The question in a body. Raises PolicyError(400 or 413)."""
    if len(body) > MAX_BODY:
        raise PolicyError(413, "body-too-long")
    try:
        found = json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse)
    except PolicyError:
        raise
    except (ValueError, RecursionError):
        raise PolicyError(400, "no-json") from None
    if not isinstance(found, dict):
        raise PolicyError(400, "no-object")
    return PolicyAsk(
        login=_text(found, "login"),
        remote=_address(_text(found, "remote")),
        pwhash=_text(found, "pwhash"),
        protocol=_text(found, "protocol").lower(),
        device_id=_text(found, "device_id"),
        session_id=_text(found, "session_id"),
        tls=_truth(found, "tls"),
        success=_truth(found, "success"),
        policy_reject=_truth(found, "policy_reject"),
        fail_type=_text(found, "fail_type"),
        attributes=_attributes(found.get("attrs")),
    )


def answer(status: int, message: str = "", attributes: Sequence[tuple[str, str]] = ()) -> bytes:
    """The answer to *allow*: ``status`` below nought refuses (and the client is shown ``message``), nought lets it go
    on, above nought are seconds to wait first."""
    bounded = max(-1, min(MAX_STATUS, status))
    return json.dumps({"status": bounded, "msg": message, "r_attrs": dict(attributes)}).encode()


def done(reason: str = "") -> bytes:
    """The answer to every other command: done, or why not."""
    return json.dumps({"status": "failure", "reason": reason} if reason else {"status": "ok"}).encode()


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=16)
    except ValueError:
        raise PolicyError(400, "query") from None


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise PolicyError(400, "name-twice")
    return made


def _refuse(text: str) -> object:
    raise PolicyError(400, "no-json")


def _text(found: dict[str, object], name: str) -> str:
    value = found.get(name, "")
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise PolicyError(400, f"{name.replace('_', '-')}-value")
    return _utf8(value)


def _utf8(text: str) -> str:
    """``text`` as it can be written down: a lone surrogate is no text."""
    return text.encode("utf-8", "replace").decode()


def _truth(found: dict[str, object], name: str) -> bool:
    value = found.get(name, False)
    if isinstance(value, str):
        return value.lower() in _TRUE
    if value is None or isinstance(value, bool):
        return bool(value)
    raise PolicyError(400, f"{name.replace('_', '-')}-value")


def _address(text: str) -> str:
    if not text:
        return ""
    try:
        parsed = ip_address(text.partition("%")[0])
    except ValueError:
        raise PolicyError(400, "remote-value") from None
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def _attributes(value: object) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    if not isinstance(value, dict) or len(value) > MAX_ATTRIBUTES:
        raise PolicyError(400, "attrs-value")
    kept = [(_utf8(str(name).lower()[:64]), each) for name, each in value.items() if isinstance(each, str)]
    if len({name for name, _ in kept}) != len(kept):
        raise PolicyError(400, "name-twice")
    return tuple((name, _utf8(text[:MAX_TEXT])) for name, text in kept)
