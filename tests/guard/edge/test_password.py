"""The password beside a device's certificate: whom the door asks about it, when, and what each answer means."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from gambeson.guard.edge.directory import DirectoryPlan, OpenError, open_directory
from gambeson.guard.edge.identity.source import PasswordSources, Verdict
from gambeson.guard.edge.plan import DoorPlan
from gambeson.model.access import Mode
from gambeson.model.asset import Account, CredentialKind, DeviceState, IdentitySource
from gambeson.model.server import SignIn
from gambeson.model.snapshot import Snapshot, SnapshotIndex
from gambeson.process.keeper_client import KeeperGone, KeeperRefused
from gambeson.settings.ldap import Ldap
from guard.edge.doors import (
    OTHER_SECRET,
    SECRET,
    Doors,
    ImapPeer,
    doors,
    organisation,
    pki,
    revoked,
    run,
    upstream,
)

RIGHT = "her own password"


async def _answer(at: Doors, password: str, certificate: bool = True, **who: str) -> bytes:
    """What the client reads, tag and all, from greeting to answer."""
    client = await at.client(certificate=pki().phone if certificate else None)
    return await client.login(password, **who)


async def _doors(peer: ImapPeer, **changes: object) -> Doors:
    return await doors(organisation(upstream(await peer.start(), **changes)))


def test_certificate_and_right_password_enter_and_the_password_goes_to_the_keeper_alone() -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await _doors(peer)
        assert (await _answer(at, RIGHT, name="al@example.org")).startswith(b"a OK")
        [ask] = at.keeper.passwords_asked
        assert (ask.account, ask.door, ask.password) == ("a1", "imap", RIGHT)
        assert (ask.certificate, ask.fingerprint) == (pki().phone[2], "")
        assert RIGHT not in repr(ask)
        assert peer.logins == [("alice@example.org", at.keeper.upstream_password)]
        assert RIGHT not in repr(at.events())
        await at.server.stop()

    run(main)


def test_certificate_and_wrong_password_are_refused_and_no_credential_is_asked_for() -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await _doors(peer)
        assert b"NO [AUTHENTICATIONFAILED]" in await _answer(at, "a guess")
        assert at.keeper.asked == []
        assert peer.connections == 0
        [event] = at.events("door.login.refused")
        assert (event.account, event.data["failure"]) == ("a1", "password-wrong")
        await at.server.stop()

    run(main)


def test_where_no_password_is_stored_the_words_are_those_of_a_wrong_one_and_name_the_way_without() -> None:
    async def main() -> None:
        at = await _doors(ImapPeer())
        wrong = await _answer(at, "a guess")
        at.keeper.trouble = KeeperRefused("no-password")
        none_stored = await _answer(at, "a guess")
        assert none_stored == wrong  # whoever stole a device learns nothing about the account's password
        assert b"EXTERNAL" in wrong
        assert b"EXTERNAL" not in await _answer(at, "a guess", certificate=False)
        await at.server.stop()

    run(main)


def test_without_a_certificate_nobody_is_asked_and_right_and_wrong_are_the_same_octets() -> None:
    async def main() -> None:
        at = await _doors(ImapPeer())
        answers = {
            await _answer(at, RIGHT, certificate=False),
            await _answer(at, "a guess", certificate=False),
            await _answer(at, RIGHT, certificate=False, name="nobody@example.org"),
        }
        assert len(answers) == 1
        assert at.keeper.passwords_asked == at.keeper.asked == []
        await at.server.stop()

    run(main)


def test_a_certificate_that_is_none_of_ours_any_more_asks_nobody() -> None:
    async def main() -> None:
        at = await _doors(ImapPeer())
        await _use(at, revoked(_snapshot(at), "c2"))
        assert b"NO" in await _answer(at, RIGHT)
        assert b"NO" in await _answer(at, RIGHT, name="bob@example.org")
        assert at.keeper.passwords_asked == []
        await at.server.stop()

    run(main)


@pytest.mark.parametrize(
    ("trouble", "word"),
    [
        (KeeperRefused("too-many"), "password-held"),
        (KeeperRefused("busy"), "password-unavailable"),
        (KeeperRefused("no-fresh-snapshot"), "password-unavailable"),
        (KeeperRefused("revoked"), "password-unavailable"),
        (KeeperGone("the keeper is gone"), "password-unavailable"),
    ],
)
def test_where_the_keeper_gives_no_verdict_nobody_enters_and_the_client_keeps_its_password(
    trouble: Exception, word: str
) -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await _doors(peer)
        at.keeper.trouble = trouble
        assert b"NO [UNAVAILABLE]" in await _answer(at, RIGHT)
        [event] = at.events("door.login.failed")
        assert event.data["why"] == word
        assert peer.connections == 0
        await at.server.stop()

    run(main)


def test_an_account_without_a_password_is_refused_like_a_wrong_one() -> None:
    async def main() -> None:
        at = await _doors(ImapPeer())
        wrong = await _answer(at, "a guess")
        at.keeper.trouble = KeeperRefused("no-password")
        assert await _answer(at, RIGHT) == wrong
        await at.server.stop()

    run(main)


def test_the_accounts_own_device_secret_is_as_good_as_a_password_and_no_other_secret_is() -> None:
    async def main() -> None:
        at = await _doors(ImapPeer())
        assert (await _answer(at, SECRET.text)).startswith(b"a OK")
        assert b"NO" in await _answer(at, OTHER_SECRET.text)
        assert b"NO" in await _answer(at, SECRET.text[:-1] + ("0" if SECRET.text[-1] != "0" else "1"))
        snapshot = _snapshot(at)
        lost = replace(snapshot.devices[0], id="d2", state=DeviceState.LOST)
        credentials = tuple(
            replace(c, device="d2") if c.kind is CredentialKind.DEVICE_SECRET else c
            for c in snapshot.credentials
        )
        await _use(at, replace(snapshot, devices=(*snapshot.devices, lost), credentials=credentials))
        assert b"NO" in await _answer(at, SECRET.text)
        await _use(at, revoked(snapshot, "c1"))
        assert b"NO" in await _answer(at, SECRET.text)
        assert at.keeper.passwords_asked == []
        await at.server.stop()

    run(main)


def test_where_the_mail_server_checks_it_the_door_does_not() -> None:
    async def main() -> None:
        peer = ImapPeer()
        peer.passwords = {"the mail server's"}
        at = await _doors(peer, sign_in=SignIn.AS_IS)
        assert (await _answer(at, "the mail server's")).startswith(b"a OK")
        assert at.keeper.passwords_asked == []
        await at.server.stop()

    run(main)


def test_observing_asks_nobody_about_a_password_alone() -> None:
    async def main() -> None:
        peer = ImapPeer()
        peer.passwords = {"the mail server's"}
        at = await doors(organisation(upstream(await peer.start()), mode=Mode.OBSERVE))
        assert (await _answer(at, "the mail server's", certificate=False)).startswith(b"a OK")
        assert at.keeper.passwords_asked == []
        await at.server.stop()

    run(main)


# -- the directory


class Asked(PasswordSources):
    """A directory that answers what it is told to."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__()
        self.verdict = verdict
        self.passwords: list[tuple[str, str]] = []

    async def check(self, account: Account, password: str, known: bool = True) -> Verdict:
        assert known
        self.passwords.append((account.address, password))
        return self.verdict


