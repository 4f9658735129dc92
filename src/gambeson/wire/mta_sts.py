"""MTA-STS (RFC 8461): the TXT record that says that there is a policy, the policy, and which hosts it allows."""

from __future__ import annotations

import re
from dataclasses import dataclass

from . import tag_list

MAX_POLICY = 65536  # octets; RFC 8461 section 3.3 has no need of more
MAX_AGE = 31_557_600  # seconds: the most that RFC 8461 section 3.2 allows
MODES = ("enforce", "testing", "none")

_ID = re.compile(r"[A-Za-z0-9]{1,32}\Z")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?"
_PATTERN = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*\.?\Z")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,31}\Z")


class MtaStsError(Exception):
    """The text is no record, or no policy, of MTA-STS. The sentence says why."""


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """``mode`` is one of ``enforce``, ``testing``, ``none``; ``max_age`` in seconds; ``hosts`` in lower case, each a
    name or ``*.name``."""

    mode: str
    max_age: int
    hosts: tuple[str, ...]

    def allows(self, host: str) -> bool:
        """Whether mail may go to the MX host ``host`` (RFC 8461 section 4.1)."""
        return any(matches(pattern, host) for pattern in self.hosts)


def is_record(text: str) -> bool:
    """Whether a TXT record counts at all: others at the name are not looked at (RFC 8461 section 3.1)."""
    return text.startswith("v=STSv1;")


def parse_record(text: str) -> str:
    """The id of the policy, which changes when the policy does. Raises MtaStsError."""
    if not is_record(text):
        raise MtaStsError("it does not begin with v=STSv1;")
    try:
        tags = dict(tag_list.parse(text))
    except tag_list.TagListError as error:
        raise MtaStsError(str(error)) from None
    policy_id = tags.get("id", "")
    if not _ID.match(policy_id):
        raise MtaStsError("its id is not 1 to 32 letters and digits")
    return policy_id


def parse_policy(body: bytes) -> StsPolicy:
    """The policy in ``body`` (RFC 8461 section 3.2). Raises MtaStsError."""
    if len(body) > MAX_POLICY:
        raise MtaStsError(f"it is longer than {MAX_POLICY} octets")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise MtaStsError("it is not text in UTF-8") from None
    fields: dict[str, str] = {}
    hosts: list[str] = []
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.removesuffix("\r").rstrip(" \t")
        if not line:
            continue
        key, colon, value = line.partition(":")
        key, value = key.rstrip(" \t"), value.strip(" \t")
        if not colon or not _KEY.match(key):
            raise MtaStsError(f"line {number} is not written as key: value")
        if key == "mx":
            if not _PATTERN.match(value) or len(value) > 255:
                raise MtaStsError(f"line {number} has no host name")
            hosts.append(value.lower().removesuffix("."))
        else:
            fields.setdefault(key, value)  # RFC 8461 section 3.2: of several, the first counts
    if fields.get("version") != "STSv1":
        raise MtaStsError("it lacks the line version: STSv1")
    mode, age = fields.get("mode", ""), fields.get("max_age", "")
    if mode not in MODES:
        raise MtaStsError("its mode is not enforce, testing or none")
    if not re.fullmatch(r"[0-9]{1,10}", age) or int(age) > MAX_AGE:
        raise MtaStsError(f"its max_age is not a number of seconds up to {MAX_AGE}")
    if not hosts and mode != "none":
        raise MtaStsError("it names no mx")
    return StsPolicy(mode, int(age), tuple(hosts))


def matches(pattern: str, host: str) -> bool:
    """Whether ``host`` is ``pattern``; a star stands for exactly one label at the front (RFC 8461 section 4.1)."""
    pattern, host = pattern.lower(), host.lower().removesuffix(".")
    if pattern.startswith("*."):
        label, _, rest = host.partition(".")
        return bool(label) and rest == pattern[2:]
    return host == pattern
