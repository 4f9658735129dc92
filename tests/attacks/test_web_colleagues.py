"""A session of one's own and a colleague's password. Found by a reviewer.

In front of an application that asks for itself, whoever had any session could open any mailbox of which they knew the
password: the second factor was theirs, the name somebody else's.
"""

from __future__ import annotations

import pytest

from gambeson.guard.core.web.verdict import Forward
from gambeson.model.web import WebSignIn
from guard.edge.web.gates import Browser, Gates, basic, roundcube, run, snapshot


@pytest.mark.parametrize(
    ("name", "passes"),
    [
        ("alma@example.org", True),
        ("al@example.org", True),
        ("alma", True),
        ("EXAMPLE\\alma", True),
        ("mm01", True),  # a name that the application alone knows
        ("bob@example.org", False),
        ("BOB@Example.Org", False),
        ("bob", False),
        ("EXAMPLE\\Bob", False),
        ("\uff42ob@example.org", False),
        ("eve@other.test", False),
    ],
)
def test_basic_names_the_person_whose_session_it_is(name: str, passes: bool) -> None:
    async def talk(gates: Gates) -> None:
        browser = Browser(gates)
        await browser.sign_in()
        forward = await browser.get("/", authorization=basic(name, "a password"))
        assert isinstance(forward, Forward)
        assert forward.authorization is passes

    run(talk, snapshot(sites=(roundcube(WebSignIn.AS_IS),)))
