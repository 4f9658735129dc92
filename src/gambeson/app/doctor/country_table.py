"""The country table: is it there where the policy needs it, can it be read, how old is it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from gambeson.guard.core.risk import needs_countries
from gambeson.guard.edge.countries import CountryTable, CountryTableError

from .result import DAY, Check, Patient, days, failed, ok, warning

TURN = 75
NAME = "countries"
OLD = 90 * DAY


def look(patient: Patient) -> Iterator[Check]:
    """By what its maker says of the file, not by when it was copied here."""
    path = patient.config.doors.country_table
    if not path:
        yield from _without(patient)
        return
    try:
        built = CountryTable(path).built
    except CountryTableError as error:
        yield failed(NAME, f"{str(error)[0].upper()}{str(error)[1:]}", "Then: systemctl reload gambeson")
        return
    made = datetime.fromtimestamp(built, UTC).strftime("%Y-%m-%d")
    age = max(0.0, patient.now - built)
    text = f"The country table {path} was made on {made}, {days(age)} ago."
    if age > OLD:
        yield warning(
            NAME, text, "Addresses move. Get a new one every month, then: systemctl reload gambeson"
        )
    else:
        yield ok(NAME, text)


def _without(patient: Patient) -> Iterator[Check]:
    """Rules that can never hold then."""
    if patient.installation is None:
        return
    index = patient.installation.snapshot()
    for policy in index.snapshot.policies:
        names = [rule.name for rule in policy.rules if needs_countries(rule)]
        if names:
            organisation = index.organisation.get(policy.organisation)
            yield warning(
                NAME,
                f"No country is known, so these rules of {organisation.name if organisation else policy.organisation} "
                f"never hold: {', '.join(names[:20])}.",
                "Name a country table in doors.country_table, or drop these rules.",
            )
