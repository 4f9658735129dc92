"""The list of DKIM selectors is one that can be asked."""

from __future__ import annotations

from gambeson.assess.core.sender.ask import host_name
from gambeson.assess.core.sender.dkim import MAX_SELECTORS, NOBODYS
from gambeson.assess.edge.selectors import usual_selectors


def test_the_list_is_whole_and_askable() -> None:
    names = usual_selectors()
    assert 60 <= len(names) <= MAX_SELECTORS
    assert all(host_name(f"{name}._domainkey.d.example") for name in names)
    assert NOBODYS not in names
    assert {"selector1", "selector2", "google", "k1", "default", "mail", "dkim", "s1", "s2"} <= set(names)
