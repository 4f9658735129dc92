"""Grammar and shields judge a request alike, whatever came before it on the same connection."""

from __future__ import annotations

import pytest

from gambeson.guard.core.web.grammar import load_grammars
from gambeson.guard.core.web.shield_source import Case, Shield
from gambeson.guard.core.web.shields import load_shields
from gambeson.model.access import DoorKind
from gambeson.model.server import Endpoint
from gambeson.model.web import Site, WebRequest
from gambeson.wire.http_head import HeadError, RequestReader

HOST = "mail.example.org"
BENIGN = ("GET /owa/favicon.ico", "POST /owa/service.svc?action=GetFolder", "GET /?_task=mail", "GET /")
CASES = [
    pytest.param(shield, case, id=f"{shield.id}-{number}")
    for shield in load_shields().shields
    for number, case in enumerate((*shield.positive, *shield.negative))
]


def head(line: str, case: Case) -> bytes:
    headers = "".join(f"{name}: {value}\r\n" for name, value in case.headers)
    return f"{line} HTTP/1.1\r\nHost: {HOST}\r\n{headers}\r\n".encode("latin-1")


def request(reader: RequestReader, octets: bytes) -> WebRequest | None:
    try:
        return reader.read(octets, sni=HOST, source="192.0.2.1", hosts=frozenset((HOST,))).request
    except HeadError:
        return None


@pytest.mark.parametrize(("shield", "case"), CASES)
def test_a_past_changes_no_judgement(shield: Shield, case: Case) -> None:
    site = Site("s", shield.product, (HOST,), Endpoint(DoorKind.OWA, "10.0.0.1", 443))
    grammar, shields = load_grammars()[shield.product], load_shields()
    reader = RequestReader()
    lines = (*BENIGN, f"{case.method} {case.target}", *BENIGN, f"{case.method} {case.target}")
    for line in lines:
        octets = head(line, case)
        kept, fresh = request(reader, octets), request(RequestReader(), octets)
        assert kept == fresh
        if kept is None or fresh is None:
            continue
        assert shields.match(kept, site) == shields.match(fresh, site)
        assert shields.wants_body(kept, site) == shields.wants_body(fresh, site)
        assert shields.actions(kept, site) == shields.actions(fresh, site)
        assert grammar.classify(kept, site) == grammar.classify(fresh, site)
        known = {one.id for one in shields.matches(kept, shield.product)}
        hit = shields.match(kept, site)
        assert (hit is None) == (not known)
        assert hit is None or hit.name in known
