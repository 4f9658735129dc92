"""A SOAP message's operation: the first element of the body, and nothing else."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.wire.soap import MESSAGES, SOAP_11, SOAP_12, SoapError, fault, read_message

TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
XML = "text/xml; charset=utf-8"


def envelope(body: str, header: str = "", soap: str = SOAP_11) -> bytes:
    inner = f"<s:Header>{header}</s:Header>" if header else ""
    return (
        f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{soap}" xmlns:m="{MESSAGES}" '
        f'xmlns:t="{TYPES}">{inner}<s:Body>{body}</s:Body></s:Envelope>'
    ).encode()


def test_operation_and_headers_are_found() -> None:
    octets = envelope("<m:GetMailTips/>", '<t:RequestServerVersion Version="Exchange2016"/>')
    message = read_message(octets, True, XML, f'"{MESSAGES}/GetMailTips"')
    assert (message.operation, message.namespace) == ("GetMailTips", MESSAGES)
    assert (message.headers, message.version) == (("RequestServerVersion",), "1.1")


@pytest.mark.parametrize(
    ("element", "operation"),
    [
        ("GetUserAvailabilityRequest", "GetUserAvailability"),
        ("GetUserOofSettingsRequest", "GetUserOofSettings"),
        ("GetUserSettingsRequestMessage", "GetUserSettings"),
        ("GetServiceConfiguration", "GetServiceConfiguration"),
    ],
)
def test_elements_that_end_with_request_are_their_operation(element: str, operation: str) -> None:
    octets = envelope(f"<m:{element}/>")
    for action in (None, '""', f'"{MESSAGES}/{operation}"', f"{MESSAGES}/{operation}"):
        assert read_message(octets, True, XML, action).operation == operation


def test_of_a_long_message_the_beginning_is_enough() -> None:
    octets = envelope("<m:CreateItem>" + "<t:Body>x</t:Body>" * 9000 + "</m:CreateItem>")
    assert read_message(octets[:65536], False, XML).operation == "CreateItem"


def test_version_1_2_with_its_action() -> None:
    octets = envelope("<m:GetItem/>", soap=SOAP_12)
    kind = f'application/soap+xml; charset=utf-8; action="{MESSAGES}/GetItem"'
    assert read_message(octets, True, kind).version == "1.2"
    with pytest.raises(SoapError, match="action-differs"):
        read_message(octets, True, kind.replace("GetItem", "FindItem"))


def test_utf_16_where_it_is_said_everywhere() -> None:
    text = envelope("<m:GetItem/>").decode().replace('encoding="utf-8"', 'encoding="utf-16"')
    assert read_message(text.encode("utf-16"), True, "text/xml; charset=utf-16").operation == "GetItem"


@pytest.mark.parametrize(
    ("reason", "octets"),
    [
        ("several-operations", envelope("<m:GetMailTips/><m:DeleteItem/>")),
        ("envelope-parts", envelope("<m:GetMailTips/></s:Body><s:Body><m:DeleteItem/>")),
        (
            "envelope-parts",
            envelope("<m:GetMailTips/></s:Body><s:Header><t:ExchangeImpersonation/></s:Header><s:Body>"),
        ),
        ("envelope-parts", envelope("<m:GetMailTips/>", "</s:Header><s:Header>")),
        (
            "envelope-parts",
            envelope("<m:GetItem/>").replace(b"<s:Body>", b"<m:Body>").replace(b"</s:Body>", b"</m:Body>"),
        ),
        ("no-envelope", envelope("<m:GetItem/>", soap="urn:other")),
        ("no-envelope", b"<GetItem/>"),
        ("no-operation", envelope("")),
        ("no-operation", envelope("text only")),
        (
            "doctype",
            b'<!DOCTYPE a [<!ENTITY x "GetMailTips">]>' + envelope("<m:GetItem/>").partition(b"?>")[2],
        ),
        ("processing-instruction", envelope("<?x y?><m:GetItem/>")),
        ("name-malformed", envelope("<m:Get.Item/>")),
        ("too-many-headers", envelope("<m:GetItem/>", "<t:X/>" * 40)),
        ("not-well-formed", envelope("<m:GetItem>")),
        ("not-well-formed", envelope("<q:GetItem/>")),
    ],
)
def test_what_could_be_two_operations_is_refused(reason: str, octets: bytes) -> None:
    with pytest.raises(SoapError) as error:
        read_message(octets, True, XML)
    assert error.value.reason == reason


@pytest.mark.parametrize(
    ("reason", "action"),
    [
        ("action-differs", f'"{MESSAGES}/DeleteItem"'),
        ("action-differs", "DeleteItem"),
        ("action-malformed", '"a" "b"'),
        ("action-malformed", "a b"),
        ("action-malformed", "x" * 400),
    ],
)
def test_an_action_that_says_something_else_is_refused(reason: str, action: str) -> None:
    with pytest.raises(SoapError) as error:
        read_message(envelope("<m:GetItem/>"), True, XML, action)
    assert error.value.reason == reason


def test_an_operation_that_comes_too_late_is_refused() -> None:
    octets = envelope("<m:GetItem/>", "<t:RequestServerVersion>" + "x" * 70000 + "</t:RequestServerVersion>")
    with pytest.raises(SoapError, match="operation-too-late"):
        read_message(octets[:65536], False, XML)


@given(st.binary(max_size=300), st.booleans())
def test_any_octets_give_a_message_or_the_one_error(octets: bytes, whole: bool) -> None:
    for data in (octets, envelope("<m:GetItem/>")[:200] + octets):
        with suppress(SoapError):
            assert read_message(data, whole, XML).operation


@given(st.integers(0, 400))
def test_any_beginning_of_a_message_gives_its_operation_or_the_one_error(end: int) -> None:
    octets = envelope("<m:GetMailTips><m:X/></m:GetMailTips>")
    try:
        found = read_message(octets[:end], False, XML).operation
    except SoapError:
        return
    assert found == "GetMailTips"


def test_a_fault_is_well_formed_and_says_its_sentence() -> None:
    for version, soap in (("1.1", SOAP_11), ("1.2", SOAP_12)):
        kind, body = fault("No & never <this>.", "word", version)
        assert soap.encode() in body
        assert b"No &amp; never &lt;this&gt;." in body
        assert "utf-8" in kind
