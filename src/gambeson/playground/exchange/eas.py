"""ActiveSync as the emulator speaks it: OPTIONS, Provision, FolderSync, Sync of the inbox, SendMail, Ping.

Sources: MS-ASHTTP, MS-ASPROV (two-step provisioning, HTTP 449 up to 12.1, status 142 from 14.0), MS-ASCMD. Enough for a
conversation of a phone; a real server knows far more.
"""

from __future__ import annotations

import secrets
from email.message import EmailMessage

from gambeson.playground.mailboxes import Mailboxes
from gambeson.wire.activesync import EasError, read_query
from gambeson.wire.wbxml import Node, WbxmlError, element, read, write
from gambeson.wire.wbxml_pages import AIR_SYNC, BASE, COMPOSE, EMAIL, FOLDER, PING, PROVISION

from .exchange import WBXML, Request, Response
from .pages import inbox

VERSIONS = "2.0,2.1,2.5,12.0,12.1,14.0,14.1,16.0,16.1"
COMMANDS = (
    "Sync,SendMail,SmartForward,SmartReply,GetAttachment,GetHierarchy,CreateCollection,DeleteCollection,"
    "MoveCollection,FolderSync,FolderCreate,FolderDelete,FolderUpdate,MoveItems,GetItemEstimate,MeetingResponse,"
    "Search,Settings,Ping,ItemOperations,Provision,ResolveRecipients,ValidateCert,Find"
)
POLICY = "MS-EAS-Provisioning-WBXML"
INBOX = "5"
MOST_WAIT = 3540.0
_MOST_DEVICES = 1000


class ActiveSync:
    """Remembers each device's policy key, in memory."""

    def __init__(self, boxes: Mailboxes) -> None:
        self._boxes = boxes
        self._keys: dict[tuple[str, str], str] = {}

    def answer(self, request: Request) -> Response:
        """One request of a device that signed in."""
        if request.method == "OPTIONS":
            return Response(
                200,
                headers=(
                    ("MS-Server-ActiveSync", "15.2"),
                    ("MS-ASProtocolVersions", VERSIONS),
                    ("MS-ASProtocolCommands", COMMANDS),
                    ("Public", "OPTIONS,POST"),
                    ("Allow", "OPTIONS,POST"),
                ),
            )
        if request.method != "POST":
            return Response(405)
        try:
            asked = read_query(request.query, tuple(request.headers.items()))
            body = read(request.body) if request.body else None
        except (EasError, WbxmlError):
            return Response(400)
        command, device = asked.command, asked.device_key
        if command == "Provision":
            return self._provision((request.person, device), body)
        if not self._keys.get((request.person, device), "") == asked.policy_key != "":
            if not asked.modern:
                return Response(449)
            return _wbxml(element(FOLDER, "FolderSync", element(FOLDER, "Status", "142")))
        match command:
            case "FolderSync":
                return _wbxml(_folders())
            case "Sync":
                return _wbxml(self._sync(request.person, body))
            case "Ping":
                return self._ping(body)
            case "SendMail":
                return self._send(request, body)
        return Response(501)

    def _provision(self, device: tuple[str, str], body: Node | None) -> Response:
        """MS-ASPROV section 3.1.5.1: the policy with a temporary key, then the final key for the acknowledgement."""
        policies = body.child("Policies") if body is not None else None
        acknowledged = policies.value("Policy", "PolicyKey") if policies is not None else ""
        if acknowledged and self._keys.get(device) != acknowledged:
            status = element(PROVISION, "Status", "5")  # the wrong key was acknowledged
            return _wbxml(element(PROVISION, "Provision", element(PROVISION, "Status", "1"), status))
        if len(self._keys) > _MOST_DEVICES:
            self._keys.clear()
        key = self._keys[device] = str(1 + secrets.randbelow(2**31))
        parts = [
            element(PROVISION, "PolicyType", POLICY),
            element(PROVISION, "Status", "1"),
            element(PROVISION, "PolicyKey", key),
        ]
        if not acknowledged:
            parts.append(
                element(
                    PROVISION,
                    "Data",
                    element(PROVISION, "EASProvisionDoc", element(PROVISION, "DevicePasswordEnabled", "0")),
                )
            )
        return _wbxml(
            element(
                PROVISION,
                "Provision",
                element(PROVISION, "Status", "1"),
                element(PROVISION, "Policies", element(PROVISION, "Policy", *parts)),
            )
        )

    def _sync(self, person: str, body: Node | None) -> Node:
        asked = body.child("Collections") if body is not None else None
        collection = asked.child("Collection") if asked is not None else None
        key = collection.value("SyncKey") if collection is not None else "0"
        parts = [
            element(AIR_SYNC, "SyncKey", str(int(key) + 1 if key.isdigit() else 1)[:12]),
            element(AIR_SYNC, "CollectionId", INBOX),
            element(AIR_SYNC, "Status", "1"),
        ]
        if key == "1":
            letters = [_letter(n, m) for n, m in enumerate(inbox(self._boxes, person), 1)]
            parts.append(element(AIR_SYNC, "Commands", *letters))
        return element(
            AIR_SYNC, "Sync", element(AIR_SYNC, "Collections", element(AIR_SYNC, "Collection", *parts))
        )

    def _ping(self, body: Node | None) -> Response:
        asked = body.value("HeartbeatInterval") if body is not None else ""
        wait = min(max(int(asked) if asked.isdigit() else 60, 1), MOST_WAIT)
        done = element(PING, "Ping", element(PING, "Status", "1"))
        return Response(200, write(done), WBXML, wait=float(wait))

    def _send(self, request: Request, body: Node | None) -> Response:
        mime = body.child("Mime") if body is not None else None
        message = (mime.opaque or mime.text.encode()) if mime is not None else b""
        if not message:
            return _wbxml(element(COMPOSE, "SendMail", element(COMPOSE, "Status", "107")))
        head = message.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
        for owner in {self._boxes.owner(word.strip("<>,;").lower()) for word in head.split() if "@" in word}:
            if owner is not None and owner != request.person:
                self._boxes.deliver(owner, message)
        return Response(200, b"", WBXML)


def _folders() -> Node:
    inbox_folder = element(
        FOLDER,
        "Add",
        element(FOLDER, "ServerId", INBOX),
        element(FOLDER, "ParentId", "0"),
        element(FOLDER, "DisplayName", "Inbox"),
        element(FOLDER, "Type", "2"),
    )
    return element(
        FOLDER,
        "FolderSync",
        element(FOLDER, "Status", "1"),
        element(FOLDER, "SyncKey", "1"),
        element(FOLDER, "Changes", element(FOLDER, "Count", "1"), inbox_folder),
    )


def _letter(number: int, message: EmailMessage) -> Node:
    body = message.get_body(("plain",))
    text = body.get_content() if body is not None else ""
    return element(
        AIR_SYNC,
        "Add",
        element(AIR_SYNC, "ServerId", f"{INBOX}:{number}"),
        element(
            AIR_SYNC,
            "ApplicationData",
            element(EMAIL, "From", str(message["From"] or "")),
            element(EMAIL, "Subject", str(message["Subject"] or "")),
            element(BASE, "Body", element(BASE, "Type", "1"), element(BASE, "Data", text)),
        ),
    )


def _wbxml(root: Node) -> Response:
    return Response(200, write(root), WBXML)
