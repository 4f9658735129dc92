"""Which server is believed, which one serves, and that nobody suffers for another: one installation, many servers."""

from __future__ import annotations

import imaplib
import socket
import time
from collections.abc import Iterator

import pytest

from interop.sites import Site, before, debian, open_folder, table
from peers import missing_programs
from peers.clients import Login, imap, mailbox, message, smtp
from peers.dovecot import Dovecot, missing
from peers.people import MASTER
from peers.pki import Pki

pytestmark = pytest.mark.peer("dovecot", "postfix")

GOOD = ("pin-implicit", "pin-starttls", "ca-name")
BAD = (
    "wrong-ca-implicit",
    "wrong-ca-starttls",
    "wrong-pin-implicit",
    "wrong-pin-starttls",
    "wrong-name",
    "no-starttls",
)
ROAMING = "roaming@example.org"  # on no server of its own: whichever is well
UNLUCKY, NEIGHBOUR = "unlucky@example.org", "neighbour@example.org"


@pytest.fixture(scope="module")
def first() -> Iterator[Dovecot]:
    """A Dovecot that can be killed. Of the servers it has the first turn."""
    if why := missing():
        pytest.skip(why)
    with Dovecot(users={ROAMING: "x"}, masters=dict([MASTER]), plaintext=True) as peer:
        yield peer


@pytest.fixture(scope="module")
def site(first: Dovecot) -> Iterator[Site]:  # instead of the shared ones
    if why := missing_programs("postfix"):
        pytest.skip(why)
    names = [*(f"{name}@example.org" for name in (*GOOD, *BAD)), ROAMING, UNLUCKY, NEIGHBOUR]
    users = {name: f"{name}-password" for name in names}
    with open_folder("gis") as folder, debian(folder, users) as peers, open_folder("gib") as data:
        (data / "master").write_text(MASTER[1])
        (data / "master").chmod(0o600)
        master = {"sign_in": "master", "master_login": MASTER[0], "master_password": f"file:{data}/master"}
        ports, mail = peers.dovecot.ports, peers.postfix.ports
        other = Pki(data / "other", "Somebody else").ca
        other.chmod(0o644)
        implicit, starttls = f"imaps://localhost:{ports['imaps']}", f"imap://localhost:{ports['imap']}"
        pin, bad_pin = peers.pin("dovecot"), "ab" * 32
        by_address = f"imaps://127.0.0.1:{ports['imaps']}"
        servers: dict[str, dict[str, object]] = {
            "first": {"imap": f"imap+plain://127.0.0.1:{first.ports['imap']}", "priority": 1},
            "second": {
                "imap": f"imap+plain://127.0.0.1:{ports['imap']}",
                "submission": f"smtp+plain://127.0.0.1:{mail['submission']}",
                "priority": 2,
            },
            "pin-implicit": {"imap": implicit, "pin": pin},
            "pin-starttls": {
                "imap": starttls,
                "pin": ":".join(pin[i : i + 2].upper() for i in range(0, 64, 2)),
            },
            "ca-name": {"imap": by_address, "ca": peers.ca, "server_name": "localhost"},
            "wrong-ca-implicit": {"imap": implicit, "ca": other},
            "wrong-ca-starttls": {"imap": starttls, "ca": other},
            "wrong-pin-implicit": {"imap": implicit, "pin": bad_pin},
            "wrong-pin-starttls": {"imap": starttls, "pin": bad_pin},
            "wrong-name": {"imap": implicit, "ca": peers.ca, "server_name": "mail.example.org"},
            # Postfix's plain port, where no STARTTLS is spoken for IMAP: garbage is no reason to go on in plaintext.
            "no-starttls": {"imap": f"imap://localhost:{mail['smtp']}", "ca": peers.ca},
        }
        text = "".join(
            table("server", {"name": n, "priority": 50, **master, **v}) for n, v in servers.items()
        )
        sealed = {"sign_in": "sealed", "imap": implicit, "ca": peers.ca, "trusts_us": True, "priority": 60}
        text += table("server", {"name": "sealed", **sealed})
        on = {f"{name}@example.org": ("--server", name) for name in (*GOOD, *BAD)}
        on |= {ROAMING: (), UNLUCKY: ("--server", "sealed"), NEIGHBOUR: ("--server", "sealed")}
        with before(peers, data, text, on) as made:
            yield made


