"""One request and its answer, as the emulator's parts see them: plain values, no sockets."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qsl

HTML = "text/html; charset=utf-8"
XML = "text/xml; charset=utf-8"
WBXML = "application/vnd.ms-sync.wbxml"


@dataclass(frozen=True, slots=True)
class Request:
    """``path`` is as it came, ``stem`` in lower case; ``headers`` have lower-case names. ``person`` is the address that
    signed in, empty for nobody; ``way`` how (Basic)."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes = field(default=b"", repr=False)
    person: str = ""
    way: str = ""
    source: str = ""

    @property
    def stem(self) -> str:
        """The path as IIS compares it."""
        return self.path.lower()

    def parameter(self, name: str) -> str:
        """A query parameter, its name compared without case; empty for none."""
        pairs = parse_qsl(self.query, keep_blank_values=True, max_num_fields=200)
        return next((value for key, value in pairs if key.lower() == name), "")


@dataclass(frozen=True, slots=True)
class Response:
    """``wait`` seconds pass before it is sent (a poll)."""

    status: int
    body: bytes = b""
    kind: str = HTML
    headers: tuple[tuple[str, str], ...] = ()
    wait: float = 0.0


def page(title: str, inner: str, status: int = 200) -> Response:
    """A page that says what it is. ``inner`` is HTML already escaped."""
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head><body>'
        f"<h1>{title}</h1>{inner}"
        "<p>This is Gambeson's Exchange emulator, not Exchange.</p></body></html>"
    )
    return Response(status, text.encode())
