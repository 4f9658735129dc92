"""What an ActiveSync request's line and headers say: the plain and the base64 query, read to one value.

A server that reads one form and a door that reads the other would be two readings of one request. So: exactly one
form, each name once, known commands and versions only, and headers that repeat what the query says must say the same.
Everything else is :class:`EasError`.

Sources: MS-ASHTTP section 2.2.1.1.1 (query), section 2.2.1.1.2 (headers). A DeviceId is
what a client claims: good for telling devices apart, never for trusting one.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

MAX_QUERY = 8192  # characters
MAX_DEVICE_ID = 64  # characters as shown; 32 octets in the base64 form
MAX_USER = 256
MAX_VALUE = 2048

CODES = {
    0: "Sync",
    1: "SendMail",
    2: "SmartForward",
    3: "SmartReply",
    4: "GetAttachment",
    9: "FolderSync",
    10: "FolderCreate",
    11: "FolderDelete",
    12: "FolderUpdate",
    13: "MoveItems",
    14: "GetItemEstimate",
    15: "MeetingResponse",
    16: "Search",
    17: "Settings",
    18: "Ping",
    19: "ItemOperations",
    20: "Provision",
    21: "ResolveRecipients",
    22: "ValidateCert",
}
# Find (16.1) and what only 2.5 had come in the plain form alone.
_PLAIN_ONLY = ("Find", "GetHierarchy", "CreateCollection", "DeleteCollection", "MoveCollection")
_COMMANDS = {name.lower(): name for name in (*CODES.values(), *_PLAIN_ONLY)}
VERSIONS = ("1.0", "2.0", "2.1", "2.5", "12.0", "12.1", "14.0", "14.1", "16.0", "16.1")
_CODED_VERSIONS = {121: "12.1", 140: "14.0", 141: "14.1", 160: "16.0", 161: "16.1"}
_TAGS = {0: "AttachmentName", 1: "CollectionId", 3: "ItemId", 4: "LongId", 6: "Occurrence"}
_OPTIONS, _USER = 7, 8
_SAVE_IN_SENT, _ACCEPT_MULTIPART = 0x01, 0x02
_PLAIN = {
    name.lower(): name
    for name in (
        "Cmd",
        "User",
        "DeviceId",
        "DeviceType",
        "CollectionId",
        "CollectionName",
        "ItemId",
        "LongId",
        "ParentId",
        "Occurrence",
        "SaveInSent",
        "AttachmentName",
        "AcceptMultiPart",
    )
}
_DEVICE_ID = re.compile(r"[A-Za-z0-9._{}-]{1,64}\Z")
_DEVICE_TYPE = re.compile(r"[A-Za-z0-9._ {}-]{1,64}\Z")
_READABLE = re.compile(rb"[A-Za-z0-9]+\Z")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{8,}={0,2}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MAX_KEY = 2**32 - 1


class EasError(ValueError):
    """The request is not ActiveSync's, or can be read in two ways. ``reason`` is a stable word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class EasQuery:
    """What one request asks, whichever form it came in.

    ``command`` is spelt as in MS-ASCMD. ``device_id`` is the text of the plain form; of the base64 form the octets as
    text where they are all letters and digits, else their lower-case hex, which is what the same programs send in the
    plain form. ``policy_key`` is decimal, empty for none. ``version`` is empty where none was said. ``raw_device_id``
    are the octets as they came. ``parameters`` are the command's own, names as in MS-ASHTTP.
    """

    command: str
    user: str
    device_id: str
    device_type: str
    policy_key: str = ""
    version: str = ""
    locale: int = 0
    raw_device_id: bytes = field(default=b"", repr=False)
    coded: bool = False
    parameters: tuple[tuple[str, str], ...] = ()

    @property
    def device_key(self) -> str:
        """What DeviceIds are compared by: lower case."""
        return self.device_id.lower()

    @property
    def modern(self) -> bool:
        """14.0 and later: refusals are a status in WBXML. Before, and where no version was said, an HTTP status."""
        return self.version[:3] in ("14.", "16.")


def read_query(query: str, headers: Sequence[tuple[str, str]]) -> EasQuery:
    """The value of a POST's query (as it came, without the question mark) and its headers (lower-case names). Raises
    EasError."""
    if len(query) > MAX_QUERY:
        raise EasError("query-too-long")
    version, key = _header(headers, "ms-asprotocolversion"), _header(headers, "x-ms-policykey")
    if version and version not in VERSIONS:
        raise EasError("version-unknown")
    policy_key = _policy_key(key) if key else ""
    # A base64 text has "=" at its end only, and no "&".
    if "&" in query or "=" in query.rstrip("="):
        return _plain(query, version, policy_key)
    return _coded(query, version, policy_key, bool(key))


def _header(headers: Sequence[tuple[str, str]], name: str) -> str:
    found = [value for key, value in headers if key == name]
    if len(found) > 1:
        raise EasError("header-twice")
    return found[0].strip() if found else ""


