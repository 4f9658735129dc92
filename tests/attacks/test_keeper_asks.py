"""Asking the keeper for what one may not have, beyond what tests/process/test_keeper_core.py tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from gambeson.model.asset import Account
from gambeson.model.organisation import Organisation
from gambeson.model.server import MailServer, SignIn
from gambeson.process import keeper_messages as k
from gambeson.process import messages as m
from gambeson.process.keeper_core import KeeperCore
from process import process_world as sample

NOW = sample.NOW
TWO = (Organisation("o1", "sample", ("sample.example",)), Organisation("o2", "other", ("other.example",)))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> object:
    folder: Path = tmp_path_factory.mktemp("keeper")
    return sample.keys(folder)


def core(keys: object, login: str, server: str = "", way: SignIn = SignIn.TOKEN) -> KeeperCore:
    """Ada of one organisation, whose login on the mail server somebody wrote; Carol of another."""
    made = KeeperCore(keys, masters={"main": "the-master-password"})  # type: ignore[arg-type]
    made.take(
        sample.index(
            keys.device,  # type: ignore[attr-defined]
            organisations=TWO,
            accounts=(
                Account("a1", "o1", "ada@sample.example", upstream_login=login),
                Account("a2", "o1", "bob@sample.example"),
                Account("a3", "o2", "carol@other.example", ("c@other.example",)),
            ),
            servers=(MailServer("main", server, sign_in=way, master_login="doors"),),
        )
    )
    return made


def ask(made: KeeperCore, now: float = NOW) -> m.Message:
    question = k.CredentialAsk("a1", "main", "imap", "192.0.2.1", secret=sample.ADA.text)
    return made.answer("doors", "doors.1.0", question, now)


@pytest.mark.parametrize("way", [SignIn.TOKEN, SignIn.MASTER])
@pytest.mark.parametrize(
    "login",
    [
        "carol@other.example",
        "C@Other.Example",
        " carol@other.example. ",
        "anybody@other.example",
        "carol@@other.example",
    ],
)
def test_a_login_on_a_shared_server_is_no_way_into_another_organisation(
    keys: object, login: str, way: SignIn
) -> None:
    answer = ask(core(keys, login, way=way))
    assert answer == m.Refused(reason="login-of-another-organisation")


@pytest.mark.parametrize("login", ["", "ada", "bob@sample.example", "ada@nobodys.example"])
def test_ones_own_logins_stay(keys: object, login: str) -> None:
    assert isinstance(ask(core(keys, login)), k.CredentialGiven)


def test_an_organisations_own_server_may_name_its_people_as_it_likes(keys: object) -> None:
    assert isinstance(ask(core(keys, "carol@other.example", server="o1")), k.CredentialGiven)


@pytest.mark.parametrize("now", [NOW + 3601, NOW - 3601])
def test_a_clock_that_is_set_back_makes_no_old_snapshot_young(keys: object, now: float) -> None:
    """The worker is dead and the clock goes back a day: what was true then must not be true for another day."""
    assert ask(core(keys, ""), now) == m.Refused(reason="no-fresh-snapshot")
