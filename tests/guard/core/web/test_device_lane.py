"""Names as programs for Exchange write them, and whose credential they mean."""

from __future__ import annotations

import pytest

from gambeson.guard.core.web.device_lane import foreign, spelled
from gambeson.model.access import DoorKind, Mechanism, RawLogin
from gambeson.model.asset import Account
from gambeson.model.organisation import Organisation
from gambeson.model.server import Endpoint
from gambeson.model.snapshot import Snapshot, SnapshotIndex
from gambeson.model.web import Product, Site

INDEX = SnapshotIndex(
    Snapshot(
        1,
        0.0,
        (Organisation("o", "Example", ("example.org",)), Organisation("x", "Other", ("other.test",))),
        (
            Account("a1", "o", "alma@example.org"),
            Account("a2", "o", "bob@example.org"),
            Account("m1", "x", "bob@other.test"),
            Account("m2", "x", "mallory@other.test"),
        ),
    )
)
ALL = Site("exchange", Product.EXCHANGE, ("mail.example.org",), Endpoint(DoorKind.OWA))
MINE = Site("exchange", Product.EXCHANGE, ("mail.example.org",), Endpoint(DoorKind.OWA), organisation="o")


@pytest.mark.parametrize(
    ("site", "typed", "meant"),
    [
        (ALL, "alma@example.org", "alma@example.org"),
        (ALL, "alma", "alma@example.org"),
        (ALL, "ALMA", "alma@example.org"),
        (ALL, "EXAMPLE\\alma", "alma@example.org"),
        (ALL, "example.org\\Alma", "alma@example.org"),
        (ALL, "\\alma", "alma@example.org"),
        (ALL, "bob", "@"),  # two of them
        (ALL, "EXAMPLE\\bob", "@"),
        (MINE, "bob", "bob@example.org"),  # the site serves one organisation
        (MINE, "mallory", "mallory"),  # of another one
        (ALL, "nobody", "nobody"),
        (ALL, "A\\B\\alma", "A\\B\\alma"),
    ],
)
def test_whose_name_it_is(site, typed, meant):
    raw = RawLogin(Mechanism.BASIC, typed, "x")
    assert spelled(raw, INDEX, site).username == meant


def test_whom_a_site_serves():
    assert not foreign(ALL, "x")
    assert not foreign(MINE, "o")
    assert foreign(MINE, "x")
    assert foreign(MINE, "")