def _in_a_directory(snapshot: Snapshot) -> Snapshot:
    accounts = tuple(replace(a, source=IdentitySource.LDAP) for a in snapshot.accounts)
    return replace(snapshot, accounts=accounts, number=snapshot.number + 1)


@pytest.mark.parametrize(
    ("verdict", "answer", "recorded"),
    [
        (Verdict.RIGHT, b"a OK", None),
        (Verdict.WRONG, b"a NO [AUTHENTICATIONFAILED]", "password-wrong"),
        (Verdict.LOCKED, b"a NO [AUTHENTICATIONFAILED]", "password-locked"),
        (Verdict.EXPIRED, b"a NO [AUTHENTICATIONFAILED]", "password-expired"),
        (Verdict.HELD, b"a NO [UNAVAILABLE]", "password-held"),
        (Verdict.UNAVAILABLE, b"a NO [UNAVAILABLE]", "password-unavailable"),
    ],
)
def test_what_a_directory_says(verdict: Verdict, answer: bytes, recorded: str | None) -> None:
    async def main() -> None:
        peer = ImapPeer()
        at = await _doors(peer)
        await _use(at, _in_a_directory(_snapshot(at)))
        at.server.door.passwords = directory = Asked(verdict)
        assert (await _answer(at, RIGHT)).startswith(answer)
        assert directory.passwords == [("alice@example.org", RIGHT)]
        assert b"NO" in await _answer(at, RIGHT, certificate=False)
        assert len(directory.passwords) == 1
        assert at.keeper.passwords_asked == []
        events = [e.data.get("failure") or e.data.get("why") for e in at.events() if e.account == "a1"]
        assert not recorded or recorded in events
        await at.server.stop()

    run(main)


def test_an_account_of_a_directory_that_is_not_set_does_not_enter() -> None:
    async def main() -> None:
        at = await _doors(ImapPeer())
        await _use(at, _in_a_directory(_snapshot(at)))
        assert b"NO [UNAVAILABLE]" in await _answer(at, RIGHT)
        [event] = at.events("door.login.failed")
        assert "ldap.url" in str(event.data["word"])
        await at.server.stop()

    run(main)


# -- the plan


def test_the_plan_carries_the_directory_and_opens_it_with_its_password() -> None:
    folder = Path(tempfile.mkdtemp(dir=pki().folder))
    secret = folder / "ldap-password"
    secret.write_text("the reader's\n")
    secret.chmod(0o600)
    ldap = Ldap(
        url=("ldaps://a.example.org",),
        base="dc=a",
        bind_dn="cn=r",
        ca=str(pki().ca_path),
        lockout_threshold=7,
    )
    plan = DoorPlan(hostname="x", listeners=(), directory=DirectoryPlan(ldap, "file", str(secret)))
    back = DoorPlan.from_plain(plan.plain())
    assert back == plan
    assert back.directory is not None
    opened = open_directory(back.directory)
    assert "reader" not in repr(plan) + repr(opened)
    with pytest.raises(OpenError, match="cannot be read"):
        open_directory(DirectoryPlan(ldap, "file", str(folder / "missing")))
    with pytest.raises(OpenError, match=r"ldap\.ca"):
        open_directory(DirectoryPlan(replace(ldap, ca=str(folder / "missing")), "value", "x"))


def test_the_directorys_budget_goes_by_the_doors_own_clock() -> None:
    """The directory's clock is not this machine's: setting ours must not give its accounts a fresh budget."""

    async def main() -> None:
        ldap = Ldap(url=("ldaps://dc.example.org",), base="dc=example,dc=org", lockout_threshold=4)
        at = await doors(organisation(), directory=open_directory(DirectoryPlan(ldap, "", "")))
        door = at.server.door
        assert door.passwords is not None
        assert door.passwords._clock == door.counting  # of which test_login.py says how it counts
        await at.server.stop()

    run(main)


def _snapshot(at: Doors) -> Snapshot:
    assert at.server.door.index is not None
    return at.server.door.index.snapshot


async def _use(at: Doors, snapshot: Snapshot) -> None:
    await at.server.apply_snapshot(SnapshotIndex(snapshot))
