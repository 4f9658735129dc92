"""BIMI records (draft-brand-indicators-for-message-identification): the logo that a mailbox may show beside mail."""

from __future__ import annotations

import re
from dataclasses import dataclass

from . import tag_list

_HTTPS = re.compile(r"https://[A-Za-z0-9.\-]{1,253}(?::[0-9]{1,5})?(?:/[!-~]*)?\Z", re.IGNORECASE)


class BimiError(Exception):
    """The text is no BIMI record. The sentence says why."""


@dataclass(frozen=True, slots=True)
class BimiRecord:
    """``logo`` is the URL of an SVG, ``evidence`` that of a mark certificate. Both empty: the domain declines."""

    logo: str = ""
    evidence: str = ""

    @property
    def declined(self) -> bool:
        """Whether the domain says that it wants no logo shown."""
        return not self.logo and not self.evidence


def is_record(text: str) -> bool:
    """Whether a TXT record counts at all."""
    return tag_list.version(text, "BIMI1")


def parse(text: str) -> BimiRecord:
    """The record in ``text``. Raises BimiError."""
    if not is_record(text):
        raise BimiError("it does not begin with v=BIMI1")
    try:
        tags = {name.lower(): value for name, value in tag_list.parse(text)}
    except tag_list.TagListError as error:
        raise BimiError(str(error)) from None
    if "l" not in tags:
        raise BimiError("it has no l tag")
    for tag in ("l", "a"):
        if tags.get(tag) and not _HTTPS.match(tags[tag]):
            raise BimiError(f"its {tag} tag is not an https:// address")
    return BimiRecord(tags["l"], tags.get("a", ""))
