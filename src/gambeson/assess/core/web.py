"""What was seen of web servers: one ``Page`` for one request, nothing followed, nothing signed in to."""

from __future__ import annotations

from dataclasses import dataclass

from .doors import NtlmFacts
from .unknown import Unknown


@dataclass(frozen=True, slots=True)
class Page:
    """The answer to ``method url`` at ``address``. ``headers`` keep their order, names in lower case; ``body`` is cut
    at its limit (``cut`` says so). ``status`` 0 means that no answer came: see ``unknown``. ``schemes`` are the HTTP
    authentication schemes offered (RFC 9110 section 11.6.1), in lower case; ``trusted`` says whether the certificate
    was good for this name; None without TLS. ``purpose`` is the name of the entry of ``data/pages`` that asked it."""

    purpose: str
    url: str
    address: str
    method: str = "GET"
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    cut: bool = False
    schemes: tuple[str, ...] = ()
    ntlm: NtlmFacts | None = None
    trusted: bool | None = None
    unknown: Unknown | None = None

    def header(self, name: str) -> str:
        """The first header of that name; empty where there is none."""
        return next((value for key, value in self.headers if key == name), "")
