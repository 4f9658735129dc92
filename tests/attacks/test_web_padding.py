"""What a shield looks for in a body, behind more octets than it looks at. Found by a reviewer."""

from __future__ import annotations

import pytest

from gambeson.guard.core.web.shields import load_shields
from gambeson.model.access import DoorKind
from gambeson.model.server import Endpoint
from gambeson.model.web import Product, Site, WebRequest
from gambeson.wire.http_target import canonical
from guard.edge.web.gates import Gates, roundcube, run, snapshot

SITE = Site("mail", Product.ROUNDCUBE, ("webmail.example.org",), Endpoint(DoorKind.WEBMAIL, unix="@x"))
FORM = ("content-type", "application/x-www-form-urlencoded")
ATTACK = b"_task=login&_action=login&_timezone%5Bfiles%5D%5B1%5D%5Bpath%5D=probe&_user=a"


def post(target: str) -> WebRequest:
    where = canonical(target)
    return WebRequest(
        "POST", SITE.hosts[0], where.path, where.query, where.canonical, where.parameters, (FORM,), body=True
    )


@pytest.mark.parametrize("padding", [0, 4096, 16384, 100_000])
def test_padding_hides_nothing_from_the_shield_of_the_sign_in_form(padding: int) -> None:
    shields, request = load_shields(), post("/?_task=login")
    body = b"_x=" + b"a" * padding + b"&" + ATTACK
    limit = shields.wants_body(request, SITE)
    hit = shields.match_body(request, SITE, body[:limit], len(body) <= limit)
    assert hit is not None
    assert hit.name == "roundcube-file-read"


@pytest.mark.parametrize("target", ["/", "/index.php", "/?_task=mail&_action=send", "/?_task=mail"])
@pytest.mark.parametrize(
    "name", [b"_timezone[", b".timezone%5b", b"%5Ftimezone[", b"%2etimezone%5B", b"+_timezone["]
)
def test_the_task_may_stand_in_the_form_and_a_dot_for_a_low_line(target: str, name: bytes) -> None:
    shields, request = load_shields(), post(target)
    body = b"_task=login&_action=login&" + name + b"files][1][path]=probe"
    assert shields.wants_body(request, SITE) >= len(body)
    assert shields.match_body(request, SITE, body) is not None


def test_the_gate_says_whether_it_was_all() -> None:
    async def talk(gates: Gates) -> None:
        made = post("/?_task=login")
        made = WebRequest(
            made.method,
            made.host,
            made.path,
            made.query,
            made.canonical,
            made.parameters,
            (("host", made.host), ("origin", f"https://{made.host}"), FORM),
            body=True,
            source="192.0.2.1",
        )
        answer = await gates.answer(made, body=b"_user=a&_x=" + b"a" * 300_000)
        assert (answer.status, answer.reason) == (403, "shield roundcube-file-read")

    run(talk, snapshot(sites=(roundcube(hosts=SITE.hosts),)))
