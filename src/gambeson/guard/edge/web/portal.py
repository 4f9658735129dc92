"""The portal, as the doors know it: a name of its own, and a place behind the door."""

from __future__ import annotations

from dataclasses import dataclass

from gambeson.model.server import Endpoint
from gambeson.model.web import Product, Site


@dataclass(frozen=True, slots=True)
class Portal:
    """``host`` is its name, ``origin`` as browsers write it (``https://HOST[:PORT]``), ``endpoint`` where its process
    process serves it."""

    host: str
    origin: str
    endpoint: Endpoint

    @property
    def site(self) -> Site:
        """The portal as a site to forward to."""
        return Site("portal", Product.PORTAL, (self.host,), self.endpoint)
