"""Which doors are served for an organisation: those whose mail server, or web application, stands behind one."""

from __future__ import annotations

from collections.abc import Iterable

from gambeson.model.access import DEVICE_WEB_DOORS, DoorKind
from gambeson.model.server import MailServer
from gambeson.model.web import Product, Site

_OF_PRODUCT: dict[Product, tuple[DoorKind, ...]] = {
    Product.EXCHANGE: (DoorKind.OWA, DoorKind.ECP, *DEVICE_WEB_DOORS),
    Product.ROUNDCUBE: (DoorKind.WEBMAIL,),
    Product.SOGO: (DoorKind.WEBMAIL, DoorKind.EAS, DoorKind.AUTODISCOVER),
}


def served_doors(
    servers: Iterable[MailServer], sites: Iterable[Site], organisation: str
) -> tuple[DoorKind, ...]:
    """In the order of :class:`DoorKind`. ``organisation`` is an id."""
    found = {e.door for s in servers if s.organisation in ("", organisation) for e in s.endpoints}
    for site in sites:
        if site.organisation in ("", organisation):
            found.update(_OF_PRODUCT.get(site.product, ()))
    return tuple(door for door in DoorKind if door in found)
