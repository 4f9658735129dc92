"""A phone of our own: a small ActiveSync client (MS-ASHTTP, MS-ASPROV, MS-ASCMD) for tests through doors and against
real servers. It holds what a phone holds: the policy key, the folders, the sync keys.

``Phone`` speaks over any ``send``; :func:`over_https` is one over TLS. A server's refusals come as they are: the HTTP
status, and the status within.
"""

from __future__ import annotations

import base64
import http.client
import ssl
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from gambeson.wire.activesync import CODES
from gambeson.wire.wbxml import Node, element, read, write
from gambeson.wire.wbxml_pages import AIR_SYNC, BASE, COMPOSE, EMAIL, FOLDER, PING, PROVISION

Send = Callable[[str, str, Mapping[str, str], bytes], tuple[int, dict[str, str], bytes]]
PATH = "/Microsoft-Server-ActiveSync"
POLICY = "MS-EAS-Provisioning-WBXML"
WBXML = "application/vnd.ms-sync.wbxml"
INBOX_TYPE = "2"
_NUMBERS = {name: number for number, name in CODES.items()}
_CODED = {"12.1": 121, "14.0": 140, "14.1": 141, "16.0": 160, "16.1": 161}


@dataclass
class Said:
    """A server's answer. ``root`` is None where no WBXML came."""

    status: int
    headers: dict[str, str]
    root: Node | None = None

    @property
    def inner(self) -> str:
        """The status directly in the root."""
        return self.root.value("Status") if self.root is not None else ""


