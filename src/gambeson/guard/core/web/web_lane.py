"""The web lane: from a session token's claims to what was proven, and whom a site takes for nobody in particular."""

from __future__ import annotations

from gambeson.guard.core.session_token import Claims
from gambeson.model.access import Identity
from gambeson.model.snapshot import SnapshotIndex
from gambeson.model.web import Site


def identity_of(claims: Claims, index: SnapshotIndex) -> Identity:
    """The identity behind verified claims. The address is the account's present one: a token may be older than a
    change of name."""
    account = index.account.get(claims.account)
    return Identity(
        claimed=account.address if account is not None else claims.address,
        organisation=claims.organisation,
        account=claims.account,
        rung=claims.rung,
        session=claims.session,
    )


def nobody(site: Site, index: SnapshotIndex) -> Identity:
    """A browser without a session. Its organisation is the site's, else the only one there is: so a door that only
    observes lets it pass, as it did before."""
    organisation = site.organisation
    if not organisation and len(index.snapshot.organisations) == 1:
        organisation = index.snapshot.organisations[0].id
    return Identity(claimed="", organisation=organisation)
