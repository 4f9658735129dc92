"""Old web doors, webmail's sign-in, and encryption of web pages."""

from __future__ import annotations

import pytest

from assess.core.checks.web_facts import codes, facts, lines, page, silent
from gambeson.assess.core.web import Page

NOTHING = page("nowhere", 404)
FORM = b'<form method="post"><input name="_pass" size=40\n type="password"></form>'
LONG = "max-age=31536000; includeSubDomains"
SECURE = page("root", 200, strict_transport_security=LONG)


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        ([NOTHING, page("rpc", 401, schemes="basic ntlm")], {"open"}),
        ([NOTHING, page("rpc", 404), page("owa", 200, x_owa_version="15.2.1748.49")], {"closed"}),
        ([NOTHING, page("rpc", 404)], set()),
        ([page("nowhere", 401, schemes="basic"), page("rpc", 401, schemes="basic")], set()),
    ],
)
def test_old_doors(pages: list[Page], expected: set[str]) -> None:
    assert codes("legacy_web", facts(*pages)) == expected


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        ([NOTHING, page("root", 200, FORM)], {"form"}),
        ([NOTHING, page("roundcube", 200, FORM.replace(b'"password"', b"'PASSWORD'"))], {"form"}),
        ([NOTHING, page("sogo", 200, b"<script src=/SOGo.woa/WebServerResources/js/Main.js>")], {"form"}),
        ([NOTHING, page("root", 200, b"<p>Write to us, type password or not</p>")], {"none"}),
        ([NOTHING, page("root", 302, FORM, location="https://sso.example.org/")], {"none"}),
        ([page("root", 200, FORM, scheme="http"), NOTHING, page("root", 302)], {"clear", "none"}),
        ([silent("root")], set()),
        # A server that shows its sign-in at every address shows it at its root too.
        ([page("nowhere", 200, FORM + b"x"), page("root", 200, FORM)], {"form"}),
    ],
)
def test_where_people_sign_in(pages: list[Page], expected: set[str]) -> None:
    assert codes("webmail_login", facts(*pages)) == expected


def test_the_program_is_named() -> None:
    found = facts(NOTHING, page("roundcube", 200, FORM + b'rcmail.set_env({"rcversion":10611})'))
    (line,) = lines("webmail_login", found)
    assert line.sentence.startswith("Roundcube at mail.example.org")


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        ([SECURE], {"good"}),
        ([page("root", 200)], {"no-hsts"}),
        ([page("root", 200, strict_transport_security="max-age=0")], {"no-hsts"}),
        ([page("root", 200, strict_transport_security='max-age="86400"')], {"short-hsts"}),
        ([page("root", 200, strict_transport_security="includesubdomains;MAX-AGE=99999999")], {"good"}),
        ([page("root", 200, trusted=False)], {"good"}),  # a header would not count; the certificate is another check
        ([page("root", 200, scheme="http"), SECURE], {"no-redirect"}),
        ([page("root", 301, scheme="http", location="https://mail.example.org/"), SECURE], {"good"}),
        ([page("root", 301, scheme="http", location="http://www.example.org/"), SECURE], {"no-redirect"}),
        ([page("root", 404, scheme="http"), SECURE], {"good"}),
        ([silent("root")], set()),
    ],
)  # fmt: skip
def test_encryption_of_pages(pages: list[Page], expected: set[str]) -> None:
    assert codes("http_plain", facts(*pages)) == expected
