"""What a client sends and takes: JSON, and nothing else (RFC 9110 sections 8.3 and 12.5.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .problems import ApiError

JSON = "application/json"
MAX_ACCEPT = 2_000
_Q = re.compile(r"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.ASCII)
_SPECIFIC = (JSON, "application/*", "*/*")


def check_accept(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raises ApiError(406) where the client takes no JSON. The most specific range that fits decides."""
    given = b",".join(value for name, value in headers if name == b"accept").decode("latin-1")
    if not given.strip() or len(given) > MAX_ACCEPT:
        return
    weights: dict[str, float] = {}
    for each in given.split(","):
        range_, *parameters = (part.strip().lower() for part in each.split(";"))
        q = next((p[2:].strip() for p in parameters if p.startswith("q=")), "1")
        weight = float(q) if _Q.fullmatch(q) else 0.0
        weights[range_] = max(weight, weights.get(range_, 0.0))
    if not next((weights[r] for r in _SPECIFIC if r in weights), 0.0):
        raise ApiError(406, "not-acceptable", f"The API answers in {JSON} only: accept that.")


def check_body(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raises ApiError(415) where a body is not said to be JSON, in UTF-8 (RFC 8259 section 8.1) and not encoded."""
    items = list(headers)
    kinds = [value.decode("latin-1") for name, value in items if name == b"content-type"]
    coded = [
        value for name, value in items if name == b"content-encoding" and value.strip().lower() != b"identity"
    ]
    kind, _, parameters = (kinds[0] if len(kinds) == 1 else "").partition(";")
    said = {p.strip().lower().replace('"', "") for p in parameters.split(";")} - {"", "charset=utf-8"}
    if kind.strip().lower() != JSON or said or coded:
        headers_ = {"accept": JSON}
        raise ApiError(415, "not-json", f"A body is {JSON}, in UTF-8 and not compressed.", headers=headers_)
