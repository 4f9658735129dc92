"""The two places that every client is tried at: the playground, and the doors before Debian's Dovecot and Postfix."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from interop.sites import Debian, Site, before, debian, open_folder
from peers import missing_programs
from peers.dovecot import missing
from peers.gambeson import Gambeson
from peers.people import ACCOUNTS


@pytest.fixture(scope="session")
def peers_of_debian() -> Iterator[Debian]:
    """Dovecot and Postfix with everything on, one pair for the session."""
    if why := missing() or missing_programs("postfix"):
        pytest.skip(why)
    with open_folder("gio") as folder, debian(folder, dict(ACCOUNTS)) as peers:
        yield peers


@pytest.fixture(scope="session")
def playground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The playground as a first run makes it."""
    folder = tmp_path_factory.mktemp("playground")
    with Gambeson(folder / "data") as gambeson:
        people = tuple(each["address"] for each in gambeson.ready["playground"]["accounts"])
        yield Site(gambeson, folder, people)


@pytest.fixture(scope="session")
def before_debian(peers_of_debian: Debian) -> Iterator[Site]:
    """The doors before Dovecot and Postfix: tokens, TLS checked by CA, the client's address passed on."""
    settings = peers_of_debian.servers("implicit", name="debian", ca=peers_of_debian.ca, trusts_us=True)
    with open_folder("gib") as folder, before(peers_of_debian, folder, settings) as site:
        yield site


@pytest.fixture(scope="session", params=["playground", "debian"])
def site(request: pytest.FixtureRequest) -> Site:
    """Each of the two."""
    name = "playground" if request.param == "playground" else "before_debian"
    found: Site = request.getfixturevalue(name)
    return found
