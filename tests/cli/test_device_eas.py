"""An administrator and ActiveSync phones: decided, listed, forgotten; on the line and in the store."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from gambeson.model.event import Event
from gambeson.store.control import Store
from gambeson.store.urls import sqlite_url
from peers.gambeson import Gambeson

ALMA = "alma@playground.example"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gambeson]:
    with Gambeson(tmp_path_factory.mktemp("eas") / "data") as gambeson:
        yield gambeson


def test_a_decision_is_acknowledged_listed_and_taken_back(running: Gambeson) -> None:
    done = running.json("device", "eas", "block", ALMA, "SEC1")
    assert (done["account"], done["device_id"], done["decision"]) == (ALMA, "sec1", "blocked")
    assert done["acknowledged"]
    assert not done["missing"]
    assert running.json("device", "eas", "allow", ALMA, "sec1")["decision"] == "allowed"
    (one,) = running.json("device", "eas", "list", ALMA)["phones"]
    assert (one["device_id"], one["decision"], one["seen"]) == ("sec1", "allowed", None)
    assert running.json("device", "eas", "forget", ALMA, "SEC1")["decision"] == ""
    assert running.json("device", "eas", "list")["phones"] == []


def test_phones_that_were_seen_are_listed_with_their_program(running: Gambeson) -> None:
    with Store.open(sqlite_url(running.data), migrate=False) as store:
        organisation = store.organisation(store.organisations()[0].id)
        account = organisation.accounts.find(ALMA).id
        data = {"device_id": "PhOnE9", "program": "Samsung Email"}
        event = Event(
            "t/1", time.time(), "door.eas.device", organisation.id, account=account, door="eas", data=data
        )
        store.events.append([event])
    (one,) = running.json("device", "eas", "list", ALMA)["phones"]
    assert (one["account"], one["device_id"], one["program"]) == (ALMA, "PhOnE9", "Samsung Email")
    assert one["seen"]


@pytest.mark.parametrize("name", ["", "a/b", "a" * 65])
def test_what_is_no_device_id_is_refused_in_a_sentence(running: Gambeson, name: str) -> None:
    done = running.run("device", "eas", "block", ALMA, name, check=False)
    assert done.returncode == 2
    assert "1 to 64" in done.stderr
    assert "Traceback" not in done.stderr
