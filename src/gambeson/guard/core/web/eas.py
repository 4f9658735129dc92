"""ActiveSync at the door: which device this is, and what it is told.

Who it is was proven before (device secret or certificate). The DeviceId is merely compared: it can shut a device out,
never let one in. The answers are the ones the protocol has (MS-ASCMD section 2.2.2, MS-ASPROV section 3.2.5.1):

| what | 14.0 and later: 200 and a status | before |
|---|---|---|
| no policy, or not our quarantine's | 142, 144 | 449 |
| blocked, or in quarantine | 129 | 403 |
| not registered for ActiveSync | 126 | 403 |
| too many DeviceIds of one account | 177 | 403 |
| another DeviceId than the device's first | 403 | 403 |

In quarantine the door provisions the phone by itself, so that it settles instead of asking for a password again and
again; then each command is told 129. 139 to 141, 143 and 145 are the server's to say. 140, the remote wipe, is an
administrator's explicit act at the server; the door never says it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import blake2b

from gambeson.model.asset import Account
from gambeson.model.web import WebRequest
from gambeson.wire import wbxml_pages
from gambeson.wire.activesync import EasError, EasQuery, read_query
from gambeson.wire.wbxml import Node, WbxmlError, element, read, write

from .verdict import Answer, Headers, Peek

MAX_DEVICES = 20  # DeviceIds of one account
MAX_PROVISION = 65536  # octets of a Provision request that are read
POLICY_TYPE = "MS-EAS-Provisioning-WBXML"
WBXML = "application/vnd.ms-sync.wbxml"
VERSIONS = "2.0,2.1,2.5,12.0,12.1,14.0,14.1,16.0,16.1"
COMMANDS = (
    "Sync,SendMail,SmartForward,SmartReply,GetAttachment,GetHierarchy,CreateCollection,DeleteCollection,"
    "MoveCollection,FolderSync,FolderCreate,FolderDelete,FolderUpdate,MoveItems,GetItemEstimate,MeetingResponse,"
    "Search,Settings,Ping,ItemOperations,Provision,ResolveRecipients,ValidateCert,Find"
)
DISABLED, BLOCKED, NOT_PROVISIONED, WRONG_KEY, TOO_MANY = 126, 129, 142, 144, 177
_RETRY_WITH = 449
_ALWAYS: Headers = (("cache-control", "no-store"), ("ms-server-activesync", "15.2"))

# Each command's root element and its Status: page, root, status (MS-ASWBXML section 2.1.2.1).
_ROOTS = {
    "Sync": (0, 0x05, 0x0E),
    "MoveItems": (5, 0x05, 0x0B),
    "GetItemEstimate": (6, 0x05, 0x0E),
    "FolderCreate": (7, 0x13, 0x0C),
    "FolderDelete": (7, 0x14, 0x0C),
    "FolderUpdate": (7, 0x15, 0x0C),
    "FolderSync": (7, 0x16, 0x0C),
    "MeetingResponse": (8, 0x07, 0x0B),
    "ResolveRecipients": (10, 0x05, 0x07),
    "ValidateCert": (11, 0x05, 0x0A),
    "Ping": (13, 0x05, 0x07),
    "Provision": (14, 0x05, 0x0B),
    "Search": (15, 0x05, 0x0C),
    "Settings": (18, 0x05, 0x06),
    "ItemOperations": (20, 0x05, 0x0D),
    "SendMail": (21, 0x05, 0x12),
    "SmartForward": (21, 0x06, 0x12),
    "SmartReply": (21, 0x07, 0x12),
    "Find": (25, 0x05, 0x0A),
}


class Outcome(StrEnum):
    """What the door makes of one request. The words are for the record."""

    PASS = "pass"  # noqa: S105 - it goes on to the server
    BLOCKED = "eas-blocked"
    DISABLED = "eas-disabled"
    QUARANTINED = "eas-quarantined"
    OTHER_DEVICE = "eas-other-device"
    TOO_MANY = "eas-too-many-devices"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known beside the request. ``decided`` is the administrator's word on this account and DeviceId
    (``allowed``, ``blocked``, ``quarantined`` or empty); ``held``: the registered device is in quarantine; ``shut``: it
    is blocked or lost; ``disabled``: it is not registered for ActiveSync. ``first`` is the DeviceId that the device
    came with first (lower case), empty for none yet; ``others`` how many other DeviceIds the account has."""

    decided: str = ""
    held: bool = False
    shut: bool = False
    disabled: bool = False
    first: str = ""
    others: int = 0
    most: int = MAX_DEVICES


def names_of(account: Account, typed: str) -> frozenset[str]:
    """What the *User* of a request may be, in lower case: the account's names, and what was typed at sign-in."""
    whole = {account.address, *account.aliases, account.upstream_login, typed}
    return frozenset(name.lower() for name in whole if name)


_MEMO = "query of ActiveSync"


def read_request(request: WebRequest, names: frozenset[str]) -> EasQuery:
    """What a POST asks. Raises EasError, also where its *User* is somebody else than who signed in."""
    # A phone asks the same with the same headers for hours.
    kept: tuple[str, EasQuery] | None = request.memo.get(_MEMO)
    if kept is None or kept[0] != request.query:
        kept = request.memo[_MEMO] = (request.query, read_query(request.query, request.headers))
    query = kept[1]
    user = query.user.lower()
    bare = user.rpartition("\\")[2]
    if user and user not in names and bare not in names and bare not in {n.partition("@")[0] for n in names}:
        raise EasError("user-differs")
    return query


