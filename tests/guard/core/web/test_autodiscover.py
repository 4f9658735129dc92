"""Autodiscover's decisions: the same for everybody, and answers that are rewritten or not sent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gambeson.guard.core.web import autodiscover
from gambeson.model.web import Product, Site
from gambeson.playground.exchange import autodiscover as emulator
from gambeson.wire.soap import AUTODISCOVER, SOAP_11, SoapError
from gambeson.wire.strict_xml import XmlError
from guard.core.web.asking import SITES, ask

SITE: Site = replace(SITES[Product.EXCHANGE], hosts=("mail.example.org", "autodiscover.example.org"))
XML = (("content-type", "text/xml; charset=utf-8"),)


def soap(operation: str, header: str = "") -> bytes:
    return (
        f'<s:Envelope xmlns:s="{SOAP_11}" xmlns:a="{AUTODISCOVER}" xmlns:w="http://www.w3.org/2005/08/addressing">'
        f"<s:Header><a:RequestedServerVersion>Exchange2016</a:RequestedServerVersion><w:To>x</w:To>{header}</s:Header>"
        f"<s:Body><a:{operation}/></s:Body></s:Envelope>"
    ).encode()


def test_the_public_name_is_the_sites_first_with_the_port_that_was_used() -> None:
    for host, public in (
        ("mail.example.org", "mail.example.org"),
        ("mail.example.org:8443", "mail.example.org:8443"),
        ("devices.example.org:8443", "devices.example.org:8443"),
    ):
        name = host.partition(":")[0]
        request = ask("GET", "/autodiscover/autodiscover.json?Protocol=EWS", host=name)
        request = replace(request, headers=(("host", host),))
        assert autodiscover.public_host(request, SITE) == public


def test_version_2_is_the_same_for_every_address() -> None:
    bodies = {
        autodiscover.version_2(
            ask("GET", f"/autodiscover/autodiscover.json?Email={who}&Protocol=ActiveSync"), SITE
        )
        for who in ("alma@example.org", "nobody@example.org", "x@elsewhere.test")
    }
    assert len(bodies) == 1


@pytest.mark.parametrize("operation", ["GetUserSettingsRequestMessage", "GetDomainSettingsRequestMessage"])
def test_soap_operations_of_mail_programs(operation: str) -> None:
    request = ask("POST", "/autodiscover/autodiscover.svc", (("Content-Type", "text/xml"),), body=True)
    assert autodiscover.read_soap(request, soap(operation), True)


@pytest.mark.parametrize(
    ("reason", "octets", "whole"),
    [
        ("operation-not-open", soap("GetFederationInformationRequestMessage"), True),
        ("operation-not-open", soap("GetOrganizationRelationshipSettingsRequestMessage"), True),
        ("header-not-open", soap("GetUserSettingsRequestMessage", "<a:ExchangeImpersonation/>"), True),
        ("too-long", soap("GetUserSettingsRequestMessage"), False),
    ],
)
def test_soap_that_does_not_pass(reason: str, octets: bytes, whole: bool) -> None:
    request = ask("POST", "/autodiscover/autodiscover.svc", (("Content-Type", "text/xml"),), body=True)
    with pytest.raises(SoapError) as error:
        autodiscover.read_soap(request, octets, whole)
    assert error.value.reason == reason
    assert autodiscover.soap_refused(error.value).status in (400, 403)


def test_a_compressed_request_is_not_read() -> None:
    request = ask("POST", "/autodiscover/autodiscover.xml", (("Content-Encoding", "gzip"),), body=True)
    with pytest.raises(XmlError, match="content-encoding"):
        autodiscover.read_pox(request, b"", True)


def test_a_servers_answer_is_rewritten_or_not_sent() -> None:
    request = ask("POST", "/autodiscover/autodiscover.xml", body=True)
    rewrite = autodiscover.rewriter(request, SITE)
    body = emulator._outlook("alma@example.org").encode()
    made = rewrite(200, XML, body)
    assert made is not None
    assert b"emulator01" not in made
    assert rewrite(200, (*XML, ("content-encoding", "gzip")), body) is None
    assert rewrite(200, (("content-type", "text/html"),), body) is None
    assert rewrite(200, (), body) is None
    assert rewrite(200, XML, b"<!DOCTYPE x>" + body) is None
    assert rewrite(302, XML, b"see https://emulator01/") == b""
    assert rewrite(500, (), b"at EMULATOR01") == b""
