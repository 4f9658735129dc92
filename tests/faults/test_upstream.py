"""A mail server that fails before, during and after the sign-in, at every door: people are told to come later, nobody
hangs, the door lives on, and its memory stays what it was."""

from __future__ import annotations

import contextlib
import itertools
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from faults.conftest import folder
from faults.hands import answer, events, eventually, open_door, rss, session, sign_in
from faults.upstream import MODES, Upstream
from peers.gambeson import Gambeson

KINDS = {"imap": "imaps", "pop3": "pop3s", "submission": "submissions", "sieve": "sieve"}


@pytest.fixture(scope="module")
def site() -> Iterator[tuple[Gambeson, dict[str, Upstream]]]:
    """The doors before four such servers, on loopback and without TLS."""
    servers = {kind: Upstream(kind) for kind in KINDS}
    schemes = {"imap": "imap", "pop3": "pop3", "submission": "smtp", "sieve": "sieve"}
    options = {
        "imap": "--mail-server",
        "pop3": "--pop3-server",
        "submission": "--submission",
        "sieve": "--sieve-server",
    }
    args = [a for k, s in servers.items() for a in (options[k], f"{schemes[k]}+plain://127.0.0.1:{s.port}")]
    with folder() as path, Gambeson(path / "data", *args) as g:
        somebody(g)
        yield g, servers
    for server in servers.values():
        server.close()


PEOPLE: list[tuple[str, str]] = []
_TURNS = itertools.count()


def somebody(g: Gambeson) -> tuple[str, str]:
    """Name and secret. They take turns: the keeper signs nobody in more than twice a second in the long run."""
    while len(PEOPLE) < 4:
        name = f"person{len(PEOPLE)}@playground.example"
        g.run("account", "add", name)
        PEOPLE.append((name, g.enrol(name)))
    return PEOPLE[next(_TURNS) % len(PEOPLE)]


@pytest.fixture(autouse=True)
def good_again(site: tuple[Gambeson, dict[str, Upstream]]) -> Iterator[None]:
    """Each test leaves a server that works, and shows that the door works with it."""
    g, servers = site
    pid = g.children()["doors"]
    yield
    for kind, server in servers.items():
        server.mode = "good"
        assert sign_in(g, KINDS[kind], *somebody(g)) == "in", kind
    assert g.children()["doors"] == pid
    assert "Traceback" not in g.log.read_text()


def everywhere(g: Gambeson) -> dict[str, tuple[str, float]]:
    """The word of each door, and how long it took; all at once."""

    def one(listener: str) -> tuple[str, float]:
        began = time.monotonic()
        return sign_in(g, listener, *somebody(g), patience=50), time.monotonic() - began

    with ThreadPoolExecutor(len(KINDS)) as pool:
        return dict(zip(KINDS, pool.map(one, KINDS.values()), strict=True))


@pytest.mark.parametrize("mode", MODES)
def test_a_server_that_fails_means_come_later(site: tuple[Gambeson, dict[str, Upstream]], mode: str) -> None:
    g, servers = site
    before = rss(g.children()["doors"])
    for server in servers.values():
        server.mode = mode
    found = everywhere(g)
    assert {kind: word for kind, (word, _) in found.items()} == dict.fromkeys(KINDS, "later")
    assert max(took for _, took in found.values()) < 8
    assert rss(g.children()["doors"]) - before < 16 * 1024


@pytest.mark.slow
def test_a_server_that_says_nothing_is_left_after_half_a_minute(
    site: tuple[Gambeson, dict[str, Upstream]],
) -> None:
    g, servers = site
    for server in servers.values():
        server.mode = "silent"
    found = everywhere(g)
    assert {kind: word for kind, (word, _) in found.items()} == dict.fromkeys(KINDS, "later")
    assert 28 < min(took for _, took in found.values()) <= max(took for _, took in found.values()) < 40


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_dies_after_the_sign_in_ends_the_session_soon(
    site: tuple[Gambeson, dict[str, Upstream]], kind: str
) -> None:
    g, servers = site
    closed = len(events(g, "door.session.closed"))
    with session(g, *somebody(g), KINDS[kind]) as line:
        line.send(b"n NOOP" if kind == "imap" else b"NOOP")
        line.line()
        servers[kind].cut()
        line.sock.settimeout(5)
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while True:
                line.line()
    eventually(lambda: len(events(g, "door.session.closed")) > closed, 5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_that_dies_during_the_sign_in_leaves_nothing_behind(
    site: tuple[Gambeson, dict[str, Upstream]], kind: str
) -> None:
    """While the server stays silent the client leaves: the connection to the server ends too."""
    g, servers = site
    servers[kind].mode = "silent"
    line = open_door(g, KINDS[kind])
    line.sock.settimeout(1)
    with pytest.raises(TimeoutError):
        answer(line, KINDS[kind], *somebody(g))
    assert len(servers[kind]._open) == 1
    line.close()
    eventually(lambda: not servers[kind]._open, 5)


def test_no_server_at_all_and_its_return(site: tuple[Gambeson, dict[str, Upstream]]) -> None:
    g, servers = site
    servers["imap"].close()
    began = time.monotonic()
    assert sign_in(g, "imaps", *somebody(g)) == "later"
    assert time.monotonic() - began < 4
    servers["imap"].listen()
    eventually(lambda: sign_in(g, "imaps", *somebody(g)) == "in", 15)
