"""The log files that a real server writes of its front end: IIS in W3C format, and HttpProxy as CSV.

Field names are those of IIS 10 and of Exchange 2019's HttpProxy logs. Values come from the network: each is cut, and
what would break a line is encoded as IIS does (a space becomes ``+``).
"""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

from .directories import SERVER, VERSION
from .exchange import Request, Response

W3C = (
    "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) "
    "sc-status sc-substatus sc-win32-status time-taken"
)
PROXY = (
    "DateTime,RequestId,MajorVersion,MinorVersion,BuildVersion,RevisionVersion,ClientRequestId,Protocol,UrlHost,"
    "UrlStem,ProtocolAction,AuthenticationType,IsAuthenticated,AuthenticatedUser,Organization,AnchorMailbox,"
    "UserAgent,ClientIpAddress,ServerHostName,HttpStatus,BackEndStatus,ErrorCode,Method,UrlQuery"
)
MAX_VALUE = 1024
MAX_FILE = 16 * 1024 * 1024


def _word(value: str) -> str:
    cut = "".join(c if c.isprintable() else "?" for c in value[:MAX_VALUE]).replace(" ", "+")
    return cut or "-"


class ExchangeLogs:
    """Writes below ``root``: ``inetpub/logs/LogFiles/W3SVC1`` and ``Logging/HttpProxy/<protocol>``. A file that has
    grown to 16 MiB takes no more; a full disk loses lines, never a request."""

    def __init__(self, root: Path) -> None:
        self._iis = root / "inetpub" / "logs" / "LogFiles" / "W3SVC1"
        self._proxy = root / "Logging" / "HttpProxy"

    def write(self, request: Request, response: Response, request_id: str, at: float, seconds: float) -> None:
        """One request into both logs. ``at`` is seconds since 1970."""
        when = datetime.fromtimestamp(at, UTC)
        self._append(
            self._iis / f"u_ex{when:%y%m%d}.log",
            "#Software: Microsoft Internet Information Services 10.0\r\n#Version: 1.0\r\n"
            f"#Date: {when:%Y-%m-%d %H:%M:%S}\r\n#Fields: {W3C}\r\n",
            self._iis_line(request, response, when, seconds),
        )
        protocol = request.stem.strip("/").partition("/")[0] or "owa"
        known = {
            "microsoft-server-activesync": "Eas",
            "ews": "Ews",
            "mapi": "Mapi",
            "autodiscover": "Autodiscover",
        }
        name = known.get(protocol, protocol.capitalize() if protocol in ("owa", "ecp", "oab") else "Other")
        self._append(
            self._proxy / name / f"HttpProxy_{when:%Y%m%d%H}-1.LOG",
            f"#Software: Microsoft Exchange Server\r\n#Version: {VERSION}\r\n#Log-type: HttpProxy Logs\r\n"
            f"#Date: {when:%Y-%m-%dT%H:%M:%S.000Z}\r\n#Fields: {PROXY}\r\n",
            self._proxy_line(request, response, request_id, when, name),
        )

    @staticmethod
    def _iis_line(request: Request, response: Response, when: datetime, seconds: float) -> str:
        agent, referer = request.headers.get("user-agent", ""), request.headers.get("referer", "")
        words = (
            f"{when:%Y-%m-%d}",
            f"{when:%H:%M:%S}",
            "127.0.0.1",
            request.method,
            request.path,
            request.query,
            "443",
            request.person,
            request.source,
            agent,
            referer,
            str(response.status),
            "0",
            "0",
            str(int(seconds * 1000)),
        )
        return " ".join(_word(word) for word in words) + "\r\n"

    @staticmethod
    def _proxy_line(request: Request, response: Response, request_id: str, when: datetime, name: str) -> str:
        line = io.StringIO()
        major, minor, build, revision = VERSION.split(".")
        csv.writer(line, lineterminator="\r\n").writerow(
            _word(value) if value else ""
            for value in (
                f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03d}Z",
                request_id,
                major,
                minor,
                build,
                revision,
                request.headers.get("client-request-id", ""),
                name,
                request.headers.get("host", ""),
                request.path,
                request.parameter("cmd") or request.headers.get("x-requesttype", ""),
                request.way,
                str(bool(request.person)),
                request.person,
                "",
                f"Smtp~{request.person}" if request.person else "",
                request.headers.get("user-agent", ""),
                request.source,
                SERVER,
                str(response.status),
                str(response.status),
                "",
                request.method,
                request.query,
            )
        )
        return line.getvalue()

    @staticmethod
    def _append(path: Path, head: str, line: str) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with path.open("a", encoding="utf-8", newline="") as file:
                place = file.tell()
                if place < MAX_FILE:
                    file.write(line if place else head + line)
        except OSError:
            return  # the disk is full: the request was answered, and that is what counts here
