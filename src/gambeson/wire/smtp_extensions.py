"""Which ESMTP extensions a submission door offers, and what it passes on.

Some the relay keeps before any mail server (:data:`KEPT`): it answers in order itself, it turns BDAT into
DATA, it counts octets, it adds enhanced codes. The others need the mail server: 8BITMIME, SMTPUTF8 and DSN
are offered only where it offers them, and a parameter of one that it lacks is refused, never dropped
silently. Everything else the mail server may offer is not offered.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .smtp import SmtpError

KEPT = ("PIPELINING", "CHUNKING", "ENHANCEDSTATUSCODES")
UPSTREAM = ("8BITMIME", "SMTPUTF8", "DSN")

_NEEDS = {"SIZE": "SIZE", "BODY": "8BITMIME", "SMTPUTF8": "SMTPUTF8", "RET": "DSN", "ENVID": "DSN"}
_NEEDS |= {"NOTIFY": "DSN", "ORCPT": "DSN"}
_SIZE = re.compile(r"[0-9]{1,20}\Z")


class Extensions:
    """``lines`` are the mail server's EHLO lines without its name. ``max_bytes`` is the lower of its SIZE and
    our own limit, 0 for neither (RFC 1870 section 3)."""

    def __init__(self, lines: tuple[bytes, ...], max_message_bytes: int) -> None:
        self._server: dict[str, str] = {}
        for line in lines:
            keyword, _, value = line.decode("ascii", "replace").partition(" ")
            self._server[keyword.upper()] = value.strip()
        size = self._server.get("SIZE", "")
        limits = [max_message_bytes, int(size) if _SIZE.match(size) else 0]
        self.max_bytes = min((limit for limit in limits if limit > 0), default=0)

    def lines(self) -> list[str]:
        """What to answer EHLO with. A door that remembers a mail server's lines may offer these before
        login too."""
        size = f"SIZE {self.max_bytes}" if self.max_bytes else "SIZE"
        return [*KEPT, size, *(name for name in UPSTREAM if name in self._server)]

    def passes(self, parameter: str) -> bool:
        """Whether the mail server understands this parameter of MAIL or RCPT."""
        return _NEEDS.get(parameter, "") in self._server

    def check(self, given: Mapping[str, str]) -> None:
        """Raise SmtpError for a parameter that cannot be honoured."""
        if self.max_bytes and int(given.get("SIZE", "0")) > self.max_bytes:
            raise SmtpError(
                552, "5.3.4", f"The message is larger than the {self.max_bytes} octets taken here"
            )
        if given.get("BODY") == "8BITMIME" and not self.passes("BODY"):
            raise SmtpError(554, "5.6.3", "The mail server behind this one takes no 8-bit mail")
        if "SMTPUTF8" in given and not self.passes("SMTPUTF8"):
            raise SmtpError(550, "5.6.7", "The mail server behind this one takes no addresses beyond ASCII")
        for parameter in ("RET", "ENVID", "NOTIFY", "ORCPT"):
            if parameter in given and not self.passes(parameter):
                raise SmtpError(555, "5.5.4", f"The mail server behind this one does not know {parameter}")
