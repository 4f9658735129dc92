"""EWS by operation: each program's own, the site's, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gambeson.guard.core.web import ews
from gambeson.guard.core.web.clients import Client, load_clients
from gambeson.guard.core.web.verdict import Answer, Forward, Peek
from gambeson.model.web import Product, WebRequest
from gambeson.wire.soap import MESSAGES, SOAP_11, SOAP_12
from guard.core.web.asking import SITES, ask

SITE = SITES[Product.EXCHANGE]
FORWARD = Forward(SITE)
TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
OUTLOOK = "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17328; Pro)"
MAC = "AppleExchangeWebServices/814 exchangesyncd/116"


def posted(*headers: tuple[str, str]) -> WebRequest:
    given = (
        headers if any(n == "Content-Type" for n, _ in headers) else (("Content-Type", "text/xml"), *headers)
    )
    return ask("POST", "/EWS/Exchange.asmx", given, body=True)


def envelope(operation: str, header: str = "", soap: str = SOAP_11) -> bytes:
    return (
        f'<s:Envelope xmlns:s="{soap}" xmlns:t="{TYPES}" xmlns:m="{MESSAGES}"><s:Header>{header}</s:Header>'
        f"<s:Body><m:{operation}/></s:Body></s:Envelope>"
    ).encode()


def judge(client: Client | None, octets: bytes, *headers: tuple[str, str], site=SITE):
    verdict = ews.judge(posted(*headers), site, client, replace(FORWARD, site=site))
    return verdict.judge(octets, True) if isinstance(verdict, Peek) else verdict


@pytest.mark.parametrize(
    ("agent", "operation", "good"),
    [
        (OUTLOOK, "GetUserAvailabilityRequest", True),
        (OUTLOOK, "GetUserOofSettingsRequest", True),
        (OUTLOOK, "SetUserOofSettingsRequest", True),
        (OUTLOOK, "GetMailTips", True),
        (OUTLOOK, "GetServiceConfiguration", True),
        (OUTLOOK, "FindItem", False),
        (OUTLOOK, "GetItem", False),
        (OUTLOOK, "ExportItems", False),
        (MAC, "SyncFolderItems", True),
        (MAC, "CreateItem", True),
        (MAC, "GetUserAvailabilityRequest", True),
        (MAC, "UpdateInboxRules", False),
        (MAC, "AddDelegate", False),
        (MAC, "ExportItems", False),
        (MAC, "FindMailboxStatisticsByKeywords", False),
        ("", "GetMailTips", False),
        ("python-requests/2.31", "GetFolder", False),
        ("ExchangeServicesClient/15.00.0847.030", "FindItem", False),
    ],
)
def test_each_program_has_its_own_operations(agent: str, operation: str, good: bool) -> None:
    client = load_clients().recognise(agent)
    verdict = judge(client, envelope(operation))
    if good:
        assert isinstance(verdict, Forward)
        return
    assert isinstance(verdict, Answer)
    assert verdict.status == 403
    assert b"<faultstring>" in verdict.body
    assert verdict.reason == f"ews-operation {operation.removesuffix('Request')}"


def test_the_site_adds_operations_for_everybody() -> None:
    site = replace(SITE, operations=("GetRooms",))
    assert isinstance(judge(None, envelope("GetRooms"), site=site), Forward)
    assert isinstance(judge(None, envelope("GetRoomLists"), site=site), Answer)


@pytest.mark.parametrize("name", sorted(ews.IMPERSONATION | {"SomethingNew"}))
def test_headers_that_act_as_somebody_else_are_refused(name: str) -> None:
    mac = load_clients().recognise(MAC)
    verdict = judge(mac, envelope("GetFolder", f"<t:RequestServerVersion/><t:{name}/>"))
    assert isinstance(verdict, Answer)
    assert (verdict.status, name in verdict.body.decode()) == (403, True)


def test_another_namespace_is_another_operation() -> None:
    mac = load_clients().recognise(MAC)
    verdict = judge(mac, envelope("GetFolder").replace(MESSAGES.encode(), b"urn:other"))
    assert isinstance(verdict, Answer)
    assert verdict.status == 403


@pytest.mark.parametrize(
    ("status", "headers", "octets"),
    [
        (415, (("Content-Encoding", "gzip"),), envelope("GetFolder")),
        (400, (("SOAPAction", f'"{MESSAGES}/DeleteItem"'),), envelope("GetFolder")),
        (400, (("SOAPAction", '""'), ("SOAPAction", '""')), envelope("GetFolder")),
        (400, (("Content-Type", "text/xml; charset=iso-8859-1"),), envelope("GetFolder")),
        (400, (), b"<x/>"),
        (400, (), b""),
        (400, (), b"<!DOCTYPE a>" + envelope("GetFolder")),
    ],
)
def test_what_cannot_be_read_as_one_operation(status: int, headers, octets: bytes) -> None:
    verdict = judge(load_clients().recognise(MAC), octets, *headers)
    assert isinstance(verdict, Answer)
    assert verdict.status == status


@pytest.mark.parametrize(
    ("inside", "good"),
    [
        ("<m:PullSubscriptionRequest/>", True),
        ("<m:StreamingSubscriptionRequest/>", True),
        ("<m:PushSubscriptionRequest><t:URL>http://evil.test/</t:URL></m:PushSubscriptionRequest>", False),
        ("<m:PullSubscriptionRequest/><m:PushSubscriptionRequest/>", False),
        ("", False),
    ],
)
def test_the_server_is_never_made_to_call_an_address(inside: str, good: bool) -> None:
    mac = load_clients().recognise(MAC)
    octets = envelope("Subscribe").replace(b"<m:Subscribe/>", f"<m:Subscribe>{inside}</m:Subscribe>".encode())
    assert isinstance(judge(mac, octets), Forward) is good
    peek = ews.judge(posted(), SITE, mac, FORWARD)
    assert isinstance(peek, Peek)
    late = peek.judge(octets + b" " * 70000, False)  # not all of it is here: nobody knows what follows
    assert isinstance(late, Answer)


def test_identity_is_no_coding_and_a_fault_speaks_the_clients_version() -> None:
    mac = load_clients().recognise(MAC)
    assert isinstance(judge(mac, envelope("GetFolder"), ("Content-Encoding", "identity")), Forward)
    refused = judge(mac, envelope("ExportItems", soap=SOAP_12), ("Content-Type", "application/soap+xml"))
    assert isinstance(refused, Answer)
    assert dict(refused.headers)["content-type"].startswith("application/soap+xml")
