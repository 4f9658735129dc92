"""Search and bind against Debian's slapd."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from gambeson.guard.edge.identity.ldap import DirectoryError, LdapDirectory
from gambeson.guard.edge.identity.source import Verdict
from gambeson.model import device_secret
from guard.edge.identity.asking import RIGHT, account, check, settings, sources
from peers import missing_programs
from peers.people import ACCOUNTS
from peers.pki import Pki
from peers.slapd import READER, Slapd, dn

THRESHOLD = 5


@pytest.fixture(scope="module")
def locking(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> Iterator[Slapd]:
    """A directory that locks an entry after five wrong passwords."""
    if why := missing_programs("slapd"):
        pytest.skip(why)
    tls = pki.issue("ldap.example.org", "localhost", "127.0.0.1")
    peer = Slapd(tmp_path_factory.mktemp("locking"), tls, pki.ca, lockout=THRESHOLD)
    yield peer
    peer.stop()


def urls(slapd: Slapd) -> dict[str, str]:
    return {
        "StartTLS": f"ldap://127.0.0.1:{slapd.ports['ldap']}",
        "ldaps": f"ldaps://localhost:{slapd.ports['ldaps']}",
        "ldapi": slapd.ldapi,
    }


# -- a good directory


@pytest.mark.parametrize("way", ["StartTLS", "ldaps", "ldapi"])
def test_right_wrong_and_unknown(slapd: Slapd, pki: Pki, way: str) -> None:
    where = settings(
        urls(slapd)[way], pki.ca, filter="(&(objectClass=person)(|(mail={address})(uid={name})))"
    )
    assert check(where, RIGHT) is Verdict.RIGHT
    assert check(where, RIGHT + "x") is Verdict.WRONG
    assert check(where, RIGHT.upper()) is Verdict.WRONG
    assert check(where, RIGHT, "nobody@example.org") is Verdict.WRONG


def test_the_doors_own_loop_does_it_too(slapd: Slapd, pki: Pki) -> None:
    async def both() -> list[Verdict]:
        asked = sources(settings(urls(slapd)["StartTLS"], pki.ca))
        return [await asked.check(account(), word) for word in (RIGHT, "wrong")]

    assert uvloop.run(both()) == [Verdict.RIGHT, Verdict.WRONG]


def test_passwords_cross_no_network_in_the_clear(slapd: Slapd, pki: Pki) -> None:
    check(settings(urls(slapd)["StartTLS"], pki.ca), RIGHT)
    log = slapd.logged()
    number = log[: log.rindex(f'BIND dn="{dn("anna")}" method=')].rsplit("conn=", 1)[1].split()[0]
    assert f"conn={number} op=0 STARTTLS" in log
    assert f"conn={number} fd=" in log.split(f"conn={number} op=1")[0]
    assert f' op=1 BIND dn="{dn("anna")}"' in log.split(f"conn={number} op=0 STARTTLS")[1]
    for bad in ("ldap://ldap.example.org", "ldap://192.0.2.1"):
        with pytest.raises(DirectoryError, match="in the clear"):
            LdapDirectory(settings(bad, start_tls=False))


def test_addresses_cannot_change_the_filter(slapd: Slapd, pki: Pki) -> None:
    where = settings(urls(slapd)["ldaps"], pki.ca, filter="(|(mail={address})(uid={name}))")
    attempts = [
        "*)(uid=*",
        "*@example.org",
        "anna*@example.org",
        "x)(uid=anna)@example.org",
        "*))(|(uid=anna@example.org",
        "\\2a@example.org",
        "\ud800@example.org",
        "anna)(!(uid=\0)@example.org",
        "a" * 300 + "*",
    ]
    before = slapd.binds("anna")
    for address in attempts:
        assert check(where, RIGHT, address) is Verdict.WRONG, address
    assert slapd.binds("anna") == before


def test_more_than_one_entry_is_nobody(slapd: Slapd, pki: Pki) -> None:
    troubles: list[str] = []
    where = settings(urls(slapd)["ldaps"], pki.ca, filter="(|(mail={address})(uid=bert)(uid=cleo))")
    assert check(where, RIGHT, troubles=troubles) is Verdict.UNAVAILABLE
    assert "more than one entry" in troubles[0]


def test_an_anonymous_search_that_may_see_nothing_finds_nobody(slapd: Slapd, pki: Pki) -> None:
    where = settings(urls(slapd)["ldaps"], pki.ca, bind_dn="", bind_password="")
    assert check(where, RIGHT) in (Verdict.WRONG, Verdict.UNAVAILABLE)


def test_a_wrong_service_password_is_trouble_and_no_ones_fault(slapd: Slapd, pki: Pki) -> None:
    troubles: list[str] = []
    where = settings(urls(slapd)["ldaps"], pki.ca, bind_password="old")
    assert check(where, RIGHT, troubles=troubles) is Verdict.UNAVAILABLE
    assert "refused bind_dn" in troubles[0]
    assert "old" not in troubles[0]


def test_the_service_connection_is_used_again_and_opened_anew_after_a_restart(slapd: Slapd, pki: Pki) -> None:
    async def run() -> list[Verdict]:
        asked = sources(settings(urls(slapd)["StartTLS"], pki.ca))
        reader = f'BIND dn="{READER[0]}" method='
        first = slapd.logged().count(reader)
        got = [await asked.check(account(), RIGHT) for _ in range(3)]
        assert slapd.logged().count(reader) == first + 1
        slapd.stop()
        got.append(await asked.check(account(), RIGHT))
        slapd.start()
        got.append(await asked.check(account(), RIGHT))
        return got

    right = Verdict.RIGHT
    assert asyncio.run(run()) == [right, right, right, Verdict.UNAVAILABLE, right]


def test_the_next_server_answers_where_the_first_does_not(slapd: Slapd, pki: Pki) -> None:
    troubles: list[str] = []
    where = settings(("ldap://127.0.0.1:9", urls(slapd)["ldaps"]), pki.ca)
    assert check(where, RIGHT, troubles=troubles) is Verdict.RIGHT
    assert troubles[0].startswith("ldap://127.0.0.1:9 can't be reached")


@pytest.mark.parametrize("way", ["StartTLS", "ldaps"])
def test_a_foreign_authority_is_neither_right_nor_wrong(slapd: Slapd, tmp_path: Path, way: str) -> None:
    troubles: list[str] = []
    before = slapd.binds()
    where = settings(urls(slapd)[way], Pki(tmp_path / "foreign", "Another").ca)
    assert check(where, RIGHT, troubles=troubles) is Verdict.UNAVAILABLE
    assert "certificate" in troubles[0]
    assert slapd.binds() == before


def test_a_certificate_for_another_name_is_not_taken(tmp_path: Path, pki: Pki) -> None:
    if why := missing_programs("slapd"):
        pytest.skip(why)
    peer = Slapd(tmp_path / "other", pki.issue("another.example.org"), pki.ca)
    try:
        assert check(settings(urls(peer)["ldaps"], pki.ca), RIGHT) is Verdict.UNAVAILABLE
        assert peer.binds() == 0
    finally:
        peer.stop()


# -- what is never sent


def test_no_empty_password_no_device_secret_and_nothing_impossible_reaches_it(slapd: Slapd, pki: Pki) -> None:
    secret = device_secret.make(bytes(range(device_secret.ENTROPY_BYTES))).text
    mistyped = secret[:-1] + ("0" if secret[-1] != "0" else "1")
    before = slapd.binds(), slapd.logged().count(" SRCH ")
    for password in (
        "",
        secret,
        secret.upper(),
        f" {secret} ",
        mistyped,
        secret.replace("-", ""),
        mistyped.upper(),
        "a\0b",
        "\0",
        "x" * 4097,
        "ä" * 2049,
        "\ud800",
    ):
        assert check(settings(urls(slapd)["ldaps"], pki.ca), password) is Verdict.WRONG
    assert (slapd.binds(), slapd.logged().count(" SRCH ")) == before


def test_a_hundred_guesses_lock_nobody_out(locking: Slapd, pki: Pki) -> None:
    async def guess() -> tuple[list[Verdict], Verdict]:
        asked = sources(settings(urls(locking)["StartTLS"], pki.ca), threshold=THRESHOLD)
        many = [asked.check(account(), f"guess {i}", known=i % 2 == 0) for i in range(100)]
        got = await asyncio.gather(*many)
        return got, await asked.check(account(), RIGHT)

    got, then = asyncio.run(guess())
    assert locking.binds("anna") == THRESHOLD - 2
    assert got.count(Verdict.WRONG) == THRESHOLD - 2
    assert got.count(Verdict.HELD) == 100 - (THRESHOLD - 2)
    assert then is Verdict.HELD
    # Whoever signs in elsewhere still can.
    assert check(settings(urls(locking)["StartTLS"], pki.ca), RIGHT) is Verdict.RIGHT


def test_what_the_directory_has_locked_is_said_to_be_locked(locking: Slapd, pki: Pki) -> None:
    where = settings(urls(locking)["ldaps"], pki.ca)
    bert = "bert@example.org"
    got = [check(where, "wrong", bert) for _ in range(THRESHOLD)]
    assert set(got) <= {Verdict.WRONG, Verdict.LOCKED}
    assert got[0] is Verdict.WRONG
    assert check(where, ACCOUNTS[bert], bert) is Verdict.LOCKED


def test_an_outage_spends_nothing_of_the_budget(slapd: Slapd, pki: Pki) -> None:
    async def run() -> tuple[set[Verdict], Verdict]:
        asked = sources(settings(urls(slapd)["ldaps"], pki.ca), threshold=3)
        slapd.stop()
        down = {await asked.check(account(), RIGHT) for _ in range(5)}
        slapd.start()
        return down, await asked.check(account(), RIGHT)

    assert asyncio.run(run()) == ({Verdict.UNAVAILABLE}, Verdict.RIGHT)