def login(site: Site, address: str) -> Login:
    return site.login(site.people.index(address))


@pytest.mark.parametrize("name", GOOD)
def test_a_server_is_believed_by_pin_or_by_authority_and_name(site: Site, name: str) -> None:
    with mailbox(login(site, f"{name}@example.org")) as client:
        assert client.state == "SELECTED"


@pytest.mark.parametrize("name", BAD)
def test_a_server_that_is_not_who_it_should_be_gets_nothing(site: Site, name: str) -> None:
    who = login(site, f"{name}@example.org")
    client = imap(who)
    with pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
        client.login(who.name, who.secret)
    client.logout()
    assert site.debian
    assert who.name not in site.debian.dovecot.log()


def serves(who: Login, log: Dovecot, seconds: float = 15) -> float:
    """Signs in until it works, and how long that took; the login is in that server's log."""
    began = time.monotonic()
    seen = log.log().count(f"Login: user=<{who.name}>")
    while True:
        try:
            with mailbox(who):
                pass
        except imaplib.IMAP4.error:
            assert time.monotonic() - began < seconds
            continue
        if log.log().count(f"Login: user=<{who.name}>") > seen:
            return time.monotonic() - began
        assert time.monotonic() - began < seconds, "another server answered"
        time.sleep(0.2)


@pytest.mark.slow
def test_when_the_first_server_dies_the_next_serves_and_back(site: Site, first: Dovecot) -> None:
    assert site.debian
    who = login(site, ROAMING)
    assert serves(who, first) < 5
    first.stop()
    assert serves(who, site.debian.dovecot) < 5  # the very next login
    with smtp(who) as client:  # only the second takes mail for sending
        client.login(who.name, who.secret)
        assert client.sendmail(who.name, [who.name], message(who.name, who.name)[0]) == {}
    first.start()
    assert serves(who, first, 40) < 40


@pytest.mark.slow
def test_where_no_server_is_well_the_person_is_told_to_come_later_and_soon_can(
    site: Site, first: Dovecot
) -> None:
    assert site.debian
    who = login(site, ROAMING)
    second = site.debian.dovecot
    first.stop()
    second.stop()
    try:
        client = imap(who)
        with pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
            client.login(who.name, who.secret)
        client.logout()
    finally:
        second.start()
        first.start()
    serves(who, first, 40)


class From(imaplib.IMAP4_SSL):
    """imaplib from another address of loopback."""

    def __init__(self, who: Login, address: str) -> None:
        self._from = (address, 0)
        super().__init__("127.0.0.1", who.port("imaps"), ssl_context=who.tls)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        raw = socket.create_connection((self.host, self.port), 20, source_address=self._from)
        return self.ssl_context.wrap_socket(raw, server_hostname="localhost")


@pytest.mark.slow
def test_one_persons_failures_delay_nobody_else(site: Site) -> None:
    """Dovecot delays an address after failures. It hears the client's address from us, so it delays only that one."""
    for address in (UNLUCKY, NEIGHBOUR):
        right = "wrong" if address == UNLUCKY else f"{address}-password"
        site.gambeson.run("account", "seal-password", address, "--password-file", "-", stdin=f"{right}\n")
    unlucky, neighbour = login(site, UNLUCKY), login(site, NEIGHBOUR)
    for _ in range(3):
        client = From(unlucky, "127.0.0.66")
        with pytest.raises(imaplib.IMAP4.error):
            client.login(unlucky.name, unlucky.secret)
        client.shutdown()
    began = time.monotonic()
    client = From(neighbour, "127.0.0.67")
    client.login(neighbour.name, neighbour.secret)
    assert time.monotonic() - began < 2
    client.logout()
    assert site.debian
    assert "rip=127.0.0.66" in site.debian.dovecot.log()
