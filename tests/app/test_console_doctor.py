"""The doctor as the console asks it: what its user may not look at is said, and never taken for good or bad."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.lab import Lab
from gambeson.app import console_doctor
from gambeson.app.console_doctor import OF_THE_OWNER, ConsoleDoctor
from gambeson.app.doctor import Check, Patient, State, checks, ok
from gambeson.app.place import Place
from gambeson.settings import Config


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path) as made:
        yield made


def lines(lab: Lab, folder: Path, **patched: Any) -> list[Check]:
    doctor = ConsoleDoctor(lab.world, Place(folder), Config(), None)
    if patched:
        doctor._checks = list(patched.items())
    return list(doctor.examine())


def test_the_owners_checks_are_the_owners(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(patient: Patient) -> Iterator[Check]:
        yield ok("users", "looked")

    assert [c.text for c in lines(lab, tmp_path, users=look)] == ["looked"]
    monkeypatch.setattr(console_doctor.os, "geteuid", lambda: os.getuid() + 1)
    [line] = lines(lab, tmp_path, users=look)
    assert line.state is State.WARNING
    assert "may not look" in line.text
    assert {name for name, _ in checks()} >= OF_THE_OWNER


def test_what_is_closed_is_a_warning_and_what_breaks_a_failure(lab: Lab, tmp_path: Path) -> None:
    def closed(patient: Patient) -> Iterator[Check]:
        yield ok("closed", "the first line")
        raise PermissionError("no")

    def broken(patient: Patient) -> Iterator[Check]:
        raise RuntimeError("a secret")
        yield

    found = lines(lab, tmp_path, closed=closed, broken=broken)
    assert [c.state for c in found] == [State.OK, State.WARNING, State.FAILED]
    assert "a secret" not in found[2].text


def test_it_sees_the_plans_servers_and_doors_and_asks_over_its_own_channels(lab: Lab, tmp_path: Path) -> None:
    seen: list[Patient] = []

    def look(patient: Patient) -> Iterator[Check]:
        seen.append(patient)
        yield ok("seen", "x")

    lines(lab, tmp_path, seen=look)
    [patient] = seen
    assert patient.servers == lab.world.facts.servers
    assert patient.installation is not None
    assert patient.installation.sites() == lab.world.facts.sites
    assert patient.installation.keeper is lab.world.keeper
    assert patient.ready["doors"]["imaps"] == "127.0.0.1:1"
    assert patient.health is None  # the worker does not answer here


def test_the_real_checks_run_over_a_store(lab: Lab, tmp_path: Path) -> None:
    lab.organisation("Acme", "acme.example")
    found = {line.name: line for line in lines(lab, tmp_path)}
    assert "organisations 1" in found["store"].text
    assert found["processes"].state is State.FAILED
    assert not [line for line in found.values() if "could not be looked at" in line.text]
