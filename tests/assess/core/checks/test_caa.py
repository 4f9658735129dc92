"""DNS-005: who may issue certificates."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assess.core.dns_facts import Records, codes, facts
from gambeson.assess.core.checks.caa import run
from gambeson.assess.core.unknown import Cause

CAA = "example.org CAA"


@pytest.mark.parametrize(
    ("records", "wanted"),
    [
        ({CAA: ['0 issue "letsencrypt.org"']}, ["ok"]),
        ({CAA: ['0 issue ";"']}, ["ok"]),
        ({CAA: ['0 iodef "mailto:a@example.org"']}, ["open"]),
        ({CAA: ["", "0", "0 issue"]}, ["ok"]),
        ({}, ["open"]),
        ({CAA: Cause.TIMEOUT}, ["timeout"]),
        ({"org CAA": Cause.TIMEOUT}, ["timeout"]),
        ({"org CAA": ['0 issue "x.example"']}, ["ok"]),
    ],
)
def test_outcomes(records: Records, wanted: list[str]) -> None:
    assert [code for code, _ in codes(run, facts(records))] == wanted


def test_the_nearest_name_decides() -> None:
    records: Records = {"a.example.org CAA": ['0 issue "near.example; x=1"'], CAA: ['0 issue "far.example"']}
    (outcome,) = run(replace(facts(records), domain="a.example.org"))
    assert outcome.values["issuers"] == "near.example"
