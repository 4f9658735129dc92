"""What web servers leave in doubt: one answer for every address, and several machines behind one name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from assess.core.checks.web_facts import PATHS, codes, facts, page, silent
from gambeson.assess.core.web import Page

# No path of a policy or of autoconfiguration: those are asked elsewhere.
_ASKED = [purpose for purpose in PATHS if purpose not in ("mta-sts", "autoconfig")]
_WORDS = b"rspamd phpmyadmin postfixadmin zimbra adminer /ecp/ /owa/auth/15.2.1118/ Apache Server Status"
CHECKS = ("admin_pages", "web_password", "legacy_web")
FALSE = {"open", "basic", "ntlm", "powershell", "ecp"}


def every(made: Callable[[str], Page]) -> list[Page]:
    return [made(purpose) for purpose in _ASKED]


ALIKE: dict[str, list[Page]] = {
    "one page": every(lambda purpose: page(purpose, 200, _WORDS)),
    "one that repeats the address": every(
        lambda purpose: page(purpose, 200, _WORDS + PATHS[purpose].encode())
    ),
    "one sign-in": every(lambda purpose: page(purpose, 401, schemes="basic", www_authenticate="Basic")),
    "Windows' sign-in": every(lambda purpose: page(purpose, 401, schemes="ntlm negotiate")),
}


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("alike", ALIKE)
def test_who_answers_alike_everywhere_has_none_of_it(alike: str, name: str) -> None:
    assert not FALSE & codes(name, facts(*ALIKE[alike]))


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("alike", ALIKE)
@pytest.mark.parametrize("lost", [silent("nowhere"), page("nowhere", 503), page("nowhere", 429)])
def test_nor_where_the_answer_for_nobodys_address_did_not_come(lost: Page, alike: str, name: str) -> None:
    found = [lost if asked.purpose == "nowhere" else asked for asked in ALIKE[alike]]
    assert not FALSE & codes(name, facts(*found))


def test_the_second_machine_of_a_name_does_not_hide_behind_the_first() -> None:
    first = every(lambda purpose: page(purpose, 404))
    second = [replace(asked, address="192.0.2.2") for asked in first if asked.purpose != "rspamd"]
    second.append(replace(page("rspamd", 200, b"Rspamd"), address="192.0.2.2"))
    assert codes("admin_pages", facts(*first)) == {"closed"}
    assert "open" in codes("admin_pages", facts(*first, *second))
    assert "open" in codes("admin_pages", facts(*second, *first))


def test_an_address_without_an_answer_is_not_said_beside_one_that_has_it() -> None:
    first = every(lambda purpose: page(purpose, 404))
    second = [replace(silent(asked.purpose), address="2001:db8::1") for asked in first]
    assert codes("admin_pages", facts(*first, *second)) == {"closed"}
    assert codes("admin_pages", facts(*second)) == {"unknown"}
