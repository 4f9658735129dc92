"""A server that repeats what it was told must not bring a secret into findings and reports."""

from __future__ import annotations

from base64 import b64encode

import pytest

from gambeson.guard.core.walk import Login
from gambeson.guard.edge.walk.connection import blanked

SECRET = 'S3cret"Pass\\word'
LOGIN = Login("c@x.example", SECRET)


@pytest.mark.parametrize(
    "said",
    [
        f"a BAD unknown: a LOGIN c@x.example {SECRET}",
        'a BAD unknown: a LOGIN "c@x.example" "S3cret\\"Pass\\\\word"',
        "501 no such thing: AUTH PLAIN " + b64encode(f"\0c@x.example\0{SECRET}".encode()).decode(),
        "-ERR " + b64encode(SECRET.encode()).decode(),
        f"a BAD cut: {SECRET[:12]}",
    ],
)
def test_a_repeated_secret_is_blanked(said: str) -> None:
    shown = blanked(said, LOGIN)
    assert "***" in shown
    for part in ("S3cret", b64encode(SECRET.encode()).decode()[:10]):
        assert part not in shown


def test_other_answers_stay() -> None:
    unmarked = "a NO [AUTHENTICATIONFAILED] no"
    assert blanked(unmarked, LOGIN) == unmarked
    assert blanked(unmarked, Login("c@x.example", "")) == unmarked
