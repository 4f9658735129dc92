"""Exchange's doors for programs: what they offer, and what an answer to everything does not say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assess.core.checks.web_facts import HOST, codes, facts, lines, page, silent
from gambeson.assess.core.doors import DoorFacts, PortState, Protocol
from gambeson.assess.core.web import Page

EXCHANGE = page("owa", 302, x_feserver="EX1", location="https://mail.example.org/owa/auth/logon.aspx")
NOTHING = page("nowhere", 404)


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        ([NOTHING, page("ews", 401, schemes="basic ntlm")], {"basic"}),
        (
            [NOTHING, page("eas", 401, schemes="basic"), page("mapi", 401, schemes="negotiate ntlm")],
            {"basic", "ntlm"},
        ),
        ([NOTHING, page("autodiscover", 401, schemes="negotiate")], {"ntlm"}),
        ([NOTHING, page("ews", 401, schemes="bearer"), EXCHANGE], {"closed"}),
        ([NOTHING, page("ews", 404), EXCHANGE], {"closed"}),
        ([NOTHING, page("ews", 404)], set()),  # no Exchange, nothing to say
        # A web server that asks for a password at every address has no door of Exchange.
        ([page("nowhere", 401, schemes="basic"), page("ews", 401, schemes="basic")], set()),
        ([NOTHING, silent("ews"), silent("eas")], {"unknown"}),
        ([NOTHING, silent("ews"), page("eas", 401, schemes="basic")], {"basic", "unknown"}),
    ],
)
def test_what_the_doors_offer(pages: list[Page], expected: set[str]) -> None:
    assert codes("web_password", facts(*pages)) == expected


def test_the_doors_are_named() -> None:
    found = facts(NOTHING, page("ews", 401, schemes="basic"), page("eas", 401, schemes="basic"))
    (line,) = lines("web_password", found)
    assert "EWS and ActiveSync" in line.sentence
    assert line.severity.word == "critical"


def test_a_host_that_has_our_doors_is_not_called_open() -> None:
    """A device secret comes as a password too; from outside nobody can tell, and it is not claimed either way."""
    found = facts(NOTHING, page("eas", 401, schemes="basic"))
    ours = DoorFacts(HOST, "192.0.2.1", 993, Protocol.IMAPS, PortState.OPEN, banner="Gambeson ready")
    assert codes("web_password", replace(found, doors=(ours,))) == {"guarded"}
    elsewhere = replace(ours, address="192.0.2.9")
    assert codes("web_password", replace(found, doors=(elsewhere,))) == {"basic"}
