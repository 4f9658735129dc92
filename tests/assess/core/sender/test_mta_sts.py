"""MTA-STS: record, policy and MX hosts, and what is known of each."""

from __future__ import annotations

import pytest

from assess.dns_zone import Zone
from gambeson.assess.core.sender import mta_sts
from gambeson.assess.core.sender.ask import Found
from gambeson.assess.core.sender.mta_sts import StsReport
from gambeson.assess.core.unknown import Cause, Unknown
from gambeson.assess.core.web import Page

POLICY = b"version: STSv1\r\nmode: enforce\r\nmx: mx1.d.example\r\nmax_age: 604800\r\n"
DNS: dict[str, str | list[str]] = {
    "_mta-sts.d.example TXT": "v=STSv1; id=20260101",
    "d.example MX": ["10 mx1.d.example", "20 mx2.d.example"],
}


def page(body: bytes = POLICY, status: int = 200, **fields: object) -> Page:
    url = "https://mta-sts.d.example/.well-known/mta-sts.txt"
    return Page("mta-sts", url, "192.0.2.1", status=status, body=body, **({"trusted": True} | fields))  # type: ignore[arg-type]


def report(
    zone: dict[str, str | list[str]] = DNS, pages: tuple[Page, ...] = (), probed: bool = True
) -> StsReport:
    return Zone(zone).settle(lambda answers: mta_sts.report("d.example", answers, pages, probed=probed))


def test_policy_and_hosts_are_held_against_each_other() -> None:
    found = report(pages=(page(),))
    assert found.policy is not None
    assert (found.policy.mode, found.uncovered) == ("enforce", ("mx2.d.example",))


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (page(status=404), "the server answers 404 instead of 200"),
        (page(status=301), "the server answers 301 instead of 200"),
        (page(trusted=False), "its certificate is not trusted"),
        (page(cut=True), "it does not end"),
        (page(b"<html>"), "line 1 is not written as key: value"),
    ],
)
def test_a_policy_that_no_sender_uses(answer: Page, fault: str) -> None:
    found = report(pages=(answer,))
    assert (found.policy, found.fault, found.unknown) == (None, fault, None)


def test_what_was_not_fetched_is_unknown() -> None:
    away = page(b"", 0, trusted=None, unknown=Unknown(Cause.TIMEOUT, "no answer"))
    for pages, probed, cause in (
        ((), True, Cause.NOT_ASKED),
        ((), False, Cause.NOT_ASKED),
        ((away,), True, Cause.TIMEOUT),
    ):
        found = report(pages=pages, probed=probed)
        assert found.unknown is not None
        assert (found.policy, found.fault, found.unknown.cause) == (None, "", cause)


def test_of_several_addresses_the_one_that_answers_counts() -> None:
    away = page(b"", 0, trusted=None, unknown=Unknown(Cause.TIMEOUT, "no answer"))
    assert report(pages=(away, page())).policy is not None


def test_pages_of_other_names_and_purposes_do_not_count() -> None:
    other = Page(
        "mta-sts",
        "https://mta-sts.other.example/.well-known/mta-sts.txt",
        "192.0.2.1",
        status=200,
        body=POLICY,
    )
    longer = Page("mta-sts", "https://mta-sts.d.example.test/", "192.0.2.1", status=200, body=POLICY)
    assert report(pages=(other, longer)).policy is None


@pytest.mark.parametrize(
    ("records", "found"),
    [
        ([], Found.NOTHING),
        (["hello"], Found.NOTHING),
        (["v=STSv1; id=1", "v=STSv1; id=2"], Found.SEVERAL),
        (["v=STSv1; id=1", "hello"], Found.ONE),
        (["v=STSv1;"], Found.BROKEN),
        (["v=STSv1; id=a-b"], Found.BROKEN),
        (["SERVFAIL"], Found.UNKNOWN),
    ],
)
def test_the_record(records: list[str], found: Found) -> None:
    assert report({**DNS, "_mta-sts.d.example TXT": records}).found is found


def test_hosts_that_are_not_known_are_none() -> None:
    assert report({**DNS, "d.example MX": "SERVFAIL"}).hosts is None
    assert report({**DNS, "d.example MX": "0 ."}).hosts == ()
