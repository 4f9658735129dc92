"""Where the web walk goes: the listener from ready.json, endpoints, targets, ports."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gambeson.guard.core.walk import Role
from gambeson.guard.edge.walk.http_places import (
    PlaceError,
    allowed,
    from_outside,
    of_endpoint,
    of_ready,
    of_scan,
    of_target,
)
from gambeson.model.access import DoorKind
from gambeson.model.finding import Severity
from gambeson.model.server import Endpoint, SignIn, UpstreamTls
from gambeson.model.web import Product, Site, WebSignIn
from gambeson.process.run_directory import RunDirectory


def site(host: str = "192.0.2.5", **changes: object) -> Site:
    endpoint = Endpoint(DoorKind.OWA, host, 443, tls=UpstreamTls.IMPLICIT, ca="/ca.pem", server_name="ex")
    return Site("exchange", Product.EXCHANGE, ("mail.example.org",), endpoint, **changes)  # type: ignore[arg-type]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Writes ready.json of an installation that runs: this very process holds its lock."""
    run = RunDirectory(tmp_path)

    def write(**document: object) -> Path:
        (run.path / "ready.json").write_text(json.dumps({"pid": os.getpid(), **document}))
        return tmp_path

    yield write
    run.close()


def test_the_listener_and_the_portal(running: Callable[..., Path], tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("x")
    found = of_ready(
        running(doors={"https": "0.0.0.0:8443"}, portal="https://login.localhost:8443", ca=str(ca))
    )
    assert found is not None
    assert (found.host, found.port, found.portal, found.ca) == ("127.0.0.1", 8443, "login.localhost", str(ca))


def test_none_where_nothing_runs_or_no_https_door_stands(
    running: Callable[..., Path], tmp_path: Path
) -> None:
    assert of_ready(tmp_path / "none") is None
    assert of_ready(running(doors={"https": None}, portal=None)) is None
    assert of_ready(running(doors={"imap": "127.0.0.1:143"})) is None


def test_an_endpoint_is_tried_as_it_is_reached() -> None:
    place = of_endpoint(site())
    assert (place.role, place.host, place.port, place.implicit) == (Role.UPSTREAM, "192.0.2.5", 443, True)
    assert (place.ca, place.server_name) == ("/ca.pem", "ex")


@pytest.mark.parametrize("word", ["https", "http"])
def test_a_target(word: str) -> None:
    found = of_target(f"[2001:db8::1]:8443={word}")
    assert found is not None
    assert (found[1].host, found[1].port, found[1].implicit) == ("2001:db8::1", 8443, word == "https")
    assert found[0].product is Product.EXCHANGE


def test_other_targets_are_the_mail_walks() -> None:
    assert of_target("mail.example.org:25=submission") is None
    for bad in ("mail.example.org=https", ":443=https", "mail:0=http", "=https"):
        with pytest.raises(PlaceError):
            of_target(bad)


def test_ports_of_a_host_without_those_that_are_known() -> None:
    places = [place for _, place in of_scan(["192.0.2.5", "192.0.2.5"], [of_endpoint(site())])]
    assert [place.port for place in places] == [80, 81, 444]
    assert {place.role for place in places} == {Role.FOUND}


@pytest.mark.parametrize(
    ("host", "inside", "changes", "severity"),
    [
        ("192.0.2.5", True, {}, Severity.MEDIUM),  # the doors' own machine signs in there with a password
        ("192.0.2.5", False, {}, Severity.CRITICAL),
        ("127.0.0.1", True, {}, Severity.CRITICAL),  # every process of this machine reaches it
        (
            "192.0.2.5",
            True,
            {"web_sign_in": WebSignIn.TOKEN, "device_sign_in": SignIn.TOKEN},
            Severity.CRITICAL,
        ),
    ],
)
def test_what_a_yes_to_a_password_can_mean(
    host: str, inside: bool, changes: dict[str, object], severity: Severity
) -> None:
    made = site(host, **changes)
    assert allowed(made, of_endpoint(made), inside) is severity


def test_from_outside_only_what_another_machine_could_reach() -> None:
    near, far = site("127.0.0.1"), site()
    places = [(each, of_endpoint(each)) for each in (near, far)]
    assert [one for one, _ in from_outside(places)] == [far]