def decide(query: EasQuery, facts: Facts) -> Outcome:
    """What becomes of a request. Total and pure."""
    if facts.shut or facts.decided == "blocked":
        return Outcome.BLOCKED
    if facts.disabled:
        return Outcome.DISABLED
    if facts.held or facts.decided == "quarantined":
        return Outcome.QUARANTINED
    if facts.decided == "allowed":
        return Outcome.PASS
    if facts.first not in ("", query.device_key):
        return Outcome.OTHER_DEVICE
    if not facts.first and facts.others >= facts.most:
        return Outcome.TOO_MANY
    return Outcome.PASS


def answer(query: EasQuery, outcome: Outcome, keys: tuple[str, str], wait: float = 0.0) -> Answer | Peek:
    """The answer to a request that does not pass. ``keys`` are the quarantine's policy keys
    (:func:`quarantine_keys`)."""
    if outcome is Outcome.OTHER_DEVICE:
        return _text(
            403, outcome, "This credential belongs to another device; register this one at the portal.", wait
        )
    if outcome is not Outcome.QUARANTINED:
        status = {Outcome.DISABLED: DISABLED, Outcome.TOO_MANY: TOO_MANY}.get(outcome, BLOCKED)
        return _refusal(query, status, 403, outcome, wait)
    if query.command == "Provision":

        def provision(octets: bytes, whole: bool) -> Answer:
            return _provision(octets, whole, keys, wait)

        return Peek(MAX_PROVISION, provision)
    if query.policy_key != keys[1]:
        status = WRONG_KEY if query.policy_key not in ("", "0") else NOT_PROVISIONED
        return _refusal(query, status, _RETRY_WITH, outcome, wait)
    return _refusal(query, BLOCKED, 403, outcome, wait)


def malformed(error: EasError) -> Answer:
    """The answer to what can't be read, or in two ways."""
    return replace(_text(400, error.reason, "This ActiveSync request can't be read.", 0.0), close=True)


def options(reason: str, wait: float = 0.0) -> Answer:
    """The answer to OPTIONS for a device that is not served yet (MS-ASHTTP section 2.2.2.1.2)."""
    headers = (
        *_ALWAYS,
        ("ms-asprotocolversions", VERSIONS),
        ("ms-asprotocolcommands", COMMANDS),
        ("public", "OPTIONS,POST"),
        ("allow", "OPTIONS,POST"),
    )
    return Answer(200, headers, b"", reason=reason, wait=wait)


def quarantine_keys(secret: bytes, device: str, device_key: str) -> tuple[str, str]:
    """The temporary and the final policy key of a device in quarantine: the same in every door process, and none that
    the server would take."""

    def key(which: bytes) -> str:
        digest = blake2b(
            which + f"\0{device}\0{device_key}".encode(), key=secret[:64], digest_size=4
        ).digest()
        return str(1 + int.from_bytes(digest, "big") % (2**31 - 2))

    return key(b"eas temporary policy key"), key(b"eas final policy key")


def status_document(command: str, status: int) -> bytes:
    """A command's answer that is nothing but a status. Raises KeyError for a command that has none."""
    page, root, inner = _ROOTS[command]
    return write(Node(page, root, (Node(page, inner, text=str(status)),)))


def _refusal(query: EasQuery, status: int, old: int, reason: str, wait: float) -> Answer:
    if not query.modern or query.command not in _ROOTS:
        return _text(old, reason, "This device is not served.", wait)
    headers = (*_ALWAYS, ("content-type", WBXML))
    return Answer(
        200, headers, status_document(query.command, status), reason=f"{reason} {status}", wait=wait
    )


def _text(status: int, reason: str, sentence: str, wait: float) -> Answer:
    headers = (*_ALWAYS, ("content-type", "text/plain; charset=utf-8"))
    return Answer(status, headers, (sentence + "\n").encode(), reason=reason, wait=wait)


def _provision(octets: bytes, whole: bool, keys: tuple[str, str], wait: float) -> Answer:
    """MS-ASPROV section 3.2.5.1: the policy with a temporary key; then, for its acknowledgement, the final key."""
    try:
        asked = read(octets) if whole else None
    except WbxmlError:
        asked = None
    if asked is None or (asked.page, asked.name) != (wbxml_pages.PROVISION, "Provision"):
        return malformed(EasError("provision-malformed"))
    page = wbxml_pages.PROVISION
    policies = asked.child("Policies")
    wipe = asked.child("RemoteWipe")
    if wipe is not None and policies is None:
        return _provisioned(element(page, "Status", "1"), wait=wait)
    kind = policies.value("Policy", "PolicyType") if policies is not None else ""
    acknowledged = policies.value("Policy", "PolicyKey") if policies is not None else ""
    if kind not in ("", POLICY_TYPE):
        policy = [element(page, "PolicyType", kind), element(page, "Status", "3")]  # no such type
    elif acknowledged and acknowledged != keys[0]:
        policy = [element(page, "PolicyType", POLICY_TYPE), element(page, "Status", "5")]  # the wrong key
    else:
        policy = [
            element(page, "PolicyType", POLICY_TYPE),
            element(page, "Status", "1"),
            element(page, "PolicyKey", keys[1] if acknowledged else keys[0]),
        ]
        if not acknowledged:
            document = element(page, "EASProvisionDoc", element(page, "DevicePasswordEnabled", "0"))
            policy.append(element(page, "Data", document))
    inner = element(page, "Policies", element(page, "Policy", *policy))
    return _provisioned(element(page, "Status", "1"), inner, wait=wait)


def _provisioned(*parts: Node, wait: float) -> Answer:
    body = write(element(wbxml_pages.PROVISION, "Provision", *parts))
    headers = (*_ALWAYS, ("content-type", WBXML))
    return Answer(200, headers, body, reason=f"{Outcome.QUARANTINED} provisioned", wait=wait)
