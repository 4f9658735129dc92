"""TLS-015: servers do not tell everybody which version they are, nor the names inside the house."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from gambeson.assess.core.check import Outcome
from gambeson.assess.core.doors import DoorFacts, NtlmFacts, PortState
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.mail_doors import mail_doors, source
from gambeson.assess.core.web import Page
from gambeson.model.finding import Evidence
from gambeson.wire.lines import human

# Dotted numbers that are a word of their own: not in host names, timestamps, addresses in brackets.
_VERSION = re.compile(r"(?<![\w.\-\[<@:])[vV]?(\d+(?:\.\d+)+)(?![\w.-]*[@>\]])(?![\w-]*\.[a-z])")
_HEADERS = ("server", "x-powered-by", "x-owa-version", "x-aspnet-version", "x-generator")


def run(facts: Facts) -> Iterator[Outcome]:
    """One outcome for each open mail door and each web server that answered."""
    for door in mail_doors(facts):
        if door.state is PortState.OPEN:
            yield _door(door)
    seen: set[str] = set()
    for page in facts.pages:
        asset = page.url.split("/")[2] if page.url.count("/") > 1 else page.url
        if page.status and (outcome := _page(page, asset)) and f"{outcome.code} {asset}" not in seen:
            seen.add(f"{outcome.code} {asset}")
            yield outcome


def version(text: str) -> str:
    """The first version number in what a server says of itself; empty where there is none."""
    return next((found[1] for found in _VERSION.finditer(text) if not _address(found)), "")


def _address(found: re.Match[str]) -> bool:
    """Whether four numbers are an address: Dovecot 2.3.19.1 is none, 192.0.2.1 and 10.1.2.3 are."""
    try:
        first = ipaddress.IPv4Address(found[1]).packed[0]
    except ValueError:
        return False
    return first >= 20 or first == 10 or found.start() == 0


def _door(door: DoorFacts) -> Outcome:
    if inside := _inside(door.ntlm):
        return Outcome(
            "inside", door.place, {"names": inside}, (Evidence(source(door), "NTLM", excerpt=inside),)
        )
    for where, text in (("greeting", door.banner), *(("identity", value) for _, value in door.identity)):
        if version(text):
            return Outcome(
                "version", door.place, {"text": text}, (Evidence(source(door), where, excerpt=text),)
            )
    return Outcome("quiet", door.place, evidence=(Evidence(source(door), "greeting", excerpt=door.banner),))


def _page(page: Page, asset: str) -> Outcome | None:
    if inside := _inside(page.ntlm):
        return Outcome("inside", asset, {"names": inside}, (Evidence(page.url, "NTLM", excerpt=inside),))
    for name in _HEADERS:
        text = page.header(name)
        if version(text):
            shown = f"{name}: {human(text, 120)}"
            return Outcome("version", asset, {"text": shown}, (Evidence(page.url, name, excerpt=shown),))
    return None


def _inside(ntlm: NtlmFacts | None) -> str:
    if ntlm is None:
        return ""
    windows = f"Windows {ntlm.windows}" if ntlm.windows else ""
    computer, domain = ntlm.dns_computer or ntlm.netbios_computer, ntlm.dns_domain or ntlm.netbios_domain
    return ", ".join(part for part in (computer, domain, windows) if part)
