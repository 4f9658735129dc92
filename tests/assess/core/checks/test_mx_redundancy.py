"""RES-007: more than one way in."""

from __future__ import annotations

import pytest

from assess.core.dns_facts import Records, codes, facts
from gambeson.assess.core.checks.mx_redundancy import run
from gambeson.assess.core.unknown import Cause


def world(*hosts: list[str] | Cause) -> Records:
    records: Records = {"example.org MX": [f"10 mx{n}.example.org" for n in range(len(hosts))]}
    for n, found in enumerate(hosts):
        records[f"mx{n}.example.org A"] = (
            found if isinstance(found, Cause) else [t for t in found if ":" not in t]
        )
        records[f"mx{n}.example.org AAAA"] = (
            [] if isinstance(found, Cause) else [t for t in found if ":" in t]
        )
    return records


@pytest.mark.parametrize(
    ("records", "wanted"),
    [
        (world(["1.1.1.1"]), ["single"]),
        (world(["1.1.1.1", "2606:4700::1"]), ["single"]),
        (world(["1.1.1.1", "8.8.8.8"]), ["ok"]),
        (world(["1.1.1.1"], ["1.1.1.9"]), ["one-network"]),
        (world(["1.1.1.1"], ["1.1.1.1"]), ["one-network"]),
        (world(["1.1.1.1"], ["8.8.8.8"]), ["ok"]),
        (world(["1.1.1.1", "2606:4700::1"], ["1.1.1.2", "2606:4700::2"]), ["one-network"]),
        (world(["1.1.1.1"], Cause.TIMEOUT), ["timeout"]),
        (world(["1.1.1.1"], ["8.8.8.8"], Cause.TIMEOUT), ["ok"]),
        (world(["1.1.1.1", "2606:4700::1"], Cause.TIMEOUT), ["timeout"]),
        (world(["10.0.0.1"]), []),
        ({"example.org MX": ["0 ."]}, []),
        ({"example.org MX": Cause.SERVFAIL}, []),
        ({"example.org A": ["1.1.1.1"]}, ["single"]),
        ({}, []),
    ],
)
def test_outcomes(records: Records, wanted: list[str]) -> None:
    assert [code for code, _ in codes(run, facts(records))] == wanted
