"""Facts with pages, for the tests of the checks that judge them."""

from __future__ import annotations

from gambeson.assess.core.check import Check
from gambeson.assess.core.evaluate import Line, evaluate
from gambeson.assess.core.facts import Facts
from gambeson.assess.core.fingerprints import observe
from gambeson.assess.core.unknown import Cause, Unknown
from gambeson.assess.core.web import Page
from gambeson.assess.edge.checks import all_checks
from gambeson.assess.edge.reference import all_asks, reference

HOST = "mail.example.org"
AT = 1_795_000_000.0  # 2026-11-18
PATHS = {ask.purpose: ask.path for ask in all_asks()}


def page(
    purpose: str,
    status: int = 404,
    body: bytes = b"",
    *,
    host: str = HOST,
    scheme: str = "https",
    schemes: str = "",
    trusted: bool = True,
    **headers: str,
) -> Page:
    lines = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Page(
        purpose,
        f"{scheme}://{host}{PATHS[purpose]}",
        "192.0.2.1",
        status=status,
        headers=lines,
        body=body,
        schemes=tuple(schemes.split()),
        trusted=trusted,
    )


def silent(purpose: str, host: str = HOST) -> Page:
    return Page(
        purpose,
        f"https://{host}{PATHS[purpose]}",
        "192.0.2.1",
        unknown=Unknown(Cause.TIMEOUT, "no answer in 6 s"),
    )


def facts(*pages: Page, at: float = AT) -> Facts:
    tables = reference()
    return Facts(
        "example.org",
        at,
        probed=True,
        pages=pages,
        software=observe((), pages, tables.fingerprints),
        reference=tables,
    )


def check(name: str) -> Check:
    return next(found for found in all_checks() if found.name == name)


def lines(name: str, found: Facts) -> list[Line]:
    return list(evaluate(found, [check(name)]))


def codes(name: str, found: Facts) -> set[str]:
    """The codes that the check says, good halves included; every line is filled and judged besides."""
    lines(name, found)
    return {outcome.code for outcome in check(name).run(found)}
