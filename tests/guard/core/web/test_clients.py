"""The programs' files: complete, honest, and recognised one by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from gambeson.guard.core.web import clients
from gambeson.guard.core.web.clients import ClientError, SetUp, load_clients, parse_client
from gambeson.model.access import DoorKind, Rung
from gambeson.model.asset import CredentialKind

ROOT = Path(__file__).resolve().parents[4]
GOOD = """
name = "P"
doors = ["eas"]
protocols = "ActiveSync."
credentials = ["device-secret"]
rung = "device-secret"
steps = ["Begin."]
source = "x"
tried = "not tried here"
"""


def test_every_program_of_the_issue_is_there() -> None:
    assert {client.id for client in load_clients().all} == {
        "apple-mail-mac",
        "gmail-app",
        "ios-mail-exchange",
        "ios-mail-imap",
        "outlook-classic",
        "outlook-mac",
        "outlook-mobile",
        "outlook-new",
        "samsung-email",
        "scanner",
        "thunderbird",
    }


@pytest.mark.parametrize("client", load_clients().all, ids=lambda client: client.id)
def test_each_is_recognised_by_its_own_names(client: clients.Client) -> None:
    assert bool(client.agents) == bool(client.samples) == (client.id != "scanner")
    for sample in client.samples:
        assert load_clients().recognise(sample) is client
        assert load_clients().program(sample) == client.name


@pytest.mark.parametrize("client", load_clients().all, ids=lambda client: client.id)
def test_a_rung_is_one_that_its_credentials_reach(client: clients.Client) -> None:
    key = CredentialKind.CERTIFICATE in client.credentials
    assert client.rung is (Rung.DEVICE_KEY if key else Rung.DEVICE_SECRET)
    if DoorKind.MAPI in client.doors:
        assert not key  # Outlook can't show a certificate there
    assert bool(client.operations) == (DoorKind.EWS in client.doors)


@pytest.mark.parametrize(
    "agent", ["", "  ", "curl/8", "Mozilla/5.0 (X11) Firefox/140", "x Outlook-iOS/1", "A" * 9000]
)
def test_nobody_else_is_recognised(agent: str) -> None:
    assert load_clients().recognise(agent) is None


def test_cloud_programs_are_the_two() -> None:
    assert {c.id: c.cloud for c in load_clients().all if c.cloud} == {
        "outlook-mobile": "microsoft",
        "outlook-new": "microsoft",
    }


def test_apple_gets_profiles_thunderbird_finds_by_itself_and_machines_are_the_administrators() -> None:
    ways = {c.id: c.setup.value for c in load_clients().all if c.setup is not SetUp.STEPS}
    assert ways == {
        "apple-mail-mac": "profile",
        "ios-mail-exchange": "profile",
        "ios-mail-imap": "profile",
        "thunderbird": "autoconfig",
        "scanner": "administrator",
    }


def test_what_nobody_knows_is_named_as_it_calls_itself() -> None:
    assert load_clients().program("  new   thing/1 ") == "new thing/1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = ", "is no TOML"),
        (GOOD + 'colour = "red"', "colour is no key"),
        (GOOD.replace('tried = "not tried here"', ""), "tried is missing"),
        (GOOD.replace('"eas"', '"owa"'), "doors"),
        (GOOD.replace('"eas"', '"gopher"'), "gopher"),
        (GOOD.replace('rung = "device-secret"', 'rung = "high"'), "high"),
        (GOOD + 'agents = ["("]', "unterminated"),
        (GOOD + 'setup = "magic"', "magic"),
        (GOOD + 'agents = "x"', "agents is no list"),
        (GOOD + 'operations = ["get item"]', "no EWS operation"),
        (GOOD + "cloud = true", "cloud is no text"),
        (GOOD + 'networks = ["192.0.2.0/24"]', "networks is no key"),
    ],
)
def test_a_damaged_file_is_named(text: str, said: str) -> None:
    with pytest.raises(ClientError, match=said) as error:
        parse_client(text, "p.toml")
    assert str(error.value).startswith("p.toml: ")


def test_the_document_is_current() -> None:
    text = (ROOT / "docs/clients.md").read_text(encoding="utf-8")
    assert text == clients.document(load_clients()), "run ./dev docs"
