"""What the worker puts into a snapshot: sites are owned as mail servers are, and what was ended is named."""

from __future__ import annotations

import pytest

from gambeson.app.publishing import build_snapshot
from gambeson.model.access import DoorKind
from gambeson.model.organisation import Organisation
from gambeson.model.server import Endpoint, MailServer
from gambeson.model.snapshot import SnapshotIndex
from gambeson.model.web import Product, Site
from gambeson.store.snapshot import SnapshotParts

PARTS = SnapshotParts(
    organisations=(Organisation("o1", "Acme", ("acme.example",)), Organisation("o2", "Bakery", ())),
    ended_sessions=("web-1",),
    eas_devices=(("a1", "phone", "blocked"),),
    eas_firsts=(("c1", "phone"),),
)


def site(organisation: str) -> Site:
    where = Endpoint(DoorKind.WEBMAIL, "web.example", 443)
    return Site("mail", Product.ROUNDCUBE, ("mail.acme.example",), where, organisation)


@pytest.mark.parametrize(("named", "is_of"), [("", ""), ("acme", "o1"), ("ACME", "o1"), ("o2", "o2")])
def test_a_site_is_its_organisations_by_name_or_id(named: str, is_of: str) -> None:
    made, troubles = build_snapshot(PARTS, (MailServer("imap", named),), 1, 0.0, sites=(site(named),))
    index = SnapshotIndex(made)
    assert index.site["mail"].organisation == made.servers[0].organisation == is_of
    assert index.site_by_host["mail.acme.example"] is index.site["mail"]
    assert troubles == ()


def test_a_site_of_nobody_is_left_out_and_said() -> None:
    made, troubles = build_snapshot(PARTS, (), 1, 0.0, sites=(site("Nobody"),))
    assert made.sites == ()
    assert troubles == ("The site mail belongs to Nobody, which is no organisation here.",)


def test_ended_sessions_and_decided_devices_pass_through() -> None:
    made, _ = build_snapshot(PARTS, (), 1, 0.0)
    index = SnapshotIndex(made)
    assert index.ended_sessions == {"web-1"}
    assert index.eas_device == {("a1", "phone"): "blocked"}
    assert index.eas_first == {"c1": "phone"}
