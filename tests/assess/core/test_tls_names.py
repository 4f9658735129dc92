"""RFC 9525 section 6 as a table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambeson.assess.core.tls_names import is_for


@pytest.mark.parametrize(
    ("host", "names", "matches"),
    [
        ("mail.example.org", ["mail.example.org"], True),
        ("Mail.Example.ORG.", ["mail.example.org"], True),
        ("mail.example.org", ["MAIL.example.org."], True),
        ("mail.example.org", ["other.example.org", "mail.example.org"], True),
        ("mail.example.org", ["*.example.org"], True),
        ("a.mail.example.org", ["*.example.org"], False),
        ("example.org", ["*.example.org"], False),
        ("mail.example.org", ["m*.example.org"], False),
        ("mail.example.org", ["*"], False),
        ("mail.example.org", ["*.org"], False),
        ("example.org", ["*.org"], False),
        ("mail.example.org", ["mail.*.org"], False),
        ("mail.example.org", ["*.*.org"], False),
        ("mail.example.org", [], False),
        ("mail.example.org", ["mail.example.org.evil.example"], False),
        ("xn--bcher-kva.example.org", ["*.example.org"], True),
        ("192.0.2.1", ["192.0.2.1"], True),
        ("192.0.2.1", ["*.0.2.1"], False),
        ("192.0.2.1", ["192.0.2.2"], False),
        ("2001:db8::1", ["2001:0db8:0:0::1"], True),
        ("localhost", ["localhost"], True),
        ("localhost", ["*"], False),
        ("", [""], True),
        (".example.org", ["*.example.org"], False),
    ],
)
def test_table(host: str, names: list[str], matches: bool) -> None:
    assert is_for(host, names) is matches


@given(st.text(max_size=30), st.lists(st.text(max_size=30), max_size=4))
def test_any_text(host: str, names: list[str]) -> None:
    assert is_for(host, names) in (True, False)
