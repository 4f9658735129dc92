"""People who could not sign in at the portal: it asks for a second factor, and they have none."""

from __future__ import annotations

from collections.abc import Iterator

from .result import Check, Patient, ok, warning
from .web_names import web_of

TURN = 72
NAME = "second factors"
SHOWN = 10


def look(patient: Patient) -> Iterator[Check]:
    """Every enabled account of every organisation, where there is a portal. A code that waits to be used counts."""
    if patient.installation is None or not web_of(patient).portal:
        return
    lacking, count = [], 0
    for each in patient.installation.store.organisations():
        organisation = patient.installation.store.organisation(each.id)
        enabled = [account for account in organisation.accounts.list() if account.enabled]
        holders, codes = organisation.authenticators.holders(), organisation.binding_codes
        count += len(enabled)
        lacking += [
            account.address
            for account in enabled
            if account.id not in holders and not codes.pending(account.id, patient.now)
        ]
    if lacking:
        more = f" and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else ""
        yield warning(
            NAME,
            f"Without a second factor, and so let in nowhere by the portal: {len(lacking)} of {count} accounts: "
            f"{', '.join(sorted(lacking)[:SHOWN])}{more}.",
            "For each who needs web pages: gambeson account code ADDRESS",
        )
    elif count:
        yield ok(NAME, f"All {count} accounts have a second factor, or a code to bind one.")
