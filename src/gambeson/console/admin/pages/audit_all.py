"""The audit log of the whole installation: what belongs to no organisation is only here."""

from __future__ import annotations

from gambeson.console.admin.routing import Nav, get, post
from gambeson.model.staff import Verb

from . import audit

NAV = Nav("audit", order=88, verb=Verb.AUDIT, organisation=False, text="audit-all")
ROUTES = (
    get("/audit", audit.listing, Verb.AUDIT),
    get("/audit/export", audit.export, Verb.STAFF),
    get("/audit/{seq:str}", audit.one, Verb.AUDIT),
    post("/audit/verify", audit.verify, Verb.AUDIT),
)
