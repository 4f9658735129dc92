"""The store: it opens, its schema is this version's, it has an organisation."""

from __future__ import annotations

from collections.abc import Iterator

from .result import Check, Patient, failed, ok, warning

TURN = 40
NAME = "store"


def look(patient: Patient) -> Iterator[Check]:
    """Opened by the doctor already; here is what came of it."""
    if patient.installation is None:
        yield failed(
            NAME, patient.store_problem, "The line says what to do; nothing that needs it was looked at."
        )
        return
    store = patient.installation.store
    organisations = store.organisations()
    parts = store.load_snapshot_parts(patient.now)
    where = patient.config.store.url or str(patient.place.control)
    text = (
        f"{where} answers and is current: organisations {len(organisations)}, accounts {len(parts.accounts)}, "
        f"devices {len(parts.devices)}."
    )
    if not organisations:
        yield warning(NAME, text, "Make an organisation: gambeson org add NAME --domain DOMAIN")
    elif without := [o.name for o in organisations if not o.domains]:
        yield warning(
            NAME,
            f"{text} Without a domain: {', '.join(without)}.",
            "gambeson org domain add DOMAIN --org NAME",
        )
    else:
        yield ok(NAME, text)
    if patient.config.store.url and not store.row_security():
        yield warning(
            NAME,
            "PostgreSQL does not keep organisations apart by itself for this user (row-level security).",
            "Use a user that is neither a superuser nor has BYPASSRLS.",
        )
