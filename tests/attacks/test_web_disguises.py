"""One spelling for the door and another for whoever stands behind it. Found by a reviewer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gambeson.guard.core.web.grammar import load_grammars
from gambeson.model.access import DoorKind
from gambeson.model.server import Endpoint
from gambeson.model.web import Lane, Product, Site, WebRequest
from gambeson.wire.http_forward import request_head
from gambeson.wire.http_target import HeadError, canonical
from guard.edge.web.gates import browse, run

SITE = Site("mail", Product.EXCHANGE, ("mail.example.org",), Endpoint(DoorKind.OWA, unix="@x"))


@pytest.mark.parametrize(
    "name", ["x_remote_user", "x.remote.user", "x-remote.user", "x!remote~user", "x_remote-user"]
)
def test_no_spelling_of_the_trusted_header_passes(name: str) -> None:
    """Old CGI front ends write every sign that is no letter and no digit as ``_``; only ``_`` itself was looked for."""

    async def talk(gates):
        made = browse("/")
        assert (
            await gates.answer(replace(made, headers=(*made.headers, (name, "admin"))))
        ).reason == "never disguised-header"

    run(talk)
    request = WebRequest("GET", "h", "/", headers=((name, "admin"),), source="192.0.2.1")
    assert b"admin" not in request_head(request, never="X-Remote-User")


@pytest.mark.parametrize(
    "name",
    [
        "x.forwarded.for",
        "x-gambeson.source",
        "x.real.ip",
        "client-ip",
        "proxy",
        "front-end-https",
        "x-arr-clientcert",
    ],
)
def test_nobody_says_where_a_request_comes_from(name: str) -> None:
    request = WebRequest("GET", "h", "/", headers=((name, "192.0.2.66"),), source="192.0.2.1")
    assert b"192.0.2.66" not in request_head(request)


@pytest.mark.parametrize("name", ["x-fe-clientip", "x-owa-proxyuri", "x-owa-proxysid", "x.owa.proxy.canary"])
def test_what_an_exchange_front_end_says_to_its_back_end_comes_from_nobody(name: str) -> None:
    request = WebRequest("GET", SITE.hosts[0], "/owa/", "", "/owa/", headers=((name, "x"),))
    route = load_grammars()[Product.EXCHANGE].classify(request, SITE)
    assert (route.lane, route.rule) == (Lane.NEVER, "refused-header")


@pytest.mark.parametrize(
    "target",
    [
        "/ecp/organize/jun%E2%84%AAemail.slab",  # the Kelvin sign: in small letters a k
        "/ecp/organize/jun%e2%84%aaemail.slab",
    ],
)
def test_a_letter_that_becomes_ascii_in_small_letters_is_another_path(target: str) -> None:
    """It was decided on a path that was not the one that is forwarded."""
    where = canonical(target)
    assert "junkemail" not in where.canonical
    request = WebRequest("GET", SITE.hosts[0], where.path, where.query, where.canonical, where.parameters)
    assert load_grammars()[Product.EXCHANGE].classify(request, SITE).lane is Lane.NEVER


def test_a_value_is_compared_in_ascii() -> None:
    """``(?i:...)`` takes the long s and the Kelvin sign for s and k, where a server takes them for nothing."""
    where = canonical(
        "/Microsoft-Server-ActiveSync?Cmd=%C5%BFync&User=a&DeviceId=b&DeviceType=c"  # the long s
    )
    request = WebRequest("POST", SITE.hosts[0], where.path, where.query, where.canonical, where.parameters)
    assert load_grammars()[Product.EXCHANGE].classify(request, SITE).lane is Lane.NEVER


@pytest.mark.parametrize("sign", ["\u2044", "\u2215", "\u2216", "\u00a5", "\u20a9", "\u2236"])
def test_a_sign_that_a_code_page_makes_a_separator_of_is_in_no_path(sign: str) -> None:
    escaped = "".join(f"%{octet:02x}" for octet in sign.encode())
    with pytest.raises(HeadError, match="path-lookalike"):
        canonical(f"/owa/a{escaped}b")
