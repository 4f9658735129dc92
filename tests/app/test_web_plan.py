"""What the portal is told of the sites: which doors of programs there are."""

from __future__ import annotations

import msgspec
import pytest

from gambeson.app.web_plan import PortalPlace, portal_facts
from gambeson.console.portal.settings import PortalSettings
from gambeson.model.access import DoorKind
from gambeson.model.server import Endpoint
from gambeson.model.web import Product, Site
from gambeson.process.listen import Listen

PLACE = PortalPlace("login.example.org", 8443)
LISTENS = (Listen("imaps", "", 993, "doors"), Listen("https", "", 8443, "doors"))


def site(product: Product, host: str, **more: object) -> Site:
    return Site(host, product, (host,), Endpoint(DoorKind.OWA, "10.0.0.9", 443), **more)  # type: ignore[arg-type]


EXCHANGE, SOGO = site(Product.EXCHANGE, "owa.example.org"), site(Product.SOGO, "sogo.example.org")
ROUNDCUBE = site(Product.ROUNDCUBE, "webmail.example.org")


def told(*sites: Site) -> PortalSettings:
    return msgspec.convert(portal_facts(PLACE, sites, LISTENS, "mail.example.org"), PortalSettings)


@pytest.mark.parametrize(
    ("sites", "doors"),
    [
        ((), {"imap"}),
        ((ROUNDCUBE,), {"imap"}),
        ((ROUNDCUBE, SOGO), {"imap", "eas", "autodiscover"}),
        ((EXCHANGE,), {"imap", "eas", "ews", "mapi", "oab", "autodiscover"}),
    ],
    ids=["none", "roundcube", "sogo", "exchange"],
)
def test_the_doors_of_programs_are_those_of_the_first_mobile_site(
    sites: tuple[Site, ...], doors: set[str]
) -> None:
    assert set(told(*sites).all_doors) == doors


def test_autoconfig_is_at_the_first_site_and_its_port() -> None:
    assert told().autoconfig == ""
    expected = "https://webmail.example.org:8443/.well-known/autoconfig/mail/config-v1.1.xml"
    assert told(ROUNDCUBE, EXCHANGE).autoconfig == expected
