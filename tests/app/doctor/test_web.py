"""The checks of the web doors, against servers that show real certificates."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from gambeson.app.doctor import Check, State, extended_protection, second_factors, sites
from gambeson.app.doctor.result import Patient
from gambeson.app.doctor.web_names import web_of
from gambeson.app.installation import Installation
from gambeson.app.place import Place
from gambeson.model.server import Endpoint
from gambeson.settings import loads
from gambeson.store.authenticators import AuthenticatorKind
from gambeson.store.control import Store
from peers.pki import Certificate, Pki

MAIL, PORTAL = "mail.example.org", "login.example.org"


class Web:
    """A web server that answers every request with one line, over TLS with ``certificate``."""

    def __init__(self, certificate: Certificate, says: bytes = b"HTTP/1.1 401 No\r\n\r\n") -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.certificate, certificate.key)
        self._says = says
        self.asked: list[bytes] = []
        self._sock = socket.create_server(("127.0.0.1", 0))
        self.port = self._sock.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                plain, _ = self._sock.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), self._context.wrap_socket(plain, server_side=True) as peer:
                self.asked.append(peer.recv(4096))
                peer.sendall(self._says)

    def close(self) -> None:
        self._sock.close()


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path / "pki")


@pytest.fixture
def servers() -> Iterator[list[Web]]:
    made: list[Web] = []
    yield made
    for each in made:
        each.close()


def patient(
    pki: Pki, tmp_path: Path, behind: int, door: int = 0, more: str = "", product: str = "exchange"
) -> Patient:
    text = (
        f'[portal]\nhost = "{PORTAL}"\n[[site]]\nname = "mail"\nproduct = "{product}"\nhosts = ["{MAIL}"]\n'
        f'address = "https://127.0.0.1:{behind}"\nca = "{pki.ca}"\n{more}'
    )
    made = Patient(Place(tmp_path / "data"), loads(text, "g.toml", tmp_path), tmp_path / "g.toml", 1.8e9)
    made.__dict__["ready"] = {"doors": {"https": f"127.0.0.1:{door}" if door else None}, "ca": str(pki.ca)}
    made.__dict__["health"] = None
    return made


def resolve(**names: str) -> sites.Resolve:
    table = {"mail": "192.0.2.1", "login": "192.0.2.1", **names}
    return lambda host: frozenset(filter(None, [table.get(host.partition(".")[0], "")]))


def states(found: Iterator[Check]) -> dict[str, list[tuple[State, str]]]:
    told: dict[str, list[tuple[State, str]]] = {}
    for check in found:
        assert bool(check.remedy) is (check.state is not State.OK)
        told.setdefault(check.name, []).append((check.state, check.text))
    return told


def test_sites_that_are_in_order(pki: Pki, tmp_path: Path, servers: list[Web]) -> None:
    servers += [Web(pki.issue("127.0.0.1")), Web(pki.issue(MAIL, PORTAL))]
    found = states(sites.look(patient(pki, tmp_path, servers[0].port, servers[1].port), resolve()))
    assert {name: [state for state, _ in each] for name, each in found.items()} == {
        "site mail": [State.OK],
        "web certificate": [State.OK],
    }
    assert servers[0].asked[0].startswith(b"HEAD / HTTP/1.1\r\nHost: 127.0.0.1\r\n")


def test_an_application_that_is_not_there_or_not_itself(pki: Pki, tmp_path: Path, servers: list[Web]) -> None:
    servers += [Web(pki.issue("other.example")), Web(pki.issue("127.0.0.1"), b"* OK IMAP\r\n")]
    for port, why in (
        (servers[0].port, "certificate does not hold"),
        (servers[1].port, "no web server"),
        (1, "nobody"),
    ):
        ((state, text),) = states(sites.look(patient(pki, tmp_path, port), resolve()))["site mail"]
        assert state is State.FAILED
        assert why in text


def test_a_name_that_the_doors_certificate_lacks(pki: Pki, tmp_path: Path, servers: list[Web]) -> None:
    servers += [Web(pki.issue("127.0.0.1")), Web(pki.issue(MAIL))]
    ((state, text),) = states(
        sites.look(patient(pki, tmp_path, servers[0].port, servers[1].port), resolve())
    )["web certificate"]
    assert state is State.FAILED
    assert PORTAL in text
    assert MAIL not in text


@pytest.mark.parametrize(
    ("names", "check", "word"),
    [
        ({"login": ""}, "portal", "no address"),
        ({"mail": ""}, "site mail", "no address"),
        ({"mail": "192.0.2.9"}, "site mail", "portal login.example.org to 192.0.2.1"),
        ({"mail": "203.0.113.5", "exchange": "203.0.113.5"}, "site mail", "past the door"),
    ],
)
def test_names_that_lead_elsewhere(
    pki: Pki, tmp_path: Path, names: dict[str, str], check: str, word: str
) -> None:
    made = patient(pki, tmp_path, 1)
    web = web_of(made)
    endpoint = Endpoint(web.sites[0].endpoint.door, host="exchange.example.org", port=443)
    site = replace(web.sites[0], endpoint=endpoint)
    found = states(sites._names(replace(web, sites=(site,)), resolve(**names)))
    assert [(state, word in text) for state, text in found[check]] == [(State.WARNING, True)]


def test_a_trusted_header_of_an_application_on_another_machine(pki: Pki, tmp_path: Path) -> None:
    made = patient(pki, tmp_path, 1, more='sign_in = "header"\n')
    web = web_of(made)
    assert states(sites._names(web, resolve())) == {}  # on this machine
    endpoint = Endpoint(web.sites[0].endpoint.door, host="192.0.2.7", port=443)
    away = replace(web, sites=(replace(web.sites[0], endpoint=endpoint),))
    ((state, text),) = states(sites._names(away, resolve()))["site mail"]
    assert state is State.WARNING
    assert "believes the header x-remote-user" in text


def test_extended_protection(pki: Pki, tmp_path: Path, servers: list[Web]) -> None:
    one, other = pki.issue(MAIL, "127.0.0.1"), pki.issue(PORTAL, MAIL)
    servers += [Web(one), Web(one), Web(other)]
    behind = servers[0].port
    alike = states(extended_protection.look(patient(pki, tmp_path, behind, servers[1].port)))
    assert [state for state, _ in alike["extended protection"]] == [State.OK]
    for more, word in (("", "so it matters here"), ('sign_in = "basic"\n', "nothing here needs them")):
        differs = states(extended_protection.look(patient(pki, tmp_path, behind, servers[2].port, more)))
        ((state, text),) = differs["extended protection"]
        assert state is State.WARNING
        assert "Extended Protection would fail. The door offers neither" in text
        assert word in text
    assert states(extended_protection.look(patient(pki, tmp_path, behind))) == {}  # no door runs
    webmail = patient(pki, tmp_path, behind, servers[2].port, product="roundcube")
    assert states(extended_protection.look(webmail)) == {}


def test_people_without_a_second_factor(pki: Pki, tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'control.db'}")
    organisation = store.create_organisation("Sample", domains=["sample.example"], by="t", at=1.0)
    people = [organisation.accounts.create(f"p{n:02}@sample.example", by="t", at=1.0) for n in range(14)]
    organisation.authenticators.add(people[0].id, AuthenticatorKind.TOTP, sealed=b"box", by="t", at=1.0)
    organisation.accounts.update(people[1].id, enabled=False, by="t", at=1.0)
    made = patient(pki, tmp_path, 1)
    assert states(second_factors.look(made)) == {}  # the store does not open
    made.installation = cast(Installation, SimpleNamespace(store=store, sites=lambda: ()))
    ((state, text),) = states(second_factors.look(made))["second factors"]
    assert state is State.WARNING
    assert "12 of 13 accounts" in text
    assert "p00@" not in text
    assert "p01@" not in text
    assert "p02@sample.example" in text
    assert "p11@sample.example and 2 more." in text
    made.config = loads("", "g.toml", tmp_path)
    assert states(second_factors.look(made)) == {}  # no portal
    store.close()
