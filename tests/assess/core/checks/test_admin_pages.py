"""Pages of administrators: taken for what they are only where they say so."""

from __future__ import annotations

import pytest

from assess.core.checks.web_facts import codes, facts, page, silent
from gambeson.assess.core.web import Page

NOTHING = page("nowhere", 404)
EXCHANGE = page("owa", 302, x_feserver="EX1", location="/owa/auth/logon.aspx")
TO_ECP = "https://mail.example.org/owa/auth/logon.aspx?url=https%3a%2f%2fmail.example.org%2fecp%2f&reason=0"
EVERYTHING = "https://login.example.org/"


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        ([NOTHING, page("ecp", 302, location=TO_ECP)], {"ecp"}),
        ([NOTHING, EXCHANGE, page("powershell", 401, schemes="kerberos")], {"powershell"}),
        (
            [NOTHING, page("powershell", 401, schemes="basic")],
            {"closed"},
        ),  # nothing else of Exchange is there
        ([NOTHING, page("rspamd", 200, b"<title>Rspamd Web Interface</title>")], {"open"}),
        ([NOTHING, page("postfixadmin", 200, b"<h1>Postfix Admin</h1>")], {"open"}),
        ([NOTHING, page("phpmyadmin", 401, www_authenticate='Basic realm="phpMyAdmin"')], {"open"}),
        ([NOTHING, page("mailcow-admin", 200, b"<title>Our blog</title>")], {"closed"}),
        ([NOTHING, page("rspamd", 404), page("ecp", 403)], {"closed"}),
        # One page, or one redirect, for every address says nothing.
        ([page("nowhere", 200, b"We use Rspamd"), page("rspamd", 200, b"We use Rspamd")], {"closed"}),
        ([page("nowhere", 302, location=EVERYTHING), page("ecp", 302, location=EVERYTHING)], {"closed"}),
        ([silent("nowhere"), silent("ecp"), silent("rspamd")], {"unknown"}),
    ],
)
def test_what_is_reached(pages: list[Page], expected: set[str]) -> None:
    assert codes("admin_pages", facts(*pages)) == expected
