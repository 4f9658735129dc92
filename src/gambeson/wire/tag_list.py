"""``tag=value;`` lists, which DKIM, DMARC, TLS-RPT, MTA-STS and BIMI records share (RFC 6376 section 3.2)."""

from __future__ import annotations

import re

MAX_RECORD = 65535  # octets of one TXT record
MAX_TAGS = 64

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_\-.]{0,31}\Z")
SPACE = " \t\r\n"


class TagListError(Exception):
    """The text is no list of tags. The sentence says what is wrong with it."""


def parse(text: str) -> list[tuple[str, str]]:
    """Tags and values in their order, without the space around them; names keep their case. Raises TagListError
    where something is no ``name=value``, where a name comes twice, or there are too many."""
    if len(text) > MAX_RECORD:
        raise TagListError(f"it is longer than {MAX_RECORD} characters")
    found: list[tuple[str, str]] = []
    seen: set[str] = set()
    pieces = text.split(";")
    if len(pieces) > MAX_TAGS:
        raise TagListError(f"it has more than {MAX_TAGS} parts")
    for index, piece in enumerate(pieces):
        if not piece.strip(SPACE):
            if index == len(pieces) - 1:
                continue  # the last semicolon may stand without a tag behind it
            raise TagListError("it has an empty part between two semicolons")
        name, equals, value = piece.partition("=")
        name = name.strip(SPACE)
        if not equals or not _NAME.match(name):
            raise TagListError(f"«{piece.strip(SPACE)[:80]}» is not written as name=value")
        if name.lower() in seen:
            raise TagListError(f"{name}= is there twice")
        seen.add(name.lower())
        found.append((name, value.strip(SPACE)))
    return found


def version(text: str, wanted: str) -> bool:
    """Whether the first tag is ``v=wanted``, in exactly that case (RFC 9989 section 4.8)."""
    head = text.partition(";")[0]
    name, equals, value = head.partition("=")
    return bool(equals) and name.rstrip(" \t").lower() == "v" and value.strip(" \t") == wanted