def over_https(
    host: str, port: int, context: ssl.SSLContext, address: str = "", timeout: float = 60.0
) -> Send:
    """Requests on one TLS connection that stays open, as a phone's do. ``address`` is where to connect, if not to
    the host's."""
    connection = http.client.HTTPSConnection(host, port, context=context, timeout=timeout)
    if address:
        raw_connect = connection._create_connection  # type: ignore[attr-defined]
        connection._create_connection = lambda _, *more: raw_connect((address, port), *more)  # type: ignore[attr-defined]

    def send(
        method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        connection.request(method, target, body or None, dict(headers))
        answer = connection.getresponse()
        return answer.status, {n.lower(): v for n, v in answer.getheaders()}, answer.read()

    return send


@dataclass
class Phone:
    """One phone of one person. ``coded``: it sends the base64 query."""

    send: Send
    name: str
    password: str
    device_id: str = "PHONE0123456789"
    device_type: str = "iPhone"
    agent: str = "Apple-iPhone15C2/2109.300"
    version: str = "14.1"
    coded: bool = False
    user: str = ""
    policy_key: str = "0"
    folders: dict[str, tuple[str, str]] = field(default_factory=dict)  # id -> (type, name)
    sync_keys: dict[str, str] = field(default_factory=dict)

    def ask(self, command: str, body: Node | bytes | None = None, **more: str) -> Said:
        """One command."""
        octets = write(body) if isinstance(body, Node) else body or b""
        headers = self._headers()
        if octets:
            headers["Content-Type"] = WBXML
        headers |= {name.replace("_", "-"): value for name, value in more.items()}
        target = f"{PATH}?{self._coded(command) if self.coded else self._plain(command)}"
        return self._said(*self.send("POST", target, headers, octets))

    def options(self) -> Said:
        """What the server speaks."""
        return self._said(*self.send("OPTIONS", PATH, self._headers(), b""))

    def provision(self) -> Said:
        """Both steps of MS-ASPROV section 3.1.5.1; the final key is kept."""
        kind = element(PROVISION, "PolicyType", POLICY)
        self.policy_key = "0"
        first = self.ask("Provision", _policy(kind))
        if first.root is None:
            return first
        key = first.root.value("Policies", "Policy", "PolicyKey")
        self.policy_key = key or "0"
        second = self.ask(
            "Provision",
            _policy(kind, element(PROVISION, "PolicyKey", key), element(PROVISION, "Status", "1")),
        )
        if second.root is not None:
            self.policy_key = second.root.value("Policies", "Policy", "PolicyKey") or "0"
        return second

    def folder_sync(self) -> Said:
        """The folders, from the beginning."""
        said = self.ask("FolderSync", element(FOLDER, "FolderSync", element(FOLDER, "SyncKey", "0")))
        changes = said.root.child("Changes") if said.root is not None else None
        if said.inner == "1" and changes is not None:
            self.folders = {
                one.value("ServerId"): (one.value("Type"), one.value("DisplayName"))
                for one in changes.children
                if one.name == "Add"
            }
        return said

    @property
    def inbox(self) -> str:
        """The inbox's id."""
        return next(name for name, (kind, _) in self.folders.items() if kind == INBOX_TYPE)

    def sync(self, folder: str = "", most: int = 50) -> tuple[Said, list[Node]]:
        """What is new in a folder (the inbox). The first call only begins; letters come with the second."""
        folder = folder or self.inbox
        key = self.sync_keys.get(folder, "0")
        parts = [element(AIR_SYNC, "SyncKey", key), element(AIR_SYNC, "CollectionId", folder)]
        if key != "0":
            body = element(
                BASE, "BodyPreference", element(BASE, "Type", "1"), element(BASE, "TruncationSize", "4096")
            )
            parts += [
                element(AIR_SYNC, "GetChanges", "1"),
                element(AIR_SYNC, "WindowSize", str(most)),
                element(AIR_SYNC, "Options", element(AIR_SYNC, "FilterType", "0"), body),
            ]
        collection = element(AIR_SYNC, "Collection", *parts)
        said = self.ask("Sync", element(AIR_SYNC, "Sync", element(AIR_SYNC, "Collections", collection)))
        found = said.root.child("Collections") if said.root is not None else None
        answer = found.child("Collection") if found is not None else None
        if answer is None:
            return said, []
        self.sync_keys[folder] = answer.value("SyncKey") or key
        commands = answer.child("Commands")
        return said, [one for one in commands.children if one.name == "Add"] if commands is not None else []

    def send_mail(self, message: bytes, client_id: str = "mail-1") -> Said:
        """One message; 14.0 and later. An empty answer is success."""
        return self.ask(
            "SendMail",
            element(
                COMPOSE,
                "SendMail",
                element(COMPOSE, "ClientId", client_id),
                element(COMPOSE, "SaveInSentItems"),
                element(COMPOSE, "Mime", message),
            ),
        )

    def ping(self, seconds: int = 60, folder: str = "") -> Said:
        """Waits for something new."""
        one = element(
            PING, "Folder", element(PING, "Id", folder or self.inbox), element(PING, "Class", "Email")
        )
        return self.ask(
            "Ping",
            element(
                PING,
                "Ping",
                element(PING, "HeartbeatInterval", str(seconds)),
                element(PING, "Folders", one),
            ),
        )

    def _headers(self) -> dict[str, str]:
        word = base64.b64encode(f"{self.name}:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {word}", "User-Agent": self.agent}
        if not self.coded:
            headers |= {"MS-ASProtocolVersion": self.version, "X-MS-PolicyKey": self.policy_key}
        return headers

    def _plain(self, command: str) -> str:
        return urlencode(
            {
                "Cmd": command,
                "User": self.user or self.name,
                "DeviceId": self.device_id,
                "DeviceType": self.device_type,
            }
        )

    def _coded(self, command: str) -> str:
        device, kind, user = (
            text.encode() for text in (self.device_id, self.device_type, self.user or self.name)
        )
        octets = struct.pack("<BBHB", _CODED[self.version], _NUMBERS[command], 0x0409, len(device)) + device
        octets += struct.pack("<BI", 4, int(self.policy_key)) + bytes((len(kind),)) + kind
        octets += bytes((8, len(user))) + user
        return base64.b64encode(octets).decode()

    @staticmethod
    def _said(status: int, headers: dict[str, str], body: bytes) -> Said:
        return Said(status, headers, read(body) if body.startswith(b"\x03\x01") else None)


def subjects(letters: list[Node]) -> list[str]:
    """The subjects of letters that a Sync brought."""
    found = []
    for letter in letters:
        data = letter.child("ApplicationData")
        for one in data.children if data is not None else ():
            if one.page == EMAIL and one.name == "Subject":
                found.append(one.text)
    return found


def _policy(*parts: Node) -> Node:
    return element(
        PROVISION, "Provision", element(PROVISION, "Policies", element(PROVISION, "Policy", *parts))
    )