def _policy_key(text: str) -> str:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _MAX_KEY):
        raise EasError("policy-key-malformed")
    return str(int(text))


# -- the plain form (MS-ASHTTP section 2.2.1.1.1.2)


def _plain(query: str, version: str, policy_key: str) -> EasQuery:
    found: dict[str, str] = {}
    for pair in query.split("&"):
        name, mark, value = pair.partition("=")
        known = _PLAIN.get(_decoded(name).lower())
        if not mark or known is None:
            raise EasError("query-mixed" if not mark else "parameter-unknown")
        if known in found:
            raise EasError("parameter-twice")
        found[known] = _decoded(value)
    if not {"Cmd", "User", "DeviceId", "DeviceType"} <= found.keys():
        raise EasError("parameter-missing")
    command = _COMMANDS.get(found.pop("Cmd").lower())
    if command is None:
        raise EasError("command-unknown")
    device_id, device_type, user = found.pop("DeviceId"), found.pop("DeviceType"), found.pop("User")
    return _checked(
        EasQuery(
            command,
            user,
            device_id,
            device_type,
            policy_key,
            version,
            raw_device_id=device_id.encode(),
            parameters=tuple(found.items()),
        )
    )


_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def _decoded(text: str) -> str:
    try:
        octets = text.replace("+", " ").encode("ascii")
        if b"%" not in octets:
            return octets.decode()
        if _BAD_ESCAPE.search(octets):
            raise EasError("query-encoding")
        return unquote_to_bytes(octets).decode()
    except UnicodeError:
        raise EasError("query-encoding") from None


# -- the base64 form (MS-ASHTTP section 2.2.1.1.1.1)


class _Octets:
    def __init__(self, octets: bytes) -> None:
        self._octets, self._at = octets, 0

    @property
    def more(self) -> bool:
        return self._at < len(self._octets)

    def take(self, count: int) -> bytes:
        found = self._octets[self._at : self._at + count]
        if len(found) < count:
            raise EasError("query-short")
        self._at += count
        return found

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "little")

    def counted(self) -> bytes:
        return self.take(self.number(1))


def _coded(query: str, version: str, policy_key: str, keyed: bool) -> EasQuery:
    # "+" is a digit of base64 here, so only %-escapes are undone.
    text = _decoded(query.replace("+", "%2B"))
    if not _BASE64.match(text):
        raise EasError("query-no-base64")
    try:
        octets = _Octets(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
    except (binascii.Error, ValueError):
        raise EasError("query-no-base64") from None
    said = _CODED_VERSIONS.get(octets.number(1))
    command = CODES.get(octets.number(1))
    if said is None or command is None:
        raise EasError("version-unknown" if said is None else "command-unknown")
    if version not in ("", said):
        raise EasError("version-differs")
    locale = octets.number(2)
    device = octets.counted()
    key = octets.counted()
    if len(key) not in (0, 4):
        raise EasError("policy-key-malformed")
    own = str(int.from_bytes(key, "little")) if key else ""
    if keyed and policy_key != (own or "0"):
        raise EasError("policy-key-differs")
    kind = _text(octets.counted())
    user, parameters = _parameters(octets)
    shown = device.decode("ascii") if _READABLE.match(device) else device.hex()
    return _checked(
        EasQuery(
            command,
            user,
            shown,
            kind,
            own or policy_key,
            said,
            locale,
            device,
            True,
            tuple(parameters.items()),
        )
    )


def _parameters(octets: _Octets) -> tuple[str, dict[str, str]]:
    user, found = "", dict[str, str]()
    seen = set()
    while octets.more:
        tag = octets.number(1)
        value = octets.counted()
        if tag in seen:
            raise EasError("parameter-twice")
        seen.add(tag)
        if tag == _USER:
            user = _text(value)
        elif tag == _OPTIONS:
            if len(value) != 1 or value[0] & ~(_SAVE_IN_SENT | _ACCEPT_MULTIPART):
                raise EasError("options-unknown")
            if value[0] & _SAVE_IN_SENT:
                found["SaveInSent"] = "T"
            if value[0] & _ACCEPT_MULTIPART:
                found["AcceptMultiPart"] = "T"
        elif tag in _TAGS:
            found[_TAGS[tag]] = _text(value)
        else:
            raise EasError("parameter-unknown")
    return user, found


def _text(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise EasError("query-encoding") from None


def _checked(query: EasQuery) -> EasQuery:
    if not _DEVICE_ID.match(query.device_id):
        raise EasError("device-id-malformed")
    if not _DEVICE_TYPE.match(query.device_type):
        raise EasError("device-type-malformed")
    # The base64 form may leave the user out: then it is whoever signed in.
    if len(query.user) > MAX_USER or _CONTROL.search(query.user) or not (query.user or query.coded):
        raise EasError("user-malformed")
    for _, value in query.parameters:
        if len(value) > MAX_VALUE or _CONTROL.search(value):
            raise EasError("parameter-malformed")
    return query
